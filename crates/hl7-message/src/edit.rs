//! [`Edit`]: changes to a message as splices over its bytes.

mod error;

use core::fmt;
use core::ops::Range;
use std::collections::BTreeMap;

use crate::escape::{self, NoEscapeCharacter};
use crate::location::Location;
use crate::message::{LineEnd, Message};
use crate::raw::{Classes, ends_segment};
use crate::segment::{Segment, SegmentId};
use crate::separators::Separators;

pub use error::EditError;

/// Changes to one message. What they do not name stays as it was, byte for byte: line ends, blank
/// lines, framing, trailing delimiters, segments of any shape.
///
/// A place that is not there yet is made, with the delimiters before it; a segment has to be
/// there. To put nothing where nothing stands changes nothing. A place is what [`Message::raw`]
/// gives for it: `PID-3` is the whole field with all its repetitions, `PID-3.1` the first
/// component with all its subcomponents.
///
/// Values are put in one after another, in the order given: the last one for a place wins, and
/// `PID-5` followed by `PID-5.2` gives both. A change that is refused leaves those before it
/// standing. Segments are counted as in the message that was read, whatever is inserted or
/// removed on the way; what is inserted can be edited only once it has been read in its turn.
///
/// ```
/// use hl7_message::{Edit, Message, loc};
///
/// let bytes = b"MSH|^~\\&|RIS|HOSPITAL\nPID|1||PAT789||SMITH^JOHN||\n\nNTE|1||old\n";
/// let message = Message::parse(bytes)?;
/// let mut edit = Edit::new(&message);
/// edit.set(loc!("PID-5.1"), "O'NEIL & SON")?
///     .set_null(loc!("PID-7"))?
///     .set_raw(loc!("PID-3[2]"), b"A1^^^LAB")?
///     .remove_segment(loc!("NTE"))?
///     .append_segment(b"PV1|1|O")?;
/// assert_eq!(
///     edit.apply(),
///     b"MSH|^~\\&|RIS|HOSPITAL\n\
///       PID|1||PAT789~A1^^^LAB||O'NEIL \\T\\ SON^JOHN||\"\"\n\
///       \n\
///       PV1|1|O\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Edit<'m> {
    message: &'m Message<'m>,
    /// By where the segment starts.
    changes: BTreeMap<usize, Change<'m>>,
}

/// What becomes of one segment.
#[derive(Clone)]
struct Change<'m> {
    segment: Segment<'m>,
    before: Vec<Vec<u8>>,
    removed: bool,
    /// Whole fields as they are written.
    fields: BTreeMap<u16, Vec<u8>>,
    after: Vec<Vec<u8>>,
}

