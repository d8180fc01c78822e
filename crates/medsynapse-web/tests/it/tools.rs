//! Generate, send, convert: pages and their two routes for scripts.

use serde_json::{Value, json};

use crate::bed::{Bed, order, report};

const FORM: &str = "application/x-www-form-urlencoded";

fn encoded(text: &str) -> String {
    let parts: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    parts.concat()
}

fn field(name: &str, text: &[u8]) -> String {
    format!("{name}={}", encoded(&String::from_utf8_lossy(text)))
}

#[tokio::test]
async fn a_message_is_sent_over_mllp_and_its_answer_is_shown() {
    let bed = Bed::new().await;
    // As a browser sends it: line ends are CR LF.
    let text = String::from_utf8(order(1)).unwrap().replace('\r', "\r\n");
    let form = field("message", text.as_bytes()) + "&via=mllp";
    let reply = bed.post("/send", FORM, &form, "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let page = reply.text();
    assert!(page.contains("AA accepted Order registered."), "{page}");
    assert!(page.contains("MSA|AA|MSG1|Order registered."), "{page}");
    let stored = bed.get_with("/api/messages/1", "").await;
    assert!(stored.body.contains("MSG1"), "{}", stored.body);
    // The editor still has the message.
    assert!(reply.body.contains("name=\"message\""));
    assert!(page.contains("OBR|1|ACC1||CT123^CT CHEST"), "{page}");
}

#[tokio::test]
async fn every_template_is_a_message_that_the_broker_reads() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    for (template, says) in [
        ("order", "|ORM^O01|"),
        ("change", "OBR|1|ACC1|"),
        ("complete", "ORC|CM"),
        ("cancel", "ORC|CA"),
        ("report", "|ORU^R01|"),
        ("update", "|ADT^A08|"),
        ("merge", "|ADT^A40|"),
    ] {
        let page = bed.get(&format!("/send?template={template}")).await;
        assert!(page.body.contains(says), "{template}: {}", page.body);
        let text = page.text();
        assert!(text.contains("The broker would read this."), "{text}");
    }
    let page = bed.get("/send?template=nothing").await.text();
    assert!(page.contains("Nothing to check yet."), "{page}");
}

#[tokio::test]
async fn a_message_is_sent_wrong_on_purpose() {
    let bed = Bed::new().await;
    let send = async |order: Vec<u8>, how: &str| {
        let form = field("message", &order) + "&via=mllp&break=" + how;
        bed.post("/send", FORM, &form, "").await.text()
    };
    let page = send(order(1), "orm:missing-modality").await;
    assert!(
        page.contains("Sent wrong on purpose: Missing modality; AR"),
        "{page}"
    );
    assert!(page.contains("AR rejected Missing OBR-24"), "{page}");
    let page = send(order(2), "split").await;
    assert!(page.contains("AA accepted Order registered."), "{page}");
    assert!(page.contains("ms connected to 127.0.0.1:"), "{page}");
    assert!(
        page.contains(" pieces") && page.contains("bytes of answer"),
        "{page}"
    );
    let page = send(order(3), "two-frames").await;
    assert!(
        page.contains("MSA|AA|MSG3|") && page.contains("MSA|AA|MSG3-2|"),
        "{page}"
    );
    let page = send(order(4), "truncate").await;
    assert!(
        page.contains("no answer") && page.contains("and hung up"),
        "{page}"
    );
    // What does not fit is not sent.
    let page = send(report(5, "x"), "orm:missing-modality").await;
    assert!(
        page.contains("This fault belongs to another type"),
        "{page}"
    );
    let count = bed.get("/api/message-types").await.body;
    assert!(!count.contains("ORU"), "{count}");
}

#[tokio::test]
async fn several_messages_are_sent_in_order() {
    let bed = Bed::new().await;
    let mut text = String::new();
    for n in 1..=6 {
        text.push_str(&String::from_utf8(order(n)).unwrap().replace('\r', "\n"));
        text.push('\n');
    }
    text.push_str("MSH|^~\\&|A|B|C|D|20230614||ORM^O01|LAST|P|2.3\nORC|CA\nOBR|1|NONE\n");
    let form = field("message", text.as_bytes()) + "&via=rest";
    let page = bed.post("/send", FORM, &form, "").await.text();
    assert!(page.contains("6 of 7 accepted"), "{page}");
    assert!(
        page.contains("No order has accession number NONE."),
        "{page}"
    );
}

#[tokio::test]
async fn what_is_no_message_is_answered_too() {
    let bed = Bed::new().await;
    let page = bed
        .post("/send", FORM, "message=hello&via=mllp", "")
        .await
        .text();
    assert!(page.contains("AR rejected No message"), "{page}");
    let page = bed.post("/send", FORM, "message=+%0D%0A", "").await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("The answer"));
    let refused = bed.post("/send", "text/plain", "x", "").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_stored_message_can_be_taken_into_the_editor() {
    let bed = Bed::new().await;
    bed.send(&report(1, "<script>alert(1)</script>")).await;
    for path in ["/send?from=1", "/convert?from=1"] {
        let page = bed.get(path).await;
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("<script>alert"), "{path}");
        assert!(
            page.body.contains("&#60;script&#62;alert"),
            "{path}: {}",
            page.body
        );
    }
    assert_eq!(bed.get("/send?from=99").await.status, 404);
}

