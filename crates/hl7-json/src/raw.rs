//! The raw form: a message as JSON from which every byte comes back.

mod encode;
mod node;
mod read;
mod stream;

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hl7_message::{Charset, Component, Field, LineEnd, Message, Repetition, Segment, Separators};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use crate::text;

pub use read::from_raw;

/// What `format` says in the raw form.
pub const FORMAT: &str = "hl7v2-raw/1";

/// What `format` says where the text is decoded: for reading alone.
pub const FORMAT_DECODED: &str = "hl7v2-decoded/1";

/// The JSON Schema (2020-12) of the raw form.
pub const SCHEMA: &str = include_str!("../schema/hl7v2-raw-1.schema.json");

/// The raw form of a message as something that serde can write.
///
/// Written straight from the views of the message: no tree is built.
///
/// ```
/// use hl7_json::Raw;
/// use hl7_message::Message;
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\r")?;
/// let answer = serde_json::json!({ "id": 1, "parsedMessage": Raw(&message) });
/// assert_eq!(answer["parsedMessage"]["segments"][0]["fields"][2], "RIS");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Raw<'m, 'a>(pub &'m Message<'a>);

/// As [`Raw`], with escape sequences decoded. It cannot be read back, and its `format` says so.
#[derive(Debug, Clone, Copy)]
pub struct Decoded<'m, 'a>(pub &'m Message<'a>);

/// A message in the raw form.
///
/// ```
/// use hl7_json::{from_raw, to_raw};
/// use hl7_message::Message;
///
/// let bytes = b"MSH|^~\\&|RIS\rPID|1||77||DOE^JANE\r";
/// let json = to_raw(&Message::parse(bytes)?);
/// assert_eq!(from_raw(&json)?, bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_raw(message: &Message<'_>) -> String {
    let mut out = Vec::new();
    append_raw(message, &mut out);
    // Text is checked where it is not ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// Appends a message in the raw form to a buffer, which can be used again and again.
///
/// Several times as fast as serde writes [`Raw`], and the same bytes.
///
/// ```
/// use hl7_json::{Raw, append_raw};
/// use hl7_message::Message;
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77||DOE^JANE\r")?;
/// let mut buffer = Vec::new();
/// append_raw(&message, &mut buffer);
/// assert_eq!(buffer, serde_json::to_vec(&Raw(&message))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn append_raw(message: &Message<'_>, buffer: &mut Vec<u8>) {
    stream::append(message, buffer);
}

/// Writes a message in the raw form, through a buffer of 64 KiB.
///
/// # Errors
///
/// What the writer says.
pub fn write_raw(message: &Message<'_>, mut writer: impl io::Write) -> io::Result<()> {
    stream::write(message, &mut writer)
}

impl Serialize for Raw<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        document(self.0, false, serializer)
    }
}

impl Serialize for Decoded<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        document(self.0, true, serializer)
    }
}

/// How leaves are written.
#[derive(Clone, Copy)]
struct Style {
    charset: Charset,
    decode: bool,
}

/// Something of a message and how to write it.
struct Styled<T>(T, Style);

fn document<S: Serializer>(
    message: &Message<'_>,
    decode: bool,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let style = Style {
        charset: text::charset_of(message),
        decode,
    };
    let edges = Edges::of(message);
    let mut out = serializer.serialize_struct("Raw", 8)?;
    out.serialize_field("format", if decode { FORMAT_DECODED } else { FORMAT })?;
    out.serialize_field("delimiters", &delimiters(*message.separators()))?;
    out.serialize_field("charset", style.charset.name())?;
    out.serialize_field("terminator", &plain(message.line_end().as_bytes()))?;
    out.serialize_field("finalTerminator", &edges.final_terminator)?;
    if !edges.prefix.is_empty() {
        out.serialize_field("prefix", &plain(edges.prefix))?;
    }
    out.serialize_field("segments", &Styled(message, style))?;
    if !edges.suffix.is_empty() {
        out.serialize_field("suffix", &plain(edges.suffix))?;
    }
    out.end()
}

/// What stands around the segments of a message.
struct Edges<'a> {
    prefix: &'a [u8],
    final_terminator: bool,
    suffix: &'a [u8],
}

