use hl7_message::Message;

use super::interpret;
use crate::{Attribute, Change, OrderControl, Patch, Preset, Profile, ReportFormat};

const MSH: &str = "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||TYPE|M1|P|2.3\r";
const PID: &str = "PID|1||PAT789||SMITH^JOHN||19800101|M\r";
const OBR: &str = "OBR|1|ACC1||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT\
                   ||||||||||||20230614132030\r";

fn message(kind: &str, rest: &str) -> String {
    MSH.replace("TYPE", kind) + rest
}

fn order(control: &str) -> String {
    message("ORM^O01", &format!("{PID}PV1|1|O\rORC|{control}\r{OBR}"))
}

fn run(text: &str, profile: &Profile) -> super::Interpretation {
    interpret(&Message::parse(text.as_bytes()).unwrap(), profile)
}

#[track_caller]
fn accepted(text: &str) -> Change {
    run(text, &Profile::default()).outcome.unwrap()
}

#[track_caller]
fn refused(text: &str, answer: &str) {
    refused_by(text, &Profile::default(), answer);
}

#[track_caller]
fn refused_by(text: &str, profile: &Profile, answer: &str) {
    let rejection = run(text, profile).outcome.unwrap_err();
    assert_eq!(rejection.text, answer);
    assert!(!rejection.findings.is_empty());
}

#[track_caller]
fn warned(text: &str, codes: &[&str]) {
    let interpretation = run(text, &Profile::default());
    assert!(
        interpretation.outcome.is_ok(),
        "{:?}",
        interpretation.outcome
    );
    let found: Vec<_> = interpretation
        .warnings
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(found, codes);
}

fn strict() -> Profile {
    Preset::MedsynapseStrict.into()
}

#[test]
fn a_new_order_has_every_attribute_from_its_place() {
    let text = message(
        "ORM^O01",
        "PID|1||PAT789^^^HIS||SMITH^JOHN^Q||19800101|M||||||||||ADM1\r\
         PV1|1|O||||||7^REFERRER||||||||||||70.5\r\
         ORC|NW|||||||||||9^REQUESTER|||||H^INSTITUTE\r\
         OBR|1|ACC1||CT123^CT CHEST|STAT||||||||||CHEST CT|||STATION1|RP1|ROOM 4|CT1|||CT|||||||^COUGH|||PERF||20230614132030\r\
         ZDS|1.2.840.1^^Application^DICOM\r",
    );
    let Change::RegisterOrder(order) = accepted(&text) else {
        panic!()
    };
    assert_eq!(order.control, OrderControl::New);
    let expected = [
        (Attribute::AccessionNumber, "ACC1"),
        (Attribute::PatientId, "PAT789"),
        (Attribute::PatientName, "SMITH^JOHN^Q"),
        (Attribute::PatientSex, "M"),
        (Attribute::Modality, "CT"),
        (Attribute::ScheduledStationAeTitle, "CT1"),
        (Attribute::ScheduledStationName, "STATION1"),
        (Attribute::ScheduledStart, "20230614132030"),
        (Attribute::ScheduledProcedureStepId, "CT123"),
        (Attribute::ScheduledProcedureStepDescription, "CT CHEST"),
        (Attribute::RequestedProcedureId, "RP1"),
        (Attribute::RequestedProcedureDescription, "CHEST CT"),
        (Attribute::AdmissionId, "ADM1"),
        (Attribute::PatientWeight, "70.5"),
        (Attribute::PatientBirthDate, "19800101"),
        (Attribute::ReferringPhysician, "REFERRER"),
        (Attribute::RequestingPhysician, "REQUESTER"),
        (Attribute::PerformingPhysician, "PERF"),
        (Attribute::Location, "ROOM 4"),
        (Attribute::Reason, "COUGH"),
        (Attribute::Priority, "STAT"),
        (Attribute::InstitutionName, "INSTITUTE"),
        (Attribute::StudyInstanceUid, "1.2.840.1"),
    ];
    for (attribute, text) in expected {
        assert_eq!(order.patches.text(attribute), Some(text), "{attribute:?}");
    }
    assert_eq!(expected.len(), Attribute::COUNT);
}

