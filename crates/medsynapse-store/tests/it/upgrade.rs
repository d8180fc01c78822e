//! Servers of this version go on while one of a later version brings their database along.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use medsynapse_store::contract::{Script, alike_from};
use medsynapse_store::testing::Cluster;
use medsynapse_store::{
    DeliveryOutcome, Done, MessageQuery, OrderQuery, OrderStep, PostgresOptions, PostgresStore,
    SqliteStore, Store, StoreError, Work,
};
use tempfile::TempDir;

const LIFE: Duration = Duration::from_secs(30);
const LATER: &str = "V99__later";

fn dawn() -> DateTime<Utc> {
    DateTime::from_timestamp(1_686_748_456, 0).unwrap()
}

fn server(url: &str, node: &str) -> PostgresStore {
    PostgresStore::open(&PostgresOptions::new(url, node)).unwrap()
}

/// What a later version may add: tables, columns that may be empty, indexes; here to every table
/// that there is.
const ADDITIVE: &str = "DO $$ DECLARE t RECORD; BEGIN \
    FOR t IN SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() \
        AND tablename <> 'refinery_schema_history' ORDER BY tablename DESC LOOP \
        EXECUTE format('ALTER TABLE %I ADD COLUMN later_note TEXT', t.name); \
        EXECUTE format('ALTER TABLE %I ADD COLUMN later_count BIGINT NOT NULL DEFAULT 0', t.name); \
        EXECUTE format('CREATE INDEX %I ON %I (later_count)', 'later_' || t.name, t.name); \
    END LOOP; \
    CREATE TABLE later_things (id BIGINT PRIMARY KEY, thing TEXT NOT NULL); \
    END $$";

/// The tables that servers use all the time; each step is about one of them, as it has to be.
const BUSY: [&str; 10] = [
    "servers",
    "messages",
    "message_counts",
    "orders",
    "reports",
    "patients",
    "changes",
    "actions",
    "outbox",
    "lanes",
];

#[test]
fn an_open_store_answers_as_before_when_the_database_has_grown() {
    let Some(cluster) = Cluster::or_skip("an_open_store_answers_as_before") else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let sqlite = SqliteStore::open(directory.path()).unwrap();
    let url = cluster.fresh().unwrap();
    let postgres = server(&url, "one");
    let mut script = Script::new(61, dawn());
    // So that every statement is prepared before.
    alike_from(&sqlite, &postgres, script.clone(), 32);
    for _ in 0..32 {
        let _ = script.batch();
    }
    cluster.migrate_later(&url, LATER, ADDITIVE).unwrap();
    let purged = postgres.purge(dawn()).unwrap().expect("nobody is at it");
    assert_eq!(purged.run().unwrap(), sqlite.purge(dawn()).run().unwrap());
    alike_from(&sqlite, &postgres, Script::new(62, dawn()), 32);
}

#[test]
fn servers_go_on_while_their_database_is_brought_along() {
    let Some(cluster) = Cluster::or_skip("servers_go_on_while_their_database") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let servers = ["one", "two"].map(|node| Arc::new(server(&url, node)));
    let [one, two] = &servers;
    let lanes = one.shared().unwrap();
    let fence = lanes.take_lane("first", LIFE).unwrap().expect("free");
    let stop = Arc::new(AtomicBool::new(false));
    let writers = servers.clone().map(|server| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let seed = u64::from(server.last_event().unwrap() == 0);
            let mut script = Script::new(70 + seed, dawn());
            let (mut batches, mut late) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let batch = script.batch();
                let mut done = server.apply(&batch);
                // What takes too long is answered so, and comes again.
                while late < 3 && matches!(done.first(), Some(Err(StoreError::Unreachable(_)))) {
                    late += 1;
                    done = server.apply(&batch);
                }
                if let Some(error) = done.iter().find_map(|done| done.as_ref().err()) {
                    return Err(error.clone());
                }
                script.learn(&done);
                batches += 1;
            }
            Ok(batches)
        })
    });
    let readers = servers.clone().map(|server| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || -> Result<u64, StoreError> {
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) {
                server.messages(&MessageQuery::default())?;
                server.orders(&OrderQuery::default())?;
                for id in Script::orders() {
                    server.order_history(&id.as_str().try_into().unwrap())?;
                }
                server.queue_depths()?;
                server.events_after(0, 100)?;
                rounds += 1;
            }
            Ok(rounds)
        })
    });
    std::thread::sleep(Duration::from_millis(500));
    for (number, table) in BUSY.into_iter().enumerate() {
        let sql = format!(
            "ALTER TABLE {table} ADD COLUMN later_note TEXT, \
             ADD COLUMN later_count BIGINT NOT NULL DEFAULT 0; \
             CREATE INDEX later_{table} ON {table} (later_count); \
             CREATE TABLE later_{table}_things (id BIGINT PRIMARY KEY, thing TEXT NOT NULL)"
        );
        let name = format!("V{}__later", 80 + number);
        cluster.migrate_later(&url, &name, &sql).unwrap();
    }
    std::thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.join().unwrap().unwrap() > 5);
    }
    for reader in readers {
        assert!(reader.join().unwrap().unwrap() > 0);
    }
    // The lane is whose it was, and what it delivers counts.
    assert!(lanes.keep_lane("first", fence, LIFE).unwrap());
    let mut script = Script::new(80, dawn());
    let done = one.apply(&[script.order("NW", "LANE", "P1")]);
    assert!(done[0].is_ok(), "{done:?}");
    let told = two.apply(&[script.step("LANE", OrderStep::Completed)]);
    assert!(matches!(&told[0], Ok(Done::Action(acted)) if !acted.queued.is_empty()));
    let next = one.next_outgoing("first").unwrap().expect("one waits");
    let work = Script::delivery(next.message_id, DeliveryOutcome::Accepted, dawn());
    let Work::Delivery(mut delivery) = work else {
        unreachable!("it is a delivery");
    };
    delivery.fence = Some(fence);
    assert!(one.apply(&[delivery.into()])[0].is_ok());
}

