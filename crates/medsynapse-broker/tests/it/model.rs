//! Any sequence of messages, actions and answers, against a model that a person can read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use medsynapse::{AccessionNumber, Attribute, OrderState, PatientId, ReportStatus};
use medsynapse_broker::{Broker, BrokerConfig, ManualClock};
use medsynapse_store::{
    ActionKind, Delivery, DeliveryOutcome, Destination, FinalReport, OrderQuery, OrderStep,
    OutboxCommand, OutboxQuery, OutboxState, Paging,
};
use proptest::prelude::*;

use crate::bed::{Over, Place, a08, a40, message, order, origin, report, start_of_time};

#[derive(Debug, Clone)]
enum Input {
    New(u8, u8),
    Change(u8, u8),
    Cancel(u8),
    Complete(u8),
    Report(u8),
    Rename(u8, u8),
    Merge(u8, u8),
    /// The message before, again.
    Again,
    Step(u8, u8),
    Final(u8, bool),
    /// The next message of the queue is answered so.
    Deliver(u8),
    Command(u8, u8),
    Restart,
}

fn input() -> impl Strategy<Value = Input> {
    let id = 0..4_u8;
    prop_oneof![
        4 => (id.clone(), 0..3_u8).prop_map(|(a, p)| Input::New(a, p)),
        1 => (id.clone(), 0..3_u8).prop_map(|(a, p)| Input::Change(a, p)),
        1 => id.clone().prop_map(Input::Cancel),
        1 => id.clone().prop_map(Input::Complete),
        1 => id.clone().prop_map(Input::Report),
        1 => (0..3_u8, 0..5_u8).prop_map(|(p, n)| Input::Rename(p, n)),
        1 => (0..3_u8, 0..3_u8).prop_map(|(a, b)| Input::Merge(a, b)),
        2 => Just(Input::Again),
        4 => (id.clone(), 0..8_u8).prop_map(|(a, s)| Input::Step(a, s)),
        2 => (id, any::<bool>()).prop_map(|(a, text)| Input::Final(a, text)),
        4 => (0..3_u8).prop_map(Input::Deliver),
        2 => (0..12_u8, 0..3_u8).prop_map(|(n, c)| Input::Command(n, c)),
        1 => Just(Input::Restart),
    ]
}

const STEPS: [OrderStep; 8] = [
    OrderStep::Arrived,
    OrderStep::Ready,
    OrderStep::Started,
    OrderStep::Completed,
    OrderStep::Discontinued,
    OrderStep::Rescheduled,
    OrderStep::Read,
    OrderStep::Printed,
];

#[derive(Debug, Clone, PartialEq)]
struct ModelOrder {
    state: OrderState,
    report: Option<ReportStatus>,
    patient: String,
    name: String,
    told: bool,
}

/// What should be, in a few maps.
#[derive(Debug, Default)]
struct Model {
    orders: BTreeMap<String, ModelOrder>,
    /// How many versions each report has.
    reports: BTreeMap<String, u32>,
    /// What was ever queued, by message, with where it is.
    states: BTreeMap<i64, OutboxState>,
    /// OBX-11 of everything queued.
    told: Vec<(i64, &'static str)>,
    /// Where a held one stood.
    places: BTreeMap<i64, i64>,
}

impl Model {
    fn tell(&mut self, ids: &[i64], codes: &[&'static str]) {
        assert_eq!(ids.len(), codes.len());
        for (&id, &code) in ids.iter().zip(codes) {
            self.states.insert(id, OutboxState::Queued);
            self.places.insert(id, id);
            self.told.push((id, code));
        }
    }

    /// The waiting ones by their place.
    fn next(&self) -> Option<i64> {
        self.states
            .iter()
            .filter(|(_, state)| **state == OutboxState::Queued)
            .min_by_key(|(id, _)| self.places[id])
            .map(|(id, _)| *id)
    }

    fn step(&mut self, accession_number: &str, step: &OrderStep) -> Option<Vec<&'static str>> {
        use OrderState::{Arrived, Completed, Discontinued, Ready, Scheduled, Started};

        let order = self.orders.get_mut(accession_number)?;
        let goes = |order: &mut ModelOrder, from: &[OrderState], to| {
            if from.contains(&order.state) {
                order.state = to;
            }
        };
        match step {
            OrderStep::Arrived => goes(order, &[Scheduled, Ready], Arrived),
            OrderStep::Ready => goes(order, &[Scheduled, Arrived], Ready),
            OrderStep::Started => goes(order, &[Scheduled, Arrived, Ready, Discontinued], Started),
            OrderStep::Discontinued => {
                goes(order, &[Scheduled, Arrived, Ready, Started], Discontinued);
            }
            OrderStep::Rescheduled => {
                goes(order, &[Arrived, Ready, Started, Discontinued], Scheduled);
            }
            OrderStep::Completed => {
                order.state = Completed;
                if !order.told {
                    order.told = true;
                    return Some(vec!["I"]);
                }
            }
            OrderStep::Read => {
                order.report = order.report.max(Some(ReportStatus::Read));
                return Some(vec!["R"]);
            }
            OrderStep::Printed => {
                order.report = order.report.max(Some(ReportStatus::Printed));
                return Some(vec!["P"]);
            }
            _ => unreachable!(),
        }
        Some(Vec::new())
    }
}

struct Bench {
    place: Place,
    broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    number: u32,
    last: Option<Vec<u8>>,
    model: Model,
}

fn broker(place: &Place, clock: &Arc<ManualClock>) -> Arc<Broker> {
    clock.advance(TimeDelta::seconds(1));
    let config = BrokerConfig {
        destinations: vec![Destination::new("ris")],
        ..BrokerConfig::default()
    };
    Broker::start(place.open(), config, clock.clone()).unwrap()
}

impl Bench {
    fn new(over: &Over) -> Self {
        let place = over.place_in(&fast());
        let clock = Arc::new(ManualClock::at(start_of_time()));
        Self {
            broker: broker(&place, &clock),
            place,
            clock,
            number: 0,
            last: None,
            model: Model::default(),
        }
    }

