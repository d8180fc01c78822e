//! [`MessageWriter`]: the only maker of HL7 bytes.

mod error;
mod segment;

use core::fmt;

use crate::raw::{Classes, ends_segment};
use crate::segment::{Segment, SegmentId};
use crate::separators::Separators;

pub use error::WriteError;
pub use segment::SegmentWriter;

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
    classes: Classes,
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
        Self {
            out: Vec::with_capacity(bytes),
            separators,
            classes: Classes::of(separators),
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
        if id.declares() {
            self.declare();
        }
        SegmentWriter::new(self, id)
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

#[cfg(test)]
mod tests;