#[test]
fn the_reason_is_read_from_either_component() {
    for reason in ["COUGH", "^COUGH", "R05^COUGH"] {
        let text = order("NW").replace("||||||||||||2023", &format!("|||||||{reason}|||||2023"));
        let Change::RegisterOrder(order) = accepted(&text) else {
            panic!()
        };
        assert_eq!(
            order.patches.text(Attribute::Reason),
            Some("COUGH"),
            "{reason}"
        );
    }
}

#[test]
fn order_controls() {
    assert!(matches!(accepted(&order("NW")), Change::RegisterOrder(_)));
    assert!(matches!(accepted(&order("XO")), Change::RegisterOrder(_)));
    assert!(matches!(accepted(&order("CA")), Change::CancelOrder(_)));
    assert!(matches!(accepted(&order("CM")), Change::CompleteOrder(_)));
    refused(&order("SC"), "Order control SC is not supported.");
    refused(&order(""), "Order control (empty) is not supported.");
    refused(&order("nw"), "Order control nw is not supported.");
    refused_by(
        &order("XO"),
        &strict(),
        "Order control XO is not supported.",
    );
}

#[test]
fn cancel_and_complete_need_the_accession_number_alone() {
    for control in ["CA", "CM"] {
        accepted(&message("ORM^O01", &format!("ORC|{control}\rOBR|1|ACC1\r")));
        refused(
            &message("ORM^O01", &format!("{PID}ORC|{control}\rOBR|1\r")),
            "Missing OBR-2",
        );
        refused(
            &message("ORM^O01", &format!("ORC|{control}\r")),
            "Missing OBR-2",
        );
    }
}

#[test]
fn every_missing_field_is_named() {
    refused(
        &message(
            "ORM^O01",
            &format!("{PID}ORC|NW\rOBR|1|ACC1||CT123^CT CHEST|||||||||||CT CHEST|||CT1\r"),
        ),
        "Missing OBR-19 OBR-21 OBR-24 OBR-36",
    );
    refused(
        &message("ORM^O01", "PID|1\rORC|NW\rOBR|1\r"),
        "Missing PID-3,5,8 OBR-2,4,15,18,19,21,24,36",
    );
    refused(
        &message("ORM^O01", "ORC|NW\r"),
        "Missing PID-3,5,8 OBR-2,4,15,18,19,21,24,36",
    );
    refused(
        &order("NW").replace("CT123^CT CHEST", "CT123"),
        "Missing OBR-4.2",
    );
    refused(&order("NW").replace("|M\r", "|\"\"\r"), "Missing PID-8");
    refused(&order("NW").replace("|ACC1|", "|   |"), "Missing OBR-2");
}

/// The published example with the AE title, modality and time in other places.
#[test]
fn the_example_that_contradicts_its_own_table_is_told_what_is_missing() {
    refused(
        &message(
            "ORM^O01",
            &format!(
                "{PID}PV1|1|O\rORC|NW\rOBR|1|ACC1||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|ACC1|||CT|||||||||||20230614132030\r"
            ),
        ),
        "Missing OBR-21 OBR-24 OBR-36",
    );
}

#[test]
fn segments_that_are_not_read_are_named_once() {
    let text = order("NW") + "NTE|1\rNTE|2\rDG1|1\rZXX|1\r";
    warned(&text, &["ignored-segment"; 3]);
    warned(
        &(order("NW") + "OBX|1\rfree text\r"),
        &["ignored-segment", "odd-segment"],
    );
}

