//! Orders, reports and demographics as message bytes, by the same mapping that reads them.

use hl7_message::{
    Location, MessageWriter, SegmentId, SegmentWriter, Separators, Timestamp, WriteError, escape,
    loc,
};

use crate::id::PatientId;
use crate::map::{Attribute, Attributes, Kind, ROWS, Row};

/// What is written for one value.
#[derive(Clone, Copy, Default)]
pub(crate) enum Given<'a> {
    /// No characters.
    #[default]
    Nothing,
    /// `""`
    #[cfg_attr(not(feature = "json"), expect(dead_code, reason = "JSON alone clears"))]
    Null,
    /// Text, escaped where it has to be.
    Text(&'a str),
}

impl<'a> Given<'a> {
    pub(crate) fn some(text: &'a str) -> Self {
        if text.is_empty() {
            Self::Nothing
        } else {
            Self::Text(text)
        }
    }

    #[cfg_attr(
        not(feature = "synth"),
        expect(dead_code, reason = "the generator alone reads it back")
    )]
    pub(crate) const fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nothing | Self::Null => None,
        }
    }

    const fn is_nothing(self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// What is written for each attribute, by its number.
pub(crate) type Known<'a> = [Given<'a>; Attribute::COUNT];

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

/// What an ORM^O01 says beside its attributes, which may be cleared.
#[derive(Clone, Copy, Default)]
pub(crate) struct Visit<'a> {
    pub(crate) control: Given<'a>,
    pub(crate) patient_class: Given<'a>,
}

impl<'a> Visit<'a> {
    fn of(details: &OrderDetails<'a>) -> Self {
        Self {
            control: Given::some(details.control),
            patient_class: Given::some(details.patient_class),
        }
    }
}

