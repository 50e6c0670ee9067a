//! Spans of stories whose costs are known, and of stories that are anything.

use std::path::{Path, PathBuf};

use barograph_model::{Batch, Moment, Rows, Sink, SpanEdges};
use barograph_sources::{Job, Process, Processes};
use proptest::prelude::*;

use super::*;
use crate::Query;
use crate::{Clock, Durability, End, Facts, FieldInfo, Options, Process as Named, Recording};

const MIB: u64 = 1 << 20;
/// The clock since boot when the recording begins.
const BOOT: i64 = 5_000_000_000_000;
const UTC: i64 = 1_795_166_400_000_000_000;

fn at(millis: i64) -> Moment {
    Moment { utc_nanos: UTC + millis * 1_000_000, monotonic_nanos: BOOT + millis * 1_000_000 }
}

/// A tick of the clock at which a process began.
fn start(millis: i64) -> u64 {
    ((BOOT + millis * 1_000_000) / 10_000_000).unsigned_abs()
}

/// What a sender read: thread CPU, process CPU, RAM, bytes read and written, faults.
type Read = Option<(f64, f64, u64, u64, u64, u64, u64)>;

#[derive(Default)]
struct Story {
    edges: Rows<SpanEdges>,
    process: Rows<Process>,
    processes: Rows<Processes>,
    job: Rows<Job>,
    root: Option<Named>,
    end: Option<i64>,
    selection: &'static str,
}

#[derive(Clone, Copy, Default)]
struct Who(u64, u64);

impl Story {
    fn begin(&mut self, millis: i64, id: &str, parent: Option<&str>, Who(pid, thread): Who, read: Read) -> &mut Story {
        let mut row = self.edges.row(at(millis));
        row.text(SpanEdges::edge, b"begin".as_slice())
            .text(SpanEdges::span, id.as_bytes())
            .text(SpanEdges::parent, parent.map(str::as_bytes))
            .text(SpanEdges::name, id.trim_end_matches(char::is_numeric).as_bytes())
            .text(SpanEdges::by, b"program".as_slice())
            .set(SpanEdges::pid, pid)
            .set(SpanEdges::thread, thread);
        fill(&mut row, read);
        self
    }

    fn end(&mut self, millis: i64, id: &str, error: Option<&str>, Who(pid, thread): Who, read: Read) -> &mut Story {
        let mut row = self.edges.row(at(millis));
        row.text(SpanEdges::edge, b"end".as_slice())
            .text(SpanEdges::span, id.as_bytes())
            .text(SpanEdges::status, if error.is_some() { b"error" } else { b"ok".as_slice() })
            .text(SpanEdges::detail, error.map(str::as_bytes))
            .set(SpanEdges::pid, pid)
            .set(SpanEdges::thread, thread);
        fill(&mut row, read);
        self
    }

    fn sample(&mut self, millis: i64, (pid, started): (u64, i64), cpu: f64, children: f64, resident: u64) -> &mut Story {
        self.process
            .row(at(millis))
            .set(Process::pid, pid)
            .set(Process::start_ticks, start(started))
            .set(Process::user, cpu * 0.75)
            .set(Process::system, cpu * 0.25)
            .set(Process::children_user, children)
            .set(Process::children_system, 0.0)
            .set(Process::resident, resident)
            .set(Process::read, (cpu * 1000.0) as u64)
            .set(Process::written, 0)
            .set(Process::minor_faults, (cpu * 10.0) as u64)
            .set(Process::major_faults, 0);
        self
    }

    fn identity(&mut self, millis: i64, (pid, started): (u64, i64), parent: u64, change: &str, used: Option<f64>) -> &mut Story {
        self.processes
            .row(at(millis))
            .set(Processes::pid, pid)
            .set(Processes::start_ticks, start(started))
            .set(Processes::parent_pid, parent)
            .text(Processes::change, change.as_bytes())
            .set(Processes::started, start(started) as f64 / 100.0)
            .set(Processes::user_time, used)
            .set(Processes::system_time, used.map(|_| 0.0));
        self
    }

    fn job(&mut self, millis: i64, cpu: f64, resident: u64) -> &mut Story {
        self.job.row(at(millis)).set(Job::user, cpu).set(Job::system, 0.0).set(Job::resident, resident);
        self
    }

