//! Acknowledgements: read one ([`Ack`]), write one ([`Reply`]).

use core::fmt;
use core::str::FromStr;

use crate::header::Header;
use crate::location::Location;
use crate::message::Message;
use crate::segment::SegmentId;
use crate::separators::Separators;
use crate::timestamp::Timestamp;
use crate::write::{MessageWriter, WriteError};
use crate::{escape, loc};

/// MSA-1, table 0008: the answer to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// AA: processed and accepted.
    ApplicationAccept,
    /// AE: an error in processing.
    ApplicationError,
    /// AR: rejected.
    ApplicationReject,
    /// CA: taken into safe storage, enhanced mode.
    CommitAccept,
    /// CE: cannot be stored, enhanced mode.
    CommitError,
    /// CR: type, version or processing id not acceptable, enhanced mode.
    CommitReject,
}

impl AckCode {
    /// The two letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApplicationAccept => "AA",
            Self::ApplicationError => "AE",
            Self::ApplicationReject => "AR",
            Self::CommitAccept => "CA",
            Self::CommitError => "CE",
            Self::CommitReject => "CR",
        }
    }

    /// Whether the message was accepted: AA or CA.
    pub const fn is_accept(self) -> bool {
        matches!(self, Self::ApplicationAccept | Self::CommitAccept)
    }
}

impl fmt::Display for AckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AckCode {
    type Err = UnknownAckCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "AA" => Self::ApplicationAccept,
            "AE" => Self::ApplicationError,
            "AR" => Self::ApplicationReject,
            "CA" => Self::CommitAccept,
            "CE" => Self::CommitError,
            "CR" => Self::CommitReject,
            _ => return Err(UnknownAckCode),
        })
    }
}

/// Text that is no code of table 0008.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAckCode;

impl fmt::Display for UnknownAckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an acknowledgement code: AA, AE, AR, CA, CE or CR")
    }
}

impl core::error::Error for UnknownAckCode {}

/// Table 0357, message error condition codes; HL7 2.3 leaves the table local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCondition {
    /// 100: segments missing, repeated or out of order.
    SegmentSequence,
    /// 101: a required field is missing.
    RequiredFieldMissing,
    /// 102: the value has another data type.
    DataType,
    /// 103: the value is not in its table.
    TableValueNotFound,
    /// 200: message type not supported.
    UnsupportedMessageType,
    /// 201: trigger event not supported.
    UnsupportedEvent,
    /// 202: processing id not supported.
    UnsupportedProcessingId,
    /// 203: version not supported.
    UnsupportedVersion,
    /// 204: no such key, for instance an order that is not known.
    UnknownKey,
    /// 205: the key exists already.
    DuplicateKey,
    /// 206: the record is locked.
    RecordLocked,
    /// 207: an error inside the application.
    InternalError,
}

impl ErrorCondition {
    /// The number in table 0357.
    pub const fn code(self) -> u16 {
        match self {
            Self::SegmentSequence => 100,
            Self::RequiredFieldMissing => 101,
            Self::DataType => 102,
            Self::TableValueNotFound => 103,
            Self::UnsupportedMessageType => 200,
            Self::UnsupportedEvent => 201,
            Self::UnsupportedProcessingId => 202,
            Self::UnsupportedVersion => 203,
            Self::UnknownKey => 204,
            Self::DuplicateKey => 205,
            Self::RecordLocked => 206,
            Self::InternalError => 207,
        }
    }

    /// What the number means, in a few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SegmentSequence => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEvent => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersion => "Unsupported version id",
            Self::UnknownKey => "Unknown key identifier",
            Self::DuplicateKey => "Duplicate key identifier",
            Self::RecordLocked => "Application record locked",
            Self::InternalError => "Application internal error",
        }
    }
}

/// An acknowledgement as it came in.
///
/// ```
/// use hl7_message::{Ack, AckCode, Message};
///
/// let bytes = b"MSH|^~\\&|PACS|R|RIS|H|||ACK^O01|1|P|2.3\rMSA|AA|MSG1|Order registered.\r";
/// let message = Message::parse(bytes)?;
/// let ack = Ack::parse(&message).unwrap();
/// assert_eq!(ack.code, AckCode::ApplicationAccept);
/// assert_eq!(ack.control_id, b"MSG1");
/// assert_eq!(ack.text, b"Order registered.");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack<'a> {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2, the Message Control ID of the message that is answered, raw bytes of the field.
    pub control_id: &'a [u8],
    /// MSA-3, raw bytes of the field.
    pub text: &'a [u8],
}

