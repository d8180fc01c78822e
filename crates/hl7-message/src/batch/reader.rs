//! [`ChunkReader`]: the messages of a file or a stream, one after the other.

use core::fmt;
use std::io::{self, Read};

use super::search::{Search, lead_so_far};
use super::{Chunk, ChunkKind};
use crate::error::ParseError;
use crate::message::{Limits, Message};

/// So many bytes are asked for at once.
const BLOCK: usize = 64 << 10;

/// Reads the messages of a file, a batch, a capture of MLLP frames or any other source, one after
/// the other, and holds no more than one of them.
///
/// What it gives is what [`chunks`](crate::chunks) gives for all of the bytes at once, in
/// whatever pieces the source hands them out. As an iterator it gives each chunk as bytes of its
/// own; [`ChunkReader::next_chunk`] lends them and copies nothing.
///
/// [`Limits::message_bytes_max`] holds for a message and the blank lines behind it. One that is
/// longer is told as [`ReadError::TooLong`], and reading goes on behind it; an error of the source
/// is the last thing that is given.
///
/// ```
/// use hl7_message::{ChunkKind, ChunkReader, loc};
///
/// let file = &b"FHS|^~\\&|RIS\rMSH|^~\\&|RIS\rPID|1||77\rMSH|^~\\&|RIS\rPID|1||88\rFTS|2\r"[..];
/// let mut ids = Vec::new();
/// for chunk in ChunkReader::new(file) {
///     let chunk = chunk?;
///     if chunk.kind == ChunkKind::Message {
///         ids.push(chunk.message()?.raw(loc!("PID-3")).map(<[u8]>::to_vec));
///     }
/// }
/// assert_eq!(ids, [Some(b"77".to_vec()), Some(b"88".to_vec())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ChunkReader<R> {
    source: R,
    max: usize,
    /// What was read, up to `filled`, and room for more.
    buffer: Vec<u8>,
    filled: usize,
    /// Where the chunk at hand starts in `buffer`, and what of it is given already.
    start: usize,
    given: usize,
    /// Where `buffer` starts in the source.
    offset: u64,
    search: Search,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a chunk.
    Between,
    /// In a chunk that may be given.
    Inside,
    /// In a chunk that was told as too long.
    TooLong,
    /// The source failed.
    Failed,
}

impl<R: Read> ChunkReader<R> {
    /// Reads from `source` under the default [`Limits`].
    ///
    /// ```
    /// use hl7_message::ChunkReader;
    ///
    /// let mut reader = ChunkReader::new(&b"MSH|^~\\&|RIS\rPID|1\r"[..]);
    /// assert!(reader.next_chunk()?.is_some());
    /// assert!(reader.next_chunk()?.is_none());
    /// # Ok::<(), hl7_message::ReadError>(())
    /// ```
    pub fn new(source: R) -> Self {
        Self::with_limits(source, Limits::default())
    }

    /// Reads from `source` messages of at most [`Limits::message_bytes_max`].
    ///
    /// ```
    /// use hl7_message::{ChunkReader, Limits, ReadError};
    ///
    /// let file = &b"MSH|^~\\&|RIS|A long one\rMSH|^~\\&|RIS\r"[..];
    /// let limits = Limits { message_bytes_max: 20, ..Limits::default() };
    /// let mut reader = ChunkReader::with_limits(file, limits);
    /// let error = reader.next_chunk().unwrap_err();
    /// assert_eq!(error.to_string(), "the message at byte 0 is longer than 20 bytes");
    /// assert_eq!(reader.next_chunk()?.unwrap().bytes, b"MSH|^~\\&|RIS\r");
    /// # Ok::<(), ReadError>(())
    /// ```
    pub fn with_limits(source: R, limits: Limits) -> Self {
        Self {
            source,
            max: limits.message_bytes_max,
            buffer: Vec::new(),
            filled: 0,
            start: 0,
            given: 0,
            offset: 0,
            search: Search::default(),
            state: State::Between,
        }
    }

