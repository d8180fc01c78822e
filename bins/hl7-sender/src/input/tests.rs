//! What is sent for what a file holds.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(input: &[u8], expected: &[&[u8]]) {
    let cut = cut(&Bytes::copy_from_slice(input), Check::Whole).unwrap();
    let found: Vec<_> = cut
        .pieces
        .iter()
        .map(|piece| piece.bytes.as_ref())
        .collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn refused(input: &[u8], offset: usize, what: &str) {
    let bytes = Bytes::copy_from_slice(input);
    let problem = cut(&bytes, Check::Whole)
        .and_then(|cut| {
            cut.pieces
                .into_iter()
                .try_for_each(|p| outgoing(p, 0, Check::Whole).map(drop))
        })
        .unwrap_err();
    assert_eq!(problem.offset, offset, "{}", problem.what);
    assert!(problem.what.contains(what), "{}", problem.what);
}

const A: &[u8] = b"MSH|^~\\&|A|||||||1\rPID|1\r";
const B: &[u8] = b"MSH|^~\\&|B|||||||2\rPID|2\r";

#[test]
fn blank_lines_part_messages_and_any_line_end_becomes_cr() {
    check(
        b"MSH|^~\\&|A|||||||1\nPID|1\n\nMSH|^~\\&|B|||||||2\nPID|2\n",
        &[A, B],
    );
    check(
        b"MSH|^~\\&|A|||||||1\r\nPID|1\r\n\r\nMSH|^~\\&|B|||||||2\r\nPID|2",
        &[A, B],
    );
    check(b"\xEF\xBB\xBF\n\nMSH|^~\\&|A|||||||1\nPID|1\n\n\n\n", &[A]);
    check(b"MSH|^~\\&|A", &[b"MSH|^~\\&|A\r"]);
}

#[test]
fn cr_terminated_messages_are_left_alone() {
    check(&[A, B].concat(), &[A, B]);
    check(&[A, b"\r\n\r\n", B, b"\n"].concat(), &[A, B]);
    let odd = b"MSH|^~\\&|A|||||||1\rOBX|a\nb\r\rpid|x\xFF\r";
    check(
        b"MSH|^~\\&|A|||||||1\rOBX|a\nb\rpid|x\xFF\r",
        &[b"MSH|^~\\&|A|||||||1\rOBX|a\nb\rpid|x\xFF\r"],
    );
    refused(odd, 28, "no segment");
}

#[test]
fn captures_are_cut_at_their_framing_bytes() {
    let mut capture = [b"\x0B", A, b"\x1C\r\x0B", B, b"\x1C\r"].concat();
    check(&capture, &[A, B]);
    check(b"\x0BMSH|^~\\&|A\x1C\r\n", &[b"MSH|^~\\&|A"]);
    capture.truncate(capture.len() - 2);
    refused(&capture, A.len() + 3, "no end");
    refused(
        &[b"\x0B", A, b"\x1C\rhello"].concat(),
        A.len() + 3,
        "belong to no message",
    );
    refused(
        &[b"\x0B", A, b"\x1C\x0B"].concat(),
        A.len() + 1,
        "carriage return",
    );
}

#[test]
fn json_lines_are_read() {
    let line = "{\"v\":1,\"message\":\"MSH|^~\\\\&|A|||||||1\\rPID|1\\r\"}\n";
    check(line.as_bytes(), &[A]);
    check(line.replace("\\r", "\\n").repeat(2).as_bytes(), &[A, A]);
    refused(b"{\"message\":1}", 0, "no \"message\"");
    refused(b"{\"message\":\"x\"}\n", 0, "not HL7");
    refused(format!("{line}{{]").as_bytes(), line.len() + 1, "JSON");
    refused(b"{\"message\":\"\"}", 0, "0 messages");
}

#[test]
fn batch_segments_are_counted_not_sent() {
    let input = [b"FHS|^~\\&\rBHS|^~\\&\r", A, B, b"BTS|2\rFTS|1\r"].concat();
    check(&input, &[A, B]);
    assert_eq!(
        cut(&Bytes::from(input), Check::Whole)
            .unwrap()
            .batch_segments,
        4
    );
}

#[test]
fn what_belongs_to_no_message_is_refused_with_its_place() {
    refused(b"a note\nMSH|^~\\&|A|||||||1\n", 0, "not HL7");
    refused(
        b"MSH|^~\\&|A|||||||1\nPID|1\n\na note\n\nMSH|^~\\&|B|||||||2\n",
        26,
        "no segment",
    );
    refused(
        b"MSH|^~\\&|A|||||||1\nOBX|1|long\ntext\n",
        30,
        "broken across lines",
    );
    refused(
        &[A, b"\n\na note\n\n", B].concat(),
        A.len() + 1,
        "no segment",
    );
    refused(&[A, b"\na note\n", B].concat(), A.len() + 1, "no segment");
    refused(
        b"MSH|^~\\&|A|||||||1\rPID|1\nMSH|^~\\&|B|||||||2\r",
        25,
        "line end",
    );
    refused(b"\n\nMSH|^^\\&|A\n", 6, "same character");
}

