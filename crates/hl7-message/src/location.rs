//! [`Location`]: where in a message something stands, `PID-5.2`.

use core::fmt;
use core::str::FromStr;

use crate::segment::SegmentId;

/// A place in a message: segment with occurrence, field, repetition, component, subcomponent.
///
/// All are counted from 1, as the standard counts; MSH-1 is the field separator
/// and MSH-2 the encoding characters. Printed as `OBX[2]-5`, `PID-3[2].4.1`;
/// `PID.5.2`, `PID-5-2` and `PID-5(2)` are read too.
///
/// ```
/// use hl7_message::{Location, loc};
///
/// const NAME: Location = loc!("PID-5.1");          // checked at compile time
/// assert_eq!(NAME, Location::field(*b"PID", 5).component(1));
///
/// let text: Location = "OBX(2).5".parse().unwrap(); // checked at run time
/// assert_eq!(text.to_string(), "OBX[2]-5");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    segment: SegmentId,
    occurrence: u16,
    field: u16,
    repetition: u16,
    component: u16,
    subcomponent: u16,
}

/// A [`Location`] from its text, checked when the program is compiled.
///
/// ```
/// use hl7_message::loc;
/// assert_eq!(loc!("OBR-4.2").to_string(), "OBR-4.2");
/// ```
///
/// ```compile_fail
/// let nowhere = hl7_message::loc!("PID-0");
/// ```
#[macro_export]
macro_rules! loc {
    ($text:literal) => {
        const { $crate::Location::from_static($text) }
    };
}

impl Location {
    /// The first segment of this name. The name must be a letter and two letters or digits,
    /// in capitals; `const` evaluation stops with an error where it is not.
    ///
    /// # Panics
    ///
    /// On another name. For names from outside use [`FromStr`].
    ///
    /// ```
    /// use hl7_message::{Location, loc};
    ///
    /// assert_eq!(Location::segment(*b"PID"), loc!("PID"));
    /// ```
    pub const fn segment(id: [u8; 3]) -> Self {
        let Some(segment) = SegmentId::new(id) else {
            panic!("a segment name is a capital letter and two capital letters or digits")
        };
        Self::of(segment)
    }

    /// The first segment with this id.
    ///
    /// ```
    /// use hl7_message::{Location, SegmentId, loc};
    ///
    /// assert_eq!(Location::of(SegmentId::OBX), loc!("OBX"));
    /// ```
    pub const fn of(segment: SegmentId) -> Self {
        Self {
            segment,
            occurrence: 1,
            field: 0,
            repetition: 1,
            component: 0,
            subcomponent: 0,
        }
    }

    /// Field `field` of the first segment of this name.
    ///
    /// # Panics
    ///
    /// As [`Location::segment`] does.
    ///
    /// ```
    /// use hl7_message::{Location, loc};
    ///
    /// assert_eq!(Location::field(*b"OBR", 4), loc!("OBR-4"));
    /// ```
    pub const fn field(id: [u8; 3], field: u16) -> Self {
        Self::segment(id).at_field(field)
    }

    /// The same segment, field `field`; 0 is the whole segment.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("OBX[2]").at_field(5), loc!("OBX[2]-5"));
    /// ```
    #[must_use]
    pub const fn at_field(mut self, field: u16) -> Self {
        self.field = field;
        self
    }

    /// The same place in the `occurrence`-th segment of this name.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("OBX-5").occurrence(2), loc!("OBX[2]-5"));
    /// ```
    #[must_use]
    pub const fn occurrence(mut self, occurrence: u16) -> Self {
        self.occurrence = if occurrence == 0 { 1 } else { occurrence };
        self
    }

    /// The same field, its `repetition`-th repetition.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("PID-3").repetition(2), loc!("PID-3[2]"));
    /// ```
    #[must_use]
    pub const fn repetition(mut self, repetition: u16) -> Self {
        self.repetition = if repetition == 0 { 1 } else { repetition };
        self
    }

    /// The same field, its `component`-th component; 0 is all of it.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("PID-5").component(2), loc!("PID-5.2"));
    /// ```
    #[must_use]
    pub const fn component(mut self, component: u16) -> Self {
        self.component = component;
        self
    }

    /// The same component, its `subcomponent`-th subcomponent; 0 is all of it.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("PID-3.4").subcomponent(2), loc!("PID-3.4.2"));
    /// ```
    #[must_use]
    pub const fn subcomponent(mut self, subcomponent: u16) -> Self {
        self.subcomponent = subcomponent;
        self
    }

