//! Keys, trail and answers: in a file, and shared by several servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use medsynapse_store::testing::Cluster;
use medsynapse_store::{
    AccessStore, CopyOptions, FirstAnswer, KeyRecord, Keys, PostgresOptions, SqliteOptions,
    SqliteStore, StoreError, Ticket, TrailCheck, TrailEntry, TrailKey, contract, copy_to_postgres,
};
use tempfile::TempDir;

const KEY: TrailKey = TrailKey::new([7; 32]);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_686_748_456, 0).unwrap()
}

fn shared(url: &str, node: &str) -> AccessStore {
    AccessStore::open_shared(&PostgresOptions::new(url, node)).unwrap()
}

fn entry(target: &str) -> TrailEntry {
    TrailEntry {
        at: now(),
        who: "key:a".into(),
        peer: "127.0.0.1:1".into(),
        action: "GET /api/v1/orders/{accession}".into(),
        target: target.into(),
        patient: None,
        outcome: 200,
    }
}

#[test]
fn a_file_keeps_the_contract() {
    let directory = TempDir::new().unwrap();
    contract::access(&|| AccessStore::open(directory.path()).unwrap());
}

#[test]
fn an_encrypted_file_keeps_the_contract() {
    let directory = TempDir::new().unwrap();
    let secret = std::array::from_fn(|n| u8::try_from(n).unwrap() ^ 0x35);
    let keys: Keys = Keys::line("one", &secret).unwrap().parse().unwrap();
    contract::access(&|| AccessStore::open_with(directory.path(), Some(&keys)).unwrap());
}

#[test]
fn a_shared_one_keeps_the_contract() {
    let Some(cluster) = Cluster::or_skip("a_shared_one_keeps_the_contract") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    contract::access(&|| shared(&url, "one"));
}

#[test]
fn what_is_not_there_is_not_made_by_looking() {
    let Some(cluster) = Cluster::or_skip("what_is_not_there_is_not_made_by_looking") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let options = PostgresOptions::new(&url, "looks");
    for _ in 0..2 {
        assert!(
            AccessStore::open_shared_existing(&options)
                .unwrap()
                .is_none()
        );
    }
    drop(shared(&url, "makes"));
    let found = AccessStore::open_shared_existing(&options).unwrap();
    assert!(found.unwrap().keys().unwrap().is_empty());
}

#[test]
fn whatever_is_done_to_a_shared_trail_is_found() {
    let Some(cluster) = Cluster::or_skip("whatever_is_done_to_a_shared_trail_is_found") else {
        return;
    };
    let check = |changes: &[&str]| {
        let url = cluster.fresh().unwrap();
        let store = shared(&url, "one");
        store.append(&KEY, &[entry("A1"), entry("A2")]).unwrap();
        store.append(&KEY, &[entry("A3")]).unwrap();
        // Somebody who owns the database.
        cluster
            .run(&url, "DROP TRIGGER trail_is_append_only ON trail")
            .unwrap();
        for change in changes {
            cluster.run(&url, change).unwrap();
        }
        let before = store.verify_trail(&KEY).unwrap();
        // It stays so when servers go on writing.
        if store.append(&KEY, &[entry("A4")]).is_ok() {
            let after = store.verify_trail(&KEY).unwrap();
            let whole = |found: &TrailCheck| matches!(found, TrailCheck::Whole { .. });
            assert_eq!(whole(&before), whole(&after), "{changes:?}");
        }
        before
    };
    let broken = |n: i64, changes: &[&str]| {
        let found = check(changes);
        let at = |found: &TrailCheck| matches!(found, TrailCheck::Broken { n: at, .. } if *at == n);
        assert!(at(&found), "{changes:?}: {found:?}");
    };
    assert_eq!(check(&[]), TrailCheck::Whole { entries: 3 });
    broken(2, &["UPDATE trail SET outcome = 403 WHERE n = 2"]);
    broken(2, &["UPDATE trail SET outcome = -1 WHERE n = 2"]);
    broken(2, &["UPDATE trail SET target = 'A9' WHERE n = 2"]);
    broken(2, &["DELETE FROM trail WHERE n = 2"]);
    broken(3, &["DELETE FROM trail WHERE n = 3"]);
    broken(3, &["UPDATE trail SET n = 4 WHERE n = 3"]);
    let cut = "UPDATE trail_head SET n = 2, link = (SELECT link FROM trail WHERE n = 2)";
    broken(3, &["DELETE FROM trail WHERE n = 3", cut]);
    broken(4, &["UPDATE trail_head SET link = ''"]);
    broken(4, &["DELETE FROM trail_head"]);
}

