use super::*;
use crate::{Location, Message, loc};
use proptest::prelude::*;

fn writer() -> MessageWriter {
    let mut writer = MessageWriter::new(Separators::DEFAULT);
    writer.segment(SegmentId::MSH);
    writer
}

#[test]
fn places_left_out_are_filled_with_delimiters() {
    let mut writer = writer();
    let mut pid = writer.segment(SegmentId::PID);
    pid.put(loc!("PID-1"), "1").unwrap();
    pid.put(loc!("PID-3.1.2"), "b").unwrap();
    pid.put(loc!("PID-3.4"), "d").unwrap();
    pid.put(loc!("PID-3[2].2"), "e").unwrap();
    pid.put_null(loc!("PID-7")).unwrap();
    pid.pad_to(9);
    assert_eq!(writer.finish(), b"MSH|^~\\&\rPID|1||&b^^^d~^e||||\"\"||\r");
}

#[test]
fn order_and_segment_are_checked() {
    let mut writer = writer();
    let mut pid = writer.segment(SegmentId::PID);
    pid.put(loc!("PID-3"), "1").unwrap();
    for location in [
        loc!("PID-3"),
        loc!("PID-2"),
        loc!("PV1-4"),
        loc!("PID"),
        loc!("PID-3.1"),
    ] {
        assert!(matches!(
            pid.put(location, "x"),
            Err(WriteError::OutOfOrder { .. })
        ));
    }
    for (location, bytes) in [
        (loc!("PID-4"), &b"a|b"[..]),
        (loc!("PID-4"), b"a\rb"),
        (loc!("PID-4.1"), b"a^b"),
        (loc!("PID-4.1.1"), b"a&b"),
        (loc!("PID-4[2]"), b"a~b"),
    ] {
        assert_eq!(
            pid.put_raw(location, bytes).unwrap_err(),
            WriteError::RawBytes {
                location,
                offset: 1
            }
        );
    }
    assert_eq!(writer.finish(), b"MSH|^~\\&\rPID|||1\r");
}

#[test]
fn two_quotation_marks_as_text_are_not_null() {
    let mut writer = writer();
    writer
        .segment(SegmentId::NTE)
        .put(loc!("NTE-3"), "\"\"")
        .unwrap();
    let bytes = writer.finish();
    let message = Message::parse(&bytes).unwrap();
    let value = message.value(loc!("NTE-3"));
    assert!(!value.is_null());
    assert_eq!(value.unescape().unwrap().as_ref(), b"\"\"");
}

#[test]
fn the_delimiters_are_declared_once_and_kept() {
    let odd = Separators::parse(b"@", b"~#").unwrap();
    let mut writer = MessageWriter::new(odd);
    assert_eq!(
        writer.raw_segment(b"MSH@^~\\&@"),
        Err(WriteError::OtherDelimiters)
    );
    assert_eq!(writer.raw_segment(b"MSH|~#|"), Err(WriteError::SegmentName));
    let mut msh = writer.segment(SegmentId::MSH);
    assert!(msh.put(loc!("MSH-2"), "x").is_err());
    assert!(msh.put(loc!("MSH-3"), "a@b").is_err());
    msh.put(loc!("MSH-3"), "a|b").unwrap();
    assert_eq!(writer.finish(), b"MSH@~#@a|b\r");
    let quoted = Separators::parse(b"|", b"^~\\\"").unwrap();
    let mut writer = MessageWriter::new(quoted);
    assert!(
        writer
            .segment(SegmentId::PID)
            .put_null(loc!("PID-3"))
            .is_err()
    );
}

/// What a caller might try.
#[derive(Debug, Clone)]
enum Try {
    Segment(SegmentId),
    RawSegment(Vec<u8>),
    Put(Location, Vec<u8>),
    PutRaw(Location, Vec<u8>),
    Null(Location),
}

fn tries() -> impl Strategy<Value = Try> {
    let bytes = || {
        proptest::collection::vec(
            prop_oneof![
                prop::sample::select(b"|^~\\&#\r\n\x0B\x1CPIDMSH1 \"".to_vec()),
                any::<u8>()
            ],
            0..8,
        )
    };
    let place = || {
        (1..6_u16, 1..3_u16, 0..3_u16, 0..3_u16).prop_map(|(f, r, c, s)| {
            loc!("PID")
                .at_field(f)
                .repetition(r)
                .component(c)
                .subcomponent(s)
        })
    };
    prop_oneof![
        prop::sample::select(vec![
            SegmentId::PID,
            SegmentId::PID,
            SegmentId::NTE,
            SegmentId::BTS
        ])
        .prop_map(Try::Segment),
        (
            prop::sample::select(vec![&b"ZZ1|"[..], b"", b"PID", b"x"]),
            bytes()
        )
            .prop_map(|(start, rest)| Try::RawSegment([start, &rest].concat())),
        (place(), bytes()).prop_map(|(at, bytes)| Try::Put(at, bytes)),
        (place(), bytes()).prop_map(|(at, bytes)| Try::PutRaw(at, bytes)),
        place().prop_map(Try::Null),
    ]
}

proptest! {
    #[test]
    fn whatever_is_tried_a_message_comes_out(
        tries in proptest::collection::vec(tries(), 0..20),
        encoding in prop::sample::select(vec![&b"^~\\&"[..], b"^~", b"^~\\&#", b"~^#\""]),
    ) {
        let separators = Separators::parse(b"|", encoding).unwrap();
        let mut writer = MessageWriter::new(separators);
        let mut segments = 1;
        for one in &tries {
            match one {
                Try::Segment(id) => {
                    segments += 1;
                    writer.segment(*id);
                }
                Try::RawSegment(bytes) => {
                    segments += usize::from(writer.raw_segment(bytes).is_ok());
                }
                Try::Put(..) | Try::PutRaw(..) | Try::Null(_) => {
                    let mut pid = writer.segment(SegmentId::PID);
                    segments += 1;
                    let _ = match one {
                        Try::Put(at, bytes) => pid.put_bytes(*at, bytes).is_ok(),
                        Try::PutRaw(at, bytes) => pid.put_raw(*at, bytes).is_ok(),
                        Try::Null(at) => pid.put_null(*at).is_ok(),
                        Try::Segment(_) | Try::RawSegment(_) => false,
                    };
                }
            }
        }
        let bytes = writer.finish();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.segment_count(), segments);
        prop_assert_eq!(*message.separators(), separators);
        prop_assert!(message.segments().all(|segment| segment.id().is_some()));
        prop_assert!(bytes.ends_with(b"\r") && !bytes.contains(&0x1C) && !bytes.contains(&b'\n'));
    }

    #[test]
    fn any_text_reads_back_as_it_was(
        texts in proptest::collection::vec(any::<String>(), 1..8),
    ) {
        let mut writer = writer();
        let mut segment = writer.segment(SegmentId::NTE);
        for (n, text) in (1..).zip(&texts) {
            segment.put(loc!("NTE").at_field(n).component(2), text).unwrap();
        }
        let bytes = writer.finish();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.segment_count(), 2);
        for (n, text) in (1..).zip(&texts) {
            let leaf = message.leaf(loc!("NTE").at_field(n).component(2)).unwrap();
            let read = leaf.unescape();
            prop_assert_eq!(read.as_ref(), text.as_bytes());
        }
    }
}
