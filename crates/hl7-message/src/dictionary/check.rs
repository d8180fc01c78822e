//! [`check`]: a message against the dictionary.

mod fields;
mod format;
mod order;

use core::fmt;
use std::collections::HashMap;

use super::structures;
use crate::{Location, Message, SegmentId};
use order::Order;

/// What [`check`] looks at, and how severe each finding may be at most.
///
/// `None` leaves a property alone.
///
/// ```
/// use hl7_message::{Message, dictionary::{Checks, Severity, check}};
///
/// // No PV1, which the standard requires and some systems never send.
/// let update = Message::parse(b"MSH|^~\\&|||||||ADT^A08|1|P|2.3\rEVN|A08|2023\rPID|1||7||DOE\r")?;
/// let worst = |checks| check(&update, checks).into_iter().map(|found| found.severity).max();
/// assert_eq!(worst(Checks::STRICT), Some(Severity::Error));
/// assert_eq!(worst(Checks::RELAXED), Some(Severity::Note));
/// assert_eq!(worst(Checks { structure: None, ..Checks::STRICT }), None);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// Segments against the structure of the message, fields that the dictionary does not know.
    pub structure: Option<Severity>,
    /// Required fields.
    pub required: Option<Severity>,
    /// How often fields repeat.
    pub repetitions: Option<Severity>,
    /// How long fields are.
    pub lengths: Option<Severity>,
    /// Codes of tables that the standard closes.
    pub tables: Option<Severity>,
    /// Numbers, dates and times.
    pub data_types: Option<Severity>,
    /// Most diagnostics; after so many the check stops.
    pub diagnostics_max: usize,
}

impl Checks {
    /// Everything, as severe as it is; at most 1,000 diagnostics.
    ///
    /// ```
    /// use hl7_message::dictionary::{Checks, Severity};
    /// assert_eq!(Checks::STRICT, Checks::at_most(Severity::Error));
    /// ```
    pub const STRICT: Self = Self::at_most(Severity::Error);

    /// Everything, for information: a [`Severity::Note`] each. For systems that are known to
    /// depart from the standard; at most 1,000 diagnostics.
    ///
    /// ```
    /// use hl7_message::{Message, dictionary::{Checks, Severity, check}};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1\r")?;
    /// assert!(check(&message, Checks::RELAXED).iter().all(|d| d.severity == Severity::Note));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const RELAXED: Self = Self::at_most(Severity::Note);

    /// Everything, nothing above `severity`.
    ///
    /// ```
    /// use hl7_message::dictionary::{Checks, Severity};
    /// assert_eq!(Checks::at_most(Severity::Note), Checks::RELAXED);
    /// ```
    pub const fn at_most(severity: Severity) -> Self {
        Self {
            structure: Some(severity),
            required: Some(severity),
            repetitions: Some(severity),
            lengths: Some(severity),
            tables: Some(severity),
            data_types: Some(severity),
            diagnostics_max: 1000,
        }
    }
}

impl Default for Checks {
    /// [`Checks::STRICT`].
    fn default() -> Self {
        Self::STRICT
    }
}

/// How much a [`Diagnostic`] matters.
///
/// ```
/// use hl7_message::dictionary::Severity;
/// assert!(Severity::Note < Severity::Warning && Severity::Warning < Severity::Error);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know: sources disagree, or the site may do so.
    Note,
    /// Against the standard, and the standard tells receivers how to go on.
    Warning,
    /// Against the standard, and something is missing or cannot be read.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One departure from the dictionary, and where it shows.
///
/// The text names the place, never the value: the value may be a person.
///
/// ```
/// use hl7_message::{Message, dictionary::{Checks, DiagnosticKind, Severity, check}};
///
/// let message = Message::parse(b"MSH|^~\\&|||||||ACK|1|P|2.3\rMSA|XX\r")?;
/// let found = check(&message, Checks::STRICT);
/// assert_eq!(found[0].kind, DiagnosticKind::UnknownCode { table: 8 });
/// assert_eq!(found[0].to_string(), "warning: code not in HL7 table 0008 at MSA-1 (byte 31)");
/// assert_eq!(found[1].to_string(), "error: required field missing at MSA-2 (byte 33)");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is found.
    pub kind: DiagnosticKind,
    /// How much it matters.
    pub severity: Severity,
    /// The place in HL7 terms; for what is missing, where it should stand. A segment without a
    /// proper name has the place of the one before it.
    pub location: Location,
    /// The place in bytes from the start of the input; for what is missing, where it is missed.
    pub offset: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} at {} (byte {})",
            self.severity, self.kind, self.location, self.offset
        )
    }
}