/// As [`Observation`], of values that may be cleared.
#[derive(Clone, Copy, Default)]
pub(crate) struct ObservationResult<'a> {
    pub(crate) format: Given<'a>,
    pub(crate) text: Given<'a>,
    pub(crate) status: Given<'a>,
    pub(crate) date: Given<'a>,
    pub(crate) physician_id: Given<'a>,
    pub(crate) physician_name: Given<'a>,
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
    Attribute::ALL.map(|attribute| Given::some(attributes.get(attribute).unwrap_or_default()))
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
    pub(crate) fn new(envelope: &Envelope<'a>, time: &'a str) -> Self {
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
fn is_plain(line: &[u8]) -> bool {
    let special = |byte: u8| byte < b' ' || matches!(byte, b'|' | b'^' | b'~' | b'\\' | b'&');
    !line
        .iter()
        .fold(false, |found, &byte| found | special(byte))
}

/// Text for OBX-5, every line end as the conformance statement has it.
fn escaped_lines(text: &str) -> Result<Vec<u8>, WriteError> {
    if text == "\"\"" {
        return Ok(QUOTES.to_vec());
    }
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    for (n, line) in text.as_bytes().split(|&byte| byte == b'\n').enumerate() {
        if n > 0 {
            out.extend_from_slice(b"\\X0D\\\\X0A\\");
        }
        if is_plain(line) {
            out.extend_from_slice(line);
            continue;
        }
        let escaped = escape::escape(line, &Separators::DEFAULT).map_err(|_| {
            WriteError::NoEscapeCharacter {
                location: loc!("OBX-5"),
            }
        })?;
        out.extend_from_slice(&escaped);
    }
    Ok(out)
}

/// As [`order`], from borrowed values.
pub(crate) fn order_of(
    header: &Header<'_>,
    details: &OrderDetails<'_>,
    known: &Known<'_>,
) -> Result<Vec<u8>, WriteError> {
    order_given(header, &Visit::of(details), known)
}

/// ORM^O01 from values that may be cleared.
pub(crate) fn order_given(
    header: &Header<'_>,
    visit: &Visit<'_>,
    known: &Known<'_>,
) -> Result<Vec<u8>, WriteError> {
    message(header, ("ORM", "O01"), 0, |writer| {
        order_segments(writer, visit, known)
    })
}

/// As [`report`], from borrowed values.
pub(crate) fn report_of(
    header: &Header<'_>,
    details: &OrderDetails<'_>,
    known: &Known<'_>,
    observation: &Observation<'_>,
) -> Result<Vec<u8>, WriteError> {
    let result = ObservationResult {
        format: Given::some(observation.format),
        text: Given::some(observation.text),
        status: Given::some(observation.status),
        date: Given::some(observation.date),
        physician_id: Given::some(observation.physician_id),
        physician_name: Given::some(observation.physician_name),
    };
    report_given(header, &Visit::of(details), known, &result)
}

/// ORU^R01 from values that may be cleared.
pub(crate) fn report_given(
    header: &Header<'_>,
    visit: &Visit<'_>,
    known: &Known<'_>,
    result: &ObservationResult<'_>,
) -> Result<Vec<u8>, WriteError> {
    let text = match result.text {
        Given::Nothing => Vec::new(),
        Given::Null => b"\"\"".to_vec(),
        Given::Text(text) => escaped_lines(text)?,
    };
    let step = value(known, Attribute::ScheduledProcedureStepId);
    let description = value(known, Attribute::ScheduledProcedureStepDescription);
    message(header, ("ORU", "R01"), text.len(), |writer| {
        order_segments(writer, visit, known)?;
        let mut obx = writer.segment(SegmentId::OBX);
        put(&mut obx, loc!("OBX-1"), Given::Text("1"))?;
        put(&mut obx, loc!("OBX-2"), result.format)?;
        put(&mut obx, loc!("OBX-3.1"), step)?;
        put(&mut obx, loc!("OBX-3.2"), description)?;
        if !text.is_empty() {
            obx.put_raw(loc!("OBX-5"), &text)?;
        }
        put(&mut obx, loc!("OBX-11"), result.status)?;
        put(&mut obx, loc!("OBX-14"), result.date)?;
        put(&mut obx, loc!("OBX-16.1"), result.physician_id)?;
        put(&mut obx, loc!("OBX-16.2"), result.physician_name)
    })
}

/// As [`patient_update`], from borrowed values.
pub(crate) fn patient_update_of(
    header: &Header<'_>,
    known: &Known<'_>,
) -> Result<Vec<u8>, WriteError> {
    message(header, ("ADT", "A08"), 0, |writer| {
        event(writer, "A08", header.time)?;
        PID.write(writer, &[(loc!("PID-1"), Given::Text("1"))], known)
    })
}

/// ADT^A40 with the two ids alone.
#[cfg(feature = "json")]
pub(crate) fn patient_merge_given(
    header: &Header<'_>,
    into: Given<'_>,
    from: Given<'_>,
) -> Result<Vec<u8>, WriteError> {
    message(header, ("ADT", "A40"), 0, |writer| {
        event(writer, "A40", header.time)?;
        let mut pid = writer.segment(SegmentId::PID);
        put(&mut pid, loc!("PID-1"), Given::Text("1"))?;
        put(&mut pid, Attribute::PatientId.row().location(), into)?;
        put(&mut writer.segment(SegmentId::MRG), loc!("MRG-1"), from)
    })
}

/// As [`patient_merge`], from borrowed values.
pub(crate) fn patient_merge_of(
    header: &Header<'_>,
    known: &Known<'_>,
    from: &str,
) -> Result<Vec<u8>, WriteError> {
    message(header, ("ADT", "A40"), 0, |writer| {
        event(writer, "A40", header.time)?;
        PID.write(writer, &[(loc!("PID-1"), Given::Text("1"))], known)?;
        let mut mrg = writer.segment(SegmentId::MRG);
        put(&mut mrg, loc!("MRG-1"), Given::some(from))
    })
}

fn value<'a>(known: &Known<'a>, attribute: Attribute) -> Given<'a> {
    known.get(attribute as usize).copied().unwrap_or_default()
}

