//! What an attacker would try over HTTP, one test an attack.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::stream;
use medsynapse_http::{ApiKeys, App, Rate, Rates, Trail, router};
use medsynapse_store::{AccessStore, TrailCheck, TrailKey};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::bed::{Bed, order};

fn locked(app: &mut App) {
    app.api_keys = ApiKeys::new(["the one key"]);
}

#[tokio::test]
async fn a_body_of_100_mib_without_a_key_is_not_read() {
    let mut app = None;
    let _bed = Bed::with(|given| {
        locked(given);
        app = Some(given.clone());
    })
    .await;
    let taken = Arc::new(AtomicUsize::new(0));
    for path in ["/api/hl7", "/api/hl7/query", "/nowhere"] {
        let counter = Arc::clone(&taken);
        let chunks = (0..1_600).map(move |_| {
            counter.fetch_add(64 << 10, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 << 10]))
        });
        let request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "text/plain")
            .body(Body::from_stream(stream::iter(chunks)))
            .unwrap();
        let answer = router(app.clone().unwrap()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        assert_eq!(taken.load(Ordering::SeqCst), 0, "{path}");
    }
}

#[tokio::test]
async fn dns_rebinding_finds_no_name_to_call_by() {
    let bed = Bed::new().await;
    for host in [
        "rebound.example.com",
        "127.0.0.1.example.com:3000",
        "localhost.example.com",
    ] {
        let reply = bed
            .request("GET", "/api/hl7/messages", &[("Host", host)], b"")
            .await;
        assert_eq!(reply.error().0, 421, "{host}");
    }
}

#[tokio::test]
async fn no_host_and_two_hosts() {
    let bed = Bed::new().await;
    let none = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(bed.raw(none).await.status, 400);
    let two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\nConnection: close\r\n\r\n";
    assert_eq!(bed.raw(two).await.status, 400);
    let same = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(bed.raw(same).await.status, 400);
    let proxied = b"GET http://evil.test/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(bed.raw(proxied).await.status, 421);
}

#[tokio::test]
async fn csrf_from_a_page_of_another_site() {
    let bed = Bed::new().await;
    let post = |origin: &'static str, host: Option<&'static str>| {
        let bed = &bed;
        async move {
            let mut headers = vec![("Content-Type", "text/plain"), ("Origin", origin)];
            headers.extend(host.map(|host| ("Host", host)));
            bed.request("POST", "/api/hl7", &headers, &order("M1", "A1"))
                .await
                .status
        }
    };
    // An address is not a friend for being an address.
    for origin in [
        "https://evil.test",
        "null",
        "http://6.6.6.6",
        "http://10.0.0.8:5000",
        "file://",
    ] {
        assert_eq!(post(origin, None).await, 403, "{origin}");
    }
    assert_eq!(
        post("http://10.0.0.8:5000", Some("10.0.0.8:3000")).await,
        200
    );
    assert_eq!(post("http://127.0.0.1:5000", None).await, 200);
    assert_eq!(post("https://pacs.example.org", None).await, 200);
}

