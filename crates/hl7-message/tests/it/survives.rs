//! The page `docs/survives.md`, line by line.

use hl7_message::DiagnosticKind as Kind;
use hl7_message::{Charset, Message, ParseErrorKind, UnknownCharset, chunks, loc};

/// What tolerant reading tells; strict refuses exactly where it tells anything.
#[track_caller]
fn told(bytes: &[u8], expected: &[Kind]) {
    let (_, told) = Message::parse_tolerant(bytes).unwrap();
    let kinds: Vec<_> = told.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, expected);
    assert_eq!(Message::parse_strict(bytes).is_ok(), expected.is_empty());
}

#[track_caller]
fn refused(bytes: &[u8], expected: ParseErrorKind) {
    assert_eq!(Message::parse_tolerant(bytes).unwrap_err().kind, expected);
    assert!(Message::parse_strict(bytes).is_err());
}

#[test]
fn around_the_message() {
    told(
        b"\xEF\xBB\xBF \r\nMSH|^~\\&|\r",
        &[Kind::ByteOrderMark, Kind::LeadingWhiteSpace],
    );
    told(
        b"\x0BMSH|^~\\&|\r\x1C\r",
        &[Kind::FramingBytes, Kind::FramingBytes],
    );
    told(
        b"\x0B\xEF\xBB\xBFMSH|^~\\&|\r",
        &[Kind::FramingBytes, Kind::ByteOrderMark],
    );
    told(b"junk\nMSH|^~\\&|\r", &[Kind::Junk]);
    told(b"12:00 MSH|^~\\&|\r", &[Kind::Junk]);
    assert!(Message::parse(b"junk\nMSH|^~\\&|\r").is_err());
    refused(b"", ParseErrorKind::Empty);
    refused(b"PID|1\r", ParseErrorKind::NoHeader);
    refused(b"\xFF\xFEM\0S\0H\0|\0", ParseErrorKind::WideCharacters);
    let two = b"MSH|^~\\&|\rMSH|^~\\&|\r";
    told(two, &[Kind::SecondHeader]);
    assert_eq!(chunks(two).count(), 2);
}

#[test]
fn line_ends() {
    told(b"MSH|^~\\&|\rPID|1\r", &[]);
    told(b"MSH|^~\\&|\nPID|1\n", &[Kind::LineEnd]);
    told(b"MSH|^~\\&|\r\nPID|1\r\n", &[Kind::LineEnd]);
    told(b"MSH|^~\\&|\rNTE|a\nb\r", &[Kind::ControlCharacter]);
    told(b"MSH|^~\\&|\rPID|1\r\nPV1|1\r", &[Kind::OtherLineEnd]);
    told(
        b"MSH|^~\\&|\nPID|1\rPV1|1\n",
        &[Kind::LineEnd, Kind::OtherLineEnd],
    );
    told(b"MSH|^~\\&|\rPID|1", &[Kind::MissingTerminator]);
    told(
        b"MSH|^~\\&|\r\r \rPID|1\r",
        &[Kind::BlankLine, Kind::BlankLine],
    );
}

#[test]
fn delimiters() {
    told(b"MSH@#~!%@A#B\r", &[]);
    for encoding in [r"^~", r"^~\", r"^~\&", r"^~\&#"] {
        told(format!("MSH|{encoding}|A\r").as_bytes(), &[]);
    }
    refused(b"MSH|^|A\r", ParseErrorKind::EncodingCharacters);
    refused(b"MSH|^~\\&#$|A\r", ParseErrorKind::EncodingCharacters);
    refused(b"MSH|^~x&|A\r", ParseErrorKind::EncodingCharacters);
    refused(b"MSHA^~\\&A\r", ParseErrorKind::FieldSeparator);
    refused(b"MSH|^^\\&|A\r", ParseErrorKind::SeparatorCollision);
}

#[test]
fn segments_and_escapes() {
    told(
        b"MSH|^~\\&|\rpid|1\rOB|1\rPIDX|1\rfree text\r",
        &[Kind::SegmentName; 4],
    );
    told(b"MSH|^~\\&|\rZZ9|1|2~3^4&5||\r", &[]);
    told(
        b"MSH|^~\\&|\rNTE|\\F\\\\X0D0A\\\\H\\\\.sp2\\\\.in+4\\\\Zxx\\\\C2842\\\r",
        &[],
    );
    for text in [r"\Q\", r"\X0\", r"\.xy\", r"C:\temp", r"\\server"] {
        let bytes = format!("MSH|^~\\&|\rNTE|1||{text}\r");
        told(bytes.as_bytes(), &[Kind::EscapeSequence]);
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let leaf = message.leaf(loc!("NTE-3")).unwrap();
        assert_eq!(leaf.unescape().as_ref(), text.as_bytes());
    }
}

#[test]
fn character_sets() {
    let message = Message::parse(b"MSH|^~\\&|\rNTE|1||\xE9\r").unwrap();
    assert_eq!(
        Charset::of(&message, Charset::LATIN_1),
        Ok(Charset::LATIN_1)
    );
    let leaf = message.leaf(loc!("NTE-3")).unwrap();
    assert_eq!(leaf.text(Charset::LATIN_1).unwrap(), "é");
    assert_eq!(leaf.text(Charset::UTF_8).unwrap_err().offset, 0);
    assert!(
        Charset::from_msh18(b"KS X 1001")
            .unwrap()
            .is_ascii_superset()
    );
    for name in ["ISO IR87", "SHIFT_JIS", "GB 18030-2000", "BIG-5"] {
        let charset = Charset::from_msh18(name.as_bytes()).unwrap();
        assert!(!charset.is_ascii_superset(), "{name}");
    }
    assert_eq!(
        Charset::from_msh18(b"UNICODE UTF-16"),
        Err(UnknownCharset::Wide)
    );
    assert_eq!(Charset::from_msh18(b"KLINGON"), Err(UnknownCharset::Name));
}
