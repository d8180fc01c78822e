//! [`validate`]: all that can be said about a message, in one list with places.

use hl7_message::dictionary::{self, Checks, DiagnosticKind as Departure};
use hl7_message::{DiagnosticKind as Irregular, Location, Message};
use serde_json::{Map, Value};

use crate::interpret::{interpret, is_acknowledgement};
use crate::profile::Profile;

/// How much an [`Issue`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It is taken all the same.
    Warning,
    /// It is refused, or breaks the standard.
    Error,
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The bytes, HL7 2.3 chapter 2.
    Format,
    /// The dictionary of HL7 2.3.
    Dictionary,
    /// The conformance statement of the broker.
    Broker,
}

/// Something about a message, with its place. Names the place, never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Who says so.
    pub source: Source,
    /// How much it matters.
    pub severity: Severity,
    /// A short name, or a number of table 0357.
    pub code: String,
    /// The place in HL7 terms.
    pub path: Option<Location>,
    /// Which segment, from 0.
    pub segment_index: Option<usize>,
    /// Where it begins, in bytes from the start.
    pub byte_offset: Option<usize>,
    /// How many bytes it has; 0 where something is missed.
    pub length: Option<usize>,
    /// What it is, in a sentence.
    pub message: String,
}

/// What [`validate`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// The refusal that the broker would answer with; `None` where it would take the message as
    /// far as the message alone tells. An acknowledgement is never answered.
    pub refusal: Option<String>,
    /// Everything, in the order of the message.
    pub issues: Vec<Issue>,
}

/// Looks at a message in every way: its bytes, the dictionary, the broker under `profile`.
///
/// ```
/// use medsynapse::Profile;
/// use medsynapse::domain::{Severity, validate};
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|M1|P|2.3\r\
///               PID|1||PAT789||SMITH^JOHN||19800101|W\rPV1|1|O\rORC|CA\rOBR|1\r";
/// let validation = validate(bytes, &Profile::default());
/// assert_eq!(validation.refusal.as_deref(), Some("Missing OBR-2"));
/// let missing = validation.issues.iter().find(|issue| issue.code == "101").unwrap();
/// assert_eq!(missing.path.unwrap().to_string(), "OBR-2.1");
/// assert_eq!((missing.segment_index, missing.severity), (Some(4), Severity::Error));
/// ```
pub fn validate(bytes: &[u8], profile: &Profile) -> Validation {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => {
            let issue = Issue {
                source: Source::Format,
                severity: Severity::Error,
                code: "not-hl7".into(),
                path: Some(error.location),
                segment_index: None,
                byte_offset: Some(error.offset),
                length: None,
                message: error.kind.to_string(),
            };
            return Validation {
                refusal: Some(error.to_string()),
                issues: vec![issue],
            };
        }
    };
    let mut issues = Issues {
        message: &message,
        found: Vec::new(),
    };
    for told in message.diagnostics() {
        let code = irregular(told.kind).to_owned();
        let place = (told.location, Some(told.offset));
        let text = told.kind.to_string();
        issues.add(Source::Format, Severity::Warning, code, place, text);
    }
    for found in dictionary::check(&message, Checks::STRICT) {
        let severity = match found.severity {
            dictionary::Severity::Note => Severity::Note,
            dictionary::Severity::Warning => Severity::Warning,
            dictionary::Severity::Error => Severity::Error,
        };
        let code = departure(found.kind).to_owned();
        let place = (Some(found.location), Some(found.offset));
        let text = found.kind.to_string();
        issues.add(Source::Dictionary, severity, code, place, text);
    }
    let mut refusal = None;
    if !is_acknowledgement(&message) {
        let interpretation = interpret(&message, profile);
        for warning in interpretation.warnings {
            let code = warning.code.to_owned();
            let (source, severity) = (Source::Broker, Severity::Warning);
            let place = (warning.location, None);
            issues.add(source, severity, code, place, warning.message);
        }
        if let Err(rejection) = interpretation.outcome {
            for finding in rejection.findings {
                let code = finding.condition.code().to_string();
                let (source, severity) = (Source::Broker, Severity::Error);
                let place = (Some(finding.location), finding.offset);
                issues.add(source, severity, code, place, finding.message);
            }
            refusal = Some(rejection.text);
        }
    }
    let mut issues = issues.found;
    issues.sort_by_key(|issue| issue.byte_offset);
    Validation { refusal, issues }
}

