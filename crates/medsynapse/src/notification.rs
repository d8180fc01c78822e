//! [`Notification`]: the ORU^R01 by which the RIS hears of a study.

use hl7_message::{Charset, SegmentId, Separators, Timestamp, escape};

use crate::report::{ReportFormat, StudyStatus};
use crate::segments::Segments;

/// What the RIS is told: the order's own PID, PV1, ORC and OBR and one OBX.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
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
    /// PID, PV1, ORC and OBR, as they are to be sent.
    pub segments: &'a Segments,
    /// What the segments are written in where they do not say.
    pub default_charset: Charset,
    /// OBX-3.1
    pub study_id: &'a str,
    /// OBX-3.2
    pub study_description: &'a str,
    /// OBX-11
    pub status: StudyStatus,
    /// OBX-2
    pub format: ReportFormat,
    /// OBX-5, every line end an LF; `None` leaves the field out.
    pub text: Option<&'a str>,
    /// OBX-14, empty to leave it out.
    pub date: &'a str,
    /// OBX-16.1, empty to leave it out.
    pub physician_id: &'a str,
    /// OBX-16.2, empty to leave it out.
    pub physician_name: &'a str,
}

/// The segments of the order are not what they say they are, or their delimiters cannot carry
/// the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the segments of the order cannot carry the text of the message")]
pub struct Unwritable;

/// Writes it, in the delimiters and the character set of the order. Where that character set
/// lacks a letter of the report, all of the message is in UTF-8, and says so.
///
/// # Errors
///
/// The segments of the order are not what they say they are, or their delimiters cannot carry
/// the text.
///
/// ```
/// use hl7_message::Charset;
/// use medsynapse::{Notification, ReportFormat, Segments, StudyStatus, notification};
///
/// let segments = Segments {
///     delimiters: b"|^~\\&".to_vec(),
///     charset: Vec::new(),
///     bytes: b"PID|1||PAT789||SMITH^JOHN\rORC|NW\rOBR|1|ACC1\rZDS|1.2.3\r".to_vec(),
/// };
/// let read = Notification {
///     sending_application: "PACS_APP",
///     sending_facility: "PACS_FACILITY",
///     receiving_application: "RIS",
///     receiving_facility: "HOSPITAL",
///     time: "20230614131415".parse().unwrap(),
///     control_id: "M1",
///     segments: &segments,
///     default_charset: Charset::UTF_8,
///     study_id: "CT123",
///     study_description: "CT CHEST",
///     status: StudyStatus::Read,
///     format: ReportFormat::Text,
///     text: None,
///     date: "",
///     physician_id: "",
///     physician_name: "",
/// };
/// let bytes = notification(&read)?;
/// assert_eq!(
///     String::from_utf8(bytes).unwrap().replace('\r', "\n"),
///     "MSH|^~\\&|PACS_APP|PACS_FACILITY|RIS|HOSPITAL|20230614131415||ORU^R01|M1|P|2.3\n\
///      PID|1||PAT789||SMITH^JOHN\nORC|NW\nOBR|1|ACC1\n\
///      OBX|1|TX|CT123^CT CHEST||||||||R\n",
/// );
/// # Ok::<(), medsynapse::Unwritable>(())
/// ```
pub fn notification(of: &Notification<'_>) -> Result<Vec<u8>, Unwritable> {
    let charset = of.segments.charset(of.default_charset);
    let ascii = of.texts().iter().all(|text| text.is_ascii());
    let fits =
        charset.is_ascii_superset() && of.texts().iter().all(|text| charset.encode(text).is_ok());
    if ascii || fits {
        return write(of, of.segments, charset);
    }
    let segments = of.segments.in_utf8(of.default_charset).ok_or(Unwritable)?;
    write(of, &segments, Charset::UTF_8)
}

