//! How long it takes to write a message as raw JSON, beside what others would have to do: serde
//! from the views of the message, and `serde_json` writing the same value from a tree of its own.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hl7_corpus::{orm_new, oru_30_obx};
use hl7_json::{Raw, append_raw, from_raw, to_raw};
use hl7_message::Message;
use serde_json::Value;

fn json(criterion: &mut Criterion) {
    for case in [orm_new, oru_30_obx] {
        let Ok(message) = Message::parse(case.bytes) else {
            continue;
        };
        let text = to_raw(&message);
        let tree: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut group = criterion.benchmark_group(format!("json/{}", case.name));
        group.throughput(Throughput::Bytes(case.bytes.len() as u64));
        let mut buffer = Vec::with_capacity(text.len() * 2);
        group.bench_function("hl7_to_raw", |bencher| {
            bencher.iter(|| {
                buffer.clear();
                if let Ok(message) = Message::parse(black_box(case.bytes)) {
                    append_raw(&message, &mut buffer);
                }
                buffer.len()
            });
        });
        group.bench_function("serde_of_the_views", |bencher| {
            bencher.iter(|| {
                buffer.clear();
                let written = serde_json::to_writer(&mut buffer, &Raw(black_box(&message)));
                (written.is_ok(), buffer.len())
            });
        });
        group.bench_function("serde_json_of_the_tree", |bencher| {
            bencher.iter(|| {
                buffer.clear();
                let written = serde_json::to_writer(&mut buffer, black_box(&tree));
                (written.is_ok(), buffer.len())
            });
        });
        group.bench_function("raw_to_hl7", |bencher| {
            bencher.iter(|| from_raw(black_box(&text)).map(|bytes| bytes.len()));
        });
        group.finish();
    }
}

criterion_group!(benches, json);
criterion_main!(benches);
