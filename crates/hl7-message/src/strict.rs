//! The tolerant reading, which tells what it steps over, and the strict one, which refuses it.

use std::collections::HashMap;

use crate::combinators;
use crate::cut::preamble;
use crate::diagnostic::{Diagnostic, DiagnosticKind, StrictError};
use crate::error::{ParseError, ParseErrorKind};
use crate::escape::{FormatCommand, Token, tokens};
use crate::location::Location;
use crate::message::{Limits, LineEnd, Message};
use crate::segment::{Segment, SegmentId};
use crate::separators::Separators;

impl<'a> Message<'a> {
    /// Reads a message that is written as HL7 2.3 chapter 2 has it, and refuses anything that
    /// [`Message::parse_tolerant`] would step over.
    ///
    /// # Errors
    ///
    /// No message, or one with diagnostics: all of them, with their places.
    ///
    /// ```
    /// use hl7_message::{Message, StrictError};
    ///
    /// assert!(Message::parse_strict(b"MSH|^~\\&|RIS\rPID|1\r").is_ok());
    /// let Err(error) = Message::parse_strict(b"MSH|^~\\&|RIS\rPID|1||a\\Q\\b") else { panic!() };
    /// assert_eq!(
    ///     error.to_string(),
    ///     "an escape character that starts no sequence at PID-3.1.1 (byte 21), and 1 more",
    /// );
    /// ```
    pub fn parse_strict(bytes: &'a [u8]) -> Result<Self, StrictError> {
        Self::parse_strict_with(bytes, Limits::default())
    }

    /// [`Message::parse_strict`] under `limits`.
    ///
    /// # Errors
    ///
    /// As [`Message::parse_strict`], and a limit passed.
    ///
    /// ```
    /// use hl7_message::{Limits, Message};
    ///
    /// let limits = Limits { segments_max: 1, ..Limits::default() };
    /// assert!(Message::parse_strict_with(b"MSH|^~\\&|RIS\r", limits).is_ok());
    /// assert!(Message::parse_strict_with(b"MSH|^~\\&|RIS\rPID|1\r", limits).is_err());
    /// ```
    pub fn parse_strict_with(bytes: &'a [u8], limits: Limits) -> Result<Self, StrictError> {
        let (message, all) = Self::parse_tolerant_with(bytes, limits)?;
        if all.is_empty() {
            Ok(message)
        } else {
            Err(StrictError::Irregular(all))
        }
    }