/// Writes a value where there is one.
pub(crate) fn put(
    writer: &mut SegmentWriter<'_>,
    location: Location,
    value: Given<'_>,
) -> Result<(), WriteError> {
    match value {
        Given::Nothing => {}
        Given::Null => {
            writer.put_null(location)?;
        }
        // Two quotation marks alone would mean: delete.
        Given::Text("\"\"") => {
            writer.put_raw(location, QUOTES)?;
        }
        Given::Text(text) => {
            writer.put(location, text)?;
        }
    }
    Ok(())
}

/// Two quotation marks as data.
pub(crate) const QUOTES: &[u8] = b"\\X22\\\"";

/// A message with its header, and room for one text that is long. Whether MSH-18 has to name a
/// character set is seen when all of it is written; then it is written once more.
pub(crate) fn message(
    header: &Header<'_>,
    kind: (&str, &str),
    text_bytes: usize,
    body: impl Fn(&mut MessageWriter) -> Result<(), WriteError>,
) -> Result<Vec<u8>, WriteError> {
    let write = |charset: &str| {
        let mut writer = MessageWriter::with_capacity(Separators::DEFAULT, 640 + text_bytes);
        let mut msh = writer.segment(SegmentId::MSH);
        for (location, value) in [
            (loc!("MSH-3"), header.sending_application),
            (loc!("MSH-4"), header.sending_facility),
            (loc!("MSH-5"), header.receiving_application),
            (loc!("MSH-6"), header.receiving_facility),
            (loc!("MSH-7"), header.time),
            (loc!("MSH-9.1"), kind.0),
            (loc!("MSH-9.2"), kind.1),
            (loc!("MSH-10"), header.control_id),
            (loc!("MSH-11"), "P"),
            (loc!("MSH-12"), "2.3"),
            (loc!("MSH-18"), charset),
        ] {
            put(&mut msh, location, Given::some(value))?;
        }
        body(&mut writer)?;
        Ok(writer.finish())
    };
    let bytes = write("")?;
    if bytes.is_ascii() {
        return Ok(bytes);
    }
    write("UNICODE UTF-8")
}

fn event(writer: &mut MessageWriter, code: &str, time: &str) -> Result<(), WriteError> {
    let mut evn = writer.segment(SegmentId::EVN);
    put(&mut evn, loc!("EVN-1"), Given::some(code))?;
    put(&mut evn, loc!("EVN-2"), Given::some(time))
}

/// PID and OBR always; PV1, ORC and ZDS where they say anything.
fn order_segments(
    writer: &mut MessageWriter,
    visit: &Visit<'_>,
    known: &Known<'_>,
) -> Result<(), WriteError> {
    let one = Given::Text("1");
    PID.write(writer, &[(loc!("PID-1"), one)], known)?;
    if !visit.patient_class.is_nothing() || PV1.says_anything(known) {
        let leading = [(loc!("PV1-1"), one), (loc!("PV1-2"), visit.patient_class)];
        PV1.write(writer, &leading, known)?;
    }
    if !visit.control.is_nothing() || ORC.says_anything(known) {
        ORC.write(writer, &[(loc!("ORC-1"), visit.control)], known)?;
    }
    OBR.write(writer, &[(loc!("OBR-1"), one)], known)?;
    if ZDS.says_anything(known) {
        ZDS.write(writer, &[], known)?;
    }
    Ok(())
}

/// The rows of the mapping that stand in one segment, in the order of their places: found when
/// the program is compiled.
struct SegmentRows {
    id: SegmentId,
    rows: [usize; Attribute::COUNT],
    count: usize,
}

const PID: SegmentRows = SegmentRows::of(SegmentId::PID);
const PV1: SegmentRows = SegmentRows::of(SegmentId::PV1);
const ORC: SegmentRows = SegmentRows::of(SegmentId::ORC);
const OBR: SegmentRows = SegmentRows::of(SegmentId::OBR);
const ZDS: SegmentRows = SegmentRows::of(SegmentId::ZDS);

