//! Everything that can be asked of a store, asked of two.

use std::fmt::Debug;
use std::net::IpAddr;
use std::ops::ControlFlow;

use medsynapse::{AccessionNumber, Attribute, OrderState, PatientId};

use super::{Script, dawn};
use crate::{
    Direction, MessageOrder, MessageQuery, MessageSearch, OrderQuery, OrderRecord, OutboxQuery,
    OutboxState, Paging, PatientQuery, Peer, Slice, StepQuery, Store, StoreError,
};

/// Most pages of a list.
const PAGES: usize = 400;

struct Two<'s>(&'s dyn Store, &'s dyn Store);

impl Two<'_> {
    #[track_caller]
    fn ask<T: PartialEq + Debug>(
        &self,
        question: impl Fn(&dyn Store) -> Result<T, StoreError>,
    ) -> T {
        let (one, two) = (question(self.0), question(self.1));
        let (one, two) = (one.expect("an answer"), two.expect("an answer"));
        if one != two {
            differ(&format!("{one:#?}"), &format!("{two:#?}"));
        }
        one
    }
}

/// Ends with the first line that differs, and what stands before it.
#[track_caller]
fn differ(one: &str, two: &str) -> ! {
    let pairs = || one.lines().zip(two.lines());
    let place = pairs().position(|(one, two)| one != two).unwrap_or(0);
    let before: Vec<&str> = one.lines().take(place).collect();
    let before = before.get(before.len().saturating_sub(12)..);
    let pair = pairs().nth(place);
    panic!("they differ after {before:#?}: {pair:#?}")
}

pub(super) fn everything(one: &dyn Store, two: &dyn Store, script: &Script) {
    let two = Two(one, two);
    messages(&two);
    searches(&two);
    orders(&two);
    patients(&two);
    sent(&two, script);
    events(&two);
}

fn messages(two: &Two<'_>) {
    let all = MessageQuery {
        limit: 100_000,
        ..MessageQuery::default()
    };
    let page = two.ask(|store| store.messages(&all));
    for message in &page.items {
        two.ask(|store| store.message(message.id));
    }
    let text = |text: &str| Some(text.to_owned());
    for query in [
        MessageQuery {
            message_code: text("ORM"),
            order: MessageOrder::NewestFirst,
            offset: 3,
            limit: 7,
            ..MessageQuery::default()
        },
        MessageQuery {
            direction: Some(Direction::Out),
            limit: 5,
            ..MessageQuery::default()
        },
        MessageQuery {
            accession_number: text("A1"),
            ack_code: text("AA"),
            limit: 1_000,
            ..MessageQuery::default()
        },
        MessageQuery {
            patient_id: text("P1"),
            after: Some(10),
            before: Some(500),
            limit: 10,
            ..MessageQuery::default()
        },
        MessageQuery {
            control_id: text("REUSED"),
            limit: 100,
            ..MessageQuery::default()
        },
    ] {
        two.ask(|store| store.messages(&query));
    }
    two.ask(|store| store.message(-1));
    two.ask(Store::message_types);
}

fn searches(two: &Two<'_>) {
    let text = |text: &str| Some(text.to_owned());
    let address: IpAddr = [192, 0, 2, 1].into();
    let none = MessageSearch::default();
    for search in [
        none.clone(),
        MessageSearch {
            control_id: text("REUSED"),
            ..none.clone()
        },
        MessageSearch {
            ack_code: text("AR"),
            ..none.clone()
        },
        MessageSearch {
            ack_code: text("AA"),
            direction: Some(Direction::In),
            ..none.clone()
        },
        MessageSearch {
            has_warnings: Some(true),
            ..none.clone()
        },
        MessageSearch {
            has_warnings: Some(false),
            message_code: text("ADT"),
            ..none.clone()
        },
        MessageSearch {
            message_code: text("ORU"),
            ..none.clone()
        },
        MessageSearch {
            text: text("m\u{fc}LLER"),
            ..none.clone()
        },
        MessageSearch {
            text: text("chest 1"),
            rows_max: 64,
            ..none.clone()
        },
        MessageSearch {
            text: text("303"),
            ..none.clone()
        },
        MessageSearch {
            text: text("a\\b%_"),
            ..none.clone()
        },
        MessageSearch {
            peer: Some(Peer::Address(address)),
            trigger_event: text("O01"),
            ..none.clone()
        },
        MessageSearch {
            peer: Some(Peer::Exactly("first".into())),
            ..none.clone()
        },
        MessageSearch {
            patient_id: text("P2"),
            sending_application: text("RIS"),
            ..none.clone()
        },
        MessageSearch {
            accession_number: text("A3"),
            sending_facility: text("NO"),
            ..none.clone()
        },
        MessageSearch {
            received_from: Some(dawn() + chrono::TimeDelta::seconds(3)),
            received_to: Some(dawn() + chrono::TimeDelta::seconds(20)),
            ..none
        },
    ] {
        pages(two, |store, cursor| {
            let paging = Paging { cursor, limit: 9 };
            let search = MessageSearch {
                paging,
                ..search.clone()
            };
            store.search(&search)
        });
    }
}

fn pages<T: PartialEq + Debug, C: PartialEq + Debug + Clone>(
    two: &Two<'_>,
    page: impl Fn(&dyn Store, Option<C>) -> Result<Slice<T, C>, StoreError>,
) {
    let mut cursor = None;
    for _ in 0..PAGES {
        let slice = two.ask(|store| page(store, cursor.clone()));
        match slice.next {
            Some(next) => cursor = Some(next),
            None => return,
        }
    }
    panic!("a list has an end");
}

/// Orders are numbered as they are registered, but which numbers are left out is each store's own.
fn unnumbered(record: OrderRecord) -> OrderRecord {
    OrderRecord { id: 0, ..record }
}

