//! How long it takes to find frames in bytes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hl7_corpus::orm_new;
use tokio_util::codec::Decoder;

/// How many frames come out of a stream that arrives in pieces.
fn decode<D: Decoder>(mut codec: D, stream: &[u8], piece: usize) -> usize {
    let (mut source, mut frames) = (BytesMut::new(), 0);
    for piece in stream.chunks(piece) {
        source.extend_from_slice(piece);
        while let Ok(Some(frame)) = codec.decode(&mut source) {
            black_box(frame);
            frames += 1;
        }
    }
    frames
}

/// The fastest of several runs, and how many frames came out.
fn fastest(mut run: impl FnMut() -> usize, at_most: Duration) -> (Duration, usize) {
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    loop {
        let start = Instant::now();
        let frames = run();
        best = best.min(start.elapsed());
        if begin.elapsed() > at_most {
            return (best, frames);
        }
    }
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [b"\x0b", payload, b"\x1c\r"].concat()
}

pub(crate) fn print() {
    println!("\n### Codec\n");
    println!("| stream | hl7-mllp | hl7-mllp-codec 0.4 | ÷ | bytes a second |");
    println!("|---|---|---|---|---|");
    let large = |megabytes: usize| framed(&vec![b'A'; megabytes << 20]);
    let small = framed(orm_new.bytes).repeat(2000);
    let cases = [
        ("one frame of 2 MiB in reads of 8 KiB", large(2), 8192, 1),
        ("one frame of 8 MiB in reads of 8 KiB", large(8), 8192, 1),
        (
            "2,000 orders of 633 bytes in reads of 64 KiB",
            small.clone(),
            65536,
            2000,
        ),
        (
            "2,000 orders of 633 bytes in reads of 100 bytes",
            small,
            100,
            2000,
        ),
    ];
    for (name, stream, piece, frames) in cases {
        let time = Duration::from_millis(500);
        let (ours, found) = fastest(|| decode(hl7_mllp::MllpCodec::new(), &stream, piece), time);
        assert_eq!(found, frames, "every frame comes out");
        let theirs = || decode(hl7_mllp_codec::MllpCodec::new(), &stream, piece);
        let (theirs, found) = fastest(theirs, time);
        let (ours, theirs) = (ours.as_secs_f64(), theirs.as_secs_f64());
        let lost = match frames - found {
            0 => String::new(),
            lost => format!(" (loses {lost} frames)"),
        };
        println!(
            "| {name} | {:.2} ms | {:.2} ms{lost} | {:.1}× | {:.2} GB/s |",
            ours * 1e3,
            theirs * 1e3,
            theirs / ours,
            stream.len() as f64 / ours / 1e9,
        );
    }
    println!("\nThe limit is 16 MiB; an 8 MiB frame in reads of 8 KiB is to take less than 20 ms.");
}
