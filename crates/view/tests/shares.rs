//! CPU time of the machine as shares of all of it: never more than the cores there are, and the same in a report as in a picture.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use barograph_model::{Counter, Described, Field, Moment, Rows, Seconds, Sink};
use barograph_sources::{Cores, Cpu, Own};
use barograph_store::{Clock, Facts, Figure, Host, Options, Recording, Timeline};
use barograph_view::{Line, Spec, View, Window};
use proptest::prelude::*;
use tempfile::TempDir;

const BEGIN: i64 = 1_790_000_000_000_000_000;

/// What one reading says of one core: user, system, idle and stolen time.
type Times = [f64; 4];

/// A reading: when, in nanoseconds, and the times of both cores.
type Reading = (i64, [Times; 2]);

/// Two cores, whose times are counted in ticks of 10 ms that come early or late, and whose idle time is corrected downwards at times.
fn readings(is_corrected: bool) -> impl Strategy<Value = Vec<Reading>> {
    let each =
        (20_i64..350, prop::array::uniform2((0.0..1.0_f64, 0.0..1.0_f64, 0.0..0.03_f64, prop::bool::weighted(0.1), prop::bool::weighted(0.3))));
    prop::collection::vec(each, 3..300).prop_map(move |steps| {
        let (mut nanos, mut true_times, mut seen) = (0, [[50.0; 4]; 2], [[50.0; 4]; 2]);
        let mut readings = vec![(0, seen)];
        for (millis, cores) in steps {
            nanos += millis * 1_000_000;
            for (core, (user, rest, late, goes_back, is_all_busy)) in cores.into_iter().enumerate() {
                let seconds = millis as f64 / 1e3;
                let user = if is_all_busy { 1.0 } else { user };
                let shares = [user, (1.0 - user) * rest * 0.8, (1.0 - user) * (1.0 - rest), (1.0 - user) * rest * 0.2];
                for part in 0..4 {
                    true_times[core][part] += seconds * shares[part];
                    let counted = ((true_times[core][part] + late) * 100.0).floor() / 100.0;
                    seen[core][part] = counted.max(seen[core][part]);
                }
                if is_corrected && goes_back {
                    seen[core][2] -= 0.04;
                }
            }
            readings.push((nanos, seen));
        }
        readings
    })
}

fn write(folder: &TempDir, readings: &[Reading]) -> PathBuf {
    let path = folder.path().join("run.baro");
    let clock = Clock { utc_nanos: BEGIN, monotonic_nanos: 0, zone: "UTC".to_owned() };
    let host = Host { cores: 2, memory_bytes: 1 << 30, ticks_per_second: 100, ..Host::default() };
    let facts = Facts { clock, host, interval_seconds: 0.1, ..Facts::default() };
    let mut recording = Recording::create(&path, facts, Options::default()).unwrap();
    let (mut cpu, mut cores, mut own) = (Rows::<Cpu>::new(), Rows::<Cores>::new(), Rows::<Own>::new());
    for &(nanos, times) in readings {
        let at = Moment { utc_nanos: BEGIN + nanos, monotonic_nanos: nanos };
        own.row(at).set(Own::suspended, 0.0);
        let mut row = cpu.row(at);
        row.set(Cpu::cores_online, 2_u64);
        for (part, field) in [Cpu::user, Cpu::system, Cpu::idle, Cpu::steal].into_iter().enumerate() {
            row.set(field, times[0][part] + times[1][part]);
        }
        for field in [Cpu::nice, Cpu::iowait, Cpu::irq, Cpu::softirq, Cpu::guest, Cpu::guest_nice] {
            row.set(field, 0.0);
        }
        for (core, times) in times.into_iter().enumerate() {
            let mut row = cores.row(at);
            row.set(Cores::core, core as u64);
            for (part, field) in [Cores::user, Cores::system, Cores::idle, Cores::steal].into_iter().enumerate() {
                row.set(field, times[part]);
            }
            for field in [Cores::nice, Cores::iowait, Cores::irq, Cores::softirq, Cores::guest, Cores::guest_nice] {
                row.set(field, 0.0);
            }
        }
    }
    recording.take(&own).unwrap();
    recording.take(&cpu).unwrap();
    recording.take(&cores).unwrap();
    recording.publish().unwrap();
    path
}

fn spec<T: Described, const N: usize>(fields: [Field<T, Counter<Seconds>>; N]) -> Spec {
    let plus = fields.map(|field| T::TABLE.metrics[field.index()].column()).to_vec();
    Spec { table: T::TABLE.name.to_owned(), plus, ..Spec::default() }
}

fn window(readings: &[Reading], buckets: usize) -> Window {
    Window { from: BEGIN, to: BEGIN + readings.last().unwrap().0, buckets }
}