impl SegmentRows {
    #[expect(
        clippy::indexing_slicing,
        reason = "called in constants alone, where an index out of bounds stops the build"
    )]
    const fn of(id: SegmentId) -> Self {
        let mut rows = [0; Attribute::COUNT];
        let mut count = 0;
        let mut row = 0;
        while row < ROWS.len() {
            if let Some(this) = place(row, id) {
                let mut at = count;
                // Insertion: a constant cannot call `sort`.
                while at > 0
                    && let Some(before) = place(rows[at - 1], id)
                    && this < before
                {
                    rows[at] = rows[at - 1];
                    at -= 1;
                }
                rows[at] = row;
                count += 1;
            }
            row += 1;
        }
        Self { id, rows, count }
    }

    /// Writes the segment: its leading fields and then the attributes that stand in it.
    fn write(
        &self,
        writer: &mut MessageWriter,
        leading: &[(Location, Given<'_>)],
        known: &Known<'_>,
    ) -> Result<(), WriteError> {
        let mut segment = writer.segment(self.id);
        for &(location, value) in leading {
            put(&mut segment, location, value)?;
        }
        for row in self.rows() {
            match value(known, row.attribute) {
                // XPN is kept as it is written; control characters cannot be in it.
                Given::Text(text) if row.kind == Kind::Name => {
                    let first = row.location().component_number().unwrap_or(1);
                    for (component, part) in (first..).zip(text.split('^')) {
                        segment.put_raw(row.location().component(component), part.as_bytes())?;
                    }
                }
                given => put(&mut segment, row.location(), given)?,
            }
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let rows = self.rows.get(..self.count).unwrap_or_default();
        rows.iter().filter_map(|&row| ROWS.get(row))
    }

    fn says_anything(&self, known: &Known<'_>) -> bool {
        self.rows()
            .any(|row| !value(known, row.attribute).is_nothing())
    }
}

/// Field and component of a row as one number, where it stands in this segment.
#[expect(
    clippy::indexing_slicing,
    reason = "called in constants alone, where an index out of bounds stops the build"
)]
const fn place(row: usize, id: SegmentId) -> Option<u32> {
    let location = ROWS[row].statement[0];
    let here = location.segment_id();
    let (here, there) = (here.as_bytes(), id.as_bytes());
    if here[0] != there[0] || here[1] != there[1] || here[2] != there[2] {
        return None;
    }
    match (location.field_number(), location.component_number()) {
        (Some(field), Some(component)) => Some((field as u32) << 16 | component as u32),
        _ => panic!("a row names a component"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_in_its_segment() {
        let segments = [PID, PV1, ORC, OBR, ZDS];
        let mut rows: Vec<usize> = segments
            .iter()
            .flat_map(|segment| segment.rows[..segment.count].to_vec())
            .collect();
        for segment in &segments {
            let rows = &segment.rows[..segment.count];
            let places = rows.iter().map(|&row| ROWS[row].location());
            assert!(
                places.clone().is_sorted()
                    && places.clone().all(|at| at.segment_id() == segment.id)
            );
        }
        rows.sort_unstable();
        assert!(rows.into_iter().eq(0..Attribute::COUNT));
    }

    #[test]
    fn a_letter_beyond_ascii_names_the_character_set() {
        let mut attributes = Attributes::default();
        attributes.set(Attribute::PatientName, "MÜLLER^ZOË");
        attributes.set(Attribute::PatientId, "7");
        let envelope = Envelope {
            sending_application: "A",
            sending_facility: "B",
            receiving_application: "C",
            receiving_facility: "D",
            time: "20260105070000".parse().unwrap(),
            control_id: "M1",
        };
        let bytes = patient_merge(&envelope, &attributes, &PatientId::try_from("8").unwrap());
        assert_eq!(
            String::from_utf8(bytes.unwrap())
                .unwrap()
                .replace('\r', "\n"),
            "MSH|^~\\&|A|B|C|D|20260105070000||ADT^A40|M1|P|2.3||||||UNICODE UTF-8\n\
             EVN|A40|20260105070000\nPID|1||7||MÜLLER^ZOË\nMRG|8\n",
        );
    }
}
