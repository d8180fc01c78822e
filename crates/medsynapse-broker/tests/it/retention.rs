//! What is older than it has to be kept goes, and nothing else.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use medsynapse_broker::{Broker, BrokerConfig, Clock, ManualClock};
use medsynapse_store::{
    ActionKind, Destination, MessageQuery, OrderStep, OutboxQuery, PostgresOptions, PostgresStore,
    Purged, SqliteStore, Store, StoreError,
};

use crate::bed::{Over, Place, message, order, origin, over_both, report, start_of_time};

over_both!(
    old_and_finished_goes_and_the_rest_stays,
    messages_come_in_while_much_is_taken_out,
);

/// A store as the one that purges has it.
#[derive(Clone)]
enum Kept {
    File(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Kept {
    /// Purges with a word after each step.
    fn purge(
        &self,
        before: DateTime<Utc>,
        mut stepped: impl FnMut(),
    ) -> Result<Purged, StoreError> {
        match self {
            Self::File(store) => {
                let mut purge = store.purge(before);
                while purge.step()? {
                    stepped();
                }
                Ok(purge.purged())
            }
            Self::Postgres(store) => {
                let mut purge = store.purge(before)?.expect("no other is at it");
                while purge.step()? {
                    stepped();
                }
                Ok(purge.purged())
            }
        }
    }
}

struct Office {
    kept: Kept,
    store: Arc<dyn Store>,
    broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    next: u32,
    place: Place,
}

impl Office {
    fn open(over: &Over) -> Self {
        let place = over.place();
        let kept = match &place {
            Place::File(directory) => {
                Kept::File(Arc::new(crate::bed::open(directory.path()).unwrap()))
            }
            Place::Postgres { url, .. } => {
                let options = PostgresOptions::new(url, "office");
                Kept::Postgres(Arc::new(PostgresStore::open(&options).unwrap()))
            }
        };
        let store: Arc<dyn Store> = match &kept {
            Kept::File(store) => store.clone(),
            Kept::Postgres(store) => store.clone(),
        };
        let clock = Arc::new(ManualClock::at(start_of_time()));
        let config = BrokerConfig {
            destinations: vec![Destination::new("RIS")],
            ..BrokerConfig::default()
        };
        let broker = Broker::start(store.clone(), config, clock.clone()).unwrap();
        Self {
            kept,
            store,
            broker,
            clock,
            next: 0,
            place,
        }
    }

    async fn receive(&mut self, kind: &str, rest: &str) {
        self.next += 1;
        let text = message(kind, &format!("C{}", self.next), rest);
        let answer = self.broker.receive(text.into(), origin()).await.unwrap();
        assert_eq!(answer.code.as_str(), "AA", "{}", answer.text);
    }

    async fn act(&self, accession: &str, step: OrderStep) {
        let accession_number = accession.try_into().unwrap();
        let kind = ActionKind::Order {
            accession_number,
            step,
        };
        self.broker.act(kind, "tester", None).await.unwrap();
    }

    fn has(&self, accession: &str) -> bool {
        self.store
            .order(&accession.try_into().unwrap())
            .unwrap()
            .is_some()
    }

    fn messages(&self) -> u64 {
        let query = MessageQuery {
            limit: 1_000,
            ..MessageQuery::default()
        };
        let page = self.store.messages(&query).unwrap();
        assert_eq!(page.total, page.items.len() as u64, "counts follow the log");
        page.total
    }

    fn purge(&self) -> Purged {
        let before = self.clock.now() - TimeDelta::days(30);
        let purged = self.kept.purge(before, || {}).unwrap();
        if let Place::File(directory) = &self.place {
            let path = directory.path().join("medsynapse.db");
            let database = rusqlite::Connection::open(path).unwrap();
            let mut dangling = database.prepare("PRAGMA foreign_key_check").unwrap();
            assert!(
                !dangling.exists([]).unwrap(),
                "something refers to what is gone"
            );
        }
        purged
    }
}

#[tokio::test]
async fn old_and_finished_goes_from_an_encrypted_database_too() {
    crate::bed::encrypted();
    old_and_finished_goes_and_the_rest_stays(&Over::File).await;
}

async fn old_and_finished_goes_and_the_rest_stays(over: &Over) {
    let mut office = Office::open(over);
    // Finished long ago, with a report; scheduled long ago; finished, but its report is unsent.
    office.receive("ORM^O01", &order("NW", "DONE", "P1")).await;
    office.receive("ORU^R01", &report("DONE", "fine")).await;
    office.receive("ORM^O01", &order("CM", "DONE", "P1")).await;
    office.receive("ORM^O01", &order("NW", "OPEN", "P2")).await;
    office
        .receive("ORM^O01", &order("NW", "UNSENT", "P3"))
        .await;
    office.act("UNSENT", OrderStep::Completed).await;
    office
        .receive("ORU^R01", &report("NEVER", "no order has this number"))
        .await;
    let before = office.messages();
    assert_eq!(office.purge(), Purged::default());

    office.clock.advance(TimeDelta::days(31));
    office.receive("ORM^O01", &order("NW", "NEW", "P1")).await;
    let purged = office.purge();
    assert_eq!((purged.orders, purged.messages), (1, 4), "{purged:?}");
    assert!(!office.has("DONE") && office.has("OPEN") && office.has("UNSENT") && office.has("NEW"));
    assert_eq!(office.messages(), before + 1 - 4);
    let gone = office.store.report(&"DONE".try_into().unwrap()).unwrap();
    assert_eq!(gone, None);
    assert_eq!(
        office.store.report(&"NEVER".try_into().unwrap()).unwrap(),
        None
    );
    // What waits is still there, and goes out.
    let waiting = office.store.outbox(&OutboxQuery::default()).unwrap().items;
    assert_eq!(waiting.len(), 1);
    assert!(office.store.next_outgoing("RIS").unwrap().is_some());
    assert_eq!(office.purge(), Purged::default());

    // The patient of the new order is still known; nobody knows anybody else but those who have
    // orders.
    for (patient, known) in [("P1", true), ("P2", true), ("P3", true)] {
        let found = office.store.patient(&patient.try_into().unwrap()).unwrap();
        assert_eq!(found.is_some(), known, "{patient}");
    }
    // An order under an old number is a new one.
    office.receive("ORM^O01", &order("NW", "DONE", "P9")).await;
    assert!(office.has("DONE"));
}

async fn messages_come_in_while_much_is_taken_out(over: &Over) {
    let mut office = Office::open(over);
    for n in 0..1_200 {
        let (accession, patient) = (format!("A{n}"), format!("P{n}"));
        office
            .receive("ORM^O01", &order("NW", &accession, &patient))
            .await;
        office
            .receive("ORM^O01", &order("CM", &accession, &patient))
            .await;
    }
    office.clock.advance(TimeDelta::days(31));
    let before = office.clock.now() - TimeDelta::days(30);
    let kept = office.kept.clone();
    let purge = tokio::task::spawn_blocking(move || {
        let mut steps = 0;
        let purged = kept.purge(before, || steps += 1).unwrap();
        (steps, purged)
    });
    let mut taken = 0;
    while !purge.is_finished() || taken == 0 {
        office
            .receive("ORM^O01", &order("NW", &format!("N{taken}"), "P0"))
            .await;
        taken += 1;
    }
    let (steps, purged) = purge.await.unwrap();
    assert!(steps > 8, "{steps}");
    assert_eq!((purged.orders, purged.messages), (1_200, 2_400));
    assert_eq!(office.messages(), taken);
    assert_eq!(office.store.order_count().unwrap(), taken);
}
