//! [`Transcoded`]: a whole message in UTF-8, before it is parsed.

use core::ops::Range;
use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, ISO_2022_JP};

use super::{Charset, Codec, jis_x_0201, latin5};
use crate::combinators;
use crate::cut::preamble;
use crate::separators::Separators;

/// A message in UTF-8, and where each of its bytes stood before.
///
/// In ISO IR87, Shift JIS, GB 18030 and BIG-5 the number of a delimiter can be half of a
/// character: a message that is parsed as it came would be cut in the middle of a word. It is put
/// into UTF-8 first, parsed then, and offsets are told in the bytes that came.
///
/// Bytes that the set does not have are kept as a hexadecimal escape sequence, `\X8F\`, under the
/// delimiters of the message, and [`Transcoded::undecodable`] tells of each. Where MSH-2 declares no
/// escape character, U+FFFD stands for them.
///
/// Lines are read one by one: a line end is never part of a character in these sets, and escape
/// sequences of ISO IR87 hold to the end of their segment.
///
/// ```
/// use hl7_message::{Charset, Message, loc};
///
/// // ソ is 83 5C in Shift JIS, and 5C is the escape character; ポ is 83 7C, and 7C is MSH-1.
/// let bytes = b"MSH|^~\\&|RIS|||||||||||||||SHIFT_JIS\rPID|1||77||\x83\x5C\x83\x7C^A\r";
/// let charset = Charset::of(&Message::parse(bytes)?, Charset::ASCII)?;
/// let utf8 = charset.to_utf8(bytes);
/// let message = Message::parse(utf8.as_bytes())?;
/// let name = message.leaf(loc!("PID-5.1")).unwrap();
/// assert_eq!(name.text(Charset::UTF_8)?, "ソポ");
/// assert_eq!(utf8.source_offset(name.span().end), 52);
/// assert_eq!(&bytes[52..], b"^A\r");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Transcoded<'a> {
    source: &'a [u8],
    charset: Charset,
    keep: Keep,
    text: Cow<'a, str>,
    /// Where lines start in the text and in the source, where the two part from each other.
    lines: Vec<(usize, usize)>,
    undecodable: Vec<Undecodable>,
}

/// Bytes that the character set of a message does not have.
///
/// ```
/// use hl7_message::{Charset, Undecodable};
///
/// let utf8 = Charset::UTF_8.to_utf8(b"MSH|^~\\&|M\xFCller\r");
/// assert_eq!(utf8.as_str(), "MSH|^~\\&|M\\XFC\\ller\r");
/// assert_eq!(utf8.undecodable(), [Undecodable { offset: 10, len: 1 }]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable {
    /// Where they stand in the bytes that came.
    pub offset: usize,
    /// How many they are.
    pub len: usize,
}

impl Charset {
    /// Puts the bytes of a message, or of any part of one, from this set into UTF-8. Bytes that
    /// are UTF-8 already are borrowed.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// let utf8 = Charset::LATIN_1.to_utf8(b"MSH|^~\\&|M\xFCller\r");
    /// assert_eq!(utf8.as_str(), "MSH|^~\\&|Müller\r");
    /// ```
    pub fn to_utf8<'a>(&self, bytes: &'a [u8]) -> Transcoded<'a> {
        let keep = Keep::of(bytes);
        let mut done = Transcoded {
            source: bytes,
            charset: *self,
            keep,
            text: Cow::Borrowed(""),
            lines: Vec::new(),
            undecodable: Vec::new(),
        };
        let plain = match self.codec {
            Codec::Iso2022Jp => bytes.is_ascii() && !bytes.contains(&ESC),
            Codec::Utf8 => true,
            _ => bytes.is_ascii(),
        };
        if let (true, Ok(text)) = (plain, core::str::from_utf8(bytes)) {
            done.text = Cow::Borrowed(text);
            return done;
        }
        let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
        let mut at = 0;
        for line in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            let (last_text, last_source) = done.lines.last().copied().unwrap_or_default();
            if text.len() - last_text != at - last_source {
                done.lines.push((text.len(), at));
            }
            self.line(line, &mut |range, piece| match piece {
                Piece::Text(piece, _) => text.push_str(piece),
                Piece::Undecodable => {
                    let bytes = line.get(range.clone()).unwrap_or_default();
                    keep.write(bytes, &mut text);
                    let (offset, len) = (at + range.start, range.len());
                    match done.undecodable.last_mut() {
                        Some(last) if last.offset + last.len == offset => last.len += len,
                        _ => done.undecodable.push(Undecodable { offset, len }),
                    }
                }
            });
            at += line.len();
        }
        done.text = Cow::Owned(text);
        done
    }

    /// The pieces of one line.
    fn line(&self, line: &[u8], take: &mut dyn FnMut(Range<usize>, Piece<'_>)) {
        match self.codec {
            Codec::Utf8 => {
                let mut at = 0;
                for chunk in line.utf8_chunks() {
                    let (valid, invalid) = (chunk.valid(), chunk.invalid().len());
                    take(at..at + valid.len(), Piece::Text(valid, b""));
                    at += valid.len();
                    if invalid > 0 {
                        take(at..at + invalid, Piece::Undecodable);
                        at += invalid;
                    }
                }
            }
            Codec::Ascii => each(line, take, |byte| {
                byte.is_ascii().then_some(char::from(byte))
            }),
            Codec::Latin1 => each(line, take, |byte| Some(char::from(byte))),
            Codec::Latin5 => each(line, take, |byte| Some(latin5(byte))),
            Codec::JisX0201 => each(line, take, jis_x_0201),
            Codec::Other(encoding) => run(encoding, b"", 0, line, take),
            Codec::Iso2022Jp => {
                let mut at = 0;
                while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
                    let next = rest.iter().skip(1).position(|byte| *byte == ESC);
                    let rest = rest
                        .get(..next.map_or(rest.len(), |n| n + 1))
                        .unwrap_or(rest);
                    let state = match rest {
                        [ESC, b'(', b'B' | b'J' | b'I', ..] | [ESC, b'$', b'@' | b'B', ..] => 3,
                        [ESC, ..] => {
                            // A set that is not known: its bytes are no delimiters.
                            let end = rest.len() - line_end(rest);
                            take(at..at + end, Piece::Undecodable);
                            at += end;
                            if let Some(end) = line.get(at..at + line_end(rest)) {
                                run(ISO_2022_JP, b"", at, end, take);
                                at += end.len();
                            }
                            continue;
                        }
                        _ => 0,
                    };
                    let (state, body) = rest.split_at_checked(state).unwrap_or((b"", rest));
                    // A line end is one in every state.
                    let (body, end) = body
                        .split_at_checked(body.len() - line_end(body))
                        .unwrap_or((body, b""));
                    run(ISO_2022_JP, state, at + state.len(), body, take);
                    run(ISO_2022_JP, b"", at + state.len() + body.len(), end, take);
                    at += rest.len();
                }
            }
        }
    }
}

