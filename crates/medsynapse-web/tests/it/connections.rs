//! Who is connected, and faults on purpose.

use medsynapse_broker::EventKind;
use tokio::io::AsyncReadExt as _;

use crate::bed::Bed;

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
