//! [`Pieces`]: the messages of an input one after the other, while it is still being read.

use std::{
    collections::VecDeque,
    io::{self, Chain, Cursor, ErrorKind, Read},
};

use bytes::Bytes;
use hl7_message::{Chunk, ChunkBuf, ChunkReader, ReadError};
use hl7_mllp::{CARRIAGE_RETURN, END_BLOCK};
use memchr::{memmem, memrchr};

use super::{Check, Format, Piece, Problem, capture, ndjson, text};

/// So many bytes are asked for at once.
const BLOCK: usize = 64 << 10;
/// A message that is longer is no message.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Cuts an input as [`cut`](super::cut) does, and holds no more of it than a few messages.
pub(super) struct Pieces<R> {
    cutting: Cutting<R>,
    check: Check,
    ready: VecDeque<Piece>,
    pub(super) batch_segments: usize,
}

enum Cutting<R> {
    /// A message ends where the next one begins.
    Text(Box<ChunkReader<Chain<Cursor<Vec<u8>>, R>>>),
    /// Captures and JSON, in which a message ends with its own end.
    Ended(Ended<R>),
}

struct Ended<R> {
    source: R,
    format: Format,
    rest: Vec<u8>,
    /// Where `rest` begins in the input.
    offset: usize,
    /// Bytes at the beginning of `rest` that are a mark of its encoding.
    mark: usize,
    at_end: bool,
}

impl<R: Read> Pieces<R> {
    /// Reads as much as it takes to see what the input is.
    pub(super) fn open(mut source: R, check: Check) -> Result<Self, Problem> {
        let mut head = Vec::new();
        let (format, mark) = loop {
            if let Some(known) = super::format(&head).filter(|_| head.len() >= 3) {
                break known;
            }
            if more(&mut source, &mut head, 0)? == 0 {
                break super::format(&head).unwrap_or((Format::Text, 0));
            }
        };
        let cutting = if format == Format::Text {
            Cutting::Text(Box::new(ChunkReader::new(Cursor::new(head).chain(source))))
        } else {
            Cutting::Ended(Ended {
                source,
                format,
                rest: head,
                offset: 0,
                mark,
                at_end: false,
            })
        };
        Ok(Self {
            cutting,
            check,
            ready: VecDeque::new(),
            batch_segments: 0,
        })
    }

    /// The next message; `None` at the end of the input.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Problem> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            match &mut self.cutting {
                Cutting::Text(reader) => match reader.next() {
                    None => return Ok(None),
                    Some(chunk) => match message(chunk.map_err(unread)?, self.check)? {
                        None => self.batch_segments += 1,
                        piece => return Ok(piece),
                    },
                },
                Cutting::Ended(ended) => match ended.next(self.check)? {
                    None => return Ok(None),
                    Some(pieces) => self.ready.extend(pieces),
                },
            }
        }
    }
}

/// A message at its place in the input; `None` for a segment of a batch.
fn message(chunk: ChunkBuf, check: Check) -> Result<Option<Piece>, Problem> {
    let (kind, offset) = (chunk.kind, chunk.offset);
    let bytes = Bytes::from(chunk.bytes);
    let own = Chunk {
        kind,
        bytes: &bytes,
        offset: 0,
    };
    let mut piece = text::piece_of(&bytes, own, check).map_err(|problem| problem.moved(offset))?;
    if let Some(piece) = &mut piece {
        piece.offset += offset;
    }
    Ok(piece)
}

impl<R: Read> Ended<R> {
    /// Some more messages; `None` at the end.
    fn next(&mut self, check: Check) -> Result<Option<Vec<Piece>>, Problem> {
        loop {
            let whole = self.whole();
            if whole > 0 {
                let rest = self.rest.split_off(whole);
                let bytes = Bytes::from(std::mem::replace(&mut self.rest, rest));
                let (offset, mark) = (self.offset, std::mem::take(&mut self.mark));
                self.offset += whole;
                let cut = match self.format {
                    Format::Ndjson => ndjson::cut(&bytes, mark, check),
                    Format::Capture | Format::Text => capture::cut(&bytes, mark),
                };
                let mut cut = cut.map_err(|problem| problem.moved(offset))?;
                for piece in &mut cut.pieces {
                    piece.offset += offset;
                }
                return Ok(Some(cut.pieces));
            }
            if self.at_end {
                return Ok(None);
            }
            self.at_end = more(&mut self.source, &mut self.rest, self.offset)? == 0;
        }
    }

    /// How many bytes end with the end of a message.
    fn whole(&self) -> usize {
        if self.at_end {
            return self.rest.len();
        }
        let end = match self.format {
            Format::Ndjson => memrchr(b'\n', &self.rest).map(|at| at + 1),
            Format::Capture | Format::Text => {
                memmem::rfind(&self.rest, &[END_BLOCK, CARRIAGE_RETURN]).map(|at| at + 2)
            }
        };
        end.unwrap_or(0)
    }
}

/// Reads more, the more the longer the message at hand is already, so that it is not searched too
/// often; 0 at the end.
fn more(source: &mut impl Read, buffer: &mut Vec<u8>, offset: usize) -> Result<usize, Problem> {
    if buffer.len() > MESSAGE_BYTES_MAX {
        let what = format_args!("the message here is longer than {MESSAGE_BYTES_MAX} bytes");
        return Err(Problem::new(offset, what));
    }
    let wanted = if buffer.len() < BLOCK {
        1
    } else {
        buffer.len()
    };
    let before = buffer.len();
    loop {
        let filled = buffer.len();
        buffer.resize(filled + BLOCK, 0);
        let read = source.read(buffer.get_mut(filled..).unwrap_or_default());
        buffer.truncate(filled + read.as_ref().map_or(0, |read| (*read).min(BLOCK)));
        match read {
            Ok(0) => return Ok(buffer.len() - before),
            Ok(_) if buffer.len() - before >= wanted => return Ok(buffer.len() - before),
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(broken(offset + buffer.len(), &error));
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn unread(error: ReadError) -> Problem {
    match error {
        ReadError::Source { offset, source } => {
            broken(usize::try_from(offset).unwrap_or(usize::MAX), &source)
        }
        ReadError::TooLong { offset, max } => Problem::new(
            usize::try_from(offset).unwrap_or(usize::MAX),
            format_args!("the message here is longer than {max} bytes"),
        ),
        other => Problem::new(0, other),
    }
}

fn broken(offset: usize, error: &io::Error) -> Problem {
    Problem::new(offset, format_args!("cannot read on: {error}"))
}