    /// The next chunk, lent until the next call; `None` at the end of the source.
    ///
    /// Its `offset` counts from where reading began.
    ///
    /// # Errors
    ///
    /// A message that is too long, after which reading can go on, or a source that fails, after
    /// which there is nothing more.
    ///
    /// ```
    /// use hl7_message::ChunkReader;
    ///
    /// let mut reader = ChunkReader::new(&b"\nMSH|^~\\&|A\nPID|1\n\nMSH|^~\\&|B\n"[..]);
    /// let mut found = Vec::new();
    /// while let Some(chunk) = reader.next_chunk()? {
    ///     found.push((chunk.offset, chunk.message().unwrap().segment_count()));
    /// }
    /// assert_eq!(found, [(1, 2), (19, 1)]);
    /// # Ok::<(), hl7_message::ReadError>(())
    /// ```
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, ReadError> {
        self.start += self.given;
        self.given = 0;
        let mut all = self.state == State::Failed;
        loop {
            if let Some(kind) = self.step(all)? {
                let bytes = self.buffer.get(self.start..self.start + self.given);
                return Ok(Some(Chunk {
                    kind,
                    bytes: bytes.unwrap_or_default(),
                    offset: usize::try_from(self.here()).unwrap_or(usize::MAX),
                }));
            }
            if all {
                return Ok(None);
            }
            all = !self.fill()?;
        }
    }

    /// Goes on with the bytes at hand: a chunk, which `given` then spans, or none so far.
    fn step(&mut self, all: bool) -> Result<Option<ChunkKind>, ReadError> {
        loop {
            let rest = self.buffer.get(self.start..self.filled);
            let rest = rest.unwrap_or_default();
            match self.state {
                State::Failed => return Ok(None),
                State::Between => {
                    let (skip, certain) = lead_so_far(rest, all);
                    let bare = skip == rest.len();
                    self.start += skip;
                    if bare || !certain {
                        return Ok(None);
                    }
                    self.search = Search::default();
                    self.state = State::Inside;
                }
                State::Inside => {
                    let found = self.search.run(rest, all);
                    let extent = found.map_or_else(|| self.search.extent(), |found| found.extent);
                    if extent > self.max {
                        let offset = self.here();
                        match found {
                            Some(found) => self.leave(found.len),
                            None => self.state = State::TooLong,
                        }
                        let max = self.max;
                        return Err(ReadError::TooLong { offset, max });
                    }
                    let Some(found) = found else {
                        return Ok(None);
                    };
                    self.state = State::Between;
                    self.given = found.len;
                    return Ok(Some(found.kind));
                }
                State::TooLong => {
                    let Some(found) = self.search.run(rest, all) else {
                        self.start += self.search.forget();
                        return Ok(None);
                    };
                    self.leave(found.len);
                }
            }
        }
    }

    /// Steps over a chunk that is not given.
    fn leave(&mut self, len: usize) {
        self.start += len;
        self.state = State::Between;
    }

    /// Where the chunk at hand starts in the source.
    fn here(&self) -> u64 {
        self.offset.saturating_add(self.start as u64)
    }

    /// Reads more; `false` at the end of the source.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.offset = self.here();
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        if self.buffer.len() - self.filled < BLOCK / 4 {
            let more = self.buffer.len().max(BLOCK);
            self.buffer.resize(self.buffer.len() + more, 0);
        }
        let read = loop {
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match read {
            Ok(read) => {
                // A source that claims more than there is room for is not believed.
                self.filled = self.buffer.len().min(self.filled + read);
                Ok(read > 0)
            }
            Err(source) => {
                let offset = self.offset.saturating_add(self.filled as u64);
                self.state = State::Failed;
                self.filled = 0;
                Err(ReadError::Source { offset, source })
            }
        }
    }
}

impl<R: Read> Iterator for ChunkReader<R> {
    type Item = Result<ChunkBuf, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.next_chunk().transpose()?;
        Some(chunk.map(|chunk| ChunkBuf {
            kind: chunk.kind,
            bytes: chunk.bytes.to_vec(),
            offset: chunk.offset,
        }))
    }
}

