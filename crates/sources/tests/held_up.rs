//! A reading that is held up in its midst: files of a fake machine are pipes, at which it waits for as long as the test wants.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use barograph_model::Moment;
use barograph_sources::{Machine, ProcessSource, Roots, Scope, Select, Source, Watch};
use rustix::fs::{CWD, FileType, Mode, mknodat};

const HELD_UP: Duration = Duration::from_millis(200);

/// What a process of the job has used, in ticks.
fn stat(pid: u32, parent: u32, ticks: u32) -> String {
    format!("{pid} (job) S {parent} 100 100 0 -1 0 10 0 0 0 {ticks} 0 0 0 20 0 1 0 100 4096 2\n")
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn what_was_read_in_two_times_gives_way_to_a_reading_of_one() {
    let place = tempfile::tempdir().unwrap();
    let [parent, child] = ["proc/100", "proc/200"].map(|folder| place.path().join(folder));
    fs::create_dir_all(&parent).unwrap();
    fs::write(parent.join("stat"), stat(100, 1, 10)).unwrap();
    let root = |name| place.path().join(name);
    let mut machine = Machine::open(Roots { proc: root("proc"), sys: root("sys"), etc: root("etc"), mounts: root("mounts") }).unwrap();
    machine.ticks_per_second = 100;
    let watch = Watch { roots: vec![100], adopts: false, scope: Scope::Tree, select: Select::Everyone };
    let mut source = ProcessSource::open(&Arc::new(machine), watch).unwrap();
    let begin = Moment { utc_nanos: 1_000_000_000, monotonic_nanos: 1_000_000_000 };
    source.read(begin).unwrap();
    source.each_batch(&mut |batch| batch.clear());

    // A child is born. What is opened of it comes after its parent was read.
    fs::create_dir(&child).unwrap();
    fs::write(child.join("stat"), stat(200, 100, 0)).unwrap();
    let [first, second] = ["io", "status"].map(|name| child.join(name));
    [&first, &second].into_iter().for_each(|path| pipe(path));
    let hold = thread::spawn(move || {
        // Whoever opens a pipe waits for the other end, so the reading has come as far as here.
        drop(File::create(first).unwrap());
        fs::write(parent.join("stat"), stat(100, 1, 70)).unwrap();
        thread::sleep(HELD_UP);
        let waiting = second.with_extension("held");
        fs::rename(&second, &waiting).unwrap();
        fs::write(second, "VmHWM:\t8 kB\n").unwrap();
        drop(File::create(waiting).unwrap());
    });
    let tick = begin.monotonic_nanos + 20_000_000;
    // On a slow machine the first listing may have been too dear for another so soon.
    source.list_anew();
    source.read(Moment { monotonic_nanos: tick, ..begin }).unwrap();
    hold.join().unwrap();

    let mut rows = Vec::new();
    source.each_batch(&mut |batch| {
        let (times, pids, used) = (batch.monotonic_nanos(), batch.column("pid"), batch.column("user_seconds"));
        rows.extend(
            (0..batch.len()).map(|row| (batch.table().name, pids.and_then(|pids| pids.int(row)), times[row], used.and_then(|used| used.float(row)))),
        );
    });
    rows.retain(|(table, ..)| ["job", "process"].contains(table));
    let seen: Vec<_> = rows.iter().map(|(table, pid, _, used)| (*table, *pid, *used)).collect();
    assert_eq!(seen, [("job", None, Some(0.7)), ("process", Some(100), Some(0.7)), ("process", Some(200), Some(0.0))]);
    let nanos = i64::try_from(HELD_UP.as_nanos()).unwrap();
    assert!(rows.iter().all(|(_, _, time, _)| *time >= tick + nanos), "{rows:?}");
}

#[test]
fn who_ends_in_the_midst_of_a_reading_is_not_said_to_be_unreadable() {
    let place = tempfile::tempdir().unwrap();
    let folders = ["proc/100", "proc/150", "proc/160", "proc/200"].map(|folder| place.path().join(folder));
    for (folder, (pid, parent)) in folders.iter().zip([(100, 1), (150, 100), (160, 100), (200, 100)]) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("stat"), stat(pid, parent, 1)).unwrap();
    }
    let [_, first, second, ends] = folders;
    let [first, second] = [first, second].map(|folder| folder.join("io"));
    [&first, &second].into_iter().for_each(|path| pipe(path));
    let root = |name| place.path().join(name);
    let mut machine = Machine::open(Roots { proc: root("proc"), sys: root("sys"), etc: root("etc"), mounts: root("mounts") }).unwrap();
    machine.ticks_per_second = 100;
    let watch = Watch { roots: vec![100], adopts: false, scope: Scope::Tree, select: Select::Everyone };
    let mut source = ProcessSource::open(&Arc::new(machine), watch).unwrap();
    let hold = thread::spawn(move || {
        drop(File::create(first).unwrap());
        // Everybody's `stat` was read, and the reading has come as far as the second pipe or will wait there.
        fs::remove_dir_all(ends).unwrap();
        drop(File::create(second).unwrap());
    });
    source.read(Moment { utc_nanos: 1_000_000_000, monotonic_nanos: 1_000_000_000 }).unwrap();
    hold.join().unwrap();

    let mut told = Vec::new();
    source.each_batch(&mut |batch| told.extend(batch.column("unreadable").and_then(|unreadable| unreadable.int(0))));
    assert_eq!(told, [3], "one living process has no such file, and those of two can't be read");
}
