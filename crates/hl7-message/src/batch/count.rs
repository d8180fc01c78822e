//! [`BatchCount`]: whether a batch holds as many messages as its trailer says.

use core::fmt;

use super::{Chunk, ChunkKind};
use crate::location::Location;
use crate::segment::{Segment, SegmentId};
use crate::separators::Separators;

/// Counts the messages of batches and the batches of files, and compares with BTS-1 and FTS-1.
///
/// A file that was cut off in transfer shows here: fewer messages than its trailer says, or no
/// trailer at all.
///
/// Source: HL7 2.3 chapter 2, section 2.23.3. A count that is left out is not compared.
///
/// ```
/// use hl7_message::{BatchCount, chunks};
///
/// let file = b"FHS|^~\\&|RIS\rBHS|^~\\&|RIS\rMSH|^~\\&|RIS\rBTS|2\rFTS|1\r";
/// let mut count = BatchCount::default();
/// let wrong: Vec<_> = chunks(file).filter_map(|chunk| count.take(&chunk).err()).collect();
/// assert_eq!(wrong[0].to_string(), "BTS-1 says 2 messages, and 1 came (byte 39)");
/// assert_eq!(wrong.len(), 1);
/// assert!(count.finish().is_ok());
/// ```
#[derive(Debug, Clone, Default)]
pub struct BatchCount {
    file: Option<Open>,
    batch: Option<Open>,
}

/// A file or a batch whose trailer has not come yet.
#[derive(Debug, Clone, Copy)]
struct Open {
    offset: usize,
    separators: Separators,
    count: u64,
}

/// A batch or a file that does not hold what it should.
///
/// ```
/// use hl7_message::{BatchCount, BatchError, chunks};
///
/// let mut count = BatchCount::default();
/// for chunk in chunks(b"BHS|^~\\&|RIS\rMSH|^~\\&|RIS\r") {
///     count.take(&chunk).unwrap();
/// }
/// assert_eq!(count.finish(), Err(BatchError::NoTrailer { offset: 0 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchError {
    /// BTS-1 or FTS-1 says another number than came.
    Count {
        /// BTS-1 or FTS-1.
        location: Location,
        /// Where the trailer stands.
        offset: usize,
        /// What it says.
        said: u64,
        /// How many came.
        came: u64,
    },
    /// BTS-1 or FTS-1 is no number.
    NoNumber {
        /// BTS-1 or FTS-1.
        location: Location,
        /// Where the trailer stands.
        offset: usize,
    },
    /// The batch or the file ends without BTS or FTS.
    NoTrailer {
        /// Where its header stands.
        offset: usize,
    },
    /// BTS or FTS without a header before it.
    NoHeader {
        /// Where it stands.
        offset: usize,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count {
                location,
                offset,
                said,
                came,
            } => {
                let what = if location.segment_id() == SegmentId::BTS {
                    "messages"
                } else {
                    "batches"
                };
                write!(
                    f,
                    "{location} says {said} {what}, and {came} came (byte {offset})"
                )
            }
            Self::NoNumber { location, offset } => {
                write!(f, "{location} is no number (byte {offset})")
            }
            Self::NoTrailer { offset } => {
                write!(
                    f,
                    "the header at byte {offset} has no trailer: the rest is missing"
                )
            }
            Self::NoHeader { offset } => {
                write!(
                    f,
                    "the trailer at byte {offset} has no header: the start is missing"
                )
            }
        }
    }
}

impl core::error::Error for BatchError {}

impl BatchCount {
    /// Takes the next chunk of the file.
    ///
    /// # Errors
    ///
    /// A trailer that says another number, or has no header; a header where a batch is still
    /// open. Counting goes on all the same.
    pub fn take(&mut self, chunk: &Chunk<'_>) -> Result<(), BatchError> {
        let offset = chunk.offset;
        let open = |chunk: &Chunk<'_>| Open {
            offset,
            separators: *chunk.segment(Separators::DEFAULT).separators(),
            count: 0,
        };
        match chunk.kind {
            ChunkKind::Other => Ok(()),
            ChunkKind::Message => {
                if let Some(batch) = &mut self.batch {
                    batch.count += 1;
                }
                Ok(())
            }
            ChunkKind::FileHeader => {
                let unfinished = self.batch.take().or(self.file.take());
                self.file = Some(open(chunk));
                finished(unfinished)
            }
            ChunkKind::BatchHeader => {
                let unfinished = self.batch.replace(open(chunk));
                if let Some(file) = &mut self.file {
                    file.count += 1;
                }
                finished(unfinished)
            }
            ChunkKind::BatchTrailer => compare(self.batch.take(), chunk, SegmentId::BTS),
            ChunkKind::FileTrailer => {
                finished(self.batch.take())?;
                compare(self.file.take(), chunk, SegmentId::FTS)
            }
        }
    }

    /// At the end of the file.
    ///
    /// # Errors
    ///
    /// A batch or a file without its trailer.
    pub fn finish(self) -> Result<(), BatchError> {
        finished(self.batch.or(self.file))
    }
}

