//! [`MessageWriter`]: the only maker of HL7 bytes.

use core::fmt;

use crate::escape::{self, NoEscapeCharacter};
use crate::location::Location;
use crate::raw::{ends_segment, first_end};
use crate::segment::{Segment, SegmentId};
use crate::separators::Separators;

/// Writes a message from front to back; text is escaped on the way, so nothing that is put in
/// can end a field, a segment or a frame, and whatever is written is a message: where another
/// segment comes first, an MSH with its delimiters comes before it. FHS, BHS and an MSH later on
/// begin a batch, and its next message.
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
#[derive(Clone)]
pub struct MessageWriter {
    out: Vec<u8>,
    separators: Separators,
    /// The bytes that need no escape.
    plain: [bool; 256],
}

impl MessageWriter {
    /// Starts an empty message under these delimiters.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, Separators};
    ///
    /// assert_eq!(MessageWriter::new(Separators::DEFAULT).finish(), b"MSH|^~\\&\r");
    /// ```
    pub fn new(separators: Separators) -> Self {
        Self::with_capacity(separators, 512)
    }

    /// Starts an empty message with room for so many bytes; it grows where that is not enough.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, SegmentId, Separators, loc};
    ///
    /// let report = "Normal study. ".repeat(1000);
    /// let mut writer = MessageWriter::with_capacity(Separators::DEFAULT, report.len() + 500);
    /// writer.segment(SegmentId::MSH).put(loc!("MSH-9"), "ORU")?;
    /// writer.segment(SegmentId::OBX).put(loc!("OBX-5"), &report)?;
    /// assert!(writer.finish().len() > report.len());
    /// # Ok::<(), hl7_message::WriteError>(())
    /// ```
    pub fn with_capacity(separators: Separators, bytes: usize) -> Self {
        let mut plain = [false; 256];
        for (byte, plain) in (0..=u8::MAX).zip(&mut plain) {
            *plain = escape::is_plain(byte, separators);
        }
        Self {
            out: Vec::with_capacity(bytes),
            separators,
            plain,
        }
    }

