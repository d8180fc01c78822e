//! Bytes of a message as text in which nothing is invisible.

use hl7_message::{Charset, Message};

/// A piece of text, and the class that it is shown with; none for plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) class: &'static str,
}

impl Piece {
    pub(crate) fn new(text: impl Into<String>, class: &'static str) -> Self {
        Self {
            text: text.into(),
            class,
        }
    }
}

/// What shows as a mark instead of a character.
pub(crate) const MARK: &str = "np";

/// The character set in which a message is read.
pub(crate) fn charset_of(message: &Message<'_>) -> Charset {
    let named = message.header().character_set().first().as_bytes();
    match Charset::from_msh18(named) {
        Ok(charset) if !named.trim_ascii().is_empty() => charset,
        _ => Charset::UTF_8,
    }
}

/// Appends `bytes` as text.
///
/// Control characters, characters that turn or hide text, and bytes that are no
/// text become marks. A line end is a mark and breaks the line.
pub(crate) fn show(bytes: &[u8], charset: Charset, out: &mut Vec<Piece>) {
    match charset.decode(bytes) {
        Ok(text) => text.chars().for_each(|c| show_char(c, out)),
        Err(_) => {
            for &byte in bytes {
                if byte.is_ascii() {
                    show_char(char::from(byte), out);
                } else {
                    out.push(Piece::new(format!("0x{byte:02X}"), MARK));
                }
            }
        }
    }
}

/// One line of text with the marks in it.
pub(crate) fn legible(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match mark(c) {
            Some(mark) => {
                out.push('⟨');
                out.push_str(&mark);
                out.push('⟩');
            }
            None => out.push(c),
        }
    }
    out
}

/// Text of several lines, without marks for their ends.
pub(crate) fn show_lines(text: &str, out: &mut Vec<Piece>) {
    for line in text.split_inclusive('\n') {
        line.trim_end_matches('\n')
            .chars()
            .for_each(|c| show_char(c, out));
        if line.ends_with('\n') {
            out.push(Piece::new("\n", ""));
        }
    }
}

fn show_char(c: char, out: &mut Vec<Piece>) {
    let Some(mark) = mark(c) else {
        match out.last_mut() {
            Some(last) if last.class.is_empty() => last.text.push(c),
            _ => out.push(Piece::new(c, "")),
        }
        return;
    };
    out.push(Piece::new(mark, MARK));
    if c == '\n' {
        out.push(Piece::new("\n", ""));
    }
}

/// The mark for a character that would not be seen, or not as what it is.
fn mark(c: char) -> Option<String> {
    let name = match c {
        '\n' => "LF",
        '\r' => "CR",
        '\t' => "TAB",
        '\u{0B}' => "VT",
        '\u{1C}' => "FS",
        '\u{1B}' => "ESC",
        '\u{A0}' => "NBSP",
        _ if c.is_control() => return Some(format!("0x{:02X}", u32::from(c))),
        '\u{AD}'
        | '\u{61C}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}'
        | '\u{E0000}'..='\u{E0FFF}' => return Some(format!("U+{:04X}", u32::from(c))),
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], shown: &str) {
        let mut pieces = Vec::new();
        show(bytes, Charset::UTF_8, &mut pieces);
        let text: String = pieces
            .iter()
            .map(|p| {
                if p.class == MARK {
                    format!("[{}]", p.text)
                } else {
                    p.text.clone()
                }
            })
            .collect();
        assert_eq!(text, shown);
    }

    #[test]
    fn nothing_is_invisible() {
        check("MÜLLER".as_bytes(), "MÜLLER");
        check(b"a\r\nb\tc", "a[CR][LF]\nb[TAB]c");
        check(b"\x0Bx\x1C\x00\x7F", "[VT]x[FS][0x00][0x7F]");
        check("a\u{202E}b\u{200B}".as_bytes(), "a[U+202E]b[U+200B]");
        check(b"M\xDCLLER", "M[0xDC]LLER");
        assert_eq!(legible("a\u{202E}b\tc"), "a⟨U+202E⟩b⟨TAB⟩c");
    }
}
