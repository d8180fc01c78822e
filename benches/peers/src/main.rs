//! Prints the tables of `BASELINE.md`: this crate's parser and its peers on the same inputs in one
//! run, and at the end each target beside what was measured.

mod measure;
mod tasks;

use std::hint::black_box;

use hl7_message::{ChunkKind, Index, Message, chunks};

use measure::{Cost, measure};

/// The ratios of one input for which there is a target.
struct Ratios {
    lazy: f64,
    lazy_floor: f64,
    fresh: f64,
    per_delimiter: f64,
    portable: f64,
    twelve: f64,
    twelve_v2: f64,
    walk: f64,
    full_floor: f64,
    allocations: [u64; 3],
}

fn table(name: &str, bytes: &[u8]) -> Ratios {
    let text = std::str::from_utf8(bytes).unwrap();
    println!("\n### {name}, {} bytes\n", bytes.len());
    println!("| what | time | ÷ hl7-parser | allocations |\n|---|---|---|---|");
    let row = |what: &str, cost: Cost, reference: Cost| {
        let (time, ratio) = (cost.time(), reference.nanos / cost.nanos);
        println!("| {what} | {time} | {ratio:.1}× | {} |", cost.allocations);
    };
    let peer = measure(|| {
        black_box(hl7_parser::Message::parse(black_box(text)).unwrap());
    });
    let their_walk = measure(|| {
        black_box(tasks::hl7_parser_walk(black_box(text)));
    });
    let mut places = vec![0; 1 << 16];
    let floor = measure(|| {
        black_box(tasks::sweep(black_box(bytes), black_box(&mut places)));
    });
    row("memchr sweep over CR (floor)", floor, peer);
    let lazy = measure(|| {
        black_box(Message::parse(black_box(bytes)).unwrap().segment_count());
    });
    let lazy_floor = lazy.nanos / floor.nanos;
    row(&format!("**hl7-message**, lazy parse ({lazy_floor:.2}× the floor)"), lazy, peer);
    let fresh = measure(|| {
        let message = Message::parse(black_box(bytes)).unwrap();
        black_box(Index::new().of(&message).delimiter_count());
    });
    row("parse and fresh index", fresh, peer);
    let portable = measure(|| {
        let message = Message::parse(black_box(bytes)).unwrap();
        black_box(Index::portable().of(&message).delimiter_count());
    });
    row("parse and fresh index, in plain integers (safe SWAR)", portable, peer);
    let mut index = Index::new();
    let reused = measure(|| {
        let message = Message::parse(black_box(bytes)).unwrap();
        black_box(index.of(&message).delimiter_count());
    });
    let message = Message::parse(bytes).unwrap();
    let delimiters = index.of(&message).delimiter_count();
    let index_alone = measure(|| {
        black_box(index.of(black_box(&message)).delimiter_count());
    });
    let per_delimiter = index_alone.nanos / delimiters as f64;
    let full_floor = reused.nanos / floor.nanos;
    row(
        &format!(
            "parse and reused index ({per_delimiter:.2} ns a delimiter, {full_floor:.2}× the floor)"
        ),
        reused,
        peer,
    );
    let v2_twelve = measure(|| {
        black_box(tasks::hl7_v2_twelve(black_box(bytes)));
    });
    let twelve = measure(|| {
        black_box(tasks::twelve(black_box(bytes)));
    });
    let twelve_v2 = v2_twelve.nanos / twelve.nanos;
    row(&format!("parse and 12 fields (hl7-v2 takes {twelve_v2:.1}× as long)"), twelve, peer);
    let walk = measure(|| {
        black_box(tasks::walk(black_box(bytes), &mut index));
    });
    row("parse, index, every leaf (÷ hl7-parser's walk)", walk, their_walk);
    let placed = measure(|| {
        black_box(tasks::walk_with_places(black_box(bytes), &mut index));
    });
    row("the same with the place of each (÷ hl7-parser's walk)", placed, their_walk);
    let views = measure(|| {
        black_box(tasks::views(black_box(bytes)));
    });
    row("parse, every leaf by the views (÷ hl7-parser's walk)", views, their_walk);
    let decoded = measure(|| {
        black_box(tasks::decoded(black_box(bytes), &mut index));
    });
    row("parse, index, every leaf as decoded text (÷ hl7-parser's walk)", decoded, their_walk);
    let diagnosed = measure(|| {
        black_box(Message::parse(black_box(bytes)).unwrap().diagnostics().len());
    });
    row("parse, and what is irregular in it", diagnosed, peer);
    let strict = measure(|| {
        let _ = black_box(Message::parse_strict(black_box(bytes)).is_ok());
    });
    row("strict parse", strict, peer);
    let checked = measure(|| {
        black_box(tasks::checked(black_box(bytes)));
    });
    row("parse, checked against the dictionary of 2.3", checked, peer);
    let edited = measure(|| {
        black_box(tasks::edited(black_box(bytes)));
    });
    row("parse, two fields set, written", edited, peer);

    row("hl7-parser 0.3, parse", peer, peer);
    row("hl7-parser 0.3, parse and every leaf", their_walk, peer);
    let cost = measure(|| {
        black_box(er7::parse(black_box(text)).is_ok());
    });
    row("er7 0.2, parse", cost, peer);
    let cost = measure(|| {
        let message = hl7_v2::Hl7Message::parse(black_box(bytes)).unwrap();
        black_box(message.all_segments().count());
    });
    row("hl7-v2 0.1, parse", cost, peer);
    row("hl7-v2 0.1, parse and 12 fields", v2_twelve, peer);
    let cost = measure(|| {
        black_box(hl7kit::Message::parse(black_box(text)).is_ok());
    });
    row("hl7kit 0.2, parse", cost, peer);
    let cost = measure(|| {
        black_box(rusthl7::message::Message::try_from(black_box(text)).is_ok());
    });
    row("rust-hl7 0.5, parse", cost, peer);

    let against = |cost: Cost| peer.nanos / cost.nanos;
    Ratios {
        lazy: against(lazy),
        lazy_floor,
        fresh: against(fresh),
        per_delimiter,
        portable: against(portable),
        twelve: against(twelve),
        twelve_v2,
        walk: their_walk.nanos / walk.nanos,
        full_floor,
        allocations: [lazy, twelve, reused].map(|cost| cost.allocations),
    }
}

