//! [`Charset`]: MSH-18 to text and back.

use core::fmt;
use std::borrow::Cow;

use encoding_rs::{Encoding, mem};

mod error;
mod readable;
mod text;
mod transcode;

pub use error::{InvalidBytes, Unencodable, UnknownCharset};
pub use readable::Readable;
pub use transcode::{Transcoded, Undecodable};

use crate::message::Message;

/// A character set that MSH-18 can name.
///
/// Source: HL7 2.3 table 0211 and, read as well, the names of later versions.
/// Bytes that the set does not have are an error with their place; nothing is
/// ever replaced in silence.
///
/// ```
/// use hl7_message::Charset;
///
/// let latin1 = Charset::from_msh18(b"8859/1")?;
/// assert_eq!(latin1.decode(b"M\xFCller").unwrap(), "Müller");
/// assert!(Charset::UTF_8.decode(b"M\xFCller").is_err());
/// # Ok::<(), hl7_message::UnknownCharset>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    name: &'static str,
    codec: Codec,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Codec {
    Ascii,
    Utf8,
    /// Every byte is the character of the same number.
    Latin1,
    /// As `encoding_rs` has it, but 80 to 9F are control characters of the same number.
    Latin5,
    /// JIS X 0201: ASCII and half-width Katakana.
    JisX0201,
    /// Several sets that escape sequences switch between.
    Iso2022Jp,
    Other(&'static Encoding),
}

const TABLE: &[(&str, Codec)] = &[
    ("ASCII", Codec::Ascii),
    ("UNICODE UTF-8", Codec::Utf8),
    ("8859/1", Codec::Latin1),
    ("8859/2", Codec::Other(encoding_rs::ISO_8859_2)),
    ("8859/3", Codec::Other(encoding_rs::ISO_8859_3)),
    ("8859/4", Codec::Other(encoding_rs::ISO_8859_4)),
    ("8859/5", Codec::Other(encoding_rs::ISO_8859_5)),
    ("8859/6", Codec::Other(encoding_rs::ISO_8859_6)),
    ("8859/7", Codec::Other(encoding_rs::ISO_8859_7)),
    ("8859/8", Codec::Other(encoding_rs::ISO_8859_8)),
    ("8859/9", Codec::Latin5),
    ("8859/10", Codec::Other(encoding_rs::ISO_8859_10)),
    ("8859/13", Codec::Other(encoding_rs::ISO_8859_13)),
    ("8859/14", Codec::Other(encoding_rs::ISO_8859_14)),
    ("8859/15", Codec::Other(encoding_rs::ISO_8859_15)),
    ("ISO IR14", Codec::JisX0201),
    ("ISO IR87", Codec::Iso2022Jp),
    ("GB 18030-2000", Codec::Other(encoding_rs::GB18030)),
    ("KS X 1001", Codec::Other(encoding_rs::EUC_KR)),
    ("BIG-5", Codec::Other(encoding_rs::BIG5)),
    // Not in the table of HL7, but sent.
    ("SHIFT_JIS", Codec::Other(encoding_rs::SHIFT_JIS)),
    ("WINDOWS-1252", Codec::Other(encoding_rs::WINDOWS_1252)),
];

/// Other spellings that are sent.
const ALIASES: &[(&str, &str)] = &[
    ("", "ASCII"),
    ("US-ASCII", "ASCII"),
    ("ISO IR6", "ASCII"),
    ("UTF-8", "UNICODE UTF-8"),
    ("UTF8", "UNICODE UTF-8"),
    ("UNICODE", "UNICODE UTF-8"),
    ("8859-1", "8859/1"),
    ("ISO 8859-1", "8859/1"),
    ("ISO-8859-1", "8859/1"),
    ("ISO_IR 100", "8859/1"),
    ("ISO_IR 192", "UNICODE UTF-8"),
    ("8859-15", "8859/15"),
    ("ISO-8859-15", "8859/15"),
    ("GB18030", "GB 18030-2000"),
    ("GB2312", "GB 18030-2000"),
    ("GBK", "GB 18030-2000"),
    ("BIG5", "BIG-5"),
    ("ISO IR13", "ISO IR14"),
    // Version 2.3 has these two for what later versions call ISO IR87.
    ("JAS2020", "ISO IR87"),
    ("JIS X 0202", "ISO IR87"),
    ("ISO-2022-JP", "ISO IR87"),
    ("SHIFT-JIS", "SHIFT_JIS"),
    ("SJIS", "SHIFT_JIS"),
    ("WINDOWS-31J", "SHIFT_JIS"),
    ("CP932", "SHIFT_JIS"),
    ("CP1252", "WINDOWS-1252"),
];

/// Sets whose bytes can be a line end or frame an MLLP block.
const WIDE: [&str; 8] = [
    "UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE", "UCS-2", "UCS-4",
];

impl Charset {
    /// ASCII, what HL7 2.3 means where MSH-18 is empty.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// assert!(Charset::ASCII.decode(b"M\xFCller").is_err());
    /// ```
    pub const ASCII: Self = Self {
        name: "ASCII",
        codec: Codec::Ascii,
    };
    /// UTF-8, `UNICODE UTF-8` in MSH-18.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// assert_eq!(Charset::UTF_8.decode("Müller".as_bytes()).unwrap(), "Müller");
    /// ```
    pub const UTF_8: Self = Self {
        name: "UNICODE UTF-8",
        codec: Codec::Utf8,
    };
    /// ISO 8859-1, `8859/1` in MSH-18.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// assert_eq!(Charset::LATIN_1.encode("Müller").unwrap().as_ref(), b"M\xFCller");
    /// ```
    pub const LATIN_1: Self = Self {
        name: "8859/1",
        codec: Codec::Latin1,
    };

    /// The set that a message is in by its MSH-18, or `default` where that is empty: ASCII by the
    /// standard, UTF-8 or a single-byte set by what your senders do.
    ///
    /// Where MSH-18 repeats, the first name counts, but ASCII or ISO IR14 with ISO IR87 behind it
    /// is the one set that switches between them.
    ///
    /// # Errors
    ///
    /// As [`Charset::from_msh18`].
    ///
    /// ```
    /// use hl7_message::{Charset, Message};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\r")?;
    /// assert_eq!(Charset::of(&message, Charset::LATIN_1).unwrap(), Charset::LATIN_1);
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS|||||||||||||||ASCII~ISO IR87\r")?;
    /// assert_eq!(Charset::of(&message, Charset::UTF_8).unwrap().name(), "ISO IR87");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn of(message: &Message<'_>, default: Self) -> Result<Self, UnknownCharset> {
        let field = message.header().character_set();
        let mut names = field.repetitions().map(|name| name.first().as_bytes());
        let first = names.next().unwrap_or_default();
        let set = Self::from_msh18(first)?;
        let switches = |name| Self::from_msh18(name).ok().filter(|set| set.switches());
        match set.codec {
            Codec::Ascii | Codec::JisX0201 => {
                Ok(names
                    .find_map(switches)
                    .unwrap_or(if first.trim_ascii().is_empty() {
                        default
                    } else {
                        set
                    }))
            }
            _ => Ok(set),
        }
    }

    fn switches(self) -> bool {
        self.codec == Codec::Iso2022Jp
    }

    /// The set that a name in MSH-18 means; an empty one is ASCII.
    ///
    /// # Errors
    ///
    /// A name that nobody knows, or that cannot travel in HL7 v2 (UTF-16, UTF-32).
    ///
    /// ```
    /// use hl7_message::{Charset, UnknownCharset};
    ///
    /// assert_eq!(Charset::from_msh18(b"UNICODE UTF-8"), Ok(Charset::UTF_8));
    /// assert_eq!(Charset::from_msh18(b"UNICODE UTF-16"), Err(UnknownCharset::Wide));
    /// assert_eq!(Charset::from_msh18(b"EBCDIC"), Err(UnknownCharset::Name));
    /// ```
    pub fn from_msh18(name: &[u8]) -> Result<Self, UnknownCharset> {
        let name = core::str::from_utf8(name)
            .map_err(|_| UnknownCharset::Name)?
            .trim();
        let last = name.rsplit(' ').next().unwrap_or_default();
        if WIDE.iter().any(|wide| wide.eq_ignore_ascii_case(last)) {
            return Err(UnknownCharset::Wide);
        }
        let find = |wanted: &str| {
            TABLE
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(wanted))
                .map(|(name, codec)| Self {
                    name,
                    codec: *codec,
                })
        };
        find(name)
            .or_else(|| {
                let alias = ALIASES
                    .iter()
                    .find(|(other, _)| other.eq_ignore_ascii_case(name))?;
                find(alias.1)
            })
            .ok_or(UnknownCharset::Name)
    }

    /// The name as MSH-18 has it.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// assert_eq!(Charset::UTF_8.name(), "UNICODE UTF-8");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether every byte below 80 is the ASCII character of that number, wherever it stands.
    ///
    /// In the other sets a delimiter's number can be half of a character: put the whole message
    /// into UTF-8 with [`Charset::to_utf8`] before it is parsed.
    ///
    /// ```
    /// use hl7_message::Charset;
    ///
    /// assert!(Charset::LATIN_1.is_ascii_superset());
    /// assert!(!Charset::from_msh18(b"ISO IR87")?.is_ascii_superset());
    /// # Ok::<(), hl7_message::UnknownCharset>(())
    /// ```
    pub fn is_ascii_superset(&self) -> bool {
        match self.codec {
            Codec::Ascii | Codec::Utf8 | Codec::Latin1 | Codec::Latin5 | Codec::JisX0201 => true,
            Codec::Iso2022Jp => false,
            Codec::Other(encoding) => encoding.is_single_byte() || encoding == encoding_rs::EUC_KR,
        }
    }

    /// The text that `bytes` are; borrowed where they are it already.
    ///
    /// # Errors
    ///
    /// Bytes that this set does not have, with the offset of the first one.
    ///
    /// ```
    /// use hl7_message::{Charset, InvalidBytes};
    ///
    /// assert_eq!(Charset::LATIN_1.decode(b"M\xFCller").unwrap(), "Müller");
    /// assert_eq!(Charset::UTF_8.decode(b"M\xFCller"), Err(InvalidBytes { offset: 1 }));
    /// ```
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, InvalidBytes> {
        match self.codec {
            Codec::Ascii => {
                let offset = Encoding::ascii_valid_up_to(bytes);
                if offset < bytes.len() {
                    return Err(InvalidBytes { offset });
                }
                utf8(bytes)
            }
            Codec::Utf8 => utf8(bytes),
            Codec::Latin1 => Ok(mem::decode_latin1(bytes)),
            Codec::Latin5 => Ok(Cow::Owned(bytes.iter().map(|&byte| latin5(byte)).collect())),
            Codec::JisX0201 => {
                let text = bytes
                    .iter()
                    .enumerate()
                    .map(|(offset, &byte)| jis_x_0201(byte).ok_or(InvalidBytes { offset }));
                text.collect::<Result<String, _>>().map(Cow::Owned)
            }
            Codec::Iso2022Jp => {
                let decoded = self.to_utf8(bytes);
                match decoded.undecodable().first() {
                    Some(first) => Err(InvalidBytes {
                        offset: first.offset,
                    }),
                    None => Ok(decoded.into_text()),
                }
            }
            Codec::Other(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .ok_or_else(|| InvalidBytes {
                    offset: first_invalid(encoding, bytes),
                }),
        }
    }

    /// The bytes of `text` in this set; borrowed where they are it already.
    ///
    /// # Errors
    ///
    /// A character that the set does not have, with its byte offset in `text`.
    ///
    /// ```
    /// use hl7_message::{Charset, Unencodable};
    ///
    /// assert_eq!(Charset::LATIN_1.encode("Müller").unwrap().as_ref(), b"M\xFCller");
    /// assert_eq!(Charset::ASCII.encode("Müller"), Err(Unencodable { offset: 1 }));
    /// ```
    pub fn encode<'a>(&self, text: &'a str) -> Result<Cow<'a, [u8]>, Unencodable> {
        let per_char = |byte: &dyn Fn(char) -> Option<u8>| {
            text.char_indices()
                .map(|(offset, c)| byte(c).ok_or(Unencodable { offset }))
                .collect::<Result<Vec<u8>, _>>()
                .map(Cow::Owned)
        };
        match self.codec {
            _ if text.is_ascii() => Ok(Cow::Borrowed(text.as_bytes())),
            Codec::Utf8 => Ok(Cow::Borrowed(text.as_bytes())),
            Codec::Ascii => per_char(&|c| u8::try_from(c).ok().filter(u8::is_ascii)),
            Codec::Latin1 => per_char(&|c| u8::try_from(c).ok()),
            Codec::Latin5 => per_char(&|c| (0..=u8::MAX).find(|&byte| latin5(byte) == c)),
            Codec::JisX0201 => {
                per_char(&|c| (0..=u8::MAX).find(|&byte| jis_x_0201(byte) == Some(c)))
            }
            Codec::Iso2022Jp | Codec::Other(_) => {
                let encoding = match self.codec {
                    Codec::Other(encoding) => encoding,
                    _ => encoding_rs::ISO_2022_JP,
                };
                let mut encoder = encoding.new_encoder();
                let longest = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
                let mut out = Vec::with_capacity(longest.unwrap_or(text.len() * 4));
                let (result, read) =
                    encoder.encode_from_utf8_to_vec_without_replacement(text, &mut out, true);
                match result {
                    encoding_rs::EncoderResult::Unmappable(c) => Err(Unencodable {
                        offset: read - c.len_utf8(),
                    }),
                    _ => Ok(Cow::Owned(out)),
                }
            }
        }
    }
}

