//! What a tolerant reading stepped over, and a strict one that refuses it.

use core::fmt;

use crate::error::{ParseError, ParseErrorKind};
use crate::escape::{Token, tokens};
use crate::location::Location;
use crate::message::{LineEnd, Message};
use crate::segment::{Segment, SegmentId};
use crate::separators::Separators;

/// Something in the bytes of a message that the standard does not have, though it can be read.
///
/// Names the place, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Irregularity {
    /// Where it begins, in bytes from the start of the input.
    pub offset: usize,
    /// The place in HL7 terms, where it stands in a segment that has a name.
    pub location: Option<Location>,
    /// What it is.
    pub kind: IrregularityKind,
}

/// The kinds of [`Irregularity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IrregularityKind {
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

impl fmt::Display for IrregularityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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

impl fmt::Display for Irregularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(location) = self.location {
            write!(f, " at {location}")?;
        }
        write!(f, " (byte {})", self.offset)
    }
}

/// Why a strict reading refuses bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrictError {
    /// They are no message at all.
    Parse(ParseError),
    /// They are one, but not as the standard writes it: all that is irregular, at least one.
    Irregular(Vec<Irregularity>),
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

impl<'a> Message<'a> {
    /// Reads a message that is written as HL7 2.3 chapter 2 has it, and refuses anything that
    /// [`Message::parse`] would step over.
    ///
    /// # Errors
    ///
    /// No message, or one with irregularities: all of them, with their places.
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
        let message = Self::parse(bytes)?;
        let all = message.irregularities();
        if all.is_empty() {
            Ok(message)
        } else {
            Err(StrictError::Irregular(all))
        }
    }

    /// Reads a message behind anything else: what stands before the first line that starts with
    /// MSH is passed over, and how many bytes that were is told.
    ///
    /// # Errors
    ///
    /// As [`Message::parse`], where no line starts with MSH.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let (junk, message) = Message::parse_behind(b"12:00 received:\nMSH|^~\\&|RIS\r")?;
    /// assert_eq!((junk, message.segment_count()), (16, 1));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn parse_behind(bytes: &'a [u8]) -> Result<(usize, Self), ParseError> {
        match Self::parse(bytes) {
            Err(error) if error.kind == ParseErrorKind::NoHeader => {
                let chunk = crate::batch::chunks(bytes)
                    .find(|chunk| chunk.kind == crate::batch::ChunkKind::Message);
                let start = chunk.ok_or(error)?.offset;
                Ok((start, Self::parse(bytes.get(start..).unwrap_or_default())?))
            }
            other => other.map(|message| (0, message)),
        }
    }

    /// Everything in the bytes that the standard does not have, in order.
    ///
    /// ```
    /// use hl7_message::{IrregularityKind, Message};
    ///
    /// let message = Message::parse(b"\r\nMSH|^~\\&|RIS\rPID|1\r\rPV1|1\r")?;
    /// let kinds: Vec<_> = message.irregularities().iter().map(|i| (i.offset, i.kind)).collect();
    /// assert_eq!(
    ///     kinds,
    ///     [(0, IrregularityKind::LeadingWhiteSpace), (21, IrregularityKind::BlankLine)],
    /// );
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn irregularities(&self) -> Vec<Irregularity> {
        let mut all = Vec::new();
        let mut note = |offset, location, kind| {
            all.push(Irregularity {
                offset,
                location,
                kind,
            });
        };
        let bytes = self.as_bytes();
        let mut seen = Occurrences::default();
        let mut previous: Option<usize> = None;
        let mut line_end_told = false;
        for (n, segment) in self.segments().enumerate() {
            let span = segment.span();
            match previous {
                None => before(bytes.get(..span.start).unwrap_or_default(), &mut note),
                Some(end) => {
                    let gap = bytes.get(end..span.start).unwrap_or_default();
                    between(gap, end, self.line_end(), &mut line_end_told, &mut note);
                }
            }
            let location = segment.id().map(Location::of);
            match segment.id() {
                None => note(span.start, None, IrregularityKind::SegmentName),
                Some(SegmentId::MSH) if n > 0 => {
                    note(span.start, location, IrregularityKind::SecondHeader);
                }
                Some(_) => {}
            }
            previous = Some(span.end);
            let occurrence = segment.id().map_or(1, |id| seen.next(id));
            inside(
                segment,
                location.map(|at| at.occurrence(occurrence)),
                &mut note,
            );
        }
        let end = previous.unwrap_or_default();
        let gap = bytes.get(end..).unwrap_or_default();
        behind(gap, end, self.line_end(), &mut line_end_told, &mut note);
        all.sort_by_key(|irregularity| irregularity.offset);
        all
    }
}