impl<'a> Ack<'a> {
    /// Reads the MSA segment of a message.
    ///
    /// # Errors
    ///
    /// No MSA, or an MSA-1 that is no code of table 0008.
    pub fn parse(message: &Message<'a>) -> Result<Self, InvalidAck> {
        let msa = message.segment(SegmentId::MSA).ok_or(InvalidAck::NoMsa)?;
        let raw = |number| msa.field(number).map_or(&[][..], |field| field.as_bytes());
        let code = core::str::from_utf8(raw(1))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or(InvalidAck::UnknownCode)?;
        Ok(Self {
            code,
            control_id: raw(2),
            text: raw(3),
        })
    }
}

/// A message that does not acknowledge anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidAck {
    /// There is no MSA segment.
    NoMsa,
    /// MSA-1 is no code of table 0008.
    UnknownCode,
}

impl fmt::Display for InvalidAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMsa => "the answer has no MSA segment",
            Self::UnknownCode => "MSA-1 is none of AA, AE, AR, CA, CE, CR",
        })
    }
}

impl core::error::Error for InvalidAck {}

/// Who answers, and the fixed parts of the answer.
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
            padded: from.padded,
        }
    }

    /// An answer to bytes that have no header to read: nobody to address, no MSA-2.
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
mod tests {
    use super::*;

    fn responder() -> Responder {
        Responder {
            application: "PACS_APP".into(),
            facility: "PACS_FACILITY".into(),
            version: "2.3".into(),
            sequence_number: "1".into(),
            country_code: "91".into(),
            padded: false,
        }
    }

    #[track_caller]
    fn reply(inbound: &[u8], code: AckCode, text: &str) -> String {
        let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
        let reply = match Header::salvage(inbound) {
            Some(header) => Reply::to(&header, &responder(), "9", &now),
            None => Reply::to_nobody(&responder(), "9", &now),
        };
        let bytes = reply.write(code, text, &[]);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.segment_count(), 2);
        Ack::parse(&message).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_control_id_is_copied_to_the_byte() {
        let answer = reply(
            b"MSH|^~\\&|A\\T\\B^1|F|||||ORM^O01| M\\S\\1 and longer than twenty |T|2.3\r",
            AckCode::ApplicationReject,
            "x",
        );
        assert!(answer.contains("|A\\T\\B^1|F|"), "{answer}");
        assert!(
            answer.contains("MSA|AR| M\\S\\1 and longer than twenty |x\r"),
            "{answer}"
        );
        assert!(answer.contains("|ACK^O01|9|T|2.3|"), "{answer}");
    }

    #[test]
    fn other_delimiters_are_kept() {
        let answer = reply(
            b"MSH@~&#\\@A@F@@@@@ORM~O01@7@P@2.3\r",
            AckCode::ApplicationAccept,
            "a@b",
        );
        assert!(answer.starts_with("MSH@~&#\\@PACS_APP@"), "{answer}");
        assert!(answer.ends_with("MSA@AA@7@a#F#b\r"), "{answer}");
    }

    #[test]
    fn broken_delimiters_are_answered_under_the_usual_ones() {
        let answer = reply(
            b"MSH|^^^^|A&B|F|||||ORM^O01|7|P|2.3\r",
            AckCode::ApplicationReject,
            "x",
        );
        assert!(
            answer.starts_with("MSH|^~\\&|PACS_APP|PACS_FACILITY|A\\T\\B|F|"),
            "{answer}"
        );
        let answer = reply(b"hello", AckCode::ApplicationReject, "x");
        assert!(answer.contains("||ACK|9|P|2.3|"), "{answer}");
        assert!(answer.ends_with("MSA|AR||x\r"), "{answer}");
    }

    #[test]
    fn the_text_keeps_to_its_length() {
        let answer = reply(b"MSH|^~\\&|", AckCode::ApplicationReject, &"é|".repeat(60));
        let msa3 = answer.rsplit('|').next().unwrap().trim_end();
        assert!(msa3.len() <= 80 && msa3.starts_with(r"?\F\?\F\"), "{msa3}");
    }

    #[test]
    fn errors_are_written_as_version_2_3_has_them() {
        let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
        let reply = Reply::to_nobody(&responder(), "9", &now);
        let errors = [
            (loc!("PID-3"), ErrorCondition::RequiredFieldMissing),
            (loc!("OBX[2]"), ErrorCondition::SegmentSequence),
        ];
        let bytes = reply.write(AckCode::ApplicationError, "x", &errors);
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.ends_with(
                "ERR|PID^1^3^101&Required field missing&HL70357~\
             OBX^2^^100&Segment sequence error&HL70357\r"
            ),
            "{text}"
        );
    }
}