#[tokio::test]
async fn cors_is_off_until_an_origin_is_named() {
    let preflight = [
        ("Origin", "https://ris.example.org"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-api-key"),
    ];
    let bed = Bed::with(locked).await;
    let reply = bed.request("OPTIONS", "/api/hl7", &preflight, b"").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("access-control-allow-origin"), None);

    let named = |app: &mut App| {
        locked(app);
        app.access.origins = vec!["https://ris.example.org".into()];
    };
    let bed = Bed::with(named).await;
    let reply = bed.request("OPTIONS", "/api/hl7", &preflight, b"").await;
    assert_eq!(reply.status, 200);
    let allowed = reply.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://ris.example.org"));
    let key = ("x-api-key", "the one key");
    let sent = [preflight[0], key, ("Content-Type", "text/plain")];
    assert_eq!(
        bed.request("POST", "/api/hl7", &sent, &order("M1", "A1"))
            .await
            .status,
        200
    );
    let other = [("Origin", "https://evil.test"), preflight[1]];
    let reply = bed.request("OPTIONS", "/api/hl7", &other, b"").await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn clickjacking_and_sniffing_are_told_off() {
    let bed = Bed::new().await;
    for path in ["/", "/docs/", "/nowhere", "/api/hl7/messages"] {
        let reply = bed.get(path).await;
        assert_eq!(reply.header("x-frame-options"), Some("deny"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("script-src 'unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn decompression_bombs_are_not_taken() {
    let bed = Bed::new().await;
    for encoding in ["gzip", "br", "zstd", "gzip, gzip", "deflate"] {
        let headers = [
            ("Content-Type", "text/plain"),
            ("Content-Encoding", encoding),
        ];
        let reply = bed
            .request("POST", "/api/hl7", &headers, &[0x1F, 0x8B, 8, 0])
            .await;
        assert_eq!(reply.error().0, 415, "{encoding}");
    }
}

#[tokio::test]
async fn an_acknowledgement_that_nobody_asked_for_changes_nothing() {
    let bed = Bed::new().await;
    bed.send(&order("M1", "A1")).await;
    let ack = b"MSH|^~\\&|PACS|R|RIS|H|20230614131415||ACK|X1|P|2.3\rMSA|AR|M1|Forged\r";
    assert_eq!(bed.post("/api/hl7", "text/plain", ack).await.error().0, 422);
    let message = bed.get("/api/hl7/messages/1").await.json();
    assert_eq!(message["acknowledgmentCode"], "AA");
    assert_eq!(bed.get("/api/hl7/messages").await.json()["totalCount"], 1);
}

#[tokio::test]
async fn a_path_leads_nowhere_but_to_a_route() {
    let bed = Bed::new().await;
    for path in [
        "/docs/../../etc/passwd",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
        "/api/hl7/messages/..%2f1",
        "/api/hl7/messages/1%00",
    ] {
        let reply = bed.get(path).await;
        assert!(
            [400, 404].contains(&reply.status),
            "{path}: {}",
            reply.status
        );
        assert!(
            !String::from_utf8_lossy(&reply.body).contains("root:"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn keys_are_not_guessed_fast() {
    let bed = Bed::with(|app| {
        locked(app);
        let few = Rate {
            burst: NonZeroU32::new(5).unwrap(),
            per_minute: NonZeroU32::MIN,
        };
        app.access.rates = Arc::new(Rates::new(None, few));
    })
    .await;
    for _ in 0..5 {
        assert_eq!(
            bed.get("/").await.error(),
            (401, "Unauthorized: Invalid API key".into())
        );
    }
    let reply = bed.get("/").await;
    assert_eq!(reply.error().0, 429);
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    // Who has a key is not locked out by somebody else behind the same address.
    let right = [("x-api-key", "the one key")];
    assert_eq!(bed.request("GET", "/", &right, b"").await.status, 200);
}

#[tokio::test]
async fn one_address_cannot_ask_without_end() {
    let bed = Bed::with(|app| {
        let few = Rate {
            burst: NonZeroU32::new(3).unwrap(),
            per_minute: NonZeroU32::MIN,
        };
        app.access.rates = Arc::new(Rates::new(Some(few), few));
    })
    .await;
    for _ in 0..3 {
        assert_eq!(bed.get("/").await.status, 200);
    }
    assert_eq!(bed.get("/").await.error().0, 429);
}

#[tokio::test]
async fn every_attempt_is_written_down_and_none_can_be_taken_back() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(AccessStore::open(directory.path()).unwrap());
    let key = TrailKey::new([5; 32]);
    let trail = Trail::start(Arc::clone(&store), key.clone()).unwrap();
    let bed = Bed::with(|app| {
        locked(app);
        app.access.trail = Some(trail.clone());
    })
    .await;
    let with_key = [
        ("x-api-key", "the one key"),
        ("Content-Type", "application/json"),
    ];
    bed.get("/api/hl7/messages?patient=PAT%20789").await;
    bed.request("GET", "/api/hl7/messages/7", &with_key, b"")
        .await;
    let question = br#"{"queryType":"patient_studies","patientId":"PAT 789"}"#;
    bed.request("POST", "/api/hl7/query", &with_key, question)
        .await;
    bed.request("GET", "/no%0aforged%1b[2J", &with_key, b"")
        .await;
    bed.request("GET", "/", &[("Host", "evil.test")], b"").await;
    bed.get("/api/v1/health/live").await;
    let wait = async {
        while store.trail_page(None, 100).unwrap().items.len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap();
    let mut items = store.trail_page(None, 100).unwrap().items;
    items.reverse();
    let entries: Vec<_> = items.iter().map(|item| &item.entry).collect();
    let patient = Some(key.patient("PAT 789"));
    let check = |n: usize, who: &str, action: &str, target: &str, outcome: u16| {
        let entry = entries[n];
        assert_eq!(
            (
                entry.who.as_str(),
                entry.action.as_str(),
                entry.target.as_str(),
                entry.outcome
            ),
            (who, action, target, outcome)
        );
    };
    check(0, "unknown", "GET /api/hl7/messages", "", 401);
    assert_eq!(entries[0].patient, patient);
    check(1, "key:config-1", "GET /api/hl7/messages/{id}", "7", 404);
    check(2, "key:config-1", "POST /api/hl7/query", "", 200);
    assert_eq!(entries[2].patient, patient);
    check(3, "key:config-1", "GET (no such route)", "", 404);
    check(4, "unknown", "GET /", "", 421);
    assert!(
        entries
            .iter()
            .all(|entry| entry.peer.starts_with("127.0.0.1:"))
    );
    assert_eq!(
        store.verify_trail(&key).unwrap(),
        TrailCheck::Whole { entries: 5 }
    );
    let file = std::fs::read(directory.path().join("access.db-wal")).unwrap();
    assert!(
        !file.windows(7).any(|seven| seven == b"PAT 789"),
        "a patient id in the trail"
    );
}
