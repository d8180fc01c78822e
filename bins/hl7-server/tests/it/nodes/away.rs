//! What is kept of requests while the database that servers share is away.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hl7_mllp::MllpCodec;
use hl7_mllp::correlate::{Correlate, Hl7};
use medsynapse_store::testing::Cluster;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::codec::Encoder;

use super::access::{done, status, trail, until};
use crate::server::Server;

/// A broker that says when a message came, and answers when it is told to.
async fn slow_broker(came: Arc<Notify>, answer: Arc<Notify>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (came, answer) = (Arc::clone(&came), Arc::clone(&answer));
            tokio::spawn(async move {
                let (mut codec, mut unread) = (MllpCodec::new(), BytesMut::new());
                while let Ok(1..) = stream.read_buf(&mut unread).await {
                    while let Some(frame) = codec.decode(&mut unread).unwrap() {
                        let id = Hl7.control_id(&frame).unwrap().to_vec();
                        came.notify_one();
                        answer.notified().await;
                        let id = String::from_utf8(id).unwrap();
                        let ack = format!(
                            "MSH|^~\\&|B|H|||2023||ACK|X|P|2.3\rMSA|AA|{id}|Order registered.\r"
                        );
                        let mut out = BytesMut::new();
                        codec.encode(Bytes::from(ack), &mut out).unwrap();
                        stream.write_all(&out).await.unwrap();
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_and_kept_though_the_database_was_away() {
    // One of its own: others must not lose theirs.
    let Ok(cluster) = Cluster::start() else {
        assert!(
            Cluster::or_skip("an_answer_is_given_and_kept_though_the_database_was_away").is_none()
        );
        return;
    };
    let (came, answer) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let broker = slow_broker(Arc::clone(&came), Arc::clone(&answer)).await;
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let config = directory.path().join("broker.toml");
    let text = format!("[database]\nurl = \"{url}\"\n[gateway]\nbroker = \"{broker}\"\n");
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let servers = ["one", "two"]
        .map(|name| Server::start(&directory.path().join(name), &["--config", config]));
    let post = |server: &Server| {
        let asking = reqwest::Client::new()
            .post(format!("{}/api/orders", server.rest))
            .header("idempotency-key", "k")
            .json(&json!({"order": {
                "patient": {"id": "P1", "name": "DOE", "gender": "F"},
                "study": {"description": "CT HEAD"},
            }}));
        async {
            let answer = asking.send().await.unwrap();
            let replayed = answer.headers().contains_key("idempotent-replayed");
            let status = answer.status().as_u16();
            (status, replayed, answer.json::<Value>().await.unwrap())
        }
    };
    let first = tokio::spawn(post(&servers[0]));
    came.notified().await;
    cluster.down("QUIT");
    answer.notify_one();
    // The order was made, and that is what is said.
    let first = first.await.unwrap();
    assert_eq!((first.0, first.1), (201, false), "{}", first.2);
    cluster.up().unwrap();
    // And it is kept, as soon as it can be; nothing is made a second time meanwhile.
    until("the answer is kept", async || {
        let again = post(&servers[1]).await;
        assert!([201, 409].contains(&again.0), "{}", again.2);
        again == (201, true, first.2.clone())
    })
    .await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_while_the_database_is_away() {
    let Ok(cluster) = Cluster::start() else {
        assert!(Cluster::or_skip("a_server_ends_while_the_database_is_away").is_none());
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let server = Server::start(directory.path(), &["--database", &url]);
    cluster.down("QUIT");
    // Something that cannot be written down.
    assert_eq!(status(&server, "/no/such/route", "").await, 404);
    let began = std::time::Instant::now();
    server.signal("TERM");
    assert!(server.ended().success());
    println!("ended after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_says_what_is_missing() {
    const REQUESTS: usize = 5_500;
    let Ok(cluster) = Cluster::start() else {
        assert!(Cluster::or_skip("the_trail_says_what_is_missing").is_none());
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let server = Server::start(directory.path(), &["--database", &url]);
    assert_eq!(status(&server, "/api/hl7/types", "").await, 200);
    until("it is written", async || trail(&server, "").await.len() > 1).await;
    cluster.down("QUIT");
    // More than there is room for; nobody waits for it.
    let client = reqwest::Client::new();
    for _ in 0..REQUESTS {
        let asking = client.get(format!("{}/no/such/route", server.rest));
        assert_eq!(asking.send().await.unwrap().status().as_u16(), 404);
    }
    cluster.up().unwrap();
    let mut told = 0;
    until("the trail tells of all of them", async || {
        let items = trail(&server, "").await;
        let missed = items
            .iter()
            .filter(|item| item["action"] == "(entries lost)");
        let lost: usize = missed
            .map(|item| item["target"].as_str().unwrap().parse::<usize>().unwrap())
            .sum();
        let kept = items.iter().filter(|item| item["outcome"] == 404).count();
        told = lost;
        // Asking is written down too, and may have found no room at first.
        let asked = 100;
        (REQUESTS..REQUESTS + asked).contains(&(kept + lost)) && lost > 0
    })
    .await;
    println!("{told} of {REQUESTS} were lost");
    let whole = done(&url, &["audit", "verify"]);
    assert!(whole.contains("is whole"), "{whole}");
}
