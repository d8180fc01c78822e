//! What became of messages that were sent, and what persons do to those that wait.

use hl7_message::{Ack, Message};

use super::events;
use super::rows::{Entry, Moved, Rows};
use crate::action::{ActionOutcome, OutboxCommand};
use crate::error::StoreError;
use crate::event::Event;
use crate::outbox::OutboxState;
use crate::work::{Delivery, DeliveryOutcome, Settled};

/// Keeps a try, and takes the message out of the queue if it was answered.
pub(crate) fn settle(rows: &mut dyn Rows, delivery: &Delivery) -> Result<Settled, StoreError> {
    let Some(row) = rows.outbox(delivery.message_id)? else {
        return Ok(Settled {
            entry_id: None,
            tries: 0,
            events: Vec::new(),
        });
    };
    let id = rows.take_id();
    // An answer is a fact, whatever somebody did to the message while it was on its way. What
    // was accepted once stays accepted.
    let state = match delivery.outcome {
        DeliveryOutcome::Accepted => OutboxState::Sent,
        DeliveryOutcome::Refused if row.state != OutboxState::Sent => OutboxState::Refused,
        DeliveryOutcome::Refused | DeliveryOutcome::Failed => row.state,
    };
    let tries = row.tries.saturating_add(1);
    rows.put_delivery(id, delivery, state, tries)?;
    if let Some(answer) = &delivery.answer
        && delivery.outcome != DeliveryOutcome::Failed
    {
        keep_answer(rows, delivery.message_id, answer)?;
    }
    let kinds = events::of_delivery(delivery.message_id, delivery.outcome, &row.accession_number);
    Ok(Settled {
        entry_id: Some(id),
        tries,
        events: Event::numbered(id, delivery.at, kinds),
    })
}

/// The answer stands beside the message, as the acknowledgement of one that came in does.
fn keep_answer(rows: &mut dyn Rows, message_id: i64, answer: &[u8]) -> Result<(), StoreError> {
    let message = Message::parse(answer).ok();
    let ack = message
        .as_ref()
        .and_then(|message| Ack::parse(message).ok());
    let (code, text) = ack.map_or(("", String::new()), |ack| {
        let text = String::from_utf8_lossy(&ack.text).into_owned();
        (ack.code.as_str(), text)
    });
    rows.put_answer(message_id, code, &text, answer)
}

/// What a person does to a message of the outbox.
pub(crate) fn command(
    rows: &mut dyn Rows,
    message_id: i64,
    command: OutboxCommand,
    entry: Entry,
) -> Result<ActionOutcome, StoreError> {
    use OutboxState::{Cancelled, Held, Queued, Refused, Sent};
    let Some(row) = rows.outbox(message_id)? else {
        return Ok(ActionOutcome::UnknownMessage);
    };
    let (state, at_the_end) = match (command, row.state) {
        // The lane looks at once, which is all that is asked for.
        (OutboxCommand::Retry, Queued) => return Ok(ActionOutcome::Done),
        (OutboxCommand::Retry, Held) => (Queued, false),
        (OutboxCommand::Retry, Refused | Cancelled | Sent) => (Queued, true),
        (OutboxCommand::Hold, Queued) => (Held, false),
        (OutboxCommand::Cancel, Queued | Held) => (Cancelled, false),
        (OutboxCommand::Hold, Held) | (OutboxCommand::Cancel, Cancelled) => {
            return Ok(ActionOutcome::Unchanged);
        }
        (OutboxCommand::Hold | OutboxCommand::Cancel, state) => {
            return Ok(ActionOutcome::NotInState(state));
        }
    };
    let moved = Moved {
        state,
        position: at_the_end.then_some(entry.id),
        settled_at: (state == Cancelled).then_some(entry.at),
    };
    rows.move_outbox(message_id, &moved)?;
    Ok(ActionOutcome::Done)
}
