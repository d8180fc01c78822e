//! [`MllpCodec`]: frames out of a byte stream and into it, without any I/O.
//!
//! # What the framing bytes mean
//!
//! A block is `0B payload 1C 0D`. Real senders get this wrong in a few well-known ways, and this
//! table is the one place that says what each of them means. No payload that leaves here ever
//! holds 0B or 1C.
//!
//! | where | bytes | [`Framing::Tolerant`] | [`Framing::Strict`] |
//! |---|---|---|---|
//! | outside | anything but 0B | skipped, counted | the same |
//! | at the start | `0B 0B` | one start; the other is counted as junk | block restarted |
//! | inside | 0B after payload | [`BlockRestarted`]; a new block is open | the same |
//! | inside | `1C 0D` | the end | the end |
//! | inside | `1C 0A`, `1C` before 0B, `1C` as the last byte of the stream | the end | error |
//! | inside | `1C 1C` before any of these | the end; one 1C is counted as junk | error |
//! | inside | any other 1C | [`EndBlockAlone`]; outside again | the same |
//! | inside | the stream ends | [`Truncated`] | the same |
//! | whole | `0B 1C 0D` | a frame of no bytes | the same |
//! | whole | `0B 06 1C 0D`, `0B 15 1C 0D` | [`Event::CommitAck`], [`Event::CommitNak`] | the same |
//!
//! An empty block is delivered because its sender waits for an answer: the application refuses
//! it by name, and nobody has to guess at a time-out.
//!
//! [`BlockRestarted`]: FrameErrorKind::BlockRestarted
//! [`EndBlockAlone`]: FrameErrorKind::EndBlockAlone
//! [`Truncated`]: FrameErrorKind::Truncated

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};
use tokio_util::codec::{Decoder, Encoder};

use crate::{EncodeError, FrameError, FrameErrorKind, Limits, StreamError};

/// Opens a block: VT.
pub const START_BLOCK: u8 = 0x0B;
/// Ends a block, together with the [`CARRIAGE_RETURN`] after it: FS.
pub const END_BLOCK: u8 = 0x1C;
/// The byte after [`END_BLOCK`].
pub const CARRIAGE_RETURN: u8 = 0x0D;

const LINE_FEED: u8 = 0x0A;
const COMMIT_ACK: u8 = 0x06;
const COMMIT_NAK: u8 = 0x15;

/// How much of the field's bad habits a decoder understands; the table in [`codec`](crate::codec)
/// has every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// `0B payload 1C 0D` and nothing else.
    Strict,
    /// Takes doubled framing bytes and a missing or replaced carriage return where the end of
    /// the message is beyond doubt.
    #[default]
    Tolerant,
}

/// What a stream holds. `Debug` shows a frame's length, never its bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A message: the payload of one block, without its framing bytes.
    Frame(Bytes),
    /// MLLP release 2: the peer has stored what was sent.
    CommitAck,
    /// MLLP release 2: the peer could not store what was sent.
    CommitNak,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame) => write!(f, "Frame({} bytes)", frame.len()),
            Self::CommitAck => f.write_str("CommitAck"),
            Self::CommitNak => f.write_str("CommitNak"),
        }
    }
}

/// Reads and writes blocks.
///
/// The decoder remembers where it stopped searching, so that a frame costs time linear in its
/// length however finely it arrives cut. It consumes what it has understood from `src` and leaves
/// there only the unfinished block.
///
/// ```
/// use bytes::BytesMut;
/// use hl7_mllp::MllpCodec;
///
/// let mut codec = MllpCodec::new();
/// let mut src = BytesMut::from(&b"\r\n\x0bMSH|^~\\&|RIS"[..]);
/// assert_eq!(codec.decode(&mut src).unwrap(), None);      // not whole yet
/// src.extend_from_slice(b"|||\r\x1c\r");
/// assert_eq!(codec.decode(&mut src).unwrap().unwrap(), "MSH|^~\\&|RIS|||\r");
/// assert_eq!(codec.junk_bytes(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MllpCodec {
    limits: Limits,
    framing: Framing,
    state: State,
    /// Where in the stream the first byte of the caller's buffer stands.
    offset: u64,
    junk_bytes: u64,
    /// Junk since the last whole block, held against the limit.
    junk_run: usize,
    /// An unrecoverable error is said again at every later call.
    failed: Option<FrameError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum State {
    #[default]
    Outside,
    /// The buffer begins with the payload; its first `searched` bytes hold no framing byte.
    Inside { searched: usize },
}

