use core::fmt::Write as _;

use super::*;
use crate::dictionary::{Element, ElementKind, structures};

#[track_caller]
fn found(body: &str, expected: &[&str]) {
    let bytes = format!("MSH|^~\\&|||||||{body}");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    let found = check(&message, Checks::STRICT);
    let lines: Vec<_> = found
        .iter()
        .map(|d| format!("{}: {} at {}", d.severity, d.kind, d.location))
        .collect();
    assert_eq!(lines, expected);
}

/// A message of these segments, looked at for its order alone.
#[track_caller]
fn order(message_type: &str, segments: &str, expected: &[&str]) {
    let mut bytes = format!("MSH|^~\\&|||||||{message_type}\r");
    for name in segments.split_whitespace() {
        bytes += name;
        bytes += "\r";
    }
    let message = Message::parse(bytes.as_bytes()).unwrap();
    let checks = Checks {
        required: None,
        ..Checks::STRICT
    };
    let found = check(&message, checks);
    let lines: Vec<_> = found
        .iter()
        .map(|d| {
            let what = match d.kind {
                DiagnosticKind::MissingSegment => "missing",
                DiagnosticKind::MisplacedSegment => "misplaced",
                DiagnosticKind::UnexpectedSegment => "unexpected",
                DiagnosticKind::LocalSegment => "local",
                DiagnosticKind::UnnamedSegment => "unnamed",
                other => panic!("{other}"),
            };
            format!("{what} {}", d.location)
        })
        .collect();
    assert_eq!(lines, expected, "{message_type} {segments}");
}

#[test]
fn complete_messages_are_in_order() {
    order("ACK^O01", "MSA", &[]);
    order("ACK", "MSA ERR", &[]);
    order("ORM^O01", "PID PV1 ORC OBR", &[]);
    order(
        "ORM^O01",
        "NTE NTE PID PD1 NTE PV1 PV2 IN1 IN2 IN1 IN3 GT1 AL1 AL1 ORC OBR NTE DG1 OBX NTE OBX CTI \
         BLG ORC RXO ORC",
        &[],
    );
    order("ORM^O01", "ORC", &[]);
    order("ORR^O02", "MSA", &[]);
    order("ORR^O02", "MSA ERR NTE PID NTE ORC OBR NTE ORC", &[]);
    order(
        "ORU^R01",
        "PID PV1 ORC OBR NTE OBX NTE OBX OBX ORC OBR OBX OBR PID OBR OBX DSC",
        &[],
    );
    order("ORU^R01", "OBR", &[]);
    order(
        "ADT^A08",
        "EVN PID NK1 NK1 PV1 DB1 OBX AL1 DG1 DRG PR1 ROL ROL PR1 GT1 IN1 IN1 ACC UB1 UB2",
        &[],
    );
    order("ADT^A40", "EVN PID MRG PID PD1 MRG PV1", &[]);
    order("QRY^R02", "QRD QRF", &[]);
    order("ORF^R04", "MSA QRD QRF PID OBR OBX", &[]);
    order("QRY^Q01", "QRD", &[]);
}

#[test]
fn a_missing_segment_is_named_where_it_is_missed() {
    order("ACK", "", &["missing MSA"]);
    order("ADT^A08", "EVN PID", &["missing PV1"]);
    order("ADT^A08", "PID DG1", &["missing EVN", "missing PV1"]);
    order("ADT^A40", "EVN PID", &["missing MRG"]);
    order("ADT^A40", "EVN PID PID MRG", &["missing MRG"]);
    order("ORU^R01", "PID OBX OBX", &["missing OBR"]);
    order("ORM^O01", "PV1 OBR", &["missing PID", "missing ORC"]);
    order("ORM^O01", "PID OBR ORC", &["missing ORC"]);
    order("ORM^O01", "PID ORC NTE", &["missing OBR"]);
    order("QRY^R02", "", &["missing QRD", "missing QRF"]);
}

#[test]
fn a_segment_out_of_order_is_not_missing_too() {
    order("ADT^A08", "PID EVN PV1", &["misplaced EVN"]);
    order("ADT^A08", "EVN PID PID PV1", &["misplaced PID[2]"]);
    order("ORM^O01", "PID ORC OBR OBX DG1", &["misplaced DG1"]);
    order("ACK", "MSA MSA", &["misplaced MSA[2]"]);
}