    /// A process that is there from before the recording on, read every second, and uses half a core.
    fn steady(&mut self, pid: u64, seconds: i64) -> &mut Story {
        self.identity(0, (pid, -100_000), 1, "seen", None);
        for second in 0..=seconds {
            self.sample(second * 1000, (pid, -100_000), 7.0 + second as f64 / 2.0, 0.0, (100 + second.unsigned_abs()) * MIB);
        }
        self
    }

    fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("run.baro");
        let facts = Facts {
            clock: Clock { utc_nanos: at(0).utc_nanos, monotonic_nanos: at(0).monotonic_nanos, ..Clock::default() },
            root: self.root,
            processes: crate::Processes { selection: self.selection.to_owned(), ..crate::Processes::default() },
            ..Facts::default()
        };
        let mut recording = Recording::create(&path, facts, Options::default()).unwrap();
        for batch in [&*self.edges, &self.process, &self.processes, &self.job] as [&Batch; 4] {
            recording.take(batch).unwrap();
        }
        recording.publish().unwrap();
        if let Some(millis) = self.end {
            let end = End { utc_nanos: at(millis).utc_nanos, monotonic_nanos: at(millis).monotonic_nanos, ..End::default() };
            recording.finish(end, Durability::Crash).unwrap();
        }
        path
    }

    fn told<T>(&self, look: impl FnOnce(&Spans) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = self.write(folder.path());
        look(&Timeline::open(path).unwrap().spans(&SpanQuery::default()).unwrap())
    }

    /// The cost of a span by its id.
    fn cost(&self, id: &str) -> Cost {
        self.told(|spans| spans.iter().find(|span| span.id == id).unwrap().cost)
    }
}

fn fill(row: &mut barograph_model::Row<'_, SpanEdges>, read: Read) {
    if let Some((thread_cpu, process_cpu, resident, read, written, minor, major)) = read {
        row.set(SpanEdges::thread_cpu, thread_cpu)
            .set(SpanEdges::process_cpu, process_cpu)
            .set(SpanEdges::resident, resident)
            .set(SpanEdges::read, read)
            .set(SpanEdges::written, written)
            .set(SpanEdges::minor_faults, minor)
            .set(SpanEdges::major_faults, major);
    }
}

const MAIN: Who = Who(50, 50);

#[test]
fn what_the_sender_read_at_both_edges_is_exact() {
    let mut story = Story::default();
    story.steady(50, 4);
    story.begin(500, "load", None, MAIN, Some((1.0, 10.0, 10 * MIB, 1000, 500, 7, 1)));
    story.end(2500, "load", None, MAIN, Some((1.5, 13.0, 30 * MIB, 1500, 600, 9, 1)));
    let cost = story.cost("load");
    let expected = Cost {
        self_wall_seconds: Some(2.0),
        thread_cpu_seconds: Some(0.5),
        self_cpu_seconds: Some(0.5),
        cpu_seconds: Some(3.0),
        cpu_how: Some(How::Exact),
        mean_cores: Some(1.5),
        tree: Some("process"),
        tree_cpu_seconds: Some(1.0),
        tree_peak_resident_bytes: Some((102 * MIB) as f64),
        begin_resident_bytes: Some((10 * MIB) as f64),
        end_resident_bytes: Some((30 * MIB) as f64),
        resident_how: Some(How::Exact),
        peak_resident_bytes: Some((102 * MIB) as f64),
        read_bytes: Some(500.0),
        written_bytes: Some(100.0),
        bytes_how: Some(How::Exact),
        minor_faults: Some(2.0),
        major_faults: Some(0.0),
        faults_how: Some(How::Exact),
    };
    assert_eq!(cost, expected);
}

