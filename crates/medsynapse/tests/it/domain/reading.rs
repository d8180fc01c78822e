//! Messages of others as domain JSON: nothing is dropped without a word.

use hl7_message::Message;
use medsynapse::domain::{Dates, NotMapped, Options, from_message};
use serde_json::{Value, json};

use super::{shown, shown_with, warnings};

const MSH: &str = "MSH|^~\\&|RIS|H|PACS|R|20230614131415||TYPE|M1|P|2.3\n";

fn order(segments: &str) -> Value {
    shown(&format!("{}{segments}", MSH.replace("TYPE", "ORM^O01")))
}

fn report(segments: &str) -> Value {
    shown(&format!("{}{segments}", MSH.replace("TYPE", "ORU^R01")))
}

/// The golden order with more in it.
const RICH: &str = "\
PID|1|EXT7|PAT789^^^HIS~PAT790||SMITH&VAN^JOHN^Q^^DR^MD||19800101|M|||12 STREET^^TOWN|||||||ADM1
PV1|1|I|RAD^ROOM 2||||4711^REFERRER|4712^OTHER^NAME||||||||||||70.50
ORC|XO|ACC1||||||||||4712^REQUESTER|||||H^INSTITUTE
OBR|1|ACC1||CT123^CT CHEST^L|STAT||||||||||CHEST CT|||ST1|RP1|ROOM 4|CT1|||CT|||||||R05^COUGH|||77^PERF||20230614132030
ZDS|1.2.840.1^^Application^DICOM
NTE|1||hello
NTE|2||again
";

#[test]
fn every_member_from_its_place() {
    let json = order(RICH);
    assert_eq!(
        json["order"],
        json!({
            "accessionNumber": "ACC1", "orderControl": "XO",
            "patient": { "id": "PAT789",
                "name": { "family": "SMITH", "given": "JOHN", "middle": "Q", "prefix": "DR" },
                "gender": "M", "dateOfBirth": "19800101", "admissionId": "ADM1", "weightKg": 70.5 },
            "visit": { "patientClass": "I", "referringPhysician": "OTHER" },
            "study": { "modality": "CT", "description": "CT CHEST", "priority": "STAT",
                "procedureId": "CT123", "requestedProcedureId": "RP1",
                "requestedProcedureDescription": "CHEST CT", "reason": "COUGH",
                "studyInstanceUid": "1.2.840.1" },
            "scheduling": { "aeTitle": "CT1", "stationName": "ST1", "location": "ROOM 4",
                "scheduledDateTime": "20230614132030", "performingPhysician": "77" },
            "requestingPhysician": "REQUESTER", "institutionName": "INSTITUTE" })
    );
    assert_eq!(
        warnings(&json),
        [
            "unmapped PID-2",
            "unmapped PID-3.4",
            "unmapped PID-3[2]",
            "unmapped PID-5.1.2",
            "unmapped PID-5.6",
            "unmapped PID-11",
            "unmapped PV1-3",
            "unmapped PV1-7",
            "unmapped PV1-8.1",
            "unmapped PV1-8.3",
            "unmapped ORC-2",
            "unmapped ORC-12.1",
            "unmapped ORC-17.1",
            "unmapped OBR-4.3",
            "unmapped OBR-31.1",
            "unmapped OBR-34.2",
            "unmapped ZDS-1.3",
            "unmapped ZDS-1.4",
            "unmapped-segment NTE",
            "unmapped-segment NTE[2]",
        ]
    );
    insta::assert_snapshot!(json["warnings"][5]["message"].as_str().unwrap(),
        @"PID-11 (Patient Address) has no member in the order form");
}

/// Every leaf of a message is shown, is part of the envelope, or has a warning.
#[test]
fn no_leaf_is_dropped() {
    let text = format!("{}{RICH}", MSH.replace("TYPE", "ORM^O01")).replace('\n', "\r");
    let message = Message::parse(text.as_bytes()).unwrap();
    let options = Options {
        explain: true,
        ..Options::default()
    };
    let json = from_message(&message, &options).unwrap();
    let told: Vec<String> = warnings(&json)
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .chain(
            json["_map"]
                .as_object()
                .unwrap()
                .values()
                .map(|v| v.as_str().unwrap().to_owned()),
        )
        .collect();
    for (path, _) in hl7_json::to_paths(&message) {
        let set_id = ["PID-1", "PV1-1", "OBR-1"].contains(&path.as_str());
        let covered = told.iter().any(|place| {
            path == *place
                || path.starts_with(&format!("{place}."))
                || path.starts_with(&format!("{place}-"))
                || place.strip_suffix(".1") == Some(&path)
                || (place == "PID-3.1" && path == "PID-3.1.1")
        });
        assert!(
            path.starts_with("MSH-") || set_id || covered,
            "{path}: {told:?}"
        );
    }
}

#[test]
fn odd_values_are_left_out_and_told() {
    let json = order(
        "PID|1||P1||\"\"||1980|W\nPV1|2|O||||||||||||||||||heavy\nORC|SC\n\
         OBR|1|A1||S1^D||||||||||||||||||||ZZ||||||||||||soon\nZDS|1..2\n",
    );
    assert_eq!(
        json["order"],
        json!({"accessionNumber": "A1", "orderControl": "SC",
            "patient": {"id": "P1", "name": null}, "visit": {"patientClass": "O"},
            "study": {"modality": "ZZ", "description": "D", "procedureId": "S1"}})
    );
    assert_eq!(
        warnings(&json),
        [
            "other-order-control ORC-1",
            "not-in-table PID-8.1",
            "not-a-date PID-7.1",
            "not-a-number PV1-20.1",
            "other-modality OBR-24.1",
            "not-a-uid ZDS-1.1",
            "not-a-date OBR-36.1",
            "missing PID-5.1",
            "missing OBR-21.1",
            "missing OBR-18.1",
            "missing OBR-19.1",
            "missing OBR-15.1",
            "unmapped PV1-1",
        ]
    );
}

