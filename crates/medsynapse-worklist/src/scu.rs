//! The other side: a pretend modality, for tests and for people who try things out.

mod performed;

use std::time::Duration;

use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::pdu::{
    AssociationRQ, Pdu, PresentationContextProposed, PresentationContextResultReason,
    UserVariableItem,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};

use crate::scp::message::{
    Assembler, Message, NO_DATA_SET, command_bytes, field, number, pdus, status, text,
    transfer_syntax,
};
use crate::scp::wire::{PDU_BYTES_MAX, Wire};
use crate::scp::{
    Deadlines, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, MessageError, WireError,
};

pub use performed::{
    Moment, TINY_OBJECT_CLASS, derived_uid, keys_of_a_step, step_ended, step_started, tiny_object,
};

/// Why a modality gets no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScuError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The association was refused.
    #[error("the association was refused: {0}")]
    Rejected(String),
    /// The other side broke the association off.
    #[error("the association was aborted")]
    Aborted,
    /// The other side does not do what is asked for.
    #[error("the other side does not offer {0}")]
    NotOffered(&'static str),
    /// The connection failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// An answer cannot be read.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// An answer is none to what was asked.
    #[error("an answer came that belongs to nothing")]
    Unexpected,
    /// A data set cannot be read or written.
    #[error("a data set cannot be read or written: {0}")]
    DataSet(String),
}

/// What a modality proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its own AE title.
    pub calling: String,
    /// Whom it calls.
    pub called: String,
    /// SOP classes, each with the transfer syntaxes for it.
    pub contexts: Vec<(String, Vec<String>)>,
    /// Longest PDU that it takes; 0 is no limit.
    pub pdu_bytes_max: u32,
    /// How long things may take.
    pub deadlines: Deadlines,
}

impl Offer {
    /// A modality that wants its worklist and tells what it does.
    pub fn modality(calling: &str, called: &str) -> Self {
        let syntaxes = [
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ];
        let context = |class: &str| (class.to_owned(), syntaxes.map(str::to_owned).to_vec());
        Self {
            calling: calling.into(),
            called: called.into(),
            contexts: [
                uids::VERIFICATION,
                uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
                uids::MODALITY_PERFORMED_PROCEDURE_STEP,
            ]
            .map(context)
            .to_vec(),
            pdu_bytes_max: PDU_BYTES_MAX,
            deadlines: Deadlines {
                idle: Duration::from_secs(30),
                ..Deadlines::default()
            },
        }
    }

    /// A modality that stores objects of one SOP class.
    pub fn storage(calling: &str, called: &str, sop_class: &str) -> Self {
        let mut offer = Self::modality(calling, called);
        offer.contexts.truncate(1);
        offer.contexts.push((
            sop_class.to_owned(),
            vec![
                uids::EXPLICIT_VR_LITTLE_ENDIAN.into(),
                uids::IMPLICIT_VR_LITTLE_ENDIAN.into(),
            ],
        ));
        offer
    }
}

/// The last answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// (0000,0900)
    pub status: u16,
    /// (0000,0902)
    pub comment: String,
    /// (0000,0901)
    pub offending: Vec<Tag>,
    /// (0000,0903)
    pub error_id: Option<u16>,
}

impl Outcome {
    fn of(command: &InMemDicomObject) -> Self {
        let offending = command.get(tags::OFFENDING_ELEMENT);
        let offending = offending.and_then(|element| match element.value().primitive() {
            Some(PrimitiveValue::Tags(tags)) => Some(tags.to_vec()),
            _ => None,
        });
        Self {
            status: number(command, tags::STATUS).unwrap_or(0xC000),
            comment: text(command, tags::ERROR_COMMENT),
            offending: offending.unwrap_or_default(),
            error_id: number(command, tags::ERROR_ID),
        }
    }

    /// Whether it went well.
    pub const fn is_success(&self) -> bool {
        self.status == status::SUCCESS
    }
}

