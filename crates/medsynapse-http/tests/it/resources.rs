//! `/api/v1`: orders, patients, reports, messages, the outbox.

use serde_json::{Value, json};

use crate::bed::{Bed, Reply, order, report};
use crate::orders::with_mllp;

async fn put(bed: &Bed, path: &str, body: &Value) -> Reply {
    let headers = [("Content-Type", "application/json")];
    bed.request("PUT", path, &headers, body.to_string().as_bytes())
        .await
}

fn ids(list: &Value, member: &str) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item[member].to_string().trim_matches('"').to_owned())
        .collect()
}

#[tokio::test]
async fn orders_page_by_page_and_by_filter() {
    let bed = Bed::new().await;
    for number in 1..=5 {
        bed.send(&order(&format!("M{number}"), &format!("A{number}")))
            .await;
    }
    let first = bed.get("/api/v1/orders?limit=2").await.json();
    assert_eq!(ids(&first, "accessionNumber"), ["A5", "A4"]);
    let next = first["next"].as_str().unwrap();
    let second = bed
        .get(&format!("/api/v1/orders?limit=2&cursor={next}"))
        .await
        .json();
    assert_eq!(ids(&second, "accessionNumber"), ["A3", "A2"]);
    let next = second["next"].as_str().unwrap();
    let last = bed
        .get(&format!("/api/v1/orders?limit=2&cursor={next}"))
        .await
        .json();
    assert_eq!(
        (ids(&last, "accessionNumber"), &last["next"]),
        (vec!["A1".to_owned()], &Value::Null)
    );
    for (filter, count) in [
        ("q=a3", 1),
        ("patient=PAT789", 5),
        ("patient=X", 0),
        ("modality=CT", 5),
        ("modality=MR", 0),
        ("status=scheduled", 5),
        ("status=COMPLETED", 0),
        ("from=20230614&to=20230614", 5),
        ("from=20230615", 0),
        ("aet=CT1", 5),
    ] {
        let found = bed.get(&format!("/api/v1/orders?{filter}")).await.json();
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{filter}");
    }
    for wrong in [
        "status=x",
        "from=x",
        "limit=0",
        "limit=201",
        "cursor=x",
        "limit=1&limit=2",
        "dates=x",
    ] {
        assert_eq!(
            bed.get(&format!("/api/v1/orders?{wrong}")).await.error().0,
            400,
            "{wrong}"
        );
    }
    let one = bed.get("/api/v1/orders/A3").await.json();
    assert_eq!(
        (&one["accessionNumber"], &one["status"]),
        (&"A3".into(), &"SCHEDULED".into())
    );
    assert_eq!(
        one["patient"]["name"],
        json!({"family": "SMITH", "given": "JOHN"})
    );
    assert_eq!(one["createdAt"], "2023-06-14T13:14:16.000Z");
    for path in ["A9", "%FF", "this-is-longer-than-sixteen"] {
        assert_eq!(
            bed.get(&format!("/api/v1/orders/{path}")).await.error().0,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_order_is_changed_cancelled_and_moved_on() {
    let bed = with_mllp(|_| {}).await;
    bed.send(&order("M1", "A1")).await;
    bed.send(&order("M2", "A2")).await;
    let change = json!({"order": {"study": {"priority": "STAT"}}});
    let reply = put(&bed, "/api/v1/orders/A1", &change).await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    let known = bed.get("/api/v1/orders/A1").await.json();
    assert_eq!(known["study"]["priority"], "STAT");
    assert_eq!(known["study"]["description"], "CT CHEST");
    assert_eq!(put(&bed, "/api/v1/orders/A9", &change).await.error().0, 404);
    let other = json!({"order": {"accessionNumber": "A2"}});
    assert_eq!(put(&bed, "/api/v1/orders/A1", &other).await.error().0, 422);
    assert_eq!(
        put(&bed, "/api/v1/orders/A1", &json!({})).await.error().0,
        422
    );

    let reply = bed.request("DELETE", "/api/v1/orders/A2", &[], b"").await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    assert!(
        reply.json()["message"]
            .as_str()
            .unwrap()
            .contains("\rORC|CA")
    );
    assert_eq!(bed.get("/api/v1/orders/A2").await.error().0, 404);
    assert_eq!(
        bed.request("DELETE", "/api/v1/orders/A2", &[], b"")
            .await
            .error()
            .0,
        404
    );

    let go = async |body: Value| bed.post_json("/api/v1/orders/A1/status", &body).await;
    assert_eq!(
        go(json!({"status": "final"})).await.error(),
        (
            422,
            "A final report needs a text, and none is stored.".into()
        )
    );
    let done = go(json!({"status": "completed"})).await.json();
    assert_eq!(
        (&done["outcome"], &done["order"]["status"]),
        (&"done".into(), &"COMPLETED".into())
    );
    assert_eq!(go(json!({"status": "started"})).await.error().0, 409);
    let text = json!({"status": "final", "report": {
        "content": "Normal.\r\nLungs are clear.", "radiologist": {"id": "77", "name": "GRAY"},
    }});
    assert_eq!(go(text).await.json()["reportStatus"], "FINAL");
    let reports = bed.get("/api/v1/reports?reportStatus=FINAL").await.json();
    assert_eq!(
        reports["items"][0]["result"]["content"],
        "Normal.\nLungs are clear."
    );
    for wrong in [
        json!({}),
        json!({"status": "gone"}),
        json!({"status": "read", "report": {"content": "x"}}),
        json!({"status": "final", "report": {"content": " "}}),
        json!({"status": "final", "report": {"content": "a\u{1C}b"}}),
        json!({"status": "final", "report": {"content": "x", "format": "PDF"}}),
        json!({"status": "final", "report": {"content": "x", "date": "today"}}),
    ] {
        assert_eq!(go(wrong.clone()).await.error().0, 422, "{wrong}");
    }
    let unknown = bed
        .post_json("/api/v1/orders/A7/status", &json!({"status": "completed"}))
        .await;
    assert_eq!(unknown.error().0, 404);
}

#[tokio::test]
async fn patients_and_their_studies() {
    let bed = Bed::new().await;
    bed.send(&order("M1", "A1")).await;
    bed.send(&report("M2", "A1")).await;
    let list = bed.get("/api/v1/patients?q=smi").await.json();
    assert_eq!(ids(&list, "id"), ["PAT789"]);
    let one = bed.get("/api/v1/patients/PAT789").await.json();
    assert_eq!(
        (&one["name"]["family"], &one["orders"]),
        (&"SMITH".into(), &1.into())
    );
    let studies = bed.get("/api/v1/patients/PAT789/studies").await.json();
    assert_eq!(studies["items"][0]["report"]["accessionNumber"], "A1");
    for path in ["/api/v1/patients/X", "/api/v1/patients/X/studies"] {
        let reply = bed.get(path).await;
        assert_eq!(reply.error(), (404, "Patient not found".into()), "{path}");
    }
    assert_eq!(bed.get("/api/v1/patients?merged=x").await.error().0, 400);
}

#[tokio::test]
async fn messages_are_found_by_everything_they_hold() {
    let bed = with_mllp(|_| {}).await;
    for number in 1..=3 {
        bed.send(&order(&format!("M{number}"), &format!("A{number}")))
            .await;
    }
    bed.send(&report("M4", "A1")).await;
    bed.post("/api/hl7", "text/plain", b"nothing").await;
    for (filter, found) in [
        ("type=orm", "3 2 1"),
        ("event=r01", "4"),
        ("controlId=M2", "2"),
        ("accession=A1", "4 1"),
        ("patient=PAT789&limit=2", "4 3"),
        ("ack=ar", "5"),
        ("direction=in&type=ORU", "4"),
        ("direction=out", ""),
        ("q=lungs%20clear", "4"),
        ("peer=127.0.0.1", "5 4 3 2 1"),
        ("after=2023-06-14T13:14:16Z", "5 4 3 2 1"),
        ("before=2023-06-14T15:14:16%2B02:00", ""),
    ] {
        let list = bed.get(&format!("/api/v1/messages?{filter}")).await.json();
        assert_eq!(ids(&list, "id").join(" "), found, "{filter}");
    }
    let first = bed.get("/api/v1/messages?limit=3").await.json();
    let next = first["next"].as_str().unwrap();
    let second = bed
        .get(&format!("/api/v1/messages?limit=3&cursor={next}"))
        .await
        .json();
    assert_eq!(
        (ids(&second, "id").join(" "), &second["next"]),
        ("2 1".into(), &Value::Null)
    );
    for wrong in ["direction=x", "after=x", "warnings=x", "limit=x"] {
        assert_eq!(
            bed.get(&format!("/api/v1/messages?{wrong}"))
                .await
                .error()
                .0,
            400,
            "{wrong}"
        );
    }
    let again = bed
        .post("/api/v1/messages/1/resend", "text/plain", b"")
        .await
        .json();
    assert_eq!(again["ack"]["code"], "AA");
    assert_eq!(
        bed.get("/api/hl7/messages/1").await.json()["retransmissions"],
        1
    );
}

#[tokio::test]
async fn a_message_in_the_form_that_is_asked_for() {
    let bed = Bed::new().await;
    let message = order("M1", "A1");
    bed.send(&message).await;
    let ask =
        async |path: &str, accept: &str| bed.request("GET", path, &[("Accept", accept)], b"").await;
    let path = "/api/v1/messages/1";
    for (accept, kind) in [
        ("application/hl7-v2", "application/hl7-v2"),
        ("x-application/hl7-v2+er7", "x-application/hl7-v2+er7"),
        ("text/*", "text/plain; charset=utf-8"),
        (
            "application/json;q=0.1, application/hl7-v2",
            "application/hl7-v2",
        ),
    ] {
        let reply = ask(path, accept).await;
        assert_eq!(
            (reply.header("content-type"), &reply.body),
            (Some(kind), &message),
            "{accept}"
        );
    }
    for accept in ["", "*/*", "application/*", "application/json"] {
        assert_eq!(
            ask(path, accept).await.json()["messageControlId"],
            "M1",
            "{accept}"
        );
    }
    let raw = ask(path, "application/vnd.hl7v2-raw+json").await.json();
    assert_eq!(raw["format"], "hl7v2-raw/1");
    let domain = ask(
        "/api/v1/messages/1?explain=1",
        "application/vnd.medsynapse+json",
    )
    .await
    .json();
    assert_eq!(domain["order"]["accessionNumber"], "A1");
    assert_eq!(domain["_map"]["order.study.modality"], "OBR-24.1");
    assert_eq!(ask(path, "image/png").await.error().0, 406);
    let ack = ask("/api/v1/messages/1/ack", "application/json")
        .await
        .json();
    assert_eq!(ack["acknowledgement"]["code"], "AA");
    let ack = ask("/api/v1/messages/1/ack", "application/hl7-v2").await;
    assert!(String::from_utf8(ack.body).unwrap().contains("MSA|AA|M1"));
    assert_eq!(
        bed.get("/api/v1/messages/9").await.error(),
        (404, "Message not found".into())
    );
    assert_eq!(
        bed.get("/api/v1/messages/x").await.error(),
        (400, "Invalid message ID".into())
    );
}

#[tokio::test]
async fn an_empty_outbox() {
    let bed = Bed::new().await;
    assert_eq!(
        bed.get("/api/v1/outbox").await.json(),
        json!({"items": [], "next": null})
    );
    assert_eq!(
        bed.get("/api/v1/outbox/lanes").await.json(),
        json!({"items": [], "next": null})
    );
    assert_eq!(bed.get("/api/v1/outbox/1").await.error().0, 404);
    assert_eq!(bed.get("/api/v1/outbox?state=x").await.error().0, 400);
    for command in ["retry", "hold", "cancel", "explode"] {
        let reply = bed
            .post(&format!("/api/v1/outbox/1/{command}"), "text/plain", b"")
            .await;
        assert_eq!(reply.error().0, 404, "{command}");
    }
}

#[tokio::test]
async fn the_worklist_by_a_question() {
    let bed = Bed::new().await;
    bed.send(&order("M1", "A1")).await;
    let ask = async |aet: &str| {
        let question = json!({"queryType": "worklist", "aet": aet, "from": "20230614"});
        bed.post_json("/api/hl7/query", &question).await.json()
    };
    let found = ask("CT1").await;
    assert_eq!(
        (&found["totalCount"], &found["items"][0]["accessionNumber"]),
        (&1.into(), &"A1".into())
    );
    assert_eq!(ask("MR1").await["totalCount"], 0);
}