/// How many segments of each name there were.
#[derive(Default)]
struct Occurrences(Vec<(SegmentId, u16)>);

impl Occurrences {
    /// The number of the next segment of this name, from 1.
    fn next(&mut self, id: SegmentId) -> u16 {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| *known == id) {
            *count = count.saturating_add(1);
            return *count;
        }
        self.0.push((id, 1));
        1
    }
}

/// Control characters and escape sequences of one segment, each told once a leaf.
fn inside(
    segment: Segment<'_>,
    location: Option<Location>,
    note: &mut impl FnMut(usize, Option<Location>, IrregularityKind),
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
                        note(start + at, place, IrregularityKind::ControlCharacter);
                    }
                    if !(header && f <= 2)
                        && let Some(at) = stray_escape(bytes, separators)
                    {
                        note(start + at, place, IrregularityKind::EscapeSequence);
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

/// What stands before MSH.
fn before(gap: &[u8], note: &mut impl FnMut(usize, Option<Location>, IrregularityKind)) {
    let mark = if gap.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    if mark > 0 {
        note(0, None, IrregularityKind::ByteOrderMark);
    }
    let rest = gap.get(mark..).unwrap_or_default();
    let mut last = None;
    for (at, &byte) in rest.iter().enumerate() {
        let kind = if byte == 0x0B {
            IrregularityKind::FramingBytes
        } else {
            IrregularityKind::LeadingWhiteSpace
        };
        if last != Some(kind) {
            note(mark + at, None, kind);
        }
        last = Some(kind);
    }
}

/// What stands between two segments: their line end, and blank lines.
fn between(
    gap: &[u8],
    offset: usize,
    line_end: LineEnd,
    told: &mut bool,
    note: &mut impl FnMut(usize, Option<Location>, IrregularityKind),
) {
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(rest) = gap.get(at..).filter(|rest| !rest.is_empty()) {
        let len = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            // White space of a blank line belongs to the line end behind it.
            _ => {
                at += 1;
                continue;
            }
        };
        lines.push((at, rest.get(..len).unwrap_or_default()));
        at += len;
    }
    for (n, (at, end)) in lines.into_iter().enumerate() {
        if n > 0 {
            note(offset + at, None, IrregularityKind::BlankLine);
        } else if end != line_end.as_bytes() {
            note(offset + at, None, IrregularityKind::OtherLineEnd);
        } else if end != b"\r" && !*told {
            *told = true;
            note(offset + at, None, IrregularityKind::LineEnd);
        }
    }
}

/// What stands behind the last segment.
fn behind(
    gap: &[u8],
    offset: usize,
    line_end: LineEnd,
    told: &mut bool,
    note: &mut impl FnMut(usize, Option<Location>, IrregularityKind),
) {
    let framing = gap.iter().position(|&byte| byte == 0x1C);
    let lines = gap.get(..framing.unwrap_or(gap.len())).unwrap_or_default();
    if lines.is_empty() {
        note(offset, None, IrregularityKind::MissingTerminator);
    }
    between(lines, offset, line_end, told, note);
    if let Some(at) = framing {
        note(offset + at, None, IrregularityKind::FramingBytes);
    }
}

#[cfg(test)]
mod tests {
    use super::IrregularityKind as Kind;
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[(usize, Kind)]) {
        let message = Message::parse(bytes).unwrap();
        let found: Vec<_> = message
            .irregularities()
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
    fn each_irregularity_is_told_with_its_place() {
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
            b"MSH|^~\\&\rOBX|C:\\temp|\\X0\\\r",
            &[(15, Kind::EscapeSequence), (21, Kind::EscapeSequence)],
        );
    }

    #[test]
    fn a_megabyte_of_trouble_takes_no_more_than_its_time() {
        for trouble in [&b"\n"[..], b"\\", b"^\x01", b"\r\n", b"\rX"] {
            let mut bytes = b"MSH|^~\\&|\rOBX|".to_vec();
            bytes.extend(trouble.iter().cycle().take(1 << 20));
            let told = Message::parse(&bytes).unwrap().irregularities();
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
                let all = message.irregularities();
                prop_assert!(all.windows(2).all(|two| two[0].offset <= two[1].offset));
                prop_assert!(all.iter().all(|one| one.offset <= bytes.len()));
            }
        }
    }
}
