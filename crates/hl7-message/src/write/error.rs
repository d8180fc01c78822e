//! [`WriteError`]: what cannot be written.

use core::fmt;

use crate::location::Location;

/// What cannot be written.
///
/// ```
/// use hl7_message::{MessageWriter, SegmentId, Separators, WriteError, loc};
///
/// let mut writer = MessageWriter::new(Separators::DEFAULT);
/// let mut pid = writer.segment(SegmentId::PID);
/// let error = pid.put(loc!("PV1-2"), "O").unwrap_err();
/// assert_eq!(error, WriteError::OutOfOrder { location: loc!("PV1-2") });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The place is in another segment, names no field, or is not behind the last one.
    OutOfOrder {
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
    /// Raw bytes that would end their place, its segment or the frame.
    RawBytes {
        /// The place.
        location: Location,
        /// Which of the bytes, from 0.
        offset: usize,
    },
    /// A raw segment that holds a line end or a framing byte.
    SegmentBytes {
        /// Which of the bytes, from 0.
        offset: usize,
    },
    /// A raw segment that does not begin with the name of one.
    SegmentName,
    /// A raw MSH, FHS or BHS that declares other delimiters than the message is written in.
    OtherDelimiters,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder { location } => {
                write!(
                    f,
                    "{location} is not behind the place written last in this segment"
                )
            }
            Self::NoEscapeCharacter { location } => {
                write!(
                    f,
                    "the text for {location} holds a delimiter and MSH-2 declares no escape"
                )
            }
            Self::NoSubcomponentSeparator { location } => {
                write!(
                    f,
                    "{location} is a subcomponent and MSH-2 declares no separator for it"
                )
            }
            Self::RawBytes { location, offset } => write!(
                f,
                "byte {offset} of what is written for {location} would end it"
            ),
            Self::SegmentBytes { offset } => write!(
                f,
                "byte {offset} of a written segment is a line end or a framing byte"
            ),
            Self::SegmentName => f.write_str("a written segment begins with its name, such as NTE"),
            Self::OtherDelimiters => {
                f.write_str("a written MSH declares other delimiters than those of the message")
            }
        }
    }
}

impl core::error::Error for WriteError {}
