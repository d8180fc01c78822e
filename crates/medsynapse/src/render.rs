//! Orders, reports and demographics as message bytes, by the same mapping that reads them.

use hl7_message::{
    Location, MessageWriter, SegmentId, SegmentWriter, Separators, Timestamp, WriteError, escape,
    loc,
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
    message(header, ("ORM", "O01"), |writer| {
        order_segments(writer, details, known)
    })
}

/// As [`report`], from borrowed values.
pub(crate) fn report_of(
    header: &Header<'_>,
    details: &OrderDetails<'_>,
    known: &Known<'_>,
    observation: &Observation<'_>,
) -> Result<Vec<u8>, WriteError> {
    let text = escaped_lines(observation.text)?;
    let step = value(known, Attribute::ScheduledProcedureStepId);
    let description = value(known, Attribute::ScheduledProcedureStepDescription);
    message(header, ("ORU", "R01"), |writer| {
        order_segments(writer, details, known)?;
        let mut obx = writer.segment(SegmentId::OBX);
        put(&mut obx, loc!("OBX-1"), "1")?;
        put(&mut obx, loc!("OBX-2"), observation.format)?;
        put(&mut obx, loc!("OBX-3.1"), step)?;
        put(&mut obx, loc!("OBX-3.2"), description)?;
        if !text.is_empty() {
            obx.put_raw(loc!("OBX-5"), text.as_bytes())?;
        }
        put(&mut obx, loc!("OBX-11"), observation.status)?;
        put(&mut obx, loc!("OBX-14"), observation.date)?;
        put(&mut obx, loc!("OBX-16.1"), observation.physician_id)?;
        put(&mut obx, loc!("OBX-16.2"), observation.physician_name)
    })
}

/// As [`patient_update`], from borrowed values.
pub(crate) fn patient_update_of(
    header: &Header<'_>,
    known: &Known<'_>,
) -> Result<Vec<u8>, WriteError> {
    message(header, ("ADT", "A08"), |writer| {
        event(writer, "A08", header.time)?;
        PID.write(writer, &[(loc!("PID-1"), "1")], known)
    })
}

/// As [`patient_merge`], from borrowed values.
pub(crate) fn patient_merge_of(
    header: &Header<'_>,
    known: &Known<'_>,
    from: &str,
) -> Result<Vec<u8>, WriteError> {
    message(header, ("ADT", "A40"), |writer| {
        event(writer, "A40", header.time)?;
        PID.write(writer, &[(loc!("PID-1"), "1")], known)?;
        put(&mut writer.segment(SegmentId::MRG), loc!("MRG-1"), from)
    })
}

fn value<'a>(known: &Known<'a>, attribute: Attribute) -> &'a str {
    known
        .get(attribute as usize)
        .copied()
        .flatten()
        .unwrap_or_default()
}

/// Writes a value where there is one.
fn put(writer: &mut SegmentWriter<'_>, location: Location, value: &str) -> Result<(), WriteError> {
    if !value.is_empty() {
        writer.put(location, value)?;
    }
    Ok(())
}

/// A message with its header. Whether MSH-18 has to name a character set is seen when all of it
/// is written; then it is written once more.
fn message(
    header: &Header<'_>,
    kind: (&str, &str),
    body: impl Fn(&mut MessageWriter) -> Result<(), WriteError>,
) -> Result<Vec<u8>, WriteError> {
    let write = |charset: &str| {
        let mut writer = MessageWriter::new(Separators::DEFAULT);
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
            put(&mut msh, location, value)?;
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
    put(&mut evn, loc!("EVN-1"), code)?;
    put(&mut evn, loc!("EVN-2"), time)
}

fn order_segments(
    writer: &mut MessageWriter,
    details: &OrderDetails<'_>,
    known: &Known<'_>,
) -> Result<(), WriteError> {
    let visit = [(loc!("PV1-1"), "1"), (loc!("PV1-2"), details.patient_class)];
    PID.write(writer, &[(loc!("PID-1"), "1")], known)?;
    PV1.write(writer, &visit, known)?;
    ORC.write(writer, &[(loc!("ORC-1"), details.control)], known)?;
    OBR.write(writer, &[(loc!("OBR-1"), "1")], known)?;
    if known
        .get(Attribute::StudyInstanceUid as usize)
        .is_some_and(Option::is_some)
    {
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
        leading: &[(Location, &str)],
        known: &Known<'_>,
    ) -> Result<(), WriteError> {
        let mut segment = writer.segment(self.id);
        for &(location, value) in leading {
            put(&mut segment, location, value)?;
        }
        let rows = self.rows.get(..self.count).unwrap_or_default();
        for row in rows.iter().filter_map(|&row| ROWS.get(row)) {
            let text = value(known, row.attribute);
            if row.kind != Kind::Name {
                put(&mut segment, row.location(), text)?;
            } else if !text.is_empty() {
                // XPN is kept as it is written; control characters cannot be in it.
                segment.put_raw(row.location(), text.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Field and component of a row as one number, where it stands in this segment.
#[expect(
    clippy::indexing_slicing,
    reason = "called in constants alone, where an index out of bounds stops the build"
)]
const fn place(row: usize, id: SegmentId) -> Option<u32> {
    let location = ROWS[row].sources[0];
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
