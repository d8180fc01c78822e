//! [`SegmentWriter`]: the fields of one segment, from front to back.

use super::{MessageWriter, WriteError};
use crate::escape::{self, NoEscapeCharacter};
use crate::location::Location;
use crate::segment::SegmentId;

/// Writes the fields of one segment; made by [`MessageWriter::segment`].
///
/// ```
/// use hl7_message::{MessageWriter, SegmentId, Separators, loc};
///
/// let mut writer = MessageWriter::new(Separators::DEFAULT);
/// let mut pid = writer.segment(SegmentId::PID);
/// pid.put(loc!("PID-3.1"), "77")?.put(loc!("PID-3.4"), "HIS")?;
/// pid.put(loc!("PID-3[2].1"), "88")?.put_null(loc!("PID-7"))?.pad_to(9);
/// assert_eq!(writer.finish(), b"MSH|^~\\&\rPID|||77^^^HIS~88||||\"\"||\r");
/// # Ok::<(), hl7_message::WriteError>(())
/// ```
#[derive(Debug)]
pub struct SegmentWriter<'w> {
    writer: &'w mut MessageWriter,
    id: SegmentId,
    at: Position,
}

impl<'w> SegmentWriter<'w> {
    pub(super) fn new(writer: &'w mut MessageWriter, id: SegmentId) -> Self {
        let at = if id.declares() {
            Position::BEHIND_THE_DELIMITERS
        } else {
            Position::start_of(0)
        };
        Self { writer, id, at }
    }

    /// Writes text at a place of this segment, escaped. Two quotation marks are written so that
    /// they are not read as null, and the empty text writes nothing but the delimiters before it.
    ///
    /// # Errors
    ///
    /// A place of another segment or not behind the last one, a delimiter that MSH-2 does not
    /// declare, or text that cannot be escaped.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, SegmentId, Separators, loc};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// writer.segment(SegmentId::NTE).put(loc!("NTE-3"), "A & E")?;
    /// assert!(writer.finish().ends_with(b"NTE|||A \\T\\ E\r"));
    /// # Ok::<(), hl7_message::WriteError>(())
    /// ```
    pub fn put(&mut self, location: Location, text: &str) -> Result<&mut Self, WriteError> {
        self.put_bytes(location, text.as_bytes())
    }

    /// Writes bytes of any ASCII-compatible character set at a place of this segment, escaped.
    ///
    /// # Errors
    ///
    /// As [`SegmentWriter::put`].
    ///
    /// ```
    /// use hl7_message::{MessageWriter, SegmentId, Separators, loc};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// writer.segment(SegmentId::PID).put_bytes(loc!("PID-5"), b"M\xFCller")?;
    /// assert!(writer.finish().ends_with(b"PID|||||M\xFCller\r"));
    /// # Ok::<(), hl7_message::WriteError>(())
    /// ```
    pub fn put_bytes(&mut self, location: Location, text: &[u8]) -> Result<&mut Self, WriteError> {
        if text == b"\"\"" {
            return self.put_quotes(location);
        }
        if self.writer.classes.are_plain(text) {
            self.advance(location)?;
            self.writer.out.extend_from_slice(text);
            return Ok(self);
        }
        let separators = self.writer.separators;
        let escaped = escape::escape(text, &separators)
            .map_err(|NoEscapeCharacter| WriteError::NoEscapeCharacter { location })?;
        self.advance(location)?;
        self.writer.out.extend_from_slice(&escaped);
        Ok(self)
    }

    /// Two quotation marks as text: alone they would mean null.
    #[cold]
    fn put_quotes(&mut self, location: Location) -> Result<&mut Self, WriteError> {
        let escape = self.writer.separators.escape();
        let escape = escape.ok_or(WriteError::NoEscapeCharacter { location })?;
        self.advance(location)?;
        self.writer
            .out
            .extend_from_slice(&[escape, b'X', b'2', b'2', escape, b'"']);
        Ok(self)
    }

    /// Writes `""` at a place of this segment: delete the stored value.
    ///
    /// # Errors
    ///
    /// As [`SegmentWriter::put`], and a message that has `"` for a delimiter.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, SegmentId, Separators, loc};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// writer.segment(SegmentId::PID).put_null(loc!("PID-7"))?;
    /// assert!(writer.finish().ends_with(b"PID|||||||\"\"\r"));
    /// # Ok::<(), hl7_message::WriteError>(())
    /// ```
    pub fn put_null(&mut self, location: Location) -> Result<&mut Self, WriteError> {
        if self.writer.separators.is_delimiter(b'"') {
            return Err(WriteError::RawBytes {
                location,
                offset: 0,
            });
        }
        self.advance(location)?;
        self.writer.out.extend_from_slice(b"\"\"");
        Ok(self)
    }

