//! Servers on one PostgreSQL: how they are configured, and what they do together.

mod access;
mod away;
#[cfg(target_os = "linux")]
mod balancers;
mod cursors;
mod dump;
mod group;
#[cfg(target_os = "linux")]
mod house;
#[cfg(target_os = "linux")]
mod place;
mod settings;
mod splitter;
mod unknown;

use std::time::{Duration, Instant};

use medsynapse_store::testing::Cluster;
use tempfile::TempDir;

use crate::server::{PATIENCE, Server, command, order, run};

/// What `check-config` says of a database.
fn checked(url: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = TempDir::new().unwrap();
    let mut command = command(directory.path());
    command.args(["check-config", "--database", url]);
    command.envs(environment.iter().copied());
    let (code, out, error) = run(command);
    (code, out + &error)
}

#[test]
fn check_config_says_what_is_wrong_with_the_database() {
    let says = |url: &str, words: &[&str]| {
        let (code, said) = checked(url, &[]);
        assert_eq!(code, Some(2), "{said}");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    says("mysql://u@h/m", &["--database", "postgres://USER"]);
    says("postgres://u:secret@h/m", &["HL7_DATABASE_PASSWORD"]);
    let away = "postgres://u@127.0.0.1:1/m";
    says(away, &["127.0.0.1:1/m", "refused", "PostgreSQL runs there"]);
    let Some(cluster) = Cluster::or_skip("check_config_says_what_is_wrong_with_the_database")
    else {
        return;
    };
    let nowhere = cluster.url("nowhere");
    says(&nowhere, &["does not exist", "CREATE DATABASE"]);
    let stranger = nowhere.replace("medsynapse@", "stranger@");
    says(&stranger, &["role \"stranger\"", "pg_hba.conf"]);
    says(
        &format!("{nowhere}?sslmode=require"),
        &["TLS", "sslrootcert"],
    );
    let (code, said) = checked(&cluster.fresh().unwrap(), &[]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "The configuration is good.\n")
    );
}

async fn ready(server: &Server) -> bool {
    let path = format!("{}/api/v1/health/ready", server.rest);
    reqwest::get(path)
        .await
        .is_ok_and(|answer| answer.status().is_success())
}

async fn becomes(server: &Server, wanted: bool) -> Duration {
    let began = Instant::now();
    while ready(server).await != wanted {
        assert!(began.elapsed() < PATIENCE, "ready is not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_outlives_its_database() {
    // One of its own: others must not lose theirs.
    let Ok(cluster) = Cluster::start() else {
        assert!(Cluster::or_skip("a_server_outlives_its_database").is_none());
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let server = Server::start(directory.path(), &["--database", &url]);
    let mut client = server.client().await;
    let answer = client.exchange(order(1).as_bytes()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("|AA|M1|"));
    assert!(ready(&server).await);
    cluster.down("QUIT");
    let answer = client.exchange(order(2).as_bytes()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("|AE|M2|"));
    becomes(&server, false).await;
    cluster.up().unwrap();
    // Nobody sends meanwhile: a balancer must see it all the same.
    let back = becomes(&server, true).await;
    println!("ready {back:?} after the database came back");
    let answer = client.exchange(order(2).as_bytes()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("|AA|M2|"));
    let orders = server.get("/api/v1/orders").await;
    let orders = orders.to_string();
    assert!(
        orders.contains("\"A1\"") && orders.contains("\"A2\""),
        "{orders}"
    );
}

#[test]
fn commands_for_the_file_say_that_they_are() {
    let directory = TempDir::new().unwrap();
    let mut command = command(directory.path());
    command.args(["--database", "postgres://u@localhost/m"]);
    command.args(["backup", "copy.db"]);
    let (code, _, error) = run(command);
    assert_eq!(code, Some(1));
    assert!(error.contains("pg_dump"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_moves_over() {
    let Some(cluster) = Cluster::or_skip("a_broker_moves_over") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let from = format!("sqlite:{}", directory.path().display());
    let copy = || {
        let mut command = command(TempDir::new().unwrap().path());
        command.args(["copy", "--from", &from, "--to", &url]);
        run(command)
    };
    let server = Server::start(directory.path(), &[]);
    let mut client = server.client().await;
    for number in 0..20 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    let (code, _, error) = copy();
    assert_eq!(code, Some(1));
    assert!(error.contains("stop it first"), "{error}");
    server.kill();
    let (code, _, error) = copy();
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("orders: 20 rows"), "{error}");
    let (code, _, error) = copy();
    assert_eq!(code, Some(1));
    assert!(error.contains("empty database"), "{error}");
    // What was taken before is known, and it goes on behind it.
    let server = Server::start(directory.path(), &["--database", &url]);
    let mut client = server.client().await;
    let answer = client.exchange(order(7).as_bytes()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("Order registered."));
    let answer = client.exchange(order(20).as_bytes()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("Order registered."));
    let messages = server.get("/api/v1/messages").await.to_string();
    assert!(messages.contains("\"id\":21") && !messages.contains("\"id\":22"));
}