impl<R> fmt::Debug for ChunkReader<R> {
    /// Place and sizes only: the bytes are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkReader")
            .field("offset", &self.offset)
            .field("buffered", &(self.filled - self.start))
            .field("bytes_max", &self.max)
            .finish_non_exhaustive()
    }
}

/// A [`Chunk`] with bytes of its own; what a [`ChunkReader`] gives as an iterator.
///
/// ```
/// use hl7_message::ChunkReader;
///
/// let chunk = ChunkReader::new(&b"MSH|^~\\&|RIS||||||ACK|7\r"[..]).next().unwrap()?;
/// assert_eq!(chunk.message()?.header().control_id().as_bytes(), b"7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ChunkBuf {
    /// What it is.
    pub kind: ChunkKind,
    /// Its bytes, line ends and framing bytes behind it included.
    pub bytes: Vec<u8>,
    /// Where it stood in the source.
    pub offset: usize,
}

impl ChunkBuf {
    /// Reads it as a message, as [`Message::parse`] does.
    ///
    /// # Errors
    ///
    /// As [`Message::parse`].
    ///
    /// ```
    /// use hl7_message::ChunkReader;
    ///
    /// let chunk = ChunkReader::new(&b"BHS|^~\\&|RIS\r"[..]).next().unwrap()?;
    /// assert!(chunk.message().is_err()); // the header of a batch
    /// # Ok::<(), hl7_message::ReadError>(())
    /// ```
    pub fn message(&self) -> Result<Message<'_>, ParseError> {
        Message::parse(&self.bytes)
    }
}

impl fmt::Debug for ChunkBuf {
    /// Kind, place and size only: the bytes are a person's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, len) = (self.offset, self.bytes.len());
        write!(f, "ChunkBuf({:?} at {start}, {len} bytes)", self.kind)
    }
}

/// What a [`ChunkReader`] cannot give.
///
/// ```
/// use hl7_message::{ChunkReader, Limits, ReadError};
///
/// let limits = Limits { message_bytes_max: 8, ..Limits::default() };
/// let error = ChunkReader::with_limits(&b"MSH|^~\\&|RIS\r"[..], limits).next().unwrap();
/// assert!(matches!(error, Err(ReadError::TooLong { offset: 0, max: 8 })));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// A message is longer than the limit; reading goes on behind it.
    TooLong {
        /// Where it starts in the source.
        offset: u64,
        /// The limit that is in force.
        max: usize,
    },
    /// The source failed; nothing more is read, and the message at hand is not given.
    Source {
        /// How many bytes were read before.
        offset: u64,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { offset, max } => {
                write!(f, "the message at byte {offset} is longer than {max} bytes")
            }
            Self::Source { offset, .. } => write!(f, "the source failed behind byte {offset}"),
        }
    }
}

