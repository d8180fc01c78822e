//! What is filled in where a request leaves it out.

use std::collections::BTreeMap;

use hl7_message::Message;
use medsynapse::domain::{Context, Station, accession_number};
use medsynapse::{Attribute, Attributes, Change, Order, OrderState, Profile, Segments, interpret};
use serde_json::{Value, json};

use super::{context, shown, written};

fn short() -> Value {
    json!({"order": {"accessionNumber": "A1", "patient": {"id": "P1", "name": "DOE, JANE",
        "gender": "F"}, "study": {"description": "MR HEAD"}}})
}

fn order_of(json: &Value, context: &Context<'_>) -> Value {
    shown(&written(json, context).unwrap().0)["order"].clone()
}

#[test]
fn stations_are_configured_by_modality() {
    let station = |title: &str, name: Option<&str>| Station {
        ae_title: title.into(),
        name: name.map(str::to_owned),
    };
    let stations = BTreeMap::from([
        ("MR".to_owned(), station("MR_SOUTH", Some("Magnet 2"))),
        ("CT".to_owned(), station("CT_MAIN", None)),
    ]);
    let context = Context {
        stations: Some(&stations),
        ..context()
    };
    let scheduling = |json: &Value| {
        let order = order_of(json, &context);
        let text = |name: &str| order["scheduling"][name].as_str().unwrap().to_owned();
        (text("aeTitle"), text("stationName"))
    };
    assert_eq!(scheduling(&short()), ("MR_SOUTH".into(), "Magnet 2".into()));

    let mut other = short();
    other["order"]["study"]["description"] = json!("CT HEAD");
    assert_eq!(scheduling(&other), ("CT_MAIN".into(), "CT_MAIN".into()));
    other["order"]["study"]["description"] = json!("US HEART");
    assert_eq!(scheduling(&other), ("US1".into(), "US1".into()));

    // A title of the request's own is not the configured station.
    let mut own = short();
    own["order"]["scheduling"] = json!({"aeTitle": "MR9"});
    assert_eq!(scheduling(&own), ("MR9".into(), "MR9".into()));
}

#[test]
fn what_is_known_of_the_patient() {
    let mut known = Attributes::default();
    for (attribute, text) in [
        (Attribute::PatientName, "DOE^JANE"),
        (Attribute::PatientSex, "F"),
        (Attribute::PatientBirthDate, "19900202"),
        (Attribute::AdmissionId, "ADM9"),
    ] {
        known.set(attribute, text);
    }
    let context = Context {
        patient: Some(&known),
        ..context()
    };
    let json = json!({"order": {"accessionNumber": "A1", "patient": {"id": "P1", "gender": "O"},
        "study": {"description": "MR HEAD"}}});
    let order = order_of(&json, &context);
    assert_eq!(
        order["patient"],
        json!({"id": "P1", "name": {"family": "DOE", "given": "JANE"}, "gender": "O",
               "dateOfBirth": "19900202"})
    );
    let update = json!({"patient": {"id": "P1", "gender": "F"}});
    let (text, explain) = written(&update, &context).unwrap();
    assert!(text.contains("PID|1||P1||DOE^JANE|||F\n"), "{text}");
    assert_eq!(
        explain.to_map()["patient.name"],
        "PID-5 (made up: default, what is known of this patient)"
    );
}

fn known_order() -> Order {
    let mut attributes = Attributes::default();
    for (attribute, text) in [
        (Attribute::AccessionNumber, "A1"),
        (Attribute::PatientId, "P1"),
        (Attribute::PatientName, "DOE^JANE"),
        (Attribute::PatientSex, "F"),
        (Attribute::AdmissionId, "ADM1"),
        (Attribute::Modality, "MR"),
        (Attribute::ScheduledStationAeTitle, "MR7"),
        (Attribute::ScheduledStationName, "MR7"),
        (Attribute::ScheduledStart, "20230701080000"),
        (Attribute::ScheduledProcedureStepId, "S1"),
        (Attribute::ScheduledProcedureStepDescription, "MR KNEE"),
        (Attribute::RequestedProcedureId, "R1"),
        (Attribute::RequestedProcedureDescription, "MR KNEE"),
        (Attribute::Priority, "STAT"),
    ] {
        attributes.set(attribute, text);
    }
    let bytes = b"MSH|^~\\&\rPV1|1|I\r";
    Order {
        accession_number: "A1".try_into().unwrap(),
        state: OrderState::Scheduled,
        attributes,
        segments: Segments::of(&Message::parse(bytes).unwrap()),
    }
}

