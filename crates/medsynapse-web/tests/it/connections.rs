//! Who is connected, and faults on purpose.

use std::sync::Arc;

use medsynapse_broker::{EventKind, LanePhase};
use medsynapse_worklist::live::LiveDepartment;
use medsynapse_worklist::scp::{Department as _, End, Occurrence, Refusal};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::bed::{Bed, order};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn open_connections_are_listed() {
    let bed = Bed::new().await;
    let text = bed.get("/connections").await.text();
    assert!(
        text.contains("0 open over MLLP Nobody is connected."),
        "{text}"
    );
    let opened = chrono::DateTime::parse_from_rfc3339("2023-06-14T13:13:06Z").unwrap();
    bed.connections
        .opened(7, "10.0.0.8:50123".into(), opened.to_utc());
    let text = bed.get("/connections").await.text();
    assert!(text.contains("1 open over MLLP"), "{text}");
    assert!(text.contains("10.0.0.8:5012313:13:061 min"), "{text}");
    bed.connections.closed(7);
    assert!(bed.get("/connections").await.text().contains("0 open"));
}

#[tokio::test]
async fn modalities_are_listed_with_what_they_did() {
    let bed = Bed::new().await;
    let text = bed.get("/connections").await.text();
    assert!(
        text.contains(
            "0 open over DICOM No modality has called since the server began. It calls \
             MEDSYNAPSE at 127.0.0.1:11112."
        ),
        "{text}"
    );
    let department = LiveDepartment(Arc::clone(&bed.live));
    let peer = "10.0.0.9:40001".parse().unwrap();
    let calling = || "CT<1>".to_owned();
    department.heard(Occurrence::Opened {
        peer,
        calling: calling(),
    });
    department.heard(Occurrence::Query {
        calling: calling(),
        keys: vec!["Modality"],
        items: vec!["ACC1".into(), "ACC2".into()],
        status: 0,
    });
    department.heard(Occurrence::Refused {
        peer,
        calling: "MR1".into(),
        refusal: Refusal::CallingAeTitle,
    });
    let page = bed.get("/connections").await;
    let text = page.text();
    assert!(text.contains("1 open over DICOM"), "{text}");
    assert!(text.contains("10.0.0.9:40001, 0 s"), "{text}");
    assert!(!page.body.contains("CT<1>"), "{text}");
    let why = Refusal::CallingAeTitle.as_str();
    assert!(text.contains(&format!("1: {why}")), "{text}");
    department.heard(Occurrence::Closed {
        peer,
        calling: calling(),
        end: End::Released,
    });
    let text = bed.get("/connections").await.text();
    assert!(text.contains("0 open over DICOM"), "{text}");
}

#[tokio::test]
async fn a_lane_says_what_it_waits_for() {
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let mut bed = Bed::with_ris(address).await;
    let idle = bed.get("/connections").await.text();
    assert!(
        idle.contains("ris 0 waiting Idle: nothing waits."),
        "{idle}"
    );
    bed.send(&order(1)).await;
    let done = bed
        .post("/orders/ACC1/step", FORM, "step=completed", "")
        .await;
    assert_eq!(done.status, 303);
    while !matches!(bed.lanes.status()[0].phase, LanePhase::Waiting { .. }) {
        bed.lanes.changed().await;
    }
    for path in ["/connections", "/outbox"] {
        let text = bed.get(path).await.text();
        assert!(text.contains("ris 1 waiting"), "{text}");
        assert!(
            text.contains("Waiting to try again, message ") && text.contains(", next at 13:14:1"),
            "{text}"
        );
        assert!(text.contains("connection refused."), "{text}");
    }
}

#[tokio::test]
async fn pages_are_told_of_connections() {
    let bed = Bed::new().await;
    let mut stream = bed.open("/events", "").await;
    let mut seen = String::new();
    let mut bytes = [0; 4096];
    let mut published = false;
    while !seen.contains("event: connections") {
        let n = stream.read(&mut bytes).await.unwrap();
        assert_ne!(n, 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
        if !published && seen.contains("event: ready") {
            published = true;
            bed.broker.publish(EventKind::ConnectionOpened {
                peer: "10.0.0.8:50123".into(),
            });
        }
    }
}

#[tokio::test]
async fn faults_are_switched_on_and_off() {
    let bed = Bed::new().await;
    let text = bed.get("/connections").await.text();
    assert!(text.contains("Faults on purpose off"), "{text}");
    let on = "error=25&delayed=10&delay_ms=500";
    let answer = bed.post("/connections/faults", FORM, on, "").await;
    assert_eq!(answer.status, 303);
    assert!(bed.faults.is_on());
    assert!((bed.faults.plan().error - 0.25).abs() < 1e-9);
    let text = bed.get("/connections?outcome=on").await.text();
    assert!(
        text.contains("on: AE 25 %, delay 500 ms for 10 %"),
        "{text}"
    );
    let answer = bed.post("/connections/faults", FORM, "do=off", "").await;
    assert_eq!(answer.status, 303);
    assert!(!bed.faults.is_on());
}

#[tokio::test]
async fn a_plan_that_cannot_be_followed_changes_nothing() {
    let bed = Bed::new().await;
    for wrong in [
        "error=101",
        "error=60&reject=60",
        "delayed=1&delay_ms=60001",
        "split=x",
    ] {
        let answer = bed.post("/connections/faults", FORM, wrong, "").await;
        assert_eq!(answer.status, 422, "{wrong}");
        assert!(!bed.faults.is_on());
    }
}
