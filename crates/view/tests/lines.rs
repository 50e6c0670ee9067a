//! Lines against what one works out by hand from the same rows, on recordings of every state.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use barograph_model::{Described, Field, Gauges, Moment, Rows, Sink};
use barograph_sources::{Disk, Memory, Own, Process, Processes};
use barograph_store::{Clock, Durability, End, Facts, Host, Options, Recording, State};
use barograph_view::{Error, Key, Kind, Line, Spec, Unit, View, Window};
use proptest::prelude::*;
use tempfile::TempDir;

const SECOND: i64 = 1_000_000_000;
const BEGIN: i64 = 1_790_000_000 * SECOND;

fn at(nanos: i64) -> Moment {
    Moment { utc_nanos: BEGIN + nanos, monotonic_nanos: 50 * SECOND + nanos }
}

fn column<T: Described, K>(field: Field<T, K>) -> String {
    T::TABLE.metrics[field.index()].column()
}

fn spec<T: Described, K, const N: usize>(fields: [Field<T, K>; N]) -> Spec {
    Spec { table: T::TABLE.name.to_owned(), plus: fields.map(column).to_vec(), ..Spec::default() }
}

fn by(spec: Spec, top: Option<usize>) -> Spec {
    Spec { by: true, top, ..spec }
}

fn begun(folder: &TempDir) -> (PathBuf, Recording) {
    let path = folder.path().join("run.baro");
    let clock = Clock { utc_nanos: BEGIN, monotonic_nanos: 50 * SECOND, zone: "UTC".to_owned() };
    let host = Host { cores: 4, memory_bytes: 1 << 30, ticks_per_second: 100, ..Host::default() };
    let facts = Facts { clock, host, ..Facts::default() };
    let recording = Recording::create(&path, facts, Options::default()).unwrap();
    (path, recording)
}

fn window(from: i64, to: i64, buckets: usize) -> Window {
    Window { from: BEGIN + from, to: BEGIN + to, buckets }
}

fn lines(view: &View, spec: &Spec, window: Window) -> Vec<Line> {
    view.lines(std::slice::from_ref(spec), window).unwrap().lines
}

/// One cell of a table: when, whose, and its counter and level.
#[derive(Clone, Debug)]
struct Row {
    tick: usize,
    subject: u64,
    user: Option<f64>,
    resident: Option<u64>,
}

/// What is known of a subject over a stretch of time; `None` is not known.
type Stretch = (i64, i64, Option<f64>);

/// Three intervals: that of the recording, or of the table if its rows come more seldom.
fn stale(ticks: &[i64]) -> i64 {
    let mut between: Vec<i64> = ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    between.sort_unstable();
    3 * SECOND.max(between.get(between.len() / 2).copied().unwrap_or(0))
}

fn before(ticks: &[i64], tick: usize) -> i64 {
    match tick {
        // What is only known of a moment.
        0 => ticks[0] - 1,
        tick if ticks[tick] - ticks[tick - 1] > stale(ticks) => ticks[tick] - 1,
        tick => ticks[tick - 1],
    }
}

/// The rates of one subject, straight from their definition.
fn rates(rows: &[&Row], ticks: &[i64]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut known: Option<(i64, f64)> = None;
    for (place, row) in rows.iter().enumerate() {
        let (begin, end) = (before(ticks, row.tick), ticks[row.tick]);
        match (known, row.user) {
            (None, Some(_)) if place == 0 => {}
            (Some((since, value)), Some(now)) if now >= value && end - since <= stale(ticks) => {
                stretches.retain(|&(_, end, _)| end <= since);
                stretches.push((since, end, Some((now - value) / ((end - since) as f64 / 1e9))));
            }
            _ => stretches.push((begin, end, None)),
        }
        known = row.user.map(|value| (end, value)).or(known);
    }
    stretches
}

fn levels(rows: &[&Row], ticks: &[i64]) -> Vec<Stretch> {
    rows.iter().map(|row| (before(ticks, row.tick), ticks[row.tick], row.resident.map(|bytes| bytes as f64))).collect()
}

fn overlap(begin: i64, end: i64, from: i64, to: i64) -> Option<f64> {
    // A moment weighs nothing beside any time.
    (begin < to && end > from).then(|| if end - begin == 1 { 1e-18 } else { (end.min(to) - begin.max(from)) as f64 / 1e9 })
}

