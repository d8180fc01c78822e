//! How long it takes to find frames in bytes. `benches/link` sets another codec, an echo and ten
//! thousand idle connections beside.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hl7_corpus::orm_new;
use hl7_mllp::MllpCodec;

fn decode(stream: &[u8], piece: usize) -> usize {
    let (mut codec, mut source, mut frames) = (MllpCodec::new(), BytesMut::new(), 0);
    for piece in stream.chunks(piece) {
        source.extend_from_slice(piece);
        while let Ok(Some(frame)) = codec.decode(&mut source) {
            black_box(frame);
            frames += 1;
        }
    }
    frames
}

fn mllp(criterion: &mut Criterion) {
    let framed = |payload: &[u8]| [b"\x0b", payload, b"\x1c\r"].concat();
    let large = framed(&vec![b'A'; 8 << 20]);
    let small = framed(orm_new.bytes).repeat(1000);
    let mut group = criterion.benchmark_group("mllp");
    for (name, stream, piece) in [
        ("8_mib_frame_in_8_kib_reads", &large, 8192),
        ("1000_orders_in_64_kib_reads", &small, 65536),
        ("1000_orders_in_100_byte_reads", &small, 100),
    ] {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode(black_box(stream), piece));
        });
    }
    group.bench_function("encode_an_order", |bencher| {
        let (codec, mut room) = (MllpCodec::new(), BytesMut::new());
        bencher.iter(|| {
            room.clear();
            codec
                .encode_frame(black_box(orm_new.bytes), &mut room)
                .is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, mllp);
criterion_main!(benches);
