//! [`Errors`]: everything that is wrong with a request, with its place in JSON and in HL7.

use core::fmt;

use hl7_message::Location;
use serde::Serialize;
use serde_json::{Map, Value};

/// One thing that is wrong.
///
/// Names the place, never the value: the value may be a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place as a JSON pointer (RFC 6901); the empty one is the whole document.
    pub json_pointer: String,
    /// The place in HL7 terms.
    pub path: Option<Location>,
    /// Which segment of a message it is in, from 0.
    pub segment_index: Option<usize>,
    /// Where it begins, in bytes from the start of a message.
    pub byte_offset: Option<usize>,
    /// How many bytes it has.
    pub length: Option<usize>,
    /// A short name that programs can match, for instance `missing`.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem with a member of JSON.
    pub(super) fn of(
        json_pointer: impl Into<String>,
        path: Option<Location>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            json_pointer: json_pointer.into(),
            path,
            segment_index: None,
            byte_offset: None,
            length: None,
            code,
            message: message.into(),
        }
    }

    /// As JSON: `{jsonPointer, path, segmentIndex, byteOffset, length, code, message}`, without
    /// those that are not known.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.insert("jsonPointer".into(), self.json_pointer.as_str().into());
        if let Some(path) = self.path {
            map.insert("path".into(), path.to_string().into());
        }
        let places = [
            ("segmentIndex", self.segment_index),
            ("byteOffset", self.byte_offset),
            ("length", self.length),
        ];
        for (name, number) in places {
            if let Some(number) = number {
                map.insert(name.into(), number.into());
            }
        }
        map.insert("code".into(), self.code.into());
        map.insert("message".into(), self.message.as_str().into());
        Value::Object(map)
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.json_pointer.is_empty() {
            "the document"
        } else {
            &self.json_pointer
        };
        write!(f, "{pointer} {}", self.message)?;
        match self.path {
            Some(path) => write!(f, " ({path})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a request, at once; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub(super) Vec<Problem>);

impl Errors {
    /// All of them, in the order of the document, missing members last.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    pub(super) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { "; " };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Errors {}

impl IntoIterator for Errors {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