/// What an end block and the bytes after it amount to.
enum Ending {
    /// The block ends, and takes `bytes` after the payload with it, `junk` of them too many.
    Whole { bytes: usize, junk: usize },
    /// The next byte decides.
    Undecided,
    /// Not an end.
    Broken,
}

impl MllpCodec {
    /// A tolerant codec with the default [`Limits`].
    pub fn new() -> Self {
        Self::default()
    }

    /// A tolerant codec with `limits`.
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The same codec with another [`Framing`].
    #[must_use]
    pub fn framing(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes skipped so far because they stood outside any block.
    pub fn junk_bytes(&self) -> u64 {
        self.junk_bytes
    }

    /// Bytes of the stream consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where in the stream the payload of the open block begins, or `None` between blocks.
    pub fn open_block(&self) -> Option<u64> {
        match self.state {
            State::Outside => None,
            State::Inside { .. } => Some(self.offset),
        }
    }

    /// Takes the next message from `src`, or `None` when more bytes are needed. Commit blocks
    /// are passed over; [`decode_event`](Self::decode_event) shows them.
    ///
    /// After an error that [is recoverable](FrameError::is_recoverable) the next call goes on
    /// with the next block; any other is said again at every call.
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        loop {
            match self.decode_event(src)? {
                Some(Event::Frame(frame)) => return Ok(Some(frame)),
                Some(Event::CommitAck | Event::CommitNak) => {}
                None => return Ok(None),
            }
        }
    }

