//! What a modality sees of an order as IHE RAD-4 has it.

use medsynapse::{Attributes, Change, Profile, interpret};

use super::*;
use crate::explain::origins;

const ORDER: &str = "MSH|^~\\&|OF|HOSPITAL|IM|RAD|20260105070000||ORM^O01|M1|P|2.3.1\r\
    PID|1||PAT7^^^HOSP||SMITH^JOHN||19800101|M\r\
    PV1|1|O||||||77^HOUSE^GREGORY^^^DR|||||||||||V55|20\r\
    ORC|NW|P1|F1||SC||1^once^^20260105131500^^S|||||||||||CT1\r\
    OBR|1|P1|F1|RP71^CT CHEST^99HOSP^SPS71^CT CHEST PLAIN^99IM||||||||^DIABETIC|LATEX|||88^WILSON^JAMES\
    ||ACC1|RP1|SPS1||||CT||||||WALK||||9&CHASE&ROBERT||||||||||71250^CHEST CT^C4\r\
    OBX|1|NM|^BODY WEIGHT||70,5|kg\r\
    ZDS|1.2.840.1^^Application^DICOM\r";

fn rad4() -> MappingSettings {
    MappingSettings {
        mapping: Mapping::IheRad4,
        ..MappingSettings::default()
    }
}

fn order(text: &str) -> Order {
    let profile = Profile {
        mapping: Mapping::IheRad4,
        ..Profile::default()
    };
    let message = Message::parse(text.as_bytes()).unwrap();
    let Ok(Change::RegisterOrder(register)) = interpret(&message, &profile).outcome else {
        panic!("not an order");
    };
    let mut attributes = Attributes::default();
    attributes.apply(&register.patches);
    Order {
        accession_number: register.accession_number,
        state: medsynapse::OrderState::Scheduled,
        attributes,
        segments: register.segments,
    }
}

#[test]
fn an_item_of_a_rad_4_order() {
    use Element as E;
    let weighed = ORDER.replace("70,5", "70.5");
    let (item, oddities) = map(&order(&weighed), &rad4());
    assert!(oddities.is_empty(), "{oddities:?}");
    for (element, expected) in [
        (E::AccessionNumber, "ACC1"),
        (E::PatientID, "PAT7"),
        (E::IssuerOfPatientID, "HOSP"),
        (E::PatientName, "SMITH^JOHN"),
        (E::PatientWeight, "70.5"),
        (E::AdmissionID, "V55"),
        (E::ReferringPhysicianName, "HOUSE^GREGORY^^DR"),
        (E::RequestingPhysician, "WILSON^JAMES"),
        (E::ScheduledPerformingPhysicianName, "CHASE^ROBERT"),
        (E::StudyInstanceUID, "1.2.840.1"),
        (E::RequestedProcedureID, "RP1"),
        (E::RequestedProcedureDescription, "CHEST CT"),
        (E::RequestedProcedurePriority, "STAT"),
        (E::PlacerOrderNumberImagingServiceRequest, "P1"),
        (E::FillerOrderNumberImagingServiceRequest, "F1"),
        (E::MedicalAlerts, "LATEX"),
        (E::PatientState, "DIABETIC"),
        (E::PatientTransportArrangements, "WALK"),
        (E::ScheduledStationAETitle, "CT1"),
        (E::ScheduledProcedureStepStartDate, "20260105"),
        (E::ScheduledProcedureStepStartTime, "131500"),
        (E::Modality, "CT"),
        (E::ScheduledProcedureStepID, "SPS1"),
        (E::ScheduledProcedureStepDescription, "CT CHEST PLAIN"),
        (E::ScheduledStationName, ""),
        (E::CodeValue, "SPS71"),
        (E::CodingSchemeDesignator, "99IM"),
        (E::CodeMeaning, "CT CHEST PLAIN"),
    ] {
        assert_eq!(item.get(element), expected, "{element:?}");
    }
}

#[test]
fn a_financial_class_is_no_weight_and_alone_the_first_code_counts() {
    let text = ORDER
        .replace("70,5", "")
        .replace("^SPS71^CT CHEST PLAIN^99IM", "");
    let (item, _) = map(&order(&text), &rad4());
    assert_eq!(item.get(Element::PatientWeight), "");
    assert_eq!(item.get(Element::CodeValue), "RP71");
    assert_eq!(item.get(Element::CodingSchemeDesignator), "99HOSP");
}

#[test]
fn the_places_that_are_told_are_those_of_the_mapping() {
    let told = origins(&order(ORDER), &rad4());
    let place = |element| {
        let mut origins = told.iter();
        let origin = origins.find(|origin| origin.element == element).unwrap();
        origin.place.as_str()
    };
    assert_eq!(place(Element::AccessionNumber), "OBR-18.1, else OBR-2.1");
    assert_eq!(
        place(Element::ScheduledStationAETitle),
        "ORC-18.1, else IPC-9.1, else as configured for the modality"
    );
    assert_eq!(place(Element::CodeValue), "OBR-4.4, else OBR-4.1");
    assert_eq!(place(Element::MedicalAlerts), "OBR-13.1");
    let usual = origins(&order(ORDER), &MappingSettings::default());
    let of = |element| usual.iter().find(|o| o.element == element).unwrap();
    assert_eq!(of(Element::AccessionNumber).place, "OBR-2.1");
    assert_eq!(of(Element::MedicalAlerts).place, "");
}
