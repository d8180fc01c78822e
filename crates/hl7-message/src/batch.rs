//! Many messages in one buffer: [`chunks`] cuts it, batch headers and trailers told apart.

use core::ops::Range;

use memchr::memchr2;

/// What a [`Chunk`] is, told by how it starts.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// What it is.
    pub kind: ChunkKind,
    /// Its bytes, line ends and framing bytes behind it included.
    pub bytes: &'a [u8],
    /// Where it stands in the buffer.
    pub offset: usize,
}

impl Chunk<'_> {
    /// Where it stands in the buffer.
    pub const fn span(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

/// The chunks of a buffer in order; made by [`chunks`].
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    buffer: &'a [u8],
    at: usize,
}

/// Cuts a file, a batch or a capture of MLLP frames into messages.
///
/// A chunk starts where a line starts with MSH, FHS, BHS, BTS or FTS and a
/// delimiter; where a lone LF is data, a blank line has to stand before it, or a CR. Every byte of the buffer is in exactly one chunk, except white
/// space, framing bytes and a byte order mark in front of one. What ends the
/// lines of a message is decided by how its MSH ends, as in
/// [`Message::parse`](crate::Message::parse).
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

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.buffer.get(self.at..)?;
        let offset = self.at + lead(rest);
        let body = self.buffer.get(offset..).filter(|body| !body.is_empty())?;
        let kind = kind_of(body);
        let lone_lf_is_data = match (kind, memchr2(b'\r', b'\n', body)) {
            (ChunkKind::Other, _) | (_, None) => false,
            (_, Some(end)) => body.get(end) == Some(&b'\r') && body.get(end + 1) != Some(&b'\n'),
        };
        let len = next_start(body, lone_lf_is_data);
        self.at = offset + len;
        Some(Chunk {
            kind,
            bytes: body.get(..len).unwrap_or(body),
            offset,
        })
    }
}

/// White space, framing bytes and a byte order mark before a chunk.
fn lead(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match bytes.get(at..) {
            Some([0xEF, 0xBB, 0xBF, ..]) => at += 3,
            Some([b'\r' | b'\n' | b' ' | b'\t' | 0x0B | 0x1C, ..]) => at += 1,
            _ => return at,
        }
    }
}

fn kind_of(line: &[u8]) -> ChunkKind {
    let [a, b, c, delimiter, ..] = line else {
        return ChunkKind::Other;
    };
    if !delimiter.is_ascii_punctuation() {
        return ChunkKind::Other;
    }
    match &[*a, *b, *c] {
        b"MSH" => ChunkKind::Message,
        b"FHS" => ChunkKind::FileHeader,
        b"BHS" => ChunkKind::BatchHeader,
        b"BTS" => ChunkKind::BatchTrailer,
        b"FTS" => ChunkKind::FileTrailer,
        _ => ChunkKind::Other,
    }
}

/// How long the chunk at the start of `body` is.
fn next_start(body: &[u8], lone_lf_is_data: bool) -> usize {
    let mut at = 0;
    while let Some(end) = memchr2(b'\r', b'\n', body.get(at..).unwrap_or_default()) {
        let line = at + end + 1;
        let after = body.get(line..).unwrap_or_default();
        let skip = lead(after);
        let cr = body.get(at + end) == Some(&b'\r');
        let blank = matches!(after.first(), Some(b'\r' | b'\n'));
        let starts = cr || blank || !lone_lf_is_data;
        if starts && kind_of(after.get(skip..).unwrap_or_default()) != ChunkKind::Other {
            return line;
        }
        // What was stepped over holds no start of a chunk, so no byte is looked at twice.
        at = line + skip;
    }
    body.len()
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
