//! Orders, reports and demographics as message bytes, by the same mapping that reads them.

use hl7_message::{
    Location, MessageWriter, SegmentId, Separators, Timestamp, WriteError, escape, loc,
};

use crate::id::PatientId;
use crate::map::{Attribute, Attributes, Kind, ROWS};

/// The value of each attribute that is known, by its number.
pub(crate) type Known<'a> = [Option<&'a str>; Attribute::COUNT];

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
    let time = envelope.time.to_string();
    order_of(&Header::new(envelope, &time), details, &known(attributes))
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
    let time = envelope.time.to_string();
    let header = Header::new(envelope, &time);
    report_of(&header, details, &known(attributes), observation)
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
    let time = envelope.time.to_string();
    patient_update_of(&Header::new(envelope, &time), &known(attributes))
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
    let time = envelope.time.to_string();
    let header = Header::new(envelope, &time);
    patient_merge_of(&header, &known(attributes), from.as_str())
}

fn known(attributes: &Attributes) -> Known<'_> {
    Attribute::ALL.map(|attribute| attributes.get(attribute))
}

/// As [`Envelope`], with the time as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) sending_application: &'a str,
    pub(crate) sending_facility: &'a str,
    pub(crate) receiving_application: &'a str,
    pub(crate) receiving_facility: &'a str,
    pub(crate) time: &'a str,
    pub(crate) control_id: &'a str,
}

impl<'a> Header<'a> {
    fn new(envelope: &Envelope<'a>, time: &'a str) -> Self {
        Self {
            sending_application: envelope.sending_application,
            sending_facility: envelope.sending_facility,
            receiving_application: envelope.receiving_application,
            receiving_facility: envelope.receiving_facility,
            time,
            control_id: envelope.control_id,
        }
    }
}

/// Whether no byte of a line can need an escape. Looks at every byte, without a way out in the
/// middle: the compiler makes vectors of it, and long reports are the longest part of a day.
fn is_plain(line: &str) -> bool {
    let special = |byte: u8| byte < b' ' || matches!(byte, b'|' | b'^' | b'~' | b'\\' | b'&');
    !line
        .bytes()
        .fold(false, |found, byte| found | special(byte))
}

/// Text for OBX-5, every line end as the conformance statement has it.
fn escaped_lines(text: &str) -> Result<String, WriteError> {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push_str("\\X0D\\\\X0A\\");
        }
        if is_plain(line) {
            out.push_str(line);
            continue;
        }
        let escaped = escape::escape(line.as_bytes(), &Separators::DEFAULT).map_err(|_| {
            WriteError::NoEscapeCharacter {
                location: loc!("OBX-5"),
            }
        })?;
        // Escapes are ASCII: what was UTF-8 still is.
        out.push_str(&String::from_utf8_lossy(&escaped));
    }
    Ok(out)
}

/// As [`order`], from borrowed values.
pub(crate) fn order_of(
    header: &Header<'_>,
    details: &OrderDetails<'_>,
    known: &Known<'_>,
) -> Result<Vec<u8>, WriteError> {
    let mut draft = Draft::start(header, "ORM", "O01");
    draft.order_segments(details, known);
    draft.write()
}

/// As [`report`], from borrowed values.
pub(crate) fn report_of(
    header: &Header<'_>,
    details: &OrderDetails<'_>,
    known: &Known<'_>,
    observation: &Observation<'_>,
) -> Result<Vec<u8>, WriteError> {
    let text = escaped_lines(observation.text)?;
    let mut draft = Draft::start(header, "ORU", "R01");
    draft.order_segments(details, known);
    let step = value(known, Attribute::ScheduledProcedureStepId);
    let description = value(known, Attribute::ScheduledProcedureStepDescription);
    draft.fields(&[
        (loc!("OBX-1"), "1"),
        (loc!("OBX-2"), observation.format),
        (loc!("OBX-3.1"), step),
        (loc!("OBX-3.2"), description),
    ]);
    draft.put(loc!("OBX-5"), &text, true);
    draft.fields(&[
        (loc!("OBX-11"), observation.status),
        (loc!("OBX-14"), observation.date),
        (loc!("OBX-16.1"), observation.physician_id),
        (loc!("OBX-16.2"), observation.physician_name),
    ]);
    draft.write()
}

/// As [`patient_update`], from borrowed values.
pub(crate) fn patient_update_of(
    header: &Header<'_>,
    known: &Known<'_>,
) -> Result<Vec<u8>, WriteError> {
    let mut draft = Draft::start(header, "ADT", "A08");
    draft.event("A08", header.time);
    draft.segment(SegmentId::PID, &[(loc!("PID-1"), "1")], known);
    draft.write()
}

/// As [`patient_merge`], from borrowed values.
pub(crate) fn patient_merge_of(
    header: &Header<'_>,
    known: &Known<'_>,
    from: &str,
) -> Result<Vec<u8>, WriteError> {
    let mut draft = Draft::start(header, "ADT", "A40");
    draft.event("A40", header.time);
    draft.segment(SegmentId::PID, &[(loc!("PID-1"), "1")], known);
    draft.fields(&[(loc!("MRG-1"), from)]);
    draft.write()
}

