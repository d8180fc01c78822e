//! Many messages in one buffer: [`chunks`] cuts it, batch headers and trailers told apart.

mod count;
mod reader;
mod search;

use core::fmt;
use core::ops::Range;

use crate::error::ParseError;
use crate::message::Message;

pub use count::{BatchCount, BatchError};
pub use reader::{ChunkBuf, ChunkReader, ReadError};
use search::{Search, lead};

/// What a [`Chunk`] is, told by how it starts.
///
/// ```
/// use hl7_message::{ChunkKind, chunks};
///
/// let file = b"BHS|^~\\&|RIS\rMSH|^~\\&|RIS\rPID|1\rBTS|1\r";
/// let kinds: Vec<_> = chunks(file).map(|chunk| chunk.kind).collect();
/// assert_eq!(kinds, [ChunkKind::BatchHeader, ChunkKind::Message, ChunkKind::BatchTrailer]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// A message: from MSH to the next chunk.
    Message,
    /// FHS, file header.
    FileHeader,
    /// BHS, batch header.
    BatchHeader,
    /// BTS, batch trailer.
    BatchTrailer,
    /// FTS, file trailer.
    FileTrailer,
    /// Anything else before the first of these.
    Other,
}

/// A part of a buffer with many messages.
///
/// ```
/// use hl7_message::{chunks, loc};
///
/// let capture = b"\x0BMSH|^~\\&|RIS\rPID|1||77\r\x1C\r\x0BMSH|^~\\&|RIS\rPID|1||88\r\x1C\r";
/// let second = chunks(capture).nth(1).unwrap();
/// assert_eq!(second.offset, 27);
/// assert_eq!(second.message()?.raw(loc!("PID-3")), Some(&b"88"[..]));
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// What it is.
    pub kind: ChunkKind,
    /// Its bytes, line ends and framing bytes behind it included.
    pub bytes: &'a [u8],
    /// Where it stands in the buffer.
    pub offset: usize,
}

impl<'a> Chunk<'a> {
    /// Reads it as a message, as [`Message::parse`] does; offsets count from the start of the
    /// chunk.
    ///
    /// # Errors
    ///
    /// As [`Message::parse`]: a header or trailer of a batch is no message.
    ///
    /// ```
    /// use hl7_message::chunks;
    ///
    /// let first = chunks(b"MSH|^~\\&|A\rMSH|^~\\&|B\r").next().unwrap();
    /// assert_eq!(first.message()?.segment_count(), 1);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn message(&self) -> Result<Message<'a>, ParseError> {
        Message::parse(self.bytes)
    }

    /// Where it stands in the buffer.
    ///
    /// ```
    /// use hl7_message::chunks;
    ///
    /// let file = b"\nMSH|^~\\&|A\n";
    /// let chunk = chunks(file).next().unwrap();
    /// assert_eq!(&file[chunk.span()], chunk.bytes);
    /// ```
    pub const fn span(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

impl fmt::Debug for Chunk<'_> {
    /// Kind, place and size only: the bytes are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.span();
        write!(f, "Chunk({:?} at {}..{})", self.kind, span.start, span.end)
    }
}

/// The chunks of a buffer in order; made by [`chunks`].
///
/// ```
/// use hl7_message::chunks;
///
/// let mut all = chunks(b"MSH|^~\\&|A\rMSH|^~\\&|B\r");
/// assert_eq!(all.by_ref().count(), 2);
/// assert!(all.next().is_none());
/// ```
#[derive(Clone)]
pub struct Chunks<'a> {
    buffer: &'a [u8],
    at: usize,
}