/// What a query gave.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// The items with their pending status.
    pub items: Vec<(u16, InMemDicomObject)>,
    /// The last answer.
    pub outcome: Outcome,
}

/// One context that was agreed on.
#[derive(Debug, Clone)]
struct Context {
    id: u8,
    class: String,
    syntax: String,
}

/// A modality in an association.
#[derive(Debug)]
pub struct Modality<S> {
    wire: Wire<S>,
    contexts: Vec<Context>,
    pdu_bytes_max: u32,
    assembler: Assembler,
    queue: std::collections::VecDeque<Message>,
    message_id: u16,
}

impl Modality<TcpStream> {
    /// Connects and opens an association.
    ///
    /// # Errors
    ///
    /// No connection, or no association.
    pub async fn connect(address: impl ToSocketAddrs, offer: &Offer) -> Result<Self, ScuError> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(ScuError::Connect)?;
        stream.set_nodelay(true).map_err(ScuError::Connect)?;
        Self::open(stream, offer).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Modality<S> {
    /// Opens an association over a stream.
    ///
    /// # Errors
    ///
    /// It is refused, or the stream fails.
    pub async fn open(stream: S, offer: &Offer) -> Result<Self, ScuError> {
        let mut wire = Wire::new(stream, offer.deadlines);
        let ids = (0_u8..128).map(|n| 2 * n + 1);
        let request = AssociationRQ {
            protocol_version: 1,
            calling_ae_title: offer.calling.clone(),
            called_ae_title: offer.called.clone(),
            application_context_name: "1.2.840.10008.3.1.1.1".into(),
            presentation_contexts: ids
                .zip(&offer.contexts)
                .map(|(id, (class, syntaxes))| PresentationContextProposed {
                    id,
                    abstract_syntax: class.clone(),
                    transfer_syntaxes: syntaxes.clone(),
                })
                .collect(),
            user_variables: vec![
                UserVariableItem::MaxLength(offer.pdu_bytes_max),
                UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.into()),
                UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.into()),
            ],
        };
        wire.send(&Pdu::AssociationRQ(request)).await?;
        let answer = match wire.receive().await? {
            Pdu::AssociationAC(answer) => answer,
            Pdu::AssociationRJ(refusal) => {
                return Err(ScuError::Rejected(refusal.source.to_string()));
            }
            Pdu::AbortRQ { .. } => return Err(ScuError::Aborted),
            _ => return Err(ScuError::Unexpected),
        };
        let contexts = answer
            .presentation_contexts
            .into_iter()
            .filter(|context| context.reason == PresentationContextResultReason::Acceptance)
            .filter_map(|context| {
                let index = usize::from(context.id / 2);
                Some(Context {
                    id: context.id,
                    class: offer.contexts.get(index)?.0.clone(),
                    syntax: context.transfer_syntax,
                })
            })
            .collect();
        let length = answer.user_variables.iter().find_map(|item| match item {
            UserVariableItem::MaxLength(length) => Some(*length),
            _ => None,
        });
        let pdu_bytes_max = match length.unwrap_or(0) {
            0 => 65_536,
            length => length.min(65_536),
        };
        Ok(Self {
            wire,
            contexts,
            pdu_bytes_max,
            assembler: Assembler::default(),
            queue: std::collections::VecDeque::new(),
            message_id: 0,
        })
    }

    fn context(&self, class: &str, name: &'static str) -> Result<Context, ScuError> {
        let mut contexts = self.contexts.iter();
        contexts
            .find(|context| context.class == class)
            .cloned()
            .ok_or(ScuError::NotOffered(name))
    }

    /// The SOP classes that were agreed on.
    pub fn classes(&self) -> Vec<&str> {
        self.contexts
            .iter()
            .map(|context| context.class.as_str())
            .collect()
    }

    async fn request(
        &mut self,
        context: &Context,
        elements: Vec<DataElement<InMemDicomObject>>,
        data: Option<&InMemDicomObject>,
    ) -> Result<(), ScuError> {
        let data = data
            .map(|object| encode(object, &context.syntax))
            .transpose()?;
        let mut elements = elements;
        let data_set = if data.is_some() { 0 } else { NO_DATA_SET };
        elements.push(us(tags::COMMAND_DATA_SET_TYPE, data_set));
        let command = command_bytes(elements);
        for pdu in pdus(context.id, command, data, self.pdu_bytes_max) {
            self.wire.send(&pdu).await?;
        }
        Ok(())
    }

    async fn answer(&mut self) -> Result<Message, ScuError> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Ok(message);
            }
            match self.wire.receive().await? {
                Pdu::PData { data } => self.queue.extend(self.assembler.take(&data)?),
                Pdu::AbortRQ { .. } => return Err(ScuError::Aborted),
                _ => return Err(ScuError::Unexpected),
            }
        }
    }

    async fn exchange(
        &mut self,
        context: &Context,
        elements: Vec<DataElement<InMemDicomObject>>,
        data: Option<&InMemDicomObject>,
    ) -> Result<Outcome, ScuError> {
        self.request(context, elements, data).await?;
        let message = self.answer().await?;
        let id = message.command.number(tags::MESSAGE_ID_BEING_RESPONDED_TO);
        if id != Some(self.message_id) {
            return Err(ScuError::Unexpected);
        }
        Ok(Outcome::of(&message.command.object))
    }

    fn next_id(&mut self) -> DataElement<InMemDicomObject> {
        self.message_id = self.message_id.wrapping_add(1);
        us(tags::MESSAGE_ID, self.message_id)
    }

    /// C-ECHO.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn echo(&mut self) -> Result<Outcome, ScuError> {
        let context = self.context(uids::VERIFICATION, "verification")?;
        let elements = vec![
            ui(tags::AFFECTED_SOP_CLASS_UID, uids::VERIFICATION),
            us(tags::COMMAND_FIELD, field::C_ECHO),
            self.next_id(),
        ];
        self.exchange(&context, elements, None).await
    }

    /// Any request with elements of its own, for tests of what is not allowed.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn raw(
        &mut self,
        class: &str,
        command_field: u16,
        more: Vec<DataElement<InMemDicomObject>>,
        data: Option<&InMemDicomObject>,
    ) -> Result<Outcome, ScuError> {
        let context = self
            .contexts
            .first()
            .cloned()
            .ok_or(ScuError::NotOffered("anything"))?;
        let context = self.context(class, "it").unwrap_or(context);
        let mut elements = vec![
            ui(tags::AFFECTED_SOP_CLASS_UID, class),
            us(tags::COMMAND_FIELD, command_field),
            self.next_id(),
        ];
        elements.extend(more);
        self.exchange(&context, elements, data).await
    }

    /// C-FIND of the worklist; everything it gives.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn find(&mut self, identifier: &InMemDicomObject) -> Result<Answers, ScuError> {
        self.find_until(identifier, usize::MAX).await
    }

    /// C-FIND that is cancelled once `enough` items are here.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn find_until(
        &mut self,
        identifier: &InMemDicomObject,
        enough: usize,
    ) -> Result<Answers, ScuError> {
        let class = uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND;
        let context = self.context(class, "the worklist")?;
        let elements = vec![
            ui(tags::AFFECTED_SOP_CLASS_UID, class),
            us(tags::COMMAND_FIELD, field::C_FIND),
            self.next_id(),
            us(tags::PRIORITY, 0),
        ];
        self.request(&context, elements, Some(identifier)).await?;
        let mut answers = Answers::default();
        loop {
            let message = self.answer().await?;
            let outcome = Outcome::of(&message.command.object);
            if outcome.status != status::PENDING && outcome.status != status::PENDING_UNSUPPORTED {
                answers.outcome = outcome;
                return Ok(answers);
            }
            let data = message.data.unwrap_or_default();
            let item = InMemDicomObject::read_dataset_with_ts(
                &data[..],
                &transfer_syntax(&context.syntax),
            )
            .map_err(|error| ScuError::DataSet(error.to_string()))?;
            answers.items.push((outcome.status, item));
            if answers.items.len() == enough {
                self.cancel(&context).await?;
            }
        }
    }

    async fn cancel(&mut self, context: &Context) -> Result<(), ScuError> {
        let elements = vec![
            us(tags::COMMAND_FIELD, field::C_CANCEL),
            us(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id),
        ];
        self.request(context, elements, None).await
    }

    /// N-CREATE of a performed procedure step.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn create_step(
        &mut self,
        uid: &str,
        dataset: &InMemDicomObject,
    ) -> Result<Outcome, ScuError> {
        let class = uids::MODALITY_PERFORMED_PROCEDURE_STEP;
        let context = self.context(class, "performed procedure steps")?;
        let elements = vec![
            ui(tags::AFFECTED_SOP_CLASS_UID, class),
            us(tags::COMMAND_FIELD, field::N_CREATE),
            self.next_id(),
            ui(tags::AFFECTED_SOP_INSTANCE_UID, uid),
        ];
        self.exchange(&context, elements, Some(dataset)).await
    }

    /// N-SET of a performed procedure step.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn set_step(
        &mut self,
        uid: &str,
        dataset: &InMemDicomObject,
    ) -> Result<Outcome, ScuError> {
        let class = uids::MODALITY_PERFORMED_PROCEDURE_STEP;
        let context = self.context(class, "performed procedure steps")?;
        let elements = vec![
            ui(tags::REQUESTED_SOP_CLASS_UID, class),
            us(tags::COMMAND_FIELD, field::N_SET),
            self.next_id(),
            ui(tags::REQUESTED_SOP_INSTANCE_UID, uid),
        ];
        self.exchange(&context, elements, Some(dataset)).await
    }

    /// C-STORE of an object.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn store(
        &mut self,
        class: &str,
        uid: &str,
        dataset: &InMemDicomObject,
    ) -> Result<Outcome, ScuError> {
        let context = self.context(class, "the storage of this class")?;
        let elements = vec![
            ui(tags::AFFECTED_SOP_CLASS_UID, class),
            us(tags::COMMAND_FIELD, field::C_STORE),
            self.next_id(),
            us(tags::PRIORITY, 0),
            ui(tags::AFFECTED_SOP_INSTANCE_UID, uid),
        ];
        self.exchange(&context, elements, Some(dataset)).await
    }

    /// Releases the association.
    ///
    /// # Errors
    ///
    /// The other side does not answer.
    pub async fn release(mut self) -> Result<(), ScuError> {
        self.wire.send(&Pdu::ReleaseRQ).await?;
        loop {
            match self.wire.receive().await? {
                Pdu::ReleaseRP => break,
                Pdu::AbortRQ { .. } => return Err(ScuError::Aborted),
                _ => {}
            }
        }
        self.wire.close(Duration::from_millis(100)).await;
        Ok(())
    }
}

fn us(tag: Tag, value: u16) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

fn ui(tag: Tag, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::UI, PrimitiveValue::from(value))
}

fn encode(object: &InMemDicomObject, syntax: &str) -> Result<Vec<u8>, ScuError> {
    let mut bytes = Vec::new();
    object
        .write_dataset_with_ts(&mut bytes, &transfer_syntax(syntax))
        .map_err(|error| ScuError::DataSet(error.to_string()))?;
    Ok(bytes)
}

/// A sequence of items, each given by its elements.
pub fn sequence(
    tag: Tag,
    items: Vec<Vec<DataElement<InMemDicomObject>>>,
) -> DataElement<InMemDicomObject> {
    let items: Vec<_> = items
        .into_iter()
        .map(InMemDicomObject::from_element_iter)
        .collect();
    DataElement::new(tag, VR::SQ, Value::Sequence(DataSetSequence::from(items)))
}
