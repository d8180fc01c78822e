//! One association, from its request to its end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason, AbortRQSource, AssociationRQ, Pdu, PresentationContextNegotiated,
    PresentationContextResultReason,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::department::{Department, Occurrence};
use super::message::{Answer, Assembler, Message, MessageError, field, pdus, status};
use super::negotiate::{Access, Agreed, Refusal, Services, negotiate};
use super::server::ScpConfig;
use super::wire::{Wire, WireError};
use super::{find, lengths, mpps, recorder};

/// Most messages that wait while a query is answered.
const QUEUE_MAX: usize = 16;
/// How long the last words may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How an association ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer released it.
    Released,
    /// The peer aborted it.
    Aborted,
    /// The peer closed the connection without a word.
    Closed,
    /// We did, because the program stops.
    Stopped,
    /// We did, because of what the peer did.
    Failed(String),
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Closed => Self::Closed,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<MessageError> for End {
    fn from(error: MessageError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What an association is served with.
pub(crate) struct Desk<D> {
    pub(crate) department: Arc<D>,
    pub(crate) config: Arc<ScpConfig>,
    pub(crate) access: Access,
    pub(crate) services: Services,
    pub(crate) peer: SocketAddr,
    pub(crate) stop: CancellationToken,
    /// Refuse it, whatever it asks.
    pub(crate) refuse: Option<Refusal>,
}

/// Serves one connection to its end.
pub(crate) async fn serve<S, D>(stream: S, desk: Desk<D>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    D: Department,
{
    let mut wire = Wire::new(stream, desk.config.deadlines);
    let request = tokio::select! {
        request = request(&mut wire, desk.config.deadlines.request) => request,
        () = desk.stop.cancelled() => return,
    };
    let (peer, department) = (desk.peer, Arc::clone(&desk.department));
    let request = match request {
        Ok(Some(request)) => request,
        Ok(None) => return wire.close(GOODBYE).await,
        Err(error) => {
            if !matches!(error, WireError::Closed) {
                let what = error.to_string();
                department.heard(Occurrence::Garbage { peer, what });
                let last = abort(AbortRQServiceProviderReason::UnrecognizedPdu);
                let _ = wire.send(&last).await;
            }
            return wire.close(GOODBYE).await;
        }
    };
    let calling = request.calling_ae_title.trim().to_owned();
    let decided = match desk.refuse {
        Some(refusal) => Err(refusal),
        None => negotiate(request, &desk.access, desk.services),
    };
    let (agreed, answer) = match decided {
        Ok(decided) => decided,
        Err(refusal) => {
            department.heard(Occurrence::Refused {
                peer,
                calling,
                refusal,
            });
            let _ = wire.send(&refusal.pdu()).await;
            return wire.close(GOODBYE).await;
        }
    };
    department.heard(Occurrence::Opened {
        peer,
        calling: calling.clone(),
    });
    let mut association = Association {
        wire,
        desk,
        agreed,
        assembler: Assembler::default(),
        queue: VecDeque::new(),
    };
    let end = association.run(&answer).await;
    let last = match &end {
        End::Released => Some(Pdu::ReleaseRP),
        End::Stopped => Some(abort(AbortRQServiceProviderReason::ReasonNotSpecified)),
        End::Failed(_) => Some(abort(AbortRQServiceProviderReason::UnexpectedPdu)),
        End::Aborted | End::Closed => None,
    };
    if let Some(pdu) = last {
        let _ = association.wire.send(&pdu).await;
    }
    department.heard(Occurrence::Closed { peer, calling, end });
    association.wire.close(GOODBYE).await;
}

fn abort(reason: AbortRQServiceProviderReason) -> Pdu {
    Pdu::AbortRQ {
        source: AbortRQSource::ServiceProvider(reason),
    }
}

/// The association request; `None` where the peer has something else in mind.
async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    within: Duration,
) -> Result<Option<AssociationRQ>, WireError> {
    let pdu = tokio::time::timeout(within, wire.receive_within(within))
        .await
        .unwrap_or(Err(WireError::Slow(within)))?;
    match pdu {
        Pdu::AssociationRQ(request) => Ok(Some(request)),
        Pdu::AbortRQ { .. } => Ok(None),
        Pdu::ReleaseRQ => {
            wire.send(&Pdu::ReleaseRP).await?;
            Ok(None)
        }
        _ => {
            let last = abort(AbortRQServiceProviderReason::UnexpectedPdu);
            wire.send(&last).await?;
            Ok(None)
        }
    }
}

/// What came while a query is answered.
pub(crate) enum Interruption {
    /// Nothing that concerns it.
    None,
    /// Its cancellation.
    Cancelled,
}

/// An association that was agreed on.
pub(crate) struct Association<S, D> {
    pub(crate) wire: Wire<S>,
    pub(crate) desk: Desk<D>,
    pub(crate) agreed: Agreed,
    assembler: Assembler,
    queue: VecDeque<Message>,
}

impl<S, D> Association<S, D>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    D: Department,
{
    async fn run(&mut self, answer: &Pdu) -> End {
        if let Err(error) = self.wire.send(answer).await {
            return error.into();
        }
        loop {
            while let Some(message) = self.queue.pop_front() {
                if let Err(end) = self.handle(message).await {
                    return end;
                }
            }
            let pdu = tokio::select! {
                biased;
                () = self.desk.stop.cancelled() => return End::Stopped,
                pdu = self.wire.receive() => pdu,
            };
            let result = pdu.map_err(End::from).and_then(|pdu| self.take(pdu));
            if let Err(end) = result {
                return end;
            }
        }
    }

    /// Puts what a PDU completes into the queue.
    fn take(&mut self, pdu: Pdu) -> Result<(), End> {
        match pdu {
            Pdu::PData { data } => {
                self.queue.extend(self.assembler.take(&data)?);
                if self.queue.len() > QUEUE_MAX {
                    return Err(End::Failed("too many messages at a time".into()));
                }
                Ok(())
            }
            Pdu::ReleaseRQ if self.assembler.is_inside() => {
                Err(End::Failed("released inside a message".into()))
            }
            Pdu::ReleaseRQ => Err(End::Released),
            Pdu::AbortRQ { .. } => Err(End::Aborted),
            _ => Err(End::Failed("a PDU came that has no place here".into())),
        }
    }

    /// Looks, without waiting, whether the query under `message_id` is cancelled.
    pub(crate) async fn interruption(&mut self, message_id: u16) -> Result<Interruption, End> {
        while let Some(pdu) = self.wire.poll_receive().await? {
            self.take(pdu)?;
        }
        let cancels = |message: &Message| {
            message.command.field == field::C_CANCEL
                && message.command.number(tags::MESSAGE_ID_BEING_RESPONDED_TO) == Some(message_id)
        };
        if self.queue.iter().any(cancels) {
            self.queue.retain(|message| !cancels(message));
            return Ok(Interruption::Cancelled);
        }
        Ok(Interruption::None)
    }

    async fn handle(&mut self, message: Message) -> Result<(), End> {
        let Some(context) = self.context(message.context) else {
            let what = "a message under a context that was not agreed on";
            return Err(End::Failed(what.into()));
        };
        let class = message.command.sop_class();
        let wanted = match message.command.field {
            // Too late, or for nothing: there is no answer to it.
            field::C_CANCEL => return Ok(()),
            field::C_ECHO => uids::VERIFICATION,
            field::C_FIND => uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
            field::N_CREATE | field::N_SET => uids::MODALITY_PERFORMED_PROCEDURE_STEP,
            field::C_STORE if self.desk.services == Services::Recorder => {
                context.abstract_syntax.as_str()
            }
            other if other & field::RESPONSE != 0 => {
                return Err(End::Failed("an answer came to no question".into()));
            }
            _ => {
                let answer = Answer::status(status::UNKNOWN_OPERATION);
                return self.answer(&message, &answer, None).await;
            }
        };
        if context.abstract_syntax != wanted || class != wanted {
            let answer = Answer::status(status::NO_SUCH_SOP_CLASS);
            return self.answer(&message, &answer, None).await;
        }
        match message.command.field {
            field::C_ECHO => {
                let answer = Answer::status(status::SUCCESS);
                self.answer(&message, &answer, None).await
            }
            field::C_FIND => find::answer(self, message, &context).await,
            field::C_STORE => recorder::answer(self, message, &context).await,
            _ => mpps::answer(self, message, &context).await,
        }
    }

    fn context(&self, id: u8) -> Option<PresentationContextNegotiated> {
        let accepted = PresentationContextResultReason::Acceptance;
        let mut contexts = self.agreed.contexts.iter();
        contexts
            .find(|context| context.id == id && context.reason == accepted)
            .cloned()
    }

    /// Sends the answer to a message.
    pub(crate) async fn answer(
        &mut self,
        message: &Message,
        answer: &Answer,
        data: Option<Vec<u8>>,
    ) -> Result<(), End> {
        let command = answer.command(&message.command, data.is_some());
        for pdu in pdus(message.context, command, data, self.agreed.pdu_bytes_max) {
            self.wire.send(&pdu).await?;
        }
        Ok(())
    }
}

/// The data set of a message; an answer where it has none that can be read.
pub(crate) fn data_set(
    message: &Message,
    context: &PresentationContextNegotiated,
) -> Result<InMemDicomObject, Box<Answer>> {
    let unable = |comment| Box::new(Answer::status(status::UNABLE_TO_PROCESS).comment(comment));
    let Some(data) = &message.data else {
        return Err(unable("no data set came"));
    };
    lengths::read(data, &context.transfer_syntax)
        .ok_or_else(|| unable("the data set cannot be read"))
}

/// An answer that names what is wrong.
pub(crate) fn offending(status: u16, tag: Tag, comment: &str) -> Answer {
    Answer {
        offending: vec![tag],
        ..Answer::status(status).comment(comment)
    }
}
