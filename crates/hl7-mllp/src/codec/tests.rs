use proptest::prelude::*;

use super::*;

mod exhaustive;

use exhaustive::naive;

/// What came out of a stream, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Seen {
    Frame(Vec<u8>),
    Commit(bool),
    Error(FrameErrorKind, u64),
}

fn note(event: Result<Event, FrameError>) -> Seen {
    match event {
        Ok(Event::Frame(frame)) => Seen::Frame(frame.to_vec()),
        Ok(Event::CommitAck) => Seen::Commit(true),
        Ok(Event::CommitNak) => Seen::Commit(false),
        Err(error) => Seen::Error(error.kind, error.offset),
    }
}

/// Feeds one piece and takes everything it completes.
fn feed(codec: &mut MllpCodec, src: &mut BytesMut, piece: &[u8], seen: &mut Vec<Seen>) {
    src.extend_from_slice(piece);
    while let Some(event) = codec.decode_event(src).transpose() {
        let fatal = event.as_ref().is_err_and(|error| !error.is_recoverable());
        seen.push(note(event));
        if fatal {
            break;
        }
    }
}

fn end(codec: &mut MllpCodec, src: &mut BytesMut, seen: &mut Vec<Seen>) {
    if codec.failed.is_some() {
        return;
    }
    while let Some(event) = codec.decode_event_eof(src).transpose() {
        seen.push(note(event));
    }
    assert!(src.is_empty(), "nothing is left at the end");
}

fn in_pieces<'a>(codec: MllpCodec, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let (mut codec, mut src, mut seen) = (codec, BytesMut::new(), Vec::new());
    for piece in pieces {
        if codec.failed.is_none() {
            feed(&mut codec, &mut src, piece, &mut seen);
        }
    }
    end(&mut codec, &mut src, &mut seen);
    seen
}

#[track_caller]
fn check(stream: &[u8], expected: &[Seen]) {
    assert_eq!(in_pieces(MllpCodec::new(), [stream]), expected);
    assert_eq!(in_pieces(MllpCodec::new(), stream.chunks(1)), expected);
}

fn frame(payload: &[u8]) -> Seen {
    Seen::Frame(payload.to_vec())
}

#[test]
fn an_empty_block_is_an_empty_frame() {
    check(b"\x0b\x1c\r", &[frame(b"")]);
}

#[test]
fn two_frames_in_one_read_are_two_frames() {
    check(
        b"\x0bone\x1c\r\x0btwo\x1c\r",
        &[frame(b"one"), frame(b"two")],
    );
}

#[test]
fn doubled_framing_bytes_are_one_frame() {
    check(
        b"\x0b\x0bone\x1c\x1c\r\x0btwo\x1c\r\x1c\r",
        &[frame(b"one"), frame(b"two")],
    );
}

#[test]
fn an_end_block_without_carriage_return_ends_at_the_next_start() {
    check(
        b"\x0bone\x1c\x0btwo\x1c\n\x0bthree\x1c",
        &[frame(b"one"), frame(b"two"), frame(b"three")],
    );
}

#[test]
fn an_end_block_inside_text_drops_the_block_and_reads_the_next() {
    let error = Seen::Error(FrameErrorKind::EndBlockAlone, 2);
    check(b"\x0ba\x1cb\x1c\r\x0btwo\x1c\r", &[error, frame(b"two")]);
}

#[test]
fn a_truncated_block_is_reported_and_never_merged() {
    let error = Seen::Error(FrameErrorKind::BlockRestarted, 4);
    check(b"\x0bone\x0btwo\x1c\r", &[error, frame(b"two")]);
    check(b"\x0bone", &[Seen::Error(FrameErrorKind::Truncated, 4)]);
    check(b"\x0b", &[Seen::Error(FrameErrorKind::Truncated, 1)]);
}

#[test]
fn a_block_that_awaits_its_end_can_be_ended_where_it_stands() {
    let mut codec = MllpCodec::new();
    let mut src = BytesMut::from(&b"\x0bA\x1c"[..]);
    assert_eq!(codec.end_here(&mut src), None, "not searched yet");
    assert_eq!(codec.decode_event(&mut src), Ok(None));
    assert!(codec.awaits_end(&src));
    assert_eq!(codec.end_here(&mut src), Some(Event::Frame("A".into())));
    // The carriage return comes after all.
    src.extend_from_slice(b"\r\x0bB");
    assert_eq!(codec.decode_event(&mut src), Ok(None));
    assert!(!codec.awaits_end(&src));
    assert_eq!(codec.end_here(&mut src), None);
    assert_eq!(codec.junk_bytes(), 1);
    let mut strict = MllpCodec::new().framing(Framing::Strict);
    let mut src = BytesMut::from(&b"\x0bA\x1c"[..]);
    assert_eq!(strict.decode_event(&mut src), Ok(None));
    assert_eq!(strict.end_here(&mut src), None);
}

#[test]
fn commit_blocks_are_events() {
    check(
        b"\x0b\x06\x1c\r\x0b\x15\x1c\r",
        &[Seen::Commit(true), Seen::Commit(false)],
    );
}

#[test]
fn commit_blocks_are_passed_over_by_decode() {
    let mut src = BytesMut::from(&b"\x0b\x06\x1c\r\x0bA\x1c\r"[..]);
    assert_eq!(MllpCodec::new().decode(&mut src).unwrap().unwrap(), "A");
}

