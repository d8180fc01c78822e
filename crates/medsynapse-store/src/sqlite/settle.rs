//! What became of messages that were sent, and what persons do to those that wait.

use std::sync::LazyLock;

use hl7_message::{Ack, Message};
use rusqlite::{OptionalExtension, Transaction, params};

use super::apply::{Entry, Ids};
use super::events;
use super::rows::{micros, odd};
use super::seal::{DELIVERIES, MESSAGES, OUTBOX};
use crate::action::{ActionOutcome, OutboxCommand};
use crate::error::StoreError;
use crate::event::Event;
use crate::outbox::OutboxState;
use crate::work::{Delivery, DeliveryOutcome, Settled};

static FIND: LazyLock<String> = LazyLock::new(|| {
    let columns = OUTBOX.select("");
    format!("SELECT {columns} FROM outbox WHERE message_id = ?1")
});

static INSERT: LazyLock<String> = LazyLock::new(|| DELIVERIES.insert(&[]));

static SETTLE: LazyLock<String> = LazyLock::new(|| {
    let sets = [
        ("state", "?2"),
        ("tries", "?3"),
        ("last_try_at", "?4"),
        ("last_reason", "?5"),
        ("settled_at", "iif(?6, ?4, settled_at)"),
    ];
    OUTBOX.update(&sets, "message_id = ?1")
});

static ANSWER: LazyLock<String> = LazyLock::new(|| {
    let sets = [("ack_code", "?2"), ("ack_text", "?3"), ("ack", "?4")];
    MESSAGES.update(&sets, "id = ?1")
});

struct Row {
    state: OutboxState,
    tries: u32,
    accession_number: String,
}

fn find(transaction: &Transaction<'_>, message_id: i64) -> Result<Option<Row>, StoreError> {
    Ok(transaction
        .prepare_cached(&FIND)?
        .query_row([message_id], |row| {
            OUTBOX.check(row, 0)?;
            Ok(Row {
                state: OutboxState::from_name(row.get_ref(2)?.as_str()?)
                    .ok_or_else(|| odd(2, "outbox state"))?,
                tries: row.get(9)?,
                accession_number: row.get(3)?,
            })
        })
        .optional()?)
}

/// Keeps a try, and takes the message out of the queue if it was answered.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    delivery: &Delivery,
    ids: &mut Ids<'_>,
) -> Result<Settled, StoreError> {
    let Some(row) = find(transaction, delivery.message_id)? else {
        return Ok(Settled {
            entry_id: None,
            tries: 0,
            events: Vec::new(),
        });
    };
    let id = ids.take();
    let values = params![
        id,
        delivery.message_id,
        micros(delivery.at),
        i64::try_from(delivery.took_micros).unwrap_or(i64::MAX),
        delivery.outcome.as_str(),
        delivery.reason,
        delivery.answer,
    ];
    DELIVERIES.put(transaction, &INSERT, values, &[])?;
    // An answer is a fact, whatever somebody did to the message while it was on its way. What
    // was accepted once stays accepted.
    let state = match delivery.outcome {
        DeliveryOutcome::Accepted => OutboxState::Sent,
        DeliveryOutcome::Refused if row.state != OutboxState::Sent => OutboxState::Refused,
        DeliveryOutcome::Refused | DeliveryOutcome::Failed => row.state,
    };
    let settled = delivery.outcome != DeliveryOutcome::Failed;
    let tries = row.tries.saturating_add(1);
    transaction.prepare_cached(&SETTLE)?.execute(params![
        delivery.message_id,
        state.as_str(),
        tries,
        micros(delivery.at),
        delivery.reason,
        settled,
    ])?;
    if let Some(answer) = &delivery.answer
        && settled
    {
        keep_answer(transaction, delivery.message_id, answer)?;
    }
    let kinds = events::of_delivery(delivery.message_id, delivery.outcome, &row.accession_number);
    Ok(Settled {
        entry_id: Some(id),
        tries,
        events: Event::numbered(id, delivery.at, kinds),
    })
}

/// The answer stands beside the message, as the acknowledgement of one that came in does.
fn keep_answer(
    transaction: &Transaction<'_>,
    message_id: i64,
    answer: &[u8],
) -> Result<(), StoreError> {
    let message = Message::parse(answer).ok();
    let ack = message
        .as_ref()
        .and_then(|message| Ack::parse(message).ok());
    let (code, text) = ack.map_or(("", String::new()), |ack| {
        let text = String::from_utf8_lossy(&ack.text).into_owned();
        (ack.code.as_str(), text)
    });
    // That it was answered is a fact also where its row is damaged, which stays as it is.
    transaction
        .prepare_cached(&ANSWER)?
        .execute(params![message_id, code, text, answer])?;
    Ok(())
}

/// What a person does to a message of the outbox.
pub(super) fn command(
    transaction: &Transaction<'_>,
    message_id: i64,
    command: OutboxCommand,
    entry: Entry,
) -> Result<ActionOutcome, StoreError> {
    use OutboxState::{Cancelled, Held, Queued, Refused, Sent};
    let Some(row) = find(transaction, message_id)? else {
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
    let sets = [
        ("state", "?2"),
        ("position", "iif(?3, ?4, position)"),
        ("settled_at", "iif(?2 = 'cancelled', ?5, NULL)"),
    ];
    transaction
        .prepare_cached(&OUTBOX.update(&sets, "message_id = ?1"))?
        .execute(params![
            message_id,
            state.as_str(),
            at_the_end,
            entry.id,
            micros(entry.at)
        ])?;
    Ok(ActionOutcome::Done)
}