/// Mean, lowest and highest of a bucket.
fn bucket(stretches: &[Stretch], ticks: &[i64], from: i64, to: i64) -> Option<(f64, f64, f64)> {
    let recorded: f64 = (0..ticks.len()).filter_map(|tick| overlap(before(ticks, tick), ticks[tick], from, to)).sum();
    let parts = stretches.iter().filter_map(|&(begin, end, value)| Some((overlap(begin, end, from, to)?, value)));
    let (known, unknown): (Vec<_>, Vec<_>) = parts.partition(|(_, value)| value.is_some());
    let known: Vec<(f64, f64)> = known.into_iter().filter_map(|(seconds, value)| Some((seconds, value?))).collect();
    let unknown: f64 = unknown.iter().map(|(seconds, _)| seconds).sum();
    let there: f64 = known.iter().map(|(seconds, _)| seconds).sum();
    let (min, max) = known.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), (_, value)| (min.min(*value), max.max(*value)));
    if known.is_empty() {
        return None;
    }
    let is_away = recorded - unknown - there > recorded * 1e-9;
    let mean = known.iter().map(|(part, value)| part * value).sum::<f64>()
        / if recorded - unknown > recorded * 1e-9 { (recorded - unknown).max(there) } else { there };
    let min = if is_away { min.min(0.0) } else { min };
    Some((mean.max(min).min(max), min, max))
}

/// Alike but for what 32 bits leave out: what is held, of a tick or a stretch, is rounded once, by 6e-8 of it; times are not.
fn same(found: f64, expected: f64) -> bool {
    found == expected || (found.is_nan() && expected.is_nan()) || (found - expected).abs() <= expected.abs().max(1e-6) * 1e-6
}

/// Ticks, and rows of processes that come and go, whose counters are reset and can't be read at times.
fn recorded(is_whole: bool) -> impl Strategy<Value = (Vec<i64>, Vec<Row>)> {
    let steps = prop::collection::vec(prop_oneof![9 => 200_i64..1500, 1 => 2500_i64..9000], 2..60);
    let lives = prop::collection::vec((0_usize..40, 1_usize..60, any::<u32>()), 1..5);
    (steps, lives).prop_map(move |(steps, lives)| {
        let mut millis = 0;
        let mut ticks = vec![0];
        for step in steps {
            millis += step;
            ticks.push(millis * 1_000_000);
        }
        let mut rows = Vec::new();
        for (subject, (first, length, seed)) in lives.into_iter().enumerate() {
            let mut random = seed;
            let mut next = |limit: u32| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 8) % limit
            };
            let mut user = f64::from(next(100));
            for tick in (first..first + length).take_while(|&tick| tick < ticks.len()) {
                if !is_whole && next(15) == 0 {
                    continue;
                }
                user = if !is_whole && next(20) == 0 { 0.0 } else { user + f64::from(next(300)) / 64.0 };
                let is_read = is_whole || next(10) > 0;
                let resident = is_read.then(|| u64::from(next(1 << 20)));
                rows.push(Row { tick, subject: subject as u64, user: is_read.then_some(user), resident });
            }
        }
        rows.sort_by_key(|row| (row.tick, row.subject));
        (ticks, rows)
    })
}

fn write(folder: &TempDir, ticks: &[i64], rows: &[Row], memory: usize) -> View {
    let (path, mut recording) = begun(folder);
    let (mut processes, mut own) = (Rows::<Process>::new(), Rows::<Own>::new());
    for (tick, &nanos) in ticks.iter().enumerate() {
        own.row(at(nanos)).set(Own::ticks, tick as u64).set(Own::suspended, 0.0);
    }
    for row in rows {
        processes
            .row(at(ticks[row.tick]))
            .set(Process::pid, 100 + row.subject)
            .set(Process::start_ticks, 5)
            .set(Process::user, row.user)
            .set(Process::resident, row.resident);
    }
    recording.take(&own).unwrap();
    recording.take(&processes).unwrap();
    recording.publish().unwrap();
    View::with_memory(&path, memory).unwrap()
}

