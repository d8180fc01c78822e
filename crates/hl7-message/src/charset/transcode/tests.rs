use super::super::TABLE;
use super::*;
use crate::{Message, loc};
use proptest::prelude::*;

fn set(name: &str) -> Charset {
    Charset::from_msh18(name.as_bytes()).unwrap()
}

#[test]
fn delimiters_that_are_half_a_character_are_none() {
    for (name, word, halves) in [
        ("SHIFT_JIS", "ソポタミ", &b"\\|^~"[..]),
        ("ISO IR87", "Αゃソ絆", b"&"),
        ("GB 18030-2000", "俓俕倈亅", b"\\|"),
        ("BIG-5", "功許蓋", b"\\"),
    ] {
        let charset = set(name);
        let text = format!("MSH|^~\\&|RIS|||||||||||||||{name}\rPID|1||77||{word}^A\rPV1|1\r");
        let bytes = charset.encode(&text).unwrap();
        let word_bytes = charset.encode(word).unwrap();
        for half in halves {
            assert!(word_bytes.contains(half), "{name} {}", char::from(*half));
        }
        let utf8 = charset.to_utf8(&bytes);
        assert_eq!(utf8.as_str(), text, "{name}");
        assert!(utf8.undecodable().is_empty());
        let message = Message::parse(utf8.as_bytes()).unwrap();
        assert_eq!(message.raw(loc!("PID-5.1")), Some(word.as_bytes()));
        assert_eq!(message.segment_count(), 3);
    }
}

#[track_caller]
fn check(name: &str, bytes: &[u8], text: &str, told: &[(usize, usize)]) {
    let utf8 = set(name).to_utf8(bytes);
    assert_eq!(utf8.as_str(), text);
    let found = utf8.undecodable().iter();
    let found: Vec<_> = found.map(|u| (u.offset, u.len)).collect();
    assert_eq!(found, told);
}

#[test]
fn what_cannot_be_decoded_is_kept_and_told() {
    check(
        "ASCII",
        b"a\xE9\xE8b\xE7",
        r"a\XE9\\XE8\b\XE7\",
        &[(1, 2), (4, 1)],
    );
    check("UTF-8", b"a\xC3\xA4\xC3b", r"aä\XC3\b", &[(3, 1)]);
    check(
        "SHIFT_JIS",
        b"\x83|a\x83\r\x83\x5C",
        "ポa\\X83\\\rソ",
        &[(3, 1)],
    );
    check("8859/7", b"\xFF", r"\XFF\", &[(0, 1)]);
    // No escape character: U+FFFD, and told all the same.
    check("ASCII", b"MSH|^~|\xE9\r", "MSH|^~|\u{FFFD}\r", &[(7, 1)]);
}

#[test]
fn switching_sets_ends_with_the_line() {
    // A set that is not known: no byte of it is a delimiter.
    check(
        "ISO IR87",
        b"a\x1B$(D|&^~\x1B(Bb\r",
        "a\\X1B2428447C265E7E\\b\r",
        &[(1, 8)],
    );
    check(
        "ISO IR87",
        b"\x1B$(D|&\rPV1",
        "\\X1B2428447C26\\\rPV1",
        &[(0, 6)],
    );
    // A set that is not left at the end of a line holds no longer.
    check("ISO IR87", b"\x1B$B%=\rPV1|1\r", "ソ\rPV1|1\r", &[]);
    // A pair that the set does not have, and the next one.
    check(
        "ISO IR87",
        b"\x1B$B\x7E\x7E%=\x1B(B|\r",
        "\\X7E7E\\ソ|\r",
        &[(3, 2)],
    );
    check("ISO IR87", b"\x1B$B\x1B(Bab\x1B(B\x1B$B%=", "abソ", &[]);
}

#[test]
fn offsets_are_those_of_the_source() {
    let bytes = b"A|\x83\x5Cx\x83\rB|ab\rC|\x83\x7Cz\xFD\xFDq";
    let utf8 = set("SHIFT_JIS").to_utf8(bytes);
    assert_eq!(utf8.as_str(), "A|ソx\\X83\\\rB|ab\rC|ポz\\XFD\\\\XFD\\q");
    for (offset, c) in utf8.as_str().char_indices() {
        let at = utf8.source_offset(offset);
        let kept = utf8.undecodable().iter();
        let mut kept = kept.map(|u| u.offset..u.offset + u.len);
        match c {
            'ソ' | 'ポ' => assert_eq!(bytes[at], 0x83),
            _ if kept.any(|range| range.contains(&at)) => {}
            _ => assert_eq!(char::from(bytes[at]), c, "{offset}"),
        }
    }
    assert_eq!(utf8.source_offset(1000), bytes.len());
}

#[test]
fn a_megabyte_takes_no_more_than_its_time() {
    for (name, piece) in [
        ("SHIFT_JIS", &b"\x83\x5C"[..]),
        ("SHIFT_JIS", b"\x83\r"),
        ("GB 18030-2000", b"\xFF"),
        ("GB 18030-2000", b"\x81\x30\x81"),
        ("ISO IR87", b"\x1B$B"),
        ("ISO IR87", b"\x1B"),
        ("ASCII", b"\xFFa"),
    ] {
        let bytes: Vec<u8> = piece.iter().copied().cycle().take(1 << 20).collect();
        let utf8 = set(name).to_utf8(&bytes);
        assert!(utf8.source_offset(utf8.as_str().len() / 2) <= bytes.len());
    }
}

proptest! {
    #[test]
    fn every_set_gives_back_what_it_encodes(
        text in r"([A-z|^~&\r\n ]|[àéü]|[А-я]|[ぁ-ん]|[ァ-ヶ]|[一-龠]){0,40}",
        at in 0..TABLE.len(),
    ) {
        let charset = set(TABLE[at].0);
        if let Ok(bytes) = charset.encode(&text) {
            let utf8 = charset.to_utf8(&bytes);
            prop_assert_eq!(utf8.as_str(), &text);
            prop_assert!(utf8.undecodable().is_empty());
            let mut last = 0;
            for (offset, _) in text.char_indices() {
                let source = utf8.source_offset(offset);
                prop_assert!(source >= last && source < bytes.len());
                last = source;
            }
        }
    }

    #[test]
    fn any_bytes_are_kept_or_told(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        at in 0..TABLE.len(),
    ) {
        let charset = set(TABLE[at].0);
        let utf8 = charset.to_utf8(&bytes);
        let clean = utf8.undecodable().is_empty();
        prop_assert_eq!(charset.decode(&bytes).is_ok(), clean, "{}", charset);
        let ends = |bytes: &[u8]| bytes.split(|b| matches!(b, b'\r' | b'\n')).count();
        prop_assert_eq!(ends(utf8.as_bytes()), ends(&bytes));
        let mut last = 0;
        for told in utf8.undecodable() {
            prop_assert!(told.len > 0 && told.offset >= last);
            last = told.offset + told.len;
        }
        prop_assert!(last <= bytes.len());
        for offset in 0..utf8.as_str().len() {
            prop_assert!(utf8.source_offset(offset) < bytes.len());
        }
    }
}
