//! What every request passes: names, keys, methods, failures of the store.

use std::sync::Arc;

use medsynapse_http::{ApiKeys, App};
use medsynapse_store::testing::{Call, Failing};
use medsynapse_store::{SqliteStore, StoreError};
use serde_json::json;

use crate::bed::{Bed, order};

#[tokio::test]
async fn the_index() {
    let bed = Bed::new().await;
    let json = bed.get("/").await.json();
    assert_eq!(json["conformance"], "Medsynapse PACS v3.0.0.6");
    assert_eq!(json["version"], "1.2.3");
    assert_eq!(
        json["endpoints"]["restApi"],
        format!("http://{}/api/hl7", bed.address)
    );
    assert_eq!(json["endpoints"]["mllpServer"], "127.0.0.1:2575");
    assert!(json["message"].is_string() && json["links"].is_object());
}

#[tokio::test]
async fn routes_and_methods_that_are_not_there() {
    let bed = Bed::new().await;
    assert_eq!(bed.get("/nowhere").await.error().0, 404);
    for (method, path, allow) in [
        ("GET", "/api/hl7", "post"),
        ("DELETE", "/api/hl7/messages", "get,head"),
        ("POST", "/api/v1/health/live", "get,head"),
    ] {
        let reply = bed.request(method, path, &[], b"").await;
        assert_eq!(reply.error().0, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allow));
    }
}

#[tokio::test]
async fn keys() {
    let locked = |app: &mut App| app.api_keys = ApiKeys::new(["one", "two"]);
    let bed = Bed::with(locked).await;
    let refused = (401, "Unauthorized: Invalid API key".to_owned());
    for path in ["/", "/api/hl7/messages", "/api/hl7/types", "/nowhere"] {
        assert_eq!(bed.get(path).await.error(), refused, "{path}");
        for key in ["three", "", "one "] {
            let reply = bed
                .request("GET", path, &[("X-Api-Key", &format!("{key}x"))], b"")
                .await;
            assert_eq!(reply.error(), refused);
        }
        let twice = [("x-api-key", "one"), ("x-api-key", "two")];
        assert_eq!(bed.request("GET", path, &twice, b"").await.error(), refused);
    }
    for key in ["one", "two"] {
        let reply = bed
            .request("GET", "/api/hl7/types", &[("x-api-key", key)], b"")
            .await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(bed.get("/api/v1/health/live").await.status, 200);
}

#[tokio::test]
async fn a_wrong_key_is_refused_before_the_body_is_sent() {
    let bed = Bed::with(|app| app.api_keys = ApiKeys::new(["one"])).await;
    let head = "POST /api/hl7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\n";
    assert_eq!(bed.raw(head.as_bytes()).await.error().0, 401);
}

#[tokio::test]
async fn names_of_others_are_not_answered() {
    let bed = Bed::new().await;
    for host in [
        "localhost",
        "127.0.0.1:3000",
        "[::1]:3000",
        "pacs.example.org",
    ] {
        assert_eq!(
            bed.request("GET", "/", &[("Host", host)], b"").await.status,
            200,
            "{host}"
        );
    }
    for host in ["evil.test", "localhost.evil.test:3000", "x@localhost"] {
        let reply = bed.request("GET", "/", &[("Host", host)], b"").await;
        assert_eq!(reply.error().0, 421, "{host}");
    }
    let url = "GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n";
    assert_eq!(bed.raw(url.as_bytes()).await.error().0, 421);
}

#[tokio::test]
async fn pages_of_others_do_not_send() {
    let bed = Bed::new().await;
    let send = |origin: &'static str| {
        let bed = &bed;
        async move {
            let headers = [("Content-Type", "text/plain"), ("Origin", origin)];
            bed.request("POST", "/api/hl7", &headers, &order("MSG1", "ACC1"))
                .await
                .status
        }
    };
    assert_eq!(send("http://localhost:5000").await, 200);
    for origin in ["https://evil.test", "null", "http://localhost.evil.test"] {
        assert_eq!(send(origin).await, 403, "{origin}");
    }
}

#[tokio::test]
async fn health() {
    let bed = Bed::new().await;
    assert_eq!(
        bed.get("/api/v1/health/live").await.json(),
        json!({"status": "live"})
    );
    assert_eq!(
        bed.get("/api/v1/health/ready").await.json(),
        json!({"status": "ready"})
    );
}

#[tokio::test]
async fn a_store_that_fails_is_said_without_details() {
    let directory = tempfile::TempDir::new().unwrap();
    let store = Arc::new(SqliteStore::open(directory.path()).unwrap());
    let broken = Failing::new(store, |call| {
        assert_ne!(call, Call::Read("message_types"), "SECRET");
        Some(StoreError::Database("SECRET: no such table".into()))
    });
    let bed = Bed::over(Arc::new(broken), |_| {}).await;
    let unavailable = (
        503,
        "The message store does not answer; try again later".to_owned(),
    );
    for path in ["/api/hl7/messages", "/api/hl7/messages/1", "/api/hl7/types"] {
        let reply = bed.get(path).await;
        assert_eq!(reply.error(), unavailable, "{path}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("SECRET"));
    }
    let question = json!({"queryType": "patient_studies", "patientId": "P1"});
    assert_eq!(
        bed.post_json("/api/hl7/query", &question).await.error(),
        unavailable
    );
    assert_eq!(bed.get("/api/v1/health/ready").await.error().0, 503);
    assert_eq!(bed.get("/api/v1/health/live").await.status, 200);

    let reply = bed.send(&order("MSG1", "ACC1")).await;
    assert_eq!(
        (reply.error().0, reply.header("hl7-ack-code")),
        (503, Some("ae"))
    );
    assert!(
        reply.json()["acknowledgment"]
            .as_str()
            .unwrap()
            .contains("MSA|AE|MSG1|")
    );
    assert!(!String::from_utf8_lossy(&reply.body).contains("SECRET"));
}
