use medsynapse::{Attributes, Change, Profile, interpret};

use super::*;

/// An order as the broker makes it of a message; the fields of PID, PV1, ORC and OBR are given.
fn order_of(message: &str) -> Order {
    let message = Message::parse(message.as_bytes()).unwrap();
    let Change::RegisterOrder(register) = interpret(&message, &Profile::default()).outcome.unwrap()
    else {
        panic!("not an order");
    };
    let mut attributes = Attributes::default();
    attributes.set(Attribute::StudyInstanceUid, &register.derived_uid);
    attributes.apply(&register.patches);
    Order {
        accession_number: register.accession_number,
        state: medsynapse::OrderState::Scheduled,
        attributes,
        segments: register.segments,
    }
}

/// A message with some fields set.
fn message(changes: &[(&str, &str)]) -> String {
    let mut pid = vec![String::new(); 20];
    let mut pv1 = vec![String::new(); 22];
    let mut orc = vec![String::new(); 20];
    let mut obr = vec![String::new(); 40];
    for (place, text) in [
        ("PID-3", "PID1"),
        ("PID-5", "SMITH^JOHN"),
        ("PID-8", "M"),
        ("ORC-1", "NW"),
        ("OBR-2", "ACC1"),
        ("OBR-4", "STEP1^Chest CT"),
        ("OBR-15", "CT of the chest"),
        ("OBR-18", "CT ROOM"),
        ("OBR-19", "RP1"),
        ("OBR-21", "CT1"),
        ("OBR-24", "CT"),
        ("OBR-36", "20230614131500"),
    ]
    .iter()
    .chain(changes)
    {
        let (segment, n) = place.split_once('-').unwrap();
        let fields = match segment {
            "PID" => &mut pid,
            "PV1" => &mut pv1,
            "ORC" => &mut orc,
            _ => &mut obr,
        };
        fields[n.parse::<usize>().unwrap()] = (*text).to_owned();
    }
    let segment = |name: &str, fields: &[String]| format!("{name}|{}\r", fields[1..].join("|"));
    [
        "MSH|^~\\&|RIS|H|PACS|R|20230614120000||ORM^O01|M1|P|2.3\r".to_owned(),
        segment("PID", &pid),
        segment("PV1", &pv1),
        segment("ORC", &orc),
        segment("OBR", &obr),
    ]
    .concat()
}

#[track_caller]
fn check(changes: &[(&str, &str)], element: Element, expected: &str) {
    let order = order_of(&message(changes));
    let (item, _) = map(&order, &MappingSettings::default());
    assert_eq!(item.get(element), expected);
}

#[track_caller]
fn odd(changes: &[(&str, &str)], element: Element) {
    let order = order_of(&message(changes));
    let (_, oddities) = map(&order, &MappingSettings::default());
    assert!(oddities.iter().any(|odd| odd.element == element));
}

#[test]
fn what_a_modality_returns_is_as_it_was_sent() {
    check(&[("OBR-2", "aCc-0 1")], Element::AccessionNumber, "aCc-0 1");
    check(
        &[("OBR-4", "s-1^x")],
        Element::ScheduledProcedureStepID,
        "s-1",
    );
    check(&[("OBR-19", "rP 1")], Element::RequestedProcedureID, "rP 1");
    check(&[("PID-3", "00012^^^H")], Element::PatientID, "00012");
}

#[test]
fn names() {
    check(
        &[("PID-5", "VAN DER BERG&VAN DER&BERG^ANNA^M^JR^DR^PHD")],
        Element::PatientName,
        "VAN DER BERG^ANNA^M^DR^JR PHD",
    );
    check(
        &[("PV1-8", "^Ref Phy")],
        Element::ReferringPhysicianName,
        "Ref Phy",
    );
    check(
        &[("PV1-8", "77^HOUSE^GREGORY^^^DR")],
        Element::ReferringPhysicianName,
        "HOUSE^GREGORY^^DR",
    );
    check(
        &[("ORC-12", "77^HOUSE^GREGORY")],
        Element::RequestingPhysician,
        "HOUSE^GREGORY",
    );
    let performing = Element::ScheduledPerformingPhysicianName;
    check(&[("OBR-34", "Dr Who")], performing, "Dr Who");
    check(&[("OBR-34", "7&WHO&ANNA&&&DR")], performing, "WHO^ANNA^^DR");
    check(&[("OBR-34", "7^WHO^ANNA")], performing, "WHO^ANNA");
    check(
        &[("OBR-34", "Dr Who^202306140900^202306141000")],
        performing,
        "Dr Who",
    );
}

#[test]
fn sexes() {
    for (hl7, dicom) in [
        ("M", "M"),
        ("F", "F"),
        ("O", "O"),
        ("A", "O"),
        ("N", "O"),
        ("U", ""),
    ] {
        check(&[("PID-8", hl7)], Element::PatientSex, dicom);
    }
}

#[test]
fn weights() {
    for (hl7, dicom) in [
        ("70", "70"),
        ("70.5", "70.5"),
        ("70,5", "70.5"),
        ("70 kg", "70"),
        ("70KG", "70"),
        ("154 lbs", "69.8532"),
        ("100lb", "45.3592"),
        ("700", ""),
        ("0", ""),
        ("-3", ""),
        ("1e2", ""),
        ("heavy", ""),
    ] {
        check(&[("PV1-20", hl7)], Element::PatientWeight, dicom);
    }
    odd(&[("PV1-20", "heavy")], Element::PatientWeight);
}

