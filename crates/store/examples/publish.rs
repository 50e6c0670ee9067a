//! Measures the writer: `cargo run --release -p barograph-store --example publish -- [PROCESSES [TICKS [FOLDER [PAUSE]]]]`.
//! A folder keeps the recording; a pause, in milliseconds after each publish, gives readers beside it a fair chance.
//!
//! Rows like those of a real recording: a table of one row a tick, and one of processes of which a tenth works, half sleeps for good and the rest
//! stirs now and then. Prints what publishing costs early and late, what a row takes on disk, and the memory of it all.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use barograph_model::{Bytes, Count, Counter, Described, Gauge, Id, Level, Moment, Rows, Seconds, Sink, Text, table};
use barograph_store::{End, Facts, Options, Query, Recording, Timeline};

table! {
    /// Processes.
    Process = "process" in "/proc" {
        key {
            /// Process id.
            pid: Id = "pid",
            /// Start in ticks since boot.
            start_ticks: Id = "start",
        }
        /// Parent.
        parent: Id = "ppid",
        /// State.
        state: Text = "state",
        /// Threads.
        threads: Gauge<Count> = "threads",
        /// Niceness.
        nice: Gauge<Level> = "nice",
        /// Core.
        core: Id = "core",
        /// CPU time outside the kernel.
        user: Counter<Seconds> = "utime",
        /// CPU time in the kernel.
        system: Counter<Seconds> = "stime",
        /// Memory in RAM.
        resident: Gauge<Bytes> = "rss",
        /// Memory that is mapped.
        virtual_size: Gauge<Bytes> = "vsize",
        /// Shared memory.
        shared: Gauge<Bytes> = "shared",
        /// Anonymous memory.
        anonymous: Gauge<Bytes> = "anon",
        /// Swapped memory.
        swapped: Gauge<Bytes> = "swap",
        /// Most memory so far.
        peak_resident: Gauge<Bytes> = "hwm",
        /// Minor faults.
        minor_faults: Counter<Count> = "minflt",
        /// Major faults.
        major_faults: Counter<Count> = "majflt",
        /// Voluntary switches.
        voluntary: Counter<Count> = "vol",
        /// Involuntary switches.
        involuntary: Counter<Count> = "invol",
        /// Bytes read.
        read: Counter<Bytes> = "rchar",
        /// Bytes written.
        written: Counter<Bytes> = "wchar",
        /// Calls of read.
        read_calls: Counter<Count> = "syscr",
        /// Calls of write.
        write_calls: Counter<Count> = "syscw",
        /// Bytes read from storage.
        storage_read: Counter<Bytes> = "read_bytes",
        /// Bytes written to storage.
        storage_written: Counter<Bytes> = "write_bytes",
        /// Open files.
        open_files: Gauge<Count> = "fds",
        /// Waiting for devices.
        io_delay: Counter<Seconds> = "blkio",
        /// Waiting for a core.
        run_delay: Counter<Seconds> = "schedstat",
    }
}

macro_rules! one_row_tables {
    ($($Table:ident $name:literal)+) => {$(
        table! {
            /// A table of one row a tick.
            $Table = $name in "/proc" {
                /// A.
                a: Counter<Bytes> = "a",
                /// B.
                b: Counter<Bytes> = "b",
                /// C.
                c: Counter<Count> = "c",
                /// D.
                d: Gauge<Bytes> = "d",
                /// E.
                e: Gauge<Bytes> = "e",
                /// F.
                f: Gauge<Count> = "f",
                /// G.
                g: Counter<Seconds> = "g",
                /// H.
                h: Counter<Seconds> = "h",
                /// I.
                i: Counter<Count> = "i",
                /// J.
                j: Counter<Count> = "j",
                /// K.
                k: Gauge<Bytes> = "k",
                /// L.
                l: Gauge<Bytes> = "l",
                /// M.
                m: Gauge<Bytes> = "m",
                /// N.
                n: Gauge<Bytes> = "n",
                /// O.
                o: Gauge<Bytes> = "o",
                /// P.
                p: Gauge<Bytes> = "p",
                /// Q.
                q: Gauge<Bytes> = "q",
                /// R.
                r: Gauge<Bytes> = "r",
                /// S.
                s: Gauge<Bytes> = "s",
                /// T.
                t: Gauge<Bytes> = "t",
            }
        }
    )+

    fn one_row(name: usize, at: Moment, random: &mut Random) -> barograph_model::Batch {
        let mut number = 0;
        $(
            if number == name {
                let mut rows = Rows::<$Table>::new();
                let seconds = at.monotonic_nanos as u64 / 1_000_000_000;
                let mut row = rows.row(at);
                for (index, metric) in $Table::TABLE.metrics.iter().enumerate() {
                    if metric.physical == barograph_model::Physical::Int {
                        row.set_int(index, 1_000_000 * index as u64 + seconds * 4096 * index as u64 + random.below(64) * 4096);
                    }
                }
                row.set($Table::g, seconds as f64 * 0.31).set($Table::h, (random.below(100) + seconds * 100) as f64 / 100.0);
                return rows.clone();
            }
            number += 1;
        )+
        unreachable!("there are {number} tables");
    }
    const ONE_ROW_TABLES: usize = [$($name),+].len();
    };
}