/// What a [`Diagnostic`] is about.
///
/// ```
/// use hl7_message::dictionary::DiagnosticKind;
/// assert_eq!(DiagnosticKind::TooLong { max: 20 }.to_string(), "longer than 20 characters");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiagnosticKind {
    /// The dictionary has no structure for this message type and event; the order of its
    /// segments is not checked.
    NoStructure,
    /// A required segment is not there.
    MissingSegment,
    /// A segment of the message that does not belong here, or that stands once too often.
    MisplacedSegment,
    /// A segment that this message does not have. Receivers ignore it.
    UnexpectedSegment,
    /// A segment whose name starts with Z: an agreement of the site.
    LocalSegment,
    /// A segment whose name is not three capital letters or digits.
    UnnamedSegment,
    /// A required field is empty.
    MissingField,
    /// A field behind the last one that 2.3 defines. Receivers ignore it.
    UnknownField,
    /// More repetitions than the field allows. Receivers ignore them.
    TooManyRepetitions {
        /// How many it allows.
        max: u16,
    },
    /// A repetition longer than the field allows.
    TooLong {
        /// How many characters it allows.
        max: u32,
    },
    /// A code that the standard's own table does not have.
    UnknownCode {
        /// The number of the table.
        table: u16,
    },
    /// A value that its data type cannot have.
    Malformed {
        /// The name of the data type.
        data_type: &'static str,
    },
}

impl DiagnosticKind {
    /// How much it matters where nothing speaks for less.
    const fn severity(self) -> Severity {
        match self {
            Self::MissingSegment
            | Self::MisplacedSegment
            | Self::MissingField
            | Self::Malformed { .. } => Severity::Error,
            Self::UnexpectedSegment
            | Self::UnnamedSegment
            | Self::TooManyRepetitions { .. }
            | Self::TooLong { .. }
            | Self::UnknownCode { .. } => Severity::Warning,
            Self::NoStructure | Self::LocalSegment | Self::UnknownField => Severity::Note,
        }
    }

    /// How much the caller lets it matter.
    const fn limit(self, checks: &Checks) -> Option<Severity> {
        match self {
            Self::NoStructure
            | Self::MissingSegment
            | Self::MisplacedSegment
            | Self::UnexpectedSegment
            | Self::LocalSegment
            | Self::UnnamedSegment
            | Self::UnknownField => checks.structure,
            Self::MissingField => checks.required,
            Self::TooManyRepetitions { .. } => checks.repetitions,
            Self::TooLong { .. } => checks.lengths,
            Self::UnknownCode { .. } => checks.tables,
            Self::Malformed { .. } => checks.data_types,
        }
    }
}

impl fmt::Display for DiagnosticKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStructure => f.write_str("no structure known for this message type and event"),
            Self::MissingSegment => f.write_str("required segment missing"),
            Self::MisplacedSegment => f.write_str("segment out of order or once too often"),
            Self::UnexpectedSegment => f.write_str("segment not part of this message"),
            Self::LocalSegment => f.write_str("local segment"),
            Self::UnnamedSegment => f.write_str("segment without a proper name after the one"),
            Self::MissingField => f.write_str("required field missing"),
            Self::UnknownField => f.write_str("field not part of this segment"),
            Self::TooManyRepetitions { max } => write!(f, "more than {max} repetitions"),
            Self::TooLong { max } => write!(f, "longer than {max} characters"),
            Self::UnknownCode { table } => write!(f, "code not in HL7 table {table:04}"),
            Self::Malformed { data_type } => write!(f, "not a value of data type {data_type}"),
        }
    }
}