    /// Begins the next segment. MSH, FHS and BHS come with their fields 1 and 2.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, SegmentId, Separators, loc};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// writer.segment(SegmentId::NTE).put(loc!("NTE-3"), "no MSH was begun")?;
    /// assert_eq!(writer.finish(), b"MSH|^~\\&\rNTE|||no MSH was begun\r");
    /// # Ok::<(), hl7_message::WriteError>(())
    /// ```
    pub fn segment(&mut self, id: SegmentId) -> SegmentWriter<'_> {
        if !id.declares() {
            self.begin();
        }
        self.end_segment();
        self.out.extend_from_slice(id.as_bytes());
        let mut at = Position {
            field: 0,
            ..Position::START
        };
        if id.declares() {
            self.declare();
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
    /// Bytes that hold a CR, an LF, or a byte that frames an MLLP block; that do not begin with
    /// the name of a segment; or that declare other delimiters.
    ///
    /// ```
    /// use hl7_message::{MessageWriter, Separators, WriteError};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// writer.raw_segment(b"MSH|^~\\&|RIS")?;
    /// writer.raw_segment(b"ZDS|1.2.3^RIS^Application^DICOM")?;
    /// assert_eq!(writer.raw_segment(b"A|B\rC"), Err(WriteError::SegmentBytes { offset: 3 }));
    /// assert_eq!(writer.raw_segment(b"free text"), Err(WriteError::SegmentName));
    /// assert_eq!(writer.finish(), b"MSH|^~\\&|RIS\rZDS|1.2.3^RIS^Application^DICOM\r");
    /// # Ok::<(), WriteError>(())
    /// ```
    pub fn raw_segment(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if let Some(offset) = bytes.iter().position(|&byte| ends_segment(byte)) {
            return Err(WriteError::SegmentBytes { offset });
        }
        let segment = Segment::new(bytes, 0, self.separators);
        let id = segment.id().ok_or(WriteError::SegmentName)?;
        if id.declares() {
            let declared = segment.field(2).map_or(&[][..], |field| field.as_bytes());
            if declared != self.separators.encoding_characters() {
                return Err(WriteError::OtherDelimiters);
            }
        } else {
            self.begin();
        }
        self.end_segment();
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// The message, every segment ended with CR.
    ///
    /// ```
    /// use hl7_message::{Message, MessageWriter, SegmentId, Separators};
    ///
    /// let mut writer = MessageWriter::new(Separators::DEFAULT);
    /// writer.segment(SegmentId::MSH);
    /// writer.segment(SegmentId::PID);
    /// assert!(Message::parse_strict(&writer.finish()).is_ok());
    /// ```
    pub fn finish(mut self) -> Vec<u8> {
        self.begin();
        self.end_segment();
        self.out
    }

    /// MSH with its delimiters, where nothing is written yet.
    fn begin(&mut self) {
        if self.out.is_empty() {
            self.out.extend_from_slice(b"MSH");
            self.declare();
        }
    }

    /// Fields 1 and 2 of MSH, FHS and BHS.
    fn declare(&mut self) {
        let separators = self.separators;
        self.out.push(separators.field());
        let declared = [
            Some(separators.component()),
            Some(separators.repetition()),
            separators.escape(),
            separators.subcomponent(),
            separators.truncation(),
        ];
        self.out.extend(declared.into_iter().flatten());
    }

    fn is_plain(&self, text: &[u8]) -> bool {
        let plain = |byte: &u8| {
            self.plain
                .get(usize::from(*byte))
                .is_some_and(|plain| *plain)
        };
        text.iter().all(plain)
    }

    fn end_segment(&mut self) {
        if !self.out.is_empty() && self.out.last() != Some(&b'\r') {
            self.out.push(b'\r');
        }
    }
}

impl fmt::Debug for MessageWriter {
    /// Sizes only: the values are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageWriter({} bytes)", self.out.len())
    }
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

impl SegmentWriter<'_> {
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
        if self.writer.is_plain(text) {
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
        if let Some(offset) = first_end(bytes, location, self.writer.separators) {
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
        let in_header = self.id.declares() && to.field <= 2;
        if in_header {
            return Err(wrong);
        }
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
///
/// ```
/// use hl7_message::{MessageWriter, SegmentId, Separators, WriteError, loc};
///
/// let mut writer = MessageWriter::new(Separators::DEFAULT);
/// let mut pid = writer.segment(SegmentId::PID);
/// let error = pid.put(loc!("PV1-2"), "O").unwrap_err();
/// assert_eq!(error, WriteError::OutOfOrder { location: loc!("PV1-2") });
/// ```
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
    /// Raw bytes that would end their place, its segment or the frame.
    RawBytes {
        /// The place.
        location: Location,
        /// Which of the bytes, from 0.
        offset: usize,
    },
    /// A raw segment that holds a line end or a framing byte.
    SegmentBytes {
        /// Which of the bytes, from 0.
        offset: usize,
    },
    /// A raw segment that does not begin with the name of one.
    SegmentName,
    /// A raw MSH, FHS or BHS that declares other delimiters than the message is written in.
    OtherDelimiters,
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
            Self::RawBytes { location, offset } => write!(
                f,
                "byte {offset} of what is written for {location} would end it"
            ),
            Self::SegmentBytes { offset } => write!(
                f,
                "byte {offset} of a written segment is a line end or a framing byte"
            ),
            Self::SegmentName => f.write_str("a written segment begins with its name, such as NTE"),
            Self::OtherDelimiters => {
                f.write_str("a written MSH declares other delimiters than those of the message")
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
        for (location, bytes) in [
            (loc!("PID-4"), &b"a|b"[..]),
            (loc!("PID-4"), b"a\rb"),
            (loc!("PID-4.1"), b"a^b"),
            (loc!("PID-4.1.1"), b"a&b"),
            (loc!("PID-4[2]"), b"a~b"),
        ] {
            assert_eq!(
                pid.put_raw(location, bytes).unwrap_err(),
                WriteError::RawBytes {
                    location,
                    offset: 1
                }
            );
        }
        assert_eq!(writer.finish(), b"MSH|^~\\&\rPID|||1\r");
    }

    #[test]
    fn two_quotation_marks_as_text_are_not_null() {
        let mut writer = writer();
        writer
            .segment(SegmentId::NTE)
            .put(loc!("NTE-3"), "\"\"")
            .unwrap();
        let bytes = writer.finish();
        let message = Message::parse(&bytes).unwrap();
        let value = message.value(loc!("NTE-3"));
        assert!(!value.is_null());
        assert_eq!(value.unescape().unwrap().as_ref(), b"\"\"");
    }

    #[test]
    fn the_delimiters_are_declared_once_and_kept() {
        let odd = Separators::parse(b"@", b"~#").unwrap();
        let mut writer = MessageWriter::new(odd);
        assert_eq!(
            writer.raw_segment(b"MSH@^~\\&@"),
            Err(WriteError::OtherDelimiters)
        );
        assert_eq!(writer.raw_segment(b"MSH|~#|"), Err(WriteError::SegmentName));
        let mut msh = writer.segment(SegmentId::MSH);
        assert!(msh.put(loc!("MSH-2"), "x").is_err());
        assert!(msh.put(loc!("MSH-3"), "a@b").is_err());
        msh.put(loc!("MSH-3"), "a|b").unwrap();
        assert_eq!(writer.finish(), b"MSH@~#@a|b\r");
        let quoted = Separators::parse(b"|", b"^~\\\"").unwrap();
        let mut writer = MessageWriter::new(quoted);
        assert!(
            writer
                .segment(SegmentId::PID)
                .put_null(loc!("PID-3"))
                .is_err()
        );
    }

    /// What a caller might try.
    #[derive(Debug, Clone)]
    enum Try {
        Segment(SegmentId),
        RawSegment(Vec<u8>),
        Put(Location, Vec<u8>),
        PutRaw(Location, Vec<u8>),
        Null(Location),
    }

    fn tries() -> impl Strategy<Value = Try> {
        let bytes = || {
            proptest::collection::vec(
                prop_oneof![
                    prop::sample::select(b"|^~\\&#\r\n\x0B\x1CPIDMSH1 \"".to_vec()),
                    any::<u8>()
                ],
                0..8,
            )
        };
        let place = || {
            (1..6_u16, 1..3_u16, 0..3_u16, 0..3_u16).prop_map(|(f, r, c, s)| {
                loc!("PID")
                    .at_field(f)
                    .repetition(r)
                    .component(c)
                    .subcomponent(s)
            })
        };
        prop_oneof![
            prop::sample::select(vec![
                SegmentId::PID,
                SegmentId::PID,
                SegmentId::NTE,
                SegmentId::BTS
            ])
            .prop_map(Try::Segment),
            (
                prop::sample::select(vec![&b"ZZ1|"[..], b"", b"PID", b"x"]),
                bytes()
            )
                .prop_map(|(start, rest)| Try::RawSegment([start, &rest].concat())),
            (place(), bytes()).prop_map(|(at, bytes)| Try::Put(at, bytes)),
            (place(), bytes()).prop_map(|(at, bytes)| Try::PutRaw(at, bytes)),
            place().prop_map(Try::Null),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_tried_a_message_comes_out(
            tries in proptest::collection::vec(tries(), 0..20),
            encoding in prop::sample::select(vec![&b"^~\\&"[..], b"^~", b"^~\\&#", b"~^#\""]),
        ) {
            let separators = Separators::parse(b"|", encoding).unwrap();
            let mut writer = MessageWriter::new(separators);
            let mut segments = 1;
            for one in &tries {
                match one {
                    Try::Segment(id) => {
                        segments += 1;
                        writer.segment(*id);
                    }
                    Try::RawSegment(bytes) => {
                        segments += usize::from(writer.raw_segment(bytes).is_ok());
                    }
                    Try::Put(..) | Try::PutRaw(..) | Try::Null(_) => {
                        let mut pid = writer.segment(SegmentId::PID);
                        segments += 1;
                        let _ = match one {
                            Try::Put(at, bytes) => pid.put_bytes(*at, bytes).is_ok(),
                            Try::PutRaw(at, bytes) => pid.put_raw(*at, bytes).is_ok(),
                            Try::Null(at) => pid.put_null(*at).is_ok(),
                            Try::Segment(_) | Try::RawSegment(_) => false,
                        };
                    }
                }
            }
            let bytes = writer.finish();
            let message = Message::parse(&bytes).unwrap();
            prop_assert_eq!(message.segment_count(), segments);
            prop_assert_eq!(*message.separators(), separators);
            prop_assert!(message.segments().all(|segment| segment.id().is_some()));
            prop_assert!(bytes.ends_with(b"\r") && !bytes.contains(&0x1C) && !bytes.contains(&b'\n'));
        }

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