#[test]
fn repeated_and_nameless_segments() {
    let json = order("PID|1||P1\nPID|2||P2\nfree text\nORC|CA\nOBR|1|A1\n");
    assert_eq!(json["order"]["patient"]["id"], "P1");
    assert_eq!(warnings(&json), ["unmapped-segment PID[2]", "odd-segment "]);
}

#[test]
fn the_header_is_told_where_it_is_unusual() {
    let json = shown("MSH|^~\\&|A|B|C|D|2023|SEC|ORM^O01|1|T|2.5||||||x|y\nORC|CA\nOBR|1|A1\n");
    assert_eq!(
        warnings(&json),
        [
            "unknown-charset MSH-18",
            "processing-id MSH-11",
            "other-version MSH-12",
            "unmapped MSH-8",
            "unmapped MSH-19",
        ]
    );
}

#[test]
fn every_line_end_is_one() {
    let content = |field: &str| {
        let json = report(&format!("PID|||P\nOBR||A\nOBX|1|TX|||{field}||||||F\n"));
        json["report"]["result"]["content"].clone()
    };
    assert_eq!(content(r"a\X0D\\X0A\b"), "a\nb");
    assert_eq!(content(r"a\X0D0A\b"), "a\nb");
    assert_eq!(content(r"a\X0D\b"), "a\nb");
    assert_eq!(content(r"a\X0A\b"), "a\nb");
    assert_eq!(content(r"a\.br\b"), "a\nb");
    assert_eq!(content("a~b"), "a\nb");
    assert_eq!(content(r"a\F\b\S\c\T\d\R\e\E\f^g&h"), "a|b^c&d~e\\f^g&h");
    assert_eq!(content("\"\""), Value::Null);
}

#[test]
fn status_format_date_and_radiologist() {
    let result = |segment: &str| {
        let json = report(&format!("PID|||P\nOBR||A\n{segment}\n"));
        (json["report"]["result"].clone(), warnings(&json))
    };
    for (code, word) in [
        ("I", "COMPLETED"),
        ("R", "READ"),
        ("F", "FINAL"),
        ("P", "PRINTED"),
    ] {
        let (result, warnings) = result(&format!("OBX|1|TX|||||||||{code}"));
        assert_eq!((result, warnings), (json!({"status": word}), vec![]));
    }
    let (found, told) = result("OBX|1|RTF|||x||||||C|||20230614120000||4713^LINDQVIST^SOFIA");
    assert_eq!(
        found,
        json!({"status": "C", "content": "x", "format": "RTF", "date": "20230614120000",
               "radiologist": {"id": "4713", "name": "LINDQVIST"}})
    );
    assert_eq!(told, ["other-status OBX-11", "unmapped OBX-16.3"]);
    let (found, told) = result("OBX|1|FT|||x||||||?|||never");
    assert_eq!(found, json!({"content": "x"}));
    assert_eq!(
        told,
        [
            "not-in-table OBX-11",
            "other-format OBX-2",
            "not-a-date OBX-14"
        ]
    );
}

#[test]
fn a_report_names_its_study_in_two_places() {
    let json = report("PID|||P\nOBR||A||S1^CHEST\nOBX|1|TX|S2^CHEST||x\n");
    assert_eq!(
        json["report"]["study"],
        json!({"id": "S2", "description": "CHEST"})
    );
    assert_eq!(warnings(&json), ["differs OBR-4.1"]);
    let json = report("PID|||P\nOBR||A||S1^CHEST\nOBX|1|TX|||x\n");
    assert_eq!(
        json["report"]["study"],
        json!({"id": "S1", "description": "CHEST"})
    );
}

#[test]
fn dates_as_rfc_3339() {
    let options = Options {
        dates: Dates::Iso,
        utc_offset_minutes: 120,
        ..Options::default()
    };
    let lines = format!(
        "{}PID|1||P||||19800101\nORC|CA\nOBR|1|A{}20230614132030\n",
        MSH.replace("TYPE", "ORM^O01"),
        "|".repeat(34)
    );
    let json = shown_with(&lines, &options);
    assert_eq!(json["order"]["patient"]["dateOfBirth"], "1980-01-01");
    assert_eq!(
        json["order"]["scheduling"]["scheduledDateTime"],
        "2023-06-14T13:20:30+02:00"
    );
    assert_eq!(warnings(&json), ["assumed-offset OBR-36.1"]);
}

#[test]
fn warnings_are_bounded() {
    let notes = "NTE|1||x\n".repeat(500);
    let json = order(&format!("ORC|CA\nOBR|1|A1\n{notes}"));
    let list = json["warnings"].as_array().unwrap();
    assert_eq!(list.len(), 201);
    assert_eq!(list[200]["message"], "300 more warnings are not listed");
}

#[test]
fn other_messages_have_no_form() {
    let bytes = MSH.replace("TYPE", "SIU^S12").replace('\n', "\r");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    assert_eq!(from_message(&message, &Options::default()), Err(NotMapped));
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let bytes = b"MSH|^~\\&|A|B|C|D|2023||ORM^O01|1|P|2.3\rPID|1||P||M\xDCLLER\rORC|CA\rOBR|1|A\r";
    let json = from_message(&Message::parse(bytes).unwrap(), &Options::default()).unwrap();
    assert_eq!(json["order"]["patient"], json!({"id": "P"}));
    assert_eq!(warnings(&json), ["not-text PID-5.1"]);
}