/// The highest value that a line shows.
fn highest(line: &Line) -> f64 {
    line.points.mean.iter().chain(&line.points.max).chain(&line.summary.peak).chain(&line.summary.mean).copied().fold(0.0, f64::max)
}

/// Room for each tick; for stretches only.
const HELD: [usize; 2] = [1 << 20, 0];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the kernel counts, and however it is thinned.
    #[test]
    fn parts_never_exceed_the_whole(readings in readings(true), buckets in 3_usize..400) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, &readings);
        let specs = [spec([Cpu::user]), spec([Cpu::system]), spec([Cpu::steal]), spec([Cpu::user, Cpu::system, Cpu::steal]), spec([Cpu::idle])];
        let cores = spec([Cores::user, Cores::system]);
        for memory in HELD {
            let view = View::with_memory(&path, memory).unwrap();
            let lines = view.lines(&specs, window(&readings, buckets)).unwrap().lines;
            for line in &lines {
                prop_assert!(highest(line) <= 2.0 + 1e-6, "{} of 2 cores: {line:?}", highest(line));
            }
            for place in 0..lines[0].points.x.len() {
                let sum: f64 = lines[..3].iter().map(|line| line.points.mean[place]).filter(|mean| !mean.is_nan()).sum();
                prop_assert!(sum <= 2.0 + 1e-6, "{sum} of 2 cores at {place}");
            }
            let each = view.lines(&[Spec { by: true, ..cores.clone() }, cores.clone()], window(&readings, buckets)).unwrap().lines;
            prop_assert_eq!(each.len(), 3);
            for (line, most) in each.iter().zip([1.0, 1.0, 2.0]) {
                prop_assert!(highest(line) <= most + 1e-6, "{} of {most} cores: {line:?}", highest(line));
            }
        }
    }

    /// Totals are what the counters grew by, and not what shares come to.
    #[test]
    fn totals_are_the_growth_of_the_counters(readings in readings(false), buckets in 3_usize..400) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, &readings);
        let (first, last) = (readings[0].1, readings.last().unwrap().1);
        let grew = |core: usize| last[core][0] - first[core][0];
        for memory in HELD {
            let view = View::with_memory(&path, memory).unwrap();
            let cores = spec([Cores::user]);
            let specs = [spec([Cpu::user]), cores.clone(), Spec { by: true, ..cores.clone() }, Spec { by: true, top: Some(1), ..cores }];
            let mut lines = view.lines(&specs, window(&readings, buckets)).unwrap().lines;
            lines.sort_by_key(|line| (line.spec, line.key.clone()));
            let totals: Vec<f64> = lines.iter().map(|line| line.summary.total.unwrap()).collect();
            let both = grew(0) + grew(1);
            // The last reading may be too near to the one before to be told of yet.
            let expected = [both, both, grew(0), grew(1)];
            for (total, expected) in totals.iter().zip(expected).chain([(&(totals[4] + totals[5]), both)]) {
                let rest = readings.iter().rev().take_while(|(nanos, _)| readings.last().unwrap().0 - nanos <= 450_000_000).last().unwrap().1;
                let late: f64 = (0..2).map(|core| last[core][0] - rest[core][0]).sum();
                prop_assert!(*total <= expected + 1e-4 && *total >= expected - late - 1e-4, "{total} is not {expected}");
            }
        }
    }

    /// A report's mean, peak and total are those of the picture.
    #[test]
    fn a_report_and_a_picture_agree(readings in readings(true), buckets in 3_usize..400) {
        // Far enough apart that each reading is one.
        let readings: Vec<Reading> = readings.into_iter().enumerate().map(|(place, (_, times))| (place as i64 * 110_000_000, times)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, &readings);
        let timeline = Timeline::open(&path).unwrap();
        let figure = Figure::of(Cpu::user).plus(Cpu::system);
        let frame = timeline.frame(Cpu::TABLE.name, &Figure::query([&figure], None, None)).unwrap();
        let stats = figure.series(&frame, timeline.facts().stale_nanos()).stats().unwrap();
        let expected = [stats.total.unwrap(), stats.mean.unwrap(), stats.peak.unwrap().value];
        let view = View::with_memory(&path, HELD[0]).unwrap();
        let [line] = &view.lines(&[spec([Cpu::user, Cpu::system])], window(&readings, buckets)).unwrap().lines[..] else { panic!("one line") };
        let found = [line.summary.total.unwrap(), line.summary.mean.unwrap(), line.summary.peak.unwrap()];
        for (found, expected) in found.into_iter().zip(expected) {
            prop_assert!((found - expected).abs() <= expected * 1e-6 + 1e-9, "{found:?} is not {expected:?}");
        }
    }
}
