//! How often reading a message asks for memory: what no stop-watch can hold still.
//!
//! A binary of its own, and one test in it: the allocator counts for the whole process.
#![cfg(test)]
#![allow(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use hl7_message::{Index, Location, Message, loc};

struct Counting;
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call on to the system's allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `run` asks for memory. The harness runs on threads of its own: the least of a few.
fn allocations<T>(mut run: impl FnMut() -> T) -> usize {
    let count = |_| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        black_box(run());
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    (0..5).map(count).min().unwrap_or_default()
}

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
    loc!("MSH-10.1"),
];

/// A message of `count` segments.
fn segments(count: usize) -> Vec<u8> {
    let mut bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r".to_vec();
    for n in 1..count {
        bytes
            .extend_from_slice(format!("OBX|{n}|TX|CODE^Text||A line of text||||||F\r").as_bytes());
    }
    bytes
}

#[test]
fn reading_asks_for_no_memory() {
    let sixteen = segments(16);
    for bytes in [hl7_corpus::orm_new.bytes, &sixteen] {
        let parse = || Message::parse(black_box(bytes)).map(|m| m.segment_count());
        assert_eq!(allocations(parse), 0, "a parse");

        let twelve = || {
            let message = Message::parse(black_box(bytes)).unwrap();
            let leaves = TWELVE.iter().filter_map(|at| message.leaf(*at));
            leaves.map(|leaf| leaf.as_bytes().len()).sum::<usize>()
        };
        assert_eq!(allocations(twelve), 0, "a parse and twelve fields");

        let mut index = Index::new();
        index.of(&Message::parse(bytes).unwrap());
        let reused = || {
            let message = Message::parse(black_box(bytes)).unwrap();
            index
                .of(&message)
                .leaves()
                .map(|leaf| leaf.view.as_bytes().len())
                .sum::<usize>()
        };
        assert_eq!(
            allocations(reused),
            0,
            "a parse, an index used again, every leaf"
        );

        let views = || {
            let message = Message::parse(black_box(bytes)).unwrap();
            message
                .segments()
                .flat_map(|segment| segment.fields())
                .flat_map(|field| field.repetitions())
                .flat_map(|repetition| repetition.components())
                .flat_map(|component| component.subcomponents())
                .map(|leaf| leaf.unescape().len())
                .sum::<usize>()
        };
        assert_eq!(allocations(views), 0, "every leaf by the views, decoded");
    }

    // The count itself is no constant: what must ask for memory does.
    let many = segments(17);
    let spilled = allocations(|| Message::parse(black_box(&many)).map(|m| m.segment_count()));
    assert_eq!(spilled, 1, "a parse of seventeen segments");
    let message = Message::parse(hl7_corpus::orm_new.bytes).unwrap();
    let fresh = allocations(|| Index::new().of(&message).delimiter_count());
    assert_eq!(fresh, 1, "a fresh index of a short message");
}