    /// The segment's name.
    ///
    /// ```
    /// use hl7_message::{SegmentId, loc};
    ///
    /// assert_eq!(loc!("PID-5.2").segment_id(), SegmentId::PID);
    /// ```
    pub const fn segment_id(&self) -> SegmentId {
        self.segment
    }

    /// Which of the segments of this name, from 1.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("OBX[2]-5").occurrence_number(), 2);
    /// ```
    pub const fn occurrence_number(&self) -> u16 {
        self.occurrence
    }

    /// The field, or `None` for the whole segment.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!((loc!("PID-5").field_number(), loc!("PID").field_number()), (Some(5), None));
    /// ```
    pub const fn field_number(&self) -> Option<u16> {
        number(self.field)
    }

    /// The repetition, from 1.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("PID-3[2].1").repetition_number(), 2);
    /// ```
    pub const fn repetition_number(&self) -> u16 {
        self.repetition
    }

    /// The component, or `None` for the whole repetition.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("PID-5.2").component_number(), Some(2));
    /// ```
    pub const fn component_number(&self) -> Option<u16> {
        number(self.component)
    }

    /// The subcomponent, or `None` for the whole component.
    ///
    /// ```
    /// use hl7_message::loc;
    ///
    /// assert_eq!(loc!("PID-3.4.1").subcomponent_number(), Some(1));
    /// ```
    pub const fn subcomponent_number(&self) -> Option<u16> {
        number(self.subcomponent)
    }

    /// Reads a location in a constant; [`loc!`](crate::loc) calls this.
    ///
    /// # Panics
    ///
    /// When the text is not a location: in a constant this is a compile error.
    ///
    /// ```
    /// use hl7_message::Location;
    ///
    /// const NAME: Location = Location::from_static("PID-5");
    /// assert_eq!(NAME.to_string(), "PID-5");
    /// ```
    pub const fn from_static(text: &str) -> Self {
        match Self::read(text.as_bytes()) {
            Ok(location) => location,
            Err(_) => panic!("not a location: write PID-5.2 or OBX[2]-5"),
        }
    }

    /// Reads the text form, all of it.
    const fn read(text: &[u8]) -> Result<Self, LocationError> {
        match Self::read_start(text) {
            Ok((location, left)) => end(location, left, text.len()),
            Err(error) => Err(error),
        }
    }

    /// Reads the longest location that `text` starts with, and gives what is left; the one home of
    /// the grammar, for constants and at run time.
    pub(crate) const fn read_start(text: &[u8]) -> Result<(Self, &[u8]), LocationError> {
        let [a, b, c, rest @ ..] = text else {
            return Err(LocationError {
                offset: 0,
                expected: Expected::SegmentName,
            });
        };
        let Some(segment) = SegmentId::new([*a, *b, *c]) else {
            return Err(LocationError {
                offset: 0,
                expected: Expected::SegmentName,
            });
        };
        let mut location = Self::of(segment);
        let mut left = rest;
        let total = text.len();

        match index(left, total) {
            Ok(Some((occurrence, after))) => {
                location.occurrence = occurrence;
                left = after;
            }
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        match part(left, total) {
            Ok(Some((field, after))) => {
                location.field = field;
                left = after;
            }
            Ok(None) => return Ok((location, left)),
            Err(error) => return Err(error),
        }
        match index(left, total) {
            Ok(Some((repetition, after))) => {
                location.repetition = repetition;
                left = after;
            }
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        match part(left, total) {
            Ok(Some((component, after))) => {
                location.component = component;
                left = after;
            }
            Ok(None) => return Ok((location, left)),
            Err(error) => return Err(error),
        }
        match part(left, total) {
            Ok(Some((subcomponent, after))) => {
                location.subcomponent = subcomponent;
                Ok((location, after))
            }
            Ok(None) => Ok((location, left)),
            Err(error) => Err(error),
        }
    }
}

const fn number(value: u16) -> Option<u16> {
    if value == 0 { None } else { Some(value) }
}

const fn end(location: Location, left: &[u8], total: usize) -> Result<Location, LocationError> {
    if left.is_empty() {
        Ok(location)
    } else {
        Err(LocationError {
            offset: total - left.len(),
            expected: Expected::End,
        })
    }
}

type Read<'a> = Result<Option<(u16, &'a [u8])>, LocationError>;

/// `[n]` or `(n)`.
const fn index(text: &[u8], total: usize) -> Read<'_> {
    let close = match text {
        [b'[', ..] => b']',
        [b'(', ..] => b')',
        _ => return Ok(None),
    };
    let [_, inner @ ..] = text else {
        return Ok(None);
    };
    match digits(inner, total) {
        Ok((value, [after, rest @ ..])) if *after == close => Ok(Some((value, rest))),
        Ok((_, rest)) => Err(LocationError {
            offset: total - rest.len(),
            expected: Expected::ClosingBracket,
        }),
        Err(error) => Err(error),
    }
}

