//! Disks that fill up and disks that fail: the job runs to its own end, what was published stays, and the recording says what is missing and why.
//!
//! Only root can mount them; others are told that the test was left out.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use barograph_store::{State, Timeline, gaps};
use barograph_test_disk::{Operation, TestDisk};

use crate::harness::{Place, ended, eventually, output_of, rows};

/// Ends when somebody makes the file `stop`, with a status of its own.
const JOB: &str = "while [ ! -e stop ]; do sleep 0.02; done; exit 7";

/// A file system in memory of one megabyte.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("left out: only root can mount a small disk");
            return None;
        }
        Some(SmallDisk(folder))
    }

    fn fill(&self) {
        let filler = self.0.path().join("filler");
        // Whatever there is, to the last page.
        let _ = fs::write(&filler, vec![1_u8; 1 << 20]);
        assert!(filler.metadata().unwrap().len() < 1 << 20, "it was empty");
    }

    fn make_room(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn test_disk() -> Option<TestDisk> {
    TestDisk::mount().inspect_err(|error| eprintln!("left out: no file system can be mounted here: {error}")).ok()
}

/// Starts a recording on this disk, and waits until it was published.
fn start(place: &Place, disk: &Path) -> Child {
    let mut command = place.barograph(["run", "-i", "10ms", "-w", "50ms", "--no-dense-start", "-o"]);
    command.arg(disk.join("run")).args(["--", "sh", "-c", JOB]);
    let recorder = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the first part", || last_tick(&disk.join("run.baro")));
    recorder
}

fn last_tick(recording: &Path) -> Option<i64> {
    rows(&Timeline::open(recording).ok()?, "own")?.monotonic().last().copied()
}

/// Waits until nothing has been published for a time in which it would have been many times.
fn until_it_stands(recording: &Path) {
    let mut known = (None, 0);
    eventually("the disk to fail", || {
        let last = last_tick(recording);
        known = if known.0 == last { (last, known.1 + 1) } else { (last, 0) };
        (known.1 > 40).then_some(())
    });
}

fn stop(place: &Place, recorder: Child) -> String {
    fs::write(place.path("stop"), "").unwrap();
    let output = output_of(recorder);
    assert_eq!(output.status.code(), Some(7), "the status is the job's");
    crate::harness::text(&output.stderr)
}

fn notice(timeline: &Timeline, name: &str) -> Option<(u64, String)> {
    let notice = timeline.facts().notices.iter().find(|notice| notice.name == name)?;
    Some((notice.count, notice.detail.clone()))
}

#[test]
fn a_disk_that_fills_up_and_gets_room_again_costs_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (place, path) = (Place::new(), disk.0.path().join("run.baro"));
    let recorder = start(&place, disk.0.path());
    disk.fill();
    until_it_stands(&path);
    let before = Timeline::open(&path).unwrap();
    assert_eq!((before.state(), before.damaged().len()), (State::Live, 0));
    let stood = last_tick(&path);
    disk.make_room();
    eventually("room to be used", || (last_tick(&path) > stood).then_some(()));
    stop(&place, recorder);
    let timeline = ended(&path);
    assert_eq!(notice(&timeline, "rows_lost"), None);
    let (_, why) = notice(&timeline, "write_error").unwrap();
    assert!(why.contains("make room"), "{why}");
    let own = rows(&timeline, "own").unwrap();
    let ticks: Vec<_> = own.ints("ticks").into_iter().flatten().collect();
    assert_eq!(ticks.len(), own.len());
    assert!(ticks.windows(2).all(|pair| pair[1] == pair[0] + 1), "each tick has its row");
}

#[test]
fn on_a_disk_that_stays_full_the_end_says_what_is_missing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (place, path) = (Place::new(), disk.0.path().join("run.baro"));
    let recorder = start(&place, disk.0.path());
    disk.fill();
    until_it_stands(&path);
    let stood = last_tick(&path).unwrap();
    let said = stop(&place, recorder);
    assert!(said.contains("make room"), "{said}");
    let timeline = ended(&path);
    assert_eq!(last_tick(&path), Some(stood), "what was published is there");
    let facts = timeline.facts();
    assert_eq!(facts.end.as_ref().unwrap().exit.unwrap().code, Some(7));
    assert!(facts.end.as_ref().unwrap().monotonic_nanos > stood);
    assert!(notice(&timeline, "rows_lost").unwrap().0 > 40, "{:?}", facts.notices);
    assert!(notice(&timeline, "write_error").unwrap().1.contains("make room"), "{:?}", facts.notices);
    let report = place.barograph(["report"]).arg(&path).output().unwrap();
    let report = crate::harness::text(&report.stdout);
    assert!(report.contains("lost because the recording could not be written") || report.contains("make room"), "{report}");
}

#[test]
fn whatever_a_disk_refuses_the_job_goes_on_and_nothing_published_is_lost() {
    for operation in [Operation::Write, Operation::SyncFile, Operation::SyncFolder, Operation::Rename, Operation::Create] {
        let Some(disk) = test_disk() else { return };
        let (place, path) = (Place::new(), disk.path().join("run.baro"));
        let recorder = start(&place, disk.path());
        let published = last_tick(&path).unwrap();
        disk.fail(operation, ErrorKind::Other);
        if operation == Operation::SyncFolder {
            // By then the rows are there under their names, and only a power cut could take them away. The second publish comes after the first was refused.
            for _ in 0..2 {
                let known = last_tick(&path);
                eventually("rows under their names", || (last_tick(&path) > known).then_some(()));
            }
        } else {
            until_it_stands(&path);
        }
        let stood = last_tick(&path).unwrap();
        assert!(stood >= published, "{operation:?}");
        disk.heal();
        eventually("the disk to be used again", || (last_tick(&path)? > stood).then_some(()));
        stop(&place, recorder);
        let timeline = ended(&path);
        let why = notice(&timeline, "write_error").unwrap_or_else(|| panic!("{operation:?}: {:?}", timeline.facts().notices)).1;
        assert!(why.contains("run.baro") && why.contains("os error 5"), "{operation:?}: {why}");
        assert_eq!(notice(&timeline, "rows_lost"), None, "{operation:?}");
        let own = rows(&timeline, "own").unwrap();
        assert_eq!(gaps(&own, 2_000_000_000), [], "{operation:?}");
    }
}