#[test]
fn a_frame_of_the_limit_passes_and_one_byte_more_does_not() {
    let codec = || {
        MllpCodec::with_limits(Limits {
            frame_bytes_max: 3,
            ..Limits::default()
        })
    };
    assert_eq!(in_pieces(codec(), [&b"\x0babc\x1c\r"[..]]), [frame(b"abc")]);
    let error = Seen::Error(FrameErrorKind::FrameTooLarge { limit: 3 }, 4);
    assert_eq!(in_pieces(codec(), [&b"\x0babcd\x1c\r"[..]]), [error]);
}

#[test]
fn junk_is_counted_and_bounded() {
    let mut codec = MllpCodec::with_limits(Limits {
        junk_bytes_max: 3,
        ..Limits::default()
    });
    let mut src = BytesMut::from(&b"LF\n\x0bA\x1c\r\r\n\n\x0bB\x1c\r....\x0bC\x1c\r"[..]);
    assert_eq!(codec.decode(&mut src).unwrap().unwrap(), "A");
    assert_eq!(codec.decode(&mut src).unwrap().unwrap(), "B");
    let error = codec.decode(&mut src).unwrap_err();
    assert_eq!(
        error,
        FrameError {
            kind: FrameErrorKind::TooMuchJunk { limit: 3 },
            offset: 17
        }
    );
    assert_eq!(codec.junk_bytes(), 9);
    assert_eq!(
        codec.decode(&mut src).unwrap_err(),
        error,
        "a dead stream stays dead"
    );
}

#[test]
fn a_payload_with_framing_bytes_is_refused_and_nothing_written() {
    let codec = MllpCodec::with_limits(Limits {
        frame_bytes_max: 4,
        ..Limits::default()
    });
    for payload in [&b"a\x0bb"[..], b"a\x1c", b"\x06", b"\x15", b"abcde"] {
        let mut dst = BytesMut::new();
        assert!(codec.encode_frame(payload, &mut dst).is_err());
        assert!(dst.is_empty());
    }
}

#[test]
fn a_large_frame_in_small_reads_takes_linear_time() {
    // Rescanning from the start would look at 4 GiB; this looks at 8 MiB.
    let payload = vec![b'A'; 8 << 20];
    let mut stream = BytesMut::new();
    MllpCodec::new()
        .encode_frame(&payload, &mut stream)
        .unwrap();
    let (mut codec, mut src) = (MllpCodec::new(), BytesMut::new());
    for piece in stream.chunks(8192) {
        src.extend_from_slice(piece);
        let unsearched = match codec.state {
            State::Outside => src.len(),
            State::Inside { searched } => src.len() - searched,
        };
        assert!(unsearched <= 8192, "{unsearched} bytes to search again");
        if let Some(frame) = codec.decode(&mut src).unwrap() {
            assert_eq!(frame.len(), payload.len());
        }
    }
    assert_eq!(codec.open_block(), None);
}

#[cfg(feature = "net")]
#[tokio::test]
async fn framed_read_goes_on_after_a_recoverable_error() {
    use futures_util::StreamExt;
    use tokio_util::codec::FramedRead;

    let sent = &b"\x0bone\x1c\r\x0bhalf\x0btwo\x1c\r\x0bend"[..];
    let mut frames = FramedRead::new(sent, MllpCodec::new());
    assert_eq!(frames.next().await.unwrap().unwrap(), "one");
    let error = frames.next().await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "a new block began inside an unfinished one at byte 11"
    );
    assert!(
        frames.next().await.is_none(),
        "FramedRead pauses after any error"
    );
    assert_eq!(frames.next().await.unwrap().unwrap(), "two");
    let StreamError::Frame(error) = frames.next().await.unwrap().unwrap_err() else {
        panic!()
    };
    assert_eq!(error.kind, FrameErrorKind::Truncated);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|text| [&[START_BLOCK][..], &text, &[END_BLOCK, CARRIAGE_RETURN]].concat()),
        2 => proptest::sample::select(&b"\x0b\x1c\r\n\x06\x15A"[..]).prop_map(|byte| vec![byte]),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_decodes_to_the_same_events(
        stream in stream(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        strict in any::<bool>(),
    ) {
        let framing = if strict { Framing::Strict } else { Framing::Tolerant };
        let limits = Limits { frame_bytes_max: 30, junk_bytes_max: 16 };
        let codec = MllpCodec::with_limits(limits.clone()).framing(framing);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let pieces = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        let expected = naive(&stream, framing, &limits);
        prop_assert_eq!(&in_pieces(codec.clone(), [&stream[..]]), &expected);
        prop_assert_eq!(&in_pieces(codec.clone(), pieces), &expected);
        prop_assert_eq!(&in_pieces(codec, stream.chunks(1)), &expected);
    }

    #[test]
    fn what_is_encoded_decodes_to_itself(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..6)
    ) {
        let codec = MllpCodec::new();
        let mut stream = BytesMut::new();
        let mut sent = Vec::new();
        for payload in payloads {
            if codec.encode_frame(&payload, &mut stream).is_ok() {
                sent.push(Seen::Frame(payload));
            } else {
                prop_assert!(payload.iter().any(|byte| matches!(byte, 0x06 | 0x0b | 0x15 | 0x1c)));
            }
        }
        prop_assert_eq!(in_pieces(MllpCodec::new().framing(Framing::Strict), [&stream[..]]), sent);
    }
}