#[test]
fn a_message_without_control_id_is_refused() {
    refused(b"MSH|^~\\&|A\nPID|1\n", 0, "MSH-10");
    refused(b"MSH|^~\\&|A|||||||1\rPID|\x1Ca\r", 0, "framing byte");
}

#[test]
fn lines_are_counted_by_what_ends_them() {
    assert_eq!(line_of(b"a\nb\nc", 4), 3);
    assert_eq!(line_of(b"a\r\nb\r\nc", 6), 3);
    assert_eq!(line_of(b"a\rb\rc", 4), 3);
    assert_eq!(line_of(b"", 0), 1);
}

#[test]
fn unchecked_messages_go_as_they_are() {
    let input = Bytes::from_static(b"MSH|^^\\&|A|||||||1\nfree text\n\nMSH|^~\\&|B\nfree text\n");
    let cut = cut(&input, Check::Nothing).unwrap();
    let sent: Vec<_> = cut
        .pieces
        .into_iter()
        .map(|piece| outgoing(piece, 0, Check::Nothing).unwrap())
        .collect();
    assert_eq!(sent[0].bytes, &b"MSH|^^\\&|A|||||||1\rfree text\r"[..]);
    assert_eq!(sent[0].control_id(), b"1");
    assert_eq!(sent[1].bytes, &b"MSH|^~\\&|B\rfree text\r"[..]);
    assert_eq!(sent[1].control_id(), b"");
}

proptest! {
    #[test]
    fn however_lines_end_the_same_messages_come_out(
        bodies in prop::collection::vec(prop::collection::vec("PID\\|[A-Za-z|^]{0,6}", 0..4), 1..5),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        blanks in 0..3_usize,
    ) {
        let head = ["MSH|^~\\&|A|||||||1".to_owned()];
        let joined = |body: &Vec<String>, end: &str| [&head, &body[..], &[String::new()]].concat().join(end);
        let messages: Vec<_> = bodies.iter().map(|body| joined(body, "\r")).collect();
        let parts: Vec<_> = bodies.iter().map(|body| joined(body, end)).collect();
        let file = parts.join(&end.repeat(blanks));
        let cut = cut(&Bytes::from(file), Check::Whole).unwrap();
        let found: Vec<_> = cut.pieces.iter().map(|piece| piece.bytes.clone()).collect();
        prop_assert_eq!(found, messages);
    }

    #[test]
    fn no_input_makes_it_panic(input in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = cut(&Bytes::from(input), Check::Nothing);
    }

    #[test]
    fn read_piece_by_piece_it_is_the_same(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "MSH|^~\\&|A|||||||1", "PID|1", "\r", "\n", "\r\n", "\n\n", "FHS|^~\\&", "note", "\x0B",
                "\x1C\r", "\x1C", "{\"message\":\"MSH|^~\\\\&|A|||||||1\"}", "\u{FEFF}",
            ]),
            0..14,
        ),
        step in 1..9_usize,
        checked in any::<bool>(),
    ) {
        let input = parts.concat();
        let check = if checked { Check::Whole } else { Check::Nothing };
        let whole = cut(&Bytes::from(input.clone()), check);
        let mut pieces = Vec::new();
        let batch_segments = stream_all(input.as_bytes(), step, check, &mut pieces);
        match (whole, batch_segments) {
            (Ok(whole), Ok(batch_segments)) => {
                prop_assert_eq!(whole.pieces, pieces);
                prop_assert_eq!(whole.batch_segments, batch_segments);
            }
            (Err(whole), Err(streamed)) => prop_assert_eq!(whole, streamed),
            (whole, streamed) => prop_assert!(false, "{:?} but {:?}", whole, streamed),
        }
    }
}

/// Reads a few bytes at a time.
fn stream_all(
    input: &[u8],
    step: usize,
    check: Check,
    pieces: &mut Vec<Piece>,
) -> Result<usize, Problem> {
    struct Slow<'a>(&'a [u8], usize);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len());
            self.0.read(&mut buffer[..len])
        }
    }
    let mut streamed = Pieces::open(Slow(input, step), check)?;
    while let Some(piece) = streamed.next()? {
        pieces.push(piece);
    }
    Ok(streamed.batch_segments)
}
