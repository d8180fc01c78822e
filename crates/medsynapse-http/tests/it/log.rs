//! The message log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::bed::{Bed, order, report};

#[tokio::test]
async fn an_empty_log() {
    let bed = Bed::new().await;
    assert_eq!(
        bed.get("/api/hl7/messages").await.json(),
        json!({"totalCount": 0, "totalPages": 0, "currentPage": 1, "messages": []})
    );
    assert_eq!(bed.get("/api/hl7/types").await.json(), json!({}));
}

#[tokio::test]
async fn pages_oldest_first() {
    let bed = Bed::new().await;
    for n in 1..=23 {
        assert_eq!(
            bed.send(&order(&format!("MSG{n}"), &format!("ACC{n}")))
                .await
                .status,
            200
        );
    }
    let first = bed.get("/api/hl7/messages").await.json();
    assert_eq!(
        (
            &first["totalCount"],
            &first["totalPages"],
            &first["currentPage"]
        ),
        (&json!(23), &json!(3), &json!(1))
    );
    assert_eq!(
        (first.get("prevPage"), first.get("nextPage")),
        (None, Some(&json!(2)))
    );
    let entry = &first["messages"][0];
    for (member, value) in [
        ("id", json!(1)),
        ("messageType", json!("ORM")),
        ("triggerEvent", json!("O01")),
        ("messageControlId", json!("MSG1")),
        ("sendTime", json!("2023-06-14T13:14:15.000Z")),
        ("receivedTime", json!("2023-06-14T13:14:16.000Z")),
        ("acknowledgmentCode", json!("AA")),
        ("accessionNumber", json!("ACC1")),
        ("transport", json!("http")),
    ] {
        assert_eq!(entry[member], value, "{member}");
    }
    assert!(entry["peer"].as_str().unwrap().starts_with("127.0.0.1:"));

    let last = bed.get("/api/hl7/messages?page=3").await.json();
    assert_eq!(last["messages"].as_array().unwrap().len(), 3);
    assert_eq!(
        (last.get("prevPage"), last.get("nextPage")),
        (Some(&json!(2)), None)
    );
    let beyond = bed.get("/api/hl7/messages?page=9").await.json();
    assert_eq!(
        (&beyond["messages"], &beyond["prevPage"]),
        (&json!([]), &json!(3))
    );

    let newest = bed.get("/api/hl7/messages?order=desc&limit=2").await.json();
    assert_eq!(newest["messages"][0]["id"], 23);
    assert_eq!(newest["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn filters() {
    let bed = Bed::new().await;
    bed.send(&order("MSG1", "ACC1")).await;
    bed.send(&order("MSG2", "ACC2")).await;
    bed.send(&report("MSG3", "ACC2")).await;
    bed.send(b"nothing").await;
    for (filter, ids) in [
        ("type=ORM", json!([1, 2])),
        ("type=ORU", json!([3])),
        ("type=", json!([1, 2, 3, 4])),
        ("accession=ACC2", json!([2, 3])),
        ("patient=PAT789&type=ORM", json!([1, 2])),
        ("controlId=MSG3", json!([3])),
        ("ack=AR", json!([4])),
        ("accession=%27%20OR%201=1--", json!([])),
    ] {
        let list = bed.get(&format!("/api/hl7/messages?{filter}")).await.json();
        let found: Vec<_> = list["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["id"].clone())
            .collect();
        assert_eq!(json!(found), ids, "{filter}");
    }
    assert_eq!(
        bed.get("/api/hl7/types").await.json(),
        json!({"UNREADABLE": 1, "ORM": 2, "ORU": 1})
    );
}

#[tokio::test]
async fn parameters_that_cannot_be_read() {
    let bed = Bed::new().await;
    for (parameters, error) in [
        ("page=0", "Invalid page: give a number from 1"),
        ("page=x", "Invalid page: give a number from 1"),
        ("limit=0", "Invalid limit: give a number from 1 to 200"),
        ("limit=201", "Invalid limit: give a number from 1 to 200"),
        ("order=up", "Invalid order: give asc or desc"),
        (
            "page=1&page=2",
            "The parameters cannot be read; give each of page, limit, order, type, accession, \
             patient, controlId and ack once",
        ),
        (
            "page=18446744073709551615",
            "Invalid page: there are not so many",
        ),
    ] {
        let reply = bed.get(&format!("/api/hl7/messages?{parameters}")).await;
        assert_eq!(reply.error(), (400, error.into()), "{parameters}");
    }
    assert_eq!(bed.get("/api/hl7/messages?limit=200").await.status, 200);
}

#[tokio::test]
async fn one_message() {
    let bed = Bed::new().await;
    let message = order("MSG1", "ACC1");
    bed.send(&message).await;
    let json = bed.get("/api/hl7/messages/1").await.json();
    assert_eq!(json["message"].as_str().unwrap().as_bytes(), message);
    assert_eq!(json.get("messageBase64"), None);
    assert_eq!(json["messageControlId"], "MSG1");
    assert_eq!(json["parsedMessage"]["format"], "hl7v2-raw/1");
    assert_eq!(
        json["parsedMessage"]["segments"][1]["fields"][4],
        json!([["SMITH", "JOHN"]])
    );
    assert_eq!(
        hl7_json::from_raw(&json["parsedMessage"].to_string()).unwrap(),
        message
    );
    assert!(
        json["acknowledgment"]
            .as_str()
            .unwrap()
            .contains("MSA|AA|MSG1")
    );
    assert_eq!(json["findings"], json!([]));
}

#[tokio::test]
async fn one_message_that_is_not_utf8() {
    let bed = Bed::new().await;
    let message =
        b"MSH|^~\\&|R|H|P|F|20230614||ORM^O01|M1|P|2.3||||||8859/1\rPID|1||P1||M\xDCLLER\r";
    bed.send(message).await;
    let json = bed.get("/api/hl7/messages/1").await.json();
    assert!(json["message"].as_str().unwrap().contains("MÜLLER"));
    assert_eq!(json["messageBase64"], STANDARD.encode(message));
    let bed = Bed::new().await;
    bed.send(b"\xFFnothing").await;
    let json = bed.get("/api/hl7/messages/1").await.json();
    assert_eq!(
        (&json["message"], &json["parsedMessage"]),
        (&json!("\u{FFFD}nothing"), &json!(null))
    );
    assert_eq!(json["findings"][0]["path"], "MSH");
}

#[tokio::test]
async fn messages_that_are_not_there() {
    let bed = Bed::new().await;
    for id in ["0", "-1", "x", "1.5", "99999999999999999999", "%FF"] {
        let reply = bed.get(&format!("/api/hl7/messages/{id}")).await;
        assert_eq!(reply.error(), (400, "Invalid message ID".into()), "{id}");
    }
    let reply = bed.get("/api/hl7/messages/1").await;
    assert_eq!(reply.error(), (404, "Message not found".into()));
}
