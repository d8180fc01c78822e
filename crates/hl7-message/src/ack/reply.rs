//! [`Reply`]: the answer to one message.

use crate::ack::sequence::Number;
use crate::ack::{AckCode, AckWhen, ErrorCondition};
use crate::header::Header;
use crate::location::Location;
use crate::segment::SegmentId;
use crate::separators::Separators;
use crate::timestamp::Timestamp;
use crate::write::{MessageWriter, WriteError};
use crate::{escape, loc};

/// Who answers, and the fixed parts of the answer.
///
/// ```
/// use hl7_message::Responder;
///
/// let responder = Responder {
///     application: "PACS_APP".into(),
///     facility: "PACS_FACILITY".into(),
///     version: "2.3".into(),
///     sequence_number: String::new(),
///     country_code: String::new(),
///     padded: false,
/// };
/// assert_eq!(responder.version, "2.3");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// MSH-3 of the answer.
    pub application: String,
    /// MSH-4 of the answer.
    pub facility: String,
    /// MSH-12 of the answer.
    pub version: String,
    /// MSH-13 of the answer; empty leaves it out.
    pub sequence_number: String,
    /// MSH-17 of the answer; empty leaves it out.
    pub country_code: String,
    /// Write MSH to field 20 and MSA to field 6, empty ones too.
    pub padded: bool,
}

/// The answer to one message, complete but for code and text.
///
/// Everything that is copied from the message is copied as raw bytes: MSA-2 is
/// MSH-10 to the byte, under the same delimiters.
///
/// ```
/// use hl7_message::{AckCode, Message, Reply, Responder, Timestamp};
///
/// let responder = Responder {
///     application: "PACS_APP".into(),
///     facility: "PACS_FACILITY".into(),
///     version: "2.3".into(),
///     sequence_number: "1".into(),
///     country_code: "91".into(),
///     padded: true,
/// };
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3\r";
/// let message = Message::parse(bytes)?;
/// let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
/// let reply = Reply::to(&message.header(), &responder, "ACK1", &now);
/// assert_eq!(
///     reply.write(AckCode::ApplicationAccept, "Order registered.", &[]),
///     b"MSH|^~\\&|PACS_APP|PACS_FACILITY|RIS|H|20230614131416||ACK^O01|ACK1|P|2.3|1||||91|||\r\
///       MSA|AA|MSG1|Order registered.|||\r",
/// );
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    separators: Separators,
    /// MSH, without its terminator.
    header: Vec<u8>,
    control_id: Vec<u8>,
    /// MSA-4.
    expected: Option<Number>,
    padded: bool,
}

/// Longest MSA-3 in characters, HL7 2.3 chapter 2, section 2.24.1.3.
pub const ACK_TEXT_MAX: usize = 80;

impl Reply {
    /// An answer to the message with this header.
    ///
    /// `control_id` is the answer's own MSH-10, `now` its MSH-7.
    pub fn to(header: &Header<'_>, from: &Responder, control_id: &str, now: &Timestamp) -> Self {
        let full = Separators::parse(
            &[header.segment().separators().field],
            header
                .segment()
                .field(2)
                .map_or(&[], |field| field.as_bytes()),
        );
        // Under broken delimiters the answer uses the usual ones, and what it copies is escaped.
        let (separators, raw) = match full {
            Ok(separators) => (separators, true),
            Err(_) => (Separators::DEFAULT, false),
        };
        let copy = |bytes: &[u8]| copied(bytes, raw, separators);
        let processing_id = match header.processing_id().first().as_bytes() {
            known @ (b"P" | b"T" | b"D") => known,
            _ => b"P",
        };
        let mut message_type = b"ACK".to_vec();
        let event = copy(header.trigger_event());
        if !event.is_empty() {
            message_type.push(separators.component);
            message_type.extend_from_slice(&event);
        }
        let own = |text: &str| escaped(text.as_bytes(), separators);
        let fields: [(Location, Vec<u8>); 11] = [
            (loc!("MSH-3"), own(&from.application)),
            (loc!("MSH-4"), own(&from.facility)),
            (loc!("MSH-5"), copy(header.sending_application().as_bytes())),
            (loc!("MSH-6"), copy(header.sending_facility().as_bytes())),
            (loc!("MSH-7"), now.to_string().into_bytes()),
            (loc!("MSH-9"), message_type),
            (loc!("MSH-10"), own(control_id)),
            (loc!("MSH-11"), processing_id.to_vec()),
            (loc!("MSH-12"), own(&from.version)),
            (loc!("MSH-13"), own(&from.sequence_number)),
            (loc!("MSH-17"), own(&from.country_code)),
        ];
        let control_id = copy(header.control_id().as_bytes());
        let header = msh(separators, &fields, from.padded);
        Self {
            separators,
            header,
            control_id,
            expected: None,
            padded: from.padded,
        }
    }

