//! `POST /api/orders`: from JSON over MLLP into the broker, and what comes back.

use std::sync::Arc;
use std::time::Duration;

use hl7_mllp::{Answer, ServerConfig, handler_fn};
use medsynapse_broker::MllpHandler;
use medsynapse_http::{App, Gateway, GatewaySettings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, now};

/// A gateway whose broker listens for MLLP.
pub(crate) async fn with_mllp(change: impl FnOnce(&mut App)) -> Bed {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    Bed::with(|app| {
        let handler = Arc::new(MllpHandler::new(Arc::clone(&app.broker)));
        let (config, stop) = (ServerConfig::default(), CancellationToken::new());
        tokio::spawn(hl7_mllp::serve(
            listener,
            handler,
            config,
            Arc::new(hl7_mllp::NoObserver),
            stop,
        ));
        app.gateway = to(&address);
        change(app);
    })
    .await
}

fn to(broker: &str) -> Gateway {
    let settings = GatewaySettings {
        broker: broker.into(),
        answer_wait: Duration::from_millis(500),
        ..GatewaySettings::default()
    };
    Gateway::new(settings, now())
}

/// A gateway whose broker answers what it is told.
async fn answered(answer: &'static str) -> Bed {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let handler = handler_fn(move |request: hl7_mllp::Request| async move {
        let message = String::from_utf8(request.frame.to_vec()).unwrap();
        let id = message.split('|').nth(9).unwrap().to_owned();
        match answer {
            "" => std::future::pending().await,
            answer => Answer::Reply(
                format!(
                    "MSH|^~\\&|R|H|G|F|20230614131415||ACK|X1|P|2.3\rMSA|{}\r",
                    answer.replace("ID", &id)
                )
                .into(),
            ),
        }
    });
    tokio::spawn(hl7_mllp::serve(
        listener,
        Arc::new(handler),
        ServerConfig::default(),
        Arc::new(hl7_mllp::NoObserver),
        CancellationToken::new(),
    ));
    Bed::with(|app| app.gateway = to(&address)).await
}

fn long_form() -> Value {
    json!({ "order": {
        "accessionNumber": "ACC123456",
        "patient": { "id": "PAT789", "name": "SMITH, JOHN", "gender": "M", "dateOfBirth": "19800101" },
        "study": { "modality": "CT", "description": "CT CHEST", "priority": "ROUTINE", "procedureId": "CT123" },
        "scheduling": { "aeTitle": "CT1", "scheduledDateTime": "20230614132030" },
    }})
}