#[test]
fn a_shared_trail_only_grows() {
    let Some(cluster) = Cluster::or_skip("a_shared_trail_only_grows") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let store = shared(&url, "one");
    store.append(&KEY, &[entry("A1\0\u{fffd}")]).unwrap();
    for change in [
        "UPDATE trail SET outcome = 1",
        "DELETE FROM trail",
        "TRUNCATE trail",
    ] {
        assert!(cluster.run(&url, change).is_err(), "{change}");
    }
    let whole = TrailCheck::Whole { entries: 1 };
    assert_eq!(store.verify_trail(&KEY).unwrap(), whole);
}

#[test]
fn keys_that_people_change_by_hand_are_seen() {
    let Some(cluster) = Cluster::or_skip("keys_that_people_change_by_hand_are_seen") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let store = shared(&url, "one");
    let key = KeyRecord {
        id: "a".into(),
        name: "a".into(),
        digest: [1; 32],
        scopes: "read".into(),
        created_at: now(),
        expires_at: None,
        revoked_at: None,
    };
    store.add_key(&key).unwrap();
    for change in ["UPDATE api_keys SET scopes = ''", "TRUNCATE api_keys"] {
        let before = store.version().unwrap();
        cluster.run(&url, change).unwrap();
        assert_ne!(store.version().unwrap(), before, "{change}");
    }
    let idle = store.version().unwrap();
    store.append(&KEY, &[entry("A1")]).unwrap();
    assert_eq!(store.version().unwrap(), idle, "nothing else is told of");
}

#[test]
fn servers_agree_on_the_secret_of_the_trail() {
    let Some(cluster) = Cluster::or_skip("servers_agree_on_the_secret_of_the_trail") else {
        return;
    };
    let is =
        |key: &TrailKey, secret: u8| key.patient("P1") == TrailKey::new([secret; 32]).patient("P1");
    // Kept in the database: whoever comes first.
    let url = cluster.fresh().unwrap();
    let (one, two) = (shared(&url, "one"), shared(&url, "two"));
    assert!(one.trail_key(None, None).unwrap().is_none());
    std::thread::scope(|scope| {
        let come = |store: &AccessStore, secret| store.trail_key(None, Some([secret; 32]));
        let (one, two) = (&one, &two);
        let first = scope.spawn(move || come(one, 1));
        let second = come(two, 2).unwrap().unwrap();
        let first = first.join().unwrap().unwrap().unwrap();
        assert_eq!(first.patient("P1"), second.patient("P1"));
    });
    let kept = one.trail_key(None, None).unwrap().unwrap();
    let other = TrailKey::new([3; 32]);
    assert!(two.trail_key(Some(&other), None).is_err());
    assert!(two.trail_key(Some(&kept), None).unwrap().is_some());

    // Given to each server: the database does not have it.
    let url = cluster.fresh().unwrap();
    let (one, two) = (shared(&url, "one"), shared(&url, "two"));
    let given = TrailKey::new([4; 32]);
    assert!(is(&one.trail_key(Some(&given), None).unwrap().unwrap(), 4));
    assert!(is(&two.trail_key(Some(&given), None).unwrap().unwrap(), 4));
    let refused = |done: Result<Option<TrailKey>, StoreError>| {
        assert!(matches!(done, Err(StoreError::Settings(_))), "{done:?}");
    };
    refused(two.trail_key(Some(&other), None));
    refused(two.trail_key(None, Some([5; 32])));
    refused(two.trail_key(None, None));
    let secret = "SELECT 1 FROM trail_secret WHERE secret IS NOT NULL";
    assert_eq!(cluster.run(&url, secret).unwrap(), 0);
}

#[test]
fn who_holds_the_log_delays_nobody_here() {
    let Some(cluster) = Cluster::or_skip("who_holds_the_log_delays_nobody_here") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let store = shared(&url, "one");
    let held = std::thread::spawn({
        let (cluster, url) = (Arc::clone(&cluster), url.clone());
        // The lock of the log, as long as nobody cancels it.
        let sql = "SELECT pg_advisory_xact_lock(1212953399, \
            current_schema()::regnamespace::oid::int), pg_sleep(25)";
        move || cluster.run(&url, sql)
    });
    let own = "database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let lock = format!("SELECT 1 FROM pg_locks WHERE classid = 1212953399 AND granted AND {own}");
    while cluster.run(&url, &lock).unwrap() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    store.keys().unwrap();
    store.version().unwrap();
    assert_eq!(store.begin("a", "k", &[1; 32], now()).unwrap(), Ticket::New);
    store.forget("a", "k").unwrap();
    store.append(&KEY, &[entry("A1")]).unwrap();
    let still = cluster.run(&url, &lock).unwrap();
    assert_eq!(still, 1, "it is held all the time");
    let cancel = format!(
        "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE granted AND {own} \
        AND classid = 1212953399"
    );
    cluster.run(&url, &cancel).unwrap();
    assert!(held.join().unwrap().is_err());
}

