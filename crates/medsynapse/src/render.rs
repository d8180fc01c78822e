//! Orders, reports and demographics as message bytes, by the same mapping that reads them.

use hl7_message::{Location, MessageWriter, SegmentId, Separators, Timestamp, WriteError, loc};

use crate::id::PatientId;
use crate::map::{Attribute, Attributes, Kind, ROWS};

/// Who sends to whom, and when: what MSH says.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// MSH-3
    pub sending_application: &'a str,
    /// MSH-4
    pub sending_facility: &'a str,
    /// MSH-5
    pub receiving_application: &'a str,
    /// MSH-6
    pub receiving_facility: &'a str,
    /// MSH-7
    pub time: Timestamp,
    /// MSH-10
    pub control_id: &'a str,
}

/// What an ORM^O01 says beside the attributes of the order.
#[derive(Debug, Clone, Copy)]
pub struct OrderDetails<'a> {
    /// ORC-1: NW, XO, CA or CM.
    pub control: &'a str,
    /// PV1-2, patient class: I or O.
    pub patient_class: &'a str,
}

/// What the OBX of an ORU^R01 says.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// OBX-2: TX or RTF.
    pub format: &'a str,
    /// OBX-5, every line end an LF; empty leaves the field out.
    pub text: &'a str,
    /// OBX-11: I, R, F or P.
    pub status: &'a str,
    /// OBX-14, empty to leave it out.
    pub date: &'a str,
    /// OBX-16.1, empty to leave it out.
    pub physician_id: &'a str,
    /// OBX-16.2, empty to leave it out.
    pub physician_name: &'a str,
}

/// ORM^O01: MSH PID PV1 ORC OBR, and ZDS where the Study Instance UID is known.
///
/// # Errors
///
/// None on attributes that were read from a message; text that the usual
/// delimiters cannot carry does not exist.
///
/// ```
/// use hl7_message::Timestamp;
/// use medsynapse::render::{Envelope, OrderDetails, order};
/// use medsynapse::{Attribute, Attributes};
///
/// let mut attributes = Attributes::default();
/// for (attribute, text) in [
///     (Attribute::AccessionNumber, "ACC123456"),
///     (Attribute::PatientId, "PAT789"),
///     (Attribute::PatientName, "SMITH^JOHN"),
///     (Attribute::Modality, "CT"),
/// ] {
///     attributes.set(attribute, text);
/// }
/// let envelope = Envelope {
///     sending_application: "RIS",
///     sending_facility: "HOSPITAL",
///     receiving_application: "PACS_APP",
///     receiving_facility: "PACS_FACILITY",
///     time: Timestamp::from_civil((2023, 6, 14), (13, 14, 15)).unwrap(),
///     control_id: "MSG1",
/// };
/// let details = OrderDetails { control: "NW", patient_class: "O" };
/// assert_eq!(
///     String::from_utf8(order(&envelope, &details, &attributes)?).unwrap().replace('\r', "\n"),
///     "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|MSG1|P|2.3\n\
///      PID|1||PAT789||SMITH^JOHN\n\
///      PV1|1|O\n\
///      ORC|NW\n\
///      OBR|1|ACC123456||||||||||||||||||||||CT\n",
/// );
/// # Ok::<(), hl7_message::WriteError>(())
/// ```
pub fn order(
    envelope: &Envelope<'_>,
    details: &OrderDetails<'_>,
    attributes: &Attributes,
) -> Result<Vec<u8>, WriteError> {
    let mut draft = Draft::start(envelope, "ORM", "O01");
    draft.order_segments(details, attributes);
    draft.write()
}

/// ORU^R01: the segments of the order and one OBX.
///
/// # Errors
///
/// As [`order`].
pub fn report(
    envelope: &Envelope<'_>,
    details: &OrderDetails<'_>,
    attributes: &Attributes,
    observation: &Observation<'_>,
) -> Result<Vec<u8>, WriteError> {
    let mut draft = Draft::start(envelope, "ORU", "R01");
    draft.order_segments(details, attributes);
    let text = observation.text.replace('\n', "\r\n");
    let of = |attribute| attributes.get(attribute).unwrap_or_default().to_owned();
    for (location, value) in [
        (loc!("OBX-1"), "1".to_owned()),
        (loc!("OBX-2"), observation.format.to_owned()),
        (loc!("OBX-3.1"), of(Attribute::ScheduledProcedureStepId)),
        (
            loc!("OBX-3.2"),
            of(Attribute::ScheduledProcedureStepDescription),
        ),
        (loc!("OBX-5"), text),
        (loc!("OBX-11"), observation.status.to_owned()),
        (loc!("OBX-14"), observation.date.to_owned()),
        (loc!("OBX-16.1"), observation.physician_id.to_owned()),
        (loc!("OBX-16.2"), observation.physician_name.to_owned()),
    ] {
        draft.text(location, value);
    }
    draft.write()
}