    /// Reads whatever can be read, and tells everything that it steps over. Beyond what
    /// [`Message::parse`] reads, anything may stand before MSH.
    ///
    /// # Errors
    ///
    /// As [`Message::parse`], where nowhere an MSH stands whose delimiters can work.
    ///
    /// ```
    /// use hl7_message::{DiagnosticKind, Message};
    ///
    /// let (message, told) = Message::parse_tolerant(b"12:00 received: MSH|^~\\&|RIS\r\n")?;
    /// assert_eq!(message.segment_count(), 1);
    /// let told: Vec<_> = told.iter().map(|one| (one.offset, one.kind)).collect();
    /// assert_eq!(told, [(0, DiagnosticKind::Junk), (28, DiagnosticKind::LineEnd)]);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn parse_tolerant(bytes: &'a [u8]) -> Result<(Self, Vec<Diagnostic>), ParseError> {
        Self::parse_tolerant_with(bytes, Limits::default())
    }

    /// [`Message::parse_tolerant`] under `limits`.
    ///
    /// # Errors
    ///
    /// As [`Message::parse_tolerant`], and a limit passed.
    ///
    /// ```
    /// use hl7_message::{Limits, Message, ParseErrorKind};
    ///
    /// let limits = Limits { message_bytes_max: 10, ..Limits::default() };
    /// let error = Message::parse_tolerant_with(b"MSH|^~\\&|RIS\r", limits).unwrap_err();
    /// assert_eq!(error.kind, ParseErrorKind::TooLong { max: 10 });
    /// ```
    pub fn parse_tolerant_with(
        bytes: &'a [u8],
        limits: Limits,
    ) -> Result<(Self, Vec<Diagnostic>), ParseError> {
        let message = match Self::parse_with(bytes, limits) {
            Err(error) if error.kind == ParseErrorKind::NoHeader => {
                let start = header_in(bytes).ok_or(error)?;
                Self::parse_at(bytes, start, limits)?
            }
            other => other?,
        };
        let told = message.diagnostics();
        Ok((message, told))
    }

    /// Everything in the bytes that the standard does not have, in order.
    ///
    /// ```
    /// use hl7_message::{DiagnosticKind, Message};
    ///
    /// let message = Message::parse(b"\r\nMSH|^~\\&|RIS\rPID|1\r\rPV1|1\r")?;
    /// let kinds: Vec<_> = message.diagnostics().iter().map(|i| (i.offset, i.kind)).collect();
    /// assert_eq!(
    ///     kinds,
    ///     [(0, DiagnosticKind::LeadingWhiteSpace), (21, DiagnosticKind::BlankLine)],
    /// );
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut all = Vec::new();
        let mut note = |offset, location, kind| {
            all.push(Diagnostic {
                offset,
                location,
                kind,
            });
        };
        let bytes = self.as_bytes();
        let mut seen: HashMap<SegmentId, u16> = HashMap::new();
        let mut previous: Option<(usize, Option<Location>)> = None;
        let mut line_end_told = false;
        for (n, segment) in self.segments().enumerate() {
            let span = segment.span();
            match previous {
                None => before(bytes.get(..span.start).unwrap_or_default(), &mut note),
                Some((end, location)) => {
                    let gap = bytes.get(end..span.start).unwrap_or_default();
                    let mut note = |at, kind| note(end + at, location, kind);
                    between(gap, self.line_end(), &mut line_end_told, &mut note);
                }
            }
            let location = segment.id().map(|id| {
                let count = seen.entry(id).or_default();
                *count = count.saturating_add(1);
                Location::of(id).occurrence(*count)
            });
            match segment.id() {
                None => note(span.start, None, DiagnosticKind::SegmentName),
                Some(SegmentId::MSH) if n > 0 => {
                    note(span.start, location, DiagnosticKind::SecondHeader);
                }
                Some(_) => {}
            }
            previous = Some((span.end, location));
            inside(segment, location, &mut note);
        }
        let (end, location) = previous.unwrap_or_default();
        let gap = bytes.get(end..).unwrap_or_default();
        let mut note = |at, kind| note(end + at, location, kind);
        behind(gap, self.line_end(), &mut line_end_told, &mut note);
        all.sort_by_key(|diagnostic| diagnostic.offset);
        all
    }
}

/// Where in bytes that start otherwise a header stands whose delimiters can work.
fn header_in(bytes: &[u8]) -> Option<usize> {
    // MSH, MSH-1, MSH-2 and the separator behind it.
    const LONGEST: usize = 4 + 5 + 1;
    memchr::memmem::find_iter(bytes, "MSH").find(|&at| {
        let end = bytes.len().min(at + LONGEST);
        let start = bytes.get(at..end).unwrap_or_default();
        combinators::separators(start).is_ok()
    })
}

/// Control characters and escape sequences of one segment, each told once a leaf.
fn inside(
    segment: Segment<'_>,
    location: Option<Location>,
    note: &mut impl FnMut(usize, Option<Location>, DiagnosticKind),
) {
    let separators = *segment.separators();
    // MSH-2 holds the escape character itself.
    let header = segment.is(SegmentId::MSH);
    for (f, field) in numbered(segment.fields()) {
        for (r, repetition) in numbered(field.repetitions()) {
            for (c, component) in numbered(repetition.components()) {
                for (s, leaf) in numbered(component.subcomponents()) {
                    let bytes = leaf.as_bytes();
                    let place = location.map(|at: Location| {
                        at.at_field(f).repetition(r).component(c).subcomponent(s)
                    });
                    let start = leaf.span().start;
                    let control = |byte: &u8| *byte < 0x20 && *byte != b'\t';
                    if let Some(at) = bytes.iter().position(control) {
                        note(start + at, place, DiagnosticKind::ControlCharacter);
                    }
                    if !(header && f <= 2)
                        && let Some(at) = stray_escape(bytes, separators)
                    {
                        note(start + at, place, DiagnosticKind::EscapeSequence);
                    }
                }
            }
        }
    }
}

