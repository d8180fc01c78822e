//! [`Message`]: the lazy segment table over borrowed bytes.

use core::fmt;

use crate::bitmap::best;
use crate::combinators;
use crate::cut::{Cutter, at_msh, classify, epilogue, preamble};
use crate::error::{ParseError, ParseErrorKind};
use crate::field::{Field, Subcomponent};
use crate::header::Header;
use crate::location::Location;
use crate::lookup::Lookup;
use crate::segment::{Segment, SegmentId};
use crate::separators::Separators;
use crate::table::{SegmentTable, Span};
use crate::value::Value;

/// Sizes beyond which [`Message::parse_with`] refuses to go on.
///
/// ```
/// use hl7_message::{Limits, Message};
///
/// let limits = Limits { segments_max: 1, ..Limits::default() };
/// let error = Message::parse_with(b"MSH|^~\\&|RIS\rPID|1\r", limits).unwrap_err();
/// assert_eq!(error.to_string(), "the message has more than 1 segments at MSH (byte 13)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest input in bytes; at most `u32::MAX`, which is also the cap of any other value.
    pub message_bytes_max: usize,
    /// Most segments in one message.
    pub segments_max: usize,
}

impl Default for Limits {
    /// 64 MiB and 1,000,000 segments.
    fn default() -> Self {
        Self {
            message_bytes_max: 64 << 20,
            segments_max: 1_000_000,
        }
    }
}

/// What ends the segments of a message, decided by how MSH ends.
///
/// ```
/// use hl7_message::{LineEnd, Message};
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\r\nPID|1\r\n")?;
/// assert_eq!(message.line_end(), LineEnd::CrLf);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// CR, the only terminator of the standard. A lone LF is data.
    Cr,
    /// CR LF, as text files have it. A CR or an LF alone ends a segment too: where a file was
    /// converted, every LF in it was.
    CrLf,
    /// LF, as edited files have it. A CR still ends a segment too.
    Lf,
    /// Nothing: the message is MSH alone, without an end.
    Missing,
}

impl LineEnd {
    /// The bytes of the terminator.
    ///
    /// ```
    /// use hl7_message::LineEnd;
    ///
    /// assert_eq!(LineEnd::CrLf.as_bytes(), b"\r\n");
    /// ```
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Cr => b"\r",
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
            Self::Missing => b"",
        }
    }
}

/// One HL7 v2 message over borrowed bytes.
///
/// Parsing finds the delimiters and where each segment begins and ends, nothing
/// more, and allocates nothing up to 16 segments. Fields are found when they
/// are asked for. All bytes of the input stay as they are; text is decoded only
/// on request.
///
/// A byte order mark, white space or the MLLP start block before MSH, blank
/// lines, an MLLP end block, and a missing or an extra terminator at the end
/// are stepped over. Segments end in CR; where MSH ends in LF or CR LF, in
/// these. Segments whose name has another shape than three capitals are kept.
///
/// Source: HL7 2.3 chapter 2, sections 2.7 to 2.10.
///
/// ```
/// use hl7_message::{Message, loc};
///
/// let bytes = b"MSH|^~\\&|RIS|HOSPITAL|PACS|RADIOLOGY|20230614131415||ORM^O01|MSG1|P|2.3\r\
///               PID|1||PAT789||SMITH^JOHN||19800101|M\r";
/// let message = Message::parse(bytes)?;
/// assert_eq!(message.raw(loc!("PID-5.2")), Some(&b"JOHN"[..]));
/// assert_eq!(message.segments().count(), 2);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Message<'a> {
    bytes: &'a [u8],
    separators: Separators,
    line_end: LineEnd,
    table: SegmentTable,
}