/// ASCII, and half-width Katakana from A1 to DF.
fn jis_x_0201(byte: u8) -> Option<char> {
    match byte {
        0..=0x7F => Some(char::from(byte)),
        0xA1..=0xDF => char::from_u32(0xFF61 + u32::from(byte - 0xA1)),
        _ => None,
    }
}

/// ISO 8859-9 is ISO 8859-1 with six Turkish letters.
fn latin5(byte: u8) -> char {
    match byte {
        0xD0 => 'Ğ',
        0xDD => 'İ',
        0xDE => 'Ş',
        0xF0 => 'ğ',
        0xFD => 'ı',
        0xFE => 'ş',
        other => char::from(other),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, InvalidBytes> {
    core::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| InvalidBytes {
            offset: error.valid_up_to(),
        })
}

/// Where the first sequence stands that `encoding` does not have.
fn first_invalid(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let longest = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut out = String::with_capacity(longest.unwrap_or(bytes.len() * 4));
    match decoder.decode_to_string_without_replacement(bytes, &mut out, true) {
        (encoding_rs::DecoderResult::Malformed(bad, after), read) => {
            read.saturating_sub(usize::from(bad) + usize::from(after))
        }
        (_, read) => read,
    }
}

impl fmt::Debug for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charset({})", self.name)
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_table_0211_and_their_spellings_are_known() {
        for (name, canonical) in [
            ("", "ASCII"),
            ("ASCII", "ASCII"),
            ("8859/1", "8859/1"),
            ("8859/15", "8859/15"),
            ("UNICODE UTF-8", "UNICODE UTF-8"),
            ("utf-8", "UNICODE UTF-8"),
            ("ISO IR87", "ISO IR87"),
        ] {
            assert_eq!(
                Charset::from_msh18(name.as_bytes()).unwrap().name(),
                canonical
            );
        }
        for name in ["KLINGON", "8859/99", "\u{fffd}"] {
            let read = Charset::from_msh18(name.as_bytes());
            assert_eq!(read, Err(UnknownCharset::Name), "{name}");
        }
        for name in ["UNICODE UTF-16", "utf-16", "UNICODE UTF-32", "UCS-2"] {
            let read = Charset::from_msh18(name.as_bytes());
            assert_eq!(read, Err(UnknownCharset::Wide), "{name}");
        }
    }

    #[test]
    fn every_single_byte_goes_there_and_back() {
        let multi_byte = ["GB 18030-2000", "KS X 1001", "BIG-5", "SHIFT_JIS"];
        for (name, _) in TABLE.iter().filter(|(name, _)| !multi_byte.contains(name)) {
            let charset = Charset::from_msh18(name.as_bytes()).unwrap();
            for byte in 0..=u8::MAX {
                if let Ok(text) = charset.decode(&[byte]) {
                    assert_eq!(
                        charset.encode(&text).unwrap().as_ref(),
                        [byte],
                        "{name} {byte:02X}"
                    );
                }
            }
        }
    }

    #[test]
    fn invalid_bytes_are_placed() {
        assert_eq!(
            Charset::ASCII.decode(b"ab\xE9"),
            Err(InvalidBytes { offset: 2 })
        );
        assert_eq!(
            Charset::UTF_8.decode(b"abc\xE9"),
            Err(InvalidBytes { offset: 3 })
        );
        let greek = Charset::from_msh18(b"8859/7").unwrap();
        assert_eq!(greek.decode(b"a\xFF"), Err(InvalidBytes { offset: 1 }));
        assert_eq!(
            Charset::LATIN_1.encode("a€"),
            Err(Unencodable { offset: 1 })
        );
        assert_eq!(greek.encode("aЖ"), Err(Unencodable { offset: 1 }));
    }
}