#[test]
fn what_is_shared_goes_away_and_comes_back() {
    // One of its own: others must not lose theirs.
    let Ok(cluster) = Cluster::start() else {
        assert!(Cluster::or_skip("what_is_shared_goes_away_and_comes_back").is_none());
        return;
    };
    let store = shared(&cluster.fresh().unwrap(), "one");
    let answer = FirstAnswer {
        status: 200,
        head: String::new(),
        body: b"{}".to_vec(),
    };
    store.begin("a", "k", &[1; 32], now()).unwrap();
    store.settle("a", "k", &answer).unwrap();
    store.append(&KEY, &[entry("A1")]).unwrap();
    for (signal, entries) in [("INT", 2), ("QUIT", 3)] {
        cluster.down(signal);
        let began = Instant::now();
        let away = |told: Option<StoreError>| {
            assert!(matches!(told, Some(StoreError::Unreachable(_))), "{told:?}");
        };
        away(store.version().err());
        away(store.begin("a", "k", &[1; 32], now()).err());
        away(store.append(&KEY, &[entry("A2")]).err());
        println!("told after {:?}", began.elapsed());
        cluster.up().unwrap();
        // At once: a connection that broke off meanwhile is none of the caller's business.
        let again = store.begin("a", "k", &[1; 32], now()).unwrap();
        assert_eq!(again, Ticket::Answered(answer.clone()));
        store.append(&KEY, &[entry("A2")]).unwrap();
        let whole = TrailCheck::Whole { entries };
        assert_eq!(store.verify_trail(&KEY).unwrap(), whole);
    }
    // And where nobody asked meanwhile.
    cluster.down("QUIT");
    cluster.up().unwrap();
    let again = store.begin("a", "k", &[1; 32], now()).unwrap();
    assert_eq!(again, Ticket::Answered(answer));
    store
        .settle(
            "a",
            "k2",
            &FirstAnswer {
                status: 1,
                head: String::new(),
                body: vec![],
            },
        )
        .unwrap();
}

/// A data directory with two keys, 1,234 entries and 70 answers.
fn filled(directory: &std::path::Path, keys: Option<&Keys>) {
    let mut options = SqliteOptions::default();
    options.keys = keys.cloned();
    drop(SqliteStore::open_with(directory, &options).unwrap());
    let store = AccessStore::open_with(directory, keys).unwrap();
    for (id, minutes) in [("b", 1), ("a", 1)] {
        let key = KeyRecord {
            id: id.into(),
            name: format!("{id} of Zürich"),
            digest: [id.as_bytes()[0]; 32],
            scopes: "read send".into(),
            created_at: now() + TimeDelta::minutes(minutes),
            expires_at: (id == "a").then(|| now() + TimeDelta::days(9)),
            revoked_at: (id == "b").then(|| now() + TimeDelta::hours(1)),
        };
        store.add_key(&key).unwrap();
    }
    let entries: Vec<TrailEntry> = (0..1_234).map(|n| entry(&format!("A{n}"))).collect();
    store.append(&KEY, &entries).unwrap();
    for n in 0..70_u8 {
        let key = format!("k{n}");
        store.begin("a", &key, &[n; 32], now()).unwrap();
        if n != 69 {
            let body = vec![n; 100];
            let head = "location: /1\n".into();
            let status = 201;
            let answer = FirstAnswer { status, head, body };
            store.settle("a", &key, &answer).unwrap();
        }
    }
}

