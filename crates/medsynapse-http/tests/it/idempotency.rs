//! `Idempotency-Key`.

use std::sync::Arc;

use medsynapse_http::App;
use medsynapse_store::AccessStore;
use serde_json::json;
use tempfile::TempDir;

use crate::bed::{Bed, Reply, order};
use crate::orders::with_mllp;

async fn bed(directory: &TempDir) -> Bed {
    let store = Arc::new(AccessStore::open(directory.path()).unwrap());
    with_mllp(|app: &mut App| app.access.answers = Some(store)).await
}

async fn post(bed: &Bed, path: &str, key: &str, body: &[u8]) -> Reply {
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    bed.request("POST", path, &headers, body).await
}

#[tokio::test]
async fn an_order_that_is_sent_again_is_made_once() {
    let directory = TempDir::new().unwrap();
    let bed = bed(&directory).await;
    let body = json!({"order": {
        "patient": {"id": "P1", "name": "DOE", "gender": "F"}, "study": {"description": "CT HEAD"},
    }})
    .to_string();
    let first = post(&bed, "/api/orders", "k1", body.as_bytes()).await;
    assert_eq!(first.status, 201);
    let again = post(&bed, "/api/orders", "k1", body.as_bytes()).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("hl7-ack-code"), Some("aa"));
    assert_eq!(bed.get("/api/hl7/messages").await.json()["totalCount"], 1);

    let other = post(&bed, "/api/orders", "k1", b"{}").await;
    assert_eq!(other.error().0, 422);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
    let elsewhere = post(&bed, "/api/v1/parse", "k1", body.as_bytes()).await;
    assert_eq!(elsewhere.error().0, 422);
    let next = post(&bed, "/api/orders", "k2", body.as_bytes()).await;
    assert_eq!(next.status, 201);
    assert_ne!(next.body, first.body);
}

#[tokio::test]
async fn ten_at_once_make_one() {
    let directory = TempDir::new().unwrap();
    let bed = Arc::new(bed(&directory).await);
    let message = order("M1", "A1");
    let body = json!({"message": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, message)});
    let body = Arc::new(body.to_string());
    let sending = (0..10).map(|_| {
        let (bed, body) = (Arc::clone(&bed), Arc::clone(&body));
        tokio::spawn(async move { post(&bed, "/api/hl7", "k", body.as_bytes()).await })
    });
    let mut answers = Vec::new();
    for sent in sending.collect::<Vec<_>>() {
        answers.push(sent.await.unwrap());
    }
    // Those that came later have waited for the first one's answer.
    let alike = |answer: &Reply| answer.status == 200 && answer.body == answers[0].body;
    assert!(answers.iter().all(alike));
    let replayed = |answer: &&Reply| answer.header("idempotent-replayed").is_some();
    assert_eq!(answers.iter().filter(replayed).count(), 9);
    let stored = bed.get("/api/hl7/messages").await.json();
    assert_eq!(
        (
            &stored["totalCount"],
            &stored["messages"][0]["retransmissions"]
        ),
        (&1.into(), &0.into())
    );
}

#[tokio::test]
async fn keys_that_are_none() {
    let directory = TempDir::new().unwrap();
    let bed = bed(&directory).await;
    for key in ["", &"k".repeat(256)] {
        assert_eq!(
            post(&bed, "/api/v1/parse", key, b"{}").await.error().0,
            400,
            "{key}"
        );
    }
    let bed = Bed::new().await;
    assert_eq!(post(&bed, "/api/v1/parse", "k", b"{}").await.error().0, 400);
}