/// Absent is unchanged: an update keeps the time, the station and the priority of the order.
#[test]
fn an_order_that_is_known_keeps_what_is_not_said() {
    let known = known_order();
    let context = Context {
        order: Some(&known),
        ..context()
    };
    let json =
        json!({"order": {"accessionNumber": "A1", "study": {"description": "MR KNEE LEFT"}}});
    let (text, explain) = written(&json, &context).unwrap();
    assert!(text.contains("PV1|1|I\n"), "{text}");
    let bytes = text.replace('\n', "\r").into_bytes();
    let message = Message::parse(&bytes).unwrap();
    let Ok(Change::RegisterOrder(update)) = interpret(&message, &Profile::default()).outcome else {
        panic!("{text}")
    };
    let mut after = known.attributes.clone();
    after.apply(&update.patches);
    for (attribute, text) in known.attributes.iter() {
        if attribute == Attribute::ScheduledProcedureStepDescription {
            assert_eq!(after.get(attribute), Some("MR KNEE LEFT"));
        } else {
            assert_eq!(after.get(attribute), Some(text), "{attribute:?}");
        }
    }
    assert_eq!(
        explain.to_map()["order.study.priority"],
        "OBR-5.1 (made up: default, as the order is known)"
    );
}

#[test]
fn another_patient_does_not_get_the_demographics_of_the_first() {
    let known = known_order();
    let context = Context {
        order: Some(&known),
        ..context()
    };
    let json = json!({"order": {"accessionNumber": "A1", "patient": {"id": "P2"}}});
    let errors = written(&json, &context).unwrap_err();
    let paths: Vec<_> = errors
        .problems()
        .iter()
        .map(|p| p.path.unwrap().to_string())
        .collect();
    assert_eq!(paths, ["PID-5.1", "PID-8.1"]);
}

#[test]
fn a_cancel_says_no_more_than_it_must() {
    for control in ["CA", "CM"] {
        let json = json!({"order": {"accessionNumber": "A1", "orderControl": control}});
        let (text, _) = written(&json, &context()).unwrap();
        let (_, segments) = text.split_once('\n').unwrap();
        assert_eq!(segments, format!("PID|1\nORC|{control}\nOBR|1|A1\n"));
    }
}

#[test]
fn null_is_written_as_two_quotation_marks() {
    let mut json = short();
    json["order"]["patient"]["admissionId"] = Value::Null;
    json["order"]["patient"]["dateOfBirth"] = Value::Null;
    json["order"]["study"]["reason"] = Value::Null;
    json["order"]["study"]["priority"] = Value::Null;
    let (text, _) = written(&json, &context()).unwrap();
    assert!(
        text.contains("PID|1||P1||DOE^JANE||\"\"|F||||||||||\"\"\n"),
        "{text}"
    );
    let order = &shown(&text)["order"];
    assert_eq!(order["study"]["reason"], Value::Null);
    assert_eq!(order["study"]["priority"], Value::Null);
    assert_eq!(order["patient"]["admissionId"], Value::Null);
}

#[test]
fn accession_numbers_fit_into_sixteen_characters() {
    assert_eq!(accession_number(1).unwrap().as_str(), "ACC1");
    assert_eq!(
        accession_number(9_999_999_999_999).unwrap().as_str().len(),
        16
    );
    assert!(accession_number(10_000_000_000_000).is_none());
    assert!(accession_number(u64::MAX).is_none());
}

#[test]
fn an_answer_may_be_sent_back() {
    let mut json = short();
    json["order"]["status"] = json!("SCHEDULED");
    json["order"]["createdAt"] = json!("2023-06-14T13:14:15Z");
    json["warnings"] = json!([]);
    json["_map"] = json!({});
    let (_, explain) = written(&json, &context()).unwrap();
    let codes: Vec<_> = explain
        .warnings
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(codes, ["read-only-member"; 4]);
}