/// Compares a message with the dictionary and tells every departure, in the order of the message.
///
/// Only what both families of sources require is more than a [`Severity::Note`]: where they
/// disagree, the strictest reading gives a note. A message whose MSH-12 names another version
/// than 2.3 gets notes only, and so does the structure of a message that comes in parts (DSC,
/// MSH-14). `""` is never checked. Nothing here rejects a message; what to do with a finding is
/// the caller's.
///
/// Takes time in proportion to the message, whatever is in it.
///
/// ```
/// use hl7_message::{Message, dictionary::{Checks, check}};
///
/// let message = Message::parse(
///     b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
///       PID|1||PAT789||SMITH^JOHN||1980-01-01|M\r\
///       PV1|1|O\r\
///       OBR|1|ACC1||CT123^CT CHEST\r",
/// )?;
/// let found = check(&message, Checks::STRICT);
/// let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [
///     "error: not a value of data type TS at PID-7 (byte 84)",
///     "error: required segment missing at ORC (byte 105)",
///     "note: required field missing at OBR-27 (byte 131)", // sources disagree
/// ]);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
pub fn check(message: &Message<'_>, checks: Checks) -> Vec<Diagnostic> {
    let header = message.header();
    let mut findings = Findings::new(checks);
    if !matches!(header.version().first().as_bytes(), b"2.3" | b"") {
        findings.checks = findings.checks.capped_at_notes();
    }
    let continued = message.segment(SegmentId::DSC).is_some()
        || message
            .field(crate::loc!("MSH-14"))
            .is_some_and(|pointer| !pointer.is_empty());
    if continued {
        let structure = &mut findings.checks.structure;
        *structure = structure.and(Some(Severity::Note));
    }

    let structure = structures::structure(header.message_code(), header.trigger_event());
    let mut order = structure.map(Order::new);
    if order.is_none() {
        let type_field = header.message_type();
        let location = crate::loc!("MSH-9");
        findings.add(
            DiagnosticKind::NoStructure,
            location,
            type_field.span().start,
        );
    }

    let mut seen = HashMap::<SegmentId, u16>::new();
    let mut last = Location::of(SegmentId::MSH);
    let mut end = 0;
    for segment in message.segments() {
        if findings.is_full() {
            break;
        }
        let offset = segment.span().start;
        end = segment.span().end;
        let Some(id) = segment.id() else {
            findings.add(DiagnosticKind::UnnamedSegment, last, offset);
            continue;
        };
        let occurrence = seen.entry(id).or_default();
        *occurrence = occurrence.saturating_add(1);
        last = Location::of(id).occurrence(*occurrence);
        if id.as_bytes().starts_with(b"Z") {
            findings.add(DiagnosticKind::LocalSegment, last, offset);
        } else if let Some(order) = &mut order {
            order.step(id, last, offset, &seen, &mut findings);
        }
        fields::check(&segment, last, &mut findings);
    }
    if let Some(order) = &order {
        order.end(end, &seen, &mut findings);
    }
    findings.into_vec()
}

/// What was found so far.
struct Findings {
    checks: Checks,
    /// A finding that turned out to be none is `None`.
    found: Vec<Option<Diagnostic>>,
}

impl Checks {
    fn capped_at_notes(self) -> Self {
        let cap = |limit: Option<Severity>| limit.and(Some(Severity::Note));
        Self {
            structure: cap(self.structure),
            required: cap(self.required),
            repetitions: cap(self.repetitions),
            lengths: cap(self.lengths),
            tables: cap(self.tables),
            data_types: cap(self.data_types),
            ..self
        }
    }
}

impl Findings {
    const fn new(checks: Checks) -> Self {
        Self {
            checks,
            found: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.checks.diagnostics_max
    }

    fn add(&mut self, kind: DiagnosticKind, location: Location, offset: usize) {
        self.add_at_most(Severity::Error, kind, location, offset);
    }

    /// Adds a finding that is at most so severe.
    fn add_at_most(
        &mut self,
        most: Severity,
        kind: DiagnosticKind,
        location: Location,
        offset: usize,
    ) {
        if let Some(limit) = kind.limit(&self.checks)
            && !self.is_full()
        {
            self.found.push(Some(Diagnostic {
                kind,
                severity: kind.severity().min(most).min(limit),
                location,
                offset,
            }));
        }
    }

    fn into_vec(self) -> Vec<Diagnostic> {
        self.found.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