#[test]
fn start() {
    let date = Element::ScheduledProcedureStepStartDate;
    let time = Element::ScheduledProcedureStepStartTime;
    let zone = Element::TimezoneOffsetFromUTC;
    for (hl7, d, t, z) in [
        ("20230614131502", "20230614", "131502", ""),
        ("202306141315", "20230614", "131500", ""),
        ("2023061413", "20230614", "130000", ""),
        ("20230614", "20230614", "000000", ""),
        ("20230614131502.1234", "20230614", "131502", ""),
        ("20230614131502+0530", "20230614", "131502", "+0530"),
        ("20230614131502-0330", "20230614", "131502", "-0330"),
    ] {
        check(&[("OBR-36", hl7)], date, d);
        check(&[("OBR-36", hl7)], time, t);
        check(&[("OBR-36", hl7)], zone, z);
    }
}

#[test]
fn a_site_offset_moves_the_wall_clock() {
    let order = order_of(&message(&[("OBR-36", "20230614230000+0000")]));
    let settings = MappingSettings {
        site_offset_minutes: Some(120),
        ..MappingSettings::default()
    };
    let (item, _) = map(&order, &settings);
    assert_eq!(
        item.get(Element::ScheduledProcedureStepStartDate),
        "20230615"
    );
    assert_eq!(item.get(Element::ScheduledProcedureStepStartTime), "010000");
    assert_eq!(item.get(Element::TimezoneOffsetFromUTC), "");
}

#[test]
fn texts_are_cut_by_characters() {
    let long = "ä".repeat(70);
    check(
        &[("OBR-15", &long)],
        Element::RequestedProcedureDescription,
        &"ä".repeat(64),
    );
    check(
        &[("OBR-18", "A STATION NAME THAT IS LONG")],
        Element::ScheduledStationName,
        "A STATION NAME T",
    );
    odd(
        &[("OBR-18", "A STATION NAME THAT IS LONG")],
        Element::ScheduledStationName,
    );
    check(
        &[("OBR-15", r"one\.br\two")],
        Element::ReasonForTheRequestedProcedure,
        "",
    );
}

#[test]
fn codes_need_a_scheme() {
    check(&[("OBR-4", "C1^Chest^99X")], Element::CodeValue, "C1");
    check(
        &[("OBR-4", "C1^Chest^99X")],
        Element::CodingSchemeDesignator,
        "99X",
    );
    check(&[("OBR-4", "C1^Chest^99X")], Element::CodeMeaning, "Chest");
    check(&[("OBR-4", "C1^Chest")], Element::CodeValue, "");
}

#[test]
fn other_attributes() {
    check(&[("OBR-24", "ct")], Element::Modality, "CT");
    check(
        &[("OBR-21", "CT1~CT2")],
        Element::ScheduledStationAETitle,
        "CT1\\CT2",
    );
    check(
        &[("OBR-5", "S")],
        Element::RequestedProcedurePriority,
        "STAT",
    );
    check(
        &[("OBR-5", "soon")],
        Element::RequestedProcedurePriority,
        "soon",
    );
    check(
        &[("PV1-3", "W1^R2^B3^H")],
        Element::CurrentPatientLocation,
        "W1^R2^B3",
    );
    check(&[("PID-7", "19700230")], Element::PatientBirthDate, "");
    check(
        &[("PID-7", "19700228120000")],
        Element::PatientBirthDate,
        "19700228",
    );
    check(
        &[("PID-3", "P1^^^HOSP&1.2.3&ISO")],
        Element::IssuerOfPatientID,
        "HOSP",
    );
    check(
        &[("ORC-3", "F9")],
        Element::FillerOrderNumberImagingServiceRequest,
        "F9",
    );
    check(&[], Element::PlacerOrderNumberImagingServiceRequest, "ACC1");
    check(
        &[("OBR-31", "^pain")],
        Element::ReasonForTheRequestedProcedure,
        "pain",
    );
    check(&[], Element::ScheduledProcedureStepStatus, "SCHEDULED");
}

#[test]
fn latin_1_segments_are_read() {
    let text = message(&[("OBR-20", "B\u{fc}ro"), ("PV1-3", "B\u{fc}ro")]);
    let text = text.replacen("|P|2.3\r", "|P|2.3||||||8859/1\r", 1);
    let bytes = Charset::LATIN_1.encode(&text).unwrap().into_owned();
    let message = Message::parse(&bytes).unwrap();
    let Change::RegisterOrder(register) = interpret(&message, &Profile::default()).outcome.unwrap()
    else {
        panic!("not an order");
    };
    let mut attributes = Attributes::default();
    attributes.apply(&register.patches);
    let order = Order {
        accession_number: register.accession_number,
        state: medsynapse::OrderState::Scheduled,
        attributes,
        segments: register.segments,
    };
    let (item, _) = map(&order, &MappingSettings::default());
    assert_eq!(item.get(Element::CurrentPatientLocation), "Büro");
    assert_eq!(item.get(Element::ScheduledProcedureStepLocation), "Büro");
}
