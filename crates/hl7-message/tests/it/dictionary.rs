//! The dictionary against facts of the standard that are written down here once more, against its
//! own data files, and against messages.

mod corpus;
mod data;

use hl7_message::dictionary::{
    self, Checks, DiagnosticKind, FieldDefinition, Optionality, Property, Repeats, Severity, check,
};
use hl7_message::{Location, Message, SegmentId, loc};
use proptest::prelude::*;

/// A field: its name, type, longest value, optionality, repetition and table.
#[track_caller]
fn field(
    place: Location,
    name: &str,
    data_type: &str,
    length: u32,
    rules: (Optionality, Repeats),
    table: Option<u16>,
) {
    let field = dictionary::field(place).unwrap();
    assert_eq!(field.name(), name);
    assert_eq!(field.data_type().name(), data_type);
    assert_eq!(field.length_max(), length);
    assert_eq!((field.optionality(), field.repeats()), rules);
    assert_eq!(field.table().map(dictionary::Table::number), table);
}

#[test]
fn well_known_fields_are_as_the_standard_has_them() {
    const REQUIRED: (Optionality, Repeats) = (Optionality::Required, Repeats::No);
    const OPTIONAL: (Optionality, Repeats) = (Optionality::Optional, Repeats::No);
    let many = (Optionality::Required, Repeats::Yes);
    let any = (Optionality::Optional, Repeats::Yes);
    field(loc!("MSH-9"), "Message Type", "CM_MSG", 7, REQUIRED, None);
    field(
        loc!("MSH-10"),
        "Message Control ID",
        "ST",
        20,
        REQUIRED,
        None,
    );
    field(loc!("MSH-12"), "Version ID", "ID", 8, REQUIRED, Some(104));
    field(
        loc!("MSA-1"),
        "Acknowledgement code",
        "ID",
        2,
        REQUIRED,
        Some(8),
    );
    field(
        loc!("PID-3"),
        "Patient ID (Internal ID)",
        "CX",
        20,
        many,
        None,
    );
    field(loc!("PID-5"), "Patient Name", "XPN", 48, many, None);
    field(loc!("PID-7"), "Date of Birth", "TS", 26, OPTIONAL, None);
    field(loc!("PID-8"), "Sex", "IS", 1, OPTIONAL, Some(1));
    field(loc!("PID-11"), "Patient Address", "XAD", 106, any, None);
    field(loc!("PV1-2"), "Patient Class", "ID", 1, REQUIRED, Some(4));
    field(
        loc!("MRG-1"),
        "Prior Patient ID - Internal",
        "CX",
        20,
        many,
        None,
    );
    field(loc!("ORC-1"), "Order Control", "ID", 2, REQUIRED, Some(119));
    let section = "Diagnostic Service Section ID";
    field(loc!("OBR-24"), section, "ID", 10, OPTIONAL, Some(74));
    field(
        loc!("OBR-36"),
        "Scheduled Date/Time",
        "TS",
        26,
        OPTIONAL,
        None,
    );
    field(
        loc!("OBX-3"),
        "Observation Identifier",
        "CE",
        590,
        REQUIRED,
        None,
    );
    field(
        loc!("OBX-11"),
        "Observ Result Status",
        "ID",
        1,
        REQUIRED,
        Some(85),
    );
    let conditional = (Optionality::Conditional, Repeats::Yes);
    field(
        loc!("OBX-5"),
        "Observation Value",
        "varies",
        65536,
        conditional,
        None,
    );
}

