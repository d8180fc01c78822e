//! Text of a form as the messages that it holds.

use std::borrow::Cow;

use hl7_message::{Charset, Message};

/// Most messages that one form sends.
pub(crate) const MESSAGES_MAX: usize = 500;

/// The messages of a text: segments one a line, messages apart by a blank line or by the MSH of
/// the next. Browsers send text with CR LF; HL7 ends a segment with CR.
pub(crate) fn messages(text: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.split(['\r', '\n']) {
        let line = line.trim_matches(['\u{0B}', '\u{1C}']);
        if line.trim().is_empty() {
            // The end of a line in CR LF is no blank line; two in a row are.
            continue;
        }
        if !open || line.starts_with("MSH") {
            all.push(String::new());
            open = true;
        }
        if let Some(last) = all.last_mut() {
            last.push_str(line);
            last.push('\r');
        }
    }
    all.iter()
        .take(MESSAGES_MAX)
        .map(|text| encoded(text))
        .collect()
}

/// Text in the character set that its own MSH-18 names, where it can be written in that.
fn encoded(text: &str) -> Vec<u8> {
    let named = Message::parse(text.as_bytes()).ok().and_then(|message| {
        let name = message.header().character_set().first().as_bytes().to_vec();
        Charset::from_msh18(&name).ok().filter(|_| !name.is_empty())
    });
    let bytes = named.and_then(|charset| charset.encode(text).ok().map(Cow::into_owned));
    bytes.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// A message as text for an editor: segments one a line.
pub(crate) fn text(message: &[u8]) -> String {
    let charset = Message::parse(message).map_or(Charset::UTF_8, |m| crate::text::charset_of(&m));
    let text = charset.decode(message);
    let text = text.unwrap_or_else(|_| String::from_utf8_lossy(message));
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The text of a message under another control id; other text as it is.
pub(crate) fn with_control_id(text: &str, id: &str) -> String {
    let (head, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
    let Some(separator) = head
        .strip_prefix("MSH")
        .and_then(|rest| rest.chars().next())
    else {
        return text.to_owned();
    };
    let mut fields: Vec<&str> = head.split(separator).collect();
    // The separator is MSH-1 itself: MSH-10 is the tenth piece.
    let Some(control_id) = fields.get_mut(9) else {
        return text.to_owned();
    };
    *control_id = id;
    let mut all = fields.join(separator.encode_utf8(&mut [0; 4]));
    all.push_str(rest);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gets_another_control_id_and_nothing_else() {
        let message = "MSH|^~\\&|A|B|C|D|2023||ORM^O01|OLD|P|2.3\nPID|1||OLD\n";
        let other = "MSH|^~\\&|A|B|C|D|2023||ORM^O01|NEW|P|2.3\nPID|1||OLD\n";
        assert_eq!(with_control_id(message, "NEW"), other);
        for text in ["", "PID|1", "MSH", "MSH|^~\\&|A"] {
            assert_eq!(with_control_id(text, "NEW"), text);
        }
    }

    #[track_caller]
    fn check(text: &str, found: &[&str]) {
        let messages = messages(text);
        let messages: Vec<_> = messages
            .iter()
            .map(|m| String::from_utf8_lossy(m))
            .collect();
        assert_eq!(messages, found);
    }

    #[test]
    fn a_form_holds_messages_in_any_line_ends() {
        check("MSH|1\nPID|1\n", &["MSH|1\rPID|1\r"]);
        check("MSH|1\r\nPID|1", &["MSH|1\rPID|1\r"]);
        check(
            "\n\nMSH|1\rPID|1\r\n\r\nMSH|2\r",
            &["MSH|1\rPID|1\r", "MSH|2\r"],
        );
        check("\u{0B}MSH|1\rPID|1\r\u{1C}\r", &["MSH|1\rPID|1\r"]);
        check("hello", &["hello\r"]);
        check(" \n", &[]);
    }

    #[test]
    fn text_travels_in_its_own_character_set() {
        let latin = "MSH|^~\\&|A||||||ORM^O01|1|P|2.3||||||8859/1\rPID|||||MÜLLER\r";
        let found = messages(latin);
        assert!(found[0].contains(&0xDC) && !found[0].contains(&0xC3));
        assert_eq!(text(&found[0]), latin.replace('\r', "\n"));
        let plain = messages("MSH|^~\\&|A\rPID|||||MÜLLER\r");
        assert!(
            String::from_utf8(plain[0].clone())
                .unwrap()
                .contains("MÜLLER")
        );
    }
}
