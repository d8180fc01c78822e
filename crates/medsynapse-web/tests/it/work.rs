//! Orders, patients and the outbox: what is shown, and what a person can do.

use std::sync::Arc;

use chrono::DateTime;
use medsynapse_store::{Delivery, DeliveryOutcome};

use medsynapse_worklist::live::LiveDepartment;
use medsynapse_worklist::scp::{Department as _, Occurrence};

use crate::bed::{Bed, order, report};

const FORM: &str = "application/x-www-form-urlencoded";

async fn step(bed: &Bed, accession: &str, body: &str) -> String {
    let path = format!("/orders/{accession}/step");
    let reply = bed.post(&path, FORM, body, "").await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let location = reply
        .head
        .lines()
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap();
    // Headers are in lower case here; the outcome is so anyway.
    location
        .rsplit_once("outcome=")
        .unwrap()
        .1
        .trim()
        .to_owned()
}

#[tokio::test]
async fn orders_are_listed_and_filtered() {
    let bed = Bed::new().await;
    for n in 1..=3 {
        bed.send(&order(n)).await;
    }
    let page = bed.get("/orders").await.text();
    assert!(page.contains("ACC1") && page.contains("ACC3") && page.contains("3 orders in all"));
    assert!(
        page.find("ACC3").unwrap() < page.find("ACC1").unwrap(),
        "newest first"
    );
    let one = bed.get("/orders?q=acc2").await.text();
    assert!(one.contains("ACC2") && !one.contains("ACC3"), "{one}");
    let none = bed.get("/orders?state=COMPLETED").await.text();
    assert!(none.contains("No order matches"), "{none}");
    let odd = bed
        .get("/orders?state=%3Cscript%3E&before=x&aet=%3Cb%3E")
        .await;
    assert_eq!(odd.status, 200);
    assert!(
        !odd.body.contains("<script>") && !odd.body.contains("<b>"),
        "{}",
        odd.body
    );
}

#[tokio::test]
async fn an_order_goes_through_its_life_and_the_ris_is_told() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    assert_eq!(step(&bed, "ACC1", "step=started").await, "done");
    assert_eq!(step(&bed, "ACC1", "step=completed").await, "done");
    assert_eq!(step(&bed, "ACC1", "step=completed").await, "unchanged");
    assert_eq!(step(&bed, "ACC1", "step=final").await, "no-report-text");
    assert_eq!(
        step(
            &bed,
            "ACC1",
            "step=final&text=Normal+%3Cb%3Estudy&format=TX"
        )
        .await,
        "done"
    );
    assert_eq!(step(&bed, "NONE", "step=completed").await, "unknown-order");
    let page = bed.get("/orders/ACC1?outcome=done").await;
    let text = page.text();
    assert!(
        text.contains("Done.") && text.contains("Completed"),
        "{text}"
    );
    assert!(
        text.contains("started by web") && text.contains("final by web"),
        "{text}"
    );
    assert!(!page.body.contains("<b>study"), "{}", page.body);
    assert!(page.body.contains("not delivered"), "{}", page.body);
    // One notification of the completion, two messages of the final report.
    let outbox = bed.get("/outbox").await.text();
    assert!(outbox.contains("3 waiting"), "{outbox}");
    assert!(
        outbox.contains("Report final (F), with the report"),
        "{outbox}"
    );
    let refused = bed
        .post("/orders/ACC1/step", FORM, "step=nonsense", "")
        .await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_message_of_the_outbox_shows_its_tries_and_can_be_held() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    step(&bed, "ACC1", "step=completed").await;
    let waiting = bed.broker.store().next_outgoing("ris").unwrap().unwrap();
    let id = waiting.message_id;
    let delivery = Delivery {
        message_id: id,
        at: DateTime::from_timestamp(1_686_748_460, 0).unwrap(),
        took_micros: 1_500,
        outcome: DeliveryOutcome::Failed,
        reason: "no answer in time".into(),
        answer: None,
        fence: None,
    };
    bed.broker.settle(delivery).await.unwrap();
    let page = bed.get(&format!("/outbox/{id}")).await.text();
    assert!(
        page.contains("no answer in time") && page.contains("1.5 ms"),
        "{page}"
    );
    assert!(page.contains("OBR|1|ACC1"), "{page}");
    for (command, shown) in [
        ("hold", "Held"),
        ("retry", "Trying"),
        ("cancel", "Cancelled"),
    ] {
        let reply = bed
            .post(&format!("/outbox/{id}/{command}"), FORM, "", "")
            .await;
        assert_eq!(reply.status, 303, "{command}: {}", reply.body);
        let page = bed.get(&format!("/outbox/{id}")).await.text();
        assert!(page.contains(shown), "{command}: {page}");
    }
    assert_eq!(bed.get("/outbox/999").await.status, 404);
    assert_eq!(
        bed.post(&format!("/outbox/{id}/burn"), FORM, "", "")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_patient_has_orders_changes_and_merges() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    bed.send(&report(1, "Fine")).await;
    let update =
        "MSH|^~\\&|RIS|H|P|F|20230614||ADT^A08|U1|P|2.3\rEVN|A08\rPID|1||PAT1||SMITH^JANE<i>|||F\r";
    bed.send(update.as_bytes()).await;
    let page = bed.get("/patients/PAT1").await;
    let text = page.text();
    assert!(text.contains("ACC1") && text.contains("JANE"), "{text}");
    assert!(
        text.contains("patient sex") || text.contains("sex"),
        "{text}"
    );
    assert!(!page.body.contains("<i>"), "{}", page.body);
    let merge = "MSH|^~\\&|RIS|H|P|F|20230614||ADT^A40|U2|P|2.3\rEVN|A40\rPID|1||PAT9||SMITH^JANE\rMRG|PAT1\r";
    bed.send(merge.as_bytes()).await;
    let old = bed.get("/patients/PAT1").await.text();
    assert!(
        old.contains("This id was merged: the patient is PAT9 now."),
        "{old}"
    );
    let new = bed.get("/patients/PAT9").await.text();
    assert!(
        new.contains("Merged from PAT1") && new.contains("ACC1"),
        "{new}"
    );
    assert_eq!(bed.get("/patients/NOBODY").await.status, 404);
}