#[test]
fn segments_have_as_many_fields_as_in_the_standard() {
    let counts = [
        ("MSH", 19),
        ("MSA", 6),
        ("ERR", 1),
        ("EVN", 6),
        ("PID", 30),
        ("PV1", 52),
        ("MRG", 7),
        ("ORC", 19),
        ("OBR", 43),
        ("OBX", 17),
        ("NTE", 3),
        ("DG1", 19),
        ("AL1", 6),
        ("GT1", 55),
        ("IN1", 49),
    ];
    let (mut fields, mut disputed) = (0, 0);
    for (id, count) in counts {
        let segment = dictionary::segment(id.parse().unwrap()).unwrap();
        assert_eq!(segment.fields().len(), count, "{id}");
        fields += count;
        disputed += segment.fields().iter().filter(|f| is_disputed(f)).count();
    }
    assert_eq!((fields, disputed), (332, 82));
    let all = dictionary::segments()
        .iter()
        .flat_map(dictionary::SegmentDefinition::fields);
    assert_eq!(all.filter(|f| is_disputed(f)).count(), 98);
}

/// Whether sources contradict each other, rather than one of them alone naming a table.
fn is_disputed(field: &FieldDefinition) -> bool {
    field.conflicts().any(|conflict| {
        conflict.property() != Property::Table
            || conflict.others().all(|other| other.parse::<u16>().is_ok())
    })
}

#[test]
fn data_types_have_their_components() {
    for (name, count) in [
        ("CE", 6),
        ("CX", 6),
        ("HD", 3),
        ("EI", 4),
        ("XPN", 8),
        ("XCN", 14),
        ("XAD", 10),
        ("XON", 8),
        ("XTN", 9),
        ("PL", 9),
        ("TQ", 10),
        ("CQ", 2),
        ("TS", 2),
        ("PT", 2),
        ("CM_MSG", 2),
        ("CM_EIP", 2),
        ("CM_ELD", 4),
        ("CM_SPS", 6),
        ("CM_MOC", 2),
        ("CM_PRL", 3),
        ("CM_NDL", 11),
        ("CM_DLD", 2),
        ("CM_AUI", 3),
        ("CN", 9),
        ("CP", 6),
        ("DLN", 3),
        ("FC", 2),
        ("JCC", 2),
        ("DT", 0),
        ("FT", 0),
        ("ID", 0),
        ("IS", 0),
        ("NM", 0),
        ("SI", 0),
        ("ST", 0),
        ("TN", 0),
    ] {
        assert_eq!(
            dictionary::data_type(name).unwrap().components().len(),
            count,
            "{name}"
        );
    }
    assert_eq!(
        dictionary::name_of(loc!("PV1-8.2")).unwrap(),
        "Referring Doctor / Family Name"
    );
    assert_eq!(
        dictionary::name_of(loc!("ORC-2.1")).unwrap(),
        "Placer Order Number / Entity Identifier"
    );
    assert_eq!(
        dictionary::name_of(loc!("OBR-7.1")).unwrap(),
        "Observation Date/Time / Time of an Event"
    );
}

#[test]
fn codes_have_their_meaning() {
    let label = |table, code: &str| dictionary::table(table).unwrap().label(code);
    assert_eq!(label(1, "F"), Some("Female"));
    assert_eq!(
        label(3, "A40"),
        Some("ADT/ACK - Merge patient - patient identifier list")
    );
    assert_eq!(
        label(85, "F"),
        Some("Final results; Can only be changed with a corrected result.")
    );
    assert_eq!(label(103, "P"), Some("Production"));
    assert_eq!(label(103, "p"), None);
    assert_eq!(label(104, "2.3"), Some("Release 2.3"));
    assert_eq!(label(119, "XO"), Some("Change order request"));
    assert_eq!(label(155, "SU"), Some("Successful completion only"));
}

#[test]
fn every_place_is_found_by_its_name() {
    for segment in dictionary::segments() {
        let place = Location::of(segment.id());
        assert!(dictionary::find(segment.name()).contains(&place), "{place}");
        for field in segment.fields() {
            let place = place.at_field(field.number());
            found_by_name(place);
            for component in field.data_type().components() {
                let place = place.component(component.number());
                found_by_name(place);
                for inner in component.data_type().components() {
                    found_by_name(place.subcomponent(inner.number()));
                }
            }
        }
    }
}