one_row_tables!(Cpu "cpu" System "system" Memory "memory" Pressure "pressure" Disk "disk" Network "network" Tcp "tcp" Own "own");

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[derive(Clone, Default)]
struct Work {
    user: u64,
    resident: u64,
    counters: [u64; 6],
}

fn stir(work: &mut Work, pid: usize, random: &mut Random) {
    let acts = match pid % 20 {
        0 | 1 => true,
        2..=10 => random.below(20) == 0,
        _ => false,
    };
    if acts {
        work.user += random.below(100);
        work.resident = work.resident.saturating_add(random.below(40)).saturating_sub(random.below(39));
        work.counters.iter_mut().for_each(|counter| *counter += random.below(3000));
    }
}

fn processes(rows: &mut Rows<Process>, works: &mut [Work], at: Moment, random: &mut Random) {
    rows.clear();
    for (pid, work) in works.iter_mut().enumerate() {
        stir(work, pid, random);
        let resident = (1000 + pid as u64 * 7 + work.resident) * 4096;
        rows.row(at)
            .set(Process::pid, 1000 + pid as u64 * 3)
            .set(Process::start_ticks, 777_000 + pid as u64 * 11)
            .set(Process::parent, 1000)
            .text(Process::state, if work.user % 3 == 1 { &b"R"[..] } else { b"S" })
            .set(Process::threads, 1 + pid as u64 % 5)
            .set(Process::nice, 0)
            .set(Process::core, work.user % 16)
            .set(Process::user, work.user as f64 / 100.0)
            .set(Process::system, (work.user / 5) as f64 / 100.0)
            .set(Process::resident, resident)
            .set(Process::virtual_size, resident * 5)
            .set(Process::shared, 4096 * 300)
            .set(Process::anonymous, resident - 4096 * 300)
            .set(Process::swapped, 0)
            .set(Process::peak_resident, 4096 * 5000 + pid as u64)
            .set(Process::minor_faults, work.counters[0])
            .set(Process::major_faults, 3)
            .set(Process::voluntary, work.counters[1])
            .set(Process::involuntary, work.counters[1] / 9)
            .set(Process::read, work.counters[2] * 111)
            .set(Process::written, work.counters[3] * 77)
            .set(Process::read_calls, work.counters[2])
            .set(Process::write_calls, work.counters[3])
            .set(Process::storage_read, (pid % 4 != 3).then_some(work.counters[4] * 4096))
            .set(Process::storage_written, (pid % 4 != 3).then_some(work.counters[5] * 4096))
            .set(Process::open_files, 12)
            .set(Process::io_delay, None)
            .set(Process::run_delay, work.user as f64 / 1234.0);
    }
}

fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