/// The ticks at which the table has rows: others it does not know of.
fn ticks_of(ticks: &[i64], rows: &[Row]) -> (Vec<i64>, Vec<Row>) {
    let mut seen: Vec<usize> = rows.iter().map(|row| row.tick).collect();
    seen.dedup();
    let place = |tick: usize| seen.binary_search(&tick).unwrap();
    let rows = rows.iter().map(|row| Row { tick: place(row.tick), ..row.clone() }).collect();
    (seen.iter().map(|&tick| ticks[tick]).collect(), rows)
}

/// Whether there is room for each tick of a table, or for stretches only.
fn held() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1 << 20), Just(0)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 3000, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The mean, the lowest and the highest of every bucket of every process are those that its rows say.
    #[test]
    fn buckets_are_what_the_rows_say((ticks, rows) in recorded(false), buckets in 3_usize..40, part in (0.0..0.5_f64, 0.5..1.0_f64), memory in held()) {
        prop_assume!(!rows.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let view = write(&folder, &ticks, &rows, memory);
        let (ticks, rows) = ticks_of(&ticks, &rows);
        let last = *ticks.last().unwrap();
        let asked = window((last as f64 * part.0) as i64, (last as f64 * part.1) as i64, buckets);
        let resident = spec([Process::resident]);
        for (spec, stretches) in [(spec([Process::user]), rates as fn(&[&Row], &[i64]) -> Vec<Stretch>), (resident, levels)] {
            for line in lines(&view, &by(spec.clone(), None), asked) {
                let Key::Number(pid) = line.key[0] else { panic!("{:?}", line.key) };
                let own: Vec<&Row> = rows.iter().filter(|row| row.subject as i64 + 100 == pid).collect();
                let stretches = stretches(&own, &ticks);
                let points = &line.points;
                if points.min.is_empty() {
                    // Each point is a row.
                    for (x, value) in points.x.iter().zip(&points.mean) {
                        let nanos = (x * 1e6).round() as i64 - BEGIN;
                        let Some(tick) = ticks.iter().find(|tick| (**tick - nanos).abs() < 1000) else {
                            prop_assert!(value.is_nan(), "a point between rows is a break");
                            continue;
                        };
                        let expected = stretches.iter().filter(|(begin, end, _)| end == tick || (begin < tick && tick < end)).find_map(|&(.., value)| value);
                        prop_assert!(same(*value, expected.unwrap_or(f64::NAN)), "{value} is not {expected:?} at {tick}");
                    }
                    continue;
                }
                prop_assert!(points.x.len() <= buckets.max(2) + 2);
                let width = ((points.x[1] - points.x[0]) * 1e6).round() as i64;
                for place in 0..points.x.len() {
                    let middle = (points.x[place] * 1e6).round() as i64 - BEGIN;
                    // Exact edges from a middle of microseconds.
                    let from = (middle + BEGIN - width / 2 + 1000).div_euclid(1_953_125) * 1_953_125 - BEGIN;
                    let expected = bucket(&stretches, &ticks, from, from + width);
                    let found = (points.mean[place], points.min[place], points.max[place]);
                    prop_assert!(found.0.is_nan() || found.1 <= found.0 && found.0 <= found.2, "a mean lies within its extremes: {found:?}");
                    let (mean, min, max) = expected.unwrap_or((f64::NAN, f64::NAN, f64::NAN));
                    prop_assert!(same(found.0, mean) && same(found.1, min) && same(found.2, max), "bucket {place}: {found:?} is not {expected:?}");
                }
            }
        }
    }

    /// Lines of processes and what is left over come to the whole.
    #[test]
    fn parts_are_the_whole((ticks, rows) in recorded(true), buckets in 2_usize..100, top in 0_usize..4, memory in held()) {
        prop_assume!(!rows.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let view = write(&folder, &ticks, &rows, memory);
        for whole in [spec([Process::user, Process::system]), spec([Process::resident])] {
            let asked = window(0, *ticks.last().unwrap(), buckets);
            let parts = lines(&view, &by(whole.clone(), Some(top)), asked);
            prop_assert!(parts.iter().filter(|line| line.kind == Kind::Subject).count() <= top);
            let means: Vec<f64> = parts.iter().filter(|line| line.kind == Kind::Subject).filter_map(|line| line.summary.mean).collect();
            prop_assert!(means.windows(2).all(|pair| pair[0] >= pair[1]), "highest first");
            let [whole] = &lines(&view, &whole, asked)[..] else { panic!("one line") };
            prop_assert_eq!(whole.kind, Kind::Whole);
            for place in 0..whole.points.x.len() {
                let known = parts.iter().map(|line| line.points.mean[place]).filter(|mean| !mean.is_nan());
                let sum = known.clone().count().min(1) as f64 * known.sum::<f64>();
                let expected = whole.points.mean[place];
                prop_assert!(same(sum, if expected.is_nan() { 0.0 } else { expected }), "{sum} is not {expected} at {place}");
            }
            let total = |lines: &[&Line]| lines.iter().filter_map(|line| line.summary.mean).sum::<f64>();
            prop_assert!(same(total(&parts.iter().collect::<Vec<_>>()), total(&[whole])));
        }
    }
}

/// A rate is a value, or why there is none: nothing before, nothing read, too long ago.
#[test]
fn what_is_not_known_is_no_point() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let mut own = Rows::<Own>::new();
    let mut memory = Rows::<Memory>::new();
    // First, a value, nothing read, a value over both, a reset, a value, and one after a minute.
    for (second, faults) in [(0, Some(10)), (1, Some(14)), (2, None), (3, Some(24)), (4, Some(2)), (5, Some(5)), (65, Some(100))] {
        own.row(at(second * SECOND)).set(Own::suspended, if second == 65 { 50.0 } else { 0.0 });
        memory.row(at(second * SECOND)).set(Memory::faults, faults).set(Memory::free, faults.map(|_| 7));
    }
    recording.take(&own).unwrap();
    recording.take(&memory).unwrap();
    recording.publish().unwrap();
    let view = View::open(&path).unwrap();
    let both = view.lines(&[spec([Memory::faults]), spec([Memory::free])], window(0, 65 * SECOND, 100)).unwrap();
    let [rate, level] = &both.lines[..] else { panic!("{both:?}") };
    assert_eq!((rate.unit, level.unit, rate.label.as_str(), rate.spec, level.spec), (Unit::PerSecond, Unit::Bytes, "faults", 0, 1));
    let shown: Vec<String> = rate.points.mean.iter().map(|value| format!("{value}")).collect();
    assert_eq!(shown.join(" "), "NaN 4 5 5 NaN 3 NaN NaN", "the one before the last breaks the line over the gap");
    assert!(std::sync::Arc::ptr_eq(&rate.points.x, &level.points.x));
    assert_eq!(rate.points.x[6], (BEGIN + 35 * SECOND) as f64 / 1e6);
    let shown: Vec<String> = level.points.mean.iter().map(|value| format!("{value}")).collect();
    assert_eq!(shown.join(" "), "7 7 NaN 7 7 7 NaN 7");
    // 4, 10, 3, and 95 over the gap.
    assert_eq!((rate.summary.total, rate.summary.mean, rate.summary.peak, rate.summary.last), (Some(112.0), Some(17.0 / 4.0), Some(5.0), Some(3.0)));
    assert_eq!(both.gaps.len(), 1);
    assert_eq!(
        (both.gaps[0].why.as_str(), both.gaps[0].from, both.gaps[0].to),
        ("suspended", (BEGIN + 5 * SECOND) as f64 / 1e6, (BEGIN + 65 * SECOND) as f64 / 1e6)
    );
    // A window within: the row before makes its first rate right.
    let [rate] = &lines(&view, &spec([Memory::faults]), window(3 * SECOND / 2, 3 * SECOND, 100))[..] else { panic!("one line") };
    assert_eq!(rate.summary.total, Some(10.0));
    assert_eq!(rate.points.mean.len(), 4, "and the nearest on each side");
    assert_eq!(lines(&view, &spec([Memory::faults]), window(20 * SECOND, 30 * SECOND, 100))[0].summary.mean, None);
}