#[tokio::test]
async fn the_editor_is_told_what_is_wrong() {
    let bed = Bed::new().await;
    let text = String::from_utf8(order(1)).unwrap();
    let broken = text.replace("|CT|", "||").replace('\r', "\n");
    let fragment = bed
        .post("/check", FORM, &field("message", broken.as_bytes()), "")
        .await;
    assert!(!fragment.body.contains("<html"));
    let said = fragment.text();
    assert!(
        said.contains("The broker would refuse this: Missing OBR-24"),
        "{said}"
    );
    let fine = bed
        .post("/check", FORM, &field("message", text.as_bytes()), "")
        .await;
    assert!(
        fine.text().contains("The broker would read this."),
        "{}",
        fine.text()
    );
    let empty = bed.post("/check", FORM, "message=", "").await;
    assert!(empty.text().contains("Nothing to check yet."));
}

#[tokio::test]
async fn messages_are_generated_leafed_through_and_sent() {
    let bed = Bed::new().await;
    let first = bed.get("/generate?type=orm&count=3&seed=").await;
    assert_eq!(first.status, 303);
    assert!(
        first.head.contains("location: /generate?type=orm&count=3"),
        "{}",
        first.head
    );
    let page = bed.get("/generate?type=all&count=2&seed=7").await;
    let text = page.text();
    assert!(text.contains("Message 1 of 8"), "{text}");
    assert!(
        text.contains("hl7-generator --types all --count 2 --seed 7"),
        "{text}"
    );
    let last = bed
        .get("/generate?type=all&count=2&seed=7&at=8")
        .await
        .text();
    assert!(last.contains("Message 8 of 8"), "{last}");
    let odd = bed.get("/generate?type=x&count=-3&seed=7&at=99999").await;
    assert_eq!(odd.status, 200);
}

#[tokio::test]
async fn a_message_is_converted_from_each_of_its_forms() {
    let bed = Bed::new().await;
    let convert = async |text: &str| {
        bed.post("/convert", FORM, &field("text", text.as_bytes()), "")
            .await
    };
    let text = String::from_utf8(order(1)).unwrap().replace('\r', "\r\n");
    let page = convert(&text).await.text();
    assert!(page.contains("Taken for HL7."), "{page}");
    assert!(page.contains("raw: every byte comes back"), "{page}");
    assert!(page.contains("domain: the same value comes back"), "{page}");
    let json = r#"{"patientId":"12345","study":"CT CHEST","priority":"ROUTINE"}"#;
    let page = convert(json).await.text();
    assert!(page.contains("It cannot be converted"), "{page}");
    assert!(
        page.contains("PID-5.1") && page.contains("PID-8.1"),
        "{page}"
    );
    let json = r#"{"order":{"patient":{"id":"1","name":"A^B","gender":"F"},"study":{"modality":"CT","description":"HEAD"}}}"#;
    let page = convert(json).await.text();
    assert!(
        page.contains("Taken for domain JSON.") && page.contains("OBR|1|ACC"),
        "{page}"
    );
    let page = convert("{\"order\": ").await.text();
    assert!(page.contains("this is not JSON"), "{page}");
}

#[tokio::test]
async fn scripts_generate_and_send() {
    let bed = Bed::new().await;
    let made = bed.post(
        "/api/generate",
        "application/json",
        r#"{"type":"orm","count":2,"seed":5}"#,
        "",
    );
    let made: Value = serde_json::from_str(&made.await.body).unwrap();
    assert_eq!(
        (made["seed"].clone(), made["count"].clone()),
        (json!(5), json!(2))
    );
    let message = made["messages"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("MSH|^~\\&|"), "{message}");
    let body = json!({"message": message, "via": "mllp"}).to_string();
    let sent: Value = serde_json::from_str(
        &bed.post("/api/send", "application/json", &body, "")
            .await
            .body,
    )
    .unwrap();
    assert_eq!(sent["success"], json!(true), "{sent}");
    assert!(
        sent["response"].as_str().unwrap().contains("MSA|AA|"),
        "{sent}"
    );
    for (path, body) in [
        ("/api/send", "{}"),
        ("/api/send", "{"),
        ("/api/generate", "{\"type\":\"siu\"}"),
        ("/api/generate", "no"),
    ] {
        let refused = bed.post(path, "application/json", body, "").await;
        assert_eq!(refused.status, 400, "{path} {body}");
        assert!(refused.body.contains("error"), "{}", refused.body);
    }
}

#[tokio::test]
async fn a_page_of_another_site_cannot_send() {
    let bed = Bed::new().await;
    let headers = "Origin: https://evil.example\r\n";
    for path in ["/send", "/convert", "/check", "/api/send", "/api/generate"] {
        let reply = bed.post(path, FORM, "message=MSH", headers).await;
        assert_eq!(reply.status, 403, "{path}");
    }
}
