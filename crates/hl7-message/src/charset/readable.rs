//! [`Readable`]: a message in bytes that can be parsed, whatever it is written in.

use core::ops::Range;
use std::borrow::Cow;

use super::{Charset, Transcoded, Undecodable};
use crate::Message;

/// A message in bytes that can be parsed, whatever set it is written in.
///
/// In nearly every set the bytes are those that came. In ISO IR87, Shift JIS, GB 18030 and BIG-5 a
/// delimiter's number can be half of a character: there the message is put into UTF-8, and its
/// MSH-18 says so.
///
/// ```
/// use hl7_message::{Charset, Message, Readable, loc};
///
/// let bytes = b"MSH|^~\\&|RIS|||||||||||||||SHIFT_JIS\rPID|1||77||\x83\x5C\x83\x7C^A\r";
/// let readable = Readable::of(bytes, Charset::ASCII);
/// let message = Message::parse(readable.as_bytes())?;
/// assert_eq!(message.header().character_set().first().as_bytes(), b"UNICODE UTF-8");
/// let name = message.leaf(loc!("PID-5.1")).unwrap();
/// assert_eq!(name.text(Charset::UTF_8)?, "ソポ");
/// assert_eq!(readable.source_offset(name.span().start), 48);
/// assert_eq!(&bytes[48..52], b"\x83\x5C\x83\x7C");
///
/// let latin = b"MSH|^~\\&|RIS|||||||||||||||8859/1\rPID|1||77||M\xFCller\r";
/// assert_eq!(Readable::of(latin, Charset::ASCII).as_bytes(), latin);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Readable<'a> {
    bytes: Cow<'a, [u8]>,
    changed: Option<Changed<'a>>,
}

/// Where MSH-18 stands or would stand, and what is to stand there: UTF-8, behind the separators that
/// a short header lacks.
fn place(message: &Message<'_>) -> (Range<usize>, Vec<u8>) {
    /// MSH-1 is the first of them.
    const BEFORE: usize = 17;
    let separator = message.separators().field;
    let header = message.segments().next();
    let (bytes, end) = header.map_or((&b""[..], 0), |msh| (msh.as_bytes(), msh.span().end));
    let there = memchr::memchr_iter(separator, bytes).count();
    let mut said = vec![separator; BEFORE.saturating_sub(there)];
    let field = if said.is_empty() {
        message.header().character_set().span()
    } else {
        end..end
    };
    said.extend(Charset::UTF_8.name().bytes());
    (field, said)
}

#[derive(Debug, Clone)]
struct Changed<'a> {
    text: Transcoded<'a>,
    charset: Charset,
    /// Where MSH-18 stands, and where it ends in the text and in what is read.
    start: usize,
    ends: [usize; 2],
}

impl<'a> Readable<'a> {
    /// Of the bytes of a message; `default` is the set of one that names none. Bytes that are no
    /// message stay as they are.
    ///
    /// ```
    /// use hl7_message::{Charset, Readable};
    ///
    /// assert_eq!(Readable::of(b"no message", Charset::ASCII).as_bytes(), b"no message");
    /// ```
    pub fn of(bytes: &'a [u8], default: Charset) -> Self {
        let as_it_is = Self {
            bytes: Cow::Borrowed(bytes),
            changed: None,
        };
        let Ok(message) = Message::parse(bytes) else {
            return as_it_is;
        };
        let charset = match Charset::of(&message, default) {
            Ok(charset) if !charset.is_ascii_superset() => charset,
            _ => return as_it_is,
        };
        let text = charset.to_utf8(bytes);
        let Ok(in_utf8) = Message::parse(text.as_bytes()) else {
            return as_it_is;
        };
        let (field, said) = place(&in_utf8);
        let (before, after) = (
            text.as_bytes().get(..field.start).unwrap_or_default(),
            text.as_bytes().get(field.end..).unwrap_or_default(),
        );
        let bytes = [before, said.as_slice(), after].concat();
        let changed = Changed {
            charset,
            start: field.start,
            ends: [field.end, field.start + said.len()],
            text,
        };
        Self {
            bytes: Cow::Owned(bytes),
            changed: Some(changed),
        }
    }

