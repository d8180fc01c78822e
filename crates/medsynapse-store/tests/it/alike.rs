//! The contract, kept by both stores, and both alike.

use medsynapse_store::testing::Cluster;
use medsynapse_store::{PostgresOptions, PostgresStore, SqliteStore, contract};
use tempfile::TempDir;

fn sqlite() -> (TempDir, SqliteStore) {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    (directory, store)
}

#[test]
fn sqlite_keeps_the_contract() {
    let (_directory, store) = sqlite();
    contract::keep(&store);
}

#[test]
fn postgres_keeps_the_contract() {
    let Some(cluster) = Cluster::or_skip("postgres_keeps_the_contract") else {
        return;
    };
    let options = PostgresOptions::new(cluster.fresh().unwrap(), "one");
    contract::keep(&PostgresStore::open(&options).unwrap());
}

#[test]
fn sqlite_and_sqlite_are_alike() {
    let (_one, one) = sqlite();
    let (_two, two) = sqlite();
    contract::alike(&one, &two, 1, 32);
}

#[test]
fn sqlite_and_postgres_are_alike() {
    let Some(cluster) = Cluster::or_skip("sqlite_and_postgres_are_alike") else {
        return;
    };
    for seed in 0..6 {
        let (_directory, sqlite) = sqlite();
        let options = PostgresOptions::new(cluster.fresh().unwrap(), "one");
        let postgres = PostgresStore::open(&options).unwrap();
        contract::alike(&sqlite, &postgres, seed, 48);
    }
}
