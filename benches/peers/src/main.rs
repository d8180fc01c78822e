//! Prints the table of `BASELINE.md`: this crate's parser and its peers on the same inputs in one
//! run. Every figure is the fastest of many batches, so that what else the machine does shows least.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hl7_message::{ChunkKind, Index, Location, Message, chunks, loc};

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call on to the system's allocator and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Nanoseconds of one call, and its allocations.
#[derive(Clone, Copy)]
struct Cost {
    nanos: f64,
    allocations: u64,
}

fn measure(mut run: impl FnMut()) -> Cost {
    run();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run();
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let mut batch = 1_u32;
    loop {
        let start = Instant::now();
        for _ in 0..batch {
            run();
        }
        if start.elapsed() > Duration::from_millis(2) || batch > 1 << 20 {
            break;
        }
        batch *= 2;
    }
    let end = Instant::now() + Duration::from_millis(400);
    let mut best = f64::MAX;
    while Instant::now() < end {
        let start = Instant::now();
        for _ in 0..batch {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(batch));
    }
    Cost { nanos: best, allocations }
}

const TWELVE: [Location; 12] = [
    loc!("OBR-2.1"), loc!("PID-3.1"), loc!("PID-5.1"), loc!("PID-8.1"), loc!("OBR-24.1"),
    loc!("OBR-21.1"), loc!("OBR-18.1"), loc!("OBR-36.1"), loc!("OBR-4.1"), loc!("OBR-4.2"),
    loc!("OBR-19.1"), loc!("OBR-15.1"),
];

fn sweep(bytes: &[u8], places: &mut [u32]) -> usize {
    let mut count = 0;
    for at in memchr::memchr_iter(b'\r', bytes) {
        if let Some(slot) = places.get_mut(count) {
            *slot = at as u32;
        }
        count += 1;
    }
    count
}

fn lazy_walk(bytes: &[u8]) -> usize {
    let message = Message::parse(bytes).unwrap();
    let leaves = message
        .segments()
        .flat_map(|s| s.fields())
        .flat_map(|f| f.repetitions())
        .flat_map(|r| r.components())
        .flat_map(|c| c.subcomponents());
    leaves.map(|leaf| leaf.as_bytes().len()).sum()
}

fn peer_walk(text: &str) -> usize {
    let message = hl7_parser::Message::parse(text).unwrap();
    let mut total = 0;
    for segment in message.segments() {
        for field in segment.fields() {
            for repeat in field.repeats() {
                for component in repeat.components() {
                    for subcomponent in component.subcomponents() {
                        total += subcomponent.raw_value().len();
                    }
                }
            }
        }
    }
    total
}