    /// The bytes to parse.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The set that the message was put into UTF-8 from; `None` where it is as it came.
    ///
    /// ```
    /// use hl7_message::{Charset, Readable};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|||||||||||||||GB 18030-2000\r";
    /// let readable = Readable::of(bytes, Charset::ASCII);
    /// assert_eq!(readable.changed_from().unwrap().name(), "GB 18030-2000");
    /// ```
    pub fn changed_from(&self) -> Option<Charset> {
        self.changed.as_ref().map(|changed| changed.charset)
    }

    /// Bytes that the set does not have; they are read as hexadecimal escape sequences.
    pub fn undecodable(&self) -> &[Undecodable] {
        match &self.changed {
            Some(changed) => changed.text.undecodable(),
            None => &[],
        }
    }

    /// Where a byte of [`as_bytes`](Self::as_bytes) stood in the bytes that came.
    pub fn source_offset(&self, offset: usize) -> usize {
        let Some(changed) = &self.changed else {
            return offset;
        };
        let [before, now] = changed.ends;
        let in_text = if offset <= changed.start {
            offset
        } else if offset >= now {
            offset - now + before
        } else {
            changed.start
        };
        changed.text.source_offset(in_text)
    }

    /// The first byte that was read from a byte of the source, or from one behind it.
    ///
    /// ```
    /// use hl7_message::{Charset, Readable};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|||||||||||||||SHIFT_JIS\rPID|1||77||\x83\x5C^A\r";
    /// let readable = Readable::of(bytes, Charset::ASCII);
    /// let there = readable.offset_of(50);
    /// assert_eq!(&readable.as_bytes()[there..], b"^A\r");
    /// ```
    pub fn offset_of(&self, source: usize) -> usize {
        let (mut from, mut until) = (0, self.bytes.len());
        while from < until {
            let middle = from.midpoint(until);
            if self.source_offset(middle) < source {
                from = middle + 1;
            } else {
                until = middle;
            }
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loc;
    use proptest::prelude::*;

    #[test]
    fn a_header_that_ends_early_still_says_what_it_is_in() {
        let set = Charset::from_msh18(b"SHIFT_JIS").unwrap();
        let bytes = b"MSH|^~\\&|RIS\rPID|1||77||\x83\x5C\r";
        let readable = Readable::of(bytes, set);
        let text = std::str::from_utf8(readable.as_bytes()).unwrap();
        assert_eq!(
            text,
            "MSH|^~\\&|RIS|||||||||||||||UNICODE UTF-8\rPID|1||77||ソ\r"
        );
        assert_eq!(readable.changed_from(), Some(set));
    }

    #[test]
    fn bytes_that_the_set_does_not_have_are_told() {
        let bytes = b"MSH|^~\\&|RIS|||||||||||||||SHIFT_JIS\rPID|1||77||A\xFFB\r";
        let readable = Readable::of(bytes, Charset::ASCII);
        let [one] = readable.undecodable() else {
            panic!("{:?}", readable.undecodable());
        };
        assert_eq!(bytes[one.offset], 0xFF);
        let message = Message::parse(readable.as_bytes()).unwrap();
        let place = message.location_at(readable.offset_of(one.offset)).unwrap();
        assert_eq!(place.component(0).subcomponent(0).to_string(), "PID-5");
    }

    proptest! {
        #[test]
        fn text_in_any_set_is_read_as_what_was_written(
            name in "[a-zA-Zァ-ヶ一-龠ぁ-ん ]{1,20}",
            set in prop::sample::select(vec!["SHIFT_JIS", "ISO IR87", "GB 18030-2000", "UNICODE UTF-8"]),
        ) {
            let charset = Charset::from_msh18(set.as_bytes()).unwrap();
            let text = format!("MSH|^~\\&|RIS|||||||||||||||{set}\rPID|1||77||{name}\rPV1|1\r");
            let Ok(bytes) = charset.encode(&text) else {
                return Ok(());
            };
            let readable = Readable::of(&bytes, Charset::ASCII);
            let message = Message::parse(readable.as_bytes()).unwrap();
            let read = message.leaf(loc!("PID-5")).unwrap();
            prop_assert_eq!(read.text(Charset::UTF_8).unwrap(), name.as_str());
            prop_assert_eq!(readable.undecodable(), &[]);
            for offset in 0..=readable.as_bytes().len() {
                prop_assert!(readable.source_offset(offset) <= bytes.len());
            }
            let last = readable.as_bytes().len() - 6;
            prop_assert_eq!(&bytes[readable.source_offset(last)..], b"PV1|1\r");
        }
    }
}
