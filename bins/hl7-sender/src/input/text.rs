//! Text files and batches: messages apart by blank lines, or only by their MSH.

use bytes::Bytes;
use hl7_message::{Chunk, ChunkKind, LineEnd, Message, Segment, chunks};

use super::{Check, Cut, Piece, Problem};

pub(super) fn cut(bytes: &Bytes, check: Check) -> Result<Cut, Problem> {
    let mut cut = Cut::default();
    for chunk in chunks(bytes) {
        match piece_of(bytes, chunk, check)? {
            Some(piece) => cut.pieces.push(piece),
            None => cut.batch_segments += 1,
        }
    }
    Ok(cut)
}

/// The message that a chunk of `input` is; `None` for a header or a trailer of a batch.
pub(super) fn piece_of(
    input: &Bytes,
    chunk: Chunk<'_>,
    check: Check,
) -> Result<Option<Piece>, Problem> {
    match chunk.kind {
        ChunkKind::Message => piece(input, chunk, check).map(Some),
        ChunkKind::Other => {
            let what = "this is not HL7: a message begins with MSH and its delimiters, MSH|^~\\&";
            Err(Problem::new(chunk.offset, what))
        }
        ChunkKind::FileHeader
        | ChunkKind::BatchHeader
        | ChunkKind::BatchTrailer
        | ChunkKind::FileTrailer => Ok(None),
    }
}

/// The message as it travels: CR-terminated already and so left alone, or its segments joined.
fn piece(input: &Bytes, chunk: Chunk<'_>, check: Check) -> Result<Piece, Problem> {
    let offset = chunk.offset;
    let message = match Message::parse(chunk.bytes) {
        Ok(message) => message,
        Err(_) if check == Check::Nothing => {
            let bytes = unparsed(chunk.bytes).into();
            return Ok(Piece { bytes, offset });
        }
        Err(error) => {
            let what = format_args!("not a message: {} at {}", error.kind, error.location);
            return Err(Problem::new(offset + error.offset, what));
        }
    };
    if check == Check::Whole {
        check_lines(&message, chunk)?;
    }
    if let Some(end) = terminated(&message) {
        let bytes = input.slice(offset..offset + end);
        return Ok(Piece { bytes, offset });
    }
    let mut bytes = Vec::with_capacity(chunk.bytes.len() + 1);
    for segment in segments(&message) {
        bytes.extend_from_slice(segment.as_bytes());
        bytes.push(b'\r');
    }
    Ok(Piece {
        bytes: bytes.into(),
        offset,
    })
}

/// The lines of what is no message, each ended with CR and the empty ones left out.
fn unparsed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1);
    let lines = bytes.split(|byte| matches!(byte, b'\r' | b'\n'));
    for line in lines.filter(|line| !line.is_empty()) {
        out.extend_from_slice(line);
        out.push(b'\r');
    }
    out
}

/// Every line must be a segment, or else it is something between the messages that would be sent
/// along with one of them. In a CR-terminated message only what stands behind a blank line or a
/// line feed is doubted: the rest is the sender's business, byte for byte.
fn check_lines(message: &Message<'_>, chunk: Chunk<'_>) -> Result<(), Problem> {
    let edited = message.line_end() != LineEnd::Cr;
    let mut end = 0;
    for segment in segments(message) {
        let span = segment.span();
        let gap = chunk.bytes.get(end..span.start).unwrap_or_default();
        let doubted = edited || gap.contains(&b'\n') || is_blank_line(gap);
        if segment.id().is_none() && doubted {
            let what = "this line is no segment: it begins with no segment name such as PID| \
                        (text between messages, or a field broken across lines?)";
            return Err(Problem::new(chunk.offset + span.start, what));
        }
        if let Some(at) = swallowed(segment.as_bytes()) {
            let what = "a second MSH begins behind a line feed, but segments end in CR here; \
                        use one kind of line end throughout";
            return Err(Problem::new(chunk.offset + span.start + at, what));
        }
        end = span.end;
    }
    Ok(())
}

/// Where the header of another message stands in a segment that line feeds do not end.
fn swallowed(segment: &[u8]) -> Option<usize> {
    let at = memchr::memmem::find(segment, b"\nMSH")? + 1;
    segment
        .get(at + 3)
        .is_some_and(u8::is_ascii_punctuation)
        .then_some(at)
}

/// The segments, without the line feeds that end a file of CR-terminated messages.
fn segments<'a, 'm>(message: &'m Message<'a>) -> impl Iterator<Item = Segment<'a>> + use<'a, 'm> {
    message
        .segments()
        .filter(|segment| segment.as_bytes().iter().any(|byte| *byte != b'\n'))
}

fn is_blank_line(gap: &[u8]) -> bool {
    let ends = |byte| memchr::memchr_iter(byte, gap).count();
    ends(b'\r').max(ends(b'\n')) > 1
}

/// Where a message ends that is CR-terminated throughout and so can be sent as it is.
fn terminated(message: &Message<'_>) -> Option<usize> {
    let bytes = message.as_bytes();
    let last = segments(message).last()?.span().end;
    let whole = bytes.get(..=last)?;
    let mixed = || memchr::memmem::find(whole, b"\r\n").is_some();
    let ended = message.line_end() == LineEnd::Cr && whole.last() == Some(&b'\r');
    (ended && !mixed()).then_some(whole.len())
}
