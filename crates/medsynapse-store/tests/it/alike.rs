//! The contract, kept by both stores, and both alike.

use medsynapse_store::testing::Cluster;
use medsynapse_store::{
    Keys, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, contract,
};
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

fn encrypted() -> (TempDir, SqliteStore) {
    let directory = TempDir::new().unwrap();
    let secret = std::array::from_fn(|n| u8::try_from(n).unwrap() ^ 0x35);
    let mut options = SqliteOptions::default();
    options.keys = Some(Keys::line("one", &secret).unwrap().parse().unwrap());
    let store = SqliteStore::open_with(directory.path(), &options).unwrap();
    (directory, store)
}

#[test]
fn an_encrypted_one_keeps_the_contract() {
    let (_directory, store) = encrypted();
    contract::keep(&store);
}

#[test]
fn plain_and_encrypted_are_alike() {
    for seed in 0..4 {
        let (_one, plain) = sqlite();
        let (_two, encrypted) = encrypted();
        contract::alike(&plain, &encrypted, seed, 48);
    }
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