#[tokio::test]
async fn the_long_form_becomes_the_golden_message_and_an_order() {
    let bed = with_mllp(|_| {}).await;
    let reply = bed.post_json("/api/orders", &long_form()).await;
    assert_eq!(
        reply.status,
        201,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    assert_eq!(reply.header("location"), Some("/api/v1/orders/acc123456"));
    assert_eq!(reply.header("hl7-ack-code"), Some("aa"));
    let json = reply.json();
    let message = json["message"].as_str().unwrap();
    let control_id = message.split('|').nth(9).unwrap();
    let golden = "MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131416||ORM^O01|{id}|P|2.3\r\
        PID|1||PAT789||SMITH^JOHN||19800101|M\rPV1|1|O\rORC|NW\r\
        OBR|1|ACC123456||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|ACC123456||CT1|||CT\
        ||||||||||||20230614132030\r";
    assert_eq!(message, golden.replace("{id}", control_id));
    assert_eq!(json["ack"]["code"], "AA");
    assert_eq!(json["ack"]["controlId"], control_id);
    assert_eq!(json["order"]["accessionNumber"], "ACC123456");
    assert_eq!(json["order"]["patient"]["name"]["family"], "SMITH");

    let stored = bed.get("/api/hl7/messages/1").await.json();
    assert_eq!(
        (&stored["message"], &stored["transport"]),
        (&json["message"], &"mllp".into())
    );
    let question = json!({"queryType": "order", "accessionNumber": "ACC123456"});
    let found = bed.post_json("/api/hl7/query", &question).await.json();
    assert_eq!(found["study"]["order"]["study"]["modality"], "CT");
}

#[tokio::test]
async fn the_short_form_is_filled_in_and_says_what_was_made_up() {
    let bed = with_mllp(|_| {}).await;
    let short = json!({"patientId": "12345", "study": "CT CHEST", "priority": "ROUTINE"});
    let reply = bed.post_json("/api/orders", &short).await;
    // Nobody knows this patient's name yet.
    let problem = reply.json();
    assert_eq!(reply.error().0, 422);
    let paths: Vec<_> = problem["hl7"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| &at["path"])
        .collect();
    assert_eq!(paths, ["PID-5.1", "PID-8.1"]);

    let mut known = long_form();
    known["order"]["patient"]["id"] = "12345".into();
    assert_eq!(bed.post_json("/api/orders", &known).await.status, 201);
    let reply = bed
        .post_json("/api/orders?explain=1&dates=iso", &short)
        .await;
    let json = reply.json();
    assert_eq!(reply.status, 201, "{json}");
    let order = &json["order"];
    assert_eq!(order["patient"]["name"]["family"], "SMITH");
    assert_eq!(order["study"]["modality"], "CT");
    assert_eq!(order["scheduling"]["aeTitle"], "CT1");
    assert_eq!(
        order["scheduling"]["scheduledDateTime"],
        "2023-06-14T13:14:16Z"
    );
    let number = order["accessionNumber"].as_str().unwrap();
    assert!(number.starts_with("ACC") && number.len() == 16, "{number}");
    let made_up = json["_map"]["order.accessionNumber"].as_str().unwrap();
    assert!(made_up.contains("made up"), "{made_up}");
    let again = bed.post_json("/api/orders", &short).await.json();
    assert_ne!(again["order"]["accessionNumber"], number);
}

#[tokio::test]
async fn what_is_wrong_is_told_all_at_once_without_the_patient() {
    let bed = with_mllp(|_| {}).await;
    let wrong =
        json!({"order": {"patient": {"id": "", "name": 7, "gender": "SECRET"}, "studdy": {}}});
    let reply = bed.post_json("/api/orders", &wrong).await;
    assert_eq!(reply.error().0, 422);
    let problem = reply.json();
    assert!(problem["hl7"].as_array().unwrap().len() >= 3, "{problem}");
    assert!(!problem.to_string().contains("SECRET"), "{problem}");
    for (body, status) in [
        ("{", 400),
        ("", 400),
        ("[]", 422),
        ("{}", 422),
        ("{\"merge\":{}}", 422),
    ] {
        let reply = bed
            .post("/api/orders", "application/json", body.as_bytes())
            .await;
        assert_eq!(reply.error().0, status, "{body}");
    }
    let kinds = [
        "text/plain",
        "application/json; charset=utf-16",
        "application/json;charset=latin1",
    ];
    for kind in kinds {
        let body = long_form().to_string();
        assert_eq!(
            bed.post("/api/orders", kind, body.as_bytes())
                .await
                .error()
                .0,
            415,
            "{kind}"
        );
    }
    assert_eq!(bed.get("/api/hl7/messages").await.json()["totalCount"], 0);
}

#[tokio::test]
async fn text_of_any_kind_stays_inside_its_field() {
    let bed = with_mllp(|_| {}).await;
    for text in [
        "A|B^C&D~E\\F",
        "A\rOBR|9|FORGED",
        "A\nMSH|^~\\&|X",
        "A\u{B}B\u{1C}\rC",
        "\\X0D\\ZZZ|",
        "Müller 患者 🩻",
    ] {
        let mut order = long_form();
        order["order"]["study"]["description"] = format!("CT {text}").into();
        order["order"]
            .as_object_mut()
            .unwrap()
            .remove("accessionNumber");
        let reply = bed.post_json("/api/orders", &order).await;
        if reply.status == 422 {
            // Refused is an answer too, as long as nothing was sent.
            continue;
        }
        let json = reply.json();
        assert_eq!(reply.status, 201, "{text:?} {json}");
        let message = json["message"].as_str().unwrap();
        assert_eq!(message.matches('\r').count(), 5, "{text:?}: {message:?}");
        assert!(!message.contains('\u{B}') && !message.contains('\u{1C}'));
        assert_eq!(
            json["order"]["study"]["description"],
            format!("CT {text}"),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn what_the_broker_answers_decides_the_status() {
    let check = async |answer: &'static str, status: u16, text: &str| {
        let bed = answered(answer).await;
        let reply = bed.post_json("/api/orders", &long_form()).await;
        assert_eq!(reply.error().0, status, "{answer}");
        let problem = reply.json();
        assert!(
            problem["error"].as_str().unwrap().contains(text),
            "{problem}"
        );
        problem
    };
    let problem = check("AR|ID|No such procedure", 422, "No such procedure").await;
    assert_eq!(problem["ack"]["code"], "AR");
    assert!(
        problem["acknowledgment"]
            .as_str()
            .unwrap()
            .contains("MSA|AR|")
    );
    check("AE|ID|Out of order", 502, "Out of order").await;
    check("", 504, "did not answer in time").await;
    check("AA|another-id", 502, "could not be reached").await;
    check("ZZ|ID", 502, "could not be reached").await;
    let bed = Bed::with(|app| app.gateway = to("127.0.0.1:1")).await;
    assert_eq!(
        bed.post_json("/api/orders", &long_form()).await.error().0,
        502
    );
}