impl<'a> Message<'a> {
    /// Reads one message under the default [`Limits`].
    ///
    /// # Errors
    ///
    /// No MSH segment, delimiters that cannot work, or a limit passed.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77\r")?;
    /// assert_eq!(message.raw(loc!("PID-3")), Some(&b"77"[..]));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, Limits::default())
    }

    /// Reads one message under `limits`.
    ///
    /// # Errors
    ///
    /// As [`Message::parse`].
    // A message is too large to be moved for nothing: inlined, so that its table is filled where
    // the caller keeps it.
    ///
    /// ```
    /// use hl7_message::{Limits, Message};
    ///
    /// let limits = Limits { message_bytes_max: 5, ..Limits::default() };
    /// assert!(Message::parse_with(b"MSH|^~\\&|RIS\r", limits).is_err());
    /// ```
    #[inline]
    pub fn parse_with(bytes: &'a [u8], limits: Limits) -> Result<Self, ParseError> {
        let max = limits.message_bytes_max.min(u32::MAX as usize);
        if bytes.len() > max {
            return Err(at_msh(ParseErrorKind::TooLong { max }, 0, max));
        }
        Self::parse_at(bytes, preamble(bytes), limits)
    }

    /// Reads the message whose MSH stands at `start`, in bytes whose length is checked.
    #[inline]
    pub(crate) fn parse_at(
        bytes: &'a [u8],
        start: usize,
        limits: Limits,
    ) -> Result<Self, ParseError> {
        let mut parsed = Ok(Self {
            bytes,
            separators: Separators::DEFAULT,
            line_end: LineEnd::Missing,
            table: SegmentTable::default(),
        });
        if let Ok(message) = &mut parsed {
            match read(bytes, start, limits, &mut message.table) {
                Ok((separators, line_end)) => {
                    message.separators = separators;
                    message.line_end = line_end;
                }
                Err(error) => parsed = Err(error),
            }
        }
        parsed
    }

    /// The input, as it was given.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.as_bytes(), bytes);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The delimiters that MSH declares.
    ///
    /// ```
    /// use hl7_message::{Message, Separators};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(*message.separators(), Separators::DEFAULT);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn separators(&self) -> &Separators {
        &self.separators
    }

    /// What ends the segments.
    ///
    /// ```
    /// use hl7_message::{LineEnd, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.line_end(), LineEnd::Cr);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn line_end(&self) -> LineEnd {
        self.line_end
    }

    /// How many segments there are, MSH included.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.segment_count(), 2);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn segment_count(&self) -> usize {
        self.table.as_slice().len()
    }

    /// All segments in order, MSH first.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let names: Vec<_> = message.segments().map(|segment| segment.name()).collect();
    /// assert_eq!(names, [b"MSH", b"PID"]);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn segments(&self) -> Segments<'a, '_> {
        Segments {
            message: self,
            spans: self.table.as_slice().iter(),
        }
    }

    /// The segments of one name, in order.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|\rOBX|1\rNTE|1\rOBX|2\r")?;
    /// assert_eq!(message.segments_of(SegmentId::OBX).count(), 2);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn segments_of(&self, id: SegmentId) -> impl Iterator<Item = Segment<'a>> + '_ {
        self.segments().filter(move |segment| segment.is(id))
    }

    /// The first segment of one name.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert!(message.segment(SegmentId::PID).is_some());
    /// assert!(message.segment(SegmentId::OBR).is_none());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn segment(&self, id: SegmentId) -> Option<Segment<'a>> {
        self.segments_of(id).next()
    }

    /// The MSH segment.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.header().control_id().as_bytes(), b"MSG1");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn header(&self) -> Header<'a> {
        let span = self.table.as_slice().first().copied().unwrap_or_default();
        Header::new(self.view(span))
    }

    /// The segment that a location names, if it is there.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.segment_at(loc!("PID")).unwrap().name(), b"PID");
    /// assert!(message.segment_at(loc!("PID[2]")).is_none());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    #[inline]
    pub fn segment_at(&self, location: Location) -> Option<Segment<'a>> {
        self.find(location).map(|span| self.view(span))
    }

    /// Where the segment stands that a location names.
    #[inline]
    fn find(&self, location: Location) -> Option<Span> {
        let [a, b, c] = *location.segment_id().as_bytes();
        let name = u32::from_le_bytes([a, b, c, self.separators.field]);
        let mut left = location.occurrence_number();
        for &span in self.table.as_slice() {
            let start = span.start as usize;
            let found = match self.bytes.get(start..start + 4) {
                Some(&[a, b, c, d]) => match u32::from_le_bytes([a, b, c, d]) ^ name {
                    0 => true,
                    // A name alone is three bytes long; what follows is no part of the segment.
                    differs => differs << 8 == 0 && span.end - span.start == 3,
                },
                _ => self.bytes.get(start..) == Some(&[a, b, c]),
            };
            if found {
                left -= 1;
                if left == 0 {
                    return Some(span);
                }
            }
        }
        None
    }

    /// The field that a location names, with all its repetitions, if it is there.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.field(loc!("PID-5")).unwrap().as_bytes(), b"DOE^JANE");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn field(&self, location: Location) -> Option<Field<'a>> {
        self.segment_at(location)?.field(location.field_number()?)
    }

    /// The leaf that a location names; where the location stops above the leaves, the first one.
    ///
    /// `A`, `A^` and `A&` read alike: `PID-3`, `PID-3.1` and `PID-3.1.1` give the same leaf.
    /// `None` where the message does not reach that far.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.leaf(loc!("PID-3")).unwrap().as_bytes(), b"77");
    /// assert_eq!(message.leaf(loc!("PID-3[2].1")).unwrap().as_bytes(), b"88");
    /// assert!(message.leaf(loc!("PID-5.3")).is_none());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn leaf(&self, location: Location) -> Option<Subcomponent<'a>> {
        let field = location.field_number()?;
        let numbers = [
            location.repetition_number(),
            location.component_number().unwrap_or(1),
            location.subcomponent_number().unwrap_or(1),
        ];
        let span = self.find(location)?;
        // Straight to the leaf where nothing is special: no header, the first repetition.
        let header = matches!(
            location.segment_id(),
            SegmentId::MSH | SegmentId::FHS | SegmentId::BHS
        );
        if let ([1, component, subcomponent], false) = (numbers, header) {
            let leaf = best(Lookup {
                bytes: self.bytes,
                from: span.start as usize + 4,
                end: span.end as usize,
                separators: self.separators,
                field,
                component,
                subcomponent,
            })?;
            let offset = leaf.start;
            return Some(Subcomponent::new(
                self.bytes.get(leaf)?,
                offset,
                self.separators,
            ));
        }
        self.view(span).field(field)?.leaf(numbers)
    }

    /// What the leaf at a location says: nothing, `""` or text.
    ///
    /// ```
    /// use hl7_message::{Message, Value, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|\rPID|1||77||DOE||\"\"\r")?;
    /// assert!(message.value(loc!("PID-4")).is_absent());
    /// assert!(message.value(loc!("PID-7")).is_null());
    /// assert_eq!(message.value(loc!("PID-5.1")).raw(), Some(&b"DOE"[..]));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn value(&self, location: Location) -> Value<'a> {
        self.leaf(location).map_or(Value::Absent, Value::from)
    }

    /// The bytes between the delimiters at exactly this location, escapes as they are.
    ///
    /// The whole segment for `PID`, the whole field with its repetitions for
    /// `PID-3`, one repetition for `PID-3[2]`. `None` where it is not there.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.raw(loc!("PID-3")), Some(&b"77^^^HIS~88"[..]));
    /// assert_eq!(message.raw(loc!("PID-3[2]")), Some(&b"88"[..]));
    /// assert_eq!(message.raw(loc!("PID-5.2")), Some(&b"JANE"[..]));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn raw(&self, location: Location) -> Option<&'a [u8]> {
        let segment = self.segment_at(location)?;
        let Some(field) = location.field_number() else {
            return Some(segment.as_bytes());
        };
        let field = segment.field(field)?;
        let Some(component) = location.component_number() else {
            return if location.repetition_number() == 1 {
                Some(field.as_bytes())
            } else {
                Some(field.repetition(location.repetition_number())?.as_bytes())
            };
        };
        let component = field
            .repetition(location.repetition_number())?
            .component(component)?;
        match location.subcomponent_number() {
            None => Some(component.as_bytes()),
            Some(subcomponent) => Some(component.subcomponent(subcomponent)?.as_bytes()),
        }
    }

    /// The name of the place that holds the byte at `offset`, as exactly as it can be told:
    /// down to the subcomponent inside a field, the segment alone on its name.
    /// `None` outside every segment.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let message = Message::parse(b"MSH|^~\\&|\rPID|1||77^^^A&B\r")?;
    /// assert_eq!(message.location_at(24).unwrap().to_string(), "PID-3.4.2");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn location_at(&self, offset: usize) -> Option<Location> {
        let segment = self
            .segments()
            .find(|segment| segment.span().contains(&offset))?;
        let id = segment.id()?;
        let before = self
            .segments_of(id)
            .take_while(|other| other.span().end <= offset)
            .count();
        let location = Location::of(id).occurrence(u16::try_from(before + 1).ok()?);
        Some(segment.locate(offset, location))
    }

    /// Where the `n`-th segment stands, from 0.
    pub(crate) fn span(&self, n: usize) -> Option<core::ops::Range<usize>> {
        self.table.as_slice().get(n).map(|span| span.range())
    }

    #[inline]
    fn view(&self, span: Span) -> Segment<'a> {
        let bytes = self.bytes.get(span.range()).unwrap_or_default();
        Segment::new(bytes, span.start as usize, self.separators)
    }
}