fn copied_from(directory: &std::path::Path, keys: Option<&Keys>) {
    let Some(cluster) = Cluster::or_skip("keys_trail_and_answers_move_over") else {
        return;
    };
    let options = PostgresOptions::new(cluster.fresh().unwrap(), "copy");
    let with = |trail_key, trail_key_apart| {
        let how = CopyOptions {
            keys,
            trail_key,
            trail_key_apart,
        };
        copy_to_postgres(directory, &how, &options, |_, _| {})
    };
    let refused = with(None, false).unwrap_err().to_string();
    assert!(refused.contains("audit.key"), "{refused}");
    let another = TrailKey::new([8; 32]);
    let copied = with(Some(&KEY), false).unwrap();
    let rows = |name| {
        copied
            .iter()
            .find(|table| table.table == name)
            .unwrap()
            .rows
    };
    let counts = ["api_keys", "trail", "idempotency"].map(rows);
    assert_eq!(counts, [2, 1_234, 70]);
    // As a copy leaves it that broke off.
    for sql in [
        "DELETE FROM api_keys WHERE id = 'b'",
        "DELETE FROM idempotency WHERE key > 'k5'",
        "DROP TRIGGER trail_is_append_only ON trail",
        "DELETE FROM trail WHERE n > 777",
        "UPDATE trail_head SET n = 0, link = '', seal = ''",
        "ALTER SEQUENCE log_entries RESTART",
    ] {
        cluster.run(&options.url, sql).unwrap();
    }
    assert!(with(Some(&another), false).is_err(), "another secret");
    assert!(with(Some(&another), true).is_err(), "another secret");
    let again = with(Some(&KEY), false).unwrap();
    let trail = again.iter().find(|table| table.table == "trail").unwrap();
    assert_eq!((trail.rows, trail.before), (1_234, 777));

    let (file, shared) = (
        AccessStore::open_with(directory, keys).unwrap(),
        AccessStore::open_shared(&options).unwrap(),
    );
    assert_eq!(file.keys().unwrap(), shared.keys().unwrap());
    let key = shared.trail_key(None, None).unwrap().unwrap();
    for store in [&file, &shared] {
        let whole = |entries| TrailCheck::Whole { entries };
        assert_eq!(store.verify_trail(&key).unwrap(), whole(1_234));
        store.append(&key, &[entry("B1")]).unwrap();
        assert_eq!(store.verify_trail(&KEY).unwrap(), whole(1_235));
    }
    let page = |store: &AccessStore| store.trail_page(None, 2_000).unwrap();
    assert_eq!(page(&file), page(&shared));
    for n in [0, 5, 68, 69] {
        let begin = |store: &AccessStore| store.begin("a", &format!("k{n}"), &[n; 32], now());
        assert_eq!(begin(&file).unwrap(), begin(&shared).unwrap(), "{n}");
    }
}

#[test]
fn keys_trail_and_answers_move_over() {
    let directory = TempDir::new().unwrap();
    filled(directory.path(), None);
    copied_from(directory.path(), None);
}

#[test]
fn encrypted_answers_move_over_in_the_clear() {
    let directory = TempDir::new().unwrap();
    let secret = std::array::from_fn(|n| u8::try_from(n).unwrap() ^ 0x35);
    let keys: Keys = Keys::line("one", &secret).unwrap().parse().unwrap();
    filled(directory.path(), Some(&keys));
    copied_from(directory.path(), Some(&keys));
}

#[test]
fn a_broken_trail_moves_over_as_it_is() {
    let Some(cluster) = Cluster::or_skip("a_broken_trail_moves_over_as_it_is") else {
        return;
    };
    for (change, n) in [
        ("UPDATE trail SET target = '' WHERE n = 7", 7),
        ("DELETE FROM trail WHERE n = 8", 8),
        ("DELETE FROM trail WHERE n > 1230", 1_231),
        ("DELETE FROM trail_head", 1_235),
    ] {
        let directory = TempDir::new().unwrap();
        filled(directory.path(), None);
        let file = rusqlite::Connection::open(directory.path().join("access.db")).unwrap();
        let open = "DROP TRIGGER trail_is_never_changed; DROP TRIGGER trail_is_never_shortened;";
        file.execute_batch(&format!("{open} {change}")).unwrap();
        drop(file);
        let options = PostgresOptions::new(cluster.fresh().unwrap(), "copy");
        let how = CopyOptions {
            trail_key: Some(&KEY),
            trail_key_apart: true,
            ..CopyOptions::default()
        };
        copy_to_postgres(directory.path(), &how, &options, |_, _| {}).unwrap();
        let store = AccessStore::open_shared(&options).unwrap();
        assert!(store.trail_key(None, None).is_err(), "it is not kept there");
        let found = store.verify_trail(&KEY).unwrap();
        assert!(
            matches!(found, TrailCheck::Broken { n: at, .. } if at == n),
            "{change}: {found:?}"
        );
        // What comes behind it does not heal it.
        store.append(&KEY, &[entry("B1")]).unwrap();
        let found = store.verify_trail(&KEY).unwrap();
        assert!(matches!(found, TrailCheck::Broken { .. }), "{change}");
    }
}
