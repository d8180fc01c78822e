//! Random histories, and what their logs lead to.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use medsynapse::{AccessionNumber, Profile, ReportFormat, StudyStatus};
use medsynapse_broker::{Broker, BrokerConfig, ManualClock, Replayed, replay, replay_log};
use medsynapse_store::{
    ActionKind, Delivery, DeliveryOutcome, Destination, Difference, FinalReport, OrderStep,
    OutboxCommand, OutboxQuery, PostgresOptions, Procedure, ProcedureState, SharedLog, Store,
    StoreError,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::bed::{
    Over, Place, a08, a40, keys, message, order, origin, over_both, report, start_of_time,
};

/// A department in which everything happens, in no sensible order.
pub(crate) struct Department {
    pub(crate) broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    dice: ChaCha8Rng,
    sent: Vec<String>,
    procedures: u32,
}

impl Department {
    pub(crate) fn over(directory: &TempDir, seed: u64) -> Self {
        Self::with(Arc::new(crate::bed::open(directory.path()).unwrap()), seed)
    }

    fn with(store: Arc<dyn Store>, seed: u64) -> Self {
        Self::at(start_of_time(), store, seed)
    }

    fn at(start: DateTime<Utc>, store: Arc<dyn Store>, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::at(start));
        let config = BrokerConfig {
            destinations: vec![
                Destination::new("RIS"),
                Destination {
                    format: ReportFormat::RichText,
                    statuses: vec![StudyStatus::Final],
                    receiving_application: Some("ARCHIVE & MORE".into()),
                    ..Destination::new("archive")
                },
            ],
            ..BrokerConfig::default()
        };
        Self {
            broker: Broker::start(store, config, clock.clone()).unwrap(),
            clock,
            dice: ChaCha8Rng::seed_from_u64(seed),
            sent: Vec::new(),
            procedures: 0,
        }
    }

    /// Another one at the same broker.
    fn beside(&self, seed: u64) -> Self {
        Self {
            broker: Arc::clone(&self.broker),
            clock: Arc::clone(&self.clock),
            dice: ChaCha8Rng::seed_from_u64(seed),
            sent: Vec::new(),
            procedures: 0,
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.dice.next_u32() % end
    }

    async fn receive(&mut self, kind: &str, rest: &str) {
        // Ids come again with other content now and then.
        let id = self.below(200);
        let text = message(kind, &format!("C{id}"), rest);
        self.sent.push(text.clone());
        self.broker.receive(text.into(), origin()).await.unwrap();
    }

    pub(crate) async fn step(&mut self) {
        self.clock.advance(TimeDelta::milliseconds(1_500));
        let accession = format!("A{}", self.below(8));
        let patient = format!("P{}", self.below(4));
        match self.below(14) {
            0..=3 => {
                let control = ["NW", "NW", "NW", "XO", "CA", "CM", "ZZ"][self.below(7) as usize];
                self.receive("ORM^O01", &order(control, &accession, &patient))
                    .await;
            }
            4 => {
                let text = report(&accession, r"fine\X0D\\X0A\really \T\ truly");
                self.receive("ORU^R01", &text).await;
            }
            5 => {
                let name = ["", "\"\"", "JONES^ANN"][self.below(3) as usize];
                let pid = format!("PID|1||{patient}||{name}||19700101|F||||||||||ADM7");
                self.receive("ADT^A08", &a08(&pid)).await;
            }
            6 => {
                let old = format!("P{}", self.below(4));
                self.receive(
                    "ADT^A40",
                    &a40(&format!("PID|1||{patient}||BOTH^NOW"), &old),
                )
                .await;
            }
            7 => {
                // The same once more, or nothing that can be read.
                let which = self.below(30) as usize;
                let again = self.sent.get(which).cloned();
                let text = again.unwrap_or_else(|| "no message at all".into());
                self.broker.receive(text.into(), origin()).await.unwrap();
            }
            8..=10 => self.order_step(&accession).await,
            11 => self.procedure(&accession).await,
            12 => self.delivery().await,
            _ => self.command().await,
        }
    }

    async fn order_step(&mut self, accession: &str) {
        let steps = [
            OrderStep::Arrived,
            OrderStep::Ready,
            OrderStep::Started,
            OrderStep::Completed,
            OrderStep::Discontinued,
            OrderStep::Rescheduled,
            OrderStep::StudyArriving,
            OrderStep::StudyArrived,
            OrderStep::Read,
            OrderStep::Final(None),
            OrderStep::Final(Some(FinalReport {
                format: ReportFormat::Text,
                text: "Nothing | unusual\nat all & everywhere".into(),
                date: String::new(),
                physician_id: Some("7".into()),
                physician_name: None,
            })),
            OrderStep::Printed,
        ];
        let step = steps[self.below(12) as usize].clone();
        let kind = ActionKind::Order {
            accession_number: accession.try_into().unwrap(),
            step,
        };
        let key = (self.below(4) == 0).then(|| format!("key-{accession}"));
        self.broker.act(kind, "tester", key).await.unwrap();
    }

    async fn procedure(&mut self, accession: &str) {
        let known = self.procedures;
        let create = known == 0 || self.below(2) == 0;
        let number = if create { known } else { self.below(known) };
        self.procedures += u32::from(create);
        let states = [
            ProcedureState::InProgress,
            ProcedureState::Completed,
            ProcedureState::Discontinued,
        ];
        let state = if create {
            states[0]
        } else {
            states[self.below(3) as usize]
        };
        let other = AccessionNumber::try_from(format!("A{}", self.below(8)).as_str()).unwrap();
        let kind = ActionKind::Procedure(Procedure {
            sop_instance_uid: format!("1.2.{number}"),
            create,
            state,
            station_ae_title: "CT1".into(),
            study_instance_uid: None,
            accession_numbers: vec![accession.try_into().unwrap(), other],
            dataset: vec![1, 2, 3],
            reschedule_discontinued: self.below(2) == 0,
        });
        self.broker.act(kind, "CT1", None).await.unwrap();
    }

    /// The answer of a destination to what it gets next.
    async fn delivery(&mut self) {
        let name = ["RIS", "archive"][self.below(2) as usize];
        let Some(next) = self.broker.store().next_outgoing(name).unwrap() else {
            return;
        };
        let (outcome, code) = [
            (DeliveryOutcome::Accepted, "AA"),
            (DeliveryOutcome::Refused, "AR"),
            (DeliveryOutcome::Failed, ""),
        ][self.below(3) as usize];
        let answer = (!code.is_empty())
            .then(|| format!("MSH|^~\\&|RIS|H|||1||ACK|1|P|2.3\rMSA|{code}|X|so|\r").into_bytes());
        let delivery = Delivery {
            message_id: next.message_id,
            at: medsynapse_broker::Clock::now(&*self.clock),
            took_micros: 1_234,
            outcome,
            reason: code.into(),
            answer,
            fence: None,
        };
        self.broker.settle(delivery).await.unwrap();
    }

    async fn command(&mut self) {
        let items = self
            .broker
            .store()
            .outbox(&OutboxQuery::default())
            .unwrap()
            .items;
        if items.is_empty() {
            return;
        }
        let message_id = items[self.below(u32::try_from(items.len()).unwrap()) as usize].message_id;
        let commands = [
            OutboxCommand::Retry,
            OutboxCommand::Hold,
            OutboxCommand::Cancel,
        ];
        let command = commands[self.below(3) as usize];
        let kind = ActionKind::Outbox {
            message_id,
            command,
        };
        self.broker.act(kind, "tester", None).await.unwrap();
    }
}

fn replayed(place: &Place) -> Result<Replayed, StoreError> {
    let (into, profile) = (TempDir::new().unwrap(), Profile::default());
    match place {
        Place::File(directory) => {
            let keys = keys();
            replay(
                directory.path(),
                keys.as_ref(),
                into.path(),
                &profile,
                |_| {},
            )
        }
        Place::Postgres { url, .. } => {
            let log = SharedLog::open(&PostgresOptions::new(url, "replay"))?;
            replay_log(&log, into.path(), &profile, |_| {})
        }
    }
}

over_both!(
    any_history_leads_to_what_is_kept,
    whatever_another_hand_changed_is_told,
    a_damaged_message_ends_a_replay,
);

async fn any_history_leads_to_what_is_kept(over: &Over) {
    let seeds = match over {
        Over::File => 0..12,
        Over::Postgres(_) => 0..5,
    };
    histories(over, seeds).await;
}

#[tokio::test]
async fn an_encrypted_history_leads_to_what_is_kept() {
    crate::bed::encrypted();
    histories(&Over::File, 12..18).await;
}

/// Three servers, at each of which several things happen at a time, to the same few orders and
/// patients: their common log, one entry after the other, leads to the same.
#[test]
fn servers_beside_each_other_lead_to_what_is_kept() {
    let Some(over) = Over::postgres("servers_beside_each_other_lead_to_what_is_kept") else {
        return;
    };
    let place = over.place();
    let servers: Vec<_> = (0..3_u64)
        .map(|server| {
            let store = place.open();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build().unwrap();
                runtime.block_on(async {
                    // What they send has ids of its own.
                    let start = start_of_time() + TimeDelta::days(server.cast_signed());
                    let first = Department::at(start, store, 100 + server);
                    let mut all = tokio::task::JoinSet::new();
                    for n in 0..5 {
                        let mut department = first.beside(200 + 10 * server + n);
                        all.spawn(async move {
                            for _ in 0..200 {
                                department.step().await;
                            }
                        });
                    }
                    while let Some(done) = all.join_next().await {
                        done.unwrap();
                    }
                });
            })
        })
        .collect();
    for server in servers {
        server.join().unwrap();
    }
    let replayed = replayed(&place).unwrap();
    assert_eq!(replayed.comparison.differences, []);
    assert!(replayed.entries > 500, "{replayed:?}");
}

