//! What fields are called, and what the broker takes them for.

use hl7_message::{Location, Message, SegmentId};
use medsynapse::map::{Kind, ROWS};

/// Segments with their names and those of their fields, in order; HL7 2.3.
const SEGMENTS: &[(&str, &str, &[&str])] = &[
    (
        "MSH",
        "Message header",
        &[
            "Field separator",
            "Encoding characters",
            "Sending application",
            "Sending facility",
            "Receiving application",
            "Receiving facility",
            "Date and time of message",
            "Security",
            "Message type",
            "Message control ID",
            "Processing ID",
            "Version ID",
            "Sequence number",
            "Continuation pointer",
            "Accept acknowledgement type",
            "Application acknowledgement type",
            "Country code",
            "Character set",
            "Principal language",
        ],
    ),
    (
        "MSA",
        "Acknowledgement",
        &[
            "Acknowledgement code",
            "Message control ID",
            "Text message",
            "Expected sequence number",
            "Delayed acknowledgement type",
            "Error condition",
        ],
    ),
    ("ERR", "Error", &["Error code and location"]),
    (
        "EVN",
        "Event",
        &[
            "Event type code",
            "Recorded date and time",
            "Planned date and time",
            "Event reason",
            "Operator ID",
            "Event occurred",
        ],
    ),
    (
        "PID",
        "Patient",
        &[
            "Set ID",
            "External patient ID",
            "Internal patient ID",
            "Alternate patient ID",
            "Patient name",
            "Mother's maiden name",
            "Date of birth",
            "Sex",
            "Patient alias",
            "Race",
            "Address",
            "County code",
            "Home phone",
            "Business phone",
            "Primary language",
            "Marital status",
            "Religion",
            "Account number",
            "SSN",
            "Driver's licence",
            "Mother's identifier",
            "Ethnic group",
            "Birth place",
            "Multiple birth",
            "Birth order",
            "Citizenship",
            "Veterans status",
            "Nationality",
            "Date and time of death",
            "Death indicator",
        ],
    ),
    (
        "MRG",
        "Merge",
        &[
            "Prior internal patient ID",
            "Prior alternate patient ID",
            "Prior account number",
            "Prior external patient ID",
            "Prior visit number",
            "Prior alternate visit ID",
            "Prior patient name",
        ],
    ),
    (
        "PV1",
        "Visit",
        &[
            "Set ID",
            "Patient class",
            "Assigned location",
            "Admission type",
            "Preadmit number",
            "Prior location",
            "Attending doctor",
            "Referring doctor",
            "Consulting doctor",
            "Hospital service",
            "Temporary location",
            "Preadmit test",
            "Readmission",
            "Admit source",
            "Ambulatory status",
            "VIP indicator",
            "Admitting doctor",
            "Patient type",
            "Visit number",
            "Financial class",
        ],
    ),
    (
        "ORC",
        "Common order",
        &[
            "Order control",
            "Placer order number",
            "Filler order number",
            "Placer group number",
            "Order status",
            "Response flag",
            "Quantity and timing",
            "Parent",
            "Date and time of transaction",
            "Entered by",
            "Verified by",
            "Ordering provider",
            "Enterer's location",
            "Call back phone",
            "Order effective",
            "Order control reason",
            "Entering organisation",
            "Entering device",
            "Action by",
        ],
    ),
    (
        "OBR",
        "Observation request",
        &[
            "Set ID",
            "Placer order number",
            "Filler order number",
            "Universal service ID",
            "Priority",
            "Requested date and time",
            "Observation start",
            "Observation end",
            "Collection volume",
            "Collector",
            "Specimen action",
            "Danger code",
            "Clinical information",
            "Specimen received",
            "Specimen source",
            "Ordering provider",
            "Call back phone",
            "Placer field 1",
            "Placer field 2",
            "Filler field 1",
            "Filler field 2",
            "Results reported",
            "Charge to practice",
            "Diagnostic service section",
            "Result status",
            "Parent result",
            "Quantity and timing",
            "Result copies to",
            "Parent number",
            "Transportation mode",
            "Reason for study",
            "Principal interpreter",
            "Assistant interpreter",
            "Technician",
            "Transcriptionist",
            "Scheduled date and time",
            "Sample containers",
            "Transport logistics",
            "Collector's comment",
        ],
    ),
    (
        "OBX",
        "Observation",
        &[
            "Set ID",
            "Value type",
            "Observation identifier",
            "Observation sub-ID",
            "Value",
            "Units",
            "Reference range",
            "Abnormal flags",
            "Probability",
            "Nature of abnormal test",
            "Result status",
            "Last normal values",
            "User defined access checks",
            "Date and time of observation",
            "Producer's ID",
            "Responsible observer",
            "Method",
        ],
    ),
    ("NTE", "Notes", &["Set ID", "Source", "Comment"]),
    ("ZDS", "Study", &["Study instance UID"]),
];

/// Parts of a person's name, XPN.
const NAME_PARTS: &[&str] = &[
    "Family name",
    "Given name",
    "Middle name",
    "Suffix",
    "Prefix",
];

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
    find(id).map(|(_, name, _)| *name)
}

/// What a field, or a part of a name, is called.
pub(crate) fn field(at: Location) -> Option<&'static str> {
    let (_, _, fields) = find(at.segment_id())?;
    let number = usize::from(at.field_number()?);
    let Some(component) = at.component_number() else {
        return fields.get(number - 1).copied();
    };
    let named = matches!((at.segment_id().as_str(), number), ("PID", 5) | ("MRG", 7));
    NAME_PARTS
        .get(usize::from(component) - 1)
        .copied()
        .filter(|_| named)
}

fn find(id: SegmentId) -> Option<&'static (&'static str, &'static str, &'static [&'static str])> {
    SEGMENTS.iter().find(|(known, _, _)| *known == id.as_str())
}

/// What the broker takes the leaf at a location of a message for.
pub(crate) fn meaning(at: Location, message: &Message<'_>) -> Option<&'static str> {
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
            return row.location() == field.component(1) && at.component_number().is_none();
        }
        // The first place that says anything counts.
        let mut sources = row.sources.iter();
        let says = sources.find(|source| !message.value(**source).is_absent());
        says.copied().unwrap_or(row.location()) == leaf
    });
    let other = || OTHERS.iter().find(|(place, _)| *place == leaf.to_string());
    row.map(|row| row.name)
        .or_else(|| other().map(|(_, name)| *name))
}

#[cfg(test)]
mod tests {
    use hl7_message::loc;

    use super::*;

    #[test]
    fn fields_have_names() {
        assert_eq!(field(loc!("OBR-21")), Some("Filler field 2"));
        assert_eq!(field(loc!("PID-5.2")), Some("Given name"));
        assert_eq!(field(loc!("ZZZ-1")), None);
        assert_eq!(field(loc!("OBR-36")), Some("Scheduled date and time"));
        assert_eq!(field(loc!("PV1-20")), Some("Financial class"));
    }

    #[test]
    fn the_broker_takes_fields_for_something() {
        let bytes = b"MSH|^~\\&|\rOBR|1||||||||||||||||||||||||||||||R05^Cough\r";
        let message = Message::parse(bytes).unwrap();
        let check = |at: &str, name| {
            assert_eq!(meaning(at.parse().unwrap(), &message), name, "{at}");
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
            meaning(loc!("OBR-31"), &message),
            Some("Reason For Requested Procedure")
        );
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
