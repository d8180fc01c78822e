//! Escape sequences: every kind as a [`Token`], and plain data there and back.
//!
//! Source: HL7 2.3 chapter 2, section 2.9. Sequences that are broken or that
//! nobody knows stay as text: nothing is ever dropped.

mod format;

use std::borrow::Cow;

use memchr::memchr;

use crate::combinators::escape_sequence;
use crate::separators::{NONE, Separators};

pub use format::{FormatCommand, Formatted, FormattedText, formatted};

/// One piece of a text with escape sequences.
///
/// ```
/// use hl7_message::{Separators, escape::{Delimiter, Token, tokens}};
///
/// let found: Vec<_> = tokens(br"a\T\b\.br\c\H\", &Separators::DEFAULT).collect();
/// assert_eq!(found, [
///     Token::Text(b"a"),
///     Token::Delimiter(Delimiter::Subcomponent),
///     Token::Text(b"b"),
///     Token::Format(b"br"),
///     Token::Text(b"c"),
///     Token::Highlight,
/// ]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// Bytes that stand for themselves.
    Text(&'a [u8]),
    /// `\F\`, `\S\`, `\T\`, `\R\`, `\E\`: a delimiter as data.
    Delimiter(Delimiter),
    /// `\Xdd…\`: bytes as pairs of hexadecimal digits; the digits.
    Hex(&'a [u8]),
    /// `\H\`: start highlighting.
    Highlight,
    /// `\N\`: normal text again.
    Normal,
    /// `\Cxxyy\`: switch to a single-byte character set; the digits.
    SingleByteSet(&'a [u8]),
    /// `\Mxxyyzz\`: switch to a multi-byte character set; the digits.
    MultiByteSet(&'a [u8]),
    /// `\Z…\`: a local sequence; what follows the Z.
    Local(&'a [u8]),
    /// `\.br\`, `\.sp 2\`…: a formatting command of FT; what follows the dot,
    /// which [`FormatCommand::parse`] reads.
    Format(&'a [u8]),
    /// A sequence without a meaning, such as an odd number of digits after X; what stands
    /// between the escape characters.
    Unknown(&'a [u8]),
}

/// Which delimiter an escape sequence stands for.
///
/// ```
/// use hl7_message::{Separators, escape::Delimiter};
///
/// let separators = Separators::parse(b"|", b"^~#&").unwrap();
/// assert_eq!(Delimiter::Escape.letter(), b'E');
/// assert_eq!(Delimiter::Escape.character(&separators), b'#');
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// `\F\`, the field separator.
    Field,
    /// `\S\`, the component separator.
    Component,
    /// `\T\`, the subcomponent separator.
    Subcomponent,
    /// `\R\`, the repetition separator.
    Repetition,
    /// `\E\`, the escape character.
    Escape,
}

impl Delimiter {
    const ALL: [Self; 5] = [
        Self::Field,
        Self::Component,
        Self::Subcomponent,
        Self::Repetition,
        Self::Escape,
    ];

    /// The letter between the escape characters.
    ///
    /// ```
    /// use hl7_message::escape::Delimiter;
    ///
    /// assert_eq!(Delimiter::Repetition.letter(), b'R');
    /// ```
    pub const fn letter(self) -> u8 {
        match self {
            Self::Field => b'F',
            Self::Component => b'S',
            Self::Subcomponent => b'T',
            Self::Repetition => b'R',
            Self::Escape => b'E',
        }
    }

    /// The character that it is under `separators`, or the usual one where none is declared.
    ///
    /// ```
    /// use hl7_message::{Separators, escape::Delimiter};
    ///
    /// assert_eq!(Delimiter::Repetition.character(&Separators::DEFAULT), b'~');
    /// ```
    pub const fn character(self, separators: &Separators) -> u8 {
        let (own, usual) = match self {
            Self::Field => (separators.field, Separators::DEFAULT.field),
            Self::Component => (separators.component, Separators::DEFAULT.component),
            Self::Subcomponent => (separators.subcomponent, Separators::DEFAULT.subcomponent),
            Self::Repetition => (separators.repetition, Separators::DEFAULT.repetition),
            Self::Escape => (separators.escape, Separators::DEFAULT.escape),
        };
        if own == NONE { usual } else { own }
    }
}

/// The tokens of a text; made by [`tokens`].
///
/// ```
/// use hl7_message::{Separators, escape};
///
/// let mut tokens = escape::tokens(br"Smith\T\Wesson", &Separators::DEFAULT);
/// assert_eq!(tokens.next(), Some(escape::Token::Text(b"Smith")));
/// assert_eq!(tokens.count(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    rest: &'a [u8],
    escape: u8,
}

/// Cuts `text` into tokens. No byte is dropped: written back with [`Token::write_to`], they are
/// the text again.
///
/// ```
/// use hl7_message::{Separators, escape};
///
/// let text = br"C:\temp\X0D\\.br\\H\end";
/// let mut written = Vec::new();
/// for token in escape::tokens(text, &Separators::DEFAULT) {
///     token.write_to(&mut written, &Separators::DEFAULT);
/// }
/// assert_eq!(written, text);
/// ```
pub const fn tokens<'a>(text: &'a [u8], separators: &Separators) -> Tokens<'a> {
    Tokens {
        rest: text,
        escape: separators.escape,
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        if let Ok((rest, token)) = escape_sequence(self.escape)(self.rest) {
            self.rest = rest;
            return Some(token);
        }
        // Text up to the next sequence; an escape character that opens none is text itself.
        let mut end = 0;
        loop {
            let from = self.rest.get(end..).unwrap_or_default();
            match memchr(self.escape, from) {
                None => {
                    end = self.rest.len();
                    break;
                }
                Some(at) => {
                    end += at;
                    let candidate = self.rest.get(end..).unwrap_or_default();
                    if end > 0 && escape_sequence(self.escape)(candidate).is_ok() {
                        break;
                    }
                    end += 1;
                }
            }
        }
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        Some(Token::Text(text))
    }
}

impl Token<'_> {
    /// Writes the token as it stands in a message.
    ///
    /// ```
    /// use hl7_message::{Separators, escape::Token};
    ///
    /// let mut text = b"Chest".to_vec();
    /// Token::Format(b"br").write_to(&mut text, &Separators::DEFAULT);
    /// assert_eq!(text, br"Chest\.br\");
    /// ```
    pub fn write_to(&self, out: &mut Vec<u8>, separators: &Separators) {
        let mut wrap = |prefix: &[u8], body: &[u8]| {
            let escape = Delimiter::Escape.character(separators);
            out.push(escape);
            out.extend_from_slice(prefix);
            out.extend_from_slice(body);
            out.push(escape);
        };
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            Self::Delimiter(delimiter) => wrap(b"", &[delimiter.letter()]),
            Self::Hex(digits) => wrap(b"X", digits),
            Self::Highlight => wrap(b"", b"H"),
            Self::Normal => wrap(b"", b"N"),
            Self::SingleByteSet(set) => wrap(b"C", set),
            Self::MultiByteSet(set) => wrap(b"M", set),
            Self::Local(local) => wrap(b"Z", local),
            Self::Format(command) => wrap(b".", command),
            Self::Unknown(body) => wrap(b"", body),
        }
    }

    /// Writes the data that the token stands for; a token that is not data, as it stands.
    ///
    /// ```
    /// use hl7_message::{Separators, escape::Token};
    ///
    /// let mut data = Vec::new();
    /// Token::Hex(b"0D0A").decode_to(&mut data, &Separators::DEFAULT);
    /// assert_eq!(data, b"\r\n");
    /// ```
    pub fn decode_to(&self, out: &mut Vec<u8>, separators: &Separators) {
        match self {
            Self::Delimiter(delimiter) => out.push(delimiter.character(separators)),
            Self::Hex(digits) => out.extend(digits.chunks_exact(2).filter_map(|pair| match pair {
                [high, low] => Some(nibble(*high) << 4 | nibble(*low)),
                _ => None,
            })),
            other => other.write_to(out, separators),
        }
    }
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// The data that `text` stands for: delimiters and hexadecimal bytes decoded, everything else
/// (highlighting, formatting, character sets, local and broken sequences) as it stands.
///
/// Allocates only where an escape character stands.
///
/// ```
/// use hl7_message::{Separators, escape};
///
/// let separators = Separators::DEFAULT;
/// assert_eq!(escape::unescape(br"5 \T\ 6\X0A\", &separators).as_ref(), b"5 & 6\n");
/// assert_eq!(escape::unescape(br"C:\temp", &separators).as_ref(), br"C:\temp");
/// ```
pub fn unescape<'a>(text: &'a [u8], separators: &Separators) -> Cow<'a, [u8]> {
    if separators.escape == NONE || memchr(separators.escape, text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    for token in tokens(text, separators) {
        token.decode_to(&mut out, separators);
    }
    Cow::Owned(out)
}