#[test]
fn this_version_does_not_start_on_a_database_that_a_later_one_has_brought_along() {
    let Some(cluster) = Cluster::or_skip("this_version_does_not_start") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let open = server(&url, "one");
    cluster.migrate_later(&url, LATER, ADDITIVE).unwrap();
    let options = PostgresOptions::new(&url, "two");
    for refused in [options.check(), PostgresStore::open(&options).map(drop)] {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::Migration(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("it is of version 99"), "{text}");
        assert!(text.contains("start that one"), "{text}");
    }
    assert_eq!(open.order_count().unwrap(), 0);
}

#[test]
fn a_table_that_somebody_holds_is_waited_for_without_keeping_servers_waiting() {
    let Some(cluster) = Cluster::or_skip("a_table_that_somebody_holds") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let store = server(&url, "one");
    // As a dump does for hours; here for four seconds.
    let dump = std::thread::spawn({
        let (cluster, url) = (Arc::clone(&cluster), url.clone());
        move || cluster.run(&url, "SELECT count(*), pg_sleep(4) FROM procedure_steps")
    });
    let begun = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while cluster.run(&url, begun).unwrap() == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let later = std::thread::spawn({
        let (cluster, url) = (Arc::clone(&cluster), url.clone());
        move || cluster.migrate_later(&url, LATER, ADDITIVE)
    });
    let mut script = Script::new(90, dawn());
    while !later.is_finished() {
        let done = store.apply(&[script.order("NW", "A1", "P1")]);
        assert!(done[0].is_ok(), "{done:?}");
    }
    later.join().unwrap().unwrap();
    dump.join().unwrap().unwrap();
}

#[test]
#[ignore = "takes a minute: that long it is tried"]
fn a_table_that_is_held_for_too_long_is_told() {
    let Some(cluster) = Cluster::or_skip("a_table_that_is_held_for_too_long_is_told") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let store = server(&url, "one");
    let dump = std::thread::spawn({
        let (cluster, url) = (Arc::clone(&cluster), url.clone());
        let held = "SET statement_timeout = 0; BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE; \
            SELECT pg_sleep(100)";
        move || cluster.run_all(&url, held)
    });
    let begun = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while cluster.run(&url, begun).unwrap() == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = cluster.migrate_later(&url, LATER, "ALTER TABLE orders ADD COLUMN later TEXT");
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("pg_dump perhaps"), "{text}");
    // Nothing is left of it, neither locks nor a half of the step.
    let mut script = Script::new(91, dawn());
    assert!(store.apply(&[script.order("NW", "A1", "P1")])[0].is_ok());
    PostgresOptions::new(&url, "two").check().unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    assert_eq!(cluster.run(&url, end).unwrap(), 1);
    assert!(dump.join().unwrap().is_err(), "it was ended");
    cluster
        .migrate_later(&url, LATER, "ALTER TABLE orders ADD COLUMN later TEXT")
        .unwrap();
}