#[test]
fn other_segments_are_told_apart() {
    order(
        "ORM^O01",
        "PID ZP1 ORC OBR SCH ZDS free_text",
        &["local ZP1", "unexpected SCH", "local ZDS", "unnamed ZDS"],
    );
    order("ACK^A01", "MSA DSC", &[]);
}

#[test]
fn a_structure_that_is_not_known_is_said() {
    found(
        "SIU^S12|1|P|2.3\rSCH|1\r",
        &["note: no structure known for this message type and event at MSH-9"],
    );
}

#[test]
fn every_structure_accepts_what_it_prints() {
    fn names(elements: &[Element], times: usize, all: &mut String) {
        for element in elements {
            for _ in 0..if element.repeats { times } else { 1 } {
                match element.kind {
                    ElementKind::Segment(id) => write!(all, "{id} ").unwrap(),
                    ElementKind::Choice(ids) => write!(all, "{} ", ids[0]).unwrap(),
                    ElementKind::Group(inner) => names(inner, times, all),
                }
            }
        }
    }
    for structure in structures() {
        for times in [1, 2] {
            let mut all = String::new();
            names(structure.elements(), times, &mut all);
            let event = structure.events().first().unwrap_or(&"");
            let all = all.strip_prefix("MSH ").unwrap();
            order(&format!("{}^{event}", structure.code()), all, &[]);
        }
    }
}

#[test]
fn fields_are_measured() {
    found(
        "ACK|12345678901234567890+|P|2.3|x\rMSA|AA~AE|1\r",
        &[
            "warning: longer than 20 characters at MSH-10",
            "error: not a value of data type NM at MSH-13",
            "warning: more than 1 repetitions at MSA-1[2]",
        ],
    );
    found(
        "ACK|1|P|2.3|||||FR|8859/1|FRA|later\rMSA|AA|1||||E^^\r",
        &["note: field not part of this segment at MSH-20"],
    );
}

#[test]
fn characters_count_not_bytes() {
    let text = "é".repeat(80);
    found(&format!("ACK|1|P|2.3\rMSA|AA|1|{text}\r"), &[]);
    found(
        &format!("ACK|1|P|2.3\rMSA|AA|1|{text}x\r"),
        &["warning: longer than 80 characters at MSA-3"],
    );
}

#[test]
fn empty_and_null_are_two_things() {
    found("ACK|1|P|2.3\rMSA|AA|\"\"\r", &[]);
    found(
        "ACK|1|P|2.3\rMSA|AA|^&~\r",
        &["error: required field missing at MSA-2"],
    );
}

#[test]
fn parts_of_a_field_are_at_most_warned_of() {
    found(
        "ORU^R01|1|P|2.3\rPID|||7||DOE||||||||^^^^x~^^^^33\rOBR||||CT\r\
         OBX||NM|CT||high||||||F\rOBX||TX|CT||high||||||F\r",
        &[
            "warning: not a value of data type NM at PID-13.5",
            "note: required field missing at OBR-27",
            "error: not a value of data type NM at OBX-5",
        ],
    );
    // The type of a time stamp in a quantity and timing is that of its subcomponent.
    found(
        "ORM^O01|1|P|2.3\rORC|NW|1|||||1&x^^^soon\r",
        &["warning: not a value of data type TS at ORC-7.4"],
    );
}

#[test]
fn codes_are_those_of_the_table() {
    found(
        "ORM^O01|1|X|2.3\rORC|NEW|1|||||1\r",
        &[
            "note: code not in HL7 table 0103 at MSH-11.1",
            "warning: longer than 2 characters at ORC-1",
            "warning: code not in HL7 table 0119 at ORC-1",
        ],
    );
}

#[test]
fn other_versions_and_parts_of_messages_get_notes() {
    let line = "note: required segment missing at MSA";
    found(
        "ACK|1|P|2.5\r",
        &["note: code not in HL7 table 0104 at MSH-12", line],
    );
    found("ACK|1|P|2.3||next\r", &[line]);
}

#[test]
fn the_check_stops_at_its_limit() {
    let bytes = format!("MSH|^~\\&|||||||ACK|1|P|2.3\r{}", "ZZZ\r".repeat(100));
    let message = Message::parse(bytes.as_bytes()).unwrap();
    let checks = Checks {
        diagnostics_max: 7,
        ..Checks::STRICT
    };
    assert_eq!(check(&message, checks).len(), 7);
}