#[test]
fn repeated_segments_are_refused() {
    refused(&(order("NW") + OBR), "OBR may occur once, 2 found.");
    refused(
        &(order("CA") + "ZDS|1.2\rZDS|1.3\r"),
        "ZDS may occur once, 2 found.",
    );
    let batch = order("NW") + &MSH.replace("TYPE", "ORM^O01");
    refused(&batch, "One message at a time: MSH is not allowed here.");
}

#[test]
fn segments_and_fields_are_told_together() {
    let text = order("NW").replace("|ACC1|", "||") + OBR;
    refused(&text, "Missing OBR-2; OBR may occur once, 2 found.");
    let text = message("ADT^A40", "PID|1\rPID|2\rMRG|\r");
    refused(&text, "Missing PID-3 MRG-1; PID may occur once, 2 found.");
}

#[test]
fn an_msa_in_an_order_is_a_segment_that_is_not_read() {
    let text = order("NW") + "MSA|AA|1\r";
    warned(&text, &["ignored-segment"]);
    let is = |text: &str| super::is_acknowledgement(&Message::parse(text.as_bytes()).unwrap());
    assert!(!is(&text));
    assert!(is(&message("ACK^O01", "MSA|AA|1\r")) && is(&message("ORR^O02", "MSA|AA|1\r")));
}

#[test]
fn framing_bytes_cannot_stand_in_a_message() {
    for byte in ["\u{b}", "\u{1c}"] {
        let text = order("NW").replace("SMITH", &format!("SM{byte}TH"));
        refused(
            &text,
            "The bytes 0B and 1C frame messages and cannot stand in one.",
        );
    }
}

#[test]
fn only_the_first_of_several_keys_is_read_and_that_is_said() {
    warned(
        &order("NW").replace("PAT789", "PAT789~PAT790"),
        &["extra-repetition"],
    );
}

#[test]
fn the_envelope_is_checked() {
    let change = |from: &str, to: &str| order("NW").replace(from, to);
    refused(&change("|M1|", "||"), "Missing MSH-10");
    refused(
        &change("ORM^O01", "ORM^O02"),
        "Event O02 is not supported for ORM.",
    );
    refused(
        &change("ORM^O01", "ORM"),
        "Event (empty) is not supported for ORM.",
    );
    refused(
        &change("ORM^O01", "SIU^S12"),
        "Message type SIU is not supported.",
    );
    refused(
        &change("ORM^O01", ""),
        "Message type (empty) is not supported.",
    );
    refused(&change("|P|2.3", "|X|2.3"), "MSH-11 is not P, T or D.");
    refused(&change("|P|2.3", "||2.3"), "MSH-11 is not P, T or D.");
    for processing_id in ["P", "T", "D"] {
        accepted(&change("|P|2.3", &format!("|{processing_id}|2.3")));
    }
    refused(
        &change("|P|2.3\r", "|P|3.0\r"),
        "Version 3.0 is not supported; send 2.3.",
    );
    refused(
        &change("|P|2.3\r", "|P|2.9\r"),
        "Version 2.9 is not supported; send 2.3.",
    );
    refused(
        &change("|P|2.3\r", "|P\r"),
        "Version (empty) is not supported; send 2.3.",
    );
    for version in ["2.1", "2.2", "2.3.1", "2.5.1", "2.8"] {
        let text = change("|P|2.3\r", &format!("|P|{version}\r"));
        warned(&text, &["other-version"]);
        refused_by(
            &text,
            &strict(),
            &format!("Version {version} is not supported; send 2.3."),
        );
    }
    refused(
        &change("|P|2.3\r", "|P|2.3||77\r"),
        "Continued messages (MSH-14) are not supported.",
    );
    refused(
        &(order("NW") + "DSC|77\r"),
        "Continued messages (DSC) are not supported.",
    );
    accepted(&change("|P|2.3\r", "|P|2.3|||AL|NE\r"));
}

