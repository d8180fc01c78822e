//! C-FIND of the worklist.

use std::sync::Arc;

use dicom_ul::pdu::PresentationContextNegotiated;
use tokio::io::{AsyncRead, AsyncWrite};

use super::End;
use super::association::{Association, Interruption, data_set, offending};
use super::department::{Department, FindError, Occurrence, Station};
use super::message::{Answer, Message, pdus, status, transfer_syntax};
use crate::board::Found;
use crate::charset::ResponseCharset;
use crate::dataset::dataset;
use crate::query::Query;
use crate::table::Element;

/// Answers a query, item by item.
pub(crate) async fn answer<S, D>(
    association: &mut Association<S, D>,
    message: Message,
    context: &PresentationContextNegotiated,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    D: Department,
{
    let calling = association.agreed.calling.clone();
    let view = association.desk.config.view(&calling);
    let department = Arc::clone(&association.desk.department);
    let query = data_set(&message, context).and_then(|identifier| {
        Query::read(&identifier, view.options).map_err(|invalid| {
            let comment = invalid.to_string();
            Box::new(offending(status::INVALID_IDENTIFIER, invalid.tag, &comment))
        })
    });
    let query = match query {
        Ok(query) => Arc::new(query),
        Err(answer) => {
            department.heard(Occurrence::Query {
                calling,
                keys: Vec::new(),
                items: Vec::new(),
                status: answer.status,
            });
            return association.answer(&message, &answer, None).await;
        }
    };
    let look = {
        let (query, view, department) = (Arc::clone(&query), view.clone(), Arc::clone(&department));
        move || {
            let found = department.find(&query, &view);
            let unknown = match &found {
                Ok(found) if found.items.is_empty() => unknown_station(&*department, &query),
                _ => None,
            };
            (found, unknown)
        }
    };
    let (found, unknown) = match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) => return Err(End::Failed(format!("the query failed: {error}"))),
    };
    if let Some((asked, similar)) = unknown {
        department.heard(Occurrence::NoSuchStation {
            calling: calling.clone(),
            asked,
            similar,
        });
    }
    let (sent, last) = match found {
        Ok(found) => {
            let mut sender = Sender {
                association,
                message: &message,
                query: &query,
                sent: 0,
            };
            let last = sender.items(&found, context, view.charset).await?;
            let sent = found.items.iter().take(sender.sent);
            let sent = sent.map(|item| item.get(Element::AccessionNumber).to_owned());
            (sent.collect(), last)
        }
        Err(FindError::TooMany(too_many)) => {
            let answer = Answer::status(status::OUT_OF_RESOURCES);
            (Vec::new(), answer.comment(&too_many.to_string()))
        }
        Err(FindError::Unavailable(_)) => {
            let answer = Answer::status(status::UNABLE_TO_PROCESS);
            (
                Vec::new(),
                answer.comment("the broker cannot read its orders now"),
            )
        }
    };
    department.heard(Occurrence::Query {
        calling,
        keys: query.keywords(),
        items: sent,
        status: last.status,
    });
    association.answer(&message, &last, None).await
}

/// The first AE title that was asked for, where no order has any that was.
fn unknown_station(
    department: &impl Department,
    query: &Query,
) -> Option<(String, Option<String>)> {
    let asked = query.exact(Element::ScheduledStationAETitle)?;
    let mut similar = None;
    for title in &asked {
        match department.station(title) {
            Station::Known => return None,
            Station::Differs(other) => {
                similar.get_or_insert(other);
            }
            Station::Unknown => {}
        }
    }
    Some(((*asked.first()?).to_owned(), similar))
}

struct Sender<'a, S, D> {
    association: &'a mut Association<S, D>,
    message: &'a Message,
    query: &'a Query,
    sent: usize,
}

impl<S, D> Sender<'_, S, D>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    D: Department,
{
    /// Sends the items, and gives the last answer.
    async fn items(
        &mut self,
        found: &Found,
        context: &PresentationContextNegotiated,
        charset: ResponseCharset,
    ) -> Result<Answer, End> {
        let syntax = transfer_syntax(&context.transfer_syntax);
        let pending = if self.query.has_unsupported_keys() {
            status::PENDING_UNSUPPORTED
        } else {
            status::PENDING
        };
        let command = Answer::status(pending).command(&self.message.command, true);
        let message_id = self.message.command.message_id();
        for item in &found.items {
            match self.association.interruption(message_id).await? {
                Interruption::Cancelled => return Ok(Answer::status(status::CANCELLED)),
                Interruption::None => {}
            }
            let mut bytes = Vec::with_capacity(1_024);
            let object = dataset(item, self.query, charset);
            if object.write_dataset_with_ts(&mut bytes, &syntax).is_err() {
                let answer = Answer::status(status::UNABLE_TO_PROCESS);
                return Ok(answer.comment("an item cannot be written"));
            }
            let max = self.association.agreed.pdu_bytes_max;
            for pdu in pdus(self.message.context, command.clone(), Some(bytes), max) {
                self.association.wire.send(&pdu).await?;
            }
            self.sent += 1;
        }
        match self.association.interruption(message_id).await? {
            Interruption::Cancelled => Ok(Answer::status(status::CANCELLED)),
            Interruption::None => Ok(Answer::status(status::SUCCESS)),
        }
    }
}