impl Notification<'_> {
    fn texts(&self) -> [&str; 10] {
        [
            self.sending_application,
            self.sending_facility,
            self.receiving_application,
            self.receiving_facility,
            self.study_id,
            self.study_description,
            self.text.unwrap_or_default(),
            self.date,
            self.physician_id,
            self.physician_name,
        ]
    }
}

fn write(
    of: &Notification<'_>,
    segments: &Segments,
    charset: Charset,
) -> Result<Vec<u8>, Unwritable> {
    let separators = separators(segments).ok_or(Unwritable)?;
    let leaf = |text: &str| -> Result<Vec<u8>, Unwritable> {
        let bytes = charset.encode(text).map_err(|_| Unwritable)?;
        let escaped = escape::escape(&bytes, &separators).map_err(|_| Unwritable)?;
        Ok(escaped.into_owned())
    };
    let pair = |one: &str, other: &str| -> Result<Vec<u8>, Unwritable> {
        let mut field = leaf(one)?;
        if !other.is_empty() {
            field.push(separators.component());
            field.extend(leaf(other)?);
        }
        Ok(field)
    };
    let text = of.text.map(line_ends).unwrap_or_default();
    let obx = [
        b"OBX".to_vec(),
        b"1".to_vec(),
        leaf(of.format.as_str())?,
        pair(of.study_id, of.study_description)?,
        Vec::new(),
        leaf(&text)?,
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        leaf(of.status.code())?,
        Vec::new(),
        Vec::new(),
        leaf(of.date)?,
        Vec::new(),
        pair(of.physician_id, of.physician_name)?,
    ];
    let mut body = own_segments(segments);
    put_fields(&mut body, &obx, separators.field());

    let charset_name = if !segments.charset.is_empty() {
        segments.charset.clone()
    } else if body.is_ascii() {
        Vec::new()
    } else {
        charset.name().into()
    };
    let mut msh = vec![
        [
            b"MSH".as_slice(),
            &[separators.field()],
            &separators.encoding_characters(),
        ]
        .concat(),
        leaf(of.sending_application)?,
        leaf(of.sending_facility)?,
        leaf(of.receiving_application)?,
        leaf(of.receiving_facility)?,
        leaf(&of.time.to_string())?,
        Vec::new(),
        pair("ORU", "R01")?,
        leaf(of.control_id)?,
        b"P".to_vec(),
        b"2.3".to_vec(),
    ];
    if !charset_name.is_empty() {
        msh.resize(16, Vec::new());
        msh.push(charset_name);
    }
    let mut out = Vec::with_capacity(body.len() + 160);
    put_fields(&mut out, &msh, separators.field());
    out.extend(body);
    Ok(out)
}

/// The delimiters of the order. Where it declares no escape character, the rest of the usual
/// ones, if the order does not use them as letters.
fn separators(segments: &Segments) -> Option<Separators> {
    let own = segments.separators()?;
    if own.escape().is_some() {
        return Some(own);
    }
    let encoding = [own.component(), own.repetition(), b'\\', b'&'];
    let used = segments
        .bytes
        .iter()
        .any(|byte| matches!(byte, b'\\' | b'&'));
    if used {
        return Some(own);
    }
    Separators::parse(&[own.field()], &encoding)
        .ok()
        .or(Some(own))
}

/// PID, PV1, ORC and OBR, each ended with CR: ZDS stays here.
fn own_segments(segments: &Segments) -> Vec<u8> {
    segments
        .bytes
        .split_inclusive(|&byte| byte == b'\r')
        .filter(|segment| !segment.starts_with(SegmentId::ZDS.as_bytes()))
        .flatten()
        .copied()
        .collect()
}

/// A segment without empty fields at its end.
fn put_fields(out: &mut Vec<u8>, fields: &[Vec<u8>], separator: u8) {
    let filled = fields
        .iter()
        .rposition(|field| !field.is_empty())
        .map_or(0, |last| last + 1);
    for (n, field) in fields.iter().take(filled).enumerate() {
        if n > 0 {
            out.push(separator);
        }
        out.extend_from_slice(field);
    }
    out.push(b'\r');
}

