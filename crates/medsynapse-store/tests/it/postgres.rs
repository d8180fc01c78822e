//! What several servers on one PostgreSQL may rely on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use medsynapse_store::contract::Script;
use medsynapse_store::testing::Cluster;
use medsynapse_store::{
    CopyOptions, DeliveryOutcome, Done, Heard, MessageQuery, OrderStep, PostgresOptions,
    PostgresStore, SqliteStore, Store, StoreError, Work, copy_to_postgres,
};

const LIFE: Duration = Duration::from_secs(10);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_686_748_456, 0).unwrap()
}

fn server(url: &str, node: &str) -> PostgresStore {
    PostgresStore::open(&PostgresOptions::new(url, node)).unwrap()
}

#[test]
fn a_message_sent_to_two_servers_at_once_is_stored_once() {
    let Some(cluster) = Cluster::or_skip("a_message_sent_to_two_servers_at_once") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let servers = ["one", "two"].map(|node| Arc::new(server(&url, node)));
    let mut script = Script::new(7, now());
    let work: Vec<Work> = (0..1_000)
        .map(|n| script.order("NW", &format!("PAIR{n}"), &format!("P{}", n % 50)))
        .collect();
    let threads = servers.map(|server| {
        let work = work.clone();
        std::thread::spawn(move || {
            let batches = work.chunks(16).flat_map(|batch| server.apply(batch));
            let applied = batches.map(|done| done.unwrap().message().unwrap());
            applied
                .map(|applied| (applied.message_id, applied.text, applied.duplicate))
                .collect::<Vec<_>>()
        })
    });
    let [one, two] = threads.map(|thread| thread.join().unwrap());
    for (one, two) in one.iter().zip(&two) {
        assert_eq!((one.0, &one.1), (two.0, &two.1));
        assert!(one.2 != two.2, "exactly one of them is the duplicate");
    }
    let ids: BTreeSet<i64> = one.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, (1..=1_000).collect());
    let store = server(&url, "three");
    let none = MessageQuery::default();
    assert_eq!(store.messages(&none).unwrap().total, 1_000);
    assert_eq!(store.order_count().unwrap(), 1_000);
}

#[test]
fn who_follows_events_skips_none_of_any_server() {
    let Some(cluster) = Cluster::or_skip("who_follows_events_skips_none") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let writers = ["one", "two", "three"].map(|node| {
        let url = url.clone();
        std::thread::spawn(move || {
            let server = server(&url, node);
            let mut script = Script::new(node.len() as u64 + 10, now());
            for n in 0..150 {
                let order = format!("{node}{n}");
                let batch = [
                    script.order("NW", &order, "P1"),
                    script.order("NW", &order, "P2"),
                ];
                assert!(server.apply(&batch).iter().all(Result::is_ok));
            }
        })
    });
    let reader = server(&url, "reader");
    let shared = reader.shared().unwrap();
    let (mut seen, mut last, mut heard) = (Vec::new(), 0, Heard::default());
    // Two events each.
    while seen.len() < 3 * 150 * 4 {
        heard = shared.wait(heard, Duration::from_secs(5));
        loop {
            let events = reader.events_after(last, 64).unwrap();
            let Some(newest) = events.last() else {
                break;
            };
            last = newest.id.unwrap();
            seen.extend(events.into_iter().map(|event| event.id.unwrap()));
        }
    }
    for writer in writers {
        writer.join().unwrap();
    }
    assert!(heard.count > 0, "others were heard");
    let all = reader.events_after(0, 1_000_000).unwrap();
    let all: Vec<i64> = all.into_iter().map(|event| event.id.unwrap()).collect();
    assert_eq!(seen, all);
}

