//! What a recorder that is killed leaves: a recording that opens, and says that it was cut off.

use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use barograph_model::Rate;
use barograph_sources::Job;
use barograph_store::{Figure, State, Timeline, gaps, repair};
use rustix::process::{Signal, kill_process_group};

use crate::harness::{Place, ended, eventually, last, output_of, process, rows, send, text, wait_for_recording, written};

#[test]
fn killed_at_any_moment_it_loses_one_write_interval() {
    // Publishing all the time, so that the kill falls into it as often as not.
    for pause_millis in [0, 7, 40, 150, 400] {
        let place = Place::new();
        let mut command = place.run_command(&["-i", "5ms", "-w", "20ms"], &["sh", "-c", "echo $$ > pid; exec sleep 300"]);
        let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let job: u32 = written(&place.path("pid")).trim().parse().unwrap();
        let path = place.path("run.baro");
        eventually("the first part", || Timeline::open(&path).ok()?.has_table("job").then_some(()));
        std::thread::sleep(std::time::Duration::from_millis(pause_millis));
        let rows_before = rows(&Timeline::open(&path).unwrap(), "job").unwrap();
        assert_eq!(Timeline::open(&path).unwrap().state(), State::Live);
        send(recorder.id(), Signal::KILL);
        recorder.wait().unwrap();

        let timeline = Timeline::open(&path).unwrap();
        assert_eq!(timeline.state(), State::Interrupted, "after {pause_millis} ms");
        for table in timeline.tables().unwrap() {
            let frame = rows(&timeline, &table.name).unwrap();
            assert!(frame.monotonic().is_sorted(), "{}", table.name);
        }
        assert!(timeline.damaged().is_empty(), "{:?}", timeline.damaged());
        let rows_after = rows(&timeline, "job").unwrap();
        assert!(rows_after.len() >= rows_before.len() && rows_after.times().starts_with(rows_before.times()), "what was there stays");
        assert!(std::fs::exists(format!("/proc/{job}")).unwrap(), "the job lives on");
        send(job, Signal::KILL);
    }
}

#[test]
fn what_was_published_is_no_older_than_the_write_interval() {
    let place = Place::new();
    let mut command = place.run_command(&["-i", "10ms", "-w", "100ms"], &["sh", "-c", "echo $$ > pid; exec sleep 300"]);
    let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let job: u32 = written(&place.path("pid")).trim().parse().unwrap();
    let path = place.path("run.baro");
    // From the outside one can see a publish only by its rows; several must follow each other, and each must be near to the one before.
    let mut ends = Vec::new();
    eventually("publishes", || {
        let end = Timeline::open(&path).ok()?.table("own").ok()?.range?.1;
        if ends.last() != Some(&end) {
            ends.push(end);
        }
        (ends.len() >= 6).then_some(())
    });
    send(recorder.id(), Signal::KILL);
    recorder.wait().unwrap();
    send(job, Signal::KILL);
    let mut steps: Vec<i64> = ends.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
    steps.sort_unstable();
    // The median, as this machine may have been busy at one of them, and we may have overslept another.
    assert!((1..1000).contains(&steps[steps.len() / 2]), "{steps:?} ms between publishes");
}

#[test]
fn a_cut_off_recording_does_not_disturb_the_next() {
    let place = Place::new();
    let mut command = place.run_command(&["-w", "20ms"], &["sh", "-c", "echo $$ > pid; exec sleep 300"]);
    let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let job: u32 = written(&place.path("pid")).trim().parse().unwrap();
    // The job runs before there is a recording.
    wait_for_recording(&place, "run.baro");
    send(recorder.id(), Signal::KILL);
    recorder.wait().unwrap();
    send(job, Signal::KILL);
    assert_eq!(place.run(&[], &["true"]).code(), 0);
    assert_eq!(Timeline::open(place.path("run.baro")).unwrap().state(), State::Interrupted);
    assert_eq!(Timeline::open(place.path("run-2.baro")).unwrap().state(), State::Ended);
    assert_eq!(place.run(&["--force"], &["true"]).code(), 0);
    assert_eq!(Timeline::open(place.path("run.baro")).unwrap().state(), State::Ended);
}

/// How many recorders are killed, and how many at a time.
const KILLS: usize = 200;
const AT_ONCE: usize = 10;