#[test]
fn what_the_sender_did_not_read_comes_from_the_samples_around_its_edges() {
    let mut story = Story::default();
    story.steady(50, 4).begin(500, "load", None, MAIN, None).end(2600, "load", Some("no file"), MAIN, None);
    let cost = story.cost("load");
    let near = |value: Option<f64>, expected: f64| assert!(value.is_some_and(|value| (value - expected).abs() < 1e-6), "{value:?} is not {expected}");
    near(cost.cpu_seconds, 1.05);
    near(cost.mean_cores, 0.5);
    near(cost.tree_cpu_seconds, 1.05);
    near(cost.read_bytes, 1050.0);
    near(cost.written_bytes, 0.0);
    near(cost.minor_faults, 10.5);
    assert_eq!([cost.cpu_how, cost.bytes_how, cost.faults_how, cost.resident_how], [Some(How::Sampled); 4]);
    assert_eq!(cost.begin_resident_bytes, Some((100 * MIB) as f64), "that of the nearest sample");
    assert_eq!((cost.end_resident_bytes, cost.peak_resident_bytes), (Some((103 * MIB) as f64), Some((103 * MIB) as f64)));
    assert_eq!(cost.thread_cpu_seconds, None, "no sample tells of a thread");
    story.told(|spans| {
        let span = spans.get(0);
        assert_eq!((span.status, span.detail, span.wall_seconds()), (Status::Error, Some("no file"), Some(2.1)));
    });
}

#[test]
fn missing_beats_wrong() {
    let mut story = Story::default();
    // Nobody saw process 60; 50 was last read at second 4, and 70 was not read from second 1 to 9.
    story.steady(50, 4).identity(0, (70, -100_000), 1, "seen", None);
    story.sample(0, (70, -100_000), 1.0, 0.0, MIB).sample(1000, (70, -100_000), 1.5, 0.0, MIB);
    story.sample(9000, (70, -100_000), 2.0, 0.0, MIB).sample(10_000, (70, -100_000), 2.5, 0.0, MIB);
    for (id, from, to, pid) in [("unseen", 500, 2500, 60), ("between", 1200, 1700, 50), ("late", 2500, 4500, 50), ("gap", 500, 5000, 70)] {
        story.begin(from, id, None, Who(pid, pid), None).end(to, id, None, Who(pid, pid), None);
    }
    for id in ["unseen", "between", "late", "gap"] {
        let cost = story.cost(id);
        let counters = [cost.thread_cpu_seconds, cost.cpu_seconds, cost.tree_cpu_seconds, cost.read_bytes, cost.minor_faults, cost.mean_cores];
        assert_eq!(counters, [None; 6], "{id}");
        assert_eq!([cost.cpu_how, cost.bytes_how, cost.faults_how], [None; 3], "{id}");
    }
    assert_eq!(story.cost("unseen").peak_resident_bytes, None);
    assert_eq!(story.cost("gap").end_resident_bytes, None, "the nearest sample is too far");
    assert!(story.cost("between").begin_resident_bytes.is_some());
}

#[test]
fn a_span_may_begin_before_its_process_was_first_read() {
    let mut story = Story::default();
    story.identity(300, (50, 100), 1, "seen", None);
    story.sample(300, (50, 100), 0.2, 0.0, MIB).sample(500, (50, 100), 0.4, 0.0, MIB);
    story.begin(150, "load", None, MAIN, None).end(400, "load", None, MAIN, None);
    let cost = story.cost("load");
    assert!((cost.cpu_seconds.unwrap() - 0.25).abs() < 1e-9, "{cost:?}: it had used nothing at its birth");
    assert!((cost.tree_cpu_seconds.unwrap() - 0.25).abs() < 1e-9);
}

#[test]
fn a_process_that_has_ended_and_was_not_collected_has_no_memory_to_tell_of() {
    let mut story = Story::default();
    story.identity(0, (50, -100_000), 1, "seen", None).identity(3000, (50, -100_000), 1, "gone", None);
    story.sample(0, (50, -100_000), 1.0, 0.0, 9 * MIB).sample(1000, (50, -100_000), 1.5, 0.0, 8 * MIB).sample(2000, (50, -100_000), 1.5, 0.0, 0);
    let cost = story.begin(100, "killed", None, MAIN, None).cost("killed");
    assert_eq!((cost.begin_resident_bytes, cost.end_resident_bytes), (Some((9 * MIB) as f64), Some((8 * MIB) as f64)));
}

#[test]
fn who_starts_a_process_may_say_its_span_a_moment_before() {
    let mut story = Story::default();
    story.identity(300, (50, 100), 1, "seen", None);
    story.sample(300, (50, 100), 0.2, 0.0, MIB).sample(500, (50, 100), 0.4, 0.0, MIB);
    story.begin(60, "command", None, MAIN, None).end(400, "command", None, MAIN, None);
    assert!((story.cost("command").cpu_seconds.unwrap() - 0.3).abs() < 1e-9);
}