#[test]
fn the_database_goes_away_and_comes_back() {
    // One of its own: others must not lose theirs.
    let Ok(cluster) = Cluster::start() else {
        assert!(Cluster::or_skip("the_database_goes_away_and_comes_back").is_none());
        return;
    };
    let server = server(&cluster.fresh().unwrap(), "one");
    let mut script = Script::new(8, now());
    let order = |script: &mut Script, n: u32| [script.order("NW", &format!("A{n}"), "P1")];
    assert!(server.apply(&order(&mut script, 1))[0].is_ok());
    for signal in ["INT", "QUIT"] {
        cluster.down(signal);
        let began = Instant::now();
        let refused = server.apply(&order(&mut script, 2));
        assert!(matches!(
            refused[0],
            Err(StoreError::Unreachable(_) | StoreError::Unknown(_))
        ));
        assert!(matches!(
            server.order_count(),
            Err(StoreError::Unreachable(_))
        ));
        assert!(began.elapsed() < Duration::from_secs(10), "it is said soon");
        cluster.up().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while server.apply(&order(&mut script, 3))[0].is_err() {
            assert!(Instant::now() < until, "it comes back by itself");
            std::thread::sleep(Duration::from_millis(50));
        }
        server.order_count().unwrap();
    }
}

#[test]
fn a_stopped_server_does_not_keep_the_lock() {
    let Some(cluster) = Cluster::or_skip("a_stopped_server_does_not_keep_the_lock") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let store = server(&url, "one");
    let held = std::thread::spawn({
        let url = url.clone();
        move || Cluster::hold_log(&url, Duration::from_secs(6))
    });
    let waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted";
    while cluster.run(&url, waiting).unwrap() == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Waits until the lock is taken from the one that is stopped.
    let mut script = Script::new(9, now());
    let done = store.apply(&[script.order("NW", "A1", "P1")]);
    assert!(done[0].is_ok(), "{done:?}");
    assert!(held.join().unwrap().unwrap(), "its session was ended");
}

#[test]
fn a_lane_has_one_owner_and_a_lost_one_does_not_settle() {
    let Some(cluster) = Cluster::or_skip("a_lane_has_one_owner") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let (one, two) = (server(&url, "one"), server(&url, "two"));
    let lanes = |server: &PostgresStore| server.shared().unwrap().take_lane("first", LIFE);
    let first = lanes(&one).unwrap().expect("it is free");
    assert_eq!(lanes(&two).unwrap(), None);
    assert!(
        one.shared()
            .unwrap()
            .keep_lane("first", first, LIFE)
            .unwrap()
    );
    let mut script = Script::new(11, now());
    one.apply(&[script.order("NW", "A1", "P1")]);
    let queued = |step| match one.apply(&[step]).remove(0) {
        Ok(Done::Action(acted)) => acted.queued,
        other => panic!("{other:?}"),
    };
    let message_id = queued(script.step("A1", OrderStep::Completed))[0];
    let settle = |server: &PostgresStore, fence| {
        let Work::Delivery(mut delivery) =
            Script::delivery(message_id, DeliveryOutcome::Accepted, now())
        else {
            unreachable!("it is a delivery");
        };
        delivery.fence = Some(fence);
        server.apply(&[delivery.into()]).remove(0)
    };
    // Its life is over, and another takes it.
    cluster
        .run(&url, "UPDATE lanes SET expires_at = clock_timestamp()")
        .unwrap();
    let second = lanes(&two).unwrap().expect("it is free again");
    assert!(second > first);
    assert!(
        !one.shared()
            .unwrap()
            .keep_lane("first", first, LIFE)
            .unwrap()
    );
    assert!(matches!(settle(&one, first), Err(StoreError::LaneLost)));
    assert!(one.next_outgoing("first").unwrap().is_some());
    assert!(settle(&two, second).is_ok());
    assert!(one.next_outgoing("first").unwrap().is_none());
    // Given back, it is free at once.
    two.shared().unwrap().give_lane("first", second).unwrap();
    assert!(lanes(&one).unwrap() > Some(second));
}

