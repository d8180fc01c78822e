//! What can be wrong with a message, and where.

use core::fmt;

use crate::location::Location;

/// Why bytes are not a message, and where it shows.
///
/// The text names the place, never the value: the value may be a person.
///
/// ```
/// use hl7_message::{Message, ParseErrorKind};
///
/// let error = Message::parse(b"MSH|^^\\&|A|B\r").unwrap_err();
/// assert_eq!(error.kind, ParseErrorKind::SeparatorCollision);
/// assert_eq!(error.to_string(), "two delimiters are the same character at MSH-2 (byte 4)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The place in HL7 terms, `MSH-2`.
    pub location: Location,
    /// The place in bytes from the start of the input.
    pub offset: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at {} (byte {})",
            self.kind, self.location, self.offset
        )
    }
}

impl core::error::Error for ParseError {}

/// What is wrong with bytes that should be a message.
///
/// ```
/// use hl7_message::{Message, ParseErrorKind};
///
/// let kind = |bytes| Message::parse(bytes).unwrap_err().kind;
/// assert_eq!(kind(b""), ParseErrorKind::Empty);
/// assert_eq!(kind(b"PID|1\r"), ParseErrorKind::NoHeader);
/// assert_eq!(kind(b"\xFF\xFEM\0S\0H\0"), ParseErrorKind::WideCharacters);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// There are no bytes, or nothing but line ends.
    Empty,
    /// No MSH segment at the start.
    NoHeader,
    /// The bytes are UTF-16 or UTF-32, which HL7 v2 cannot carry.
    WideCharacters,
    /// MSH-1 is missing or not a printable punctuation character.
    FieldSeparator,
    /// MSH-2 is not two to five punctuation characters.
    EncodingCharacters,
    /// Two of the characters in MSH-1 and MSH-2 are the same.
    SeparatorCollision,
    /// The input is longer than `max` bytes.
    TooLong {
        /// The limit that is in force.
        max: usize,
    },
    /// The message has more than `max` segments.
    TooManySegments {
        /// The limit that is in force.
        max: usize,
    },
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no message: the input is empty"),
            Self::NoHeader => f.write_str("no message: the input does not start with MSH"),
            Self::WideCharacters => f.write_str(
                "UTF-16 and UTF-32 cannot carry HL7 v2; send UTF-8 or a single-byte set",
            ),
            Self::FieldSeparator => {
                f.write_str("the field separator is missing or not punctuation")
            }
            Self::EncodingCharacters => {
                f.write_str("the encoding characters are not two to five punctuation characters")
            }
            Self::SeparatorCollision => f.write_str("two delimiters are the same character"),
            Self::TooLong { max } => write!(f, "the message is longer than {max} bytes"),
            Self::TooManySegments { max } => write!(f, "the message has more than {max} segments"),
        }
    }
}

impl core::error::Error for ParseErrorKind {}