/// Split, parsed and indexed, in GB/s: 10,000 messages in one buffer.
fn file() -> f64 {
    let mut buffer = Vec::new();
    for n in 0..10_000 {
        let case = hl7_corpus::CASES[n % 8];
        buffer.extend_from_slice(case.bytes);
    }
    let mut index = Index::new();
    let cost = measure(|| {
        let mut delimiters = 0;
        for chunk in chunks(black_box(&buffer)) {
            assert_eq!(chunk.kind, ChunkKind::Message);
            let message = Message::parse(chunk.bytes).unwrap();
            delimiters += index.of(&message).delimiter_count();
        }
        black_box(delimiters);
    });
    buffer.len() as f64 / cost.nanos
}

/// Parsed, indexed and walked, in milliseconds: 1 MiB of one delimiter.
fn one_delimiter() -> f64 {
    let mut delimiters = b"MSH|^~\\&|\rOBX|".to_vec();
    delimiters.resize(1 << 20, b'^');
    let cost = measure(|| {
        let message = Message::parse(black_box(&delimiters)).unwrap();
        black_box(Index::new().of(&message).leaves().count());
    });
    cost.nanos / 1e6
}

fn escapes() {
    println!("\n### Escape sequences, 1,000 bytes\n\n| what | time | allocations |\n|---|---|---|");
    let separators = hl7_message::Separators::DEFAULT;
    let plain = "No acute abnormality was found here. ".repeat(28)[..1000].to_owned();
    let full = "A & B | C ^ D ~ E \\ ".repeat(50);
    let escaped = hl7_message::escape::escape(full.as_bytes(), &separators).unwrap().into_owned();
    let print = |what: &str, cost: Cost| {
        println!("| {what} | {} | {} |", cost.time(), cost.allocations);
    };
    for (what, text) in [("text without delimiters", &plain), ("every fourth byte one", &full)] {
        let cost = measure(|| {
            let text = hl7_message::escape::escape(black_box(text.as_bytes()), &separators);
            black_box(text.unwrap().len());
        });
        print(&format!("escape, {what}"), cost);
    }
    for (what, text) in [("nothing escaped", plain.as_bytes()), ("250 sequences", &escaped)] {
        let cost = measure(|| {
            black_box(hl7_message::escape::unescape(black_box(text), &separators).len());
        });
        print(&format!("unescape, {what}"), cost);
    }
}

