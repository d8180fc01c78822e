//! [`FormatCommand`]: how formatted text, data type FT, wants to be laid out.

use core::fmt;

use super::{Token, Tokens, tokens};
use crate::combinators;
use crate::separators::Separators;

/// A formatting command of data type FT with its number.
///
/// Source: HL7 2.3 chapter 2, section 2.9.6. A blank before the number may be left out, and the
/// letters may be capitals.
///
/// ```
/// use hl7_message::escape::FormatCommand;
///
/// assert_eq!(FormatCommand::parse(b"sp 3"), Some(FormatCommand::SkipLines(3)));
/// assert_eq!(FormatCommand::parse(b"sp"), Some(FormatCommand::SkipLines(1)));
/// assert_eq!(FormatCommand::parse(b"ti-4"), Some(FormatCommand::TemporaryIndent(-4)));
/// assert_eq!(FormatCommand::parse(b"xy"), None);
/// assert_eq!(FormatCommand::Indent(8).to_string(), "in 8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FormatCommand {
    /// `\.br\`: begin a new line at the left margin.
    LineBreak,
    /// `\.sp n\`: end the line and skip so many lines, one where no number stands; the horizontal
    /// position is kept.
    SkipLines(u16),
    /// `\.fi\`: wrap words, as at the beginning.
    WrapOn,
    /// `\.nf\`: do not wrap words.
    WrapOff,
    /// `\.in n\`: indent the lines by so many spaces.
    Indent(i16),
    /// `\.ti n\`: indent this line by so many spaces.
    TemporaryIndent(i16),
    /// `\.sk n\`: skip so many spaces to the right.
    SkipSpaces(u16),
    /// `\.ce\`: end the line and centre the next.
    Centre,
}

impl FormatCommand {
    /// Reads what follows the dot, as [`Token::Format`] has it; `None` for a command that the
    /// standard does not have.
    ///
    /// ```
    /// use hl7_message::escape::FormatCommand;
    ///
    /// assert_eq!(FormatCommand::parse(b"sk 5"), Some(FormatCommand::SkipSpaces(5)));
    /// assert_eq!(FormatCommand::parse(b"sk"), None);
    /// ```
    pub fn parse(command: &[u8]) -> Option<Self> {
        match combinators::format_command(command) {
            Ok(([], command)) => Some(command),
            _ => None,
        }
    }

    /// The command as a token of `buffer`, which holds what follows the dot.
    ///
    /// ```
    /// use hl7_message::{Separators, escape::FormatCommand};
    ///
    /// let mut field = b"one".to_vec();
    /// FormatCommand::SkipLines(2).write_to(&mut field, &Separators::DEFAULT);
    /// assert_eq!(field, br"one\.sp 2\");
    /// ```
    pub fn write_to(self, buffer: &mut Vec<u8>, separators: &Separators) {
        Token::Format(self.to_string().as_bytes()).write_to(buffer, separators);
    }
}

impl fmt::Display for FormatCommand {
    /// What follows the dot: `sp 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineBreak => f.write_str("br"),
            Self::SkipLines(lines) => write!(f, "sp {lines}"),
            Self::WrapOn => f.write_str("fi"),
            Self::WrapOff => f.write_str("nf"),
            Self::Indent(spaces) => write!(f, "in {spaces}"),
            Self::TemporaryIndent(spaces) => write!(f, "ti {spaces}"),
            Self::SkipSpaces(spaces) => write!(f, "sk {spaces}"),
            Self::Centre => f.write_str("ce"),
        }
    }
}

/// A piece of formatted text: a command that is understood, or any other token.
///
/// ```
/// use hl7_message::{Separators, escape::{FormatCommand, Formatted, Token, formatted}};
///
/// let pieces: Vec<_> = formatted(br"one\.br\two", &Separators::DEFAULT).collect();
/// assert_eq!(pieces[0], Formatted::Token(Token::Text(b"one")));
/// assert_eq!(pieces[1], Formatted::Command(FormatCommand::LineBreak));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formatted<'a> {
    /// A formatting command.
    Command(FormatCommand),
    /// Anything else, commands included that the standard does not have.
    Token(Token<'a>),
}

/// The pieces of a formatted text; made by [`formatted`].
///
/// ```
/// use hl7_message::{Separators, escape::formatted};
///
/// let text = formatted(br"one\.br\two\.sp 2\three", &Separators::DEFAULT);
/// assert_eq!(text.count(), 5);
/// ```
#[derive(Debug, Clone)]
pub struct FormattedText<'a> {
    tokens: Tokens<'a>,
    component: u8,
    /// The next token is the rest of an old line break.
    old_break: bool,
}

/// Cuts formatted text, the value of a field of type FT, into pieces.
///
/// The old spelling `^\.sp\` of a line break is read as one. A component separator stands in it,
/// so the whole field is what to give here, not its first component.
///
/// ```
/// use hl7_message::{Message, escape::{FormatCommand, Formatted, formatted}, loc};
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\rOBX|1|FT|||Chest^\\.sp\\\\.in 4\\Clear\r")?;
/// let text = message.raw(loc!("OBX-5")).unwrap();
/// let commands: Vec<_> = formatted(text, message.separators())
///     .filter_map(|piece| match piece {
///         Formatted::Command(command) => Some(command),
///         Formatted::Token(_) => None,
///     })
///     .collect();
/// assert_eq!(commands, [FormatCommand::LineBreak, FormatCommand::Indent(4)]);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
pub const fn formatted<'a>(text: &'a [u8], separators: &Separators) -> FormattedText<'a> {
    FormattedText {
        tokens: tokens(text, separators),
        component: separators.component,
        old_break: false,
    }
}