async fn histories(over: &Over, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let place = over.place();
        let mut department = Department::with(place.open(), seed);
        for _ in 0..150 {
            department.step().await;
        }
        // With the broker running: the log is read beside it.
        let replayed = replayed(&place).unwrap();
        let comparison = &replayed.comparison;
        assert_eq!(comparison.differences, [], "seed {seed}");
        assert_eq!(comparison.different, 0);
        assert!(
            replayed.entries > 50 && comparison.rows > replayed.entries,
            "{replayed:?}"
        );
        assert_eq!(replayed.first, Some(1));
    }
}

async fn whatever_another_hand_changed_is_told(over: &Over) {
    let place = over.place();
    let mut department = Department::with(place.open(), 3);
    for accession in ["A1", "A2", "A3"] {
        department
            .receive("ORM^O01", &order("NW", accession, "P1"))
            .await;
    }
    for change in [
        "UPDATE orders SET modality = 'MR' WHERE accession_number = 'A2'",
        "DELETE FROM orders WHERE accession_number = 'A3'",
        "UPDATE patients SET name = 'OTHER^NAME'",
        "UPDATE message_counts SET messages = 7",
    ] {
        assert_eq!(place.tamper(change, change), 1, "{change}");
    }
    let comparison = replayed(&place).unwrap().comparison;
    assert!(comparison.differences.contains(&Difference::Other {
        table: "orders",
        row: "A2".into(),
        columns: vec!["modality".into()],
    }));
    assert!(comparison.differences.contains(&Difference::Missing {
        table: "orders",
        row: "A3".into(),
    }));
    assert_eq!(comparison.different, 4, "{comparison:?}");
    let told: Vec<String> = comparison
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(told.contains(&"orders A2: kept otherwise than the log leads to it: modality".into()));
    let told = told.join("\n");
    assert!(
        !told.contains("OTHER") && !told.contains("P1") && !told.contains("SMITH"),
        "{told}"
    );
}

async fn a_damaged_message_ends_a_replay(over: &Over) {
    let place = over.place();
    let mut department = Department::with(place.open(), 4);
    department
        .receive("ORM^O01", &order("NW", "A1", "P1"))
        .await;
    let changed = place.tamper(
        "UPDATE messages SET raw = CAST(raw || x'20' AS BLOB)",
        "UPDATE messages SET raw = raw || '\\x20'::bytea",
    );
    assert_eq!(changed, 1);
    let error = replayed(&place).unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { id: 1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_is_built_over_a_database_that_is_there() {
    let directory = TempDir::new().unwrap();
    drop(Department::over(&directory, 5));
    let (here, profile) = (directory.path(), Profile::default());
    let error = replay(here, keys().as_ref(), here, &profile, |_| {}).unwrap_err();
    assert!(error.to_string().contains("empty directory"), "{error}");
}
