//! Bytes of a closed database, changed at random: whatever a read gives is what was kept.

use std::ops::ControlFlow;
use std::path::Path;

use medsynapse::{AccessionNumber, Attribute, PatientId};
use medsynapse_store::{
    ActionRecord, CancelledOrder, ChangeRecord, Event, MessageQuery, MessageSearch, MessageSummary,
    Next, OrderHistory, OrderQuery, OrderRecord, OutboxEntry, OutboxItem, OutboxQuery, OutboxState,
    Paging, PatientHistory, PatientQuery, PatientRecord, ProcedureRecord, QueueDepth, ReportRecord,
    StepQuery, Store, StoreError, StoredMessage,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::replay::Department;

/// What a read gave: a list as its items, anything else as a list of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Summary(MessageSummary),
    Message(Box<StoredMessage>),
    Type(String, u64),
    Order(Box<OrderRecord>),
    Cancelled(CancelledOrder),
    Action(ActionRecord),
    Change(ChangeRecord),
    Step(Vec<Option<String>>, i64),
    Report(Box<ReportRecord>),
    Count(u64),
    Patient(PatientRecord),
    Merged(PatientId),
    Procedure(ProcedureRecord),
    Next(Next),
    Outbox(OutboxItem),
    Entry(Box<OutboxEntry>),
    Depth(QueueDepth),
    Event(Event),
    Last(i64),
}

pub(crate) type Answer = Result<Vec<Item>, StoreError>;

fn all<T>(items: Vec<T>, wrap: impl Fn(T) -> Item) -> Vec<Item> {
    items.into_iter().map(wrap).collect()
}

fn history_items(history: Option<OrderHistory>) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(history) = history {
        items.extend(history.order.map(|order| Item::Order(Box::new(order))));
        items.extend(history.cancelled.map(Item::Cancelled));
        items.extend(all(history.messages, Item::Summary));
        items.extend(all(history.actions, Item::Action));
        items.extend(all(history.changes, Item::Change));
        items.extend(all(history.outbox, Item::Outbox));
        items.extend(all(history.reports, |r| Item::Report(Box::new(r))));
    }
    items
}

fn patient_items(history: Option<PatientHistory>) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(history) = history {
        items.push(Item::Patient(history.patient));
        items.extend(all(history.changes, Item::Change));
        items.extend(all(history.merged, Item::Merged));
    }
    items
}

/// Every read of the trait, by name.
#[expect(clippy::too_many_lines, reason = "one paragraph a method")]
pub(crate) fn reads(store: &dyn Store) -> Vec<(String, Answer)> {
    let mut given: Vec<(String, Answer)> = Vec::new();
    let mut add = |name: &str, answer: Answer| given.push((name.into(), answer));
    let paging = Paging {
        cursor: None,
        limit: 1_000,
    };
    let every = MessageQuery {
        limit: 1_000,
        ..MessageQuery::default()
    };
    let page = |query: &MessageQuery| {
        let page = store.messages(query)?;
        let mut items = all(page.items, Item::Summary);
        items.push(Item::Count(page.total));
        Ok(items)
    };
    add("messages", page(&every));
    let search = MessageSearch {
        paging,
        ..MessageSearch::default()
    };
    let find = |search: &MessageSearch| Ok(all(store.search(search)?.items, Item::Summary));
    add("search", find(&search));
    for id in 0..300 {
        let message = store.message(id);
        let boxed = |message| Item::Message(Box::new(message));
        add(
            &format!("message {id}"),
            message.map(|m| all(m.into_iter().collect(), boxed)),
        );
        let entry = store.outbox_entry(id);
        let boxed = |entry| Item::Entry(Box::new(entry));
        add(
            &format!("outbox_entry {id}"),
            entry.map(|e| all(e.into_iter().collect(), boxed)),
        );
    }
    let types = store.message_types();
    add(
        "message_types",
        types.map(|t| all(t, |(code, n)| Item::Type(code, n))),
    );
    for n in 0..8 {
        let text = format!("A{n}");
        let number = AccessionNumber::try_from(text.as_str()).unwrap();
        let order = store.order(&number);
        let boxed = |order| Item::Order(Box::new(order));
        add(
            &format!("order {n}"),
            order.map(|o| all(o.into_iter().collect(), boxed)),
        );
        let history = store.order_history(&number);
        add(&format!("history {n}"), history.map(history_items));
        let report = store.report(&number);
        let boxed = |report| Item::Report(Box::new(report));
        add(
            &format!("report {n}"),
            report.map(|r| all(r.into_iter().collect(), boxed)),
        );
        let by_order = MessageSearch {
            accession_number: Some(text.clone()),
            ..search.clone()
        };
        add(&format!("search of {n}"), find(&by_order));
        let by_order = MessageQuery {
            accession_number: Some(text),
            ..every.clone()
        };
        add(&format!("messages of {n}"), page(&by_order));
    }
    let orders = store.orders(&OrderQuery {
        paging,
        ..OrderQuery::default()
    });
    add(
        "orders",
        orders.map(|o| all(o.items, |o| Item::Order(Box::new(o)))),
    );
    add(
        "order_count",
        store.order_count().map(|n| vec![Item::Count(n)]),
    );
    let mut steps = Vec::new();
    let read = store.scheduled_steps(&StepQuery::default(), &mut |step| {
        let values = Attribute::ALL.map(|attribute| step.get(attribute).map(str::to_owned));
        steps.push(Item::Step(values.to_vec(), step.updated_by()));
        ControlFlow::Continue(())
    });
    // What was given before an error counts too.
    add("steps until the error", Ok(steps.clone()));
    add("steps", read.map(|()| steps));
    for n in 0..4 {
        let id = PatientId::try_from(format!("P{n}").as_str()).unwrap();
        let patient = store.patient(&id);
        add(&format!("patient {n}"), patient.map(patient_items));
        let orders = store.orders_of(&id);
        add(
            &format!("orders of {n}"),
            orders.map(|o| all(o, |o| Item::Order(Box::new(o)))),
        );
    }
    let patients = store.patients(&PatientQuery {
        with_merged: true,
        limit: 1_000,
        ..PatientQuery::default()
    });
    add("patients", patients.map(|p| all(p.items, Item::Patient)));
    for n in 0..20 {
        let procedure = store.procedure(&format!("1.2.{n}"));
        add(
            &format!("procedure {n}"),
            procedure.map(|p| all(p.into_iter().collect(), Item::Procedure)),
        );
    }
    for destination in ["RIS", "archive"] {
        let next = store.next_outgoing(destination);
        add(
            &format!("next {destination}"),
            next.map(|n| all(n.into_iter().collect(), Item::Next)),
        );
    }
    for state in std::iter::once(None).chain(OutboxState::ALL.map(Some)) {
        let query = OutboxQuery {
            state,
            paging,
            ..OutboxQuery::default()
        };
        let items = store.outbox(&query).map(|o| all(o.items, Item::Outbox));
        add(&format!("outbox {state:?}"), items);
    }
    add("depths", store.queue_depths().map(|d| all(d, Item::Depth)));
    add(
        "events",
        store.events_after(0, 10_000).map(|e| all(e, Item::Event)),
    );
    add(
        "last event",
        store.last_event().map(|id| vec![Item::Last(id)]),
    );
    given
}