fn table(name: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    println!("\n### {name}, {} bytes\n", bytes.len());
    println!("| what | time | ÷ hl7-parser | allocations |\n|---|---|---|---|");
    let peer = measure(|| {
        black_box(hl7_parser::Message::parse(black_box(text)).unwrap());
    });
    let row = |what: &str, cost: Cost, reference: f64| {
        let time = if cost.nanos < 10_000.0 {
            format!("{:.0} ns", cost.nanos)
        } else {
            format!("{:.1} µs", cost.nanos / 1e3)
        };
        println!("| {what} | {time} | {:.1}× | {} |", reference / cost.nanos, cost.allocations);
    };
    let mut places = vec![0; 1 << 16];
    let floor = measure(|| {
        black_box(sweep(black_box(bytes), black_box(&mut places)));
    });
    let lazy = measure(|| {
        black_box(Message::parse(black_box(bytes)).unwrap().segment_count());
    });
    row("memchr sweep over CR (floor)", floor, peer.nanos);
    row(&format!("hl7-message, lazy parse ({:.2}× the floor)", lazy.nanos / floor.nanos), lazy, peer.nanos);
    let fresh = measure(|| {
        let message = Message::parse(black_box(bytes)).unwrap();
        black_box(Index::new().of(&message).delimiter_count());
    });
    row("hl7-message, parse and fresh index", fresh, peer.nanos);
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
    row(
        &format!(
            "hl7-message, parse and reused index ({:.2} ns a delimiter, {:.2}× the floor)",
            index_alone.nanos / delimiters as f64,
            reused.nanos / floor.nanos
        ),
        reused,
        peer.nanos,
    );
    let twelve = measure(|| {
        let message = Message::parse(black_box(bytes)).unwrap();
        let total: usize =
            TWELVE.iter().filter_map(|at| message.leaf(*at)).map(|l| l.as_bytes().len()).sum();
        black_box(total);
    });
    row("hl7-message, parse and 12 fields", twelve, peer.nanos);
    let walk = measure(|| {
        let message = Message::parse(black_box(bytes)).unwrap();
        let indexed = index.of(&message);
        black_box(indexed.leaves().map(|leaf| leaf.view.as_bytes().len()).sum::<usize>());
    });
    let their_walk = measure(|| {
        black_box(peer_walk(black_box(text)));
    });
    row("hl7-message, every leaf by the index (÷ hl7-parser's walk)", walk, their_walk.nanos);
    let lazily = measure(|| {
        black_box(lazy_walk(black_box(bytes)));
    });
    row("hl7-message, every leaf by the views (÷ hl7-parser's walk)", lazily, their_walk.nanos);
    row("hl7-parser 0.3, parse", peer, peer.nanos);
    row("hl7-parser 0.3, parse and every leaf", their_walk, peer.nanos);
    let er7_cost = measure(|| {
        black_box(er7::parse(black_box(text)).is_ok());
    });
    row("er7 0.2, parse", er7_cost, peer.nanos);
    let v2 = measure(|| {
        let message = hl7_v2::Hl7Message::parse(black_box(bytes)).unwrap();
        black_box(message.all_segments().count());
    });
    row("hl7-v2 0.1, parse", v2, peer.nanos);
    let v2_twelve = measure(|| {
        let message = hl7_v2::Hl7Message::parse(black_box(bytes)).unwrap();
        let mut total = 0;
        for at in TWELVE {
            let name = at.segment_id();
            let field = message.segment(name.as_str()).and_then(|s| {
                let field = s.field(usize::from(at.field_number()?))?;
                Some(field.component(usize::from(at.component_number()?))?.len())
            });
            total += field.unwrap_or(0);
        }
        black_box(total);
    });
    row("hl7-v2 0.1, parse and 12 fields", v2_twelve, peer.nanos);
    println!("\nparse and 12 fields: hl7-v2 takes {:.1}× as long as hl7-message", v2_twelve.nanos / twelve.nanos);
    println!("| what | time | ÷ hl7-parser | allocations |\n|---|---|---|---|");
    let kit = measure(|| {
        black_box(hl7kit::Message::parse(black_box(text)).is_ok());
    });
    row("hl7kit 0.2, parse", kit, peer.nanos);
    let rust_hl7 = measure(|| {
        black_box(rusthl7::message::Message::try_from(black_box(text)).is_ok());
    });
    row("rust-hl7 0.5, parse", rust_hl7, peer.nanos);
}

fn file() {
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
    let rate = buffer.len() as f64 / cost.nanos;
    println!("\n10,000 mixed messages, {:.1} MB: split, parse and index {rate:.2} GB/s", buffer.len() as f64 / 1e6);
}

fn main() {
    table("ORM^O01", hl7_corpus::orm_new.bytes);
    table("ORU^R01 with 30 OBX", hl7_corpus::oru_30_obx.bytes);
    let mut big = hl7_corpus::oru_report.bytes.to_vec();
    let at = big.windows(4).position(|w| w == b"Tech").unwrap();
    let text = "No acute abnormality was found in this region. ".repeat((1 << 20) / 47);
    big.splice(at..at, text.bytes());
    table("1 MB in OBX-5", &big);
    let mut delimiters = b"MSH|^~\\&|\rOBX|".to_vec();
    delimiters.resize(1 << 20, b'^');
    let cost = measure(|| {
        let message = Message::parse(black_box(&delimiters)).unwrap();
        black_box(Index::new().of(&message).leaves().count());
    });
    println!("\n1 MiB of one delimiter: parse, index and every leaf {:.2} ms", cost.nanos / 1e6);
    file();
}
