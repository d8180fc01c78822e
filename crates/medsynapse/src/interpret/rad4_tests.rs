//! Orders as IHE RAD-4 has them.

use hl7_message::Message;

use super::interpret;
use crate::{Attribute, Change, Facts, Mapping, Patches, Profile};

const MSH: &str = "MSH|^~\\&|OF|HOSPITAL|IM|RAD|20260105070000||ORM^O01^ORM_O01|M1|P|2.3.1\r";
const PID: &str = "PID|1||PAT7^^^HOSP&1.2.3&ISO||SMITH^JOHN^Q||19800101|M\r";
const PV1: &str = "PV1|1|O||||||77^HOUSE^GREGORY|||||||||||V55^^^HOSP|20\r";
const ORC: &str = "ORC|NW|P1^OF|F1^IM||SC||1^once^^20260105131500^^S||||||||||H^CLINIC|CT1\r";
const OBR: &str = "OBR|1|P1^OF|F1^IM|RP71^CT CHEST^99HOSP^SPS71^CT CHEST PLAIN^99IM\
                   ||||||||PREG^PREGNANT|LATEX|||88^WILSON^JAMES||ACC1|RP1|SPS1||||CT|||1^once^^20260105131500^^S\
                   |||WALK|R05^COUGH|||9&CHASE&ROBERT||||||||||71250^CHEST CT^C4\r";
const OBX: &str = "OBX|1|NM|^BODY HEIGHT||1.80|m\rOBX|2|NM|^Body Weight||70.5|kg\r";
const ZDS: &str = "ZDS|1.2.840.1^^Application^DICOM\r";

fn rad4() -> Profile {
    Profile {
        mapping: Mapping::IheRad4,
        ..Profile::default()
    }
}

fn order() -> String {
    [MSH, PID, PV1, ORC, OBR, OBX, ZDS].concat()
}