/// Text that cannot be written because the delimiters declare no escape character.
///
/// ```
/// use hl7_message::{Separators, escape::{NoEscapeCharacter, escape}};
///
/// let separators = Separators::parse(b"|", b"^~").unwrap();
/// assert_eq!(escape(b"5|6", &separators), Err(NoEscapeCharacter));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEscapeCharacter;

impl core::fmt::Display for NoEscapeCharacter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the text holds a delimiter and MSH-2 declares no escape character")
    }
}

impl core::error::Error for NoEscapeCharacter {}

/// `data` as it may stand in a field: delimiters as `\F\`…, control characters as `\Xdd\`.
///
/// [`unescape`] of the result is `data` again, and the result never ends a
/// segment, a field or an MLLP frame.
///
/// # Errors
///
/// Where something needs an escape and `separators` declare no escape character.
///
/// ```
/// use hl7_message::{Separators, escape};
///
/// let text = escape::escape(b"A&E: 5|6\r\n", &Separators::DEFAULT).unwrap();
/// assert_eq!(text.as_ref(), br"A\T\E: 5\F\6\X0D\\X0A\");
/// ```
pub fn escape<'a>(
    data: &'a [u8],
    separators: &Separators,
) -> Result<Cow<'a, [u8]>, NoEscapeCharacter> {
    let Some(first) = data.iter().position(|&byte| !is_plain(byte, *separators)) else {
        return Ok(Cow::Borrowed(data));
    };
    if separators.escape == NONE {
        return Err(NoEscapeCharacter);
    }
    let (plain, rest) = data.split_at_checked(first).unwrap_or((data, &[]));
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend_from_slice(plain);
    for &byte in rest {
        let delimiter = Delimiter::ALL
            .into_iter()
            .find(|d| separators.is_delimiter(byte) && d.character(separators) == byte);
        if let Some(delimiter) = delimiter {
            out.extend_from_slice(&[separators.escape, delimiter.letter(), separators.escape]);
        } else if is_control(byte) {
            let digit = |n: u8| if n < 10 { b'0' + n } else { b'A' + n - 10 };
            let (high, low) = (digit(byte >> 4), digit(byte & 15));
            out.extend_from_slice(&[separators.escape, b'X', high, low, separators.escape]);
        } else {
            out.push(byte);
        }
    }
    Ok(Cow::Owned(out))
}

