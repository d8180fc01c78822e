//! What every [`Store`] does alike: [`keep`] checks the promises of one, [`alike`] that two of them
//! answer the same to whatever is asked.

mod access;
mod asked;
mod script;

pub use access::access;
pub use script::Script;

use chrono::{DateTime, TimeDelta, Utc};
use hl7_message::AckCode;

use crate::{
    DeliveryOutcome, Done, MessageQuery, Next, OrderStep, OutboxCommand, OutboxQuery, OutboxState,
    Store, StoreError, Work,
};

/// When the scripts begin.
fn dawn() -> DateTime<Utc> {
    DateTime::from_timestamp(1_686_748_456, 0).unwrap_or_default()
}

fn one(store: &dyn Store, work: impl Into<Work>) -> Done {
    let mut done = store.apply(&[work.into()]);
    match done.pop() {
        Some(Ok(done)) => done,
        other => panic!("one piece of work was applied: {other:?}"),
    }
}

/// The answer to a message: MSA-1 and MSA-3.
fn answer(done: Done) -> String {
    match done.message() {
        Some(applied) => format!("{} {}", applied.code, applied.text),
        None => panic!("a message has the answer of a message"),
    }
}

/// Checks what a new store promises to whoever writes into it.
///
/// # Panics
///
/// It does not.
pub fn keep(store: &dyn Store) {
    messages_are_numbered_and_answered(store);
    a_resent_message_is_answered_as_the_first(store);
    a_control_id_may_come_again(store);
    a_batch_sees_itself(store);
    what_an_action_sends_waits_in_order(store);
    events_are_read_from_any_place(store);
}

fn messages_are_numbered_and_answered(store: &dyn Store) {
    let script = &mut Script::new(1, dawn());
    assert_eq!(store.last_event().expect("a last event"), 0);
    let done = one(store, script.order("NW", "KEEP1", "KEEPER"));
    assert_eq!(answer(done), "AA Order registered.");
    let done = one(store, script.order("NW", "KEEP1", "KEEPER"));
    assert_eq!(answer(done), "AA Order updated.");
    let done = one(store, script.order("XO", "KEEP404", "KEEPER"));
    assert_eq!(answer(done), "AR No order has accession number KEEP404.");
    let query = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    let page = store.messages(&query).expect("messages");
    let ids: Vec<i64> = page.items.iter().map(|message| message.id).collect();
    assert_eq!((ids.as_slice(), page.total), ([1, 2, 3].as_slice(), 3));
    let message = store.message(1).expect("a message").expect("the first");
    assert!(message.raw.starts_with(b"MSH|") && message.ack.starts_with(b"MSH|"));
}

fn a_resent_message_is_answered_as_the_first(store: &dyn Store) {
    let script = &mut Script::new(2, dawn());
    let order = script.order("NW", "TWICE", "KEEPER");
    let first = one(store, order.clone()).message().expect("an answer");
    assert!(!first.duplicate);
    // Again, and twice in one batch.
    let again = store.apply(&[order.clone(), order.clone(), order]);
    for done in again {
        let done = done.expect("done").message().expect("an answer");
        assert!(done.duplicate);
        assert_eq!(done.message_id, first.message_id);
        assert_eq!(done.text, first.text);
    }
    let kept = store.message(first.message_id).expect("a message");
    assert_eq!(kept.expect("the first").summary.retransmissions, 3);
}

fn a_control_id_may_come_again(store: &dyn Store) {
    let script = &mut Script::new(3, dawn());
    let first = script.under(
        "SAME",
        "ORM^O01",
        &script.order_text("NW", "OTHER1", "KEEPER"),
    );
    let second = script.under(
        "SAME",
        "ORM^O01",
        &script.order_text("NW", "OTHER2", "KEEPER"),
    );
    let mut done = store.apply(&[first, second]).into_iter();
    let mut next = || done.next().expect("two").expect("done").message();
    assert_eq!(
        next().map(|done| done.code),
        Some(AckCode::ApplicationAccept)
    );
    // Accepted by default, with a warning.
    let second = next().expect("an answer");
    assert_eq!(second.code, AckCode::ApplicationAccept);
    let kept = store.message(second.message_id).expect("a message");
    let warnings = kept.expect("the second").warnings;
    assert!(warnings.iter().any(|note| note.code == "control-id-reused"));
}

fn a_batch_sees_itself(store: &dyn Store) {
    let script = &mut Script::new(4, dawn());
    let batch = [
        script.order("NW", "IN1", "BATCH1"),
        script.order("NW", "IN2", "BATCH1"),
        script.merge("BATCH1", "BATCH2"),
        script.cancel("IN2"),
        script.order("NW", "IN2", "BATCH3"),
        script.report("IN1"),
        script.step("IN1", OrderStep::Completed),
    ];
    let done = store.apply(&batch);
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let said: Vec<String> = done
        .into_iter()
        .filter_map(|done| done.ok()?.message())
        .map(|applied| applied.text)
        .collect();
    assert_eq!(
        said,
        [
            "Order registered.",
            "Order registered.",
            "Patient merged, 2 orders moved.",
            "Order cancelled.",
            "Order registered.",
            "Report registered.",
        ]
    );
    let id = |text: &str| medsynapse::PatientId::try_from(text).expect("an id");
    let names = |patient: &str| -> Vec<String> {
        let orders = store.orders_of(&id(patient)).expect("orders");
        let names = orders.iter().map(|record| &record.order.accession_number);
        names.map(|name| name.as_str().into()).collect()
    };
    assert_eq!(names("BATCH1"), [""; 0]);
    assert_eq!(names("BATCH2"), ["IN1"]);
    assert_eq!(names("BATCH3"), ["IN2"]);
}