/// Every line end as CR LF, which is escaped as the conformance statement has it.
fn line_ends(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(delimiters: &str, charset: &str, bytes: &[u8]) -> Segments {
        Segments {
            delimiters: delimiters.into(),
            charset: charset.into(),
            bytes: bytes.to_vec(),
        }
    }

    fn told<'a>(segments: &'a Segments, text: Option<&'a str>) -> Notification<'a> {
        Notification {
            sending_application: "A",
            sending_facility: "B",
            receiving_application: "C",
            receiving_facility: "D",
            time: "20260105070000".parse().unwrap(),
            control_id: "M1",
            segments,
            default_charset: Charset::UTF_8,
            study_id: "S",
            study_description: "",
            status: StudyStatus::Final,
            format: ReportFormat::Text,
            text,
            date: "20260105",
            physician_id: "7",
            physician_name: "DOE",
        }
    }

    #[track_caller]
    fn check(segments: &Segments, text: &str, expected: &[u8]) {
        let bytes = notification(&told(segments, Some(text))).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes).replace('\r', "\n"),
            String::from_utf8_lossy(expected).replace('\r', "\n")
        );
        assert_eq!(bytes, expected);
    }

    #[test]
    fn text_is_escaped_with_its_line_ends() {
        let order = segments("|^~\\&", "", b"PID|1\rOBR|1|A\r");
        check(
            &order,
            "a|b^c&d~e\\f\ng\rh\r\ni",
            b"MSH|^~\\&|A|B|C|D|20260105070000||ORU^R01|M1|P|2.3\rPID|1\rOBR|1|A\r\
              OBX|1|TX|S||a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X0D\\\\X0A\\g\\X0D\\\\X0A\\h\\X0D\\\\X0A\\i\
              ||||||F|||20260105||7^DOE\r",
        );
    }

    #[test]
    fn the_delimiters_and_the_character_set_are_those_of_the_order() {
        let order = segments("#*~\\&", "8859/1", b"PID#1##M\xFC#x|y\r");
        check(
            &order,
            "é#|",
            b"MSH#*~\\&#A#B#C#D#20260105070000##ORU*R01#M1#P#2.3######8859/1\rPID#1##M\xFC#x|y\r\
              OBX#1#TX#S##\xE9\\F\\|######F###20260105##7*DOE\r",
        );
    }

    #[test]
    fn a_letter_that_the_character_set_lacks_takes_all_to_utf_8() {
        let order = segments("|^~\\&", "8859/1", b"PID|1||M\xFC\r");
        let expected = "MSH|^~\\&|A|B|C|D|20260105070000||ORU^R01|M1|P|2.3||||||UNICODE UTF-8\r\
             PID|1||Mü\rOBX|1|TX|S||Łódź||||||F|||20260105||7^DOE\r";
        check(&order, "Łódź", expected.as_bytes());
        let plain = segments("|^~\\&", "", b"PID|1\r");
        let expected = "MSH|^~\\&|A|B|C|D|20260105070000||ORU^R01|M1|P|2.3||||||UNICODE UTF-8\r\
             PID|1\rOBX|1|TX|S||é||||||F|||20260105||7^DOE\r";
        check(&plain, "é", expected.as_bytes());
    }

    #[test]
    fn an_order_without_an_escape_character_gets_one_if_it_can() {
        let order = segments("|^~", "", b"PID|1\r");
        check(
            &order,
            "a|b",
            b"MSH|^~\\&|A|B|C|D|20260105070000||ORU^R01|M1|P|2.3\rPID|1\r\
              OBX|1|TX|S||a\\F\\b||||||F|||20260105||7^DOE\r",
        );
        let uses = segments("|^~", "", b"PID|\\\r");
        assert_eq!(notification(&told(&uses, Some("a|b"))), Err(Unwritable));
    }
}
