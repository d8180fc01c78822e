//! What is older than it has to be kept goes, from both stores alike, by one server at a time.

use chrono::{DateTime, TimeDelta, Utc};
use medsynapse_store::contract::{Script, alike_from};
use medsynapse_store::testing::Cluster;
use medsynapse_store::{
    OrderStep, PostgresOptions, PostgresStore, Purged, SqliteStore, Store, StoreError,
};
use tempfile::TempDir;

fn dawn() -> DateTime<Utc> {
    DateTime::from_timestamp(1_686_748_456, 0).unwrap()
}

fn server(url: &str, node: &str) -> PostgresStore {
    PostgresStore::open(&PostgresOptions::new(url, node)).unwrap()
}

#[test]
fn the_same_goes_from_both_stores() {
    let Some(cluster) = Cluster::or_skip("the_same_goes_from_both_stores") else {
        return;
    };
    let mut all = Purged::default();
    for seed in 0..3 {
        let directory = TempDir::new().unwrap();
        let sqlite = SqliteStore::open(directory.path()).unwrap();
        let postgres = server(&cluster.fresh().unwrap(), "one");
        let mut script = Script::new(100 + seed, dawn());
        let mut days = 0;
        for round in 0..60 {
            let batch = script.batch();
            let done = sqlite.apply(&batch);
            postgres.apply(&batch);
            script.learn(&done);
            script.advance(TimeDelta::days(1));
            days += 1;
            if round % 20 == 19 {
                let before = dawn() + TimeDelta::days(days - 5);
                let (one, two) = (sqlite.purge(before), postgres.purge(before));
                let (one, two) = (one.run().unwrap(), two.unwrap().unwrap().run().unwrap());
                assert_eq!(one, two, "seed {seed}, day {days}");
                all.orders += one.orders;
                all.messages += one.messages;
                all.patients += one.patients;
            }
        }
        alike_from(&sqlite, &postgres, script, 16);
    }
    assert!(all.orders > 0 && all.messages > 0, "{all:?}");
}

/// So many completed orders, and the moment after which they are old.
fn completed(server: &PostgresStore, orders: u32) -> (Script, DateTime<Utc>) {
    let mut script = Script::new(41, dawn());
    for n in 0..orders {
        let id = format!("OLD{n}");
        let work = [script.order("NW", &id, "P1"), script.order("CM", &id, "P1")];
        assert!(server.apply(&work).iter().all(Result::is_ok));
    }
    script.advance(TimeDelta::days(9));
    (script, dawn() + TimeDelta::days(8))
}

#[test]
fn one_server_purges_at_a_time_and_another_goes_on_where_it_dies() {
    let Some(cluster) = Cluster::or_skip("one_server_purges_at_a_time") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let (one, two) = (server(&url, "one"), server(&url, "two"));
    let (_, before) = completed(&one, 250);
    let mut first = one.purge(before).unwrap().expect("nobody is at it");
    assert!(two.purge(before).unwrap().is_none());
    // Looks, and takes out the first ones.
    assert!(first.step().unwrap() && first.step().unwrap());
    assert_eq!(first.purged().orders, 200);
    assert!(two.purge(before).unwrap().is_none());
    // As if it had stood still for a minute.
    let over = "UPDATE lanes SET expires_at = clock_timestamp() RETURNING 1";
    assert_eq!(cluster.run(&url, over).unwrap(), 1);
    let second = two.purge(before).unwrap().expect("it is free again");
    assert!(matches!(first.step(), Err(StoreError::LaneLost)));
    // What the first one says then is not heard.
    drop(first);
    assert!(one.purge(before).unwrap().is_none());
    let purged = second.run().unwrap();
    assert_eq!(
        (purged.orders, purged.messages, purged.patients),
        (50, 500, 1)
    );
    // Given back, it is free at once.
    let again = one.purge(before).unwrap().expect("it is free");
    assert_eq!(again.run().unwrap(), Purged::default());
}

#[test]
fn what_changed_since_it_was_looked_at_stays() {
    let Some(cluster) = Cluster::or_skip("what_changed_since_it_was_looked_at_stays") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let (one, two) = (server(&url, "one"), server(&url, "two"));
    let (mut script, before) = completed(&one, 3);
    let mut purge = one.purge(before).unwrap().unwrap();
    assert!(purge.step().unwrap(), "it is looked");
    // Another server hears of one of them, and tells the RIS of another.
    let changed = two.apply(&[
        script.order("XO", "OLD0", "P1"),
        script.step("OLD1", OrderStep::Read),
    ]);
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
    while purge.step().unwrap() {}
    assert_eq!(purge.purged().orders, 1);
    let left = |id: &str| two.order(&id.try_into().unwrap()).unwrap().is_some();
    assert!(left("OLD0") && left("OLD1") && !left("OLD2"));
    assert!(two.next_outgoing("first").unwrap().is_some());
}
