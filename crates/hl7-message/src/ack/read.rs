//! [`Ack`]: an acknowledgement as it came in.

use core::fmt;

use crate::ack::AckCode;
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