#[test]
fn an_open_span_lasts_until_its_process_or_the_recording_ended() {
    let mut story = Story::default();
    story.steady(50, 4).identity(0, (60, -100), 50, "seen", None).identity(2200, (60, -100), 50, "gone", None);
    for second in 0..3 {
        story.sample(second * 1000, (60, -100), second as f64, 0.0, MIB);
    }
    story.begin(500, "whole", None, MAIN, None).begin(500, "killed", Some("whole"), Who(60, 60), None).begin(700, "nobody", None, Who(99, 99), None);
    story.end = Some(4500);
    story.told(|spans| {
        let [whole, killed, nobody] = [0, 1, 2].map(|place| spans.get(place));
        assert_eq!([whole.status, killed.status, nobody.status], [Status::Open; 3]);
        assert_eq!([whole.wall_seconds(), killed.wall_seconds(), nobody.wall_seconds()], [Some(4.0), Some(1.7), None]);
        assert_eq!(killed.end, Some(at(2200)));
        assert!(nobody.note.is_some_and(|note| note.contains("never seen")));
        assert_eq!(whole.cost.cpu_seconds, Some(1.75), "up to the last sample");
        assert_eq!(whole.cost.mean_cores, Some(0.5));
        assert_eq!((killed.cost.cpu_seconds, killed.depth), (Some(1.5), 1));
    });
    story.end = None;
    story.told(|spans| assert_eq!(spans.get(0).wall_seconds(), Some(3.5), "as long as the recording goes"));
}

#[test]
fn ends_find_their_begins_or_are_refused() {
    let mut story = Story::default();
    story.end(100, "early", Some("odd"), MAIN, None).begin(200, "early", None, MAIN, None);
    story.begin(300, "twice", None, MAIN, None).end(400, "twice", None, MAIN, None).end(900, "twice", Some("no"), MAIN, None);
    story.begin(300, "again", None, MAIN, None).begin(350, "again", None, MAIN, None).end(500, "again", None, MAIN, None);
    story.begin(600, "used", None, MAIN, None).end(700, "used", None, MAIN, None);
    story.begin(800, "used", None, MAIN, None).end(850, "used", None, MAIN, None);
    story.end(900, "never", None, MAIN, None);
    story.told(|spans| {
        let said: Vec<_> = spans.iter().map(|span| (span.id, span.status, span.wall_seconds(), span.note.is_some())).collect();
        let expected = [
            ("early", Status::Error, None, true),
            ("twice", Status::Ok, Some(0.1), false),
            ("again", Status::Ok, Some(0.2), true),
            ("used", Status::Ok, Some(0.1), false),
            ("used", Status::Ok, Some(0.05), false),
        ];
        assert_eq!(said, expected);
        assert_eq!(spans.get(0).cost, Cost::default());
    });
}

#[test]
fn counters_that_fall_are_refused_as_a_group() {
    let mut story = Story::default();
    story.steady(50, 4);
    story.begin(500, "odd", None, MAIN, Some((1.0, 10.0, MIB, 1000, 500, 7, 1)));
    story.end(2500, "odd", None, MAIN, Some((0.5, 9.0, MIB, 900, 600, 9, 1)));
    let cost = story.cost("odd");
    assert_eq!([cost.thread_cpu_seconds, cost.self_cpu_seconds, cost.cpu_seconds, cost.read_bytes, cost.written_bytes], [None; 5]);
    assert_eq!((cost.minor_faults, cost.faults_how), (Some(2.0), Some(How::Exact)));
    story.told(|spans| assert!(spans.get(0).note.is_some_and(|note| note.contains("fell"))));
}

