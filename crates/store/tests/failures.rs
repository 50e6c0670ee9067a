//! A disk that fails: the rows wait, the next publish tries again, memory stays bounded, what is lost is counted, and nothing panics.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, which say when they have to be skipped")]

mod common;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use barograph_model::Sink;
use barograph_store::{Durability, Error, Options, Recording, Timeline};
use barograph_test_disk::{Operation, TestDisk};
use common::{check, end, facts, machine, processes, recording};

/// A file system in memory of this size, until it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(kibibytes: u32) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kibibytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(SmallDisk(folder));
        }
        eprintln!("skipped: only root can mount the small disk that this test needs");
        None
    }

    fn read_only(&self, yes: bool) {
        let how = if yes { "remount,ro" } else { "remount,rw" };
        assert!(Command::new("mount").args(["-o", how]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn fill(folder: &Path) {
    let chunk = vec![1_u8; 4096];
    for number in 0.. {
        if fs::write(folder.join(format!("filler-{number}")), &chunk).is_err() {
            return;
        }
    }
}

fn unfill(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("filler")) {
        fs::remove_file(entry.path()).unwrap();
    }
}

#[test]
fn a_full_disk_costs_nothing_once_there_is_room_again() {
    let Some(disk) = SmallDisk::mount(4096) else { return };
    let path = disk.0.path().join("run.baro");
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap();
    for tick in 0..400 {
        recording.take(&machine(tick)).unwrap();
        recording.take(&processes(tick, 20)).unwrap();
        match tick {
            99 => recording.publish().unwrap(),
            199 => fill(disk.0.path()),
            200..300 if tick % 10 == 0 => {
                let error = recording.publish().unwrap_err();
                assert!(error.is_full() && error.to_string().contains("make room"), "{error}");
                check(&Timeline::open(&path).unwrap(), 100, 20);
            }
            300 => unfill(disk.0.path()),
            _ => {}
        }
    }
    recording.finish(end(400), Durability::PowerCut).unwrap();
    assert_eq!(recording.rows_lost(), 0);
    check(&Timeline::open(&path).unwrap(), 400, 20);
}

#[test]
fn a_disk_that_stays_full_bounds_memory_and_still_takes_the_end() {
    let Some(disk) = SmallDisk::mount(1024) else { return };
    let path = disk.0.path().join("run.baro");
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap();
    let (mut failures, mut taken) = (0, 0);
    for tick in 0..3000 {
        failures += u64::from(recording.take(&processes(tick, 100)).is_err());
        taken += 100;
        if tick % 10 == 9 {
            failures += u64::from(recording.publish().is_err());
        }
    }
    assert!(failures > 0 && recording.rows_lost() > 0, "{failures} failures, {} rows lost", recording.rows_lost());
    fill(disk.0.path());
    assert!(recording.finish(end(3000), Durability::PowerCut).is_err(), "the rows found no room");
    let timeline = Timeline::open(&path).unwrap();
    assert_eq!(timeline.facts().end.as_ref().unwrap().reason, "exited", "but the end did");
    assert_eq!(timeline.facts().notices[0].name, "rows_lost");
    let kept = timeline.table("process").unwrap().rows;
    assert!(kept > 0 && kept + recording.rows_lost() <= taken, "{kept} kept, {} lost of {taken}", recording.rows_lost());
    assert_eq!(timeline.damaged(), []);
}

#[test]
fn rows_that_were_published_survive_a_disk_that_fails_for_long() {
    let disk = match TestDisk::mount() {
        Ok(disk) => disk,
        Err(error) => return eprintln!("skipped: no file system can be mounted here: {error}"),
    };
    let path = disk.path().join("run.baro");
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap();
    let mut tick = 0;
    let mut take = |recording: &mut Recording, ticks: i64| {
        for _ in 0..ticks {
            recording.take(&machine(tick)).unwrap();
            recording.take(&processes(tick, 100)).unwrap();
            tick += 1;
        }
    };
    take(&mut recording, 33);
    recording.publish().unwrap();
    disk.fail(Operation::SyncFile, ErrorKind::Other);
    while recording.rows_lost() == 0 {
        take(&mut recording, 10);
        assert!(recording.publish().is_err());
    }
    disk.heal();
    take(&mut recording, 10);
    recording.publish().unwrap();
    let timeline = Timeline::open(&path).unwrap();
    let times = timeline.frame("process", &barograph_store::Query::all()).unwrap().times().to_vec();
    assert!(times.len() >= 3300 && times[..3300].iter().copied().eq((0..3300).map(|row| common::at(row / 100).utc_nanos)), "{}", times.len());
    let kept = times.len() as u64;
    assert_eq!(kept + recording.rows_lost(), tick.unsigned_abs() * 100, "each row is kept or counted as lost");
}

#[test]
fn rows_that_the_end_found_no_room_for_are_counted() {
    let (_folder, path, mut recording) = recording();
    for tick in 0..30 {
        recording.take(&processes(tick, 10)).unwrap();
        if tick == 9 {
            recording.publish().unwrap();
            // The folder of the table takes no new file; the facts are still written.
            fs::create_dir(path.join("process/.000000.parquet.tmp")).unwrap();
        }
    }
    assert!(recording.finish(end(30), Durability::PowerCut).is_err());
    let timeline = Timeline::open(&path).unwrap();
    assert_eq!(timeline.table("process").unwrap().rows, 100);
    let notice = &timeline.facts().notices[0];
    assert_eq!((notice.name.as_str(), notice.count), ("rows_lost", 200));
}

#[test]
fn a_disk_that_turns_read_only_is_an_error_that_says_so() {
    let Some(disk) = SmallDisk::mount(4096) else { return };
    let path = disk.0.path().join("run.baro");
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap();
    recording.take(&machine(0)).unwrap();
    recording.publish().unwrap();
    disk.read_only(true);
    recording.take(&machine(1)).unwrap();
    let error = recording.publish().unwrap_err();
    assert!(matches!(error, Error::Disk { .. }) && error.to_string().contains("record to a folder that you may write"), "{error}");
    check(&Timeline::open(&path).unwrap(), 1, 0);
    disk.read_only(false);
    recording.take(&machine(2)).unwrap();
    recording.publish().unwrap();
    check(&Timeline::open(&path).unwrap(), 3, 0);
}

#[test]
fn a_folder_that_may_not_be_written_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(folder.path().join("probe"), "").is_ok() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let error = Recording::create(folder.path().join("run.baro"), facts(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("-o"), "{error}");
}

#[test]
fn a_deleted_recording_stays_deleted_and_harms_nobody() {
    let (_folder, path, mut recording) = recording();
    recording.take(&machine(0)).unwrap();
    recording.publish().unwrap();
    fs::remove_dir_all(&path).unwrap();
    for tick in 1..20_000 {
        let _ = recording.take(&processes(tick % 100, 30));
        if tick % 1000 == 0 {
            assert!(matches!(recording.publish(), Err(Error::Disk { .. })));
        }
    }
    assert!(recording.rows_lost() > 0);
    assert!(recording.finish(end(20), Durability::PowerCut).is_err());
    assert!(!path.exists(), "nobody asked for it back");
}

#[test]
fn a_part_taken_away_takes_only_its_own_rows() {
    let (_folder, path, mut recording) = recording();
    // Enough that row groups are closed: then they stand on disk alone.
    for tick in 0..600 {
        recording.take(&processes(tick, 100)).unwrap();
    }
    recording.publish().unwrap();
    let parts = Timeline::open(&path).unwrap().table("process").unwrap().parts;
    fs::remove_file(path.join(format!("process/{:06}.parquet", parts - 1))).unwrap();
    for tick in 600..700 {
        recording.take(&processes(tick, 100)).unwrap();
    }
    recording.publish().unwrap();
    let timeline = Timeline::open(&path).unwrap();
    let frame = timeline.frame("process", &barograph_store::Query::all().columns(["pid"])).unwrap();
    let mut rows: Vec<_> = frame.times().iter().zip(frame.ints("pid")).collect();
    assert!(frame.times().ends_with(&[common::at(699).utc_nanos; 100]), "what came later is there");
    let all = rows.len();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), all, "and no row twice");
}