#[test]
fn each_process_has_a_line_of_its_own_name_and_pid() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let (mut processes, mut identities) = (Rows::<Process>::new(), Rows::<Processes>::new());
    for pid in [7_u64, 8, 9] {
        if pid != 9 {
            identities
                .row(at(0))
                .set(Processes::pid, pid)
                .set(Processes::start_ticks, 1)
                .text(Processes::name, b"cc".as_slice())
                .text(Processes::command_line, format!("cc -c {pid}.c").as_bytes())
                .set(Processes::in_job, 1)
                .text(Processes::change, b"seen".as_slice());
        }
        for second in 0..10 {
            processes
                .row(at(second * SECOND))
                .set(Process::pid, pid)
                .set(Process::start_ticks, 1)
                .text(Process::state, b"R".as_slice())
                .set(Process::user, pid as f64 / 10.0 * second as f64)
                .set(Process::resident, pid << 20);
        }
    }
    recording.take(&processes).unwrap();
    recording.take(&identities).unwrap();
    recording.publish().unwrap();
    let view = View::open(&path).unwrap();
    let cpu = lines(&view, &by(spec([Process::user, Process::system]), Some(8)), window(0, 9 * SECOND, 100));
    assert_eq!(cpu.iter().map(|line| line.label.as_str()).collect::<Vec<_>>(), ["(9)", "cc (8)", "cc (7)"]);
    assert!(cpu.iter().all(|line| line.unit == Unit::Cores && line.key[1] == Key::Number(1)));
    assert!(same(cpu[1].summary.mean.unwrap(), 0.8));
    let rows = view.processes_at(BEGIN + 9 * SECOND / 2).unwrap();
    assert_eq!(rows.iter().map(|row| row.pid).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(
        (rows[0].name.as_deref(), rows[0].resident_bytes, rows[0].in_job, rows[0].state.as_deref()),
        (Some("cc"), Some(7_340_032.0), true, Some("R"))
    );
    assert!(same(rows[0].cores.unwrap(), 0.7) && same(rows[0].age_seconds.unwrap(), 53.99));
    assert_eq!((rows[2].name.as_deref(), rows[2].read), (None, None));
    assert_eq!(view.processes_at(BEGIN).unwrap()[0].cores, None, "nothing is known of the time before");
    assert_eq!(view.processes_at(BEGIN + 60 * SECOND).unwrap(), []);
    let found = |text: &str| view.find_processes(text).unwrap().iter().map(|row| row.pid).collect::<Vec<_>>();
    assert_eq!((found("CC"), found("8.c"), found("8"), found("9"), found("")), (vec![7, 8], vec![8], vec![8], vec![], vec![]));
    assert!(same(view.find_processes("8.c").unwrap()[0].cores.unwrap(), 0.8));
    let life = view.life(8, 1).unwrap().unwrap();
    assert_eq!((life.from, life.to), (BEGIN as f64 / 1e6, (BEGIN + 9 * SECOND) as f64 / 1e6));
    assert_eq!(life.identities[0].command.as_deref(), Some("cc -c 8.c"));
    let one = lines(&view, &life.panels[0].specs[0], window(0, 9 * SECOND, 100));
    assert!(one.len() == 1 && same(one[0].summary.mean.unwrap(), 0.8));
    assert_eq!(view.life(8, 2).unwrap(), None);
}

