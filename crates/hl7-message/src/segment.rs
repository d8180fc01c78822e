//! [`Segment`] and its name, [`SegmentId`].

use core::fmt;
use core::ops::Range;
use core::str::FromStr;
use std::borrow::Cow;

use crate::bitmap::position_of_nth;
use crate::field::{Field, Pieces, find, head};
use crate::location::Location;
use crate::separators::Separators;

/// The name of a segment: a capital letter and two capital letters or digits.
///
/// ```
/// use hl7_message::SegmentId;
///
/// assert_eq!("PV1".parse(), Ok(SegmentId::PV1));
/// assert!("pv1".parse::<SegmentId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId([u8; 3]);

macro_rules! ids {
    ($($id:ident: $what:literal),* $(,)?) => {
        impl SegmentId {
            $(
                #[doc = concat!("`", stringify!($id), "`, ", $what, ".")]
                pub const $id: Self = {
                    let bytes = stringify!($id).as_bytes();
                    let [a, b, c] = bytes else { panic!("three letters") };
                    Self([*a, *b, *c])
                };
            )*
        }
    };
}

ids! {
    MSH: "message header", MSA: "message acknowledgement", ERR: "error", EVN: "event type",
    PID: "patient identification", PV1: "patient visit", MRG: "merge patient information",
    ORC: "common order", OBR: "observation request", OBX: "observation result",
    NTE: "notes and comments", DSC: "continuation pointer", ADD: "addendum",
    FHS: "file header",
    BHS: "batch header", BTS: "batch trailer", FTS: "file trailer",
    ZDS: "study instance UID, as imaging systems add it",
}

impl SegmentId {
    /// A name from its three bytes, or `None` for another shape.
    ///
    /// ```
    /// use hl7_message::SegmentId;
    ///
    /// assert_eq!(SegmentId::new(*b"PID"), Some(SegmentId::PID));
    /// assert_eq!(SegmentId::new(*b"pid"), None);
    /// ```
    pub const fn new(bytes: [u8; 3]) -> Option<Self> {
        let [first, second, third] = bytes;
        let rest = (second.is_ascii_uppercase() || second.is_ascii_digit())
            && (third.is_ascii_uppercase() || third.is_ascii_digit());
        if first.is_ascii_uppercase() && rest {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// Whether a segment of this name declares the delimiters in its fields 1 and 2, which are
    /// never split: MSH, FHS and BHS.
    ///
    /// ```
    /// use hl7_message::SegmentId;
    ///
    /// assert!(SegmentId::MSH.declares() && SegmentId::BHS.declares());
    /// assert!(!SegmentId::PID.declares());
    /// ```
    pub const fn declares(self) -> bool {
        matches!(&self.0, b"MSH" | b"FHS" | b"BHS")
    }

    /// The three bytes.
    ///
    /// ```
    /// use hl7_message::SegmentId;
    ///
    /// assert_eq!(SegmentId::OBR.as_bytes(), b"OBR");
    /// ```
    pub const fn as_bytes(&self) -> &[u8; 3] {
        &self.0
    }

    /// The name as text.
    ///
    /// ```
    /// use hl7_message::SegmentId;
    ///
    /// assert_eq!(SegmentId::OBR.as_str(), "OBR");
    /// ```
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for SegmentId {
    type Err = InvalidSegmentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <[u8; 3]>::try_from(text.as_bytes())
            .ok()
            .and_then(Self::new)
            .ok_or(InvalidSegmentId)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is not the name of a segment.
///
/// ```
/// use hl7_message::{InvalidSegmentId, SegmentId};
///
/// assert_eq!("PI".parse::<SegmentId>(), Err(InvalidSegmentId));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidSegmentId;

impl fmt::Display for InvalidSegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a segment name is a capital letter and two capital letters or digits")
    }
}

impl core::error::Error for InvalidSegmentId {}

/// One segment: its name and its fields, without the terminator.
///
/// A small `Copy` value; what it gives lives as long as the input.
///
/// ```
/// use hl7_message::{Message, SegmentId};
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77\r")?;
/// let pid = message.segment(SegmentId::PID).unwrap();
/// assert_eq!(pid.field(3).unwrap().as_bytes(), b"77");
/// assert_eq!(pid.fields().count(), 3);
///
/// let msh = message.segment(SegmentId::MSH).unwrap();
/// assert_eq!(msh.field(1).unwrap().as_bytes(), b"|");
/// assert_eq!(msh.field(2).unwrap().as_bytes(), b"^~\\&");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    offset: usize,
    separators: Separators,
}

impl<'a> Segment<'a> {
    pub(crate) const fn new(bytes: &'a [u8], offset: usize, separators: Separators) -> Self {
        Self {
            bytes,
            offset,
            separators,
        }
    }

