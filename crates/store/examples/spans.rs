//! Measures what half a million spans take to be read and told: an hour of a process with threads, sampled every second.
//! `cargo run --release -p barograph-store --example spans -- FOLDER [SPANS]`. A folder that is not there is made first, and then nothing is measured:
//! the first reading of a fresh process is what counts. Prints JSON; seconds are those of the processor, which a busy machine does not lengthen.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

mod own;

use std::path::Path;

use barograph_model::{Moment, Rows, Sink, SpanEdges};
use barograph_sources::{Job, Process, Processes};
use barograph_store::{Clock, End, Facts, Options, Recording, SpanQuery, Timeline};
use own::{cpu, status_kib};

/// Each of these is open all the time and has the shorter ones within it.
const THREADS: u64 = 8;
const SECONDS: u64 = 3600;
const NAMES: [&str; 5] = ["request", "parse", "query", "render", "answer"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().expect("a folder"));
    if folder.exists() {
        measure(folder);
    } else {
        make(folder, arguments.get(1).map_or(500_000, |text| text.parse().unwrap()));
    }
}

fn at(nanos: u64) -> Moment {
    Moment { utc_nanos: 1_700_000_000_000_000_000 + nanos.cast_signed(), monotonic_nanos: nanos.cast_signed() }
}

fn make(folder: &Path, spans: u64) {
    let facts = Facts { clock: Clock { utc_nanos: at(0).utc_nanos, ..Clock::default() }, ..Facts::default() };
    let mut recording = Recording::create(folder, facts, Options::default()).unwrap();
    let mut identities = Rows::<Processes>::new();
    identities.row(at(0)).set(Processes::pid, 50).set(Processes::start_ticks, 0).set(Processes::started, 0.0).set(Processes::parent_pid, 1);
    recording.take(&identities).unwrap();
    let step = SECONDS * 1_000_000_000 / spans.max(1);
    let mut number = 0;
    for second in 0..SECONDS {
        let mut samples = Rows::<Process>::new();
        let cpu = second as f64 * 0.9;
        samples
            .row(at(second * 1_000_000_000))
            .set(Process::pid, 50)
            .set(Process::start_ticks, 0)
            .set(Process::user, cpu)
            .set(Process::system, 0.0)
            .set(Process::children_user, 0.0)
            .set(Process::children_system, 0.0)
            .set(Process::resident, (100 + second % 60) << 20)
            .set(Process::read, second << 20);
        recording.take(&samples).unwrap();
        let mut job = Rows::<Job>::new();
        job.row(at(second * 1_000_000_000)).set(Job::user, cpu).set(Job::system, 0.0).set(Job::resident, 100 << 20);
        recording.take(&job).unwrap();
        let mut edges = Rows::<SpanEdges>::new();
        while number * step < (second + 1) * 1_000_000_000 && number < spans {
            span(&mut edges, number, step);
            number += 1;
        }
        recording.take(&edges).unwrap();
        if second % 10 == 9 {
            recording.publish().unwrap();
        }
    }
    let end =
        End { utc_nanos: at(SECONDS * 1_000_000_000).utc_nanos, monotonic_nanos: at(SECONDS * 1_000_000_000).monotonic_nanos, ..End::default() };
    let durability = recording.durability_of(&end);
    recording.finish(end, durability).unwrap();
}

fn span(edges: &mut Rows<SpanEdges>, number: u64, step: u64) {
    let thread = 50 + number % THREADS;
    // The first of each thread stays open, and has all the others within it.
    let is_outer = number < THREADS;
    let parent = (!is_outer).then(|| id(number % THREADS));
    let name = if is_outer { "worker" } else { NAMES[(number % 5) as usize] };
    for (edge, nanos, cpu) in [(b"begin".as_slice(), number * step, 0), (b"end", number * step + step * (THREADS - 1), step / 2)] {
        if is_outer && edge == b"end" {
            continue;
        }
        let clock = (number * step / 2 + cpu) as f64 / 1e9;
        let is_begin = edge == b"begin";
        edges
            .row(at(nanos))
            .text(SpanEdges::edge, edge)
            .text(SpanEdges::span, id(number).as_bytes())
            .text(SpanEdges::parent, parent.as_deref().filter(|_| is_begin).map(str::as_bytes))
            .text(SpanEdges::name, is_begin.then_some(name.as_bytes()))
            .text(SpanEdges::by, b"program".as_slice())
            .text(SpanEdges::status, (!is_begin).then_some(b"ok".as_slice()))
            .set(SpanEdges::pid, 50)
            .set(SpanEdges::thread, thread)
            .set(SpanEdges::thread_cpu, clock)
            .set(SpanEdges::process_cpu, clock * THREADS as f64)
            .set(SpanEdges::resident, (100 + number % 7) << 20);
    }
}

fn cpu_seconds() -> f64 {
    cpu().as_secs_f64()
}

fn id(number: u64) -> String {
    format!("{:016x}", (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn measure(folder: &Path) {
    let timeline = Timeline::open(folder).unwrap();
    let spans = timeline.spans(&SpanQuery::default()).unwrap();
    let read = cpu_seconds();
    let cpu: f64 = spans.iter().filter_map(|span| span.cost.thread_cpu_seconds).sum();
    let told = cpu_seconds();
    let (resident, highest) = (status_kib("VmRSS") >> 10, status_kib("VmHWM") >> 10);
    let rows: usize = spans.frames(65_536).map(|frame| frame.len()).sum();
    let columns = cpu_seconds();
    println!(
        r#"{{"spans": {}, "read_s": {:.3}, "costs_s": {:.3}, "columns_s": {:.3}, "resident_mib": {resident}, "peak_mib": {highest}, "peak_with_columns_mib": {}, "cpu_s": {cpu:.1}, "rows": {rows}, "edges_on_disk": {}}}"#,
        spans.len(),
        read,
        told - read,
        columns - told,
        status_kib("VmHWM") >> 10,
        timeline.table("span_edges").unwrap().bytes,
    );
}
