//! Nothing grows with the run: not memory, not what a publish writes. `cargo run --release -p barograph-store --example day` is the long form.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(unsafe_code, reason = "an allocator that counts is unsafe by nature")]

mod day;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use barograph_model::Sink;
use barograph_store::{Options, Recording};
use day::Day;

struct Counting;

static IN_USE: AtomicI64 = AtomicI64::new(0);

// SAFETY: all is passed on to the system's allocator unchanged; the counter needs no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promises are the system allocator's demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        IN_USE.fetch_add(size as i64 - layout.size() as i64, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory in use after a tick, and the bytes written, over a thousand ticks.
fn thousand(day: &mut Day, recording: &mut Recording) -> (i64, u64) {
    let (mut most, before) = (0, recording.bytes_written());
    for tick in 1..=1000 {
        day.tick(recording);
        if tick % 10 == 0 {
            recording.publish().unwrap();
        }
        most = most.max(IN_USE.load(Relaxed));
    }
    (most, recording.bytes_written() - before)
}

#[test]
fn memory_and_what_a_publish_writes_do_not_grow_with_the_run() {
    // In memory where that can be had: this is no test of a disk.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut recording = Recording::create(folder.path().join("day.baro"), Day::facts(), Options::default()).unwrap();
    // Five born and five dead at each tick: 15,000 processes that nobody may remember.
    let mut day = Day::new(50, 5 * 60);
    let first = thousand(&mut day, &mut recording);
    let (second, third) = (thousand(&mut day, &mut recording), thousand(&mut day, &mut recording));
    assert_eq!(day.born(), 50 + 5 * 3000);
    let grown = |before: u64, after: u64| after as f64 / before as f64;
    let memory = grown(second.0.unsigned_abs(), third.0.unsigned_abs());
    assert!(memory < 1.1, "{first:?} {second:?} {third:?}");
    assert!(grown(second.1, third.1) < 1.25, "{first:?} {second:?} {third:?}");
    // All that waits, and what it takes to write it: far from what 15,000 processes would take.
    assert!(third.0 < 4 << 20, "{first:?} {second:?} {third:?}");
}