#[test]
fn a_span_of_two_threads_or_processes_has_no_more_than_is_known() {
    let mut story = Story::default();
    story.steady(50, 4).steady(60, 4);
    let (begin, end) = (Some((1.0, 10.0, MIB, 0, 0, 0, 0)), Some((2.0, 12.0, MIB, 0, 0, 0, 0)));
    story.begin(500, "moved", None, MAIN, begin).end(2500, "moved", None, Who(50, 51), end);
    story.begin(500, "passed", None, MAIN, begin).end(2500, "passed", None, Who(60, 60), end);
    let (moved, passed) = (story.cost("moved"), story.cost("passed"));
    assert_eq!((moved.thread_cpu_seconds, moved.cpu_seconds, moved.cpu_how), (None, Some(2.0), Some(How::Exact)));
    assert_eq!((passed.thread_cpu_seconds, passed.cpu_seconds, passed.cpu_how), (None, Some(1.0), Some(How::Sampled)), "its own process's samples");
    assert_eq!(passed.resident_how, Some(How::Sampled));
    story.told(|spans| assert_eq!((spans.get(0).end_thread, spans.get(1).end_pid), (Some(51), Some(60))));
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut story = Story::default();
    for (started, gone) in [(0_i64, 1000_i64), (2000, 4000)] {
        story.identity(started, (50, started), 1, "seen", None).identity(gone, (50, started), 1, "gone", None);
        for tick in 0..=(gone - started) / 500 {
            story.sample(started + tick * 500 + 10, (50, started), tick as f64 * 0.1, 0.0, MIB);
        }
    }
    story.begin(100, "first", None, MAIN, Some((0.0, 0.5, MIB, 0, 0, 0, 0))).begin(2100, "second", None, MAIN, None);
    story.end(3000, "first", None, MAIN, Some((1.0, 0.9, MIB, 0, 0, 0, 0)));
    story.told(|spans| {
        assert_eq!((spans.get(0).start_ticks, spans.get(1).start_ticks), (Some(start(0).cast_signed()), Some(start(2000).cast_signed())));
        assert_eq!(spans.get(0).cost.thread_cpu_seconds, None, "its end came from another process");
        assert_eq!(spans.get(1).wall_seconds(), Some(1.9));
    });
}

#[test]
fn self_time_is_what_children_on_the_same_thread_leave() {
    let mut story = Story::default();
    let read = |cpu: f64| Some((cpu, cpu, MIB, 0, 0, 0, 0));
    story.begin(0, "outer", None, MAIN, read(0.0));
    story.begin(100, "inner1", Some("outer"), MAIN, read(0.1)).begin(150, "deep", Some("inner1"), MAIN, read(0.12));
    story.begin(160, "other", Some("outer"), Who(50, 51), None);
    story.end(200, "deep", None, MAIN, read(0.17)).end(300, "inner1", None, MAIN, read(0.25));
    story.begin(400, "inner2", Some("outer"), MAIN, read(0.3)).end(600, "inner2", None, MAIN, read(0.35));
    story.end(900, "other", None, Who(50, 51), None).end(1000, "outer", None, MAIN, read(0.8));
    let near = |value: Option<f64>, expected: f64| assert!(value.is_some_and(|value| (value - expected).abs() < 1e-9), "{value:?} is not {expected}");
    near(story.cost("outer").self_wall_seconds, 0.6);
    near(story.cost("outer").self_cpu_seconds, 0.6);
    near(story.cost("inner1").self_wall_seconds, 0.15);
    near(story.cost("inner1").self_cpu_seconds, 0.1);
    story.told(|spans| {
        assert_eq!(spans.iter().map(|span| span.depth).collect::<Vec<_>>(), [0, 1, 2, 1, 1]);
        assert_eq!(spans.get(2).parent, Some("inner1"));
    });
}

#[test]
fn children_that_overlap_are_covered_once_and_their_cpu_is_not_told_apart() {
    let mut story = Story::default();
    let read = |cpu: f64| Some((cpu, cpu, MIB, 0, 0, 0, 0));
    story.begin(0, "gather", None, MAIN, read(0.0));
    story.begin(100, "task1", Some("gather"), MAIN, read(0.0)).begin(200, "task2", Some("gather"), MAIN, read(0.0));
    story.end(500, "task1", None, MAIN, read(0.4)).end(700, "task2", None, MAIN, read(0.5));
    story.end(1000, "gather", None, MAIN, read(0.6));
    let cost = story.cost("gather");
    assert_eq!((cost.self_wall_seconds, cost.self_cpu_seconds, cost.thread_cpu_seconds), (Some(0.4), None, Some(0.6)));
}

