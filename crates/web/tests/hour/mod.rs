//! Writes an hour of some processes in no time, with marks and spans: what tests of long recordings look at.

use std::path::Path;

use barograph_model::{EventRow, Events, Moment, Rows, Sink, SpanEdges};
use barograph_sources::{Cpu, Job, Memory, Own, Process, Processes};
use barograph_store::{Clock, Durability, End, Facts, Host, Options, Recording};

/// How much of it there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hour {
    /// Seconds, and readings.
    pub(crate) ticks: u64,
    /// Processes that are there all the time.
    pub(crate) processes: u64,
    /// Spans, one after the other, each with another in it.
    pub(crate) spans: u64,
}

/// UTC nanoseconds of the first reading.
pub(crate) const BEGIN: i64 = 1_795_166_400_000_000_000;

const BOOT: i64 = 5_000_000_000_000;

/// The same numbers each time, which no packer makes small.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

fn at(millis: u64) -> Moment {
    let nanos = millis.cast_signed() * 1_000_000;
    Moment { utc_nanos: BEGIN + nanos, monotonic_nanos: BOOT + nanos }
}

/// Writes it.
#[allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
pub(crate) fn write(path: &Path, Hour { ticks, processes, spans }: Hour) {
    let mut random = Random(7);
    let host = Host { name: "hour".to_owned(), cores: 8, memory_bytes: 32 << 30, page_size: 4096, ticks_per_second: 100, ..Host::default() };
    let clock = Clock { utc_nanos: BEGIN, monotonic_nanos: BOOT, zone: "UTC".to_owned() };
    let facts = Facts { host, clock, command: Some(vec!["python3".to_owned(), "train.py".to_owned()]), interval_seconds: 1.0, ..Facts::default() };
    let mut recording = Recording::create(path, facts, Options::default()).unwrap().unsynced();
    let mut used = vec![(0.0, 0.0, 0_u64, 0_u64); usize::try_from(processes).unwrap()];
    let mut identities = Rows::<Processes>::new();
    for pid in 1..=processes {
        let (name, start) = (format!("worker-{pid}"), 400_000 + pid);
        let mut row = identities.row(at(0));
        row.set(Processes::pid, pid).set(Processes::start_ticks, start).text(Processes::change, b"seen".as_slice());
        row.text(Processes::name, name.as_bytes()).text(Processes::command_line, name.as_bytes());
    }
    recording.take(&identities).unwrap();
    for tick in 0..ticks {
        let now = at(tick * 1000);
        let mut rows = Rows::<Process>::new();
        for (pid, used) in (1..).zip(&mut used) {
            used.0 += random.below(1000) as f64 / 1000.0;
            used.1 += random.below(100) as f64 / 1000.0;
            used.2 += random.below(5_000_000);
            used.3 += random.below(900_000);
            rows.row(now)
                .set(Process::pid, pid)
                .set(Process::start_ticks, 400_000 + pid)
                .set(Process::user, used.0)
                .set(Process::system, used.1)
                .set(Process::read, used.2)
                .set(Process::written, used.3)
                .set(Process::threads, 1 + random.below(9))
                .set(Process::open_files, random.below(60))
                .set(Process::run_delay, used.1 / 3.0)
                .set(Process::resident, (100 + random.below(90_000)) << 12);
        }
        recording.take(&rows).unwrap();
        let (user, system) = used.iter().fold((0.0, 0.0), |sum, used| (sum.0 + used.0, sum.1 + used.1));
        let mut job = Rows::<Job>::new();
        job.row(now).set(Job::processes, processes).set(Job::user, user).set(Job::system, system).set(Job::resident, random.below(9 << 30));
        recording.take(&job).unwrap();
        let mut cpu = Rows::<Cpu>::new();
        cpu.row(now).set(Cpu::cores_online, 8).set(Cpu::user, user).set(Cpu::system, system).set(Cpu::idle, tick as f64);
        recording.take(&cpu).unwrap();
        let mut memory = Rows::<Memory>::new();
        memory.row(now).set(Memory::total, 32 << 30).set(Memory::available, random.below(32 << 30)).set(Memory::free, random.below(1 << 30));
        recording.take(&memory).unwrap();
        let mut own = Rows::<Own>::new();
        own.row(now).set(Own::ticks, tick).set(Own::suspended, 0.0);
        recording.take(&own).unwrap();
    }
    let millis = ticks * 1000;
    let mut events = Rows::<Events>::new();
    for mark in 0..40 {
        let name = format!("checkpoint {mark}");
        events.add(EventRow { at: at(millis / 40 * mark), by: "program", name: Some(&name), ..EventRow::default() });
    }
    recording.take(&events).unwrap();
    let mut edges = Rows::<SpanEdges>::new();
    let mut edge = |millis: u64, what: &str, span: &str, parent: Option<&str>, name: &str| {
        edges
            .row(at(millis))
            .text(SpanEdges::edge, what.as_bytes())
            .text(SpanEdges::span, span.as_bytes())
            .text(SpanEdges::parent, parent.map(str::as_bytes))
            .text(SpanEdges::name, name.as_bytes())
            .text(SpanEdges::by, b"program".as_slice())
            .set(SpanEdges::pid, 1)
            .set(SpanEdges::thread, 1);
    };
    for span in 0..spans / 2 {
        let (outer, inner) = (format!("o{span}"), format!("i{span}"));
        let (from, to) = (millis / (spans / 2) * span, millis / (spans / 2) * (span + 1));
        edge(from, "begin", &outer, None, "epoch");
        edge(from + (to - from) / 4, "begin", &inner, Some(&outer), "batch");
        edge(from + (to - from) / 2, "end", &inner, None, "batch");
        edge(to, "end", &outer, None, "epoch");
    }
    recording.take(&edges).unwrap();
    let last = at(millis);
    let end = End { utc_nanos: last.utc_nanos, monotonic_nanos: last.monotonic_nanos, reason: "exited".to_owned(), ..End::default() };
    recording.finish(end, Durability::Crash).unwrap();
}