    /// The bytes of the segment, name included.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let pid = message.segment(SegmentId::PID).unwrap();
    /// assert!(pid.as_bytes().starts_with(b"PID|1||77"));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where it stands in the input.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let pid = message.segment(SegmentId::PID).unwrap();
    /// assert_eq!(&bytes[pid.span()], pid.as_bytes());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn span(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }

    /// The delimiters in force.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let pid = message.segment(SegmentId::PID).unwrap();
    /// assert_eq!(pid.separators().field(), b'|');
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn separators(&self) -> &Separators {
        &self.separators
    }

    /// The bytes before the first field separator, whatever their shape.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rpid|1\r")?;
    /// assert_eq!(message.segments().next_back().unwrap().name(), b"pid");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn name(&self) -> &'a [u8] {
        let end = find(self.separators.field, self.bytes).unwrap_or(self.bytes.len());
        self.bytes.get(..end).unwrap_or_default()
    }

    pub(crate) fn name_lossy(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.name())
    }

    /// The name, if it has the shape of one.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rpid|1\r")?;
    /// let ids: Vec<_> = message.segments().map(|segment| segment.id()).collect();
    /// assert_eq!(ids, [Some(SegmentId::MSH), None]);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn id(&self) -> Option<SegmentId> {
        let [a, b, c, rest @ ..] = self.bytes else {
            return None;
        };
        match rest.first() {
            None => SegmentId::new([*a, *b, *c]),
            Some(&next) if next == self.separators.field => SegmentId::new([*a, *b, *c]),
            Some(_) => None,
        }
    }

    /// Whether this segment has the name `id`.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert!(message.segments().any(|segment| segment.is(SegmentId::PID)));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    #[inline]
    pub fn is(&self, id: SegmentId) -> bool {
        let [a, b, c, rest @ ..] = self.bytes else {
            return false;
        };
        [*a, *b, *c] == *id.as_bytes()
            && rest
                .first()
                .is_none_or(|&next| next == self.separators.field)
    }

    /// MSH, FHS and BHS declare the delimiters: their fields 1 and 2 are never split.
    fn declares(&self) -> bool {
        matches!(
            self.bytes,
            [b'M', b'S', b'H', ..] | [b'F' | b'B', b'H', b'S', ..]
        ) && self.bytes.get(3) == Some(&self.separators.field)
    }

    /// All fields in order, from field 1; MSH-1 is the field separator itself.
    ///
    /// Trailing empty fields count: `PID|1||` has three.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let pid = message.segment(SegmentId::PID).unwrap();
    /// let fields: Vec<_> = pid.fields().map(|field| field.as_bytes()).collect();
    /// assert_eq!(fields[4], b"DOE^JANE");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn fields(&self) -> Fields<'a> {
        let name = self.name().len();
        let separators = self.separators;
        let rest = self.bytes.get(name + 1..);
        if self.declares() {
            let own = self.bytes.get(name..=name).unwrap_or_default();
            let first = Field::new(own, self.offset + name, Separators::ATOMIC);
            Fields {
                first: Some(first),
                second: true,
                rest: pieces(rest, self, name),
                separators,
            }
        } else {
            Fields {
                first: None,
                second: false,
                rest: pieces(rest, self, name),
                separators,
            }
        }
    }

    /// Field `number`, from 1. `None` where the segment ends before it.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let pid = message.segment(SegmentId::PID).unwrap();
    /// assert_eq!(pid.field(5).unwrap().as_bytes(), b"DOE^JANE");
    /// assert!(pid.field(8).is_none());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    #[inline]
    pub fn field(&self, number: u16) -> Option<Field<'a>> {
        let separators = self.separators;
        // A name of three characters and a field: nearly every segment.
        let Some((name, rest)) = self.bytes.split_first_chunk::<4>() else {
            return self.any_field(number);
        };
        let [a, b, c, next] = *name;
        let plain = next == separators.field
            && ![a, b, c].contains(&separators.field)
            && !matches!([a, b, c], [b'M', b'S', b'H'] | [b'F' | b'B', b'H', b'S']);
        if !plain {
            return self.any_field(number);
        }
        let before = usize::from(number).checked_sub(1)?;
        let start = match before.checked_sub(1) {
            None => 0,
            Some(last) => position_of_nth(rest, separators.field, last)? + 1,
        };
        let bytes = head(rest.get(start..)?, separators.field);
        Some(Field::new(bytes, self.offset + 4 + start, separators))
    }

    /// [`Segment::field`] for segments of any shape.
    fn any_field(&self, number: u16) -> Option<Field<'a>> {
        self.fields().nth(usize::from(number).checked_sub(1)?)
    }

    /// The name of the place at `offset`, which lies inside this segment.
    pub(crate) fn locate(&self, offset: usize, location: Location) -> Location {
        let inside =
            |span: Range<usize>| span.start <= offset && offset < span.end.max(span.start + 1);
        let step = |n: usize| u16::try_from(n + 1).unwrap_or(u16::MAX);
        let Some((f, field)) = self.fields().enumerate().find(|(_, f)| inside(f.span())) else {
            return location;
        };
        let location = location.at_field(step(f));
        if self.declares() && f < 2 {
            return location;
        }
        let Some((r, repetition)) = field
            .repetitions()
            .enumerate()
            .find(|(_, r)| inside(r.span()))
        else {
            return location;
        };
        let location = location.repetition(step(r));
        let Some((c, component)) = repetition
            .components()
            .enumerate()
            .find(|(_, c)| inside(c.span()))
        else {
            return location;
        };
        let location = location.component(step(c));
        match component
            .subcomponents()
            .enumerate()
            .find(|(_, s)| inside(s.span()))
        {
            Some((s, _)) => location.subcomponent(step(s)),
            None => location,
        }
    }
}