#[test]
fn a_tree_counts_what_children_used_once() {
    let mut story = Story::default();
    // The child lives from 1.2 to 3.5 s and uses a core; its parent has collected all 2.3 s of it by second 4, and those of one that nobody saw.
    story.identity(0, (50, -100_000), 1, "seen", None).identity(2000, (51, 1200), 50, "seen", None).identity(4000, (51, 1200), 50, "gone", None);
    for second in 0..=6 {
        let collected = if second < 4 { 0.0 } else { 2.3 + 0.7 };
        story.sample(second * 1000, (50, -100_000), 9.0 + 0.1 * second as f64, collected, 10 * MIB);
        if (2..4).contains(&second) {
            story.sample(second * 1000, (51, 1200), second as f64 - 1.2, 0.0, 100 * MIB);
        }
    }
    story.begin(500, "workers", None, MAIN, None).end(5500, "workers", None, MAIN, None);
    story.begin(1000, "half", None, MAIN, None).end(3000, "half", None, MAIN, None);
    let (all, half) = (story.cost("workers"), story.cost("half"));
    assert!((all.tree_cpu_seconds.unwrap() - (0.5 + 2.3 + 0.7)).abs() < 1e-9, "{all:?}");
    assert!((half.tree_cpu_seconds.unwrap() - (0.2 + 1.8)).abs() < 1e-9, "{half:?}");
    assert!((all.cpu_seconds.unwrap() - 0.5).abs() < 1e-9);
    assert_eq!((all.tree, all.tree_peak_resident_bytes), (Some("process"), Some((110 * MIB) as f64)));
}

#[test]
fn a_tree_loses_nothing_to_whom_nobody_collects() {
    let mut story = Story::default();
    story.identity(0, (50, -100_000), 1, "seen", None).identity(1000, (51, 500), 50, "seen", None).identity(3000, (51, 500), 50, "gone", None);
    for second in 0..=4 {
        story.sample(second * 1000, (50, -100_000), 9.0, 0.0, MIB);
        if (1..3).contains(&second) {
            story.sample(second * 1000, (51, 500), second as f64 - 0.5, 0.0, MIB);
        }
    }
    story.begin(0, "orphans", None, MAIN, None).end(4000, "orphans", None, MAIN, None);
    assert_eq!(story.cost("orphans").tree_cpu_seconds, Some(1.5));
}

#[test]
fn the_tree_of_the_root_is_the_job() {
    let mut story = Story::default();
    story.steady(50, 4);
    story.root = Some(Named { pid: 50, start_ticks: start(-100_000) });
    for second in 0..=4 {
        story.job(second * 1000, second as f64 * 2.0, second.unsigned_abs() * MIB);
    }
    story.begin(1000, "root", None, MAIN, None).end(3000, "root", None, MAIN, None);
    story.begin(1000, "stranger", None, Who(99, 99), None).end(3000, "stranger", None, Who(98, 98), None);
    for id in ["root", "stranger"] {
        let cost = story.cost(id);
        assert_eq!((cost.tree, cost.tree_cpu_seconds, cost.tree_peak_resident_bytes), (Some("job"), Some(4.0), Some((3 * MIB) as f64)), "{id}");
    }
    story.selection = "top:3";
    assert_eq!(story.cost("root").tree_cpu_seconds, Some(4.0));
    story.root = None;
    assert_eq!(story.cost("root").tree, None, "not all of its descendants have rows");
}

#[test]
fn the_last_that_wait_told_counts() {
    let mut story = Story::default();
    story.identity(100, (50, 0), 1, "seen", None).identity(1900, (50, 0), 1, "exited", Some(1.85));
    story.sample(100, (50, 0), 0.1, 0.0, MIB).sample(1000, (50, 0), 1.0, 0.0, MIB);
    story.begin(0, "all", None, MAIN, None).end(1900, "all", None, MAIN, None);
    let cost = story.cost("all");
    assert_eq!((cost.cpu_seconds, cost.tree_cpu_seconds, cost.read_bytes), (Some(1.85), Some(1.85), None));
}