fn orders(two: &Two<'_>) {
    let text = |text: &str| Some(text.to_owned());
    for name in Script::orders() {
        let id = AccessionNumber::try_from(name.as_str()).expect("a name");
        two.ask(|store| Ok(store.order(&id)?.map(unnumbered)));
        let history = |store: &dyn Store| -> Result<_, StoreError> {
            let mut history = store.order_history(&id)?.unwrap_or_default();
            history.order = history.order.map(unnumbered);
            Ok(history)
        };
        two.ask(|store| Ok(history(store)?.order.map(|record| record.order.segments)));
        two.ask(|store| Ok(history(store)?.order));
        two.ask(|store| {
            let changes = history(store)?.changes.into_iter();
            let fields = changes.map(|change| (change.entry_id, change.fields));
            let fields = fields.map(|(id, fields)| {
                let fields = fields.into_iter().map(|field| (field.0, field.1, field.2));
                (id, fields.collect::<Vec<_>>())
            });
            Ok(fields.collect::<Vec<_>>())
        });
        two.ask(|store| Ok(history(store)?.reports));
        two.ask(|store| Ok(store.order_history(&id)?.is_some()));
        two.ask(history);
        two.ask(|store| store.report(&id));
    }
    for uid in Script::procedures() {
        two.ask(|store| store.procedure(&uid));
    }
    two.ask(Store::order_count);
    let none = OrderQuery::default();
    for query in [
        none.clone(),
        OrderQuery {
            state: Some(OrderState::Completed),
            ..none.clone()
        },
        OrderQuery {
            patient_id: text("P1"),
            modality: text("CT"),
            ..none.clone()
        },
        OrderQuery {
            text: text("mULLER"),
            ..none.clone()
        },
        OrderQuery {
            text: text("\u{fc}ller"),
            ..none.clone()
        },
        OrderQuery {
            text: text("chest"),
            station_ae_title: text("STMR"),
            ..none.clone()
        },
        OrderQuery {
            text: text("%"),
            ..none.clone()
        },
        OrderQuery {
            scheduled_from: text("20230605"),
            scheduled_to: text("20230620"),
            ..none
        },
    ] {
        // Page by page, as each of them numbers.
        two.ask(|store| {
            let (mut all, mut cursor) = (Vec::new(), None);
            for _ in 0..PAGES {
                let paging = Paging { cursor, limit: 3 };
                let slice = store.orders(&OrderQuery {
                    paging,
                    ..query.clone()
                })?;
                all.extend(slice.items.into_iter().map(unnumbered));
                cursor = slice.next;
                if cursor.is_none() {
                    return Ok(all);
                }
            }
            panic!("a list has an end");
        });
    }
    steps(two);
}

fn steps(two: &Two<'_>) {
    let text = |text: &str| Some(text.to_owned());
    let none = StepQuery::default();
    for query in [
        none.clone(),
        StepQuery {
            modalities: vec!["CT".into(), "MR".into()],
            ..none.clone()
        },
        StepQuery {
            station_ae_titles: vec!["STUS".into()],
            ..none.clone()
        },
        StepQuery {
            patient_id: text("P1"),
            ..none.clone()
        },
        StepQuery {
            accession_number: text("A2"),
            ..none.clone()
        },
        StepQuery {
            scheduled_from: text("20230610"),
            scheduled_to: text("20230612"),
            ..none
        },
    ] {
        two.ask(|store| {
            let mut steps = Vec::new();
            store.scheduled_steps(&query, &mut |step| {
                let texts = Attribute::ALL.map(|attribute| step.get(attribute).map(str::to_owned));
                steps.push((texts, step.state(), step.updated_by()));
                if steps.len() < 5 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            Ok(steps)
        });
    }
}

fn patients(two: &Two<'_>) {
    for name in Script::patients() {
        let id = PatientId::try_from(name.as_str()).expect("a name");
        two.ask(|store| store.patient(&id));
        two.ask(|store| {
            Ok(store
                .orders_of(&id)?
                .into_iter()
                .map(unnumbered)
                .collect::<Vec<_>>())
        });
    }
    for (text, with_merged) in [
        (None, false),
        (None, true),
        (Some("name"), true),
        (Some("p1"), true),
    ] {
        pages(two, |store, cursor| {
            store.patients(&PatientQuery {
                text: text.map(str::to_owned),
                with_merged,
                cursor,
                limit: 2,
            })
        });
    }
}

fn sent(two: &Two<'_>, script: &Script) {
    for destination in script.destinations() {
        two.ask(|store| store.next_outgoing(&destination));
    }
    two.ask(Store::queue_depths);
    let none = OutboxQuery::default();
    let states = OutboxState::ALL.map(|state| OutboxQuery {
        state: Some(state),
        destination: Some("first".into()),
        ..none.clone()
    });
    for query in states.into_iter().chain([none]) {
        pages(two, |store, cursor| {
            let paging = Paging { cursor, limit: 20 };
            let slice = store.outbox(&OutboxQuery {
                paging,
                ..query.clone()
            })?;
            for item in &slice.items {
                assert!(store.outbox_entry(item.message_id)?.is_some());
            }
            Ok(slice)
        });
    }
    let all = OutboxQuery {
        paging: Paging {
            cursor: None,
            limit: 100,
        },
        ..OutboxQuery::default()
    };
    for item in two.ask(|store| store.outbox(&all)).items {
        two.ask(|store| store.outbox_entry(item.message_id));
    }
}

fn events(two: &Two<'_>) {
    let all = two.ask(|store| store.events_after(0, 1_000_000));
    two.ask(Store::last_event);
    for event in all.iter().step_by(17) {
        two.ask(|store| store.events_after(event.id.unwrap_or_default(), 5));
    }
}