#[tokio::test]
async fn the_life_of_an_order_is_drawn_from_end_to_end() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    let life = async || {
        let page = bed.get("/orders/ACC1").await.body;
        let at = page.find("class=\"life\"").unwrap();
        let label = page[at..].split("aria-label=\"").nth(1).unwrap();
        label.split('"').next().unwrap().to_owned()
    };
    assert_eq!(
        life().await,
        "ordered 13:14:16, not seen, not started, not performed, not reported, not delivered"
    );
    LiveDepartment(Arc::clone(&bed.live)).heard(Occurrence::Query {
        calling: "CT1".into(),
        keys: Vec::new(),
        items: vec!["ACC1".into()],
        status: 0,
    });
    let text = bed.get("/orders/ACC1").await.text();
    assert!(
        text.contains("CT1 was the first to have it on its worklist"),
        "{text}"
    );
    step(&bed, "ACC1", "step=completed").await;
    step(&bed, "ACC1", "step=final&text=Normal&format=TX").await;
    assert_eq!(
        life().await,
        "ordered 13:14:16, seen 13:14:16, not started, performed 13:14:16, reported 13:14:16, not \
         delivered"
    );
}

#[tokio::test]
async fn orders_stand_on_a_board_and_patients_in_a_list() {
    let bed = Bed::new().await;
    for n in 1..=2 {
        bed.send(&order(n)).await;
    }
    step(&bed, "ACC2", "step=started").await;
    let text = bed.get("/orders/board").await.text();
    assert!(text.contains("Scheduled 1 ACC1"), "{text}");
    assert!(text.contains("Started 1 ACC2"), "{text}");
    assert!(text.contains("Completed 0 None."), "{text}");
    let merge = "MSH|^~\\&|RIS|HOSPITAL|PACS|R|20230614131415||ADT^A40|M4|P|2.3\r\
                 EVN|A40|20230614131415\rPID|1||PAT1||SMITH^JOHN\rMRG|PAT2\r";
    bed.send(merge.as_bytes()).await;
    let page = bed.get("/patients").await;
    assert!(
        page.body.contains("href=\"/patients/PAT1\""),
        "{}",
        page.body
    );
    assert!(!page.body.contains("href=\"/patients/PAT2\""));
    let page = bed.get("/patients?merged=shown&q=pat2").await;
    assert!(
        page.body.contains("href=\"/patients/PAT2\""),
        "{}",
        page.body
    );
    let none = bed.get("/patients?q=nobody").await.text();
    assert!(none.contains("Nobody is called so."), "{none}");
    let page = bed
        .get("/patients?q=%3Cb%3E&after=%3Cb%3E&merged=%3Cb%3E")
        .await;
    assert!(
        page.status == 200 && !page.body.contains("<b>"),
        "{}",
        page.body
    );
}