#[test]
fn spans_are_asked_for_by_time_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut story = Story::default();
    story.steady(50, 10);
    for number in 0..10 {
        story.begin(number * 1000, &format!("step{number}"), None, MAIN, None);
        story.end(number * 1000 + 500, &format!("step{number}"), None, MAIN, None);
    }
    story.begin(10_000, "last", None, MAIN, None);
    let timeline = Timeline::open(story.write(folder.path())).unwrap();
    let asked = |from: Option<i64>, to: Option<i64>, name: Option<&str>| {
        let query =
            SpanQuery { from: from.map(|millis| at(millis).utc_nanos), to: to.map(|millis| at(millis).utc_nanos), name: name.map(str::to_owned) };
        timeline.spans(&query).unwrap().iter().map(|span| span.id.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(asked(Some(2400), Some(4000), None), ["step2", "step3", "step4"]);
    assert_eq!(asked(Some(8600), None, Some("step")), ["step9"]);
    assert_eq!(asked(None, Some(999), None), ["step0"]);
    assert_eq!(asked(None, None, Some("weather")), Vec::<String>::new());
    let spans = timeline.spans(&SpanQuery::default()).unwrap();
    let frame = spans.frame();
    assert_eq!(frame.texts("span"), spans.iter().map(|span| Some(span.id)).collect::<Vec<_>>());
    let pieces: Vec<Frame> = spans.frames(4).collect();
    assert_eq!(pieces.iter().map(Frame::len).collect::<Vec<_>>(), [4, 4, 3]);
    assert_eq!(pieces.iter().flat_map(|piece| piece.floats("wall_seconds")).collect::<Vec<_>>(), frame.floats("wall_seconds"));
}

#[test]
fn columns_say_what_they_are() {
    let mut story = Story::default();
    story.steady(50, 2).begin(100, "a", None, MAIN, None).end(1100, "a", None, MAIN, None).begin(200, "b", Some("a"), Who(99, 1), None);
    let frame = story.told(Spans::frame);
    let fields = frame.fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let declared: Vec<String> = SpanTable::TABLE.metrics.iter().map(|metric| metric.column()).collect();
    assert_eq!(names[..2], ["end_time", "end_monotonic_nanos"]);
    assert_eq!(names[2..], declared);
    let cpu: &FieldInfo = fields.iter().find(|field| field.name == "cpu_seconds").unwrap();
    assert_eq!((cpu.id.as_str(), cpu.kind.as_str(), cpu.unit.as_str()), ("spans.cpu_seconds", "gauge", "seconds"));
    assert!(fields.iter().all(|field| !field.help.is_empty()));
    assert_eq!((frame.times()[0], frame.monotonic()[0]), (at(100).utc_nanos, at(100).monotonic_nanos));
    assert_eq!(frame.ints("end_monotonic_nanos"), [Some(at(1100).monotonic_nanos), None]);
    assert_eq!((frame.texts("cpu_how"), frame.ints("depth")), (vec![Some("sampled"), None], vec![Some(0), Some(1)]));
}

#[test]
fn without_spans_and_events_there_are_columns_and_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let timeline = Timeline::open(Story::default().write(folder.path())).unwrap();
    let spans = timeline.spans(&SpanQuery::default()).unwrap();
    assert!(spans.is_empty() && spans.frame().is_empty() && spans.frames(10).count() == 1);
    assert_eq!(spans.frame().columns().len(), SpanTable::TABLE.metrics.len() + 2);
    let events = timeline.events(&Query::all().columns(["name", "detail"])).unwrap();
    assert_eq!((events.len(), events.columns()), (0, vec!["name".to_owned(), "detail".to_owned()]));
}

#[test]
fn a_live_recording_tells_more_when_it_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.baro");
    let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
    let timeline = Timeline::open(&path).unwrap();
    let mut story = Story::default();
    recording.take(&story.begin(100, "a", None, MAIN, None).edges).unwrap();
    recording.publish().unwrap();
    let ask = || timeline.spans(&SpanQuery::default()).unwrap().iter().map(|span| (span.status, span.wall_seconds())).collect::<Vec<_>>();
    assert_eq!(ask(), [(Status::Open, Some(0.0))]);
    story.edges.clear();
    recording.take(&story.end(400, "a", None, MAIN, None).edges).unwrap();
    recording.publish().unwrap();
    assert_eq!(ask(), [(Status::Ok, Some(0.3))]);
}

/// An edge of anything: when, which id, which parent, who, whether it begins, and what was read.
type AnyEdge = (i64, u8, Option<u8>, (u8, u8), bool, Option<[i32; 4]>);