#[test]
fn what_a_device_is_made_of_does_not_count_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let mut disks = Rows::<Disk>::new();
    for second in 0..5_u64 {
        for (device, counted) in [("sda", 1), ("sda1", 0), ("sdb", 1)] {
            let read = second * if device == "sdb" { 1 } else { 100 };
            disks
                .row(at(second.cast_signed() * SECOND))
                .text(Disk::device, device.as_bytes())
                .set(Disk::counted, counted)
                .set(Disk::read, read)
                .set(Disk::busy, second as f64 / 2.0);
        }
    }
    recording.take(&disks).unwrap();
    recording.publish().unwrap();
    let view = View::open(&path).unwrap();
    let labels =
        |spec: &Spec| lines(&view, spec, window(0, 5 * SECOND, 50)).iter().map(|line| (line.label.clone(), line.summary.mean)).collect::<Vec<_>>();
    let read = Spec { label: Some("read".to_owned()), ..spec([Disk::read]) };
    assert_eq!(labels(&read), [("read".to_owned(), Some(101.0))]);
    assert_eq!(labels(&by(read.clone(), Some(1))), [("sda read".to_owned(), Some(100.0)), ("others read".to_owned(), Some(1.0))]);
    let filter = BTreeMap::from([(column(Disk::device), Key::Text("sda1".to_owned()))]);
    assert_eq!(labels(&Spec { filter, ..read }), [("read".to_owned(), Some(100.0))]);
    assert_eq!(lines(&view, &spec([Disk::busy]), window(0, 5 * SECOND, 50))[0].unit, Unit::Ratio);
}