#[test]
fn character_sets() {
    let named = |set: &str| order("NW").replace("|P|2.3\r", &format!("|P|2.3||||||{set}\r"));
    let with_name = |text: &str, name: &[u8]| {
        let mut bytes = Vec::new();
        for (n, part) in text.split("SMITH").enumerate() {
            if n > 0 {
                bytes.extend_from_slice(name);
            }
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    };
    let run = |bytes: &[u8]| {
        let message = Message::parse(bytes).unwrap();
        let outcome = interpret(&message, &Profile::default()).outcome;
        outcome
            .map_err(|rejection| rejection.text)
            .map(|change| match change {
                Change::RegisterOrder(order) => order
                    .patches
                    .text(Attribute::PatientName)
                    .unwrap()
                    .to_owned(),
                _ => panic!(),
            })
    };
    let name = |name: &str| Ok(name.to_owned());
    assert_eq!(
        run(&with_name(&named("8859/1"), b"M\xDCLLER")),
        name("MÜLLER^JOHN")
    );
    assert_eq!(
        run(&with_name(&named("UNICODE UTF-8"), "MÜLLER".as_bytes())),
        name("MÜLLER^JOHN")
    );
    assert_eq!(
        run(&with_name(&order("NW"), "MÜLLER".as_bytes())),
        name("MÜLLER^JOHN")
    );
    let error = |text: &str| Err(text.to_owned());
    assert_eq!(
        run(&with_name(&order("NW"), b"M\xDCLLER")),
        error("PID-5 has bytes that are not UNICODE UTF-8; set MSH-18.")
    );
    assert_eq!(
        run(&with_name(&named("ASCII"), "MÜLLER".as_bytes())),
        error("PID-5 has bytes that are not ASCII; set MSH-18.")
    );
    assert!(
        run(named("KLINGON").as_bytes())
            .unwrap_err()
            .starts_with("MSH-18 names")
    );
}

#[test]
fn values_that_are_needed_are_checked() {
    let change = |from: &str, to: &str| order("NW").replace(from, to);
    refused(
        &change("20230614132030", "soon"),
        "OBR-36 is not a date and time.",
    );
    refused(
        &change("20230614132030", "202306"),
        "OBR-36 is not a date and time.",
    );
    refused(
        &change("|M\r", "|male\r"),
        "PID-8 is not in table 0001 (F M O U).",
    );
    refused(
        &change("ACC1", "A1234567890123456"),
        "OBR-2 is longer than 16 characters.",
    );
    refused(
        &change("PAT789", &"9".repeat(65)),
        "PID-3 is longer than 64 characters.",
    );
    refused(
        &change("ACC1", "A\\X0D\\B"),
        "OBR-2 holds control characters.",
    );
    refused(
        &change("20230614132030", "").replace("|M\r", "|X\r"),
        "Missing OBR-36; PID-8 is not in table 0001 (F M O U).",
    );
    let lenient = Profile {
        check_lengths: false,
        ..Profile::default()
    };
    assert!(
        run(&change("ACC1", "A1234567890123456"), &lenient)
            .outcome
            .is_ok()
    );
    warned(&change("20230614132030", "20230614"), &["no-time"]);
    warned(&change("|CT|", "|XRAY|"), &["other-modality"]);
    warned(&change("19800101", "unknown"), &["not-a-date"]);
    warned(&(order("NW") + "ZDS|not a uid\r"), &["not-a-uid"]);
}

#[test]
fn absent_null_and_text_are_kept_apart() {
    let text = order("NW")
        .replace("19800101", "\"\"")
        .replace("|ROUTINE|", "||");
    let Change::RegisterOrder(order) = accepted(&text) else {
        panic!()
    };
    assert_eq!(
        order.patches.get(Attribute::PatientBirthDate),
        &Patch::Clear
    );
    assert_eq!(order.patches.get(Attribute::Priority), &Patch::Keep);
    assert_eq!(order.patches.text(Attribute::Modality), Some("CT"));
}

#[test]
fn patient_updates() {
    let a08 = |pid: &str| message("ADT^A08", &format!("EVN|A08\r{pid}\r"));
    let Change::UpdatePatient(update) = accepted(&a08("PID|1||7||DOE^JANE||1980|F||||||||||ADM"))
    else {
        panic!()
    };
    assert_eq!(update.patient_id.as_str(), "7");
    assert_eq!(
        update.patches.text(Attribute::PatientName),
        Some("DOE^JANE")
    );
    assert_eq!(update.patches.text(Attribute::AdmissionId), Some("ADM"));
    assert_eq!(
        update.patches.get(Attribute::PatientBirthDate),
        &Patch::Keep
    );
    refused(&a08("PID|1"), "Missing PID-3 PID-5");
    warned(&message("ADT^A08", PID), &["missing-segment"]);
    refused(&message("ADT^A08", "PID|1\r"), "Missing PID-3 PID-5");
    let text = a08("PID|1||7||\"\"|||\"\"");
    warned(&text, &["kept"]);
    let Change::UpdatePatient(update) = accepted(&text) else {
        panic!()
    };
    assert_eq!(update.patches.get(Attribute::PatientName), &Patch::Keep);
    assert_eq!(update.patches.get(Attribute::PatientSex), &Patch::Clear);
}

#[test]
fn patient_merges() {
    let a40 = |pid: &str, mrg: &str| message("ADT^A40", &format!("EVN|A40\r{pid}\r{mrg}\r"));
    let Change::MergePatient(merge) = accepted(&a40("PID|1||NEW||DOE^J", "MRG|OLD^^^HIS")) else {
        panic!()
    };
    assert_eq!((merge.from.as_str(), merge.into.as_str()), ("OLD", "NEW"));
    refused(&a40("PID|1", "MRG|"), "Missing PID-3 MRG-1");
    refused(
        &a40("PID|1||A", "MRG|A"),
        "MRG-1 and PID-3 are the same patient id.",
    );
    refused(
        &(a40("PID|1||A", "MRG|B") + "MRG|C\r"),
        "MRG may occur once, 2 found.",
    );
}

#[test]
fn reports() {
    let oru = |obx: &str| message("ORU^R01", &format!("{PID}{OBR}{obx}\r"));
    let Change::StoreReport(report) = accepted(&oru(
        r"OBX|1|TX|CT123^CT CHEST||Line 1\X0D\\X0A\a \F\ b \T\ c\X0D\d\.br\e~f^g||||||F|||20230614||77^DOE",
    )) else {
        panic!()
    };
    assert_eq!(report.text, "Line 1\na | b & c\nd\ne\nf^g");
    assert_eq!(report.format, ReportFormat::Text);
    assert_eq!(report.date, "20230614");
    assert_eq!(report.physician_id.as_deref(), Some("77"));
    assert_eq!(report.physician_name.as_deref(), Some("DOE"));
    refused(
        &message("ORU^R01", "PID|1\rOBR|1\r"),
        "Missing PID-3 OBR-2 OBX-5 OBX-14",
    );
    refused(&oru("OBX|1|TX|||||||||F"), "Missing OBX-5 OBX-14");
    refused(
        &oru("OBX|1|ED|||x||||||F|||20230614"),
        "Report format ED is not supported; send TX.",
    );
    refused(
        &oru("OBX|1|TX|||x||||||Q|||20230614"),
        "OBX-11 is not in table 0085.",
    );
    refused(
        &(oru("OBX|1|TX|||x||||||F|||20230614") + "OBX|2|TX\r"),
        "OBX may occur once, 2 found.",
    );
    let rtf = oru(r"OBX|1|RTF|||{\E\rtf1 x}||||||F|||20230614");
    let Change::StoreReport(report) = accepted(&rtf) else {
        panic!()
    };
    assert_eq!(
        (report.format, report.text.as_str()),
        (ReportFormat::RichText, r"{\rtf1 x}")
    );
    refused_by(
        &rtf,
        &strict(),
        "Report format RTF is not supported; send TX.",
    );
}