    async fn send(&mut self, kind: &str, rest: &str) -> String {
        self.number += 1;
        let bytes = message(kind, &format!("C{}", self.number), rest).into_bytes();
        self.last = Some(bytes.clone());
        let answer = self.broker.receive(bytes.into(), origin()).await.unwrap();
        format!("{} {}", answer.code, answer.text)
    }

    #[expect(clippy::too_many_lines, reason = "one arm an input")]
    async fn run(&mut self, input: Input) {
        let accession = |n: u8| format!("A{n}");
        let patient = |n: u8| format!("P{n}");
        match input {
            Input::New(a, p) | Input::Change(a, p) => {
                let (a, p) = (accession(a), patient(p));
                let control = if matches!(input, Input::New(..)) {
                    "NW"
                } else {
                    "XO"
                };
                let said = self.send("ORM^O01", &order(control, &a, &p)).await;
                let known = self.model.orders.get_mut(&a);
                let expected = match (known, control) {
                    (None, "XO") => format!("AR No order has accession number {a}."),
                    (None, _) => {
                        let new = ModelOrder {
                            state: OrderState::Scheduled,
                            report: None,
                            patient: p,
                            name: "SMITH^JOHN".into(),
                            told: false,
                        };
                        self.model.orders.insert(a, new);
                        "AA Order registered.".into()
                    }
                    (Some(order), _) => {
                        order.patient = p;
                        order.name = "SMITH^JOHN".into();
                        "AA Order updated.".into()
                    }
                };
                assert_eq!(said, expected);
            }
            Input::Cancel(a) | Input::Complete(a) => {
                let a = accession(a);
                let cancels = matches!(input, Input::Cancel(_));
                let control = if cancels { "CA" } else { "CM" };
                let rest = format!("ORC|{control}\rOBR|1|{a}\r");
                let said = self.send("ORM^O01", &rest).await;
                let expected = match self.model.orders.get_mut(&a) {
                    None => format!("AR No order has accession number {a}."),
                    Some(_) if cancels => {
                        self.model.orders.remove(&a);
                        "AA Order cancelled.".into()
                    }
                    Some(order) => {
                        order.state = OrderState::Completed;
                        "AA Order completed.".into()
                    }
                };
                assert_eq!(said, expected);
            }
            Input::Report(a) => {
                let a = accession(a);
                let said = self.send("ORU^R01", &report(&a, "text")).await;
                let versions = self.model.reports.entry(a.clone()).or_default();
                *versions += 1;
                let word = if *versions == 1 {
                    "registered"
                } else {
                    "updated"
                };
                assert_eq!(said, format!("AA Report {word}."));
                if let Some(order) = self.model.orders.get_mut(&a) {
                    order.report = Some(ReportStatus::Final);
                }
            }
            Input::Rename(p, n) => {
                let (p, name) = (patient(p), format!("NAME{n}^X"));
                let said = self
                    .send("ADT^A08", &a08(&format!("PID|1||{p}||{name}")))
                    .await;
                let mut count = 0;
                for order in self.model.orders.values_mut().filter(|o| o.patient == p) {
                    order.name.clone_from(&name);
                    count += 1;
                }
                assert_eq!(
                    said,
                    format!("AA Patient information updated in {count} orders.")
                );
            }
            Input::Merge(from, into) if from != into => self.merge(from, into).await,
            Input::Merge(..) => {}
            Input::Again => {
                let Some(bytes) = self.last.clone() else {
                    return;
                };
                let again = self.broker.receive(bytes.into(), origin()).await.unwrap();
                assert!(again.duplicate);
            }
            Input::Step(a, s) => {
                let (a, step) = (accession(a), STEPS[usize::from(s)].clone());
                let expected = self.model.step(&a, &step);
                let acted = self.act(&a, step).await;
                assert_eq!(
                    expected.is_none(),
                    acted.outcome.as_str() == "unknown-order"
                );
                self.model
                    .tell(&acted.queued, &expected.unwrap_or_default());
            }
            Input::Final(a, with_text) => self.finalize(&accession(a), with_text).await,
            Input::Deliver(how) => self.deliver(how).await,
            Input::Command(n, c) => self.command(n, c).await,
            Input::Restart => {
                let broker_before = Arc::clone(&self.broker);
                // The store is closed with its last owner, before it is opened again.
                self.broker = {
                    tokio::task::spawn_blocking(move || broker_before.close())
                        .await
                        .unwrap();
                    let placeholder = Over::File.place_in(&fast());
                    broker(&placeholder, &self.clock)
                };
                self.broker = broker(&self.place, &self.clock);
            }
        }
    }