impl core::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::TooLong { .. } => None,
            Self::Source { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::chunks;
    use proptest::prelude::*;

    /// A source that hands out its bytes in pieces of these sizes, over and over.
    struct Pieces<'a> {
        bytes: &'a [u8],
        sizes: &'a [usize],
        turn: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.sizes[self.turn % self.sizes.len()];
            self.turn += 1;
            let read = size.min(buffer.len()).min(self.bytes.len());
            let (now, later) = self.bytes.split_at(read);
            buffer[..read].copy_from_slice(now);
            self.bytes = later;
            Ok(read)
        }
    }

    type Given = Result<(ChunkKind, usize, Vec<u8>), u64>;

    fn read(bytes: &[u8], sizes: &[usize], max: usize) -> Vec<Given> {
        let limits = Limits {
            message_bytes_max: max,
            ..Limits::default()
        };
        let source = Pieces {
            bytes,
            sizes,
            turn: 0,
        };
        let reader = ChunkReader::with_limits(source, limits);
        reader
            .map(|chunk| match chunk {
                Ok(chunk) => Ok((chunk.kind, chunk.offset, chunk.bytes)),
                Err(ReadError::TooLong { offset, .. }) => Err(offset),
                Err(error) => panic!("{error}"),
            })
            .collect()
    }

    /// The same by the slice API: what reaches further than `max` to the next chunk is too long.
    fn sliced(bytes: &[u8], max: usize) -> Vec<Given> {
        let all: Vec<_> = chunks(bytes).collect();
        let next = all.iter().skip(1).map(|chunk| chunk.offset);
        let ends = next.chain([bytes.len()]);
        all.iter()
            .zip(ends)
            .map(|(chunk, end)| {
                if end - chunk.offset > max {
                    return Err(chunk.offset as u64);
                }
                Ok((chunk.kind, chunk.offset, chunk.bytes.to_vec()))
            })
            .collect()
    }

    #[test]
    fn pieces_of_every_size_give_the_same_chunks() {
        let file = b"\xEF\xBB\xBFlog\nFHS|^~\\&\rBHS|^~\\&|\r\n\r\n\x0BMSH|^~\\&|\rOBX|a\nMSH|b\r\
            \x1C\r\x0B\xEF\xBB\xBFMSH|^~\\&|\nPID|1\n\n \n\xEF\xBBMSH|^~\\&|\r\nBTS|1\rFTS|1\r\r\xEF";
        for size in 1..=file.len() {
            for max in [0, 8, 12, 20, 1000] {
                assert_eq!(
                    read(file, &[size], max),
                    sliced(file, max),
                    "pieces of {size}, at most {max}"
                );
            }
        }
    }

    #[test]
    fn memory_stays_bounded() {
        struct Endless(u64);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let len = buffer.len().min(usize::try_from(self.0).unwrap());
                buffer[..len].fill(b'x');
                self.0 -= len as u64;
                Ok(len)
            }
        }
        let limits = Limits {
            message_bytes_max: 1000,
            ..Limits::default()
        };
        let source = b"MSH|^~\\&|"
            .chain(Endless(32 << 20))
            .chain(&b"\rMSH|^~\\&|\r"[..]);
        let mut reader = ChunkReader::with_limits(source, limits);
        assert!(matches!(
            reader.next_chunk(),
            Err(ReadError::TooLong {
                offset: 0,
                max: 1000
            })
        ));
        let next = reader.next_chunk().unwrap().unwrap();
        assert_eq!((next.offset, next.bytes.len()), ((32 << 20) + 10, 10));
        assert!(reader.buffer.len() <= 4 * BLOCK);
    }

    #[test]
    fn a_source_that_fails_is_told_once() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                let first = core::mem::take(&mut self.0);
                Err(io::Error::from(if first {
                    io::ErrorKind::Interrupted
                } else {
                    io::ErrorKind::ConnectionReset
                }))
            }
        }
        let mut reader = ChunkReader::new(b"MSH|^~\\&|\rPID|1".chain(Broken(true)));
        let error = reader.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the source failed behind byte 15");
        assert!(reader.next().is_none() && reader.next().is_none());
    }

    #[test]
    fn a_megabyte_of_line_ends_byte_by_byte_is_read_once() {
        let mut file = b"MSH|^~\\&|\r".to_vec();
        file.resize(1 << 20, b'\r');
        assert_eq!(read(&file, &[1], file.len()).len(), 1);
    }

    proptest! {
        #[test]
        fn any_cut_gives_what_the_slice_gives(
            file in "(MSH\\||FHS\\||BTS\\||BTS|FTS|[a-c|]|\r|\n|\r\n|\x0B|\x1C| |\u{FEFF}){0,40}",
            sizes in proptest::collection::vec(1..9_usize, 1..6),
            max in 0..60_usize,
        ) {
            prop_assert_eq!(read(file.as_bytes(), &sizes, max), sliced(file.as_bytes(), max));
        }

        #[test]
        fn any_bytes_too(
            file in proptest::collection::vec(
                prop::sample::select(b"MSHFBT|^\r\n\x0B\x1C\xEF\xBB\xBF \x00".to_vec()), 0..120),
            sizes in proptest::collection::vec(1..9_usize, 1..6),
        ) {
            prop_assert_eq!(read(&file, &sizes, 1000), sliced(&file, 1000));
        }
    }
}
