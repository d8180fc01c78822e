//! [`MessageWriter`]: the only maker of HL7 bytes.

use core::fmt;

use crate::escape::{self, NoEscapeCharacter};
use crate::location::Location;
use crate::segment::SegmentId;
use crate::separators::Separators;

/// Writes a message from front to back; text is escaped on the way, so nothing that is put in
/// can end a field, a segment or a frame.
///
/// Within a segment, places are written in ascending order; the delimiters between them, and
/// the places left out, come by themselves.
///
/// ```
/// use hl7_message::{MessageWriter, SegmentId, Separators, loc};
///
/// let mut writer = MessageWriter::new(Separators::DEFAULT);
/// writer.segment(SegmentId::MSH).put(loc!("MSH-9.1"), "ORM")?.put(loc!("MSH-9.2"), "O01")?;
/// writer
///     .segment(SegmentId::PID)
///     .put(loc!("PID-3"), "PAT789")?
///     .put(loc!("PID-5.1"), "O'NEIL & SON")?
///     .put(loc!("PID-5.2"), "JOHN")?;
/// assert_eq!(
///     writer.finish(),
///     b"MSH|^~\\&|||||||ORM^O01\rPID|||PAT789||O'NEIL \\T\\ SON^JOHN\r",
/// );
/// # Ok::<(), hl7_message::WriteError>(())
/// ```
#[derive(Debug, Clone)]
pub struct MessageWriter {
    out: Vec<u8>,
    separators: Separators,
}

impl MessageWriter {
    /// Starts an empty message under these delimiters.
    pub fn new(separators: Separators) -> Self {
        Self {
            out: Vec::with_capacity(512),
            separators,
        }
    }

    /// Begins the next segment. MSH, FHS and BHS come with their fields 1 and 2.
    pub fn segment(&mut self, id: SegmentId) -> SegmentWriter<'_> {
        self.end_segment();
        self.out.extend_from_slice(id.as_bytes());
        let mut at = Position {
            field: 0,
            ..Position::START
        };
        if matches!(id, SegmentId::MSH | SegmentId::FHS | SegmentId::BHS) {
            self.out.push(self.separators.field);
            self.out
                .extend_from_slice(&self.separators.encoding_characters());
            at.field = 2;
        }
        SegmentWriter {
            writer: self,
            id,
            at,
        }
    }

    /// Adds a segment that is written already, without its terminator, as it is.
    ///
    /// # Errors
    ///
    /// Bytes that hold a CR, an LF, or a byte that frames an MLLP block.
    pub fn raw_segment(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if bytes.iter().any(|&byte| is_frame_or_line_end(byte)) {
            return Err(WriteError::RawBytes);
        }
        self.end_segment();
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// The message, every segment ended with CR.
    pub fn finish(mut self) -> Vec<u8> {
        self.end_segment();
        self.out
    }

    fn end_segment(&mut self) {
        if !self.out.is_empty() && self.out.last() != Some(&b'\r') {
            self.out.push(b'\r');
        }
    }
}

const fn is_frame_or_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C)
}

/// Where the next bytes would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    field: u16,
    repetition: u16,
    component: u16,
    subcomponent: u16,
}

impl Position {
    const START: Self = Self {
        field: 0,
        repetition: 1,
        component: 1,
        subcomponent: 1,
    };

    fn of(location: Location) -> Option<Self> {
        Some(Self {
            field: location.field_number()?,
            repetition: location.repetition_number(),
            component: location.component_number().unwrap_or(1),
            subcomponent: location.subcomponent_number().unwrap_or(1),
        })
    }
}

/// Writes the fields of one segment; made by [`MessageWriter::segment`].
#[derive(Debug)]
pub struct SegmentWriter<'w> {
    writer: &'w mut MessageWriter,
    id: SegmentId,
    at: Position,
}