fn any_edge() -> impl Strategy<Value = AnyEdge> {
    let time = prop_oneof![8 => -2000_i64..8000, 1 => Just(-(1 << 40)), 1 => Just(1 << 40)];
    (time, 0_u8..8, prop::option::of(0_u8..8), (48_u8..53, 0_u8..3), any::<bool>(), prop::option::of(prop::array::uniform4(-5_i32..1000)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the edges and samples are: no cost is negative, no part is more than its whole, and what is absent says nothing of how it is known.
    #[test]
    fn no_cost_is_negative_and_no_part_more_than_the_whole(
        edges in prop::collection::vec(any_edge(), 1..60),
        samples in prop::collection::vec((0_i64..8, 48_u64..53, 0_u32..50, 0_u32..50), 0..60),
        ends in prop::collection::vec((0_i64..8000, 48_u64..53, prop::option::of(0.0_f64..9.0)), 0..6),
        has_root in any::<bool>(),
    ) {
        let mut story = Story::default();
        for (millis, id, parent, (pid, thread), begins, read) in edges {
            let id = format!("span{id}");
            let parent = parent.map(|parent| format!("span{parent}"));
            let read = read.map(|[a, b, c, d]| (f64::from(a), f64::from(b), u64::from(c.unsigned_abs()), u64::from(d.unsigned_abs()), 5, 5, u64::from(a.unsigned_abs())));
            let who = Who(pid.into(), thread.into());
            if begins { story.begin(millis, &id, parent.as_deref(), who, read) } else { story.end(millis, &id, None, who, read) };
        }
        for (second, pid, cpu, children) in samples {
            let started = (pid.cast_signed() - 50) * 1000;
            story.identity(second * 1000, (pid, started), pid - 1, "seen", None);
            story.sample(second * 1000, (pid, started), f64::from(cpu), f64::from(children), u64::from(cpu) * MIB).job(second * 1000, f64::from(cpu), MIB);
        }
        for (millis, pid, used) in ends {
            story.identity(millis, (pid, (pid.cast_signed() - 50) * 1000), 1, if used.is_some() { "exited" } else { "gone" }, used);
        }
        story.root = has_root.then_some(Named { pid: 50, start_ticks: start(0) });
        story.told(|spans| -> Result<(), TestCaseError> {
            for span in spans.iter() {
                let cost = span.cost;
                let numbers = [
                    span.wall_seconds(), cost.self_wall_seconds, cost.thread_cpu_seconds, cost.self_cpu_seconds, cost.cpu_seconds, cost.mean_cores,
                    cost.tree_cpu_seconds, cost.tree_peak_resident_bytes, cost.begin_resident_bytes, cost.end_resident_bytes, cost.peak_resident_bytes,
                    cost.read_bytes, cost.written_bytes, cost.minor_faults, cost.major_faults,
                ];
                prop_assert!(numbers.iter().flatten().all(|number| *number >= 0.0 && number.is_finite()), "{span:?}");
                let at_most = |part: Option<f64>, whole: Option<f64>| part.is_none() || whole.zip(part).is_some_and(|(whole, part)| part <= whole);
                prop_assert!(at_most(cost.self_wall_seconds, span.wall_seconds()) && at_most(cost.self_cpu_seconds, cost.thread_cpu_seconds), "{span:?}");
                prop_assert!(at_most(cost.begin_resident_bytes, cost.peak_resident_bytes) && at_most(cost.end_resident_bytes, cost.peak_resident_bytes));
                prop_assert_eq!(cost.cpu_how.is_some(), cost.cpu_seconds.is_some());
                prop_assert_eq!(cost.bytes_how.is_some(), cost.read_bytes.or(cost.written_bytes).is_some());
                prop_assert_eq!(cost.faults_how.is_some(), cost.minor_faults.or(cost.major_faults).is_some());
                prop_assert_eq!(cost.resident_how.is_some(), cost.begin_resident_bytes.or(cost.end_resident_bytes).is_some());
                prop_assert!(span.end.is_some() || span.note.is_some());
                prop_assert!(span.end.is_none_or(|end| end.monotonic_nanos >= span.begin.monotonic_nanos));
            }
            // On one thread, children that do not overlap and their parent's own time are all of its time.
            for span in spans.iter().filter(|span| span.end.is_some()) {
                let children: f64 = spans.iter().filter(|child| child.parent == Some(span.id)).filter_map(|child| child.wall_seconds()).sum();
                let own = span.cost.self_wall_seconds.unwrap();
                prop_assert!(own + children >= span.wall_seconds().unwrap() - 1e-6 || spans.iter().filter(|other| other.id == span.id).count() > 1, "{span:?}");
            }
            prop_assert_eq!(spans.frame().len(), spans.len());
            Ok(())
        })?;
    }
}
