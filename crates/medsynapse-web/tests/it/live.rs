//! `GET /events`.

use std::time::Duration;

use medsynapse_web::WebLimits;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::bed::{Bed, order};

/// Reads until `text` came; all that came.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = String::new();
    let mut chunk = [0; 1024];
    let reading = async {
        while !seen.contains(text) {
            let count = stream.read(&mut chunk).await.unwrap();
            assert!(count > 0, "the stream ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .expect(text);
    seen
}

#[tokio::test]
async fn messages_are_told() {
    let bed = Bed::new().await;
    let mut page = bed.open("/events", "").await;
    let head = until(&mut page, "event: ready").await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(
        head.contains("cache-control: no-cache") || head.contains("no-store"),
        "{head}"
    );
    bed.send(&order(1)).await;
    until(
        &mut page,
        "event: messages\ndata: {\"count\":1,\"lastId\":1}",
    )
    .await;
    // A resent message is nothing new.
    bed.send(&order(1)).await;
    bed.send(&order(2)).await;
    until(&mut page, "\"lastId\":2}").await;
}

#[tokio::test]
async fn a_page_that_is_behind_is_told_to_look_for_itself() {
    let bed = Bed::new().await;
    let mut page = bed.open("/events", "").await;
    until(&mut page, "event: ready").await;
    for _ in 0..5_000 {
        bed.broker
            .publish(medsynapse_broker::EventKind::MessageReceived { message_id: 1 });
    }
    until(&mut page, "event: lagged").await;
    bed.send(&order(1)).await;
    until(&mut page, "event: messages").await;
}

#[tokio::test]
async fn pages_that_listen_are_counted_and_let_go() {
    let bed = Bed::with(WebLimits {
        listeners_max: 1,
        ..WebLimits::default()
    })
    .await;
    let mut page = bed.open("/events", "").await;
    until(&mut page, "event: ready").await;
    assert_eq!(bed.get("/events").await.status, 503);
    bed.stop.send(true).unwrap();
    let mut rest = Vec::new();
    let end = page.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(10), end)
        .await
        .unwrap()
        .unwrap();
}