fn what_an_action_sends_waits_in_order(store: &dyn Store) {
    let script = &mut Script::new(5, dawn());
    one(store, script.order("NW", "SEND", "KEEPER"));
    let mut queued = Vec::new();
    for step in [OrderStep::Completed, OrderStep::Read, OrderStep::Printed] {
        let acted = one(store, script.step("SEND", step)).action();
        queued.extend(acted.expect("an action").queued);
    }
    let next = |store: &dyn Store| -> Option<Next> {
        let destination = script.destinations().first().cloned();
        store
            .next_outgoing(&destination.unwrap_or_default())
            .expect("the outbox")
    };
    let to_first = |id: i64| {
        let entry = store
            .outbox_entry(id)
            .expect("the outbox")
            .expect("it is there");
        Some(&entry.item.destination) == script.destinations().first()
    };
    let mut waiting: Vec<i64> = queued.into_iter().filter(|id| to_first(*id)).collect();
    // From earlier promises, perhaps.
    while let Some(next) = next(store).filter(|next| !waiting.contains(&next.message_id)) {
        one(
            store,
            Script::delivery(next.message_id, DeliveryOutcome::Accepted, dawn()),
        );
    }
    assert_eq!(waiting.len(), 3);
    let first = waiting.remove(0);
    assert_eq!(next(store).map(|next| next.message_id), Some(first));
    // A failure keeps its place, a refusal leaves the queue, a hold is passed over.
    one(
        store,
        Script::delivery(first, DeliveryOutcome::Failed, dawn()),
    );
    assert_eq!(next(store).map(|next| next.tries), Some(1));
    one(
        store,
        Script::delivery(first, DeliveryOutcome::Refused, dawn()),
    );
    let second = waiting.remove(0);
    assert_eq!(next(store).map(|next| next.message_id), Some(second));
    let mut script = script.clone();
    one(store, script.command(second, OutboxCommand::Hold));
    let third = waiting.remove(0);
    assert_eq!(next(store).map(|next| next.message_id), Some(third));
    one(
        store,
        Script::delivery(third, DeliveryOutcome::Accepted, dawn()),
    );
    assert_eq!(next(store), None);
    // Released at its place; sent again at the end.
    one(store, script.command(first, OutboxCommand::Retry));
    one(store, script.command(second, OutboxCommand::Retry));
    assert_eq!(next(store).map(|next| next.message_id), Some(second));
    let refused = OutboxQuery {
        state: Some(OutboxState::Sent),
        ..OutboxQuery::default()
    };
    let sent = store.outbox(&refused).expect("the outbox").items;
    assert!(sent.iter().any(|item| item.message_id == third));
}

fn events_are_read_from_any_place(store: &dyn Store) {
    let all = store.events_after(0, 10_000).expect("events");
    let ids: Vec<i64> = all.iter().filter_map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(ids.last() <= Some(&store.last_event().expect("the last")));
    for place in 0..all.len() {
        let after = ids.get(place).copied().unwrap_or_default();
        let next = store.events_after(after, 2).expect("events");
        let expected = all.get(place + 1..).unwrap_or_default();
        let expected = expected.get(..2).unwrap_or(expected);
        assert_eq!(next, expected);
    }
}

/// Has two new stores do the same script and asks both everything there is to ask.
///
/// # Panics
///
/// They differ.
pub fn alike(one: &dyn Store, two: &dyn Store, seed: u64, batches: usize) {
    alike_from(one, two, Script::new(seed, dawn()), batches);
}

/// What came of a batch. A database that could not be reached for a moment, as on a machine that
/// stood still, is asked again: the batch has left no trace.
fn applied(store: &dyn Store, batch: &[Work]) -> Vec<Result<Done, StoreError>> {
    let mut done = store.apply(batch);
    for _ in 0..3 {
        let away =
            |done: &Result<Done, StoreError>| matches!(done, Err(StoreError::Unreachable(_)));
        if !done.iter().all(away) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
        done = store.apply(batch);
    }
    done
}

/// As [`alike`], with two stores that are the same and a script that goes on.
///
/// # Panics
///
/// They differ.
pub fn alike_from(one: &dyn Store, two: &dyn Store, mut script: Script, batches: usize) {
    for number in 0..batches {
        let batch = script.batch();
        let (first, second) = (applied(one, &batch), applied(two, &batch));
        for ((work, first), second) in batch.iter().zip(&first).zip(&second) {
            assert_eq!(
                plain(first),
                plain(second),
                "{first:?} and {second:?} to {work:?}"
            );
        }
        script.learn(&first);
        if number % 16 == 15 || number + 1 == batches {
            asked::everything(one, two, &script);
        }
        script.advance(TimeDelta::milliseconds(700));
    }
}

/// A failure is one, whatever the words.
fn plain(done: &Result<Done, StoreError>) -> Option<&Done> {
    done.as_ref().ok()
}