impl FormattedText<'_> {
    /// Whether `.sp` without a number comes next.
    fn bare_skip_follows(&self) -> bool {
        let next = self.tokens.clone().next();
        matches!(next, Some(Token::Format(command)) if command.eq_ignore_ascii_case(b"sp"))
    }
}

impl<'a> Iterator for FormattedText<'a> {
    type Item = Formatted<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if core::mem::take(&mut self.old_break) {
            self.tokens.next();
            return Some(Formatted::Command(FormatCommand::LineBreak));
        }
        let token = self.tokens.next()?;
        match token {
            Token::Text([text @ .., last]) if *last == self.component => {
                if !self.bare_skip_follows() {
                    return Some(Formatted::Token(token));
                }
                self.old_break = true;
                if text.is_empty() {
                    return self.next();
                }
                Some(Formatted::Token(Token::Text(text)))
            }
            Token::Format(command) => Some(match FormatCommand::parse(command) {
                Some(command) => Formatted::Command(command),
                None => Formatted::Token(token),
            }),
            _ => Some(Formatted::Token(token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FormatCommand as Command;
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(command: &str, expected: Command) {
        assert_eq!(Command::parse(command.as_bytes()), Some(expected));
    }

    #[test]
    fn every_command_is_read_in_either_spelling() {
        check("br", Command::LineBreak);
        check("BR", Command::LineBreak);
        check("fi", Command::WrapOn);
        check("nf", Command::WrapOff);
        check("ce", Command::Centre);
        check("sp", Command::SkipLines(1));
        check("sp 2", Command::SkipLines(2));
        check("sp12", Command::SkipLines(12));
        check("sp+3", Command::SkipLines(3));
        check("sk 5", Command::SkipSpaces(5));
        check("in 4", Command::Indent(4));
        check("in+4", Command::Indent(4));
        check("in -4", Command::Indent(-4));
        check("ti-10", Command::TemporaryIndent(-10));
    }

    #[test]
    fn other_commands_stay_text() {
        for command in [
            "", "b", "br 2", "sp x", "sp -1", "sp 2 3", "in", "ti", "sk", "sp 65536", "in 40000",
            "zz", "ce1",
        ] {
            assert_eq!(Command::parse(command.as_bytes()), None, "{command}");
        }
    }

    #[test]
    fn the_old_line_break_is_one() {
        let pieces: Vec<_> =
            formatted(br"a^\.sp\^\.sp\b^\.sp 2\\.zz\^", &Separators::DEFAULT).collect();
        assert_eq!(
            pieces,
            [
                Formatted::Token(Token::Text(b"a")),
                Formatted::Command(Command::LineBreak),
                Formatted::Command(Command::LineBreak),
                Formatted::Token(Token::Text(b"b^")),
                Formatted::Command(Command::SkipLines(2)),
                Formatted::Token(Token::Format(b"zz")),
                Formatted::Token(Token::Text(b"^")),
            ]
        );
    }

    proptest! {
        #[test]
        fn commands_read_as_they_are_written(kind in 0..8, number: i16) {
            let count = number.unsigned_abs();
            let command = match kind {
                0 => Command::LineBreak,
                1 => Command::SkipLines(count),
                2 => Command::WrapOn,
                3 => Command::WrapOff,
                4 => Command::Indent(number),
                5 => Command::TemporaryIndent(number),
                6 => Command::SkipSpaces(count),
                _ => Command::Centre,
            };
            let mut written = Vec::new();
            command.write_to(&mut written, &Separators::DEFAULT);
            let read: Vec<_> = formatted(&written, &Separators::DEFAULT).collect();
            prop_assert_eq!(read, [Formatted::Command(command)]);
        }

        #[test]
        fn no_text_is_lost(text in r"[\\.spbrinX0 2^A-]{0,40}") {
            let separators = Separators::DEFAULT;
            let texts = |tokens: &mut dyn Iterator<Item = Token<'_>>| {
                let mut out = Vec::new();
                tokens.for_each(|token| if !matches!(token, Token::Format(_)) {
                    token.write_to(&mut out, &separators);
                });
                out
            };
            let mut plain = tokens(text.as_bytes(), &separators);
            let mut breaks = 0;
            let mut pieces = formatted(text.as_bytes(), &separators).filter_map(|piece| match piece {
                Formatted::Token(token) => Some(token),
                Formatted::Command(command) => {
                    breaks += usize::from(command == Command::LineBreak);
                    None
                }
            });
            let (pieces, plain) = (texts(&mut pieces), texts(&mut plain));
            // What is missing are the component separators of old line breaks.
            prop_assert!(plain.len() - pieces.len() <= breaks);
            let missing = plain.len() - pieces.len();
            let no_caret = |bytes: Vec<u8>| {
                let (mut out, len) = (bytes.clone(), bytes.len());
                out.retain(|byte| *byte != b'^');
                (len - out.len(), out)
            };
            let ((pieces_carets, pieces), (plain_carets, plain)) = (no_caret(pieces), no_caret(plain));
            prop_assert_eq!(pieces, plain);
            prop_assert_eq!(plain_carets - pieces_carets, missing);
        }
    }
}
