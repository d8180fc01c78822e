//! How long it takes to read, change and write a message, beside the floor: one memchr sweep that
//! records where each CR stands.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use hl7_corpus::{orm_new, oru_30_obx};
use hl7_message::dictionary::{Checks, check};
use hl7_message::escape::{escape, unescape};
use hl7_message::{Charset, Edit, Index, Location, Message, Separators, loc};

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

/// Times `run` on a parsed message: with the parse, as a reader has it.
fn with_parse<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    bytes: &[u8],
    mut run: impl FnMut(&Message<'_>) -> T,
) {
    group.bench_function(name, |bencher| {
        bencher.iter(|| Message::parse(black_box(bytes)).map(|message| run(&message)));
    });
}

fn twelve(message: &Message<'_>) -> usize {
    let leaves = TWELVE.iter().filter_map(|at| message.leaf(*at));
    leaves.map(|leaf| leaf.as_bytes().len()).sum()
}

fn views(message: &Message<'_>) -> usize {
    message
        .segments()
        .flat_map(|segment| segment.fields())
        .flat_map(|field| field.repetitions())
        .flat_map(|repetition| repetition.components())
        .flat_map(|component| component.subcomponents())
        .map(|leaf| leaf.as_bytes().len())
        .sum()
}

fn edited(message: &Message<'_>) -> Option<usize> {
    let mut edit = Edit::new(message);
    edit.set(loc!("PID-5.1"), "O'NEIL & SONS").ok()?;
    edit.set(loc!("MSH-10"), "COPY-1").ok()?;
    Some(edit.apply().len())
}

fn read(criterion: &mut Criterion) {
    for case in [orm_new, oru_30_obx] {
        let bytes = case.bytes;
        let mut group = criterion.benchmark_group(case.name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("cr_sweep", |bencher| {
            let mut places = [0; 64];
            bencher.iter(|| sweep(black_box(bytes), black_box(&mut places)));
        });
        with_parse(&mut group, "lazy_parse", bytes, |message| {
            message.segment_count()
        });
        with_parse(&mut group, "parse_and_12_fields", bytes, twelve);
        with_parse(&mut group, "fresh_index", bytes, |message| {
            Index::new().of(message).delimiter_count()
        });
        with_parse(
            &mut group,
            "fresh_index_in_plain_integers",
            bytes,
            |message| Index::portable().of(message).delimiter_count(),
        );
        let mut index = Index::new();
        with_parse(&mut group, "reused_index", bytes, |message| {
            index.of(message).delimiter_count()
        });
        with_parse(&mut group, "every_leaf_by_index", bytes, |message| {
            let leaves = index.of(message).leaves();
            leaves.map(|leaf| leaf.view.as_bytes().len()).sum::<usize>()
        });
        with_parse(&mut group, "every_leaf_by_views", bytes, views);
        with_parse(&mut group, "every_leaf_decoded", bytes, |message| {
            let leaves = index.of(message).leaves();
            let texts = leaves.map(|leaf| leaf.view.text(Charset::UTF_8).map_or(0, |t| t.len()));
            texts.sum::<usize>()
        });
        with_parse(&mut group, "diagnostics", bytes, |message| {
            message.diagnostics().len()
        });
        with_parse(&mut group, "dictionary_check", bytes, |message| {
            check(message, Checks::default()).len()
        });
        with_parse(&mut group, "two_fields_set", bytes, edited);
        group.finish();
    }
}

fn escapes(criterion: &mut Criterion) {
    let plain = "No acute abnormality was found here. ".repeat(28);
    let full = "A & B | C ^ D ~ E \\ ".repeat(50);
    let separators = Separators::DEFAULT;
    for (name, text) in [
        ("escapes/plain_text", plain),
        ("escapes/every_fourth_byte", full),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        let Ok(escaped) = escape(text.as_bytes(), &separators) else {
            continue;
        };
        group.bench_function("escape", |bencher| {
            bencher.iter(|| escape(black_box(text.as_bytes()), &separators).map(|t| t.len()));
        });
        group.bench_function("unescape", |bencher| {
            bencher.iter(|| unescape(black_box(&escaped), &separators).len());
        });
        group.finish();
    }
}

criterion_group!(benches, read, escapes);
criterion_main!(benches);
