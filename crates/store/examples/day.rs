//! A day at 1 s in as little time as it takes:
//! `cargo run --release -p barograph-store --example day -- [PROCESSES [TICKS [BIRTHS [EVERY [FOLDER.baro]]]]]`, by default 200 processes, 86,400 ticks,
//! one birth and death a minute, and a publish every 10 ticks. Prints for each 24th of it the memory, the files, the bytes, and what a publish cost, and
//! at the end what a row takes on disk. The recording is kept if its folder is named; else it is in $TMPDIR, and a folder in memory leaves the disk out of it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

#[path = "../tests/day/mod.rs"]
mod day;
mod own;

use std::path::{Path, PathBuf};
use std::time::Duration;

use barograph_model::{Moment, Sink};
use barograph_store::{End, Options, Recording, Timeline};
use day::Day;
use own::{cpu, status_kib};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (processes, ticks, births, every) = (number(0, 200), number(1, 86_400), number(2, 1), number(3, 10));
    let kept = arguments.get(4).map(PathBuf::from);
    let folder = kept.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("day-{}.baro", std::process::id())));
    let mut recording = Recording::create(&folder, Day::facts(), Options { force: true, ..Options::default() }).unwrap();
    let (mut day, mut last) = (Day::new(processes, births), Moment::default());
    let hour = (ticks / 24).max(every);
    println!("{processes} processes, {births} births a minute, {ticks} ticks, a publish every {every}; a line every {hour} ticks");
    println!("  ticks      born  RSS KiB  anonymous KiB  files        bytes    written MB  publish CPU ms  worst  tick CPU ms");
    let (mut ticking, mut publishes): (Duration, Vec<Duration>) = (Duration::ZERO, Vec::new());
    for tick in 1..=ticks {
        let before = cpu();
        last = day.tick(&mut recording);
        ticking += cpu() - before;
        if tick.is_multiple_of(every) {
            let before = cpu();
            recording.publish().unwrap();
            publishes.push(cpu() - before);
        }
        if tick.is_multiple_of(hour) {
            let (files, bytes) = files(&folder);
            let (mean, worst) =
                (millis(publishes.iter().sum()) / publishes.len() as f64, millis(publishes.iter().max().copied().unwrap_or_default()));
            let a_tick = millis(ticking) / hour as f64;
            let (rss, anonymous, written) = (status_kib("VmRSS"), status_kib("RssAnon"), recording.bytes_written() as f64 / 1e6);
            println!("{tick:7} {:9} {rss:8} {anonymous:14} {files:6} {bytes:12} {written:13.1} {mean:15.2} {worst:6.1} {a_tick:12.3}", day.born());
            (ticking, publishes) = (Duration::ZERO, Vec::new());
        }
    }
    let end = End { utc_nanos: last.utc_nanos, monotonic_nanos: last.monotonic_nanos, reason: "exited".to_owned(), ..End::default() };
    let durability = recording.durability_of(&end);
    recording.finish(end, durability).unwrap();
    println!("peak RSS {} KiB, rows lost {}", status_kib("VmHWM"), recording.rows_lost());
    for table in Timeline::open(&folder).unwrap().tables().unwrap() {
        let a_row = table.bytes as f64 / table.rows as f64;
        println!("{:9} {:9} rows, {:4} parts, {:11} bytes, {a_row:7.2} a row", table.name, table.rows, table.parts, table.bytes);
    }
    if kept.is_none() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

fn files(folder: &Path) -> (u64, u64) {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        let (files, bytes) = if metadata.is_dir() { files(&entry.path()) } else { (1, metadata.len()) };
        sum = (sum.0 + files, sum.1 + bytes);
    }
    sum
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