impl<'m> Edit<'m> {
    /// No changes yet.
    ///
    /// ```
    /// use hl7_message::{Edit, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS\n\nPID|1";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(Edit::new(&message).apply(), bytes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new(message: &'m Message<'m>) -> Self {
        Self {
            message,
            changes: BTreeMap::new(),
        }
    }

    /// Puts text at a place, escaped under the delimiters of the message. The empty text empties
    /// the place, and `""` is what HL7 reads as null.
    ///
    /// The text is written in UTF-8; for a message in another character set, encode it and use
    /// [`Edit::set_bytes`].
    ///
    /// # Errors
    ///
    /// A place without a field or in a segment that is not there, the delimiters themselves
    /// (MSH-1 and MSH-2), a delimiter that MSH-2 does not declare, text that cannot be escaped.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.set(loc!("PID-5.2"), "JANE")?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|1||77||DOE^JANE\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&mut self, location: Location, text: &str) -> Result<&mut Self, EditError> {
        self.set_bytes(location, text.as_bytes())
    }

    /// Puts text in any ASCII-compatible character set at a place, escaped.
    ///
    /// # Errors
    ///
    /// As [`Edit::set`].
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.set_bytes(loc!("PID-5"), b"M\xFCller")?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|1||77||M\xFCller\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_bytes(&mut self, location: Location, text: &[u8]) -> Result<&mut Self, EditError> {
        let escaped = escape::escape(text, self.message.separators())
            .map_err(|NoEscapeCharacter| EditError::NoEscapeCharacter { location })?;
        self.put(location, &escaped)
    }

    /// Puts bytes at a place that are written already: escapes and inner delimiters stay.
    ///
    /// ```
    /// use hl7_message::{Edit, EditError, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|\rPID|1||77||DOE^JANE\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.set_raw(loc!("PID-5"), br"O\T\NEIL^ANN")?;
    /// assert_eq!(
    ///     edit.set_raw(loc!("PID-5.1"), b"A^B").unwrap_err(),
    ///     EditError::RawBytes { location: loc!("PID-5.1"), offset: 1 },
    /// );
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|\rPID|1||77||O\\T\\NEIL^ANN\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Edit::set`], and bytes that would end the place, its segment or an MLLP frame.
    pub fn set_raw(&mut self, location: Location, bytes: &[u8]) -> Result<&mut Self, EditError> {
        let separators = *self.message.separators();
        match Classes::of(separators).first_end(bytes, location) {
            Some(offset) => Err(EditError::RawBytes { location, offset }),
            None => self.put(location, bytes),
        }
    }

    /// Puts `""` at a place: delete the stored value.
    ///
    /// # Errors
    ///
    /// As [`Edit::set`], and a message that has `"` for a delimiter.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.set_null(loc!("PID-7"))?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|1||77||DOE||\"\"\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_null(&mut self, location: Location) -> Result<&mut Self, EditError> {
        if self.message.separators().is_delimiter(b'"') {
            return Err(EditError::RawBytes {
                location,
                offset: 0,
            });
        }
        self.put(location, b"\"\"")
    }

    /// Empties a place: leave the stored value alone. The delimiters around it stay.
    ///
    /// # Errors
    ///
    /// As [`Edit::set`].
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.clear(loc!("PID-3"))?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|1||||DOE\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&mut self, location: Location) -> Result<&mut Self, EditError> {
        self.put(location, b"")
    }

    /// Takes out a segment with its line end.
    ///
    /// # Errors
    ///
    /// A place that names a field, a segment that is not there, and the MSH that starts the
    /// message.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.remove_segment(loc!("NTE"))?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|1||77||DOE\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_segment(&mut self, location: Location) -> Result<&mut Self, EditError> {
        let segment = self.whole_segment(location)?;
        if self.is_header(segment) {
            return Err(EditError::Header { location });
        }
        self.change(segment).removed = true;
        Ok(self)
    }

    /// Inserts a segment, written already and without a line end, behind the one at `location`.
    /// Several stand in the order in which they were given.
    ///
    /// With [`Edit::remove_segment`] it takes the place of that segment.
    ///
    /// # Errors
    ///
    /// A place that names a field, a segment that is not there, and bytes that are not one
    /// segment: a line end or a framing byte in them, or no name such as `NTE` to begin with.
    /// MSH and the segments of batches would begin another message and are refused.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.insert_segment_after(loc!("PID"), b"PV1|1|O")?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|1||77||DOE\rPV1|1|O\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_segment_after(
        &mut self,
        location: Location,
        bytes: &[u8],
    ) -> Result<&mut Self, EditError> {
        self.check_segment(bytes)?;
        let segment = self.whole_segment(location)?;
        self.change(segment).after.push(bytes.to_vec());
        Ok(self)
    }

    /// Inserts a segment before the one at `location`; otherwise as [`Edit::insert_segment_after`].
    ///
    /// # Errors
    ///
    /// As [`Edit::insert_segment_after`], and a place before the MSH that starts the message.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.insert_segment_before(loc!("PID"), b"EVN|A08")?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rEVN|A08\rPID|1||77||DOE\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_segment_before(
        &mut self,
        location: Location,
        bytes: &[u8],
    ) -> Result<&mut Self, EditError> {
        self.check_segment(bytes)?;
        let segment = self.whole_segment(location)?;
        if self.is_header(segment) {
            return Err(EditError::Header { location });
        }
        self.change(segment).before.push(bytes.to_vec());
        Ok(self)
    }

    /// Inserts a segment behind the last one; otherwise as [`Edit::insert_segment_after`].
    ///
    /// # Errors
    ///
    /// Bytes that are not one segment.
    ///
    /// ```
    /// use hl7_message::{Edit, Message};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.append_segment(b"NTE|2")?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\rNTE|2\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_segment(&mut self, bytes: &[u8]) -> Result<&mut Self, EditError> {
        self.check_segment(bytes)?;
        let last = self.message.segments().next_back();
        let last = last.unwrap_or_else(|| self.message.header().segment());
        self.change(last).after.push(bytes.to_vec());
        Ok(self)
    }

    /// The message with the changes made.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// assert_eq!(edit.apply(), message.as_bytes());
    /// edit.set(loc!("PID-1"), "2")?;
    /// assert_eq!(edit.apply(), b"MSH|^~\\&|RIS\rPID|2||77||DOE\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.apply_to(&mut out);
        out
    }

    /// Writes the message with the changes made behind what `out` holds.
    ///
    /// ```
    /// use hl7_message::{Edit, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE\rNTE|1\r")?;
    /// let mut edit = Edit::new(&message);
    /// edit.set(loc!("PID-3"), "88")?;
    /// let mut frame = vec![0x0B];
    /// edit.apply_to(&mut frame);
    /// assert_eq!(frame, b"\x0BMSH|^~\\&|RIS\rPID|1||88||DOE\rNTE|1\r");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_to(&self, out: &mut Vec<u8>) {
        let bytes = self.message.as_bytes();
        let added: usize = self.changes.values().map(Change::added).sum();
        out.reserve(bytes.len() + added);
        let mut splice = Splice { bytes, at: 0, out };
        for change in self.changes.values() {
            change.write(&mut splice, self.message.line_end());
        }
        splice.copy_to(bytes.len());
    }

    fn put(&mut self, location: Location, value: &[u8]) -> Result<&mut Self, EditError> {
        let number = location
            .field_number()
            .ok_or(EditError::NoField { location })?;
        if number <= 2 && location.segment_id().declares() {
            return Err(EditError::Delimiters { location });
        }
        let segment = self.segment(location)?;
        let separators = *self.message.separators();
        let change = self.change(segment);
        if change.removed {
            return Err(EditError::Removed { location });
        }
        let there = change.fields.get(&number).map(Vec::as_slice);
        let there = there.or_else(|| Some(segment.field(number)?.as_bytes()));
        let field = there.unwrap_or_default();
        let place = Place::find(field, location, separators)?;
        let missing = there.is_none() || !place.lead.is_empty();
        if !(missing && value.is_empty()) {
            let field = place.replaced(field, value);
            change.fields.insert(number, field);
        }
        Ok(self)
    }

    fn segment(&self, location: Location) -> Result<Segment<'m>, EditError> {
        let segment = self.message.segment_at(location);
        segment.ok_or(EditError::NoSegment { location })
    }

    fn whole_segment(&self, location: Location) -> Result<Segment<'m>, EditError> {
        match location.field_number() {
            None => self.segment(location),
            Some(_) => Err(EditError::NotASegment { location }),
        }
    }

    fn is_header(&self, segment: Segment<'_>) -> bool {
        segment.span() == self.message.header().segment().span()
    }

    fn change(&mut self, segment: Segment<'m>) -> &mut Change<'m> {
        let entry = self.changes.entry(segment.span().start);
        entry.or_insert_with(|| Change {
            segment,
            before: Vec::new(),
            removed: false,
            fields: BTreeMap::new(),
            after: Vec::new(),
        })
    }

    fn check_segment(&self, bytes: &[u8]) -> Result<(), EditError> {
        if let Some(offset) = bytes.iter().position(|&byte| ends_segment(byte)) {
            return Err(EditError::SegmentBytes { offset });
        }
        let id = Segment::new(bytes, 0, *self.message.separators()).id();
        match id {
            None | Some(SegmentId::BTS | SegmentId::FTS) => Err(EditError::SegmentName),
            Some(id) if id.declares() => Err(EditError::SegmentName),
            Some(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Edit<'_> {
    /// How many segments change: the values are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edit({} segments)", self.changes.len())
    }
}

impl Change<'_> {
    /// At most so many bytes come in, short of delimiters.
    fn added(&self) -> usize {
        let segments = self.before.iter().chain(&self.after);
        let segments: usize = segments.map(|segment| segment.len() + 2).sum();
        segments + self.fields.values().map(Vec::len).sum::<usize>()
    }

    fn write(&self, splice: &mut Splice<'_, '_>, line_end: LineEnd) {
        let span = self.segment.span();
        let terminator = match line_end {
            LineEnd::Missing => LineEnd::Cr.as_bytes(),
            _ => line_end.as_bytes(),
        };
        splice.copy_to(span.start);
        for segment in &self.before {
            splice.out.extend_from_slice(segment);
            splice.out.extend_from_slice(terminator);
        }
        if !self.removed {
            self.write_fields(splice);
        }
        // A segment that goes leaves its line end to the one that comes in its place.
        let mut first = self.removed;
        for segment in &self.after {
            if !first {
                splice.out.extend_from_slice(terminator);
            }
            first = false;
            splice.out.extend_from_slice(segment);
        }
        if self.removed {
            splice.at = span.end;
            if self.after.is_empty() {
                splice.at += line_end_at(splice.rest(), line_end);
            }
        }
    }

    fn write_fields(&self, splice: &mut Splice<'_, '_>) {
        let separator = self.segment.separators().field();
        let mut last = None;
        for (&number, bytes) in &self.fields {
            if let Some(field) = self.segment.field(number) {
                let span = field.span();
                splice.copy_to(span.start);
                splice.at = span.end;
            } else {
                splice.copy_to(self.segment.span().end);
                let before = last.unwrap_or_else(|| field_count(self.segment));
                let missing = usize::from(number).saturating_sub(before);
                splice.out.extend(core::iter::repeat_n(separator, missing));
                last = Some(usize::from(number));
            }
            splice.out.extend_from_slice(bytes);
        }
        splice.copy_to(self.segment.span().end);
    }
}

/// How many fields a segment has. The first separator of MSH, FHS and BHS is a field, so what
/// declares and has none yet gets one separator less.
fn field_count(segment: Segment<'_>) -> usize {
    let declares = segment.id().is_some_and(SegmentId::declares);
    segment.fields().count().max(usize::from(declares))
}

/// How long the line end is that goes with a segment, at the start of `rest`.
const fn line_end_at(rest: &[u8], line_end: LineEnd) -> usize {
    match (rest, line_end) {
        // An LF that came right behind the CR of MSH would be read as part of its line end, and
        // every LF in the text after it as a line end too: a blank line stays in between.
        ([b'\r', b'\n', b'\n', ..] | [b'\n', ..], LineEnd::Cr) => 0,
        ([b'\r', b'\n', ..], _) => 2,
        ([b'\r' | b'\n', ..], _) => 1,
        _ => 0,
    }
}

/// The bytes of the message, copied up to `at`.
struct Splice<'a, 'o> {
    bytes: &'a [u8],
    at: usize,
    out: &'o mut Vec<u8>,
}

impl<'a> Splice<'a, '_> {
    fn copy_to(&mut self, end: usize) {
        let unchanged = self.bytes.get(self.at..end).unwrap_or_default();
        self.out.extend_from_slice(unchanged);
        self.at = end;
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// A place inside a field.
struct Place {
    range: Range<usize>,
    /// The delimiters to write first; not empty where the field does not reach that far, and then
    /// the range is.
    lead: Vec<u8>,
}

impl Place {
    fn find(field: &[u8], location: Location, separators: Separators) -> Result<Self, EditError> {
        let mut place = Self {
            range: 0..field.len(),
            lead: Vec::new(),
        };
        let repetition = location.repetition_number();
        let Some(component) = location.component_number() else {
            // Without a component the first repetition is the whole field.
            if repetition > 1 {
                place.enter(field, separators.repetition(), repetition);
            }
            return Ok(place);
        };
        place.enter(field, separators.repetition(), repetition);
        place.enter(field, separators.component(), component);
        match (location.subcomponent_number(), separators.subcomponent()) {
            (None | Some(1), None) | (None, Some(_)) => {}
            (Some(number), Some(separator)) => place.enter(field, separator, number),
            (Some(_), None) => return Err(EditError::NoSubcomponentSeparator { location }),
        }
        Ok(place)
    }

    /// Goes on to part `number` between the separators, from 1.
    fn enter(&mut self, field: &[u8], separator: u8, number: u16) {
        let mut missing = usize::from(number) - 1;
        if self.lead.is_empty() {
            let scope = field.get(self.range.clone()).unwrap_or_default();
            let mut start = self.range.start;
            for part in scope.split(|&byte| byte == separator) {
                if missing == 0 {
                    self.range = start..start + part.len();
                    return;
                }
                missing -= 1;
                start += part.len() + 1;
            }
            self.range.start = self.range.end;
            // The separator behind the last part that is there.
            missing += 1;
        }
        self.lead.extend(core::iter::repeat_n(separator, missing));
    }

    /// The field with `value` in this place.
    fn replaced(&self, field: &[u8], value: &[u8]) -> Vec<u8> {
        let before = field.get(..self.range.start).unwrap_or_default();
        let behind = field.get(self.range.end..).unwrap_or_default();
        [before, &self.lead, value, behind].concat()
    }
}

#[cfg(test)]
mod tests;