/// Finds the delimiters, what ends the segments, and into `table` where these stand.
fn read(
    bytes: &[u8],
    start: usize,
    limits: Limits,
    table: &mut SegmentTable,
) -> Result<(Separators, LineEnd), ParseError> {
    let body = bytes.get(start..).unwrap_or_default();
    let body = body.get(..epilogue(body)).unwrap_or_default();
    // The delimiters that nearly every message declares need no reading.
    let separators = if body.starts_with(br"MSH|^~\&|") {
        Separators::DEFAULT
    } else {
        declared(bytes, body, start)?
    };
    let cutter = Cutter {
        body,
        start,
        segments_max: limits.segments_max,
        table,
    };
    Ok((separators, best(cutter)?))
}

/// The delimiters that the header of `body` declares, which begins at `start` of `bytes`.
#[cold]
fn declared(bytes: &[u8], body: &[u8], start: usize) -> Result<Separators, ParseError> {
    combinators::separators(body).map_err(|(kind, field, offset)| {
        let kind = if kind == ParseErrorKind::NoHeader {
            classify(bytes, body)
        } else {
            kind
        };
        at_msh(kind, field, start + offset)
    })
}

impl fmt::Debug for Message<'_> {
    /// Names and sizes only: the values are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &self.bytes.len())
            .field(
                "segments",
                &self
                    .segments()
                    .map(|s| s.name_lossy().into_owned())
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// The segments of a message in order; made by [`Message::segments`].
///
/// ```
/// use hl7_message::Message;
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
/// let message = Message::parse(bytes)?;
/// let mut segments = message.segments();
/// assert_eq!(segments.len(), 2);
/// assert_eq!(segments.next_back().unwrap().name(), b"PID");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Segments<'a, 'm> {
    message: &'m Message<'a>,
    spans: core::slice::Iter<'m, Span>,
}

impl<'a> Iterator for Segments<'a, '_> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.spans.next().map(|span| self.message.view(*span))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Segments<'_, '_> {}

impl DoubleEndedIterator for Segments<'_, '_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.spans.next_back().map(|span| self.message.view(*span))
    }
}

#[cfg(test)]
mod tests;
