//! Reports between plain and rich text (RTF).

use std::fmt::Write as _;

/// Plain text as an RTF document: a paragraph a line.
///
/// ```
/// use medsynapse::{rich_text, text_of_rich_text};
///
/// assert_eq!(rich_text("{a}\nü"), r"{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}\f0 \{a\}\par \u252?}");
/// assert_eq!(text_of_rich_text(&rich_text("{a}\nü")), "{a}\nü");
/// ```
pub fn rich_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    out.push_str(r"{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}\f0 ");
    for c in text.replace("\r\n", "\n").replace('\r', "\n").chars() {
        match c {
            '\n' => out.push_str("\\par "),
            '\t' => out.push_str("\\tab "),
            '\\' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii() => out.push(c),
            c => {
                // RTF 1.9: a number of 16 bits with a sign, then what older readers show.
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let signed = unit.cast_signed();
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{signed}?");
                }
            }
        }
    }
    out.push('}');
    out
}

/// The groups of an RTF document that hold no text.
const SILENT: [&str; 9] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "info",
    "pict",
    "header",
    "footer",
    "object",
    "listtable",
];

/// The text of an RTF document, its paragraphs as lines. Text that is no RTF is given as it is.
pub fn text_of_rich_text(rtf: &str) -> String {
    if !rtf.trim_start().starts_with("{\\rtf") {
        return rtf.to_owned();
    }
    Reader::default().read(rtf)
}

#[derive(Clone, Copy)]
struct Group {
    silent: bool,
    /// How many characters stand in for a \u.
    fallback: u32,
}

#[derive(Default)]
struct Reader {
    out: Vec<u16>,
    /// How many characters still stand in for the last \u.
    skip: u32,
}

impl Reader {
    fn read(mut self, rtf: &str) -> String {
        let mut groups: Vec<Group> = Vec::new();
        let mut group = Group {
            silent: false,
            fallback: 1,
        };
        let mut rest = rtf.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' => {
                    groups.push(group);
                    // A document nested deeper than any editor nests is not followed further.
                    if groups.len() > 256 {
                        break;
                    }
                    self.skip = 0;
                }
                '}' => {
                    self.skip = 0;
                    match groups.pop() {
                        Some(outer) => group = outer,
                        None => break,
                    }
                }
                '\r' | '\n' => {}
                '\\' => {
                    let Some(&next) = rest.peek() else { break };
                    if next.is_ascii_alphabetic() {
                        let mut word = String::new();
                        while let Some(c) = rest.next_if(char::is_ascii_alphabetic) {
                            word.push(c);
                        }
                        let mut number = String::new();
                        if let Some(sign) = rest.next_if_eq(&'-') {
                            number.push(sign);
                        }
                        while let Some(c) = rest.next_if(char::is_ascii_digit) {
                            number.push(c);
                        }
                        rest.next_if_eq(&' ');
                        self.word(&word, number.parse().ok(), &mut group);
                    } else {
                        rest.next();
                        match next {
                            '\'' => {
                                let digits: String = rest.by_ref().take(2).collect();
                                let byte = u8::from_str_radix(&digits, 16).unwrap_or(b'?');
                                self.letter(windows_1252(byte), group);
                            }
                            '*' => group.silent = true,
                            '~' => self.letter(' ', group),
                            '_' => self.letter('-', group),
                            '\\' | '{' | '}' => self.letter(next, group),
                            '\r' | '\n' => self.letter('\n', group),
                            _ => {}
                        }
                    }
                }
                c => self.letter(c, group),
            }
        }
        String::from_utf16_lossy(&self.out)
    }

    fn letter(&mut self, c: char, group: Group) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if !group.silent {
            self.out.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>, group: &mut Group) {
        match word {
            "par" | "line" | "sect" | "page" | "row" => self.letter('\n', *group),
            "tab" | "cell" => self.letter('\t', *group),
            "emdash" => self.letter('—', *group),
            "endash" => self.letter('–', *group),
            "bullet" => self.letter('•', *group),
            "lquote" => self.letter('‘', *group),
            "rquote" => self.letter('’', *group),
            "ldblquote" => self.letter('“', *group),
            "rdblquote" => self.letter('”', *group),
            "uc" => {
                group.fallback = number
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(1)
                    .min(8);
            }
            "u" => {
                if let (Some(number), false) = (number, group.silent) {
                    let unit = u16::try_from(number.rem_euclid(65_536)).unwrap_or(0xFFFD);
                    self.out.push(unit);
                }
                self.skip = group.fallback;
            }
            word if SILENT.contains(&word) => group.silent = true,
            _ => {}
        }
    }
}

/// The upper half of what RTF writers mean by \'hh.
fn windows_1252(byte: u8) -> char {
    const ODD: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    let odd = usize::from(byte).checked_sub(0x80).and_then(|n| ODD.get(n));
    odd.copied().unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(rtf: &str, text: &str) {
        assert_eq!(text_of_rich_text(rtf), text);
    }

    #[test]
    fn tables_and_destinations_are_not_text() {
        check(
            r"{\rtf1\ansi{\fonttbl{\f0\fswiss Arial;}}{\*\generator Writer 1;}{\info{\title X}}\pard No \b acute\b0  finding.\par M\'fcller \u322?\'a3d\par}",
            "No acute finding.\nMüller ł£d\n",
        );
    }

    #[test]
    fn what_is_no_rich_text_stays() {
        check("{\\notrtf", "{\\notrtf");
        check("plain", "plain");
    }

    #[test]
    fn broken_documents_end() {
        for rtf in [
            r"{\rtf1",
            r"{\rtf1 a}}}}b",
            r"{\rtf1\",
            r"{\rtf1 \'",
            r"{\rtf1 \'zz}",
        ] {
            text_of_rich_text(rtf);
        }
        text_of_rich_text(&format!("{{\\rtf1{}", "{".repeat(100_000)));
    }

    proptest! {
        #[test]
        fn text_comes_back(text in "[^\r\u{0}-\u{8}\u{b}-\u{1f}]{0,60}") {
            prop_assert_eq!(text_of_rich_text(&rich_text(&text)), text);
        }

        #[test]
        fn anything_is_read(text in ".*") {
            text_of_rich_text(&format!("{{\\rtf1{text}"));
        }
    }
}
