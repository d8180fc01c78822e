//! What fields are called, and what the broker takes them for.

use hl7_message::{Location, Message, SegmentId, dictionary};
use medsynapse::map::{Attribute, Kind, Mapping, ROWS};
use medsynapse_worklist::table;

/// What the broker reads beside the attributes of an order.
const OTHERS: &[(&str, &str)] = &[
    ("MRG-1.1", "Patient ID that goes away"),
    ("ORC-1.1", "Order control"),
    ("OBX-2.1", "Report format"),
    ("OBX-5.1", "Report text"),
    ("OBX-11.1", "Report status"),
    ("OBX-14.1", "Report date"),
    ("OBX-16.1", "Reading physician ID"),
    ("OBX-16.2", "Reading physician name"),
];

/// What a segment is called.
pub(crate) fn segment(id: SegmentId) -> Option<&'static str> {
    let known = dictionary::segment(id).map(dictionary::SegmentDefinition::name);
    known.or((id == SegmentId::ZDS).then_some("Study"))
}

/// What a field or a part of one is called, and of which data type it is.
pub(crate) fn field(at: Location) -> Option<(&'static str, &'static str)> {
    if (at.segment_id(), at.field_number()) == (SegmentId::ZDS, Some(1)) {
        return Some(("Study Instance UID", "RP")).filter(|_| at.component_number().is_none());
    }
    let field = dictionary::field(at)?;
    let mut found = (field.name(), field.data_type());
    for number in [at.component_number(), at.subcomponent_number()]
        .into_iter()
        .flatten()
    {
        if number == 1 && found.1.components().is_empty() {
            continue; // What has one part is its own only part.
        }
        let part = found.1.component(number)?;
        found = (part.name(), part.data_type());
    }
    Some((found.0, found.1.name()))
}

/// What a code at a location means.
pub(crate) fn label(at: Location, code: &[u8]) -> Option<&'static str> {
    dictionary::table_of(at)?.label(code)
}

/// What the broker takes the leaf at a location of a message for.
pub(crate) fn meaning(
    at: Location,
    message: &Message<'_>,
    mapping: Mapping,
) -> Option<&'static str> {
    if at.occurrence_number() > 1 || at.repetition_number() > 1 {
        return None;
    }
    if at.subcomponent_number().is_some_and(|number| number > 1) {
        return None;
    }
    let field = Location::of(at.segment_id()).at_field(at.field_number()?);
    let leaf = field.component(at.component_number().unwrap_or(1));
    let row = ROWS.iter().find(|row| {
        if row.kind == Kind::Name {
            // All components of a name are read.
            return row.place(mapping) == field.component(1) && at.component_number().is_none();
        }
        // The first place that says anything counts.
        let mut sources = row.sources(mapping).iter();
        let says = sources.find(|source| !message.value(**source).is_absent());
        says.copied().unwrap_or(row.place(mapping)) == leaf
    });
    let other = || OTHERS.iter().find(|(place, _)| *place == leaf.to_string());
    row.map(|row| row.name)
        .or_else(|| other().map(|(_, name)| *name))
}

/// A location as people write it: the first part of a field is the field.
pub(crate) fn place(at: &Location) -> String {
    let text = at.to_string();
    match (at.component_number(), at.subcomponent_number()) {
        (Some(1), None) => text.trim_end_matches(".1").to_owned(),
        _ => text,
    }
}

/// The DICOM attributes of a worklist item that an attribute of an order becomes.
pub(crate) fn dicom_of(attribute: Attribute) -> Vec<String> {
    let rows = table::ROWS.iter();
    rows.filter(|row| matches!(row.source, table::Source::Order(of) if of == attribute))
        .map(|row| format!("{} {}", tag(row), row.keyword))
        .collect()
}

/// The DICOM attributes of a worklist item that stand at a location of an order: tag, keyword.
pub(crate) fn dicom_at(at: Location, mapping: Mapping) -> Vec<(String, &'static str)> {
    if at.occurrence_number() > 1 || at.repetition_number() > 1 {
        return Vec::new();
    }
    let whole = at.component_number().is_none();
    let leaf = at.component(at.component_number().unwrap_or(1));
    let rows = table::ROWS.iter().filter(|row| {
        let name = matches!(row.source, table::Source::Order(of) if of.row().kind == Kind::Name);
        row.places(mapping)
            .iter()
            .any(|place| *place == leaf && (whole || !name))
    });
    rows.map(|row| (tag(row), row.keyword)).collect()
}