    /// The same answer with the number for MSA-4, where the
    /// [sequence number protocol](crate::sequence) is spoken.
    #[must_use]
    pub fn expecting(self, number: Number) -> Self {
        Self {
            expected: Some(number),
            ..self
        }
    }

    /// The same answer asking for a commit answer of its own: an application's answer in
    /// enhanced mode may, though never for an application's answer (MSH-16 is NE).
    ///
    /// ```
    /// use hl7_message::{AckCode, AckWhen, Message, Reply, Responder, Timestamp};
    ///
    /// # let responder = Responder {
    /// #     application: "PACS".into(),
    /// #     facility: "R".into(),
    /// #     version: "2.3".into(),
    /// #     sequence_number: String::new(),
    /// #     country_code: String::new(),
    /// #     padded: false,
    /// # };
    /// # let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
    /// let order = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3|||AL|AL\r")?;
    /// let reply = Reply::to(&order.header(), &responder, "2", &now).asking(AckWhen::Always);
    /// let answer = reply.write(AckCode::ApplicationAccept, "", &[]);
    /// assert!(answer.starts_with(b"MSH|^~\\&|PACS|R|RIS|H|20230614131416||ACK^O01|2|P|2.3|||AL|NE\r"));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    #[must_use]
    pub fn asking(self, accept: AckWhen) -> Self {
        let field = self.separators.field;
        let mut fields: Vec<&[u8]> = self.header.split(|byte| *byte == field).collect();
        // MSH-1 is the separator, so the piece behind it is MSH-2 and MSH-15 has index 14.
        if fields.len() < 16 {
            fields.resize(16, &[]);
        }
        for (at, value) in [(14, accept), (15, AckWhen::Never)] {
            if let Some(field) = fields.get_mut(at) {
                *field = value.as_str().as_bytes();
            }
        }
        Self {
            header: fields.join(&field),
            ..self
        }
    }

    /// An answer to bytes that have no header to read: nobody to address, no MSA-2.
    ///
    /// ```
    /// use hl7_message::{AckCode, Reply, Responder, Timestamp};
    ///
    /// let responder = Responder {
    ///     application: "PACS_APP".into(),
    ///     facility: "PACS_FACILITY".into(),
    ///     version: "2.3".into(),
    ///     sequence_number: String::new(),
    ///     country_code: String::new(),
    ///     padded: false,
    /// };
    /// let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
    /// let reply = Reply::to_nobody(&responder, "ACK1", &now);
    /// let bytes = reply.write(AckCode::ApplicationReject, "not HL7", &[]);
    /// assert!(bytes.ends_with(b"MSA|AR||not HL7\r"));
    /// ```
    pub fn to_nobody(from: &Responder, control_id: &str, now: &Timestamp) -> Self {
        let empty = crate::segment::Segment::new(br"MSH|^~\&", 0, Separators::DEFAULT);
        Self::to(&Header::new(empty), from, control_id, now)
    }