impl SegmentWriter<'_> {
    /// Writes text at a place of this segment, escaped.
    ///
    /// # Errors
    ///
    /// A place of another segment or not behind the last one, a delimiter that MSH-2 does not
    /// declare, or text that cannot be escaped.
    pub fn put(&mut self, location: Location, text: &str) -> Result<&mut Self, WriteError> {
        self.put_bytes(location, text.as_bytes())
    }

    /// Writes bytes of any ASCII-compatible character set at a place of this segment, escaped.
    ///
    /// # Errors
    ///
    /// As [`SegmentWriter::put`].
    pub fn put_bytes(&mut self, location: Location, text: &[u8]) -> Result<&mut Self, WriteError> {
        let separators = self.writer.separators;
        let escaped = escape::escape(text, &separators)
            .map_err(|NoEscapeCharacter| WriteError::NoEscapeCharacter { location })?;
        self.advance(location)?;
        self.writer.out.extend_from_slice(&escaped);
        Ok(self)
    }

    /// Writes `""` at a place of this segment: delete the stored value.
    ///
    /// # Errors
    ///
    /// As [`SegmentWriter::put`].
    pub fn put_null(&mut self, location: Location) -> Result<&mut Self, WriteError> {
        self.advance(location)?;
        self.writer.out.extend_from_slice(b"\"\"");
        Ok(self)
    }

    /// Writes bytes that are written already: escapes and inner delimiters stay as they are.
    ///
    /// # Errors
    ///
    /// As [`SegmentWriter::put`], and bytes that would end the field, the segment or the frame.
    pub fn put_raw(&mut self, location: Location, bytes: &[u8]) -> Result<&mut Self, WriteError> {
        let field = self.writer.separators.field;
        if bytes
            .iter()
            .any(|&byte| is_frame_or_line_end(byte) || byte == field)
        {
            return Err(WriteError::RawBytes);
        }
        self.advance(location)?;
        self.writer.out.extend_from_slice(bytes);
        Ok(self)
    }

    /// Writes empty fields up to `field`, so that the segment shows its length.
    pub fn pad_to(&mut self, field: u16) -> &mut Self {
        while self.at.field < field {
            self.writer.out.push(self.writer.separators.field);
            self.at = Position {
                field: self.at.field + 1,
                ..Position::START
            };
        }
        self
    }

    /// Writes the delimiters between the last place and this one.
    fn advance(&mut self, location: Location) -> Result<(), WriteError> {
        let wrong = WriteError::OutOfOrder { location };
        if location.segment_id() != self.id {
            return Err(wrong);
        }
        let to = Position::of(location).ok_or(wrong)?;
        let first = self.at.field < to.field;
        if to < self.at || (to == self.at && !first) {
            return Err(wrong);
        }
        let separators = self.writer.separators;
        let needs_subcomponent = to.subcomponent > 1 && separators.subcomponent().is_none();
        if needs_subcomponent {
            return Err(WriteError::NoSubcomponentSeparator { location });
        }
        let mut at = self.at;
        let mut push = |byte: u8, count: u16| {
            self.writer
                .out
                .extend(core::iter::repeat_n(byte, usize::from(count)));
        };
        if at.field < to.field {
            push(separators.field, to.field - at.field);
            at = Position {
                field: to.field,
                ..Position::START
            };
        }
        if at.repetition < to.repetition {
            push(separators.repetition, to.repetition - at.repetition);
            at = Position {
                repetition: to.repetition,
                component: 1,
                subcomponent: 1,
                ..at
            };
        }
        if at.component < to.component {
            push(separators.component, to.component - at.component);
            at = Position {
                component: to.component,
                subcomponent: 1,
                ..at
            };
        }
        push(separators.subcomponent, to.subcomponent - at.subcomponent);
        self.at = to;
        Ok(())
    }
}

/// What cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The place is in another segment, names no field, or is not behind the last one.
    OutOfOrder {
        /// The place.
        location: Location,
    },
    /// The text needs an escape and MSH-2 declares no escape character.
    NoEscapeCharacter {
        /// The place.
        location: Location,
    },
    /// The place is a second subcomponent and MSH-2 declares no subcomponent separator.
    NoSubcomponentSeparator {
        /// The place.
        location: Location,
    },
    /// Raw bytes that would end a field, a segment or a frame.
    RawBytes,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder { location } => {
                write!(
                    f,
                    "{location} is not behind the place written last in this segment"
                )
            }
            Self::NoEscapeCharacter { location } => {
                write!(
                    f,
                    "the text for {location} holds a delimiter and MSH-2 declares no escape"
                )
            }
            Self::NoSubcomponentSeparator { location } => {
                write!(
                    f,
                    "{location} is a subcomponent and MSH-2 declares no separator for it"
                )
            }
            Self::RawBytes => {
                f.write_str("raw bytes hold a field separator, a line end or a framing byte")
            }
        }
    }
}

impl core::error::Error for WriteError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, loc};
    use proptest::prelude::*;

    fn writer() -> MessageWriter {
        let mut writer = MessageWriter::new(Separators::DEFAULT);
        writer.segment(SegmentId::MSH);
        writer
    }

    #[test]
    fn places_left_out_are_filled_with_delimiters() {
        let mut writer = writer();
        let mut pid = writer.segment(SegmentId::PID);
        pid.put(loc!("PID-1"), "1").unwrap();
        pid.put(loc!("PID-3.1.2"), "b").unwrap();
        pid.put(loc!("PID-3.4"), "d").unwrap();
        pid.put(loc!("PID-3[2].2"), "e").unwrap();
        pid.put_null(loc!("PID-7")).unwrap();
        pid.pad_to(9);
        assert_eq!(writer.finish(), b"MSH|^~\\&\rPID|1||&b^^^d~^e||||\"\"||\r");
    }

    #[test]
    fn order_and_segment_are_checked() {
        let mut writer = writer();
        let mut pid = writer.segment(SegmentId::PID);
        pid.put(loc!("PID-3"), "1").unwrap();
        for location in [
            loc!("PID-3"),
            loc!("PID-2"),
            loc!("PV1-4"),
            loc!("PID"),
            loc!("PID-3.1"),
        ] {
            assert!(matches!(
                pid.put(location, "x"),
                Err(WriteError::OutOfOrder { .. })
            ));
        }
        assert_eq!(
            pid.put_raw(loc!("PID-4"), b"a|b").unwrap_err(),
            WriteError::RawBytes
        );
        assert_eq!(
            pid.put_raw(loc!("PID-4"), b"a\rb").unwrap_err(),
            WriteError::RawBytes
        );
        assert_eq!(writer.finish(), b"MSH|^~\\&\rPID|||1\r");
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_it_was(
            texts in proptest::collection::vec(any::<String>(), 1..8),
        ) {
            let mut writer = writer();
            let mut segment = writer.segment(SegmentId::NTE);
            for (n, text) in (1..).zip(&texts) {
                segment.put(loc!("NTE").at_field(n).component(2), text).unwrap();
            }
            let bytes = writer.finish();
            let message = Message::parse(&bytes).unwrap();
            prop_assert_eq!(message.segment_count(), 2);
            for (n, text) in (1..).zip(&texts) {
                let leaf = message.leaf(loc!("NTE").at_field(n).component(2)).unwrap();
                let read = leaf.unescape();
                prop_assert_eq!(read.as_ref(), text.as_bytes());
            }
        }
    }
}
