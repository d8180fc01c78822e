//! What a fuzzer calls, as plain functions over bytes, replayed here over random input.

use bytes::BytesMut;
use hl7_mllp::{
    END_BLOCK, Event, Framing, Limits, MllpCodec, START_BLOCK,
    correlate::{Correlate, Hl7},
};
use proptest::prelude::*;

/// Decodes the bytes whole and in pieces whose sizes the first bytes choose: both ways come to
/// the same, nothing panics, and no frame holds a framing byte or is longer than allowed.
pub(crate) fn fuzz_decode(data: &[u8]) {
    let Some((settings, stream)) = data.split_first() else {
        return;
    };
    let framing = if settings & 1 == 0 {
        Framing::Tolerant
    } else {
        Framing::Strict
    };
    let limits = Limits {
        frame_bytes_max: 64,
        junk_bytes_max: 32,
    };
    let codec = MllpCodec::with_limits(limits).framing(framing);
    let pieces = stream.chunks(usize::from(settings >> 1).max(1));
    let whole = decode(codec.clone(), [stream]);
    assert_eq!(whole, decode(codec, pieces));
    for event in whole {
        let Ok(Event::Frame(frame)) = event else {
            continue;
        };
        assert!(frame.len() <= 64);
        assert!(
            !frame
                .iter()
                .any(|byte| matches!(*byte, START_BLOCK | END_BLOCK))
        );
    }
}

/// Finds ids in any bytes, and each of them is a part of the message.
pub(crate) fn fuzz_correlate(data: &[u8]) {
    let holds = |part: &[u8]| part.is_empty() || data.windows(part.len()).any(|at| at == part);
    assert!(Hl7.control_id(data).is_none_or(holds));
    if let Some(ack) = Hl7.acknowledgement(data) {
        assert!(holds(ack.code) && holds(ack.control_id));
    }
}

fn decode<'a>(
    mut codec: MllpCodec,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Event, hl7_mllp::FrameError>> {
    let (mut src, mut events) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        src.extend_from_slice(piece);
        while let Some(event) = codec.decode_event(&mut src).transpose() {
            let over = event.as_ref().is_err_and(|error| !error.is_recoverable());
            events.push(event);
            if over {
                return events;
            }
        }
    }
    while let Some(event) = codec.decode_event_eof(&mut src).transpose() {
        events.push(event);
    }
    events
}

proptest! {
    #[test]
    fn any_bytes_decode_without_a_panic(data in proptest::collection::vec(
        prop_oneof![any::<u8>(), proptest::sample::select(&b"\x0b\x1c\r\n\x06\x15A"[..])],
        0..200,
    )) {
        fuzz_decode(&data);
    }

    #[test]
    fn any_bytes_have_ids_or_none(data in r"(MSH[|^][|\^~&A\r]{0,30})?(MSA[|^][A-Z|\r]{0,9})?.{0,9}") {
        fuzz_correlate(data.as_bytes());
    }
}