/// `-n` or `.n`.
const fn part(text: &[u8], total: usize) -> Read<'_> {
    let [b'-' | b'.', rest @ ..] = text else {
        return Ok(None);
    };
    match digits(rest, total) {
        Ok((value, after)) => Ok(Some((value, after))),
        Err(error) => Err(error),
    }
}

/// A number from 1 to 65,535.
const fn digits(text: &[u8], total: usize) -> Result<(u16, &[u8]), LocationError> {
    let wrong = LocationError {
        offset: total - text.len(),
        expected: Expected::Number,
    };
    let mut value: u32 = 0;
    let mut left = text;
    while let [digit @ b'0'..=b'9', rest @ ..] = left {
        value = value * 10 + (*digit - b'0') as u32;
        if value > u16::MAX as u32 {
            return Err(wrong);
        }
        left = rest;
    }
    if value == 0 {
        return Err(wrong);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked against u16::MAX above"
    )]
    Ok((value as u16, left))
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text.as_bytes())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_none() {
            return self.write_to(f);
        }
        // In a column: put together first, then padded as a whole.
        let mut text = String::new();
        self.write_to(&mut text)?;
        f.pad(&text)
    }
}

impl Location {
    fn write_to(&self, f: &mut impl fmt::Write) -> fmt::Result {
        write!(f, "{}", self.segment)?;
        if self.occurrence > 1 {
            write!(f, "[{}]", self.occurrence)?;
        }
        if let Some(field) = self.field_number() {
            write!(f, "-{field}")?;
            if self.repetition > 1 {
                write!(f, "[{}]", self.repetition)?;
            }
            if let Some(component) = self.component_number() {
                write!(f, ".{component}")?;
                if let Some(subcomponent) = self.subcomponent_number() {
                    write!(f, ".{subcomponent}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a [`Location`], and where it stops being one.
///
/// ```
/// use hl7_message::Location;
///
/// let error = "PID-5.x".parse::<Location>().unwrap_err();
/// assert_eq!(error.offset, 6);
/// assert!(error.to_string().starts_with("not a location: expected a number"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocationError {
    /// Byte offset in the text.
    pub offset: usize,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    SegmentName,
    Number,
    ClosingBracket,
    End,
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = match self.expected {
            Expected::SegmentName => "a segment name such as PID",
            Expected::Number => "a number from 1 to 65535",
            Expected::ClosingBracket => "a closing bracket",
            Expected::End => "the end, or one of - . [ (",
        };
        write!(
            f,
            "not a location: expected {expected} at character {}; write PID-5.2 or OBX[2]-5",
            self.offset + 1
        )
    }
}

impl core::error::Error for LocationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, printed: &str) {
        assert_eq!(text.parse::<Location>().unwrap().to_string(), printed);
    }

    #[test]
    fn every_spelling_is_read_and_printed_one_way() {
        check("PID", "PID");
        check("PID-5", "PID-5");
        check("PID-5.2", "PID-5.2");
        check("PID.5.2", "PID-5.2");
        check("PID-5-2", "PID-5.2");
        check("PID-5(2)", "PID-5[2]");
        check("PID-5[1]", "PID-5");
        check("OBX[2]-5", "OBX[2]-5");
        check("OBX(2).5", "OBX[2]-5");
        check("PID-3[2].4.1", "PID-3[2].4.1");
        check("ZDS-1", "ZDS-1");
        check("PV1-20", "PV1-20");
    }

    #[test]
    fn other_text_is_refused_with_its_place() {
        for (text, offset) in [
            ("", 0),
            ("PI", 0),
            ("pid-5", 0),
            ("1ID-5", 0),
            ("PID-", 4),
            ("PID-0", 4),
            ("PID-65536", 4),
            ("PID-5.x", 6),
            ("PID[2", 5),
            ("PID[2)-5", 5),
            ("PID-5.1.2.3", 9),
            ("PID5", 3),
        ] {
            assert_eq!(
                text.parse::<Location>().unwrap_err().offset,
                offset,
                "{text}"
            );
        }
    }

    #[test]
    fn constants_and_run_time_agree() {
        assert_eq!(loc!("PID-3[2].4.1"), "PID-3[2].4.1".parse().unwrap());
    }
}
