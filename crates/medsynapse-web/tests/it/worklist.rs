//! What a modality sees, and why.

use crate::bed::{Bed, order};

async fn bed() -> Bed {
    let bed = Bed::new().await;
    for n in 1..=2 {
        bed.send(&order(n)).await;
    }
    let other = String::from_utf8(order(3)).unwrap();
    bed.send(other.replace("|CT1|||CT|", "|ct1|||CT|").as_bytes())
        .await;
    bed
}

#[tokio::test]
async fn a_modality_sees_its_steps_and_the_others_say_why_not() {
    let bed = bed().await;
    let text = bed.get("/worklist?aet=CT1").await.text();
    assert!(text.contains("The modality sees 2"), "{text}");
    assert!(text.contains("(0040,0001) ScheduledStationAETitle = CT1"));
    assert!(
        text.contains("ACC3 AE title CT1 differs in case from ct1."),
        "{text}"
    );
    let text = bed
        .get("/worklist?aet=CT1&from=2023-06-15&to=")
        .await
        .text();
    assert!(text.contains("The modality sees 0"), "{text}");
    assert!(
        text.contains("Start date 20230614 is outside 20230615-."),
        "{text}"
    );
    let text = bed
        .get("/worklist?from=2023-06-14&to=2023-06-14")
        .await
        .text();
    assert!(text.contains("The modality sees 3"), "{text}");
}

#[tokio::test]
async fn an_order_is_shown_as_the_modality_gets_it() {
    let bed = bed().await;
    let text = bed.get("/worklist?aet=CT1&order=ACC1").await.text();
    for part in [
        "The modality sees it.",
        "(0008,0050)SH AccessionNumber ACC1 OBR-2.1",
        "PatientName SMITH^JOHN PID-5.1",
        "(0040,0001)AE stepScheduledStationAETitle CT1 OBR-21.1",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = bed.get("/worklist?aet=CT1&order=NONE").await.text();
    assert!(text.contains("The broker holds no order with this accession number"));
}

#[tokio::test]
async fn a_completed_order_says_that_it_is() {
    let bed = bed().await;
    let form = "application/x-www-form-urlencoded";
    let done = bed
        .post("/orders/ACC1/step", form, "step=completed", "")
        .await;
    assert_eq!(done.status, 303);
    let text = bed.get("/worklist?aet=CT1&order=ACC1").await.text();
    assert!(text.contains("The modality sees 1"), "{text}");
    assert!(
        text.contains("The order is COMPLETED: no modality is shown it."),
        "{text}"
    );
}

#[tokio::test]
async fn the_settings_of_an_ae_title_count() {
    let bed = bed().await;
    let text = bed.get("/worklist?calling=CT2&aet=CT1").await.text();
    assert!(text.contains("The modality sees 0"), "{text}");
    assert!(text.contains("keep back steps of CT1, CT."), "{text}");
}

#[tokio::test]
async fn a_query_that_fails_says_so() {
    let bed = bed().await;
    let text = bed.get("/worklist?from=20231345&to=x").await.text();
    assert!(text.contains("The query fails with A900"), "{text}");
}
