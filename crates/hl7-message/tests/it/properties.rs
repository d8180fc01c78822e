//! What holds for every input, whatever it is.

use hl7_message::{DiagnosticKind, Edit, Message, Segment, StrictError};
use proptest::prelude::*;

/// Bytes that look a little like a message.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        &b""[..],
        b"MSH|^~\\&|",
        b"MSH|^~\\&",
        b"MSH@#~!%@",
        b"MSH|^~|A\r",
        b"\xEF\xBB\xBFMSH|^~\\&|A\n",
        b"\x0B\r\nMSH|^~\\&|A\r\n",
        b"12:00 MSH x MSH|^~\\&#|A\r",
    ]);
    let piece = prop_oneof![
        4 => prop::sample::select(b"|^~\\&@#!%ABH.X0\r\n ".to_vec()).prop_map(|b| vec![b]),
        1 => prop::sample::select(vec![&b"\r\n"[..], b"PID|", b"MSH|", b"\\F\\", b"\x1C\r", b"\x0B",
            b"\r\r", b"\rMSH|^~\\&|", b"\xEF\xBB\xBF", b"\t", b"\"\""]).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|b| vec![b]),
    ];
    (start, prop::collection::vec(piece, 0..120))
        .prop_map(|(start, pieces)| [start, &pieces.concat()].concat())
}

/// The bytes of a segment, put together again from its leaves and the delimiters.
fn written(segment: Segment<'_>) -> Vec<u8> {
    let s = segment.separators();
    let mut out = segment.name().to_vec();
    let declares = matches!(segment.name(), b"MSH" | b"FHS" | b"BHS");
    for (f, field) in segment.fields().enumerate() {
        // MSH-1 is the separator itself.
        if !(declares && f < 2) {
            out.push(s.field());
        }
        if declares && f < 2 {
            out.extend_from_slice(field.as_bytes());
            continue;
        }
        for (r, repetition) in field.repetitions().enumerate() {
            out.extend((r > 0).then(|| s.repetition()));
            for (c, component) in repetition.components().enumerate() {
                out.extend((c > 0).then(|| s.component()));
                for (n, leaf) in component.subcomponents().enumerate() {
                    out.extend(s.subcomponent().filter(|_| n > 0));
                    out.extend_from_slice(leaf.as_bytes());
                }
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_writes_as_it_was(bytes in anything()) {
        let Ok((message, _)) = Message::parse_tolerant(&bytes) else { return Ok(()) };
        let mut out = Vec::new();
        let mut at = 0;
        for segment in message.segments() {
            let span = segment.span();
            out.extend_from_slice(&bytes[at..span.start]);
            out.extend(written(segment));
            at = span.end;
        }
        out.extend_from_slice(&bytes[at..]);
        prop_assert_eq!(&out, &bytes);
        prop_assert_eq!(Edit::new(&message).apply(), bytes);
    }

    #[test]
    fn no_byte_is_lost_or_passed_over_in_silence(bytes in anything()) {
        let Ok((message, told)) = Message::parse_tolerant(&bytes) else { return Ok(()) };
        let within = |from: usize, to: usize| {
            told.iter().filter(|one| from <= one.offset && one.offset <= to).count()
        };
        let mut at = 0;
        for segment in message.segments() {
            let span = segment.span();
            let gap = &bytes[at..span.start];
            if at == 0 {
                prop_assert!(gap.is_empty() || within(0, span.start) > 0);
                prop_assert!(gap.iter().all(|b| b"\r\n \t\x0B\xEF\xBB\xBF".contains(b))
                    || told[0].kind == DiagnosticKind::Junk);
            } else {
                prop_assert!(gap.iter().all(|b| b"\r\n \t".contains(b)), "{gap:?}");
                prop_assert!(gap.len() == message.line_end().as_bytes().len()
                    || within(at, span.start) > 0);
            }
            at = span.end;
        }
        let gap = &bytes[at..];
        prop_assert!(gap.iter().all(|b| b"\r\n \t\x1C".contains(b)), "{gap:?}");
        prop_assert!(gap == message.line_end().as_bytes() && !gap.is_empty()
            || within(at, bytes.len()) > 0);
    }

    #[test]
    fn strict_refuses_exactly_what_tolerant_tells(bytes in anything()) {
        match (Message::parse_strict(&bytes), Message::parse_tolerant(&bytes)) {
            (Ok(strict), Ok((tolerant, told))) => {
                prop_assert!(told.is_empty());
                let spans = |m: &Message<'_>| m.segments().map(|s| s.span()).collect::<Vec<_>>();
                prop_assert_eq!(spans(&strict), spans(&tolerant));
                // A clean message is its segments with a CR behind each.
                let segments = strict.segments().map(|s| [s.as_bytes(), b"\r"].concat());
                prop_assert_eq!(segments.collect::<Vec<_>>().concat(), bytes);
            }
            (Err(StrictError::Irregular(all)), Ok((_, told))) => prop_assert_eq!(all, told),
            (Err(StrictError::Parse(strict)), Err(tolerant)) => prop_assert_eq!(strict, tolerant),
            (strict, tolerant) => prop_assert!(false, "{strict:?} {tolerant:?}"),
        }
    }
}