#[test]
fn a_word_holds_until_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let mut gauges = Rows::<Gauges>::new();
    for (second, name, value) in [(0, "loss", 4.0), (30, "rate", 1.0), (60, "loss", 2.0)] {
        gauges.row(at(second * SECOND)).text(Gauges::name, name.as_bytes()).set(Gauges::value, value);
    }
    recording.take(&gauges).unwrap();
    recording.publish().unwrap();
    let view = View::open(&path).unwrap();
    let panels = view.panels();
    assert_eq!(
        panels.iter().map(|panel| (panel.id.as_str(), panel.unit)).collect::<Vec<_>>(),
        [("gauge-loss", Unit::Number), ("gauge-rate", Unit::Number)]
    );
    let all = lines(&view, &by(spec([Gauges::value]), None), window(0, 60 * SECOND, 100));
    assert_eq!(
        all.iter().map(|line| (line.label.as_str(), line.points.mean.clone())).collect::<Vec<_>>(),
        [("loss", vec![4.0, 2.0]), ("rate", vec![1.0])]
    );
    assert_eq!(lines(&view, &panels[1].specs[0], window(0, 60 * SECOND, 100))[0].points.x[..], [(BEGIN + 30 * SECOND) as f64 / 1e6]);
}

#[test]
fn a_recording_that_grows_is_seen_to_grow() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let view = View::open(&path).unwrap();
    assert_eq!((view.state(), view.range(), view.panels(), view.cards()), (State::Live, (BEGIN, BEGIN), vec![], vec![]));
    assert_eq!(lines(&view, &spec([Memory::free]), window(0, SECOND, 10)), []);
    assert!(!view.refresh().unwrap());
    for second in 0..20 {
        let mut memory = Rows::<Memory>::new();
        memory.row(at(second * SECOND)).set(Memory::total, 100).set(Memory::available, 40).set(Memory::free, 10 + second.cast_unsigned());
        recording.take(&memory).unwrap();
        recording.publish().unwrap();
        assert!(view.refresh().unwrap() && !view.refresh().unwrap());
        assert_eq!(view.range(), (BEGIN, BEGIN + second * SECOND));
        let [line] = &lines(&view, &spec([Memory::free]), window(0, 100 * SECOND, 400))[..] else { panic!("one line") };
        assert_eq!((line.points.mean.len() as i64, line.summary.last), (second + 1, Some(10.0 + second as f64)));
        assert!(line.summary.mean.is_some(), "of a single row too");
    }
    let panel = view.panels().into_iter().find(|panel| panel.id == "memory").unwrap();
    assert_eq!(lines(&view, &panel.specs[0], window(0, 100 * SECOND, 400))[0].summary.peak, Some(60.0));
    assert!(view.cards().iter().any(|card| card.title == "Memory" && card.panel == "memory"));
    recording.finish(End { reason: "stopped".to_owned(), ..End::default() }, Durability::Crash).unwrap();
    assert!(view.refresh().unwrap());
    assert_eq!(view.state(), State::Ended);
}

