//! The tools over one message, the dictionary, and what an administrator looks at.

use medsynapse_broker::Faults;
use serde_json::{Value, json};

use crate::bed::{Bed, order};
use crate::orders::with_mllp;

fn er7() -> Value {
    json!({ "message": String::from_utf8(order("M1", "A1")).unwrap() })
}

#[tokio::test]
async fn one_message_in_all_its_forms() {
    let bed = Bed::new().await;
    let forms = bed.post_json("/api/v1/parse", &er7()).await.json();
    assert_eq!(forms["message"], er7()["message"]);
    assert_eq!(forms["raw"]["segments"][1]["id"], "PID");
    assert_eq!(forms["domain"]["order"]["accessionNumber"], "A1");
    assert_eq!(forms["paths"]["PID-5.1"], "SMITH");

    let converted = bed
        .post_json("/api/v1/convert", &json!({ "raw": forms["raw"] }))
        .await
        .json();
    assert_eq!(converted["message"], forms["message"]);
    assert_eq!(converted["roundTrip"], json!({"raw": true, "domain": true}));
    let domain = json!({ "domain": forms["domain"] });
    let converted = bed.post_json("/api/v1/convert", &domain).await.json();
    assert_eq!(converted["domain"]["order"], forms["domain"]["order"]);

    for wrong in [
        json!({}),
        json!({"message": 1}),
        json!({"message": "x", "raw": {}}),
        json!({"raw": {}}),
    ] {
        let reply = bed.post_json("/api/v1/parse", &wrong).await;
        assert_eq!(reply.error().0, 422, "{wrong}");
        assert!(
            !reply.json()["hl7"].as_array().unwrap().is_empty(),
            "{wrong}"
        );
    }
    assert_eq!(bed.get("/api/hl7/messages").await.json()["totalCount"], 0);
}

#[tokio::test]
async fn everything_that_can_be_said_about_a_message() {
    let bed = Bed::new().await;
    let good = bed.post_json("/api/v1/validate", &er7()).await.json();
    assert_eq!(good["accepted"], true, "{good}");
    let bad = er7()["message"].as_str().unwrap().replace("|A1|", "||");
    let bad = bed
        .post_json("/api/v1/validate", &json!({ "message": bad }))
        .await
        .json();
    assert!(bad["answer"].as_str().unwrap().contains("OBR-2"), "{bad}");
    let none = bed
        .post_json("/api/v1/validate", &json!({ "message": "hello" }))
        .await;
    assert_eq!(none.status, 200);
    assert_eq!(none.json()["issues"][0]["code"], "not-hl7");
}

#[tokio::test]
async fn messages_are_made_up_and_sent() {
    let bed = with_mllp(|_| {}).await;
    let wish = json!({"count": 3, "type": "orm", "seed": 7, "start": "20230614070000"});
    let made = bed.post_json("/api/v1/generate", &wish).await.json();
    assert_eq!(made["totalCount"], 3);
    assert_eq!(bed.post_json("/api/v1/generate", &wish).await.json(), made);
    for generated in made["messages"].as_array().unwrap() {
        let sent = bed
            .post_json("/api/v1/send", &json!({ "message": generated["message"] }))
            .await;
        assert_eq!(sent.json()["ack"]["code"], "AA");
    }
    assert_eq!(bed.get("/api/hl7/types").await.json()["ORM"], 3);
    // A refusal is what one wants to see here, not an error.
    let refused = er7()["message"].as_str().unwrap().replace("|A1|", "||");
    let sent = bed
        .post_json("/api/v1/send", &json!({ "message": refused }))
        .await;
    assert_eq!(
        (sent.status, &sent.json()["ack"]["code"]),
        (200, &"AR".into())
    );
    for wrong in [
        json!({"count": 0}),
        json!({"count": 100_000}),
        json!({"type": "x"}),
        json!({"start": "x"}),
        json!({"n": 1}),
    ] {
        assert_eq!(
            bed.post_json("/api/v1/generate", &wrong).await.error().0,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn the_dictionary() {
    let bed = Bed::new().await;
    let segment = bed.get("/api/v1/dictionary/pid").await.json();
    assert_eq!(segment["segment"], "PID");
    assert_eq!(segment["fields"][4]["path"], "PID-5");
    let field = bed.get("/api/v1/dictionary/PID/8").await.json();
    assert_eq!(
        (&field["table"], &field["values"]["values"][0]["code"]),
        (&"0001".into(), &"F".into())
    );
    for path in [
        "QQQ",
        "x",
        "PID/0",
        "PID/999",
        "PID/x",
        "%FF",
        "PID/99999999999",
    ] {
        let reply = bed.get(&format!("/api/v1/dictionary/{path}")).await;
        assert_eq!(reply.error().0, 404, "{path}");
    }
}

#[tokio::test]
async fn faults_are_switched_on_and_off() {
    let bed = Bed::with(|app| app.faults = Some(Faults::new(1))).await;
    let put = async |body: &str| {
        let headers = [("Content-Type", "application/json")];
        bed.request("PUT", "/api/v1/faults", &headers, body.as_bytes())
            .await
    };
    assert_eq!(bed.get("/api/v1/faults").await.json()["on"], false);
    let on = put(r#"{"error": 0.25, "delayed": 1, "delayMillis": 20}"#)
        .await
        .json();
    assert_eq!(
        (&on["on"], &on["plan"]["error"]),
        (&true.into(), &0.25.into())
    );
    for (body, status) in [
        ("{", 400),
        (r#"{"error": 2}"#, 422),
        (r#"{"eror": 1}"#, 422),
        ("[]", 400),
    ] {
        assert_eq!(put(body).await.error().0, status, "{body}");
    }
    assert_eq!(
        bed.get("/api/v1/faults").await.json()["plan"]["error"],
        0.25
    );
    let off = bed
        .request("DELETE", "/api/v1/faults", &[], b"")
        .await
        .json();
    assert_eq!(off["on"], false);
    assert_eq!(Bed::new().await.get("/api/v1/faults").await.error().0, 404);
}
