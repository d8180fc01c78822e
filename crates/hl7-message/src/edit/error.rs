//! [`EditError`]: what an edit refuses, and where.

use core::fmt;

use crate::location::Location;

/// A change that cannot be made.
///
/// ```
/// use hl7_message::{Edit, EditError, Message, loc};
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
/// let mut edit = Edit::new(&message);
/// let error = edit.set(loc!("OBR-4"), "CT").unwrap_err();
/// assert_eq!(error, EditError::NoSegment { location: loc!("OBR-4") });
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditError {
    /// The place of a value is a whole segment.
    NoField {
        /// The place.
        location: Location,
    },
    /// The place of a segment is a field.
    NotASegment {
        /// The place.
        location: Location,
    },
    /// The message has no such segment.
    NoSegment {
        /// The place.
        location: Location,
    },
    /// The segment has been removed by this edit.
    Removed {
        /// The place.
        location: Location,
    },
    /// The place is MSH-1 or MSH-2 (or that of FHS or BHS): all the rest is written under these.
    Delimiters {
        /// The place.
        location: Location,
    },
    /// The MSH that starts the message would go, or no longer be the first.
    Header {
        /// The place.
        location: Location,
    },
    /// The text needs an escape and MSH-2 declares no escape character.
    NoEscapeCharacter {
        /// The place.
        location: Location,
    },
    /// The place is a second subcomponent and MSH-2 declares no subcomponent separator.
    NoSubcomponentSeparator {
        /// The place.
        location: Location,
    },
    /// Bytes that would end the place, its segment or the frame.
    RawBytes {
        /// The place.
        location: Location,
        /// Which of the bytes, from 0.
        offset: usize,
    },
    /// A segment to insert holds a line end or a framing byte.
    SegmentBytes {
        /// Which of the bytes, from 0.
        offset: usize,
    },
    /// A segment to insert begins with no name, or with one that begins or ends another message.
    SegmentName,
}

impl EditError {
    /// The place, where the change named one.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// assert_eq!(edit.set(loc!("MSH-1"), "#").unwrap_err().location(), Some(loc!("MSH-1")));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn location(&self) -> Option<Location> {
        match *self {
            Self::NoField { location }
            | Self::NotASegment { location }
            | Self::NoSegment { location }
            | Self::Removed { location }
            | Self::Delimiters { location }
            | Self::Header { location }
            | Self::NoEscapeCharacter { location }
            | Self::NoSubcomponentSeparator { location }
            | Self::RawBytes { location, .. } => Some(location),
            Self::SegmentBytes { .. } | Self::SegmentName => None,
        }
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField { location } => {
                write!(f, "{location} is a whole segment; name a field of it")
            }
            Self::NotASegment { location } => {
                write!(f, "{location} is a field; name a whole segment")
            }
            Self::NoSegment { location } => {
                write!(f, "the message has no segment for {location}")
            }
            Self::Removed { location } => {
                write!(f, "the segment of {location} is removed by the same edit")
            }
            Self::Delimiters { location } => write!(
                f,
                "{location} declares the delimiters that the message is written in"
            ),
            Self::Header { location } => write!(f, "{location} starts the message and stays first"),
            Self::NoEscapeCharacter { location } => write!(
                f,
                "the text for {location} holds a delimiter and MSH-2 declares no escape"
            ),
            Self::NoSubcomponentSeparator { location } => write!(
                f,
                "{location} is a subcomponent and MSH-2 declares no separator for it"
            ),
            Self::RawBytes { location, offset } => write!(
                f,
                "byte {offset} of what is written for {location} would end it"
            ),
            Self::SegmentBytes { offset } => write!(
                f,
                "byte {offset} of the segment to insert is a line end or a framing byte"
            ),
            Self::SegmentName => f.write_str(
                "a segment to insert begins with its name, such as NTE, and not with that of a \
                 message or a batch",
            ),
        }
    }
}

impl core::error::Error for EditError {}
