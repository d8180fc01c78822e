//! [`Stream`]: the raw form written straight from the bytes of a message.
//!
//! One pass finds where a field ends and which delimiters stand in it; most fields have none and
//! are copied as they are. Gives the same bytes as serde does from [`Raw`](super::Raw), which a
//! test holds.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hl7_message::{Charset, Message, Segment, Separators};

use super::{Edges, FORMAT, between, delimiters};
use crate::text;

/// What is gathered before it goes to the writer.
const CHUNK: usize = 64 << 10;

/// What a byte can be, as bits.
mod class {
    pub(super) const FIELD: u8 = 1;
    pub(super) const REPETITION: u8 = 2;
    pub(super) const COMPONENT: u8 = 4;
    pub(super) const SUBCOMPONENT: u8 = 8;
    /// JSON wants it escaped.
    pub(super) const ESCAPED: u8 = 16;
    /// Bytes have to be decoded, or are no text.
    pub(super) const DECODED: u8 = 32;
    pub(super) const SPLITS: u8 = REPETITION | COMPONENT | SUBCOMPONENT;
}

/// Writes a message; the buffer is given to the writer whenever it is full.
pub(super) struct Stream<'w, W> {
    out: Vec<u8>,
    writer: Option<&'w mut W>,
    classes: Classes,
    separators: Separators,
    charset: Charset,
}

/// As [`super::append_raw`].
pub(super) fn append(message: &Message<'_>, out: &mut Vec<u8>) {
    out.reserve(message.as_bytes().len() * 2 + 256);
    let mut stream = Stream::<io::Sink>::new(message, std::mem::take(out), None);
    // Without a writer there is nobody who could fail.
    let _ = stream.document(message);
    *out = stream.out;
}

/// As [`super::write_raw`].
pub(super) fn write<W: Write>(message: &Message<'_>, writer: &mut W) -> io::Result<()> {
    let buffer = Vec::with_capacity(CHUNK + CHUNK / 4);
    let mut stream = Stream::new(message, buffer, Some(writer));
    stream.document(message)?;
    stream.flush()
}

impl<'w, W: Write> Stream<'w, W> {
    fn new(message: &Message<'_>, out: Vec<u8>, writer: Option<&'w mut W>) -> Self {
        let charset = text::charset_of(message);
        let separators = *message.separators();
        Self {
            out,
            writer,
            classes: Classes::of_message(message, charset, separators),
            separators,
            charset,
        }
    }

    fn document(&mut self, message: &Message<'_>) -> io::Result<()> {
        let edges = Edges::of(message);
        self.raw("{\"format\":");
        self.text(FORMAT);
        self.raw(",\"delimiters\":");
        self.text(&delimiters(self.separators));
        self.raw(",\"charset\":");
        self.text(self.charset.name());
        self.raw(",\"terminator\":");
        self.text(super::plain(message.line_end().as_bytes()));
        self.raw(",\"finalTerminator\":");
        self.raw(if edges.final_terminator {
            "true"
        } else {
            "false"
        });
        if !edges.prefix.is_empty() {
            self.raw(",\"prefix\":");
            self.text(super::plain(edges.prefix));
        }
        self.raw(",\"segments\":");
        let mut next = message.segments().skip(1);
        let mut before = b'[';
        for segment in message.segments() {
            self.out.push(before);
            self.segment(segment)?;
            if let Some(end) = next.next().and_then(|next| between(message, segment, next)) {
                self.raw(",\"end\":");
                self.text(super::plain(end));
            }
            self.out.push(b'}');
            before = b',';
        }
        self.out.push(b']');
        if !edges.suffix.is_empty() {
            self.raw(",\"suffix\":");
            self.text(super::plain(edges.suffix));
        }
        self.out.push(b'}');
        Ok(())
    }

    fn segment(&mut self, segment: Segment<'_>) -> io::Result<()> {
        let bytes = segment.as_bytes();
        let name = segment.name();
        self.raw("{\"id\":");
        self.leaf(name, self.flags(name));
        self.raw(",\"fields\":[");
        let mut rest = bytes.get(name.len() + 1..);
        if matches!(name, b"MSH" | b"FHS" | b"BHS") && rest.is_some() {
            rest = self.declared(segment);
        }
        while let Some(fields) = rest {
            let (end, flags) = self.scan(fields);
            let (field, behind) = fields.split_at_checked(end).unwrap_or((fields, &[]));
            self.field(field, flags);
            rest = behind.get(1..);
            if rest.is_some() {
                self.out.push(b',');
            }
            if self.out.len() >= CHUNK {
                self.flush()?;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    /// MSH-1 and MSH-2, whose characters cut nothing; the fields behind them, if there are any.
    fn declared<'s>(&mut self, segment: Segment<'s>) -> Option<&'s [u8]> {
        let mut end = 0;
        for (n, field) in segment.fields().take(2).enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            let bytes = field.as_bytes();
            self.leaf(bytes, self.flags(bytes));
            end = field.span().end - segment.span().start;
        }
        let rest = segment.as_bytes().get(end + 1..)?;
        self.out.push(b',');
        Some(rest)
    }