fn value<'a>(known: &Known<'a>, attribute: Attribute) -> &'a str {
    known
        .get(attribute as usize)
        .copied()
        .flatten()
        .unwrap_or_default()
}

/// One value of a message that is being put together.
#[derive(Clone, Copy)]
struct Entry<'a> {
    location: Location,
    value: &'a str,
    /// The value holds delimiters that split it.
    written: bool,
}

/// A message that is being put together: values in the order in which they are written.
struct Draft<'a> {
    entries: Vec<Entry<'a>>,
}

/// The numbers of [`ROWS`] in the order of their places, so that nothing is sorted at run time.
#[expect(
    clippy::indexing_slicing,
    reason = "in a constant, an index out of bounds stops the build"
)]
const ROWS_BY_PLACE: [usize; Attribute::COUNT] = {
    let mut order = [0; Attribute::COUNT];
    let mut count = 0;
    while count < order.len() {
        let mut at = count;
        // Insertion: a constant cannot call `sort`.
        while at > 0 && place(count) < place(order[at - 1]) {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = count;
        count += 1;
    }
    order
};

/// Field and component of a row as one number.
#[expect(
    clippy::indexing_slicing,
    reason = "called in a constant alone, where it stops the build"
)]
const fn place(row: usize) -> u32 {
    let location = ROWS[row].sources[0];
    let (Some(field), Some(component)) = (location.field_number(), location.component_number())
    else {
        panic!("a row names a component")
    };
    (field as u32) << 16 | component as u32
}

impl<'a> Draft<'a> {
    fn start(header: &Header<'a>, code: &'a str, event: &'a str) -> Self {
        let mut draft = Self {
            entries: Vec::with_capacity(48),
        };
        draft.fields(&[
            (loc!("MSH-3"), header.sending_application),
            (loc!("MSH-4"), header.sending_facility),
            (loc!("MSH-5"), header.receiving_application),
            (loc!("MSH-6"), header.receiving_facility),
            (loc!("MSH-7"), header.time),
            (loc!("MSH-9.1"), code),
            (loc!("MSH-9.2"), event),
            (loc!("MSH-10"), header.control_id),
            (loc!("MSH-11"), "P"),
            (loc!("MSH-12"), "2.3"),
        ]);
        draft
    }

    /// Adds values in the order of their places; empty ones are left out.
    fn fields(&mut self, fields: &[(Location, &'a str)]) {
        for &(location, value) in fields {
            self.put(location, value, false);
        }
    }

    fn put(&mut self, location: Location, value: &'a str, written: bool) {
        if !value.is_empty() {
            self.entries.push(Entry {
                location,
                value,
                written,
            });
        }
    }

    fn order_segments(&mut self, details: &OrderDetails<'a>, known: &Known<'a>) {
        let visit = [(loc!("PV1-1"), "1"), (loc!("PV1-2"), details.patient_class)];
        self.segment(SegmentId::PID, &[(loc!("PID-1"), "1")], known);
        self.segment(SegmentId::PV1, &visit, known);
        self.segment(SegmentId::ORC, &[(loc!("ORC-1"), details.control)], known);
        self.segment(SegmentId::OBR, &[(loc!("OBR-1"), "1")], known);
        self.segment(SegmentId::ZDS, &[], known);
    }

    fn event(&mut self, code: &'a str, time: &'a str) {
        self.fields(&[(loc!("EVN-1"), code), (loc!("EVN-2"), time)]);
    }

    /// Adds one segment: its leading fields and then the attributes that stand in it.
    fn segment(&mut self, id: SegmentId, leading: &[(Location, &'a str)], known: &Known<'a>) {
        self.fields(leading);
        for row in ROWS_BY_PLACE.iter().filter_map(|&row| ROWS.get(row)) {
            let location = row.location();
            if location.segment_id() == id {
                self.put(
                    location,
                    value(known, row.attribute),
                    row.kind == Kind::Name,
                );
            }
        }
    }

    fn write(mut self) -> Result<Vec<u8>, WriteError> {
        if !self.entries.iter().all(|entry| entry.value.is_ascii()) {
            let header = |entry: &Entry<'_>| entry.location.segment_id() == SegmentId::MSH;
            let end = self
                .entries
                .iter()
                .take_while(|entry| header(entry))
                .count();
            let charset = Entry {
                location: loc!("MSH-18"),
                value: "UNICODE UTF-8",
                written: false,
            };
            self.entries.insert(end, charset);
        }
        let mut writer = MessageWriter::new(Separators::DEFAULT);
        let same =
            |a: &Entry<'_>, b: &Entry<'_>| a.location.segment_id() == b.location.segment_id();
        for entries in self.entries.chunk_by(same) {
            let Some(first) = entries.first() else {
                continue;
            };
            let mut segment = writer.segment(first.location.segment_id());
            for entry in entries {
                if entry.written {
                    // XPN is kept as it is written; control characters cannot be in it.
                    // A report's text was escaped line by line.
                    segment.put_raw(entry.location, entry.value.as_bytes())?;
                } else {
                    segment.put(entry.location, entry.value)?;
                }
            }
        }
        Ok(writer.finish())
    }
}