impl<'a> Edges<'a> {
    fn of(message: &Message<'a>) -> Self {
        let bytes = message.as_bytes();
        let start = message.header().segment().span().start;
        let end = message
            .segments()
            .next_back()
            .map_or(bytes.len(), |last| last.span().end);
        let rest = bytes.get(end..).unwrap_or_default();
        let terminator = message.line_end().as_bytes();
        let after = rest
            .strip_prefix(terminator)
            .filter(|_| message.line_end() != LineEnd::Missing);
        Self {
            prefix: bytes.get(..start).unwrap_or_default(),
            final_terminator: after.is_some(),
            suffix: after.unwrap_or(rest),
        }
    }
}

/// What stands between a segment and the next, where it is not the terminator.
fn between<'a>(message: &Message<'a>, segment: Segment<'_>, next: Segment<'_>) -> Option<&'a [u8]> {
    let between = segment.span().end..next.span().start;
    let between = message.as_bytes().get(between).unwrap_or_default();
    (between != message.line_end().as_bytes()).then_some(between)
}

/// MSH-1 and MSH-2.
fn delimiters(separators: Separators) -> String {
    let mut text = String::from(char::from(separators.field()));
    text.extend(separators.encoding_characters().into_iter().map(char::from));
    text
}

/// Bytes that a message steps over: line ends, blanks, MLLP blocks and the UTF-8 byte order mark.
fn plain(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

impl Serialize for Styled<&Message<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let mut list = serializer.serialize_seq(Some(message.segment_count()))?;
        let mut next = message.segments().skip(1);
        for segment in message.segments() {
            let end = next.next().and_then(|next| between(message, segment, next));
            list.serialize_element(&Styled((segment, end), self.1))?;
        }
        list.end()
    }
}

impl Serialize for Styled<(Segment<'_>, Option<&[u8]>)> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Styled((segment, end), style) = *self;
        let mut out = serializer.serialize_struct("Segment", 3)?;
        let as_it_is = Style {
            decode: false,
            ..style
        };
        out.serialize_field(
            "id",
            &Styled(Leaf(segment.name(), segment.separators()), as_it_is),
        )?;
        out.serialize_field("fields", &Styled(segment, style))?;
        if let Some(end) = end {
            out.serialize_field("end", plain(end))?;
        }
        out.end()
    }
}

impl Serialize for Styled<Segment<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.fields().map(|field| Styled(field, self.1)))
    }
}

macro_rules! level {
    ($view:ident, $parts:ident, [$($cuts:ident),+]) => {
        impl Serialize for Styled<$view<'_>> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Styled(view, style) = self;
                let separators = view.separators();
                let splits = |byte: &u8| false $(|| Some(*byte) == Option::<u8>::from(separators.$cuts()))+;
                if !view.as_bytes().iter().any(splits) {
                    return Styled(Leaf(view.as_bytes(), separators), *style).serialize(serializer);
                }
                serializer.collect_seq(view.$parts().map(|part| Styled(part, *style)))
            }
        }
    };
}

level!(Field, repetitions, [repetition, component, subcomponent]);
level!(Repetition, components, [component, subcomponent]);

impl Serialize for Styled<Component<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Styled(component, style) = *self;
        let separators = component.separators();
        let leaf = |bytes| Styled(Leaf(bytes, separators), style);
        let splits = separators
            .subcomponent()
            .is_some_and(|separator| component.as_bytes().contains(&separator));
        if !splits {
            return leaf(component.as_bytes()).serialize(serializer);
        }
        serializer.collect_seq(component.subcomponents().map(|part| leaf(part.as_bytes())))
    }
}

struct Leaf<'a, 's>(&'a [u8], &'s Separators);

impl Serialize for Styled<Leaf<'_, '_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Styled(Leaf(bytes, separators), style) = *self;
        if style.decode {
            let data = hl7_message::escape::unescape(bytes, separators);
            if let Ok(text) = style.charset.decode(&data) {
                return serializer.serialize_str(&text);
            }
        } else if let Some(text) = text::exact(bytes, style.charset) {
            return serializer.serialize_str(&text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("b64", &STANDARD.encode(bytes))?;
        map.end()
    }
}

#[cfg(test)]
mod tests;
