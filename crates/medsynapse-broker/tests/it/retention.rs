//! What is older than it has to be kept goes, and nothing else.

use std::sync::Arc;

use chrono::TimeDelta;
use medsynapse_broker::{Broker, BrokerConfig, Clock, ManualClock};
use medsynapse_store::{
    ActionKind, Destination, MessageQuery, OrderStep, OutboxQuery, Purged, SqliteStore, Store,
};
use tempfile::TempDir;

use crate::bed::{message, order, origin, report, start_of_time};

struct Office {
    store: Arc<SqliteStore>,
    broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    next: u32,
    directory: TempDir,
}

impl Office {
    fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(crate::bed::open(directory.path()).unwrap());
        let clock = Arc::new(ManualClock::at(start_of_time()));
        let config = BrokerConfig {
            destinations: vec![Destination::new("RIS")],
            ..BrokerConfig::default()
        };
        let broker = Broker::start(store.clone(), config, clock.clone()).unwrap();
        Self {
            store,
            broker,
            clock,
            next: 0,
            directory,
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
        let purged = self.store.purge(before).run().unwrap();
        let path = self.directory.path().join("medsynapse.db");
        let database = rusqlite::Connection::open(path).unwrap();
        let mut dangling = database.prepare("PRAGMA foreign_key_check").unwrap();
        assert!(
            !dangling.exists([]).unwrap(),
            "something refers to what is gone"
        );
        purged
    }
}

#[tokio::test]
async fn old_and_finished_goes_from_an_encrypted_database_too() {
    crate::bed::encrypted();
    goes_and_stays().await;
}

#[tokio::test]
async fn old_and_finished_goes_and_the_rest_stays() {
    goes_and_stays().await;
}

async fn goes_and_stays() {
    let mut office = Office::open();
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

#[tokio::test]
async fn messages_come_in_while_much_is_taken_out() {
    let mut office = Office::open();
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
    let store = Arc::clone(&office.store);
    let purge = tokio::task::spawn_blocking(move || {
        let mut purge = store.purge(before);
        let mut steps = 0;
        while purge.step().unwrap() {
            steps += 1;
        }
        (steps, purge.purged())
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