#[track_caller]
fn patches(text: &str, profile: &Profile) -> (String, Patches) {
    let message = Message::parse(text.as_bytes()).unwrap();
    match interpret(&message, profile).outcome {
        Ok(Change::RegisterOrder(order)) => {
            (order.accession_number.as_str().to_owned(), order.patches)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn sets(text: &str, attribute: Attribute, expected: &str) {
    let (_, patches) = patches(text, &rad4());
    assert_eq!(patches.text(attribute).unwrap_or_default(), expected);
}

#[track_caller]
fn refused(text: &str, answer: &str) {
    let message = Message::parse(text.as_bytes()).unwrap();
    let rejection = interpret(&message, &rad4()).outcome.unwrap_err();
    assert_eq!(rejection.text, answer);
}

#[test]
fn every_attribute_comes_from_its_place() {
    use Attribute as A;
    let (accession_number, patches) = patches(&order(), &rad4());
    assert_eq!(accession_number, "ACC1");
    let found: Vec<_> = A::ALL
        .into_iter()
        .filter_map(|attribute| Some((attribute, patches.text(attribute)?)))
        .collect();
    assert_eq!(
        found,
        [
            (A::AccessionNumber, "ACC1"),
            (A::PatientId, "PAT7"),
            (A::PatientName, "SMITH^JOHN^Q"),
            (A::PatientSex, "M"),
            (A::Modality, "CT"),
            (A::ScheduledStationAeTitle, "CT1"),
            (A::ScheduledStart, "20260105131500"),
            (A::ScheduledProcedureStepId, "SPS1"),
            (A::ScheduledProcedureStepDescription, "CT CHEST PLAIN"),
            (A::RequestedProcedureId, "RP1"),
            (A::RequestedProcedureDescription, "CHEST CT"),
            (A::AdmissionId, "V55"),
            (A::PatientWeight, "70.5"),
            (A::PatientBirthDate, "19800101"),
            (A::ReferringPhysician, "HOUSE"),
            (A::RequestingPhysician, "WILSON"),
            (A::PerformingPhysician, "9"),
            (A::Reason, "COUGH"),
            (A::Priority, "S"),
            (A::InstitutionName, "CLINIC"),
            (A::StudyInstanceUid, "1.2.840.1"),
        ]
    );
}

#[test]
fn other_places_fill_in() {
    use Attribute as A;
    let text = order();
    let without = |what: &str| {
        assert!(text.contains(what), "{what}");
        text.replacen(what, "", 1)
    };
    let (accession_number, _) = patches(&without("ACC1"), &rad4());
    assert_eq!(accession_number, "P1");
    let start = "1^once^^20260105131500^^S";
    sets(&without(start), A::ScheduledStart, "20260105131500");
    let timed = text.replace(start, "") + "TQ1|1||||||20260106080000||A\r";
    sets(&timed, A::ScheduledStart, "20260106080000");
    sets(&timed, A::Priority, "A");
    let described = without("CT CHEST PLAIN");
    sets(&described, A::ScheduledProcedureStepDescription, "CT CHEST");
    let undescribed = without("71250^CHEST CT^C4");
    sets(&undescribed, A::RequestedProcedureDescription, "CT CHEST");
    sets(&without("V55^^^HOSP"), A::AdmissionId, "");
    sets(&without("H^CLINIC"), A::InstitutionName, "HOSPITAL");
    let ipc = "IPC|ACC1|RP1|1.2.9|SPS2|CT|71250|ROOM CT|FLOOR 2|CT9\r";
    let protocol = without("|CT1\r").replace("H^CLINIC", "H^CLINIC\r");
    let protocol = protocol.replace("|RP1|SPS1|", "|RP1||").replace(ZDS, ipc);
    for (attribute, expected) in [
        (A::ScheduledStationAeTitle, "CT9"),
        (A::ScheduledProcedureStepId, "SPS2"),
        (A::ScheduledStationName, "ROOM CT"),
        (A::Location, "FLOOR 2"),
        (A::StudyInstanceUid, "1.2.9"),
    ] {
        sets(&protocol, attribute, expected);
    }
}

#[test]
fn what_is_missing_is_named_by_its_own_place() {
    refused(
        &[MSH, PID, "ORC|NW\rOBR|1\r"].concat(),
        "Missing ORC-7.4,18 OBR-4.5,18,19,20,24,44.2",
    );
    refused(
        &order().replace("|ACC1|", "||").replace("P1^OF", ""),
        "Missing OBR-18",
    );
    refused(&[MSH, "ORC|CA\rOBR|1\r"].concat(), "Missing OBR-18");
    let long = order().replace("|SPS1|", "|AN ID OF A STEP THAT IS LONG|");
    refused(&long, "OBR-20 is longer than 16 characters.");
    refused(
        &(order() + ORC + OBR),
        "ORC may occur once, 2 found. OBR may occur once, 2 found.",
    );
}

#[test]
fn an_ae_title_may_be_configured_for_the_modality() {
    let none = order().replace("|CT1\r", "\r");
    refused(&none, "Missing ORC-18");
    let mut profile = rad4();
    profile.ae_titles.insert("CT".into(), "CT7".into());
    let (_, found) = patches(&none, &profile);
    assert_eq!(found.text(Attribute::ScheduledStationAeTitle), Some("CT7"));
    let (_, found) = patches(&order(), &profile);
    assert_eq!(found.text(Attribute::ScheduledStationAeTitle), Some("CT1"));
    profile.ae_titles = [("MR".into(), "MR1".into())].into();
    let message = Message::parse(none.as_bytes()).unwrap();
    assert!(interpret(&message, &profile).outcome.is_err());
}

#[test]
fn a_weight_is_in_kilograms_and_a_financial_class_is_none() {
    let text = order();
    sets(&text.replace(OBX, ""), Attribute::PatientWeight, "");
    let pounds = text.replace("|kg\r", "|lb\r");
    sets(&pounds, Attribute::PatientWeight, "");
    let message = Message::parse(pounds.as_bytes()).unwrap();
    let warnings = interpret(&message, &rad4()).warnings;
    let codes: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["other-version", "not-kilograms"]);
}

#[test]
fn what_the_gateway_sends_is_read_as_it_was_written() {
    let text = "MSH|^~\\&|API_GATEWAY|FACILITY|A|B|20260105070000||ORM^O01|M2|P|2.3\r\
                PID|1||PAT7||SMITH^JOHN|||M\rORC|NW\r\
                OBR|1|ACC2||SPS2^CT CHEST|||||||||||CHEST CT|||ROOM 1|RP2||CT1|||CT||||||||||||20260105131500\r";
    let message = Message::parse(text.as_bytes()).unwrap();
    assert!(interpret(&message, &rad4()).outcome.is_err());
    let profile = Profile {
        own_sender: Some(("API_GATEWAY".into(), "FACILITY".into())),
        ..rad4()
    };
    let (accession_number, found) = patches(text, &profile);
    assert_eq!(accession_number, "ACC2");
    assert_eq!(found.text(Attribute::ScheduledStationName), Some("ROOM 1"));
    let facts = Facts::of(&message, &profile);
    assert_eq!(facts.accession_number.as_deref(), Some("ACC2"));
    let theirs = order();
    let facts = Facts::of(&Message::parse(theirs.as_bytes()).unwrap(), &profile);
    assert_eq!(facts.accession_number.as_deref(), Some("ACC1"));
}
