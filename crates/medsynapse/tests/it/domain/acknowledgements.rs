//! Acknowledgements, patients and merges.

use hl7_message::{AckCode, ErrorCondition, Message, Reply, loc};
use medsynapse::Profile;
use serde_json::json;

use super::{context, shown, warnings, written};

const UPDATE: &str = "\
MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131415||ADT^A08|MSG123|P|2.3
EVN|A08|20230614131415
PID|1||P1||DOE^JANE||19900202|F||||||||||ADM1
";

const MERGE: &str = "\
MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131415||ADT^A40|MSG123|P|2.3
EVN|A40|20230614131415
PID|1||P2
MRG|P1
";

#[test]
fn a_patient_both_ways() {
    let json = json!({"patient": {"id": "P1", "name": {"family": "DOE", "given": "JANE"},
        "gender": "F", "dateOfBirth": "19900202", "admissionId": "ADM1"}});
    let (text, explain) = written(&json, &context()).unwrap();
    assert_eq!(text, UPDATE);
    assert_eq!(shown(&text), json);
    assert_eq!(explain.warnings[0].code, "not-applied");
}

#[test]
fn a_merge_both_ways() {
    let json = json!({"merge": {"fromPatientId": "P1", "intoPatientId": "P2"}});
    let (text, _) = written(&json, &context()).unwrap();
    assert_eq!(text, MERGE);
    assert_eq!(shown(&text), json);
    let named = MERGE.replace("||P2", "||P2||DOE^JANE");
    assert_eq!(shown(&named)["merge"], json["merge"]);
    assert_eq!(warnings(&shown(&named)), ["unmapped PID-5"]);
}

#[test]
fn what_the_broker_answers() {
    let order = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r";
    let message = Message::parse(order).unwrap();
    let now = "20230614131416".parse().unwrap();
    let responder = Profile::default().responder;
    let reply = Reply::to(&message.header(), &responder, "9", &now);
    let accepted = reply.write(AckCode::ApplicationAccept, "Order registered.", &[]);
    let accepted = String::from_utf8(accepted).unwrap().replace('\r', "\n");
    let json = json!({"acknowledgement": {"code": "AA", "controlId": "MSG1",
        "text": "Order registered.", "errors": []}});
    assert_eq!(shown(&accepted), json);

    let missing = ErrorCondition::RequiredFieldMissing;
    let errors = [(loc!("OBR-19"), missing), (loc!("OBX[2]-5"), missing)];
    let refused = reply.write(AckCode::ApplicationReject, "Missing OBR-19", &errors);
    let refused = String::from_utf8(refused).unwrap().replace('\r', "\n");
    let json = shown(&refused);
    assert_eq!(
        json,
        json!({"acknowledgement": {"code": "AR", "controlId": "MSG1", "text": "Missing OBR-19",
        "errors": [
            {"path": "OBR-19", "code": "101", "message": "Required field missing"},
            {"path": "OBX[2]-5", "code": "101", "message": "Required field missing"},
        ]}})
    );
    let (text, _) = written(&json, &context()).unwrap();
    assert_eq!(
        text,
        "MSH|^~\\&|API_GATEWAY|FACILITY|PACS_APP|PACS_FACILITY|20230614131415||ACK|MSG123|P|2.3\n\
         MSA|AR|MSG1|Missing OBR-19\n\
         ERR|OBR^1^19^101&Required field missing&HL70357~OBX^2^5^101&Required field missing&HL70357\n"
    );
    assert_eq!(shown(&text), json);
}

#[test]
fn an_odd_acknowledgement_is_told() {
    let json = shown(
        "MSH|^~\\&|A|B|C|D|20230614||ACK|7|P|2.3\nMSA|OK|M1||||207\nERR|obr^x^2^Y\nNTE|1||hello\n",
    );
    assert_eq!(
        json["acknowledgement"],
        json!({"controlId": "M1", "errors": [{"code": "Y"}]})
    );
    assert_eq!(
        warnings(&json),
        [
            "not-in-table MSA-1",
            "not-a-path ERR-1",
            "unmapped MSA-6",
            "unmapped-segment NTE"
        ]
    );
}
