//! Why JSON is not a message.

use hl7_message::{Location, ParseError};

/// Why JSON is not the raw form of a message, and where it shows.
///
/// The text names the place, never the value: the value may be a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// It is not JSON at all.
    #[error("not JSON at line {line}, column {column}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is JSON of another shape: a member is missing, unknown, given twice or of another type.
    #[error("{reason} at line {line}, column {column}")]
    Shape {
        /// What is wrong.
        reason: Misshapen,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// `format` names another format.
    #[error("`format` is not \"hl7v2-raw/1\"")]
    Format,
    /// `charset` names no character set that is known.
    #[error("`charset` names no known character set; write the name that MSH-18 has")]
    Charset,
    /// `delimiters` are not what MSH-1 and MSH-2 say, or cannot work.
    #[error("`delimiters` and the first two fields of MSH are not the same")]
    Delimiters,
    /// There are no segments, or another one comes first.
    #[error("the first segment is not MSH")]
    Header,
    /// A segment has no name and no fields, or the name would be cut.
    #[error("segment {segment} has no name, or one that holds a delimiter or a line end")]
    SegmentName {
        /// Which one, from 1.
        segment: usize,
    },
    /// A leaf cannot stand where it stands.
    #[error("{problem} in field {field} of segment {segment}{}", at(*.location))]
    Leaf {
        /// Which segment, from 1.
        segment: usize,
        /// Which field of it, from 1.
        field: usize,
        /// The place in HL7 terms, where it has a name.
        location: Option<Location>,
        /// What is wrong.
        problem: InLeaf,
    },
    /// What was written is no message.
    #[error("the segments do not make a message: {0}")]
    Unreadable(#[from] ParseError),
    /// What was written would be cut into other segments.
    #[error("segment {segment} would be read otherwise: a line end, `prefix` or `suffix` is wrong")]
    Segments {
        /// The first one that would, from 1.
        segment: usize,
    },
}

fn at(location: Option<Location>) -> String {
    location.map_or_else(String::new, |location| format!(" ({location})"))
}

/// What is wrong with the shape of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misshapen {
    /// A member that the form does not have.
    #[error("an unknown member")]
    UnknownMember,
    /// A member that the form needs is not there.
    #[error(
        "a missing member (format, delimiters, charset, terminator, finalTerminator, segments; id, fields)"
    )]
    MissingMember,
    /// A member is there twice.
    #[error("a member that is given twice")]
    DuplicateMember,
    /// Text after `b64` that is not base64.
    #[error("text that is not base64")]
    Base64,
    /// Anything else: a number where text belongs, an object where a list belongs.
    #[error("a value of the wrong type")]
    Type,
}

/// What is wrong with a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InLeaf {
    /// A delimiter or a line end stands in it and would cut it.
    #[error("a delimiter or a line end that is not escaped")]
    Delimiter,
    /// A character that the character set does not have.
    #[error("a character that the character set does not have")]
    Character,
    /// A list without entries.
    #[error("an empty list; write \"\" for nothing")]
    EmptyList,
    /// A list inside a subcomponent, or a level that MSH-2 declares no delimiter for.
    #[error("a list deeper than HL7 goes")]
    Depth,
    /// MSH-1 and MSH-2 are single texts, and MSH-1 is the field separator.
    #[error("not the delimiters")]
    Delimiters,
}

impl From<serde_json::Error> for RawError {
    /// Keeps the place and the kind: what `serde_json` says can quote a value.
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if !error.is_data() {
            return Self::Syntax { line, column };
        }
        let text = error.to_string();
        let reason = if text.starts_with("unknown field") {
            Misshapen::UnknownMember
        } else if text.starts_with("missing field") {
            Misshapen::MissingMember
        } else if text.starts_with("duplicate field") {
            Misshapen::DuplicateMember
        } else if text.starts_with(Self::NOT_BASE64) {
            Misshapen::Base64
        } else {
            Misshapen::Type
        };
        Self::Shape {
            reason,
            line,
            column,
        }
    }
}

impl RawError {
    pub(crate) const NOT_BASE64: &'static str = "not base64";
}