    /// The whole acknowledgement. `text` is cut to [`ACK_TEXT_MAX`] characters; `errors` become
    /// one ERR segment, `SEG^n^field^code&text&HL70357`, if there are any.
    pub fn write(
        &self,
        code: AckCode,
        text: &str,
        errors: &[(Location, ErrorCondition)],
    ) -> Vec<u8> {
        let mut writer = MessageWriter::new(self.separators);
        let written = self.write_to(&mut writer, code, text, errors);
        debug_assert!(
            written.is_ok(),
            "every part is escaped or checked: {written:?}"
        );
        writer.finish()
    }

    fn write_to(
        &self,
        writer: &mut MessageWriter,
        code: AckCode,
        text: &str,
        errors: &[(Location, ErrorCondition)],
    ) -> Result<(), WriteError> {
        writer.raw_segment(&self.header)?;
        let text = fitting(text, self.separators);
        let mut msa = writer.segment(SegmentId::MSA);
        msa.put(loc!("MSA-1"), code.as_str())?
            .put_raw(loc!("MSA-2"), &self.control_id)?
            .put_raw(loc!("MSA-3"), &text)?;
        if let Some(number) = self.expected {
            msa.put(loc!("MSA-4"), &number.to_string())?;
        }
        if self.padded {
            msa.pad_to(6);
        }
        if errors.is_empty() {
            return Ok(());
        }
        let mut err = writer.segment(SegmentId::ERR);
        for (n, (location, condition)) in (1..).zip(errors) {
            let at = loc!("ERR-1").repetition(n);
            let field = location
                .field_number()
                .map_or(String::new(), |f| f.to_string());
            err.put(at.component(1), location.segment_id().as_str())?
                .put(at.component(2), &location.occurrence_number().to_string())?
                .put(at.component(3), &field)?
                .put(at.component(4), &condition.code().to_string())?;
            if self.separators.subcomponent().is_some() {
                err.put(at.component(4).subcomponent(2), condition.text())?
                    .put(at.component(4).subcomponent(3), "HL70357")?;
            }
        }
        Ok(())
    }
}

/// MSH from its fields, which are written already.
fn msh(separators: Separators, fields: &[(Location, Vec<u8>)], padded: bool) -> Vec<u8> {
    let mut writer = MessageWriter::new(separators);
    let mut segment = writer.segment(SegmentId::MSH);
    for (location, bytes) in fields.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let written = segment.put_raw(*location, bytes);
        debug_assert!(
            written.is_ok(),
            "every part is escaped or a field of a segment"
        );
    }
    if padded {
        segment.pad_to(20);
    }
    let mut bytes = writer.finish();
    bytes.pop();
    bytes
}

/// A field of the message for the answer: as it is, or escaped under other delimiters.
/// Bytes that would break a frame or a line are never copied.
fn copied(bytes: &[u8], raw: bool, separators: Separators) -> Vec<u8> {
    if raw
        && !bytes
            .iter()
            .any(|byte| matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C))
    {
        bytes.to_vec()
    } else {
        escaped(bytes, separators)
    }
}

/// `bytes` escaped; where MSH-2 declares no escape character, delimiters become blanks.
fn escaped(bytes: &[u8], separators: Separators) -> Vec<u8> {
    escape::escape(bytes, &separators).map_or_else(
        |_| {
            let plain = |b: u8| {
                if separators.is_delimiter(b) || b < 0x20 {
                    b' '
                } else {
                    b
                }
            };
            bytes.iter().map(|&byte| plain(byte)).collect()
        },
        std::borrow::Cow::into_owned,
    )
}

/// As much of `text`, escaped and in ASCII, as MSA-3 holds.
fn fitting(text: &str, separators: Separators) -> Vec<u8> {
    let mut out = Vec::with_capacity(ACK_TEXT_MAX);
    for c in text.chars() {
        let byte = u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?');
        let piece = escaped(&[byte], separators);
        if out.len() + piece.len() > ACK_TEXT_MAX {
            break;
        }
        out.extend_from_slice(&piece);
    }
    out
}

#[cfg(test)]
mod tests;