#[test]
fn a_message_that_is_not_what_was_written_is_not_given_out() {
    let Some(cluster) = Cluster::or_skip("a_message_that_is_not_what_was_written") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let store = server(&url, "one");
    let mut script = Script::new(12, now());
    store.apply(&[script.order("NW", "A1", "P1")]);
    store.apply(&[script.step("A1", OrderStep::Completed)]);
    let flip = "UPDATE messages SET raw = set_byte(raw, 9, get_byte(raw, 9) # 1)";
    cluster.run(&url, flip).unwrap();
    let corrupt = |error| {
        matches!(
            error,
            StoreError::Corrupt {
                table: "messages",
                ..
            }
        )
    };
    assert!(corrupt(store.message(1).unwrap_err()));
    assert!(corrupt(store.next_outgoing("first").unwrap_err()));
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let Some(cluster) = Cluster::or_skip("a_database_of_a_later_version") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let options = PostgresOptions::new(&url, "one");
    options.check().unwrap();
    drop(server(&url, "one"));
    options.check().unwrap();
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
        VALUES (99, 'later', '2026-01-01T00:00:00Z', '1')";
    cluster.run(&url, later).unwrap();
    for refused in [options.check(), PostgresStore::open(&options).map(drop)] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("version 99"), "{text}");
    }
}

#[test]
fn what_is_wrong_with_the_way_to_the_database_is_said() {
    let Some(cluster) = Cluster::or_skip("what_is_wrong_with_the_way") else {
        return;
    };
    let said = |url: &str| {
        let error = PostgresOptions::new(url, "one").check().unwrap_err();
        error.to_string()
    };
    let text = said(&cluster.url("nowhere"));
    assert!(
        text.contains("database \"nowhere\" does not exist"),
        "{text}"
    );
    let stranger = cluster.url("postgres").replace("medsynapse@", "stranger@");
    let text = said(&stranger);
    assert!(text.contains("role \"stranger\" does not exist"), "{text}");
    let text = said("postgres://u@127.0.0.1:1/m");
    assert!(text.contains("refused"), "{text}");
    let protected = format!("{}?sslmode=require", cluster.url("postgres"));
    let text = said(&protected);
    assert!(text.contains("does not support TLS"), "{text}");
}

#[test]
fn servers_that_start_together_make_one_schema() {
    let Some(cluster) = Cluster::or_skip("servers_that_start_together") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let url = url.clone();
            std::thread::spawn(move || drop(server(&url, &format!("n{n}"))))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_copy_goes_on_where_it_was_and_is_the_same() {
    let Some(cluster) = Cluster::or_skip("a_copy_goes_on_where_it_was_and_is_the_same") else {
        return;
    };
    let directory = tempfile::TempDir::new().unwrap();
    let sqlite = SqliteStore::open(directory.path()).unwrap();
    let mut script = Script::new(21, now());
    for _ in 0..60 {
        let done = sqlite.apply(&script.batch());
        script.learn(&done);
    }
    let options = PostgresOptions::new(cluster.fresh().unwrap(), "copy");
    let copy = || {
        copy_to_postgres(
            directory.path(),
            &CopyOptions::default(),
            &options,
            |_, _| {},
        )
    };
    assert!(matches!(copy(), Err(StoreError::InUse)), "a server has it");
    drop(sqlite);
    // As a copy leaves it that broke off.
    copy().unwrap();
    for sql in [
        "DELETE FROM messages WHERE id > 100",
        "DELETE FROM changes WHERE id > 20",
        "DELETE FROM orders",
        "DELETE FROM message_counts",
        "ALTER SEQUENCE log_entries RESTART",
    ] {
        cluster.run(&options.url, sql).unwrap();
    }
    let copied = copy().unwrap();
    let messages = &copied[0];
    assert!(
        messages.before > 0 && messages.rows > messages.before,
        "{messages:?}"
    );
    assert!(copy().unwrap_err().to_string().contains("empty database"));
    // Both go on alike.
    let sqlite = SqliteStore::open(directory.path()).unwrap();
    let postgres = PostgresStore::open(&options).unwrap();
    medsynapse_store::contract::alike_from(&sqlite, &postgres, script, 20);
}
