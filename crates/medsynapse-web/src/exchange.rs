//! [`Pair`]: what was sent beside what was answered.

use hl7_message::Message;

use crate::text;

/// One thing in a message and in its answer.
pub(crate) struct Pair {
    pub(crate) what: &'static str,
    pub(crate) sent: String,
    pub(crate) sent_at: &'static str,
    pub(crate) answered: String,
    pub(crate) answered_at: &'static str,
    /// Whether they say the same, where they should.
    pub(crate) same: Option<bool>,
}

/// A message and its answer, side by side; nothing where there is no answer.
pub(crate) fn pairs(sent: &[u8], answer: &[u8]) -> Vec<Pair> {
    let Ok(answer) = Message::parse(answer) else {
        return Vec::new();
    };
    let sent = Message::parse(sent).ok();
    let value = |message: Option<&Message<'_>>, paths: &[&str]| -> String {
        let Some(message) = message else {
            return String::new();
        };
        let charset = text::charset_of(message);
        let parts = paths.iter().filter_map(|path| {
            let raw = message.raw(path.parse().ok()?)?;
            let plain = hl7_message::escape::unescape(raw, message.separators());
            let mut pieces = Vec::new();
            text::show(plain.get(..500).unwrap_or(&plain), charset, &mut pieces);
            let said: String = pieces.into_iter().map(|piece| piece.text).collect();
            Some(said).filter(|said| !said.is_empty())
        });
        parts.collect::<Vec<_>>().join(" · ")
    };
    let pair = |what, sent_at: &'static str, from: &[&str], answered_at, to: &[&str], alike| {
        let (said, answered) = (value(sent.as_ref(), from), value(Some(&answer), to));
        Pair {
            what,
            same: (alike && sent.is_some()).then(|| said == answered),
            sent: said,
            sent_at,
            answered,
            answered_at,
        }
    };
    let mut all = vec![
        pair(
            "Control ID",
            "MSH-10",
            &["MSH-10"],
            "MSA-2",
            &["MSA-2"],
            true,
        ),
        pair(
            "From, and back to",
            "MSH-3, 4",
            &["MSH-3", "MSH-4"],
            "MSH-5, 6",
            &["MSH-5", "MSH-6"],
            true,
        ),
        pair(
            "To, and from",
            "MSH-5, 6",
            &["MSH-5", "MSH-6"],
            "MSH-3, 4",
            &["MSH-3", "MSH-4"],
            false,
        ),
        pair("Type", "MSH-9", &["MSH-9"], "MSH-9", &["MSH-9"], false),
        pair(
            "Written at",
            "MSH-7",
            &["MSH-7"],
            "MSH-7",
            &["MSH-7"],
            false,
        ),
        pair("Code", "", &[], "MSA-1", &["MSA-1"], false),
        pair("Text", "", &[], "MSA-3", &["MSA-3"], false),
        pair("Error", "", &[], "ERR-1", &["ERR-1"], false),
    ];
    all.retain(|pair| !pair.sent.is_empty() || !pair.answered.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &[u8] = b"MSH|^~\\&|RIS|H|PACS|P|20230614||ORM^O01|M1|P|2.3\r";

    fn same(answer: &str) -> Vec<(&'static str, Option<bool>)> {
        let pairs = pairs(SENT, answer.as_bytes());
        pairs.iter().map(|pair| (pair.what, pair.same)).collect()
    }

    #[test]
    fn what_should_be_the_same_is_compared() {
        let found = same("MSH|^~\\&|PACS|P|RIS|H|20230615||ACK^O01|9|P|2.3\rMSA|AA|M1|ok\r");
        assert_eq!(found[0], ("Control ID", Some(true)));
        assert_eq!(found[1], ("From, and back to", Some(true)));
        assert_eq!(found.last(), Some(&("Text", None)));
        let found = same("MSH|^~\\&|PACS|P|OTHER|H|20230615||ACK|9|P|2.3\rMSA|AE|M2\r");
        assert_eq!(found[0], ("Control ID", Some(false)));
        assert_eq!(found[1], ("From, and back to", Some(false)));
        assert!(same("").is_empty());
    }
}