    async fn merge(&mut self, from: u8, into: u8) {
        let (from, into) = (format!("P{from}"), format!("P{into}"));
        let said = self
            .send("ADT^A40", &a40(&format!("PID|1||{into}"), &from))
            .await;
        let id = PatientId::try_from(into.as_str()).unwrap();
        // Which order changed last is the store's to know; its name is what all take.
        let name = {
            let mut held = self.broker.store().orders_of(&id).unwrap();
            held.retain(|o| {
                let id = o.order.accession_number.as_str();
                self.model.orders.get(id).is_some_and(|o| o.patient == into)
            });
            held.sort_by_key(|o| o.updated_by);
            held.last().map(|o| {
                let name = o.order.attributes.get(Attribute::PatientName);
                name.unwrap().to_owned()
            })
        };
        let mut count = 0;
        for order in self.model.orders.values_mut().filter(|o| o.patient == from) {
            order.patient.clone_from(&into);
            if let Some(name) = &name {
                order.name.clone_from(name);
            }
            count += 1;
        }
        assert_eq!(said, format!("AA Patient merged, {count} orders moved."));
    }

    async fn act(&self, accession_number: &str, step: OrderStep) -> medsynapse_store::Acted {
        let kind = ActionKind::Order {
            accession_number: AccessionNumber::try_from(accession_number).unwrap(),
            step,
        };
        self.broker.act(kind, "test", None).await.unwrap()
    }

    async fn finalize(&mut self, accession_number: &str, with_text: bool) {
        let text = with_text.then(|| FinalReport {
            format: medsynapse::ReportFormat::Text,
            text: "final".into(),
            date: String::new(),
            physician_id: None,
            physician_name: None,
        });
        let acted = self.act(accession_number, OrderStep::Final(text)).await;
        let Some(order) = self.model.orders.get_mut(accession_number) else {
            assert_eq!(acted.outcome.as_str(), "unknown-order");
            return;
        };
        let versions = self
            .model
            .reports
            .get(accession_number)
            .copied()
            .unwrap_or(0);
        if !with_text && versions == 0 {
            assert_eq!(acted.outcome.as_str(), "no-report-text");
            return;
        }
        order.report = Some(ReportStatus::Final);
        if with_text {
            self.model
                .reports
                .insert(accession_number.into(), versions + 1);
        }
        self.model.tell(&acted.queued, &["F", "F"]);
    }

    async fn deliver(&mut self, how: u8) {
        let next = self.broker.store().next_outgoing("ris").unwrap();
        assert_eq!(next.as_ref().map(|n| n.message_id), self.model.next());
        let Some(next) = next else { return };
        let outcome = [
            DeliveryOutcome::Accepted,
            DeliveryOutcome::Refused,
            DeliveryOutcome::Failed,
        ][usize::from(how)];
        let delivery = Delivery {
            message_id: next.message_id,
            at: start_of_time(),
            took_micros: 1,
            outcome,
            reason: "test".into(),
            answer: None,
            fence: None,
        };
        let settled = self.broker.settle(delivery).await.unwrap();
        assert_eq!(settled.tries, next.tries + 1);
        let state = match outcome {
            DeliveryOutcome::Accepted => OutboxState::Sent,
            DeliveryOutcome::Refused => OutboxState::Refused,
            DeliveryOutcome::Failed => OutboxState::Queued,
        };
        self.model.states.insert(next.message_id, state);
    }

