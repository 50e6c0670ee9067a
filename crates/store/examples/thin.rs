//! Measures the frame of a day: ten series of 86,400 rows, thinned to 1,000 buckets each, from opening the recording to the bytes that a browser would get.
//! `cargo run --release -p barograph-store --example thin -- FOLDER [ROUNDS]`. A folder that is not there is made first, and then nothing is
//! measured: the first reading of a fresh process is what counts. Prints JSON.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

use std::path::Path;
use std::time::Instant;

use barograph_model::{Bytes, Counter, Described, Gauge, Moment, Rows, Sink, table};
use barograph_store::{End, Facts, Options, Query, Recording, Timeline, thin};

table! {
    /// Ten series.
    Day = "day" in "nowhere" {
        /// A.
        a: Gauge<Bytes> = "a",
        /// B.
        b: Gauge<Bytes> = "b",
        /// C.
        c: Gauge<Bytes> = "c",
        /// D.
        d: Gauge<Bytes> = "d",
        /// E.
        e: Gauge<Bytes> = "e",
        /// F.
        f: Counter<Bytes> = "f",
        /// G.
        g: Counter<Bytes> = "g",
        /// H.
        h: Counter<Bytes> = "h",
        /// I.
        i: Counter<Bytes> = "i",
        /// J.
        j: Counter<Bytes> = "j",
    }
}

const TICKS: u64 = 86_400;
const BUCKETS: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().expect("a folder"));
    if folder.exists() {
        measure(folder, arguments.get(1).map_or(9, |text| text.parse().unwrap()));
    } else {
        make(folder);
    }
}

fn make(folder: &Path) {
    let mut recording = Recording::create(folder, Facts::default(), Options::default()).unwrap();
    let (mut random, mut values) = (1_u64, [1 << 40; 10]);
    for tick in 0..TICKS {
        let nanos = tick as i64 * 1_000_000_000;
        let at = Moment { utc_nanos: 1_700_000_000_000_000_000 + nanos, monotonic_nanos: nanos };
        let mut rows = Rows::<Day>::new();
        let mut row = rows.row(at);
        for (column, value) in values.iter_mut().enumerate() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Gauges wander, counters grow.
            *value += (random >> 40) & !4095;
            *value -= if column < 5 { 1 << 23 } else { 0 };
            row.set_int(column, *value);
        }
        recording.take(&rows).unwrap();
        if tick % 10 == 9 {
            recording.publish().unwrap();
        }
    }
    let end = End { monotonic_nanos: TICKS as i64 * 1_000_000_000, ..End::default() };
    let durability = recording.durability_of(&end);
    recording.finish(end, durability).unwrap();
}

fn measure(folder: &Path, rounds: usize) {
    let mut millis = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        bytes = frame(folder);
        millis.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let first = millis[0];
    millis.sort_by(f64::total_cmp);
    let rows = Timeline::open(folder).unwrap().table("day").unwrap().rows;
    println!(r#"{{"first_ms": {first:.3}, "ms": {:.3}, "bytes": {}, "rows": {rows}}}"#, millis[millis.len() / 2], bytes.len());
}

/// The series as a browser takes them: for each the smallest and the largest value of every bucket, as 32-bit floats.
fn frame(folder: &Path) -> Vec<u8> {
    let timeline = Timeline::open(folder).unwrap();
    let names: Vec<String> = Day::TABLE.metrics.iter().map(|metric| metric.column()).collect();
    let frame = timeline.frame("day", &Query::all().columns(names.iter().map(String::as_str))).unwrap();
    let times = frame.times();
    let (from, to) = (times[0], times[times.len() - 1]);
    let mut bytes = Vec::new();
    for name in &names {
        for bucket in thin(times, &frame.floats(name), from, to, BUCKETS) {
            bytes.extend([bucket.min, bucket.max].into_iter().flat_map(|value| (value as f32).to_le_bytes()));
        }
    }
    bytes
}
