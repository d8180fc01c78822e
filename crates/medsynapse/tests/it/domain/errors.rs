//! What is refused, and how it is told.

use medsynapse::domain::{Context, Request, to_message};
use serde_json::{Value, json};

use super::context;

/// The problems as `code pointer path`.
fn problems(json: &[u8], context: &Context<'_>) -> Vec<String> {
    let errors = match Request::from_slice(json) {
        Err(errors) => errors,
        Ok(request) => to_message(&request, context).unwrap_err(),
    };
    let list = errors.into_iter().map(|problem| {
        let path = problem.path.map_or("-".into(), |path| path.to_string());
        format!("{} {} {path}", problem.code, problem.json_pointer)
    });
    list.collect()
}

#[track_caller]
fn refused(json: &Value, expected: &[&str]) {
    assert_eq!(problems(json.to_string().as_bytes(), &context()), expected);
}

#[test]
fn every_mandatory_field_that_lacks_is_named() {
    refused(
        &json!({"order": {"accessionNumber": "A1"}}),
        &[
            "missing /order/patient/id PID-3.1",
            "missing /order/patient/name PID-5.1",
            "missing /order/patient/gender PID-8.1",
            "missing /order/study/modality OBR-24.1",
            "missing /order/scheduling/aeTitle OBR-21.1",
            "missing /order/scheduling/stationName OBR-18.1",
            "missing /order/study/description OBR-4.2",
            "missing /order/study/requestedProcedureDescription OBR-15.1",
        ],
    );
    refused(
        &json!({"study": "CHEST CT"}),
        &[
            "missing /order/accessionNumber OBR-2.1",
            "missing /patientId PID-3.1",
            "missing /order/patient/name PID-5.1",
            "missing /order/patient/gender PID-8.1",
            "missing /study OBR-24.1",
            "missing /order/scheduling/aeTitle OBR-21.1",
            "missing /order/scheduling/stationName OBR-18.1",
            "missing /order/study/procedureId OBR-4.1",
            "missing /order/study/requestedProcedureId OBR-19.1",
        ],
    );
    refused(
        &json!({"report": {}}),
        &[
            "missing /report/accessionNumber OBR-2.1",
            "missing /report/patient/id PID-3.1",
            "missing /report/result/content OBX-5",
        ],
    );
    refused(
        &json!({"patient": {"gender": "F"}}),
        &[
            "missing /patient/id PID-3.1",
            "missing /patient/name PID-5.1",
        ],
    );
    refused(
        &json!({"merge": {}}),
        &[
            "missing /merge/fromPatientId MRG-1.1",
            "missing /merge/intoPatientId PID-3.1",
        ],
    );
    refused(
        &json!({"acknowledgement": {"text": "x"}}),
        &[
            "missing /acknowledgement/code MSA-1",
            "missing /acknowledgement/controlId MSA-2",
        ],
    );
    refused(
        &json!({"order": {"orderControl": "CA"}}),
        &["missing /order/accessionNumber OBR-2.1"],
    );
}

#[test]
fn wrong_types_and_values_have_a_place() {
    refused(
        &json!({"order": {
            "accessionNumber": 7, "orderControl": [],
            "patient": {"id": "", "name": {"family": "", "nick": "X"}, "gender": "W",
                        "dateOfBirth": "1.1.1980", "weightKg": "70"},
            "study": "CT CHEST",
            "scheduling": {"scheduledDateTime": true} }}),
        &[
            "wrong-type /order/accessionNumber OBR-2.1",
            "wrong-type /order/orderControl ORC-1",
            "empty-text /order/patient/id PID-3.1",
            "unknown-member /order/patient/name PID-5.1",
            "empty-text /order/patient/name/family PID-5.1",
            "not-in-table /order/patient/gender PID-8.1",
            "not-a-date /order/patient/dateOfBirth PID-7.1",
            "wrong-type /order/patient/weightKg PV1-20.1",
            "wrong-type /order/study -",
            "wrong-type /order/scheduling/scheduledDateTime OBR-36.1",
        ],
    );
    refused(
        &json!({"order": {"accessionNumber": "A\rB", "patient": {"weightKg": -1},
                "study": {"studyInstanceUid": "1.02"}, "scheduling": {"scheduledDateTime": "2023"}}}),
        &[
            "control-characters /order/accessionNumber OBR-2.1",
            "not-a-number /order/patient/weightKg PV1-20.1",
            "not-a-uid /order/study/studyInstanceUid ZDS-1.1",
            "not-a-date /order/scheduling/scheduledDateTime OBR-36.1",
        ],
    );
    refused(
        &json!({"report": {"result": {"status": "DONE", "format": "HTML", "radiologist": "X"}}}),
        &[
            "not-in-table /report/result/status OBX-11",
            "not-in-table /report/result/format OBX-2",
            "wrong-type /report/result/radiologist -",
        ],
    );
    refused(
        &json!({"acknowledgement": {"code": "OK", "errors": [1, {"path": "PID-0", "code": 101}]}}),
        &[
            "not-in-table /acknowledgement/code MSA-1",
            "wrong-type /acknowledgement/errors/0 -",
            "wrong-type /acknowledgement/errors/1/path -",
            "wrong-type /acknowledgement/errors/1/code -",
        ],
    );
}