const ESC: u8 = 0x1B;

enum Piece<'a> {
    /// Text, and what a decoder has to have seen before it.
    Text(&'a str, &'a [u8]),
    Undecodable,
}

/// How long the line end is that `line` ends with; a line is cut behind the first byte of one.
fn line_end(line: &[u8]) -> usize {
    usize::from(matches!(line.last(), Some(b'\r' | b'\n')))
}

/// Sets of one byte a character.
fn each(
    line: &[u8],
    take: &mut dyn FnMut(Range<usize>, Piece<'_>),
    char_of: impl Fn(u8) -> Option<char>,
) {
    for (at, &byte) in line.iter().enumerate() {
        match char_of(byte) {
            Some(c) => take(at..at + 1, Piece::Text(c.encode_utf8(&mut [0; 4]), b"")),
            None => take(at..at + 1, Piece::Undecodable),
        }
    }
}

/// `bytes`, which stand at `offset`, by a decoder that has seen `state` before.
fn run(
    encoding: &'static Encoding,
    state: &[u8],
    offset: usize,
    bytes: &[u8],
    take: &mut dyn FnMut(Range<usize>, Piece<'_>),
) {
    if bytes.is_empty() {
        return;
    }
    let mut text = String::new();
    // Not into the text itself: its room would be looked at as a whole for each malformed byte.
    let mut room = [0; 1024];
    let mut at = 0;
    while at < bytes.len() {
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let _ = decoder.decode_to_utf8_without_replacement(state, &mut room, false);
        let from = at;
        let bad = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(rest, &mut room, true);
            at += read;
            let written = room.get(..written).unwrap_or_default();
            text.push_str(core::str::from_utf8(written).unwrap_or_default());
            match result {
                DecoderResult::OutputFull => {}
                DecoderResult::InputEmpty => break None,
                DecoderResult::Malformed(len, after) => {
                    break Some((usize::from(len), usize::from(after)));
                }
            }
        };
        let (good, end) = match bad {
            None => (bytes.len(), bytes.len()),
            Some((len, after)) => {
                let end = (at - after.min(at)).max(from + 1);
                (end.saturating_sub(len).max(from), end)
            }
        };
        if !text.is_empty() {
            take(offset + from..offset + good, Piece::Text(&text, state));
            text.clear();
        }
        if good < end {
            take(offset + good..offset + end, Piece::Undecodable);
        }
        at = end;
    }
}

/// How undecodable bytes are kept: with this escape character.
#[derive(Debug, Clone, Copy)]
struct Keep(Option<u8>);

impl Keep {
    /// By the delimiters of a message; a part of one has the usual ones.
    fn of(bytes: &[u8]) -> Self {
        let body = bytes.get(preamble(bytes)..).unwrap_or_default();
        let separators = combinators::separators(body).unwrap_or(Separators::DEFAULT);
        Self(separators.escape())
    }

    fn write(self, bytes: &[u8], text: &mut String) {
        let Some(escape) = self.0 else {
            text.push(char::REPLACEMENT_CHARACTER);
            return;
        };
        let digit = |n: u8| char::from(if n < 10 { b'0' + n } else { b'A' + n - 10 });
        text.push(char::from(escape));
        text.push('X');
        for byte in bytes {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text.push(char::from(escape));
    }
}

impl<'a> Transcoded<'a> {
    /// The message in UTF-8.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// assert_eq!(Charset::LATIN_1.to_utf8(b"PID|1||M\xFCller").as_str(), "PID|1||Müller");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The message in UTF-8, for [`Message::parse`](crate::Message::parse).
    ///
    /// ```
    /// use hl7_message::{Charset, Message};
    ///
    /// let utf8 = Charset::LATIN_1.to_utf8(b"MSH|^~\\&|K\xF6ln\r");
    /// let message = Message::parse(utf8.as_bytes())?;
    /// assert_eq!(message.header().sending_application().as_bytes(), "Köln".as_bytes());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The message in UTF-8, borrowed where it came so.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// let text = Charset::UTF_8.to_utf8(b"PID|1||77").into_text();
    /// assert!(matches!(text, std::borrow::Cow::Borrowed("PID|1||77")));
    /// ```
    pub fn into_text(self) -> Cow<'a, str> {
        self.text
    }

    /// What the character set does not have, in order.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// assert!(Charset::LATIN_1.to_utf8(b"K\xF6ln").undecodable().is_empty());
    /// assert_eq!(Charset::ASCII.to_utf8(b"K\xF6ln").undecodable()[0].offset, 1);
    /// ```
    pub fn undecodable(&self) -> &[Undecodable] {
        &self.undecodable
    }

    /// Where the character at `offset` of the UTF-8 text stood in the bytes that came.
    ///
    /// The line is decoded again for it, so ask where something is told, not for every leaf.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// let utf8 = Charset::LATIN_1.to_utf8(b"PID|1||77||M\xFCller^A");
    /// assert_eq!(utf8.as_str().find('^'), Some(18));
    /// assert_eq!(utf8.source_offset(18), 17);
    /// ```
    pub fn source_offset(&self, offset: usize) -> usize {
        let at = self.lines.partition_point(|(text, _)| *text <= offset);
        let before = at.checked_sub(1).and_then(|at| self.lines.get(at));
        let (mut text, start) = before.copied().unwrap_or_default();
        if matches!(self.text, Cow::Borrowed(_)) {
            return offset.min(self.source.len());
        }
        let rest = self.source.get(start..).unwrap_or_default();
        let mut source = start;
        let mut found = None;
        for line in rest.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            self.charset.line(line, &mut |range, piece| {
                if found.is_some() {
                    return;
                }
                let len = match piece {
                    Piece::Text(piece, _) => piece.len(),
                    Piece::Undecodable => {
                        let mut kept = String::new();
                        self.keep
                            .write(line.get(range.clone()).unwrap_or_default(), &mut kept);
                        kept.len()
                    }
                };
                if offset < text + len {
                    let bytes = line.get(range.clone()).unwrap_or_default();
                    let inside = self.within(bytes, offset - text, &piece);
                    found = Some(source + range.start + inside);
                }
                text += len;
            });
            if let Some(found) = found {
                return found;
            }
            source += line.len();
        }
        self.source.len()
    }

    /// Where among the bytes of a piece the character stands that is at `offset` of its text.
    fn within(&self, bytes: &[u8], offset: usize, piece: &Piece<'_>) -> usize {
        let (text, state) = match piece {
            Piece::Text(text, state) => (text, state),
            Piece::Undecodable => return 0,
        };
        let encoding = match self.charset.codec {
            // Byte for byte, or one byte alone.
            _ if text.len() == bytes.len() && text.is_ascii() => return offset,
            Codec::Other(encoding) => encoding,
            Codec::Iso2022Jp => ISO_2022_JP,
            Codec::Utf8 => return offset,
            Codec::Ascii | Codec::Latin1 | Codec::Latin5 | Codec::JisX0201 => return 0,
        };
        // Byte by byte: a character starts behind the byte that ended the one before.
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let mut room = [0; 32];
        let _ = decoder.decode_to_utf8_without_replacement(state, &mut room, false);
        let (mut start, mut seen) = (0, 0);
        for (at, byte) in bytes.iter().enumerate() {
            let byte = core::slice::from_ref(byte);
            let (_, _, written) =
                decoder.decode_to_utf8_without_replacement(byte, &mut room, false);
            seen += written;
            if seen > offset {
                return start;
            }
            if written > 0 {
                start = at + 1;
            }
        }
        start
    }
}

impl core::fmt::Debug for Transcoded<'_> {
    /// Sizes only: the text is a person's.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Transcoded")
            .field("charset", &self.charset)
            .field("bytes", &self.text.len())
            .field("undecodable", &self.undecodable.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
