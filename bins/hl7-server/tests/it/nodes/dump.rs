//! What `pg_dump` takes of a running database is a database.

use std::process::{Command, Stdio};

use medsynapse_store::testing::Cluster;
use tempfile::TempDir;

use super::access::{done, status, trail, until};
use crate::server::{Server, order};

/// Whether the clients of PostgreSQL are there; says so where they are not.
fn clients() -> bool {
    let there = |program| {
        let mut asked = Command::new(program);
        let asked = asked.arg("--version").stdout(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let both = there("pg_dump") && there("psql");
    if !both {
        println!("skipped: a_dump_is_a_database: pg_dump and psql are not installed");
    }
    both
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_is_a_database() {
    let Some(cluster) = Cluster::or_skip("a_dump_is_a_database") else {
        return;
    };
    if !clients() {
        return;
    }
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let secret = done(&url, &["keys", "add", "all", "--scopes", "admin"]);
    let server = Server::start(&directory.path().join("one"), &["--database", &url]);
    let mut client = server.client().await;
    for number in 0..20 {
        client.exchange(order(number).as_bytes()).await.unwrap();
        let path = format!("/api/v1/orders/A{number}");
        assert_eq!(status(&server, &path, &secret).await, 200);
    }
    until("it is written", async || {
        trail(&server, &secret).await.len() > 20
    })
    .await;
    let dump = Command::new("pg_dump").arg(&url).output().unwrap();
    let told = String::from_utf8_lossy(&dump.stderr).into_owned();
    assert!(dump.status.success(), "{told}");
    let file = directory.path().join("dump.sql");
    std::fs::write(&file, &dump.stdout).unwrap();
    let restored = cluster.fresh().unwrap();
    let psql = Command::new("psql")
        .args(["-q", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&file)
        .arg(&restored)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&psql.stderr).into_owned();
    assert!(psql.status.success(), "{told}");

    let whole = done(&restored, &["audit", "verify"]);
    assert!(whole.contains("is whole"), "{whole}");
    let server = Server::start(&directory.path().join("two"), &["--database", &restored]);
    assert_eq!(status(&server, "/api/v1/orders/A19", "wrong").await, 401);
    assert_eq!(status(&server, "/api/v1/orders/A19", &secret).await, 200);
    // It goes on: messages, keys, the trail.
    let mut client = server.client().await;
    let answer = client.exchange(order(20).as_bytes()).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("Order registered."), "{answer}");
    let before = trail(&server, &secret).await.len();
    until("the trail goes on", async || {
        trail(&server, &secret).await.len() > before
    })
    .await;
    done(&restored, &["audit", "verify"]);
    let id = done(&restored, &["keys", "list"]);
    done(
        &restored,
        &["keys", "revoke", id.split(' ').next().unwrap()],
    );
    until("it is taken back", async || {
        status(&server, "/api/v1/orders/A19", &secret).await == 401
    })
    .await;
    for change in ["DELETE FROM trail", "UPDATE trail SET outcome = 1"] {
        assert!(cluster.run(&restored, change).is_err(), "{change}");
    }
}
