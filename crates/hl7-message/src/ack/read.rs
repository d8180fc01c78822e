//! [`Ack`]: an acknowledgement as it came in.

use core::fmt;
use std::borrow::Cow;

use crate::ack::sequence::{InvalidNumber, Number};
use crate::ack::{AckCode, ErrorCondition};
use crate::loc;
use crate::message::Message;
use crate::segment::SegmentId;

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
/// assert_eq!(&*ack.text, b"Order registered.");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack<'a> {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2, the Message Control ID of the message that is answered, raw bytes of the field.
    pub control_id: &'a [u8],
    /// MSA-3, escape sequences decoded.
    pub text: Cow<'a, [u8]>,
    /// MSA-4, the expected sequence number, raw bytes of the field.
    pub expected_sequence_number: &'a [u8],
    /// MSA-5, delayed acknowledgement type (D or F), raw bytes of the field.
    pub delayed: &'a [u8],
    /// MSA-6, the error condition, raw bytes of the field.
    pub error_condition: &'a [u8],
}

impl<'a> Ack<'a> {
    /// Reads the MSA segment of a message.
    ///
    /// ```
    /// use hl7_message::{Ack, InvalidAck, Message};
    ///
    /// let order = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3\rORC|NW\r")?;
    /// assert_eq!(Ack::parse(&order), Err(InvalidAck::NoMsa));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
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
            text: msa
                .field(3)
                .map_or(Cow::Borrowed(&[]), |field| field.unescape()),
            expected_sequence_number: raw(4),
            delayed: raw(5),
            error_condition: raw(6),
        })
    }

    /// MSA-4 as a number; `None` where it is empty.
    ///
    /// ```
    /// use hl7_message::{Ack, Message};
    ///
    /// let bytes = b"MSH|^~\\&|PACS|R|RIS|H|||ACK|1|P|2.3\rMSA|AE|MSG9|out of order|8\r";
    /// let message = Message::parse(bytes)?;
    /// let ack = Ack::parse(&message).unwrap();
    /// assert!(ack.expected().unwrap().is_some());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It is no sequence number.
    pub fn expected(&self) -> Result<Option<Number>, InvalidNumber> {
        Number::from_field(self.expected_sequence_number)
    }

    /// The conditions that the ERR segment of the answer names, as far as table 0357 has them.
    ///
    /// ```
    /// use hl7_message::{Ack, ErrorCondition, Message};
    ///
    /// let bytes = b"MSH|^~\\&|PACS|R|RIS|H|||ACK|1|P|2.3\rMSA|AR|7|later\r\
    ///               ERR|PID^1^3^206&Application record locked&HL70357\r";
    /// let message = Message::parse(bytes)?;
    /// let conditions: Vec<_> = Ack::conditions(&message).collect();
    /// assert_eq!(conditions, [ErrorCondition::RecordLocked]);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn conditions(message: &Message<'a>) -> impl Iterator<Item = ErrorCondition> + use<'a> {
        message
            .field(loc!("ERR-1"))
            .into_iter()
            .flat_map(|field| field.repetitions())
            .filter_map(|error| {
                let code = error.component(4)?.first().as_bytes();
                ErrorCondition::from_code(core::str::from_utf8(code).ok()?.trim().parse().ok()?)
            })
    }

    /// Whether the answer says that the same bytes may be accepted later, by the standard's
    /// reading: AR or CE because of a locked record (206) or an error inside the receiver (207).
    ///
    /// ```
    /// use hl7_message::{Ack, Message};
    ///
    /// let later = |bytes: &[u8]| Ack::asks_to_resend(&Message::parse(bytes).unwrap());
    /// let head = "MSH|^~\\&|PACS|R|RIS|H|||ACK|1|P|2.3\r";
    /// assert!(later(format!("{head}MSA|AR|7\rERR|^^^207\r").as_bytes()));
    /// assert!(!later(format!("{head}MSA|AR|7\rERR|^^^203\r").as_bytes()));
    /// assert!(!later(format!("{head}MSA|AE|7\rERR|^^^207\r").as_bytes()));
    /// assert!(!later(format!("{head}MSA|AR|7\r").as_bytes()));
    /// ```
    pub fn asks_to_resend(message: &Message<'a>) -> bool {
        let refused = Self::parse(message)
            .is_ok_and(|ack| matches!(ack.code, AckCode::ApplicationReject | AckCode::CommitError));
        refused
            && Self::conditions(message).any(|condition| {
                matches!(
                    condition,
                    ErrorCondition::RecordLocked | ErrorCondition::InternalError
                )
            })
    }
}

/// A message that does not acknowledge anything.
///
/// ```
/// use hl7_message::{Ack, InvalidAck, Message};
///
/// let odd = Message::parse(b"MSH|^~\\&|PACS|R|RIS|H|||ACK|1|P|2.3\rMSA|OK|MSG1\r")?;
/// assert_eq!(Ack::parse(&odd), Err(InvalidAck::UnknownCode));
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
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