#[track_caller]
fn found_by_name(place: Location) {
    let name = dictionary::name_of(place).unwrap();
    assert!(dictionary::find(&name).contains(&place), "{place} {name}");
    let id = place.segment_id();
    let full = format!("{id}.{}", name.replace(' ', "").to_uppercase());
    assert!(dictionary::find(&full).contains(&place), "{place} {full}");
    let elsewhere = dictionary::find(&full)
        .into_iter()
        .find(|found| found.segment_id() != id);
    assert_eq!(elsewhere, None, "{full}");
}

#[test]
fn places_outside_the_dictionary_have_no_name() {
    for place in [
        loc!("ZDS-1"),
        loc!("PID-31"),
        loc!("PID-5.9"),
        loc!("PID-8.2"),
        loc!("PID-3.4.4"),
        loc!("PID-8.1.2"),
        loc!("PID-5.2.2"),
    ] {
        assert_eq!(dictionary::name_of(place), None, "{place}");
    }
}

/// A message whose `field` has this content, all other fields being empty.
fn with_field(field: Location, content: &str) -> Vec<u8> {
    let id = field.segment_id();
    let number = usize::from(field.field_number().unwrap());
    let bars = "|".repeat(number);
    match id {
        SegmentId::MSH if number <= 2 => "MSH|^~\\&|||||||ACK".to_owned(),
        SegmentId::MSH => format!("MSH|^~\\&{}{content}", &bars[2..]),
        SegmentId::FHS | SegmentId::BHS if number <= 2 => {
            format!("MSH|^~\\&|||||||ACK\r{id}|{content}")
        }
        SegmentId::FHS | SegmentId::BHS => {
            format!("MSH|^~\\&|||||||ACK\r{id}|^~\\&{}{content}", &bars[2..])
        }
        _ => format!("MSH|^~\\&|||||||ACK\r{id}{bars}{content}"),
    }
    .into_bytes()
}

/// What a diagnostic is about, where sources can disagree on it.
fn properties(kind: DiagnosticKind) -> &'static [Property] {
    match kind {
        DiagnosticKind::MissingField => &[Property::Optionality],
        DiagnosticKind::TooManyRepetitions { .. } => &[Property::Repeats],
        DiagnosticKind::TooLong { .. } => &[Property::Length],
        DiagnosticKind::UnknownCode { .. } => &[Property::Table, Property::DataType],
        DiagnosticKind::Malformed { .. } => &[Property::DataType],
        _ => &[],
    }
}

#[test]
fn where_sources_disagree_nothing_is_more_than_a_note() {
    let (mut noted, mut conflicts) = (0, 0);
    for segment in dictionary::segments() {
        for definition in segment.fields() {
            let place = Location::of(segment.id()).at_field(definition.number());
            conflicts += definition.conflicts().count();
            let long = "?".repeat(usize::try_from(definition.length_max()).unwrap() + 1);
            let often = format!("{}?", "?~".repeat(9));
            let parts = format!("{}?", "?&?^".repeat(15));
            let mut seen = Vec::new();
            for content in ["", "?", &long, &often, &parts] {
                let bytes = with_field(place, content);
                let message = Message::parse(&bytes).unwrap();
                for found in check(&message, Checks::STRICT) {
                    let here = found.location.segment_id() == segment.id()
                        && found.location.field_number() == Some(definition.number());
                    for &property in properties(found.kind) {
                        if here && definition.conflict(property).is_some() {
                            assert_eq!(found.severity, Severity::Note, "{found}");
                            seen.push(property);
                        }
                    }
                }
            }
            for property in [Property::Length, Property::Optionality, Property::Repeats] {
                if definition.conflict(property).is_some() {
                    assert!(seen.contains(&property), "{place} {property} is not noted");
                    noted += 1;
                }
            }
        }
    }
    assert_eq!((noted, conflicts), (78, 116));
}