struct Issues<'m, 'a> {
    message: &'m Message<'a>,
    found: Vec<Issue>,
}

impl Issues<'_, '_> {
    fn add(
        &mut self,
        source: Source,
        severity: Severity,
        code: String,
        (path, offset): (Option<Location>, Option<usize>),
        message: String,
    ) {
        let span = path.and_then(|path| self.span(path));
        let byte_offset = offset.or(span.as_ref().map(|span| span.start));
        let length = span.filter(|span| Some(span.start) == byte_offset);
        let within = |offset: usize| {
            let mut segments = self.message.segments();
            segments.position(|s| s.span().start <= offset && offset <= s.span().end)
        };
        self.found.push(Issue {
            source,
            severity,
            code,
            path,
            segment_index: byte_offset.and_then(within),
            byte_offset,
            length: length.map(|span| span.len()),
            message,
        });
    }

    /// The bytes of a place: the leaf, the field or the segment.
    fn span(&self, path: Location) -> Option<std::ops::Range<usize>> {
        let segment = self.message.segment_at(path)?;
        if path.field_number().is_none() {
            return Some(segment.span());
        }
        if path.component_number().is_none() && path.repetition_number() == 1 {
            return Some(self.message.field(path)?.span());
        }
        Some(self.message.leaf(path)?.span())
    }
}

impl Validation {
    /// `{"accepted": …, "answer": …, "issues": [{source, severity, code, path, …}]}`.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.insert("accepted".into(), self.refusal.is_none().into());
        if let Some(text) = &self.refusal {
            map.insert("answer".into(), text.as_str().into());
        }
        let issues = self.issues.iter().map(Issue::to_json).collect();
        map.insert("issues".into(), Value::Array(issues));
        Value::Object(map)
    }
}

impl Issue {
    /// `{source, severity, code, path, segmentIndex, byteOffset, length, message}`, without those
    /// that are not known.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        let source = match self.source {
            Source::Format => "format",
            Source::Dictionary => "dictionary",
            Source::Broker => "broker",
        };
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        map.insert("source".into(), source.into());
        map.insert("severity".into(), severity.into());
        map.insert("code".into(), self.code.as_str().into());
        if let Some(path) = self.path {
            map.insert("path".into(), path.to_string().into());
        }
        let numbers = [
            ("segmentIndex", self.segment_index),
            ("byteOffset", self.byte_offset),
            ("length", self.length),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                map.insert(name.into(), number.into());
            }
        }
        map.insert("message".into(), self.message.as_str().into());
        Value::Object(map)
    }
}

fn irregular(kind: Irregular) -> &'static str {
    match kind {
        Irregular::Junk => "junk",
        Irregular::ByteOrderMark => "byte-order-mark",
        Irregular::LeadingWhiteSpace => "leading-white-space",
        Irregular::FramingBytes => "framing-bytes",
        Irregular::LineEnd => "line-end",
        Irregular::OtherLineEnd => "other-line-end",
        Irregular::BlankLine => "blank-line",
        Irregular::MissingTerminator => "missing-terminator",
        Irregular::SegmentName => "segment-name",
        Irregular::SecondHeader => "second-header",
        Irregular::ControlCharacter => "control-character",
        Irregular::EscapeSequence => "escape-sequence",
        _ => "irregular",
    }
}

fn departure(kind: Departure) -> &'static str {
    match kind {
        Departure::NoStructure => "no-structure",
        Departure::MissingSegment => "missing-segment",
        Departure::MisplacedSegment => "misplaced-segment",
        Departure::UnexpectedSegment => "unexpected-segment",
        Departure::LocalSegment => "local-segment",
        Departure::UnnamedSegment => "unnamed-segment",
        Departure::MissingField => "missing-field",
        Departure::UnknownField => "unknown-field",
        Departure::TooManyRepetitions { .. } => "too-many-repetitions",
        Departure::TooLong { .. } => "too-long",
        Departure::UnknownCode { .. } => "unknown-code",
        Departure::Malformed { .. } => "malformed",
        _ => "departure",
    }
}
