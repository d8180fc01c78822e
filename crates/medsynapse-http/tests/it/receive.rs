//! `POST /api/hl7`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use medsynapse_http::{App, Limits};
use serde_json::json;

use crate::bed::{Bed, order};

#[tokio::test]
async fn an_order_is_received() {
    let bed = Bed::new().await;
    let reply = bed.send(&order("MSG1", "ACC1")).await;
    assert_eq!(
        (reply.status, reply.header("hl7-ack-code")),
        (200, Some("aa"))
    );
    let json = reply.json();
    assert_eq!(json["message"], "Message received successfully");
    assert_eq!(json["messageId"], 1);
    let ack = json["acknowledgment"].as_str().unwrap();
    assert!(
        ack.starts_with("MSH|^~\\&|PACS_APP|PACS_FACILITY|RIS|HOSPITAL|"),
        "{ack}"
    );
    assert!(ack.contains("\rMSA|AA|MSG1|Order registered."), "{ack}");
    assert_eq!(json.as_object().unwrap().len(), 3);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_resent_message_has_its_first_answer() {
    let bed = Bed::new().await;
    let first = bed.send(&order("MSG1", "ACC1")).await.json();
    let again = bed.send(&order("MSG1", "ACC1")).await.json();
    assert_eq!(again["messageId"], first["messageId"]);
    assert_eq!(again["duplicate"], true);
}

#[tokio::test]
async fn a_message_as_it_is_has_its_acknowledgement_in_kind() {
    let bed = Bed::new().await;
    for (n, kind) in [
        "application/hl7-v2",
        "x-application/hl7-v2+er7; charset=utf-8",
        "Text/Plain",
    ]
    .iter()
    .enumerate()
    {
        let message = order(&format!("MSG{n}"), &format!("ACC{n}"));
        let reply = bed.post("/api/hl7", kind, &message).await;
        assert_eq!(
            (reply.status, reply.header("hl7-ack-code")),
            (200, Some("aa"))
        );
        let answered = kind.split(';').next().unwrap().to_ascii_lowercase();
        assert_eq!(reply.header("content-type"), Some(answered.as_str()));
        assert!(reply.body.starts_with(b"MSH|^~\\&|"));
    }
    let reply = bed.post("/api/hl7", "text/plain", b"no message").await;
    assert_eq!(
        (reply.status, reply.header("hl7-ack-code")),
        (200, Some("ar"))
    );
    let reply = bed.post("/api/hl7", "text/plain", b" \r\n").await;
    assert_eq!(reply.error(), (400, "No message provided".into()));
}

#[tokio::test]
async fn a_refused_message_says_why() {
    let bed = Bed::new().await;
    let message =
        b"MSH|^~\\&|RIS|H|P|F|20230614131415||ORM^O01|M1|P|2.3\rPID|1||P1||DOE\rORC|CA\rOBR|1\r";
    let reply = bed.send(message).await;
    assert_eq!(reply.error(), (422, "Missing OBR-2".into()));
    assert_eq!(reply.header("hl7-ack-code"), Some("ar"));
    let json = reply.json();
    assert_eq!(json["code"], "message_rejected");
    assert_eq!(json["messageId"], 1);
    assert!(
        json["acknowledgment"]
            .as_str()
            .unwrap()
            .contains("MSA|AR|M1|Missing OBR-2")
    );
    assert_eq!(json["hl7"][0]["path"], "OBR-2.1");
    assert_eq!(json["hl7"][0]["code"], "101");
}

#[tokio::test]
async fn what_is_not_hl7_is_refused_and_kept() {
    let bed = Bed::new().await;
    let reply = bed.send(b"PID|1||PAT789||SECRET^NAME").await;
    assert_eq!(reply.error(), (400, "Failed to parse HL7 message".into()));
    assert_eq!(reply.header("hl7-ack-code"), Some("ar"));
    assert!(!String::from_utf8_lossy(&reply.body).contains("SECRET"));
    assert_eq!(bed.get("/api/hl7/messages/1").await.status, 200);
}

#[tokio::test]
async fn exact_texts() {
    let bed = Bed::new().await;
    for (body, error) in [
        (json!({}), "No message provided"),
        (json!({ "message": null }), "No message provided"),
        (json!({ "message": "" }), "No message provided"),
        (json!({ "message": "DQo=" }), "No message provided"),
        (
            json!({ "message": "not base64!" }),
            "Invalid message encoding",
        ),
        (json!({ "message": 7 }), "Invalid message encoding"),
        (
            json!({ "message": "aGVsbG8=" }),
            "Failed to parse HL7 message",
        ),
        (json!([]), "The body is not a JSON object"),
    ] {
        assert_eq!(
            bed.post_json("/api/hl7", &body).await.error(),
            (400, error.into()),
            "{body}"
        );
    }
    let reply = bed
        .post("/api/hl7", "application/json", b"{\"message\": SECRET")
        .await;
    assert_eq!(
        reply.error(),
        (400, "The body is not JSON: line 1, column 13".into())
    );
}

#[tokio::test]
async fn base64_may_be_unpadded_or_broken_into_lines() {
    let bed = Bed::new().await;
    let text = STANDARD.encode(order("MSG1", "ACC1"));
    let text = text.trim_end_matches('=');
    let lines: Vec<&str> = [&text[..76], &text[76..152], &text[152..]].into();
    let body = json!({
        "message": lines.join("\r\n"), "messageType": "ORM", "sendTime": "2023-06-14T13:14:15Z"
    });
    let body = body.to_string();
    let reply = bed.post(
        "/api/hl7",
        "application/json; charset=utf-8",
        body.as_bytes(),
    );
    assert_eq!(reply.await.status, 200);
}

#[tokio::test]
async fn other_bodies_are_not_taken() {
    let bed = Bed::new().await;
    for kind in ["application/x-www-form-urlencoded", "application/jsonx", ""] {
        let reply = bed.post("/api/hl7", kind, b"MSH|^~\\&|").await;
        let (status, text) = reply.error();
        assert_eq!(status, 415);
        assert!(text.contains("application/hl7-v2"), "{text}");
    }
}

#[tokio::test]
async fn long_bodies_are_not_taken() {
    let small = |app: &mut App| {
        app.limits = Limits {
            message_bytes_max: 1000,
            ..Limits::default()
        }
    };
    let bed = Bed::with(small).await;
    let reply = bed.post("/api/hl7", "text/plain", &[b'M'; 1001]).await;
    assert_eq!(
        reply.error(),
        (
            413,
            "The body is too long: at most 1000 bytes are taken".into()
        )
    );
    let reply = bed.send(&[b'M'; 1001]).await;
    assert_eq!(
        reply.error(),
        (
            413,
            "The message is too long: at most 1000 bytes are taken".into()
        )
    );
    let reply = bed.send(&vec![b'M'; 60_000]).await;
    assert_eq!(reply.error().0, 413);
    assert_eq!(bed.send(&order("MSG1", "ACC1")).await.status, 200);
}

#[tokio::test]
async fn an_acknowledgement_is_not_answered() {
    let bed = Bed::new().await;
    let ack = b"MSH|^~\\&|RIS|H|P|F|20230614131415||ACK|M1|P|2.3\rMSA|AA|M0\r";
    let reply = bed.send(ack).await;
    assert_eq!(reply.error().0, 422);
    assert_eq!(reply.header("hl7-ack-code"), None);
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let hasty = |app: &mut App| {
        app.limits = Limits {
            body_wait: std::time::Duration::from_millis(50),
            ..Limits::default()
        };
    };
    let bed = Bed::with(hasty).await;
    let head = "POST /api/hl7 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                Content-Length: 100\r\n\r\nMSH";
    assert_eq!(bed.raw(head.as_bytes()).await.error().0, 408);
}
