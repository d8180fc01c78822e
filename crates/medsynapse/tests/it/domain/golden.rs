//! The two pairs of the reference, to the letter.

use hl7_message::Message;
use medsynapse::domain::{Options, Request, from_message, to_message};
use medsynapse::{Profile, interpret};
use serde_json::json;

use super::{context, shown, warnings, written};

const ORDER: &str = "\
MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|MSG123|P|2.3
PID|1||PAT789||SMITH^JOHN||19800101|M
PV1|1|O
ORC|NW
OBR|1|ACC123456||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|ACC123456||CT1|||CT||||||||||||20230614132030
";

const REPORT: &str = "\
MSH|^~\\&|PACS_APP|PACS_FACILITY|API_GATEWAY|FACILITY|20230614151617||ORU^R01|ACK123|P|2.3
PID|1||PAT789||SMITH^JOHN||19800101|M
OBR|1|ACC123456||CT123^CT CHEST
OBX||TX|CT123^CT CHEST||Normal study with no significant findings.\\X0D\\\\X0A\\Lungs are clear.||||||F
";

#[test]
fn the_order() {
    let json = json!({ "order": {
        "accessionNumber": "ACC123456",
        "patient": { "id": "PAT789", "name": "SMITH, JOHN", "gender": "M", "dateOfBirth": "19800101" },
        "study": { "modality": "CT", "description": "CT CHEST", "priority": "ROUTINE",
                   "procedureId": "CT123" },
        "scheduling": { "aeTitle": "CT1", "scheduledDateTime": "20230614132030" } } });
    let (text, _) = written(&json, &context()).unwrap();
    assert_eq!(text, ORDER);
    let message = ORDER.replace('\n', "\r");
    let outcome = interpret(
        &Message::parse(message.as_bytes()).unwrap(),
        &Profile::default(),
    );
    assert!(outcome.outcome.is_ok() && outcome.warnings.is_empty());
}

#[test]
fn the_order_in_rfc_3339() {
    let json = json!({ "order": {
        "accessionNumber": "ACC123456", "orderControl": "NW",
        "patient": { "id": "PAT789", "name": { "family": "SMITH", "given": "JOHN" }, "gender": "M",
                     "dateOfBirth": "1980-01-01" },
        "visit": { "patientClass": "O" },
        "study": { "modality": "CT", "description": "CT CHEST", "priority": "ROUTINE",
                   "procedureId": "CT123" },
        "scheduling": { "aeTitle": "CT1", "scheduledDateTime": "2023-06-14T13:20:30" } } });
    assert_eq!(written(&json, &context()).unwrap().0, ORDER);
}

#[test]
fn the_report() {
    let json = shown(REPORT);
    assert_eq!(
        json.to_string(),
        json!({ "report": { "accessionNumber": "ACC123456",
            "patient": { "id": "PAT789", "name": { "family": "SMITH", "given": "JOHN" },
                         "dateOfBirth": "19800101", "gender": "M" },
            "study": { "id": "CT123", "description": "CT CHEST" },
            "result": { "status": "FINAL",
                        "content": "Normal study with no significant findings.\nLungs are clear." } } })
        .to_string()
    );
}

#[test]
fn the_report_and_back() {
    let (text, _) = written(&shown(REPORT), &context()).unwrap();
    assert_eq!(
        text,
        "MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131415||ORU^R01|MSG123|P|2.3\n\
         PID|1||PAT789||SMITH^JOHN||19800101|M\n\
         OBR|1|ACC123456||CT123^CT CHEST\n\
         OBX|1|TX|CT123^CT CHEST||Normal study with no significant findings.\\X0D\\\\X0A\\Lungs are clear.\
         ||||||F\n"
    );
    assert_eq!(shown(&text), shown(REPORT));
}