fn pieces<'a>(rest: Option<&'a [u8]>, segment: &Segment<'_>, name: usize) -> Pieces<'a> {
    Pieces::new(rest, segment.offset + name + 1, segment.separators.field)
}

impl fmt::Debug for Segment<'_> {
    /// Name and size only: the values are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Segment({}, {} bytes)",
            self.name_lossy(),
            self.bytes.len()
        )
    }
}

/// The fields of a segment in order; made by [`Segment::fields`].
///
/// ```
/// use hl7_message::{Message, SegmentId};
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
/// let message = Message::parse(bytes)?;
/// let pid = message.segment(SegmentId::PID).unwrap();
/// let mut fields = pid.fields();
/// assert_eq!(fields.nth(4).unwrap().as_bytes(), b"DOE^JANE");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    first: Option<Field<'a>>,
    second: bool,
    rest: Pieces<'a>,
    separators: Separators,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let (bytes, offset) = self.rest.next()?;
        let separators = if self.second {
            Separators::ATOMIC
        } else {
            self.separators
        };
        self.second = false;
        Some(Field::new(bytes, offset, separators))
    }

    #[inline]
    fn nth(&mut self, mut n: usize) -> Option<Self::Item> {
        while n > 0 && (self.first.is_some() || self.second) {
            self.next()?;
            n -= 1;
        }
        if n > 0 {
            self.rest.step_over(n)?;
        }
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    #[test]
    fn trailing_empty_fields_count() {
        let message = Message::parse(b"MSH|^~\\&|A||\rPID|1||\rZZZ\rZZ1|").unwrap();
        let counts: Vec<_> = message.segments().map(|s| s.fields().count()).collect();
        assert_eq!(counts, [5, 3, 0, 1]);
    }

    #[test]
    fn odd_names_are_kept() {
        let message = Message::parse(b"MSH|^~\\&\rpid|1\rPIDX|1\rfree text\r").unwrap();
        let names: Vec<_> = message
            .segments()
            .map(|s| s.name_lossy().into_owned())
            .collect();
        assert_eq!(names, ["MSH", "pid", "PIDX", "free text"]);
        assert!(message.segments().skip(1).all(|s| s.id().is_none()));
        assert!(message.segment(SegmentId::PID).is_none());
    }

    #[test]
    fn nth_agrees_with_next() {
        let message = Message::parse(b"MSH|^~\\&|A|B||D\rPID|1|2|3||5\r").unwrap();
        for segment in message.segments() {
            let all: Vec<_> = segment.fields().map(|f| (f.as_bytes(), f.span())).collect();
            for (n, expected) in all.iter().enumerate() {
                let field = segment.field(u16::try_from(n + 1).unwrap()).unwrap();
                assert_eq!(&(field.as_bytes(), field.span()), expected);
            }
            assert!(
                segment
                    .field(u16::try_from(all.len() + 1).unwrap())
                    .is_none()
            );
            assert!(segment.field(0).is_none());
        }
    }
}