/// Whether a byte stands for itself.
pub(crate) const fn is_plain(byte: u8, separators: Separators) -> bool {
    !is_control(byte) && !separators.is_delimiter(byte)
}

/// Control characters that do not travel as they are; a tab does.
const fn is_control(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, data: &str) {
        let decoded = unescape(text.as_bytes(), &Separators::DEFAULT);
        assert_eq!(String::from_utf8_lossy(&decoded), data);
    }

    #[test]
    fn the_five_delimiters_are_decoded() {
        check(r"\F\\S\\T\\R\\E\", r"|^&~\");
    }

    #[test]
    fn hexadecimal_pairs_are_bytes() {
        check(r"a\X0D\\X0A\b", "a\r\nb");
        check(r"a\X0D0A\b", "a\r\nb");
        check(r"\X000d\", "\0\r");
    }

    #[test]
    fn broken_and_unknown_sequences_are_text() {
        for text in [
            r"\",
            r"\\",
            r"a\b",
            r"\X00D\",
            r"\Xzz\",
            r"\X\",
            r"\Q\",
            r"\F",
            r"\.br\",
            r"\H\x\N\",
            r"C:\Captures\x",
            r"\\server\share",
            r"\Z12\",
            r"\C2842\",
            r"\M242844\",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_stray_escape_character_hides_nothing_after_it() {
        check(r"C:\temp\T\x", r"C:\temp&x");
        check(r"\X00D\abc\F\", r"\X00D\abc|");
    }

    #[test]
    fn every_kind_of_sequence_is_a_token_and_written_back() {
        let text = br"\F\\S\\T\\R\\E\\H\\N\\X0dFF\\C2842\\M2442\\M242844\\Zab\\.sp 2\\X0\";
        let found: Vec<_> = tokens(text, &Separators::DEFAULT).collect();
        assert_eq!(
            found,
            [
                Token::Delimiter(Delimiter::Field),
                Token::Delimiter(Delimiter::Component),
                Token::Delimiter(Delimiter::Subcomponent),
                Token::Delimiter(Delimiter::Repetition),
                Token::Delimiter(Delimiter::Escape),
                Token::Highlight,
                Token::Normal,
                Token::Hex(b"0dFF"),
                Token::SingleByteSet(b"2842"),
                Token::MultiByteSet(b"2442"),
                Token::MultiByteSet(b"242844"),
                Token::Local(b"ab"),
                Token::Format(b"sp 2"),
                Token::Unknown(b"X0"),
            ]
        );
        let mut written = Vec::new();
        for token in found {
            token.write_to(&mut written, &Separators::DEFAULT);
        }
        assert_eq!(written, text);
    }

    #[test]
    fn without_an_escape_character_delimiters_are_refused() {
        let short = Separators::parse(b"|", b"^~").unwrap();
        assert_eq!(escape(b"a|b", &short), Err(NoEscapeCharacter));
        assert_eq!(escape(b"a&b", &short).unwrap().as_ref(), b"a&b");
    }

    proptest! {
        #[test]
        fn unescape_undoes_escape(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = escape(&data, &Separators::DEFAULT).unwrap().into_owned();
            prop_assert!(!text.iter().any(|b| matches!(b, b'|' | b'^' | b'~' | b'&' | 0..=8 | 10..=31)));
            let read = unescape(&text, &Separators::DEFAULT).into_owned();
            prop_assert_eq!(read, data);
        }

        #[test]
        fn under_any_delimiters_too(
            data in proptest::collection::vec(any::<u8>(), 0..60),
            declared in prop::sample::subsequence(b"!#$%&*^~\\|".to_vec(), 5..=5).prop_shuffle(),
        ) {
            let separators = Separators::parse(&declared[..1], &declared[1..]).unwrap();
            let text = escape(&data, &separators).unwrap().into_owned();
            let read = unescape(&text, &separators).into_owned();
            prop_assert_eq!(&read, &data);
        }

        #[test]
        fn escape_undoes_unescape(
            pieces in proptest::collection::vec(prop::sample::select(vec![
                "a", "B C", "\\F\\", "\\S\\", "\\T\\", "\\R\\", "\\E\\", "\\X0D\\", "\\X0A\\",
                "\\X1C\\", "é", ".", "X0",
            ]), 0..20),
        ) {
            // Text as `escape` writes it.
            let text = pieces.concat();
            let data = unescape(text.as_bytes(), &Separators::DEFAULT).into_owned();
            let written = escape(&data, &Separators::DEFAULT).unwrap().into_owned();
            prop_assert_eq!(String::from_utf8(written).unwrap(), text);
        }

        #[test]
        fn tokens_give_back_every_byte(text in r"[\\FSTREHNXCMZ.0-9a-f\x20é]{0,60}") {
            let mut out = Vec::new();
            for token in tokens(text.as_bytes(), &Separators::DEFAULT) {
                token.write_to(&mut out, &Separators::DEFAULT);
            }
            prop_assert_eq!(out, text.as_bytes());
        }
    }
}