#[derive(Debug, Default)]
struct Tally {
    unopened: u32,
    right: u32,
    refused: u32,
    /// Lists that lack something, and names that were not found.
    lacking: u32,
}

pub(crate) fn open_and_read(directory: &Path) -> Result<Vec<(String, Answer)>, StoreError> {
    let store = crate::bed::open(directory)?;
    Ok(reads(&store))
}

fn trial(template: &[u8], right: &[(String, Answer)], seed: u64, tally: &mut Tally) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = template.to_vec();
    let mut places = Vec::new();
    for _ in 0..=(seed % 3) {
        let mut place = usize::try_from(dice.next_u64() % bytes.len() as u64).unwrap();
        if !seed.is_multiple_of(4) {
            // Rather where something is written.
            let written = (0..bytes.len()).map(|n| (place + n) % bytes.len());
            place = written.into_iter().find(|&n| bytes[n] != 0).unwrap();
        }
        // Never the same byte.
        let by = u8::try_from(1 + dice.next_u32() % 255).unwrap();
        places.push((place, bytes[place], bytes[place] ^ by));
        bytes[place] ^= by;
    }
    let directory = TempDir::new_in(crate::model::fast()).unwrap();
    std::fs::write(directory.path().join("medsynapse.db"), &bytes).unwrap();
    let Ok(given) = open_and_read(directory.path()) else {
        tally.unopened += 1;
        return;
    };
    for ((name, given), (_, right)) in given.iter().zip(right) {
        let right = right.as_ref().unwrap();
        let at = || format!("seed {seed}, {places:?}, {name}");
        match given {
            Err(_) => tally.refused += 1,
            Ok(given) if given == right => tally.right += 1,
            Ok(given) => {
                // A row that an index or a page has lost is not found; `backup` sees that. What
                // is found is as it was kept, and where it was.
                let mut kept = right.iter();
                for item in given {
                    let found = kept.any(|kept| kept == item || same_but_for_counts(kept, item));
                    assert!(found, "{}: {item:?} among {given:?}, of {right:?}", at());
                }
                tally.lacking += 1;
            }
        }
    }
}

/// How many there are is counted in indexes.
fn same_but_for_counts(kept: &Item, given: &Item) -> bool {
    match (kept, given) {
        (Item::Count(kept), Item::Count(given)) => given < kept,
        (Item::Depth(kept), Item::Depth(given)) => {
            given.destination == kept.destination
                && given.queued <= kept.queued
                && given.held <= kept.held
                && given.refused <= kept.refused
        }
        (Item::Patient(kept), Item::Patient(given)) => {
            let mut given = given.clone();
            given.orders = kept.orders;
            *kept == given
        }
        _ => false,
    }
}

#[tokio::test]
async fn what_is_read_from_a_damaged_database_is_right_or_an_error() {
    damaged(0..250).await;
}

#[tokio::test]
async fn so_is_what_is_read_from_an_encrypted_one() {
    crate::bed::encrypted();
    damaged(0..250).await;
}

#[tokio::test]
#[ignore = "takes a minute"]
async fn the_same_three_thousand_times() {
    damaged(1_000..4_000).await;
}

async fn damaged(seeds: std::ops::Range<u64>) {
    let directory = TempDir::new().unwrap();
    let mut department = Department::over(&directory, 7);
    for _ in 0..150 {
        department.step().await;
    }
    let broker = department.broker.clone();
    drop(department);
    tokio::task::spawn_blocking(move || {
        broker.close();
        drop(broker);
    })
    .await
    .unwrap();
    let right = open_and_read(directory.path()).unwrap();
    assert!(right.iter().all(|(_, answer)| answer.is_ok()));
    let template = std::fs::read(directory.path().join("medsynapse.db")).unwrap();
    let mut tally = Tally::default();
    for seed in seeds {
        trial(&template, &right, seed, &mut tally);
    }
    println!("{} bytes, {tally:?}", template.len());
    // The damage was where it matters, and most of what is kept could still be read.
    assert!(
        tally.refused > 0 && tally.right > 20 * tally.refused,
        "{tally:?}"
    );
    assert!(tally.lacking < tally.refused, "{tally:?}");
}