    /// Where the first field of `bytes` ends, and what stands in it.
    #[inline]
    fn scan(&self, bytes: &[u8]) -> (usize, u8) {
        let mut flags = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let class = self.classes.of(*byte);
            if class & class::FIELD != 0 {
                return (at, flags);
            }
            flags |= class;
        }
        (bytes.len(), flags)
    }

    /// What stands in `bytes`.
    #[inline]
    fn flags(&self, bytes: &[u8]) -> u8 {
        bytes
            .iter()
            .fold(0, |flags, byte| flags | self.classes.of(*byte))
    }

    #[inline]
    fn field(&mut self, bytes: &[u8], flags: u8) {
        if flags & class::SPLITS == 0 {
            return self.leaf(bytes, flags);
        }
        self.out.push(b'[');
        if flags & class::REPETITION == 0 {
            self.repetition(bytes, flags);
        } else {
            let separator = self.separators.repetition();
            for (n, part) in bytes.split(|byte| *byte == separator).enumerate() {
                if n > 0 {
                    self.out.push(b',');
                }
                self.repetition(part, self.flags(part));
            }
        }
        self.out.push(b']');
    }

    fn repetition(&mut self, bytes: &[u8], flags: u8) {
        if flags & (class::COMPONENT | class::SUBCOMPONENT) == 0 {
            return self.leaf(bytes, flags);
        }
        self.out.push(b'[');
        let separator = self.separators.component();
        for (n, part) in bytes.split(|byte| *byte == separator).enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            let flags = self.flags(part);
            match self.separators.subcomponent() {
                Some(separator) if flags & class::SUBCOMPONENT != 0 => {
                    self.out.push(b'[');
                    for (n, leaf) in part.split(|byte| *byte == separator).enumerate() {
                        if n > 0 {
                            self.out.push(b',');
                        }
                        self.leaf(leaf, self.flags(leaf));
                    }
                    self.out.push(b']');
                }
                _ => self.leaf(part, flags),
            }
        }
        self.out.push(b']');
    }

    #[inline]
    fn leaf(&mut self, bytes: &[u8], flags: u8) {
        if bytes.is_empty() {
            self.out.extend_from_slice(b"\"\"");
        } else if flags & (class::ESCAPED | class::DECODED) == 0 {
            self.out.push(b'"');
            self.out.extend_from_slice(bytes);
            self.out.push(b'"');
        } else if flags & class::DECODED == 0 {
            self.quoted(bytes);
        } else {
            self.odd_leaf(bytes);
        }
    }

    /// A leaf in a character set, or base64 of what is no text in it.
    #[cold]
    fn odd_leaf(&mut self, bytes: &[u8]) {
        if let Some(text) = text::exact(bytes, self.charset) {
            return self.quoted(text.as_bytes());
        }
        self.raw("{\"b64\":\"");
        self.raw(&STANDARD.encode(bytes));
        self.raw("\"}");
    }

    fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    fn text(&mut self, text: &str) {
        self.quoted(text.as_bytes());
    }

    /// Bytes of UTF-8 as JSON text.
    fn quoted(&mut self, mut bytes: &[u8]) {
        self.out.push(b'"');
        while let Some(at) = bytes.iter().position(|byte| needs_escape(*byte)) {
            let (plain, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
            self.out.extend_from_slice(plain);
            let Some((byte, behind)) = rest.split_first() else {
                break;
            };
            self.escaped(*byte);
            bytes = behind;
        }
        self.out.extend_from_slice(bytes);
        self.out.push(b'"');
    }

    fn escaped(&mut self, byte: u8) {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0C => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
                let (high, low) = (digit(byte >> 4), digit(byte & 15));
                self.out
                    .extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}

const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// What each byte is in this message.
struct Classes([u8; 256]);

impl Classes {
    fn of_message(message: &Message<'_>, charset: Charset, separators: Separators) -> Self {
        let superset = charset.is_ascii_superset();
        // Where all of it is UTF-8, every leaf is: delimiters of ASCII cut between characters.
        let cuts_are_ascii = separators.field().is_ascii()
            && separators.encoding_characters().iter().all(u8::is_ascii);
        let verbatim = charset == Charset::UTF_8
            && cuts_are_ascii
            && core::str::from_utf8(message.as_bytes()).is_ok();
        let mut classes = Self([0; 256]);
        for byte in 0..=u8::MAX {
            if needs_escape(byte) {
                classes.add(byte, class::ESCAPED);
            }
            if !superset || (!byte.is_ascii() && !verbatim) {
                classes.add(byte, class::DECODED);
            }
        }
        classes.add(separators.field(), class::FIELD);
        classes.add(separators.repetition(), class::REPETITION);
        classes.add(separators.component(), class::COMPONENT);
        if let Some(byte) = separators.subcomponent() {
            classes.add(byte, class::SUBCOMPONENT);
        }
        classes
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "every byte is below 256")]
    const fn of(&self, byte: u8) -> u8 {
        self.0[byte as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "every byte is below 256")]
    const fn add(&mut self, byte: u8, class: u8) {
        self.0[byte as usize] |= class;
    }
}