/// ADT^A08: MSH EVN PID with what is known of the patient.
///
/// # Errors
///
/// As [`order`].
pub fn patient_update(
    envelope: &Envelope<'_>,
    attributes: &Attributes,
) -> Result<Vec<u8>, WriteError> {
    let mut draft = Draft::start(envelope, "ADT", "A08");
    draft.event("A08", &envelope.time);
    draft.patient(attributes);
    draft.write()
}

/// ADT^A40: MSH EVN PID MRG; all orders of `from` go to the patient in `attributes`.
///
/// # Errors
///
/// As [`order`].
pub fn patient_merge(
    envelope: &Envelope<'_>,
    attributes: &Attributes,
    from: &PatientId,
) -> Result<Vec<u8>, WriteError> {
    let mut draft = Draft::start(envelope, "ADT", "A40");
    draft.event("A40", &envelope.time);
    draft.patient(attributes);
    draft.text(loc!("MRG-1"), from.as_str().to_owned());
    draft.write()
}

/// One value of a message that is being put together.
struct Entry {
    location: Location,
    value: String,
    /// The value holds delimiters that split it.
    written: bool,
}

/// A message that is being put together: values in any order, written in the order of places.
struct Draft {
    segments: Vec<SegmentId>,
    entries: Vec<Entry>,
}

impl Draft {
    fn start(envelope: &Envelope<'_>, code: &str, event: &str) -> Self {
        let mut draft = Self {
            segments: vec![SegmentId::MSH],
            entries: Vec::with_capacity(40),
        };
        for (location, value) in [
            (loc!("MSH-3"), envelope.sending_application),
            (loc!("MSH-4"), envelope.sending_facility),
            (loc!("MSH-5"), envelope.receiving_application),
            (loc!("MSH-6"), envelope.receiving_facility),
            (loc!("MSH-9.1"), code),
            (loc!("MSH-9.2"), event),
            (loc!("MSH-10"), envelope.control_id),
            (loc!("MSH-11"), "P"),
            (loc!("MSH-12"), "2.3"),
        ] {
            draft.text(location, value.to_owned());
        }
        draft.text(loc!("MSH-7"), envelope.time.to_string());
        draft
    }

    fn text(&mut self, location: Location, value: String) {
        self.put(location, value, false);
    }

    fn put(&mut self, location: Location, value: String, written: bool) {
        if value.is_empty() {
            return;
        }
        let id = location.segment_id();
        if !self.segments.contains(&id) {
            self.segments.push(id);
        }
        self.entries.push(Entry {
            location,
            value,
            written,
        });
    }

    fn order_segments(&mut self, details: &OrderDetails<'_>, attributes: &Attributes) {
        for (location, value) in [
            (loc!("PID-1"), "1"),
            (loc!("PV1-1"), "1"),
            (loc!("PV1-2"), details.patient_class),
            (loc!("ORC-1"), details.control),
            (loc!("OBR-1"), "1"),
        ] {
            self.text(location, value.to_owned());
        }
        self.attributes(attributes, |_| true);
    }

    fn event(&mut self, code: &str, time: &Timestamp) {
        self.text(loc!("EVN-1"), code.to_owned());
        self.text(loc!("EVN-2"), time.to_string());
    }

    fn patient(&mut self, attributes: &Attributes) {
        self.text(loc!("PID-1"), "1".to_owned());
        self.attributes(attributes, |location| {
            location.segment_id() == SegmentId::PID
        });
    }

    fn attributes(&mut self, attributes: &Attributes, which: impl Fn(Location) -> bool) {
        for row in ROWS.iter().filter(|row| which(row.location())) {
            if let Some(value) = attributes.get(row.attribute) {
                self.put(row.location(), value.to_owned(), row.kind == Kind::Name);
            }
        }
    }

    fn write(mut self) -> Result<Vec<u8>, WriteError> {
        if !self.entries.iter().all(|entry| entry.value.is_ascii()) {
            self.text(loc!("MSH-18"), "UNICODE UTF-8".to_owned());
        }
        self.entries.sort_by_key(|entry| entry.location);
        let mut writer = MessageWriter::new(Separators::DEFAULT);
        for id in self.segments {
            let mut segment = writer.segment(id);
            for entry in self
                .entries
                .iter()
                .filter(|entry| entry.location.segment_id() == id)
            {
                if entry.written {
                    // XPN is kept as it is written; control characters cannot be in it.

                    segment.put_raw(entry.location, entry.value.as_bytes())?;
                } else {
                    segment.put(entry.location, &entry.value)?;
                }
            }
        }
        Ok(writer.finish())
    }
}
