//! The messages of the corpus in other character sets, read back.

use hl7_message::{Charset, Edit, Message, ParseErrorKind, chunks, loc};

use crate::corpus::folder;

/// Every message of the corpus that is UTF-8, with a note in `word` added and `name` in MSH-18.
fn messages(name: &str, word: &str) -> Option<Vec<String>> {
    let folder = folder()?;
    let oracle = std::fs::read_to_string(folder.join("oracle.jsonl")).unwrap();
    let mut all = Vec::new();
    for line in oracle.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = std::fs::read(folder.join(line["path"].as_str().unwrap())).unwrap();
        for chunk in chunks(&bytes) {
            let Ok(message) = Message::parse(chunk.bytes) else {
                continue;
            };
            let mut edit = Edit::new(&message);
            let field = char::from(message.separators().field());
            let note = format!("NTE{field}1{field}{field}{word}{field}x");
            let edited = edit
                .set(loc!("MSH-18"), name)
                .and_then(|edit| edit.append_segment(note.as_bytes()));
            if edited.is_ok()
                && let Ok(text) = String::from_utf8(edit.apply())
            {
                all.push(text);
            }
        }
    }
    assert!(all.len() > 300, "{} messages", all.len());
    Some(all)
}

/// Every leaf, and where it stands.
fn leaves(message: &Message<'_>) -> Vec<(usize, Vec<u8>)> {
    let fields = message.segments().flat_map(|s| s.fields());
    let components = fields
        .flat_map(|f| f.repetitions())
        .flat_map(|r| r.components());
    components
        .flat_map(|c| c.subcomponents())
        .map(|leaf| (leaf.span().start, leaf.as_bytes().to_vec()))
        .collect()
}

/// How many messages can be written in the set, and are read back from it to the leaf.
fn read_back(name: &str, word: &str) {
    let Some(all) = messages(name, word) else {
        return;
    };
    let (mut read, mut other) = (0, 0);
    for text in &all {
        let expected = Message::parse(text.as_bytes()).unwrap();
        let named = Charset::from_msh18(name.as_bytes()).unwrap();
        // Some files have characters that the set does not have, or control characters.
        let Ok(bytes) = named.encode(text) else {
            other += 1;
            continue;
        };
        // What MSH-18 says is read from the bytes as they came.
        let came = Message::parse(&bytes).unwrap();
        let charset = Charset::of(&came, Charset::ASCII).unwrap();
        assert_eq!(charset.name(), name);
        let utf8 = charset.to_utf8(&bytes);
        assert!(utf8.undecodable().is_empty());
        let message = Message::parse(utf8.as_bytes()).unwrap();
        assert_eq!(leaves(&message), leaves(&expected));
        let note = message.segments().next_back().unwrap();
        let note = note.field(3).unwrap();
        assert_eq!(note.as_bytes(), word.as_bytes());
        let at = utf8.source_offset(note.span().start);
        let before = bytes[..at].strip_suffix(b"\x1B$B").unwrap_or(&bytes[..at]);
        assert!(before.ends_with(&[message.separators().field()]));
        if charset.is_ascii_superset() {
            let note = came.segments().next_back().unwrap().field(3).unwrap();
            assert_eq!(note.text(charset).unwrap(), word);
        }
        read += 1;
    }
    println!("{name}: {read} messages read back, {other} not in the set");
    assert!(read * 10 > all.len() * 9, "{name}: {read} of {}", all.len());
}

#[test]
fn latin_1() {
    read_back("8859/1", "Größe fünf");
}

#[test]
fn shift_jis() {
    // 83 5C, 83 7C, 83 5E, 83 7E: every one ends in a delimiter.
    read_back("SHIFT_JIS", "ソポタミ");
}

#[test]
fn iso_2022_jp() {
    // Pairs of printable ASCII; Α is 26 21.
    read_back("ISO IR87", "Αゃソ絆");
}

#[test]
fn gb_18030() {
    read_back("GB 18030-2000", "俓俕倈亅");
}

#[test]
fn utf_16_and_utf_32_are_refused_clearly() {
    let Some(all) = messages("UNICODE UTF-8", "Größe") else {
        return;
    };
    for text in &all {
        let units: Vec<u16> = text.encode_utf16().collect();
        let chars: Vec<u32> = text.chars().map(u32::from).collect();
        let wide = [
            units
                .iter()
                .flat_map(|u| u.to_le_bytes())
                .collect::<Vec<u8>>(),
            units.iter().flat_map(|u| u.to_be_bytes()).collect(),
            chars.iter().flat_map(|c| c.to_le_bytes()).collect(),
            chars.iter().flat_map(|c| c.to_be_bytes()).collect(),
        ];
        let marks = [
            &b"\xFF\xFE"[..],
            b"\xFE\xFF",
            b"\xFF\xFE\0\0",
            b"\0\0\xFE\xFF",
        ];
        for (bytes, mark) in wide.iter().zip(marks) {
            for bytes in [bytes.clone(), [mark, bytes].concat()] {
                let error = Message::parse(&bytes).unwrap_err();
                assert_eq!(error.kind, ParseErrorKind::WideCharacters);
                assert!(error.to_string().contains("send UTF-8"), "{error}");
            }
        }
    }
}