#[test]
fn the_order_is_shown_as_it_was_sent() {
    let json = shown(ORDER);
    let expected = json!({ "order": {
        "accessionNumber": "ACC123456", "orderControl": "NW",
        "patient": { "id": "PAT789", "name": { "family": "SMITH", "given": "JOHN" },
                     "gender": "M", "dateOfBirth": "19800101" },
        "visit": { "patientClass": "O" },
        "study": { "modality": "CT", "description": "CT CHEST", "priority": "ROUTINE",
                   "procedureId": "CT123", "requestedProcedureId": "ACC123456",
                   "requestedProcedureDescription": "CT CHEST" },
        "scheduling": { "aeTitle": "CT1", "stationName": "CT1",
                        "scheduledDateTime": "20230614132030" } } });
    assert_eq!(json.to_string(), expected.to_string());
    assert_eq!(written(&json, &context()).unwrap().0, ORDER);
}

#[test]
fn explained() {
    let message = ORDER.replace('\n', "\r");
    let message = Message::parse(message.as_bytes()).unwrap();
    let options = Options {
        explain: true,
        ..Options::default()
    };
    let json = from_message(&message, &options).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["_map"]).unwrap(), @r#"
    {
      "order.accessionNumber": "OBR-2.1",
      "order.orderControl": "ORC-1",
      "order.patient.id": "PID-3.1",
      "order.patient.name": "PID-5",
      "order.patient.gender": "PID-8.1",
      "order.patient.dateOfBirth": "PID-7.1",
      "order.visit.patientClass": "PV1-2",
      "order.study.modality": "OBR-24.1",
      "order.study.description": "OBR-4.2",
      "order.study.priority": "OBR-5.1",
      "order.study.procedureId": "OBR-4.1",
      "order.study.requestedProcedureId": "OBR-19.1",
      "order.study.requestedProcedureDescription": "OBR-15.1",
      "order.scheduling.aeTitle": "OBR-21.1",
      "order.scheduling.stationName": "OBR-18.1",
      "order.scheduling.scheduledDateTime": "OBR-36.1"
    }
    "#);
}

/// The published example that contradicts its own table: AE title in OBR-18, modality in OBR-22,
/// time in OBR-33.
#[test]
fn the_other_published_order_lacks_three_fields() {
    let lines = ORDER.replace(
        "|||CT1|ACC123456||CT1|||CT||||||||||||2023",
        "|||CT1|ACC123456|||CT|||||||||||2023",
    );
    let json = shown(&lines);
    assert_eq!(
        warnings(&json),
        [
            "missing OBR-24.1",
            "missing OBR-21.1",
            "missing OBR-36.1",
            "unmapped OBR-22",
            "unmapped OBR-33",
        ]
    );
    let bytes = lines.replace('\n', "\r");
    let outcome = interpret(
        &Message::parse(bytes.as_bytes()).unwrap(),
        &Profile::default(),
    );
    assert_eq!(
        outcome.outcome.unwrap_err().text,
        "Missing OBR-21 OBR-24 OBR-36"
    );
}

#[test]
fn the_short_form() {
    let json = json!({"patientId": "12345", "study": "CT CHEST", "priority": "ROUTINE"});
    let mut known = medsynapse::Attributes::default();
    known.set(medsynapse::Attribute::PatientName, "SMITH^JOHN");
    known.set(medsynapse::Attribute::PatientSex, "M");
    known.set(medsynapse::Attribute::PatientBirthDate, "19800101");
    let number = medsynapse::domain::accession_number(7).unwrap();
    let context = medsynapse::domain::Context {
        new_accession_number: Some(&number),
        patient: Some(&known),
        ..context()
    };
    let request = Request::from_value(&json).unwrap();
    let (bytes, explain) = to_message(&request, &context).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap().replace('\r', "\n"),
        "MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|MSG123|P|2.3\n\
         PID|1||12345||SMITH^JOHN||19800101|M\nPV1|1|O\nORC|NW\n\
         OBR|1|ACC7||ACC7^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|ACC7||CT1|||CT\
         ||||||||||||20230614131415\n"
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&explain.to_map()).unwrap());
}
