//! A day at 1 s in as little time as it takes: `day [PROCESSES [TICKS [BIRTHS [FOLDER]]]]`, by default 200 processes, 86,400 ticks and one birth and death a
//! tick. Prints for each simulated hour the memory, the files, the bytes, and what a publish cost. A folder in memory leaves the disk out of it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

#[path = "../tests/day/mod.rs"]
mod day;

use std::path::{Path, PathBuf};
use std::time::Duration;

use barograph_model::Sink;
use barograph_store::{Durability, End, Facts, Options, Recording};
use day::Day;

const PUBLISH_EVERY: u64 = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (processes, ticks, births) = (number(0, 200), number(1, 86_400), number(2, 1));
    let folder = arguments.get(3).map_or_else(std::env::temp_dir, PathBuf::from).join(format!("day-{}.baro", std::process::id()));
    let mut recording = Recording::create(&folder, Facts::default(), Options::default()).unwrap();
    let mut day = Day::new(processes, births);
    let hour = (ticks / 24).max(PUBLISH_EVERY);
    println!("{processes} processes, {births} births a tick, {ticks} ticks, a publish every {PUBLISH_EVERY}; a line every {hour} ticks");
    println!("  ticks      born  RSS KiB  anonymous KiB  files        bytes    written MB  publish CPU ms  worst  take CPU ms a tick");
    let (mut taking, mut publishes): (Duration, Vec<Duration>) = (Duration::ZERO, Vec::new());
    for tick in 1..=ticks {
        let before = cpu();
        day.tick(&mut recording);
        taking += cpu() - before;
        if tick % PUBLISH_EVERY == 0 {
            let before = cpu();
            recording.publish().unwrap();
            publishes.push(cpu() - before);
        }
        if tick % hour == 0 {
            let (files, bytes) = files(&folder);
            let (mean, worst) =
                (millis(publishes.iter().sum()) / publishes.len() as f64, millis(publishes.iter().max().copied().unwrap_or_default()));
            let take = millis(taking) / hour as f64;
            let (rss, anonymous, written) = (status("VmRSS"), status("RssAnon"), recording.bytes_written() as f64 / 1e6);
            println!("{tick:7} {:9} {rss:8} {anonymous:14} {files:6} {bytes:12} {written:13.1} {mean:15.2} {worst:6.1} {take:8.3}", day.born());
            (taking, publishes) = (Duration::ZERO, Vec::new());
        }
    }
    let at = day.at();
    recording.finish(End { utc_nanos: at.utc_nanos, monotonic_nanos: at.monotonic_nanos, ..End::default() }, Durability::PowerCut).unwrap();
    println!("peak RSS {} KiB, rows lost {}", status("VmHWM"), recording.rows_lost());
    std::fs::remove_dir_all(&folder).unwrap();
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

fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec as u32)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