#[test]
fn what_all_sources_require_is_an_error() {
    let mut required = 0;
    for segment in dictionary::segments() {
        for definition in segment.fields() {
            let agreed = definition.optionality() == Optionality::Required
                && definition.conflict(Property::Optionality).is_none();
            let place = Location::of(segment.id()).at_field(definition.number());
            // The delimiters themselves are always there.
            let delimiters = matches!(
                segment.id(),
                SegmentId::MSH | SegmentId::FHS | SegmentId::BHS
            ) && definition.number() <= 2;
            if !agreed || delimiters {
                continue;
            }
            required += 1;
            let bytes = with_field(place, "");
            let message = Message::parse(&bytes).unwrap();
            let found = check(&message, Checks::STRICT);
            let missing = found
                .iter()
                .find(|found| found.kind == DiagnosticKind::MissingField && found.location == place)
                .unwrap();
            assert_eq!(missing.severity, Severity::Error);
        }
    }
    assert_eq!(required, 33);
}

#[test]
fn each_check_can_be_left_out() {
    let bytes = b"MSH|^~\\&|||||||ADT^A08|123456789012345678901~2|P|2.3|x\rPID|x\rMSA|XX\r";
    let message = Message::parse(bytes).unwrap();
    let kinds = |checks| {
        let found = check(&message, checks);
        let mut kinds: Vec<_> = found.iter().map(|found| found.kind.to_string()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.len()
    };
    assert_eq!(kinds(Checks::STRICT), 8);
    let all = Checks::STRICT;
    assert_eq!(
        kinds(Checks {
            structure: None,
            ..all
        }),
        6
    );
    assert_eq!(
        kinds(Checks {
            required: None,
            ..all
        }),
        7
    );
    assert_eq!(
        kinds(Checks {
            repetitions: None,
            ..all
        }),
        7
    );
    assert_eq!(
        kinds(Checks {
            lengths: None,
            ..all
        }),
        7
    );
    assert_eq!(
        kinds(Checks {
            tables: None,
            ..all
        }),
        7
    );
    assert_eq!(
        kinds(Checks {
            data_types: None,
            ..all
        }),
        6
    );
}

#[test]
fn large_messages_take_no_more_than_their_time() {
    let head = "MSH|^~\\&|||||||ORU^R01|1|P|2.3\r";
    for body in [
        "OBX|1|NM|x||?\r".repeat(20_000),
        format!("PID|||{}\r", "~".repeat(1 << 18)),
        format!("PID|||{}\r", "x~".repeat(1 << 18)),
        format!("PID|||{}\r", "^".repeat(1 << 18)),
        format!("PID|||{}\r", "&".repeat(1 << 18)),
        format!("PID{}\r", "|".repeat(1 << 18)),
        "NTE\r".repeat(20_000),
        "Z\r".repeat(20_000),
    ] {
        let bytes = format!("{head}{body}");
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let checks = Checks {
            diagnostics_max: usize::MAX,
            ..Checks::STRICT
        };
        check(&message, checks);
        assert!(check(&message, Checks::STRICT).len() <= Checks::STRICT.diagnostics_max);
    }
}

proptest! {
    #[test]
    fn any_message_can_be_checked(
        kind in prop::sample::select(vec![
            "ORM^O01", "ORU^R01", "ADT^A08", "ADT^A40", "ORR^O02", "ORF^R04", "QRY^Q01", "ACK", "?",
        ]),
        segments in prop::collection::vec(
            "(MSH|MSA|ERR|EVN|PID|PV1|MRG|ORC|OBR|OBX|NTE|DSC|ZDS|BHS|CTI|IN1|x)[|^~&\\\\0-9A-Z\"é.+-]{0,40}",
            0..20,
        ),
    ) {
        let bytes = format!("MSH|^~\\&|||||||{kind}|1|P|2.3\r{}", segments.join("\r"));
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let strict = check(&message, Checks::STRICT);
        prop_assert!(strict.iter().all(|found| found.offset <= bytes.len()));
        let relaxed = check(&message, Checks::RELAXED);
        prop_assert!(relaxed.iter().all(|found| found.severity == Severity::Note));
        prop_assert_eq!(strict.len(), relaxed.len());
    }
}