    /// [`decode`](Self::decode) for a stream that has ended: an open block is
    /// [`Truncated`](FrameErrorKind::Truncated), never a message. Call it until it returns
    /// `Ok(None)`.
    pub fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        loop {
            match self.decode_event_eof(src)? {
                Some(Event::Frame(frame)) => return Ok(Some(frame)),
                Some(Event::CommitAck | Event::CommitNak) => {}
                None => return Ok(None),
            }
        }
    }

    /// Takes the next message or commit block from `src`, or `None` when more bytes are needed.
    pub fn decode_event(&mut self, src: &mut BytesMut) -> Result<Option<Event>, FrameError> {
        if let Some(error) = self.failed {
            src.clear();
            return Err(error);
        }
        loop {
            match self.state {
                State::Outside => {
                    if !self.find_start(src)? {
                        return Ok(None);
                    }
                }
                State::Inside { searched } => {
                    let framing_byte = src
                        .get(searched..)
                        .and_then(|rest| memchr2(START_BLOCK, END_BLOCK, rest))
                        .map(|at| searched + at);
                    let payload_bytes = framing_byte.unwrap_or(src.len());
                    if payload_bytes > self.limits.frame_bytes_max {
                        let limit = self.limits.frame_bytes_max;
                        return Err(self.fail(src, FrameErrorKind::FrameTooLarge { limit }, limit));
                    }
                    let Some(at) = framing_byte else {
                        self.state = State::Inside {
                            searched: src.len(),
                        };
                        return Ok(None);
                    };
                    if src.get(at) == Some(&START_BLOCK) {
                        self.restart(src, at)?;
                        continue;
                    }
                    match self.ending(src.get(at + 1..).unwrap_or_default()) {
                        Ending::Whole { bytes, junk } => {
                            return Ok(Some(self.finish(src, at, bytes, junk)));
                        }
                        Ending::Undecided => {
                            self.state = State::Inside { searched: at };
                            return Ok(None);
                        }
                        Ending::Broken => {
                            let error = self.error(FrameErrorKind::EndBlockAlone, at);
                            self.consume(src, at + 1);
                            self.state = State::Outside;
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    /// [`decode_event`](Self::decode_event) for a stream that has ended.
    pub fn decode_event_eof(&mut self, src: &mut BytesMut) -> Result<Option<Event>, FrameError> {
        if let Some(event) = self.decode_event(src)? {
            return Ok(Some(event));
        }
        if let Some(event) = self.end_here(src) {
            return Ok(Some(event));
        }
        if self.state == State::Outside {
            return Ok(None);
        }
        let error = self.error(FrameErrorKind::Truncated, src.len());
        self.consume(src, src.len());
        self.state = State::Outside;
        Err(error)
    }

    /// Whether everything of a block has come but the byte after its end block, which
    /// [`Framing::Tolerant`] could do without.
    pub fn awaits_end(&self, src: &BytesMut) -> bool {
        let State::Inside { searched } = self.state else {
            return false;
        };
        let rest = src.get(searched..).unwrap_or_default();
        self.framing == Framing::Tolerant && matches!(rest, [END_BLOCK] | [END_BLOCK, END_BLOCK])
    }

    /// Takes a block that [awaits its end](Self::awaits_end) as it stands. For a peer that leaves
    /// out the carriage return and waits for its answer: only the caller knows how long is too
    /// long.
    pub fn end_here(&mut self, src: &mut BytesMut) -> Option<Event> {
        match self.state {
            State::Inside { searched } if self.awaits_end(src) => {
                let waiting = src.len() - searched;
                Some(self.finish(src, searched, waiting, waiting - 1))
            }
            _ => None,
        }
    }

    /// Appends one block to `dst`, or nothing if `payload` cannot travel in one.
    pub fn encode_frame(&self, payload: &[u8], dst: &mut BytesMut) -> Result<(), EncodeError> {
        let limit = self.limits.frame_bytes_max;
        if payload.len() > limit {
            return Err(EncodeError::TooLarge {
                bytes: payload.len(),
                limit,
            });
        }
        if let Some(offset) = memchr2(START_BLOCK, END_BLOCK, payload) {
            let byte = payload.get(offset).copied().unwrap_or_default();
            return Err(EncodeError::FramingByte { byte, offset });
        }
        if let &[byte @ (COMMIT_ACK | COMMIT_NAK)] = payload {
            return Err(EncodeError::CommitByte { byte });
        }
        dst.reserve(payload.len() + 3);
        dst.put_u8(START_BLOCK);
        dst.put_slice(payload);
        dst.put_slice(&[END_BLOCK, CARRIAGE_RETURN]);
        Ok(())
    }

    /// Appends a commit block of MLLP release 2 to `dst`: `stored` or not.
    pub fn encode_commit(&self, stored: bool, dst: &mut BytesMut) {
        let byte = if stored { COMMIT_ACK } else { COMMIT_NAK };
        dst.put_slice(&[START_BLOCK, byte, END_BLOCK, CARRIAGE_RETURN]);
    }

    /// Skips to the next start block and past it; `false` when there is none yet.
    fn find_start(&mut self, src: &mut BytesMut) -> Result<bool, FrameError> {
        let start = memchr(START_BLOCK, src);
        self.skip_junk(src, start.unwrap_or(src.len()))?;
        if start.is_some() {
            self.consume(src, 1);
            self.state = State::Inside { searched: 0 };
        }
        Ok(start.is_some())
    }

    /// A start block at `at` inside an open block.
    fn restart(&mut self, src: &mut BytesMut, at: usize) -> Result<(), FrameError> {
        if at == 0 && self.framing == Framing::Tolerant {
            self.skip_junk(src, 1)?;
            self.state = State::Inside { searched: 0 };
            return Ok(());
        }
        let error = self.error(FrameErrorKind::BlockRestarted, at);
        self.consume(src, at + 1);
        self.state = State::Inside { searched: 0 };
        Err(error)
    }

    /// What an end block means, by the bytes after it.
    fn ending(&self, after: &[u8]) -> Ending {
        let tolerant = self.framing == Framing::Tolerant;
        match after {
            [CARRIAGE_RETURN, ..] => Ending::Whole { bytes: 2, junk: 0 },
            [] => Ending::Undecided,
            _ if !tolerant => Ending::Broken,
            [LINE_FEED, ..] => Ending::Whole { bytes: 2, junk: 0 },
            [START_BLOCK, ..] => Ending::Whole { bytes: 1, junk: 0 },
            [END_BLOCK] => Ending::Undecided,
            [END_BLOCK, CARRIAGE_RETURN | LINE_FEED, ..] => Ending::Whole { bytes: 3, junk: 1 },
            [END_BLOCK, START_BLOCK, ..] => Ending::Whole { bytes: 2, junk: 1 },
            _ => Ending::Broken,
        }
    }

    /// Takes a whole block whose payload is the first `payload_bytes` of `src`.
    fn finish(
        &mut self,
        src: &mut BytesMut,
        payload_bytes: usize,
        framing_bytes: usize,
        junk: usize,
    ) -> Event {
        let payload = src.split_to(payload_bytes).freeze();
        self.offset += payload_bytes as u64;
        self.consume(src, framing_bytes);
        self.junk_bytes += junk as u64;
        self.junk_run = 0;
        self.state = State::Outside;
        match &payload[..] {
            [COMMIT_ACK] => Event::CommitAck,
            [COMMIT_NAK] => Event::CommitNak,
            _ => Event::Frame(payload),
        }
    }

    fn skip_junk(&mut self, src: &mut BytesMut, bytes: usize) -> Result<(), FrameError> {
        let limit = self.limits.junk_bytes_max;
        let taken = bytes.min(limit.saturating_sub(self.junk_run));
        self.junk_run += taken;
        self.junk_bytes += taken as u64;
        self.consume(src, taken);
        if taken < bytes {
            return Err(self.fail(src, FrameErrorKind::TooMuchJunk { limit }, 0));
        }
        Ok(())
    }

    fn consume(&mut self, src: &mut BytesMut, bytes: usize) {
        src.advance(bytes);
        self.offset += bytes as u64;
    }

    fn error(&self, kind: FrameErrorKind, at: usize) -> FrameError {
        FrameError {
            kind,
            offset: self.offset + at as u64,
        }
    }

    /// An error after which nothing more is read. What is buffered goes at once.
    fn fail(&mut self, src: &mut BytesMut, kind: FrameErrorKind, at: usize) -> FrameError {
        let error = self.error(kind, at);
        self.failed = Some(error);
        self.state = State::Outside;
        src.clear();
        error
    }
}

/// The frames of a stream, for [`tokio_util::codec::FramedRead`]; commit blocks are passed over.
///
/// `FramedRead` ends its stream at any error. Polled again after a recoverable one it goes on.
impl Decoder for MllpCodec {
    type Item = Bytes;
    type Error = StreamError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, StreamError> {
        Ok(MllpCodec::decode(self, src)?)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, StreamError> {
        Ok(MllpCodec::decode_eof(self, src)?)
    }
}

impl Encoder<&[u8]> for MllpCodec {
    type Error = EncodeError;

    fn encode(&mut self, payload: &[u8], dst: &mut BytesMut) -> Result<(), EncodeError> {
        self.encode_frame(payload, dst)
    }
}

impl Encoder<Bytes> for MllpCodec {
    type Error = EncodeError;

    fn encode(&mut self, payload: Bytes, dst: &mut BytesMut) -> Result<(), EncodeError> {
        self.encode_frame(&payload, dst)
    }
}

#[cfg(test)]
mod tests;