    async fn command(&mut self, n: u8, c: u8) {
        use OutboxState::{Cancelled, Held, Queued, Refused, Sent};
        let Some((&message_id, &state)) = self.model.states.iter().nth(usize::from(n)) else {
            return;
        };
        let command = [
            OutboxCommand::Retry,
            OutboxCommand::Hold,
            OutboxCommand::Cancel,
        ][usize::from(c)];
        let kind = ActionKind::Outbox {
            message_id,
            command,
        };
        let acted = self.broker.act(kind, "test", None).await.unwrap();
        let next = match (command, state) {
            (OutboxCommand::Retry, Refused | Cancelled | Sent) => {
                self.model.places.insert(message_id, acted.entry_id);
                Some(Queued)
            }
            (OutboxCommand::Retry, Held | Queued) => Some(Queued),
            (OutboxCommand::Hold, Queued | Held) => Some(Held),
            (OutboxCommand::Cancel, Queued | Held | Cancelled) => Some(Cancelled),
            _ => None,
        };
        assert_eq!(acted.outcome.is_done(), next.is_some());
        if let Some(next) = next {
            self.model.states.insert(message_id, next);
        }
    }

    fn compare(&self) {
        let store = self.broker.store();
        let paging = Paging {
            cursor: None,
            limit: 1_000,
        };
        let query = OrderQuery {
            paging,
            ..OrderQuery::default()
        };
        let found: BTreeMap<String, ModelOrder> = store
            .orders(&query)
            .unwrap()
            .items
            .into_iter()
            .map(|record| {
                let of = |a| {
                    record
                        .order
                        .attributes
                        .get(a)
                        .unwrap_or_default()
                        .to_owned()
                };
                let order = ModelOrder {
                    state: record.order.state,
                    report: record.report_status,
                    patient: of(Attribute::PatientId),
                    name: of(Attribute::PatientName),
                    told: record.completion_told,
                };
                (record.order.accession_number.as_str().to_owned(), order)
            })
            .collect();
        assert_eq!(found, self.model.orders);
        for (accession_number, versions) in &self.model.reports {
            let id = AccessionNumber::try_from(accession_number.as_str()).unwrap();
            assert_eq!(store.report(&id).unwrap().unwrap().version, *versions);
        }
        let query = OutboxQuery {
            paging,
            ..OutboxQuery::default()
        };
        let items = store.outbox(&query).unwrap().items;
        let states: BTreeMap<i64, OutboxState> =
            items.iter().map(|i| (i.message_id, i.state)).collect();
        assert_eq!(states, self.model.states);
        let codes: BTreeSet<(i64, &str)> = items
            .iter()
            .map(|i| (i.message_id, i.study_status.code()))
            .collect();
        assert_eq!(codes, self.model.told.iter().copied().collect());
        let ids: BTreeSet<&str> = items.iter().map(|i| i.control_id.as_str()).collect();
        assert_eq!(ids.len(), items.len(), "control ids are unique");
        assert_eq!(
            store.next_outgoing("ris").unwrap().map(|n| n.message_id),
            self.model.next()
        );
    }
}

/// Where files do not wait for a disk.
pub(crate) fn fast() -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() {
        memory.into()
    } else {
        std::env::temp_dir()
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn the_store_is_as_the_model_says(inputs in prop::collection::vec(input(), 1..60)) {
        play(&Over::File, inputs);
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn so_is_an_encrypted_one(inputs in prop::collection::vec(input(), 1..60)) {
        crate::bed::encrypted();
        play(&Over::File, inputs);
    }
}

#[test]
fn so_is_one_that_servers_share() {
    over_postgres("model::so_is_one_that_servers_share", 8);
}

#[test]
#[ignore = "takes a minute: 200 databases"]
fn so_is_one_that_servers_share_in_many_cases() {
    over_postgres("model::so_is_one_that_servers_share_in_many_cases", 200);
}

fn over_postgres(name: &str, count: u32) {
    if let Some(over) = Over::postgres(name) {
        let inputs = prop::collection::vec(input(), 1..60);
        proptest!(cases(count), |(inputs in inputs)| play(&over, inputs));
    }
}

fn play(over: &Over, inputs: Vec<Input>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut bench = Bench::new(over);
        for input in inputs {
            bench.run(input).await;
            bench.compare();
        }
    });
}