/// Things counted from 1, as far as a location can count.
fn numbered<T>(things: impl Iterator<Item = T>) -> impl Iterator<Item = (u16, T)> {
    things
        .enumerate()
        .map(|(n, thing)| (u16::try_from(n + 1).unwrap_or(u16::MAX), thing))
}

/// Where the first escape character stands that starts no sequence of the standard.
fn stray_escape(bytes: &[u8], separators: Separators) -> Option<usize> {
    let escape = separators.escape()?;
    memchr::memchr(escape, bytes)?;
    let mut offset = 0;
    let mut written = Vec::new();
    for token in tokens(bytes, &separators) {
        match token {
            Token::Unknown(_) => return Some(offset),
            Token::Format(command) if FormatCommand::parse(command).is_none() => {
                return Some(offset);
            }
            Token::Text(text) => {
                if let Some(at) = memchr::memchr(escape, text) {
                    return Some(offset + at);
                }
            }
            _ => {}
        }
        written.clear();
        token.write_to(&mut written, &separators);
        offset += written.len();
    }
    None
}

/// What stands before MSH: byte order marks, framing bytes and white space, or junk.
fn before(gap: &[u8], note: &mut impl FnMut(usize, Option<Location>, DiagnosticKind)) {
    let mut at = preamble(gap);
    if at < gap.len() {
        note(0, None, DiagnosticKind::Junk);
        return;
    }
    at = 0;
    let mut last = None;
    while let Some(rest) = gap.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, len) = match rest {
            [0xEF, ..] => (DiagnosticKind::ByteOrderMark, 3),
            [0x0B, ..] => (DiagnosticKind::FramingBytes, 1),
            _ => (DiagnosticKind::LeadingWhiteSpace, 1),
        };
        if last != Some(kind) {
            note(at, None, kind);
        }
        last = Some(kind);
        at += len;
    }
}

/// What stands between two segments: their line end, and blank lines.
fn between(
    gap: &[u8],
    line_end: LineEnd,
    told: &mut bool,
    note: &mut impl FnMut(usize, DiagnosticKind),
) {
    let mut at = 0;
    let mut first = true;
    while let Some(rest) = gap.get(at..).filter(|rest| !rest.is_empty()) {
        // White space of a blank line belongs to the line end behind it.
        let blank = rest
            .iter()
            .take_while(|byte| !matches!(byte, b'\r' | b'\n'))
            .count();
        let end = match rest.get(blank..).unwrap_or_default() {
            end @ [b'\r', b'\n', ..] => end.get(..2),
            end => end.get(..1),
        };
        let end = end.unwrap_or_default();
        if !first {
            note(at + blank, DiagnosticKind::BlankLine);
        } else if end != line_end.as_bytes() {
            note(at, DiagnosticKind::OtherLineEnd);
        } else if end != b"\r" && !*told {
            *told = true;
            note(at, DiagnosticKind::LineEnd);
        }
        first = false;
        at += blank + end.len();
    }
}

/// What stands behind the last segment.
fn behind(
    gap: &[u8],
    line_end: LineEnd,
    told: &mut bool,
    note: &mut impl FnMut(usize, DiagnosticKind),
) {
    let framing = gap.iter().position(|&byte| byte == 0x1C);
    let lines = gap.get(..framing.unwrap_or(gap.len())).unwrap_or_default();
    if lines.is_empty() {
        note(0, DiagnosticKind::MissingTerminator);
    }
    between(lines, line_end, told, note);
    if let Some(at) = framing {
        note(at, DiagnosticKind::FramingBytes);
    }
}