#[test]
fn a_clock_that_was_set_back_does_not_turn_the_axis_round() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let (mut own, mut processes) = (Rows::<Own>::new(), Rows::<Process>::new());
    for second in 0..20 {
        let set_back = if second >= 10 { 3600 * SECOND } else { 0 };
        let at = Moment { utc_nanos: BEGIN + second * SECOND - set_back, monotonic_nanos: (50 + second) * SECOND };
        own.row(at).set(Own::cpu, second as f64);
        processes
            .row(at)
            .set(Process::pid, 1)
            .set(Process::start_ticks, 1)
            .set(Process::user, second as f64 / 2.0)
            .set(Process::threads, second.cast_unsigned());
    }
    recording.take(&own).unwrap();
    recording.take(&processes).unwrap();
    recording.publish().unwrap();
    let view = View::open(&path).unwrap();
    assert_eq!(view.range(), (BEGIN, BEGIN + 19 * SECOND));
    let [line] = &lines(&view, &spec([Own::cpu]), window(0, 19 * SECOND, 100))[..] else { panic!("one line") };
    assert_eq!(line.points.x.iter().map(|x| ((x * 1e6).round() as i64 - BEGIN) / SECOND).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert!(line.points.mean[1..].iter().all(|mean| same(*mean, 1.0)), "{:?}", line.points.mean);
    let late = lines(&view, &spec([Process::user]), window(15 * SECOND, 18 * SECOND, 100));
    assert_eq!(late[0].points.mean.len(), 6);
    let row = &view.processes_at(BEGIN + 15 * SECOND).unwrap()[0];
    assert_eq!((row.threads, row.cores), (Some(15.0), Some(0.5)));
    let life = view.life(1, 1).unwrap().unwrap();
    assert_eq!((life.from, life.to), (BEGIN as f64 / 1e6, (BEGIN + 19 * SECOND) as f64 / 1e6));
}

#[test]
fn what_was_not_recorded_is_not_shown_and_mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let mut memory = Rows::<Memory>::new();
    memory.row(at(0)).set(Memory::free, 1);
    recording.take(&memory).unwrap();
    recording.publish().unwrap();
    let view = View::open(&path).unwrap();
    let panels = view.panels();
    assert!(panels.iter().all(|panel| panel.specs.iter().all(|spec| spec.table == Memory::TABLE.name)), "{panels:?}");
    let ids: std::collections::BTreeSet<&str> = panels.iter().map(|panel| panel.id.as_str()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
    let offered: usize = panels.iter().filter(|panel| !panel.shown).map(|panel| panel.specs.len()).sum();
    assert!(offered >= Memory::TABLE.metrics.len(), "everything is offered");
    assert_eq!(lines(&view, &spec([Process::user]), window(0, SECOND, 10)), []);
    assert_eq!(view.processes_at(BEGIN).unwrap(), []);
    assert_eq!(view.find_processes("x").unwrap(), []);
    assert_eq!(view.life(1, 1).unwrap(), None);
    let said = |spec: &Spec| view.check(spec).unwrap_err().to_string();
    assert!(said(&spec([Process::user])).contains("no table `process`; this recording has memory"));
    let wrong = Spec { plus: vec!["frea".to_owned()], ..spec([Memory::free]) };
    assert!(said(&wrong).contains("no column of numbers `frea`; it has ") && said(&wrong).contains("free_bytes"));
    assert!(said(&Spec { plus: vec![], ..wrong.clone() }).contains("no column of table `memory`"));
    assert_eq!(lines(&view, &wrong, window(0, SECOND, 10)), []);
    assert_eq!(lines(&view, &spec([Memory::free]), window(0, 0, 1))[0].points.mean, [1.0], "one row at one moment");
    assert!(matches!(view.lines(&[], window(1, 0, 10)), Err(Error::Window)));
    for strange in [Window { from: i64::MIN, to: i64::MAX, buckets: 0 }, Window { from: i64::MAX, to: i64::MAX, buckets: usize::MAX }] {
        assert!(view.lines(&[spec([Memory::free])], strange).is_ok());
    }
    assert!(View::open(Path::new("/nowhere")).is_err());
}

