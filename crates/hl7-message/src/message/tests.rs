use super::*;
use proptest::prelude::*;

#[track_caller]
fn segments(bytes: &[u8]) -> Vec<String> {
    let message = Message::parse(bytes).unwrap();
    message
        .segments()
        .map(|s| String::from_utf8_lossy(s.as_bytes()).into_owned())
        .collect()
}

#[track_caller]
fn refused(bytes: &[u8], kind: ParseErrorKind, offset: usize) {
    let error = Message::parse(bytes).unwrap_err();
    assert_eq!((error.kind, error.offset), (kind, offset));
}

#[test]
fn cr_ends_segments_and_a_lone_lf_is_data() {
    assert_eq!(
        segments(b"MSH|^~\\&\rOBX|a\nb\rZZZ|1"),
        ["MSH|^~\\&", "OBX|a\nb", "ZZZ|1"]
    );
}

#[test]
fn crlf_and_lf_are_read() {
    assert_eq!(segments(b"MSH|^~\\&\r\nPID|1\r\n"), ["MSH|^~\\&", "PID|1"]);
    assert_eq!(
        segments(b"MSH|^~\\&\r\nPID|1\nPV1|1\r\n"),
        ["MSH|^~\\&", "PID|1", "PV1|1"]
    );
    assert_eq!(segments(b"MSH|^~\\&\nPID|1\n"), ["MSH|^~\\&", "PID|1"]);
    assert_eq!(
        segments(b"MSH|^~\\&\nPID|1\rPV1|1\r\nZ"),
        ["MSH|^~\\&", "PID|1", "PV1|1", "Z"]
    );
    assert_eq!(
        segments(b"MSH|^~\\&\rPID|1\r\nPV1|1\r\n"),
        ["MSH|^~\\&", "PID|1", "PV1|1"]
    );
}

#[test]
fn blank_lines_and_frame_bytes_are_stepped_over() {
    assert_eq!(
        segments(b"\xEF\xBB\xBF\r\nMSH|^~\\&\r\r\rPID|1\r\r"),
        ["MSH|^~\\&", "PID|1"]
    );
    assert_eq!(
        segments(b"\x0BMSH|^~\\&\rPID|1\r\x1C\r"),
        ["MSH|^~\\&", "PID|1"]
    );
    assert_eq!(
        segments(b"\x0BMSH|^~\\&\rPID|1\x1C"),
        ["MSH|^~\\&", "PID|1"]
    );
}

#[test]
fn more_segments_than_fit_inline_are_kept_in_order() {
    let mut bytes = b"MSH|^~\\&\r".to_vec();
    for n in 1..=40 {
        bytes.extend_from_slice(format!("OBX|{n}\r").as_bytes());
    }
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.segment_count(), 41);
    assert_eq!(message.raw(crate::loc!("OBX[40]-1")), Some(&b"40"[..]));
}

#[test]
fn what_is_not_a_message_is_refused_with_its_place() {
    refused(b"", ParseErrorKind::Empty, 0);
    refused(b"\r\n", ParseErrorKind::Empty, 2);
    refused(b"hello", ParseErrorKind::NoHeader, 0);
    refused(b"PID|1\r", ParseErrorKind::NoHeader, 0);
    refused(b"MSH", ParseErrorKind::FieldSeparator, 3);
    refused(b"MSH\r", ParseErrorKind::FieldSeparator, 3);
    refused(b"MSH|", ParseErrorKind::EncodingCharacters, 4);
    refused(b"MSH|^|x", ParseErrorKind::EncodingCharacters, 4);
    refused(b"MSH|^~~&|x", ParseErrorKind::SeparatorCollision, 4);
    refused(b"\xFF\xFEM\0S\0H\0", ParseErrorKind::WideCharacters, 0);
    assert!(Message::parse(b"MSH|^~\\&\x1C\r").is_ok());
    for wide in [
        &b"M\0S\0H\0|\0"[..],
        b"\0M\0S\0H\0|",
        b"M\0\0\0S\0\0\0H\0\0\0",
        b"\0\0\0M\0\0\0S\0\0\0H",
        b"\0\0\xFE\xFF\0\0\0M",
        b"\xFE\xFF\0M\0S",
    ] {
        refused(wide, ParseErrorKind::WideCharacters, 0);
    }
}

#[test]
fn limits_are_named() {
    let limits = Limits {
        message_bytes_max: 30,
        segments_max: 2,
    };
    let long = Message::parse_with(&[b'x'; 31], limits).unwrap_err();
    assert_eq!(long.kind, ParseErrorKind::TooLong { max: 30 });
    assert!(Message::parse_with(b"MSH|^~\\&\rA\r", limits).is_ok());
    let many = Message::parse_with(b"MSH|^~\\&\rA\rB\r", limits).unwrap_err();
    assert_eq!(
        (many.kind, many.offset),
        (ParseErrorKind::TooManySegments { max: 2 }, 11)
    );
}

#[test]
fn a_byte_offset_has_a_name() {
    let bytes = b"MSH|^~\\&|A\rPID|1||7~8^9\rOBX|1\rOBX|2|TX\r";
    let message = Message::parse(bytes).unwrap();
    let at = |needle: &[u8]| {
        let offset = memchr::memmem::find(bytes, needle).unwrap();
        message.location_at(offset).unwrap().to_string()
    };
    assert_eq!(at(b"PID"), "PID");
    assert_eq!(at(b"7~"), "PID-3.1.1");
    assert_eq!(at(b"9\r"), "PID-3[2].2.1");
    assert_eq!(at(b"TX"), "OBX[2]-2.1.1");
    assert_eq!(at(b"^~\\&"), "MSH-2");
    assert_eq!(message.location_at(500), None);
}

proptest! {
    #[test]
    fn a_leaf_is_the_same_by_every_way(
        text in "[A^~&|]{0,80}", field in 1..9_u16, repetition in 1..4_u16,
        component in 0..4_u16, subcomponent in 0..4_u16,
    ) {
        let bytes = format!("MSH|^~\\&|A^B&C~D|\rPID|{text}\rZZZ\rPID|1");
        let message = Message::parse(bytes.as_bytes()).unwrap();
        for id in [*b"PID", *b"MSH", *b"ZZZ"] {
            let at = Location::field(id, field)
                .repetition(repetition).component(component).subcomponent(subcomponent);
            let by_views = message
                .segment(at.segment_id())
                .and_then(|s| s.field(field))
                .and_then(|f| f.repetition(repetition))
                .and_then(|r| r.component(component.max(1)))
                .and_then(|c| c.subcomponent(subcomponent.max(1)))
                .map(|leaf| (leaf.as_bytes(), leaf.span()));
            let leaf = message.leaf(at).map(|leaf| (leaf.as_bytes(), leaf.span()));
            prop_assert_eq!(leaf, by_views, "{}", at);
        }
    }
}

#[test]
fn debug_shows_no_values() {
    let message = Message::parse(b"MSH|^~\\&\rPID|1||SECRET\r").unwrap();
    assert!(!format!("{message:?}").contains("SECRET"));
}