/// What becomes a DICOM value is never cut.
#[test]
fn what_is_too_long() {
    let mut order = full_order();
    order["order"]["accessionNumber"] = json!("A1234567890123456");
    order["order"]["patient"]["id"] = json!("1".repeat(65));
    order["order"]["study"]["modality"] = json!("SEVENTEEN_LETTERS");
    refused(
        &order,
        &[
            "too-long /order/accessionNumber OBR-2.1",
            "too-long /order/patient/id PID-3.1",
            "too-long /order/scheduling/aeTitle OBR-21.1",
            "too-long /order/study/procedureId OBR-4.1",
        ],
    );
}

#[test]
fn unknown_members_are_refused() {
    refused(
        &json!({"order": {"studies": {}}}),
        &["unknown-member /order/studies -"],
    );
    refused(
        &json!({"order": {}, "urgency": 1}),
        &["unknown-member /urgency -"],
    );
    refused(
        &json!({"patientId": "1", "study": "CT", "modality": "CT"}),
        &["unknown-member /modality -"],
    );
    // A member that may be anybody's name is not repeated.
    refused(
        &json!({"order": {"JOHN SMITH": 1}}),
        &["unknown-member /order -"],
    );
    refused(
        &json!({"order": {"patient.id": "1"}}),
        &["unknown-member /order -"],
    );
    refused(
        &json!({"patient": {"weightKg": 70}}),
        &["unknown-member /patient/weightKg -"],
    );
}

#[test]
fn one_form_at_a_time() {
    refused(&json!({}), &["no-form  -"]);
    refused(&json!([]), &["wrong-type  -"]);
    refused(&json!({"order": {}, "report": {}}), &["two-forms  -"]);
    refused(&json!({"order": {}, "patientId": "1"}), &["two-forms  -"]);
    refused(&json!({"order": null}), &["wrong-type /order -"]);
}

#[test]
fn what_is_no_json_or_says_something_twice() {
    assert_eq!(problems(b"{\"order\": ", &context()), ["syntax  -"]);
    assert_eq!(problems(b"\xFF", &context()), ["syntax  -"]);
    assert_eq!(
        problems(
            br#"{"order": {"accessionNumber": "A", "accessionNumber": "B"}}"#,
            &context()
        ),
        ["duplicate-member  -"]
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(problems(deep.as_bytes(), &context()), ["syntax  -"]);
}

#[test]
fn what_cannot_be_cleared() {
    let json = json!({"order": {"accessionNumber": "A1", "orderControl": "SC"}});
    refused(&json, &["not-in-table /order/orderControl ORC-1"]);
    let mut order = full_order();
    order["order"]["patient"]["name"] = Value::Null;
    order["order"]["study"]["modality"] = Value::Null;
    refused(
        &order,
        &[
            "not-clearable /order/patient/name PID-5.1",
            "not-clearable /order/study/modality OBR-24.1",
            "missing /order/scheduling/aeTitle OBR-21.1",
            "missing /order/scheduling/stationName OBR-18.1",
        ],
    );
    refused(
        &json!({"merge": {"fromPatientId": "P1", "intoPatientId": "P1"}}),
        &["same-patient /merge/fromPatientId MRG-1.1"],
    );
}

fn full_order() -> Value {
    json!({"order": {"accessionNumber": "A1", "patient": {"id": "1", "name": "A", "gender": "F"},
        "study": {"modality": "CT", "description": "CHEST"}}})
}

#[test]
fn errors_do_not_quote() {
    for json in [
        r#"{"order": {"accessionNumber": "SECRET\\rSECRET"}}"#,
        r#"{"order": {"patient": {"gender": "SECRET", "name": ["SECRET"]}}}"#,
        r#"{"order": "SECRET"}"#,
        r#"{"SECRET SECRET": 1, "order": {}}"#,
        "SECRET",
    ] {
        let errors = match Request::from_slice(json.as_bytes()) {
            Err(errors) => errors,
            Ok(request) => to_message(&request, &context()).unwrap_err(),
        };
        let text = format!(
            "{errors} {errors:?} {}",
            serde_json::to_string(errors.problems()).unwrap()
        );
        assert!(!text.contains("SECRET"), "{text}");
    }
    let request = Request::from_slice(br#"{"patient": {"id": "SECRET", "name": "SECRET"}}"#);
    assert!(!format!("{request:?}").contains("SECRET"));
}

#[test]
fn a_problem_as_json() {
    let errors = Request::from_slice(br#"{"order": {"patient": {"id": 1}}}"#).unwrap_err();
    assert_eq!(
        serde_json::to_value(&errors.problems()[0]).unwrap(),
        json!({"jsonPointer": "/order/patient/id", "path": "PID-3.1", "code": "wrong-type",
               "message": "is not text"})
    );
}