fn memory() -> String {
    format!("RSS {} KiB, of that anonymous {} KiB", status("VmRSS"), status("RssAnon"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (process_count, ticks) = (number(0, 50), number(1, 6000));
    let folder = arguments.get(2).map_or_else(std::env::temp_dir, PathBuf::from).join(format!("publish-{}.baro", std::process::id()));
    println!(
        "{process_count} processes x {} columns, {ONE_ROW_TABLES} tables of one row x 20 columns, {ticks} ticks, a publish every 10",
        Process::TABLE.metrics.len()
    );
    println!("before: {}", memory());
    let begun = (Instant::now(), cpu());
    let mut recording = Recording::create(&folder, Facts::default(), Options::default()).unwrap();
    println!("create: {:.2} ms wall, {:.2} ms CPU", millis(begun.0.elapsed()), millis(cpu() - begun.1));
    let mut works = vec![Work::default(); process_count];
    let (mut random, mut rows) = (Random(1), Rows::<Process>::new());
    let mut publishes: Vec<(Duration, Duration)> = Vec::new();
    let mut takes = Duration::ZERO;
    for tick in 0..ticks {
        let jitter = random.below(90_000) as i64;
        let at = Moment {
            utc_nanos: 1_700_000_000_000_000_000 + tick as i64 * 1_000_000_000 + jitter,
            monotonic_nanos: tick as i64 * 1_000_000_000 + jitter,
        };
        processes(&mut rows, &mut works, at, &mut random);
        let singles: Vec<_> = (0..ONE_ROW_TABLES).map(|table| one_row(table, at, &mut random)).collect();
        let before = cpu();
        recording.take(&rows).unwrap();
        singles.iter().for_each(|batch| recording.take(batch).unwrap());
        takes += cpu() - before;
        if tick % 10 == 9 {
            let before = (Instant::now(), cpu());
            recording.publish().unwrap();
            publishes.push((before.0.elapsed(), cpu() - before.1));
            std::thread::sleep(Duration::from_millis(number(3, 0) as u64));
        }
        if tick == 9 || tick == ticks / 10 {
            println!("tick {tick}: {}", memory());
        }
    }
    let written = recording.bytes_written();
    let before = (Instant::now(), cpu());
    let end = End { monotonic_nanos: ticks as i64 * 1_000_000_000, ..End::default() };
    let durability = recording.durability_of(&end);
    recording.finish(end, durability).unwrap();
    println!("finish: {:.2} ms wall, {:.2} ms CPU", millis(before.0.elapsed()), millis(cpu() - before.1));
    println!("take: {:.3} ms CPU a tick", millis(takes) / ticks as f64);
    let tenth = publishes.len().div_ceil(10);
    if publishes.is_empty() {
        return std::fs::remove_dir_all(&folder).unwrap();
    }
    for (name, some) in [("first tenth", &publishes[..tenth]), ("last tenth", &publishes[publishes.len() - tenth..]), ("all", &publishes[..])] {
        let mean = |pick: fn(&(Duration, Duration)) -> Duration| millis(some.iter().map(pick).sum()) / some.len() as f64;
        let worst = some.iter().map(|both| both.1).max().unwrap();
        println!("publish, {name}: {:.2} ms wall, {:.2} ms CPU, worst {:.2} ms CPU", mean(|both| both.0), mean(|both| both.1), millis(worst));
    }
    println!("written {:.1} MB in {} publishes", written as f64 / 1e6, publishes.len());
    println!("{}, peak {} KiB", memory(), status("VmHWM"));
    let timeline = Timeline::open(&folder).unwrap();
    for table in timeline.tables().unwrap() {
        println!(
            "{}: {} rows, {} parts, {} bytes, {:.2} bytes a row",
            table.name,
            table.rows,
            table.parts,
            table.bytes,
            table.bytes as f64 / table.rows as f64
        );
    }
    let before = Instant::now();
    let life = timeline.process_life(1000 + 3 * (process_count as i64 / 2), 777_000 + 11 * (process_count as i64 / 2)).unwrap();
    println!("one process's life: {} rows in {:.1} ms", life.samples.len(), millis(before.elapsed()));
    let before = Instant::now();
    let buckets = timeline.thin("memory", "d_bytes", &Query::all(), 1000).unwrap();
    println!("thin memory.d_bytes: {} buckets in {:.1} ms", buckets.len(), millis(before.elapsed()));
    let before = Instant::now();
    let present = timeline.processes_at(1_700_000_000_000_000_000 + ticks as i64 / 2 * 1_000_000_000).unwrap();
    println!("processes of a moment: {} in {:.1} ms", present.samples.len(), millis(before.elapsed()));
    if arguments.get(2).is_none() {
        std::fs::remove_dir_all(&folder).unwrap();
    } else {
        println!("{}", folder.display());
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
