//! A demo: generated messages, and a RIS to be told of studies.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server::{PATIENCE, Server, order};

#[tokio::test]
async fn a_demo_brings_a_ris_that_is_told_of_studies() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &["--demo", "0"]);
    let mut client = server.client().await;
    client.exchange(order(1).as_bytes()).await.unwrap();
    let lanes = server.get("/api/v1/outbox/lanes").await;
    let lane = &lanes["items"][0];
    assert_eq!(lane["destination"], "demo-ris", "{lanes}");
    assert_eq!(lane["phase"], "idle", "{lanes}");
    assert_eq!(lane["queued"], 0, "{lanes}");
    let orders = server.get("/api/v1/orders").await;
    let accession = orders["items"][0]["accessionNumber"].as_str().unwrap();
    let done = reqwest::Client::new()
        .post(format!("{}/api/v1/orders/{accession}/status", server.rest))
        .json(&serde_json::json!({"status": "completed"}))
        .send()
        .await
        .unwrap();
    assert!(done.status().is_success(), "{}", done.status());
    let start = Instant::now();
    loop {
        let outbox = server.get("/api/v1/outbox").await;
        let item = &outbox["items"][0];
        if item["state"] == "sent" {
            assert_eq!(item["destination"], "demo-ris");
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{outbox}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn without_a_demo_nobody_is_told() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    let lanes = server.get("/api/v1/outbox/lanes").await;
    assert_eq!(lanes, serde_json::json!({"items": [], "next": null}));
}
