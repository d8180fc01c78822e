//! [`Diagnostic`]: what a tolerant reading stepped over, and where.

use core::fmt;

use crate::error::ParseError;
use crate::location::Location;
#[cfg(doc)]
use crate::message::Message;
use crate::segment::SegmentId;

/// Something in the bytes of a message that the standard does not have, though it can be read.
///
/// Names the place, never the value.
///
/// ```
/// use hl7_message::{DiagnosticKind, Message, SegmentId};
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77\\Q\\\r")?;
/// let [told] = message.diagnostics()[..] else { panic!() };
/// assert_eq!((told.offset, told.kind), (22, DiagnosticKind::EscapeSequence));
/// assert_eq!((told.segment(), told.field()), (Some(SegmentId::PID), Some(3)));
/// assert_eq!(
///     told.to_string(),
///     "an escape character that starts no sequence at PID-3.1.1 (byte 22)",
/// );
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where it begins, in bytes from the start of the input.
    pub offset: usize,
    /// The place in HL7 terms, where it stands in or right behind a segment that has a name.
    pub location: Option<Location>,
    /// What it is.
    pub kind: DiagnosticKind,
}

impl Diagnostic {
    /// The segment it stands in or right behind, if that has a name.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||7\x017\r")?;
    /// let told = message.diagnostics()[0];
    /// assert_eq!(told.segment(), Some(SegmentId::PID));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn segment(&self) -> Option<SegmentId> {
        Some(self.location?.segment_id())
    }

    /// The field it stands in.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||7\x017\r")?;
    /// let told = message.diagnostics()[0];
    /// assert_eq!(told.field(), Some(3));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn field(&self) -> Option<u16> {
        self.location?.field_number()
    }
}

/// The kinds of [`Diagnostic`].
///
/// ```
/// use hl7_message::{DiagnosticKind, Message};
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||7\x017\r")?;
/// let told = message.diagnostics()[0];
/// assert_eq!(told.kind, DiagnosticKind::ControlCharacter);
/// assert_eq!(told.kind.to_string(), "a control character");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiagnosticKind {
    /// Anything else before MSH, read by [`Message::parse_tolerant`] alone.
    Junk,
    /// A byte order mark before MSH.
    ByteOrderMark,
    /// White space before MSH.
    LeadingWhiteSpace,
    /// Framing bytes of an MLLP block around the message.
    FramingBytes,
    /// Segments end in LF or CR LF; told once, at the first of them.
    LineEnd,
    /// A segment ends otherwise than MSH does.
    OtherLineEnd,
    /// An empty line.
    BlankLine,
    /// The last segment has no terminator.
    MissingTerminator,
    /// A line that does not start with the name of a segment.
    SegmentName,
    /// Another MSH in the same message.
    SecondHeader,
    /// A control character in a segment, such as a lone LF.
    ControlCharacter,
    /// An escape character that starts no sequence of the standard.
    EscapeSequence,
}

impl fmt::Display for DiagnosticKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Junk => "bytes before MSH that are no part of the message",
            Self::ByteOrderMark => "a byte order mark before MSH",
            Self::LeadingWhiteSpace => "white space before MSH",
            Self::FramingBytes => "framing bytes of MLLP around the message",
            Self::LineEnd => "segments do not end in CR",
            Self::OtherLineEnd => "a segment ends otherwise than MSH does",
            Self::BlankLine => "an empty line",
            Self::MissingTerminator => "the last segment has no terminator",
            Self::SegmentName => "a line without the name of a segment",
            Self::SecondHeader => "another MSH in the same message",
            Self::ControlCharacter => "a control character",
            Self::EscapeSequence => "an escape character that starts no sequence",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(location) = self.location {
            write!(f, " at {location}")?;
        }
        write!(f, " (byte {})", self.offset)
    }
}

/// Why a strict reading refuses bytes.
///
/// ```
/// use hl7_message::{Message, StrictError};
///
/// let Err(error) = Message::parse_strict(b"MSH|^~\\&|RIS\n") else { panic!() };
/// let StrictError::Irregular(all) = error else { panic!() };
/// assert_eq!(all[0].to_string(), "segments do not end in CR at MSH (byte 12)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrictError {
    /// They are no message at all.
    Parse(ParseError),
    /// They are one, but not as the standard writes it: all that is irregular, at least one.
    Irregular(Vec<Diagnostic>),
}

impl fmt::Display for StrictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::Irregular(all) => match all.as_slice() {
                [] => f.write_str("irregular"),
                [one] => one.fmt(f),
                [first, rest @ ..] => write!(f, "{first}, and {} more", rest.len()),
            },
        }
    }
}

impl core::error::Error for StrictError {}

impl From<ParseError> for StrictError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}
