//! How long it takes to read a message, beside the floor: one memchr sweep that records where
//! each CR stands.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hl7_corpus::{orm_new, oru_30_obx};
use hl7_message::{Location, Message, loc};

const TWELVE: [Location; 12] = [
    loc!("OBR-2.1"),
    loc!("PID-3.1"),
    loc!("PID-5.1"),
    loc!("PID-8.1"),
    loc!("OBR-24.1"),
    loc!("OBR-21.1"),
    loc!("OBR-18.1"),
    loc!("OBR-36.1"),
    loc!("OBR-4.1"),
    loc!("OBR-4.2"),
    loc!("OBR-19.1"),
    loc!("OBR-15.1"),
];

/// The floor: the CR positions of a message, into an array.
fn sweep(bytes: &[u8], places: &mut [u32; 64]) -> usize {
    let mut count = 0;
    for at in memchr::memchr_iter(b'\r', bytes) {
        if let Some(slot) = places.get_mut(count) {
            *slot = u32::try_from(at).unwrap_or(u32::MAX);
        }
        count += 1;
    }
    count
}

fn parse(criterion: &mut Criterion) {
    for case in [orm_new, oru_30_obx] {
        let mut group = criterion.benchmark_group(case.name);
        group.throughput(Throughput::Bytes(case.bytes.len() as u64));
        group.bench_function("cr_sweep", |bencher| {
            let mut places = [0; 64];
            bencher.iter(|| sweep(black_box(case.bytes), black_box(&mut places)));
        });
        group.bench_function("lazy_parse", |bencher| {
            bencher.iter(|| Message::parse(black_box(case.bytes)).map(|m| m.segment_count()));
        });
        group.bench_function("parse_and_12_fields", |bencher| {
            bencher.iter(|| {
                let Ok(message) = Message::parse(black_box(case.bytes)) else {
                    return 0;
                };
                TWELVE
                    .iter()
                    .filter_map(|at| message.leaf(*at))
                    .map(|l| l.as_bytes().len())
                    .sum()
            });
        });
        group.bench_function("every_leaf", |bencher| {
            bencher.iter(|| {
                let Ok(message) = Message::parse(black_box(case.bytes)) else {
                    return 0;
                };
                message
                    .segments()
                    .flat_map(|segment| segment.fields())
                    .flat_map(|field| field.repetitions())
                    .flat_map(|repetition| repetition.components())
                    .flat_map(|component| component.subcomponents())
                    .map(|leaf| leaf.as_bytes().len())
                    .sum::<usize>()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
