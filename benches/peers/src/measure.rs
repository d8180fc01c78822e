//! Time and allocations of one call.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call on to the system's allocator and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
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
pub struct Cost {
    pub nanos: f64,
    pub allocations: u64,
}

impl Cost {
    /// For people: in nanoseconds, or microseconds from ten of them on.
    pub fn time(self) -> String {
        if self.nanos < 10_000.0 {
            format!("{:.0} ns", self.nanos)
        } else {
            format!("{:.1} µs", self.nanos / 1e3)
        }
    }
}

/// The fastest of many batches: what else the machine does shows least.
pub fn measure(mut run: impl FnMut()) -> Cost {
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
        if start.elapsed() > Duration::from_micros(500) || batch > 1 << 20 {
            break;
        }
        batch *= 2;
    }
    let end = Instant::now() + Duration::from_millis(400);
    let mut nanos = f64::MAX;
    while Instant::now() < end {
        let start = Instant::now();
        for _ in 0..batch {
            run();
        }
        nanos = nanos.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(batch));
    }
    Cost { nanos, allocations }
}