/// What is held of a long table tells the same as its rows, and who is highest in any part of it.
#[test]
fn a_long_table_is_told_alike_however_it_is_held() {
    let ticks: Vec<i64> = (0..900).map(|tick| tick * SECOND).collect();
    let mut rows = Vec::new();
    for tick in 0..900_usize {
        for subject in 0..6_u64 {
            // Each is the highest for a while, and all but one are long gone or not there yet.
            let own = (subject as usize * 150).saturating_sub(40)..subject as usize * 150 + 190;
            if own.contains(&tick) {
                let used = (tick - own.start) as f64 * (1.0 + subject as f64) / 16.0;
                // After its first row one is missing and one can't be read.
                if tick != own.start + 1 {
                    let user = (tick != own.start + 2).then_some(used);
                    rows.push(Row { tick, subject, user, resident: Some(subject + 1) });
                }
            }
        }
    }
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let views = [write(&folders[0], &ticks, &rows, 1 << 20), write(&folders[1], &ticks, &rows, 0)];
    for (from, to) in [(0, 899), (100, 700), (290, 890), (3, 450)] {
        let asked = window(from * SECOND, to * SECOND, 40);
        for whole in [spec([Process::user]), spec([Process::resident])] {
            let [fine, coarse] = views.each_ref().map(|view| lines(view, &by(whole.clone(), Some(3)), asked));
            assert_eq!(fine.iter().map(|line| &line.key).collect::<Vec<_>>(), coarse.iter().map(|line| &line.key).collect::<Vec<_>>());
            assert!(fine.len() == 4 && fine[3].kind == Kind::Others && fine[0].key != fine[1].key);
            for (a, b) in fine.iter().zip(&coarse) {
                assert_eq!(a.points.x, b.points.x);
                assert!(a.points.mean.iter().zip(&b.points.mean).all(|(a, b)| same(*a, *b)), "{from}: {a:?} is not {b:?}");
                assert_eq!(a.summary.peak, b.summary.peak);
            }
        }
    }
    for view in &views {
        let all = lines(view, &by(spec([Process::user]), None), window(0, 899 * SECOND, 40));
        for line in &all {
            let Key::Number(pid) = line.key[0] else { panic!("{:?}", line.key) };
            let own: Vec<f64> = rows.iter().filter(|row| row.subject as i64 + 100 == pid).filter_map(|row| row.user).collect();
            let grew = own.last().unwrap() - own[0];
            assert!(same(line.summary.total.unwrap(), grew), "{} grew by {:?} and not {grew}", line.label, line.summary.total);
        }
        assert_eq!(all.len(), 6);
    }
}

#[test]
fn who_was_there_is_known_of_everybody_and_learnt_as_a_recording_grows() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut recording) = begun(&folder);
    let mut say = |second: i64, pid: u64, name: &str, change: &str| {
        let (mut identities, mut processes) = (Rows::<Processes>::new(), Rows::<Process>::new());
        identities
            .row(at(second * SECOND))
            .set(Processes::pid, pid)
            .set(Processes::start_ticks, pid)
            .set(Processes::started, 40.0)
            .text(Processes::name, name.as_bytes())
            .text(Processes::change, change.as_bytes());
        processes.row(at(second * SECOND)).set(Process::pid, pid).set(Process::start_ticks, pid).set(Process::resident, 1);
        recording.take(&identities).unwrap();
        recording.take(&processes).unwrap();
        let mut own = Rows::<Own>::new();
        own.row(at(second * SECOND));
        recording.take(&own).unwrap();
        recording.publish().unwrap();
    };
    say(0, 7, "sh", "seen");
    let view = View::open(&path).unwrap();
    let names = |at: i64| -> Vec<(i64, Option<String>)> {
        view.processes_at(BEGIN + at * SECOND).unwrap().into_iter().map(|row| (row.pid, row.name)).collect()
    };
    let named = |pid: i64, name: &str| (pid, Some(name.to_owned()));
    assert_eq!(names(0), [named(7, "sh")]);
    // One that lives for a second only, another that becomes a third.
    for (second, pid, name, change) in [(100, 8, "true", "seen"), (101, 8, "true", "gone"), (150, 9, "sh", "seen"), (151, 9, "make", "renamed")] {
        say(second, pid, name, change);
        // Those who came since the last look are known too.
        assert_eq!(names(second).last(), Some(&named(pid as i64, name)));
        view.refresh().unwrap();
        assert_eq!(names(second).last(), Some(&named(pid as i64, name)));
    }
    // At an earlier moment it is what it was then.
    assert_eq!(names(150), [named(9, "sh")]);
    let there = |from: i64, to: i64| {
        let rows = view.processes_between(BEGIN + from * SECOND, BEGIN + to * SECOND).unwrap();
        rows.into_iter().map(|row| (row.pid, row.age_seconds.unwrap().round() as i64)).collect::<Vec<_>>()
    };
    assert_eq!(there(0, 99), [(7, 10)]);
    assert_eq!(there(50, 120), [(7, 111), (8, 111)]);
    assert_eq!(there(102, 149), [(7, 111)]);
    assert_eq!(there(0, 200), [(7, 161), (8, 161), (9, 161)]);
}