fn finished(unfinished: Option<Open>) -> Result<(), BatchError> {
    unfinished.map_or(Ok(()), |open| {
        Err(BatchError::NoTrailer {
            offset: open.offset,
        })
    })
}

/// The first field of a trailer with what came.
fn compare(open: Option<Open>, chunk: &Chunk<'_>, id: SegmentId) -> Result<(), BatchError> {
    let offset = chunk.offset;
    let open = open.ok_or(BatchError::NoHeader { offset })?;
    let location = Location::of(id).at_field(1);
    let trailer = chunk.segment(open.separators);
    let said = trailer.field(1).map_or(&[][..], |f| f.first().as_bytes());
    if said.is_empty() {
        return Ok(());
    }
    let said = core::str::from_utf8(said).ok();
    let said: Option<u64> = said.and_then(|said| said.trim().parse().ok());
    let said = said.ok_or(BatchError::NoNumber { location, offset })?;
    if said == open.count {
        return Ok(());
    }
    Err(BatchError::Count {
        location,
        offset,
        said,
        came: open.count,
    })
}

impl<'a> Chunk<'a> {
    /// Its first segment, for the fields of headers and trailers: MSH, FHS and BHS under the
    /// delimiters that they declare, others under `separators`.
    ///
    /// ```
    /// use hl7_message::{Separators, chunks};
    ///
    /// let file = b"BHS|^~\\&|RIS|HOSPITAL\rMSH|^~\\&|RIS\rBTS|1|end of the day\r";
    /// let parts: Vec<_> = chunks(file).collect();
    /// let header = parts[0].segment(Separators::DEFAULT);
    /// assert_eq!(header.field(4).unwrap().as_bytes(), b"HOSPITAL");
    /// let trailer = parts[2].segment(*header.separators());
    /// assert_eq!(trailer.field(2).unwrap().as_bytes(), b"end of the day");
    /// ```
    pub fn segment(&self, separators: Separators) -> Segment<'a> {
        let end = memchr::memchr2(b'\r', b'\n', self.bytes).unwrap_or(self.bytes.len());
        let line = self.bytes.get(..end).unwrap_or_default();
        let own = match line {
            [b'M', b'S', b'H', field, rest @ ..] | [b'F' | b'B', b'H', b'S', field, rest @ ..] => {
                let end = rest.iter().position(|byte| byte == field);
                let encoding = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                Separators::parse(&[*field], encoding).ok()
            }
            _ => None,
        };
        Segment::new(line, self.offset, own.unwrap_or(separators))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chunks, loc};

    #[track_caller]
    fn check(file: &[u8], expected: &[BatchError]) {
        let mut count = BatchCount::default();
        let mut wrong: Vec<_> = chunks(file).filter_map(|c| count.take(&c).err()).collect();
        wrong.extend(count.finish().err());
        assert_eq!(wrong, expected);
    }

    #[test]
    fn what_is_complete_is_fine() {
        check(b"", &[]);
        check(b"MSH|^~\\&|\rMSH|^~\\&|\r", &[]);
        check(b"BHS|^~\\&|\rMSH|^~\\&|\rMSH|^~\\&|\rBTS|2\r", &[]);
        check(b"BHS@#~\\&@\rMSH|^~\\&|\rBTS@1@x\r", &[]);
        check(
            b"FHS|^~\\&|\rBHS|^~\\&|\rBTS|0\rBHS|^~\\&|\rBTS\rFTS|2\r",
            &[],
        );
        check(b"FHS|^~\\&|\rMSH|^~\\&|\rFTS|\r", &[]);
    }

    #[test]
    fn what_is_missing_is_told_with_its_place() {
        check(
            b"BHS|^~\\&|\rMSH|^~\\&|\rBTS|3\r",
            &[BatchError::Count {
                location: loc!("BTS-1"),
                offset: 20,
                said: 3,
                came: 1,
            }],
        );
        check(
            b"FHS|^~\\&|\rFTS|x\r",
            &[BatchError::NoNumber {
                location: loc!("FTS-1"),
                offset: 10,
            }],
        );
        check(
            b"MSH|^~\\&|\rBTS|1\r",
            &[BatchError::NoHeader { offset: 10 }],
        );
        check(
            b"FHS|^~\\&|\rBHS|^~\\&|\rMSH|^~\\&|\r",
            &[BatchError::NoTrailer { offset: 10 }],
        );
        check(
            b"BHS|^~\\&|\rBHS|^~\\&|\rBTS|0\r",
            &[BatchError::NoTrailer { offset: 0 }],
        );
    }
}