#[cfg(test)]
mod tests {
    use super::DiagnosticKind as Kind;
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[(usize, Kind)]) {
        let message = Message::parse(bytes).unwrap();
        let found: Vec<_> = message
            .diagnostics()
            .into_iter()
            .map(|i| (i.offset, i.kind))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(Message::parse_strict(bytes).is_ok(), expected.is_empty());
    }

    #[test]
    fn a_message_as_the_standard_writes_it_has_none() {
        check(
            b"MSH|^~\\&|A\rPID|1||a\\F\\b\\.br\\c\\X0D\\\rZZ1|\tx\r",
            &[],
        );
        for case in hl7_corpus::CASES {
            check(case.bytes, &[]);
        }
    }

    #[test]
    fn each_diagnostic_is_told_with_its_place() {
        check(b"MSH|^~\\&", &[(8, Kind::MissingTerminator)]);
        check(b"\xEF\xBB\xBFMSH|^~\\&\r", &[(0, Kind::ByteOrderMark)]);
        check(b"  MSH|^~\\&\r", &[(0, Kind::LeadingWhiteSpace)]);
        check(
            b"\x0BMSH|^~\\&\r\x1C\r",
            &[(0, Kind::FramingBytes), (10, Kind::FramingBytes)],
        );
        check(b"MSH|^~\\&\nPID|1\nPV1|1\n", &[(8, Kind::LineEnd)]);
        check(b"MSH|^~\\&\r\nPID|1\r\n", &[(8, Kind::LineEnd)]);
        check(b"MSH|^~\\&\rPID|1\r\nPV1|1\r", &[(14, Kind::OtherLineEnd)]);
        check(b"MSH|^~\\&\r \rPID|1\r", &[(10, Kind::BlankLine)]);
        check(b"MSH|^~\\&\rpid|1\r", &[(9, Kind::SegmentName)]);
        check(b"MSH|^~\\&\rMSH|^~\\&\r", &[(9, Kind::SecondHeader)]);
        check(b"MSH|^~\\&\rOBX|a\nb\r", &[(14, Kind::ControlCharacter)]);
        check(
            b"MSH|^~\\&\rOBX|\\.in\\|\\.in 2\\\r",
            &[(13, Kind::EscapeSequence)],
        );
        check(
            b"MSH|^~\\&\rOBX|C:\\temp|\\X0\\\r",
            &[(15, Kind::EscapeSequence), (21, Kind::EscapeSequence)],
        );
    }

    #[test]
    fn a_megabyte_of_trouble_takes_no_more_than_its_time() {
        for trouble in [&b"\n"[..], b"\\", b"^\x01", b"\r\n", b"\rX"] {
            let mut bytes = b"MSH|^~\\&|\rOBX|".to_vec();
            bytes.extend(trouble.iter().cycle().take(1 << 20));
            let told = Message::parse(&bytes).unwrap().diagnostics();
            assert!(!told.is_empty());
        }
    }

    proptest! {
        #[test]
        fn strict_and_tolerant_agree_on_clean_input(fields in "[A-Z0-9|^~&]{0,60}") {
            let bytes = format!("MSH|^~\\&|A\rPID|{fields}\rPV1|{fields}\r");
            let strict = Message::parse_strict(bytes.as_bytes()).unwrap();
            let tolerant = Message::parse(bytes.as_bytes()).unwrap();
            let rows = |m: &Message<'_>| m.segments().map(|s| s.span()).collect::<Vec<_>>();
            prop_assert_eq!(rows(&strict), rows(&tolerant));
        }

        #[test]
        fn anything_can_be_told_about(bytes in "(MSH\\|\\^~\\\\&|)[A-Z|^~&\\\\ \r\n\x0B\x1C]{0,80}") {
            if let Ok(message) = Message::parse(bytes.as_bytes()) {
                let all = message.diagnostics();
                prop_assert!(all.windows(2).all(|two| two[0].offset <= two[1].offset));
                prop_assert!(all.iter().all(|one| one.offset <= bytes.len()));
            }
        }
    }
}
