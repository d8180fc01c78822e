//! `POST /api/hl7/query`.

use serde_json::json;

use crate::bed::{Bed, order, report};

#[tokio::test]
async fn the_studies_of_a_patient() {
    let bed = Bed::new().await;
    bed.send(&order("MSG1", "ACC1")).await;
    bed.send(&order("MSG2", "ACC2")).await;
    bed.send(&report("MSG3", "ACC2")).await;
    let question = json!({"queryType": "patient_studies", "patientId": "PAT789"});
    let json = bed.post_json("/api/hl7/query", &question).await.json();
    assert_eq!(
        (&json["patientId"], &json["totalCount"]),
        (&json!("PAT789"), &json!(2))
    );
    let study = &json["studies"][1];
    assert_eq!(
        (&study["accessionNumber"], &study["status"]),
        (&json!("ACC2"), &json!("SCHEDULED"))
    );
    assert_eq!(
        study["schedule"],
        json!({"aeTitle": "CT1", "stationName": "CT1", "scheduledDateTime": "20230614132030"})
    );
    let order = &study["order"];
    assert_eq!(
        order["patient"]["name"],
        json!({"family": "SMITH", "given": "JOHN"})
    );
    assert_eq!(order["study"]["modality"], "CT");
    assert!(
        order["study"]["studyInstanceUid"]
            .as_str()
            .unwrap()
            .starts_with("2.25.")
    );
    assert_eq!(order["createdAt"], "2023-06-14T13:14:16.000Z");
    assert_eq!(
        study["report"]["result"],
        json!({"content": "Normal.\nLungs clear.", "format": "TX", "status": "FINAL",
            "date": "20230614150000", "radiologist": {"id": "77", "name": "GRAY"}})
    );
    assert_eq!(json["studies"][0]["report"], json!(null));
}

#[tokio::test]
async fn a_patient_without_studies() {
    let bed = Bed::new().await;
    let question = json!({"queryType": "patient_studies", "patientId": "NOBODY"});
    let json = bed.post_json("/api/hl7/query", &question).await.json();
    assert_eq!(
        (&json["totalCount"], &json["studies"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn one_order_and_its_report() {
    let bed = Bed::new().await;
    bed.send(&order("MSG1", "ACC1")).await;
    let ask = |kind: &str, accession: &str| {
        let question = json!({"queryType": kind, "accessionNumber": accession});
        let bed = &bed;
        async move { bed.post_json("/api/hl7/query", &question).await }
    };
    assert_eq!(
        ask("order", "ACC1").await.json()["study"]["status"],
        "SCHEDULED"
    );
    assert_eq!(
        ask("order", "ACC9").await.error(),
        (404, "Order not found".into())
    );
    assert_eq!(
        ask("report", "ACC1").await.error(),
        (404, "Report not found".into())
    );
    assert_eq!(
        ask("report", "").await.error(),
        (400, "No accession number provided".into())
    );
    bed.send(&report("MSG2", "ACC1")).await;
    assert_eq!(ask("report", "ACC1").await.json()["report"]["version"], 1);
}

#[tokio::test]
async fn questions_that_cannot_be_answered() {
    let bed = Bed::new().await;
    let unsupported = "Unsupported query type: give patient_studies, order, worklist or report";
    for (question, error) in [
        (json!({}), unsupported),
        (json!({"queryType": "drop table"}), unsupported),
        (
            json!({"queryType": "patient_studies"}),
            "No patient ID provided",
        ),
        (
            json!({"queryType": "patient_studies", "patientId": 7}),
            "No patient ID provided",
        ),
        (json!([1]), "The body is not a JSON object"),
    ] {
        let reply = bed.post_json("/api/hl7/query", &question).await;
        assert_eq!(reply.error(), (400, error.into()), "{question}");
    }
    assert_eq!(
        bed.post("/api/hl7/query", "text/plain", b"{}")
            .await
            .error()
            .0,
        415
    );
    let long = vec![b' '; 70_000];
    assert_eq!(
        bed.post("/api/hl7/query", "application/json", &long)
            .await
            .error()
            .0,
        413
    );
}