fn tag(row: &table::Row) -> String {
    let (group, element) = (row.tag.group(), row.tag.element());
    format!("({group:04X},{element:04X})")
}

#[cfg(test)]
mod tests {
    use hl7_message::loc;

    use super::*;

    #[test]
    fn fields_have_names() {
        assert_eq!(field(loc!("OBR-21")), Some(("Filler Field 2", "ST")));
        assert_eq!(field(loc!("PID-5.2")), Some(("Given Name", "ST")));
        assert_eq!(field(loc!("PID-3.4.1")), Some(("Namespace ID", "IS")));
        assert_eq!(field(loc!("PID-8.1")), field(loc!("PID-8")));
        assert_eq!(field(loc!("PID-8.2")), None);
        assert_eq!(field(loc!("ZZZ-1")), None);
        assert_eq!(field(loc!("ZDS-1")), Some(("Study Instance UID", "RP")));
        assert_eq!(label(loc!("PID-8"), b"F"), Some("Female"));
    }

    #[test]
    fn the_broker_takes_fields_for_something() {
        let bytes = b"MSH|^~\\&|\rOBR|1||||||||||||||||||||||||||||||R05^Cough\r";
        let message = Message::parse(bytes).unwrap();
        let check = |at: &str, name| {
            let meaning = meaning(at.parse().unwrap(), &message, Mapping::Medsynapse);
            assert_eq!(meaning, name, "{at}");
        };
        check("OBR-21", Some("Scheduled Station AE Title"));
        check("OBR-4.2", Some("Scheduled Procedure Step Description"));
        check("PID-5", Some("Patient Name"));
        check("PID-5.2", None);
        check("PID-3[2]", None);
        check("OBR[2]-21", None);
        check("OBR-31.2", Some("Reason For Requested Procedure"));
        check("OBR-31.1", None);
        let message =
            Message::parse(b"MSH|^~\\&|\rOBR|1||||||||||||||||||||||||||||||R05\r").unwrap();
        assert_eq!(
            meaning(loc!("OBR-31"), &message, Mapping::Medsynapse),
            Some("Reason For Requested Procedure")
        );
        let rad4 = |at| meaning(at, &message, Mapping::IheRad4);
        assert_eq!(rad4(loc!("OBR-18")), Some("Accession Number"));
        assert_eq!(rad4(loc!("OBR-20")), Some("Scheduled Procedure Step ID"));
        assert_eq!(rad4(loc!("OBR-36")), None);
    }

    #[test]
    fn places_become_dicom_attributes() {
        let at = |at: &str| {
            let found = dicom_at(at.parse().unwrap(), Mapping::Medsynapse);
            let found = found
                .iter()
                .map(|(tag, keyword)| format!("{tag} {keyword}"));
            found.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(at("OBR-21"), "(0040,0001) ScheduledStationAETitle");
        assert_eq!(at("OBR-21.1"), "(0040,0001) ScheduledStationAETitle");
        assert_eq!(at("PID-5"), "(0010,0010) PatientName");
        assert_eq!(at("PID-5.1"), "");
        assert_eq!(at("PID-3[2]"), "");
        assert!(at("OBR-36").contains("(0040,0002)"), "{}", at("OBR-36"));
        assert_eq!(dicom_of(Attribute::Modality), ["(0008,0060) Modality"]);
        assert_eq!(place(&loc!("OBR-21.1")), "OBR-21");
        assert_eq!(place(&loc!("OBR-4.2")), "OBR-4.2");
    }

    #[test]
    fn every_place_that_the_broker_reads_has_a_name() {
        for row in &ROWS {
            let at = row.location();
            let number = at.field_number().unwrap_or_default();
            assert!(
                field(Location::of(at.segment_id()).at_field(number)).is_some(),
                "{at}"
            );
        }
    }
}