    /// Writes bytes that are written already: escapes and inner delimiters stay as they are.
    ///
    /// # Errors
    ///
    /// As [`SegmentWriter::put`], and bytes that would end the place, its segment or the frame.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, SegmentId, Separators, WriteError, loc};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// let mut obr = writer.segment(SegmentId::OBR);
    /// obr.put_raw(loc!("OBR-4"), br"CT123^CT CHEST \T\ ABDOMEN")?;
    /// assert_eq!(
    ///     obr.put_raw(loc!("OBR-16.1"), b"A^B").unwrap_err(),
    ///     WriteError::RawBytes { location: loc!("OBR-16.1"), offset: 1 },
    /// );
    /// # Ok::<(), WriteError>(())
    /// ```
    pub fn put_raw(&mut self, location: Location, bytes: &[u8]) -> Result<&mut Self, WriteError> {
        if let Some(offset) = self.writer.classes.first_end(bytes, location) {
            return Err(WriteError::RawBytes { location, offset });
        }
        self.advance(location)?;
        self.writer.out.extend_from_slice(bytes);
        Ok(self)
    }

    /// Writes empty fields up to `field`, so that the segment shows its length.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, SegmentId, Separators};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// writer.segment(SegmentId::MSA).pad_to(6);
    /// assert!(writer.finish().ends_with(b"MSA||||||\r"));
    /// ```
    pub fn pad_to(&mut self, field: u16) -> &mut Self {
        while self.at.field() < field {
            self.writer.out.push(self.writer.separators.field);
            self.at = Position::start_of(self.at.field() + 1);
        }
        self
    }

    /// Writes the delimiters between the last place and this one.
    fn advance(&mut self, location: Location) -> Result<(), WriteError> {
        let (to, mut at) = (Position::of(location), self.at);
        let separators = self.writer.separators;
        let no_subcomponent = separators.subcomponent().is_none();
        if location.segment_id() != self.id
            || to <= at
            || (no_subcomponent && to.subcomponent() > 1)
        {
            return Err(self.refusal(location));
        }
        let out = &mut self.writer.out;
        if at.field() < to.field() {
            fill(out, separators.field, to.field() - at.field());
            at = Position::start_of(to.field());
        }
        self.at = to;
        if at == to {
            return Ok(());
        }
        if at.repetition() < to.repetition() {
            fill(
                out,
                separators.repetition,
                to.repetition() - at.repetition(),
            );
            at = Position::new(to.field(), to.repetition(), 1, 1);
        }
        if at.component() < to.component() {
            fill(out, separators.component, to.component() - at.component());
            at = Position::new(to.field(), to.repetition(), to.component(), 1);
        }
        let left = to.subcomponent() - at.subcomponent();
        fill(out, separators.subcomponent, left);
        Ok(())
    }

    /// Why a place cannot come next.
    #[cold]
    fn refusal(&self, location: Location) -> WriteError {
        if location.segment_id() != self.id || Position::of(location) <= self.at {
            WriteError::OutOfOrder { location }
        } else {
            WriteError::NoSubcomponentSeparator { location }
        }
    }
}

/// Few at a time, so that a loop is faster than a call.
fn fill(out: &mut Vec<u8>, byte: u8, count: u16) {
    for _ in 0..count {
        out.push(byte);
    }
}

/// Where bytes go: field, repetition, component and subcomponent in one number, which is the
/// larger the further behind a place is. A place that names no field is before all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position(u64);

impl Position {
    /// Behind all that fields 1 and 2 of MSH could hold.
    const BEHIND_THE_DELIMITERS: Self = Self::new(2, u16::MAX, u16::MAX, u16::MAX);

    const fn new(field: u16, repetition: u16, component: u16, subcomponent: u16) -> Self {
        Self(
            (field as u64) << 48
                | (repetition as u64) << 32
                | (component as u64) << 16
                | subcomponent as u64,
        )
    }

    const fn start_of(field: u16) -> Self {
        Self::new(field, 1, 1, 1)
    }

    /// The whole of a field or component is where its first part is.
    fn of(location: Location) -> Self {
        let one = |number: Option<u16>| number.unwrap_or(1);
        let Some(field) = location.field_number() else {
            return Self(0);
        };
        Self::new(
            field,
            location.repetition_number(),
            one(location.component_number()),
            one(location.subcomponent_number()),
        )
    }

    const fn part(self, shift: u32) -> u16 {
        (self.0 >> shift & 0xFFFF) as u16
    }

    const fn field(self) -> u16 {
        self.part(48)
    }

    const fn repetition(self) -> u16 {
        self.part(32)
    }

    const fn component(self) -> u16 {
        self.part(16)
    }

    const fn subcomponent(self) -> u16 {
        self.part(0)
    }
}