/// Cuts a file, a batch or a capture of MLLP frames into messages.
///
/// A chunk starts where a line starts with MSH, FHS, BHS, BTS or FTS and a
/// delimiter, or is BTS or FTS alone; where a lone LF is data, a blank line has
/// to stand before it, or a CR.
/// Every byte of the buffer is in exactly one chunk, except white space,
/// framing bytes and a byte order mark in front of one. What ends the lines of
/// a message is decided by how its MSH ends, as in
/// [`Message::parse`](crate::Message::parse).
///
/// [`ChunkReader`] does the same for a file or a socket, however long.
///
/// Source: HL7 2.3 chapter 2, section 2.23.3.
///
/// ```
/// use hl7_message::{ChunkKind, Message, chunks};
///
/// let file = b"MSH|^~\\&|A\nPID|1\n\nMSH|^~\\&|B\nPID|2\n";
/// let messages: Vec<_> = chunks(file).map(|chunk| Message::parse(chunk.bytes)).collect();
/// assert_eq!(messages.len(), 2);
/// assert!(chunks(file).all(|chunk| chunk.kind == ChunkKind::Message));
/// ```
pub const fn chunks(buffer: &[u8]) -> Chunks<'_> {
    Chunks { buffer, at: 0 }
}

impl fmt::Debug for Chunks<'_> {
    /// Place and size only: the bytes are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunks({} of {} bytes)", self.at, self.buffer.len())
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.buffer.get(self.at..)?;
        let offset = self.at + lead(rest);
        let body = self.buffer.get(offset..).filter(|body| !body.is_empty())?;
        let found = Search::default().run(body, true)?;
        self.at = offset + found.len;
        Some(Chunk {
            kind: found.kind,
            bytes: body.get(..found.len).unwrap_or(body),
            offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use proptest::prelude::*;

    #[track_caller]
    fn check(buffer: &[u8], expected: &[(ChunkKind, usize)]) {
        let found: Vec<_> = chunks(buffer)
            .map(|chunk| {
                let segments = Message::parse(chunk.bytes).map_or(0, |m| m.segment_count());
                (chunk.kind, segments)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn files_batches_and_captures_are_cut() {
        use ChunkKind::{BatchHeader, BatchTrailer, FileHeader, FileTrailer, Message, Other};
        check(b"", &[]);
        check(b"\r\n\r\n", &[]);
        check(
            b"MSH|^~\\&|\rPID|1\rMSH|^~\\&|\r",
            &[(Message, 2), (Message, 1)],
        );
        check(
            b"MSH|^~\\&|\nPID|1\n\n\nMSH|^~\\&|\nPID|2",
            &[(Message, 2), (Message, 2)],
        );
        check(
            b"\x0BMSH|^~\\&|\rPID|1\r\x1C\r\x0BMSH|^~\\&|\r\x1C\r",
            &[(Message, 2), (Message, 1)],
        );
        check(
            b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|\rBTS|1\rFTS|1\r",
            &[
                (FileHeader, 0),
                (BatchHeader, 0),
                (Message, 1),
                (BatchTrailer, 0),
                (FileTrailer, 0),
            ],
        );
        check(
            b"BHS|^~\\&\rMSH|^~\\&|\rBTS\r\nFTS",
            &[
                (BatchHeader, 0),
                (Message, 1),
                (BatchTrailer, 0),
                (FileTrailer, 0),
            ],
        );
        check(b"a log line\nMSH|^~\\&|\n", &[(Other, 0), (Message, 1)]);
        check(
            b"MSH|^~\\&|\rOBX|a\nMSH|b\rMSH|^~\\&|\r",
            &[(Message, 2), (Message, 1)],
        );
    }

    #[test]
    fn a_megabyte_of_line_ends_is_read_once() {
        let mut buffer = b"MSH|^~\\&|\r".to_vec();
        buffer.resize(1 << 20, b'\r');
        check(&buffer, &[(ChunkKind::Message, 1)]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(buffer in "(MSH\\||FHS\\||[a-c|]|\r|\n|\x0B|\x1C| ){0,40}") {
            let mut at = 0;
            for chunk in chunks(buffer.as_bytes()) {
                let between = &buffer.as_bytes()[at..chunk.offset];
                prop_assert!(between.iter().all(|b| b"\r\n \t\x0B\x1C".contains(b)));
                prop_assert_eq!(&buffer.as_bytes()[chunk.span()], chunk.bytes);
                prop_assert!(!chunk.bytes.is_empty());
                at = chunk.span().end;
            }
            prop_assert!(buffer.as_bytes()[at..].iter().all(|b| b"\r\n \t\x0B\x1C".contains(b)));
        }
    }
}