/// Kills a recorder so long after its start, or after it first published, and looks at what it left. Returns how many rows of the job were published.
fn kill_after(place: &Place, number: usize, options: &[&str], millis: u64) -> usize {
    let (folder, name) = (place.path(format!("{}", number % AT_ONCE)), format!("{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = place.barograph(["run", "-q", "-o", name.as_str()]);
    command.args(options).args(["--", "sleep", "300"]).current_dir(&folder).process_group(0);
    let mut recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let path = folder.join(format!("{name}.baro"));
    if !number.is_multiple_of(4) {
        eventually("the first part", || Timeline::open(&path).ok()?.has_table("job").then_some(()));
    }
    std::thread::sleep(Duration::from_millis(millis));
    send(recorder.id(), Signal::KILL);
    recorder.wait().unwrap();
    // The job lives on, unless the recorder was killed before it began.
    let _ = kill_process_group(process(recorder.id()), Signal::KILL);
    let Ok(timeline) = Timeline::open(&path) else {
        // Killed before there was anything to open: no table may be there.
        let tables = std::fs::read_dir(&path).map_or(0, |entries| entries.flatten().filter(|entry| entry.path().is_dir()).count());
        assert_eq!(tables, 0, "{number}, after {millis} ms: tables without facts");
        return 0;
    };
    assert_eq!(timeline.state(), State::Interrupted, "{number}, after {millis} ms");
    let ticks = rows(&timeline, "job").map_or(Vec::new(), |job| job.monotonic().to_vec());
    assert!(ticks.is_sorted(), "{number}");
    let report = repair(&path).unwrap();
    assert!(report.damaged.is_empty() && report.facts_rebuilt.is_none() && report.end_written, "{number}, after {millis} ms: {report}");
    assert!(repair(&path).unwrap().is_clean(), "{number}");
    let timeline = ended(&path);
    assert_eq!(rows(&timeline, "job").map_or(0, |job| job.len()), ticks.len(), "{number}");
    ticks.len()
}

#[test]
fn two_hundred_killed_recorders_leave_recordings_that_open() {
    let place = Place::new();
    let next = AtomicUsize::new(0);
    let published: usize = std::thread::scope(|scope| {
        let kill = || {
            let mut published = 0;
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= KILLS {
                    return published;
                }
                // At 100 Hz mostly; at 1 and 10 Hz the dense start and the first publish are what is cut.
                let options: &[&str] = match number % 10 {
                    0 => &["-i", "1s", "-w", "100ms"],
                    1 => &["-i", "100ms", "-w", "50ms"],
                    _ => &["-i", "10ms", "-w", "20ms"],
                };
                // Spread evenly, and in no order, over the start and many publishes.
                let millis = (number * 379 % KILLS) as u64;
                published += usize::from(kill_after(&place, number, options, millis) > 0);
            }
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(kill)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(published >= KILLS / 4 * 3, "only {published} lived long enough to publish");
    let list = text(&place.barograph(["ls", "--json", "."]).current_dir(place.path("3")).output().unwrap().stdout);
    assert_eq!(list.matches("\"path\"").count(), std::fs::read_dir(place.path("3")).unwrap().count(), "{list}");
}

#[test]
fn a_recorder_that_was_stopped_goes_on_with_a_gap_and_no_peak() {
    let place = Place::new();
    // The job counts up its CPU time all the while, so that a rate over a gap would show. It has so many processes that a reading takes a while.
    let busy = "for n in $(seq 200); do sleep 60 & all=\"$all $!\"; done; while [ ! -e stop ]; do :; done; kill $all";
    let mut command = place.run_command(&["-i", "20ms", "-w", "100ms"], &["sh", "-c", busy]);
    let recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let path = place.path("run.baro");
    eventually("the first part", || Timeline::open(&path).ok()?.has_table("job").then_some(()));
    send(recorder.id(), Signal::STOP);
    std::thread::sleep(Duration::from_millis(2600));
    send(recorder.id(), Signal::CONT);
    std::thread::sleep(Duration::from_millis(600));
    // Now and then it is stopped in the midst of a reading.
    for _ in 0..12 {
        send(recorder.id(), Signal::STOP);
        std::thread::sleep(Duration::from_millis(200));
        send(recorder.id(), Signal::CONT);
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(place.path("stop"), "").unwrap();
    assert!(output_of(recorder).status.success());
    let timeline = ended(&path);
    let job = rows(&timeline, "job").unwrap();
    let stale = timeline.facts().stale_nanos();
    let gaps = gaps(&job, stale);
    assert!(gaps.iter().any(|gap| gap.until_nanos - gap.monotonic_nanos >= 2_500_000_000), "{gaps:?}");
    let events = rows(&timeline, "events").unwrap();
    let told: Vec<f64> = events
        .texts("name")
        .iter()
        .zip(events.floats("duration_seconds"))
        .filter_map(|(name, duration)| (*name == Some("gap")).then_some(duration?))
        .collect();
    assert!(told.iter().any(|seconds| *seconds >= 2.5), "{told:?}");
    let series = Figure::of(Job::user).plus(Job::system).series(&job, stale);
    assert_eq!(series.points.iter().filter(|point| point.value == Rate::Stale).count(), gaps.len());
    let stats = series.stats().unwrap();
    // A loop of one thread uses one core, however the clock ticks fall; a jump over the gaps would be above ten.
    assert!(stats.peak.unwrap().value < 4.0 && series.points.iter().all(|point| point.value.value().is_none_or(|rate| rate >= 0.0)), "{stats:?}");
    let used = last(&job, "user_seconds") + last(&job, "system_seconds");
    assert!((stats.total.unwrap() - used).abs() < 0.011, "what the job used meanwhile is in the total: {stats:?}, {used}");
    assert!(last(&rows(&timeline, "own").unwrap(), "missed_ticks") >= 100.0);
}