fn main() {
    let orm = table("ORM^O01", hl7_corpus::orm_new.bytes);
    let oru = table("ORU^R01 with 30 OBX", hl7_corpus::oru_30_obx.bytes);
    let mut big = hl7_corpus::oru_report.bytes.to_vec();
    let at = big.windows(4).position(|w| w == b"Tech").unwrap();
    let text = "No acute abnormality was found in this region. ".repeat((1 << 20) / 47);
    big.splice(at..at, text.bytes());
    let big = table("1 MB in OBX-5", &big);
    escapes();

    println!("\n### Targets\n\n| figure | target | measured | met |\n|---|---|---|---|");
    let line = |what: &str, target: String, measured: String, met: bool| {
        println!("| {what} | {target} | {measured} | {} |", if met { "yes" } else { "**no**" });
    };
    let least = |what: &str, min: f64, [orm, oru]: [f64; 2]| {
        let measured = format!("ORM {orm:.1}×, ORU {oru:.1}×");
        line(what, format!("≥ {min}×"), measured, orm.min(oru) >= min);
    };
    let most = |what: &str, max: f64, orm: f64, oru: f64, unit: &str| {
        let measured = format!("ORM {orm:.2}{unit}, ORU {oru:.2}{unit}");
        line(what, format!("≤ {max}{unit}"), measured, orm.max(oru) <= max);
    };
    least("lazy parse ÷ hl7-parser", 200.0, [orm.lazy, oru.lazy]);
    most("lazy parse against the CR sweep", 1.25, orm.lazy_floor, oru.lazy_floor, "×");
    least("full index, fresh, ÷ hl7-parser", 60.0, [orm.fresh, oru.fresh]);
    most("full index, reused, a delimiter", 1.5, orm.per_delimiter, oru.per_delimiter, " ns");
    least("full index, safe SWAR, ÷ hl7-parser", 50.0, [orm.portable, oru.portable]);
    least("parse and 12 fields ÷ hl7-parser", 40.0, [orm.twelve, oru.twelve]);
    least("parse and 12 fields ÷ hl7-v2", 6.0, [orm.twelve_v2, oru.twelve_v2]);
    least("every leaf ÷ hl7-parser", 80.0, [orm.walk, oru.walk]);
    for (what, max, measured) in [
        ("1 MB in OBX-5: lazy against the CR sweep", 1.2, big.lazy_floor),
        ("1 MB in OBX-5: full index against it", 3.0, big.full_floor),
    ] {
        line(what, format!("≤ {max}×"), format!("{measured:.2}×"), measured <= max);
    }
    let allocations = format!("{:?}", orm.allocations);
    line("allocations: parse, 12 fields, reused index", "0".into(), allocations, orm.allocations == [0; 3]);
    let rate = file();
    line("10,000 mixed messages: split, parse, index", "≥ 2.5 GB/s".into(), format!("{rate:.2} GB/s"), rate >= 2.5);
    let millis = one_delimiter();
    line("1 MiB of one delimiter: parse, index, every leaf", "≤ 20 ms".into(), format!("{millis:.2} ms"), millis <= 20.0);
}
