//! The BPF iterator against /proc: every column of every process of the machine that runs the tests, and of some that we start to be difficult.
//!
//! Where BPF is not allowed there is nothing to compare: the tests say so and pass.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a test panics, and says what it left out")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use barograph_model::{Batch, Moment, Physical};
use barograph_sources::{Machine, ProcessSource, Roots, Scope, Select, Source, Watch};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// What is divided, and whose sum is exact: in whole milliseconds each.
const DIVIDED: [&str; 2] = ["user_seconds", "system_seconds"];

/// Columns that never fall, but those.
const COUNTERS: [&str; 11] = [
    "children_user_seconds",
    "children_system_seconds",
    "minor_faults",
    "major_faults",
    "read_bytes",
    "written_bytes",
    "read_calls",
    "write_calls",
    "storage_read_bytes",
    "storage_written_bytes",
    "storage_cancelled_bytes",
];

/// The other columns of stat. The rest of a row comes from other files whichever way is taken; pid and start are what rows are compared by.
const LEVELS: [&str; 6] = ["state", "threads", "resident_bytes", "virtual_size_bytes", "core", "nice"];

/// A clock tick of /proc, and what rounding down user and system time may take of their sum.
const TICK: f64 = 0.01;
const ROUNDED: f64 = 0.0021;

type Row = BTreeMap<String, String>;
type Rows = BTreeMap<(u64, u64), Row>;

/// A source of all processes, and its clock.
struct Reader {
    source: ProcessSource,
    second: i64,
}

impl Reader {
    fn open() -> Reader {
        let machine = Arc::new(Machine::open(Roots::default()).unwrap());
        let watch = Watch { roots: Vec::new(), adopts: false, scope: Scope::Machine, select: Select::Everyone };
        Reader { source: ProcessSource::open(&machine, watch).unwrap(), second: 0 }
    }

    /// One that uses the iterator; `None` where there is none, which is said.
    fn fast() -> Option<Reader> {
        let mut reader = Reader::open();
        reader.source.allow_fast();
        let end = Instant::now() + Duration::from_secs(60);
        while reader.source.fast_served() == 0 {
            assert!(Instant::now() < end, "the iterator is never used: {}", reader.source.fast_status());
            reader.read();
            match reader.source.fast_status().as_str() {
                "ok" | "not ready yet" => sleep(Duration::from_millis(10)),
                "not needed" if reader.second < 10 => {}
                why => {
                    eprintln!("skipped: no BPF iterator here: {why}");
                    return None;
                }
            }
        }
        Some(reader)
    }

    fn read(&mut self) -> Rows {
        self.read_both().0
    }

    /// The rows of `process`, and those of `processes`, which come only with news.
    fn read_both(&mut self) -> (Rows, Vec<Row>) {
        self.second += 1;
        // A second each time, so that a dear listing is no reason to do without at the next.
        let nanos = self.second * 1_000_000_000;
        self.source.read(Moment { utc_nanos: nanos, monotonic_nanos: nanos }).unwrap();
        let (mut rows, mut news) = (Rows::new(), Vec::new());
        self.source.each_batch(&mut |batch| {
            let read = (0..batch.len()).map(|row| row_of(batch, row));
            match batch.table().name {
                "process" => rows.extend(read.map(|row| ((whole(&row, "pid"), whole(&row, "start_ticks")), row))),
                "processes" => news.extend(read),
                _ => {}
            }
            batch.clear();
        });
        (rows, news)
    }

    /// The row of the only living process of this pid.
    fn row(&mut self, pid: u32) -> Row {
        self.read().into_iter().find(|(key, _)| key.0 == u64::from(pid)).unwrap().1
    }
}

fn row_of(batch: &Batch, row: usize) -> Row {
    let cells = batch.table().metrics.iter().zip(batch.columns()).filter_map(|(metric, column)| {
        let value = match metric.physical {
            Physical::Int => column.int(row)?.to_string(),
            Physical::Float => column.float(row)?.to_string(),
            Physical::Text => column.text(row)?.to_owned(),
        };
        Some((metric.column(), value))
    });
    cells.collect()
}

fn whole(row: &Row, column: &str) -> u64 {
    row[column].parse().unwrap()
}

fn decimal(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap()
}

fn cpu(row: &Row) -> f64 {
    DIVIDED.iter().map(|column| decimal(row, column)).sum()
}

/// Processes in a group of their own that end with us.
struct Crowd {
    first: Child,
    from: BufReader<ChildStdout>,
}

impl Crowd {
    fn start(command: &mut Command) -> Crowd {
        let mut first = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
        let from = BufReader::new(first.stdout.take().unwrap());
        let mut crowd = Crowd { first, from };
        crowd.hear("ready");
        crowd
    }

    /// So many that the iterator is worth it, and among them one that has ended and is not collected.
    fn of_sleepers() -> Crowd {
        let script = "i=0; while [ $i -lt 120 ]; do sleep 900 >/dev/null & i=$((i+1)); done; sh -c 'true & echo ready; exec sleep 900'";
        Crowd::start(Command::new("sh").args(["-c", script]))
    }

    /// This very program, running [`burner`].
    fn of_threads() -> Crowd {
        Crowd::start(Command::new(std::env::current_exe().unwrap()).args(["--ignored", "--exact", "burner", "--nocapture"]))
    }

    fn say(&mut self, text: &str) {
        writeln!(self.first.stdin.as_mut().unwrap(), "{text}").unwrap();
    }

    fn hear(&mut self, expected: &str) {
        let mut line = String::new();
        while line.trim() != expected {
            line.clear();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "it ended without saying {expected}");
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.first), Signal::KILL);
        let _ = self.first.wait();
    }
}

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Uses CPU time, pages, and calls that read and write.
fn work(rounds: usize) {
    for _ in 0..rounds {
        let pages = std::hint::black_box(vec![1u8; 1 << 20]);
        File::options().write(true).open("/dev/null").unwrap().write_all(&pages).unwrap();
        File::open("/dev/zero").unwrap().read_exact(&mut [0; 4096]).unwrap();
    }
}

/// No test, but a process to look at: does what it is told on its standard input. Started without one, it ends.
#[test]
#[ignore = "the other tests start it"]
fn burner() {
    let (mut threads, mut done) = (Vec::new(), Arc::new(Barrier::new(1)));
    println!("\nready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        match line.split_once(' ').unwrap_or((&line, "0")) {
            // So many threads that work so many rounds, and then wait until they may end.
            ("burn", numbers) => {
                let (count, rounds) = numbers.split_once(' ').unwrap();
                let (count, rounds): (usize, usize) = (count.parse().unwrap(), rounds.parse().unwrap());
                let worked = Arc::new(Barrier::new(count + 1));
                done = Arc::new(Barrier::new(count + 1));
                for _ in 0..count {
                    let (worked, done) = (Arc::clone(&worked), Arc::clone(&done));
                    threads.push(std::thread::spawn(move || {
                        work(rounds);
                        worked.wait();
                        done.wait();
                    }));
                }
                worked.wait();
            }
            ("end", _) => {
                done.wait();
                threads.drain(..).for_each(|thread| thread.join().unwrap());
            }
            // Threads that come, work and go without an end.
            ("churn", _) => {
                for _ in 0..8 {
                    std::thread::spawn(|| {
                        loop {
                            std::thread::spawn(|| work(1)).join().unwrap();
                        }
                    });
                }
            }
            _ => panic!("{line}"),
        }
        println!("\ndone");
    }
}

/// Compares a row of the iterator with those that /proc gave before and after it.
#[derive(Default)]
struct Comparison {
    equal: usize,
    between: usize,
    /// CPU times that are those of /proc.
    cpu: usize,
    wrong: Vec<String>,
    /// By process and column: how often a level was the same before and after, and how often the iterator told another.
    levels: BTreeMap<(u64, &'static str), (u32, u32)>,
}

impl Comparison {
    fn add(&mut self, before: &Row, now: &Row, after: &Row) {
        let pid = whole(now, "pid");
        for column in COUNTERS {
            let cells = [before, now, after].map(|row| row.get(column));
            // A process whose file may not be read has no such cells, and the iterator may not know better.
            let [Some(least), Some(told), Some(most)] = cells.map(|cell| cell.map(|cell| cell.parse::<f64>().unwrap())) else {
                if cells != [None; 3] {
                    self.wrong.push(format!("{pid} {column}: {cells:?}"));
                }
                continue;
            };
            match told {
                _ if least <= told && told <= most => *if least == most { &mut self.equal } else { &mut self.between } += 1,
                _ => self.wrong.push(format!("{pid} {column}: {cells:?}")),
            }
        }
        // The sum is the kernel's own count. It is divided by what is known of that: here by nanoseconds, and in /proc by whole ticks of each part.
        let (least, told, most) = (cpu(before), cpu(now), cpu(after));
        let is_sum = least - ROUNDED < told && told < most + ROUNDED;
        let is_division = DIVIDED.iter().all(|column| {
            let [least, told, most] = [before, now, after].map(|row| decimal(row, column));
            least - 2.0 * TICK <= told && told <= most + 2.0 * TICK
        });
        if is_sum && is_division {
            self.cpu += 1;
        } else {
            self.wrong.push(format!("{pid} CPU time: {:?}", [before, now, after].map(|row| DIVIDED.map(|column| decimal(row, column)))));
        }
        for column in LEVELS {
            if before[column] == after[column] {
                let (compared, differed) = self.levels.entry((pid, column)).or_default();
                *compared += 1;
                *differed += u32::from(before[column] != now[column]);
            }
        }
    }

    /// What is not as it should be. A process may have been awake just while the iterator came by, or have taken and given back a page: a level is wrong if it
    /// was another each time, or if many were.
    fn end(mut self) -> Vec<String> {
        let (compared, differed) = self.levels.values().fold((0, 0), |sum, level| (sum.0 + level.0, sum.1 + level.1));
        eprintln!(
            "counters: {} equal, {} between; {} CPU times; levels: {differed} of {compared} changed meanwhile",
            self.equal, self.between, self.cpu
        );
        let often = self.levels.iter().filter(|(_, (compared, differed))| differed == compared && *compared > 5);
        self.wrong.extend(often.map(|((pid, column), times)| format!("{pid} {column}: (compared, differed) {times:?}")));
        if differed * 20 > compared {
            self.wrong.push(format!("{differed} of {compared} levels differ"));
        }
        self.wrong
    }
}

#[test]
fn every_column_of_every_process_is_what_proc_says() {
    let _alone = alone();
    let (_crowd, mut burner) = (Crowd::of_sleepers(), Crowd::of_threads());
    burner.say("burn 20 100");
    burner.hear("done");
    let Some(mut fast) = Reader::fast() else { return };
    let mut zombie = Command::new("true").spawn().unwrap();
    let mut slow = Reader::open();
    slow.read();
    let mut comparison = Comparison::default();
    let (mut states, mut threads, mut served) = (BTreeSet::new(), 0, Vec::new());
    for _ in 0..20 {
        let (before, now, after) = (slow.read(), fast.read(), slow.read());
        served.push((fast.source.fast_served() as usize, now.len()));
        for (key, now) in &now {
            if let (Some(before), Some(after)) = (before.get(key), after.get(key)) {
                comparison.add(before, now, after);
            }
            states.insert(now["state"].clone());
            threads = threads.max(whole(now, "threads"));
        }
    }
    // Who has just come is read from /proc, and on a busy machine that may be many at once; not each time.
    assert!(served.iter().any(|(served, all)| *served > 100 && served * 10 > all * 8), "{served:?}: {}", fast.source.fast_status());
    zombie.wait().unwrap();
    let wrong = comparison.end();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(["S", "Z"].iter().all(|state| states.contains(*state)) && threads > 20, "too easy: {states:?}, {threads} threads");
}

#[test]
fn what_ended_threads_used_stays_in_the_sum() {
    let _alone = alone();
    let (_crowd, mut burner) = (Crowd::of_sleepers(), Crowd::of_threads());
    let Some(mut fast) = Reader::fast() else { return };
    let mut slow = Reader::open();
    let pid = burner.first.id();
    let mut told = Vec::new();
    for order in ["burn 20 100", "end"] {
        burner.say(order);
        burner.hear("done");
        // A moment at rest, in which nobody runs and nobody is still on the way out.
        let at_rest = |row: &Row| LEVELS.iter().chain(&COUNTERS).map(|column| row[*column].clone()).collect::<Vec<_>>();
        let row = (0..200).find_map(|_| {
            sleep(Duration::from_millis(10));
            let (before, now, after) = (slow.row(pid), fast.row(pid), slow.row(pid));
            let settled = (whole(&after, "threads") < 5) == (order == "end");
            (settled && at_rest(&before) == at_rest(&after)).then_some((now, after))
        });
        let (now, after) = row.expect("the process never rests");
        assert_eq!(at_rest(&now), at_rest(&after), "{LEVELS:?} {COUNTERS:?} after {order}");
        assert!((cpu(&now) - cpu(&after)).abs() < ROUNDED, "{} and {} s after {order}", cpu(&now), cpu(&after));
        told.push(now);
    }
    assert!(cpu(&told[0]) > 2.0 * TICK && cpu(&told[1]) >= cpu(&told[0]), "{} then {}", cpu(&told[0]), cpu(&told[1]));
    assert!(whole(&told[0], "threads") > 20);
}

#[test]
fn it_is_made_ready_only_for_many_processes_and_not_at_once() {
    let _alone = alone();
    let _crowd = Crowd::of_sleepers();
    if Reader::fast().is_none() {
        return;
    }
    let mut reader = Reader::open();
    reader.source.allow_fast();
    let mut read = |milli: i64| {
        let nanos = 1_000_000_000_000 + milli * 1_000_000;
        reader.source.read(Moment { utc_nanos: nanos, monotonic_nanos: nanos }).unwrap();
        reader.source.fast_status()
    };
    // Nobody is known before the first reading, and the next but one is the first that comes a second after there were many.
    assert_eq!([0, 10, 900, 1009].map(&mut read), ["not needed"; 4]);
    assert_eq!(read(1010), "not ready yet");
}

#[test]
fn no_counter_falls_while_threads_come_and_go() {
    let _alone = alone();
    let (_crowd, mut burner) = (Crowd::of_sleepers(), Crowd::of_threads());
    let Some(mut fast) = Reader::fast() else { return };
    burner.say("churn");
    burner.hear("done");
    let pid = burner.first.id();
    let mut before = fast.row(pid);
    let begin = decimal(&before, "written_bytes");
    for _ in 0..150 {
        let now = fast.row(pid);
        for column in COUNTERS.into_iter().chain(DIVIDED) {
            assert!(decimal(&before, column) <= decimal(&now, column), "{column} fell from {} to {}", before[column], now[column]);
        }
        before = now;
    }
    assert!(decimal(&before, "written_bytes") > begin, "it did nothing");
}

#[test]
fn a_reading_amid_threads_that_end_has_each_of_them_once() {
    let _alone = alone();
    let (_crowd, mut burner) = (Crowd::of_sleepers(), Crowd::of_threads());
    let Some(mut fast) = Reader::fast() else { return };
    let pid = burner.first.id();
    for round in 0..20 {
        burner.say("burn 200 1");
        burner.hear("done");
        let written = whole(&fast.row(pid), "written_bytes");
        burner.say("end");
        // All work is done: while the threads end, nothing comes and nothing may go but the word that they have ended.
        for _ in 0..10 {
            let told = whole(&fast.row(pid), "written_bytes");
            assert!((written..written + 4096).contains(&told), "round {round}: {told} in place of {written}");
        }
        burner.hear("done");
    }
}

#[test]
fn who_comes_and_goes_is_seen_at_once_though_proc_is_seldom_listed() {
    let _alone = alone();
    let _crowd = Crowd::of_sleepers();
    let Some(mut fast) = Reader::fast() else { return };
    // Longer than from one listing to the next, which is a minute.
    for reading in 0..12 {
        fast.second += 8;
        let crowd = Crowd::start(Command::new("sh").args(["-c", "echo ready; exec sleep 900"]));
        let pid = u64::from(crowd.first.id());
        let (rows, news) = fast.read_both();
        assert!(fast.source.fast_served() > 100, "{}", fast.source.fast_status());
        assert!(rows.keys().any(|key| key.0 == pid), "reading {reading}: nobody has seen it come");
        assert!(news.iter().any(|row| whole(row, "pid") == pid && row["change"] == "seen"), "reading {reading}");
        drop(crowd);
        let (rows, news) = fast.read_both();
        assert!(!rows.keys().any(|key| key.0 == pid), "reading {reading}: it has a row and is gone");
        assert!(news.iter().any(|row| whole(row, "pid") == pid && row["change"] == "gone"), "reading {reading}");
    }
    // Whom the iterator passes over, as some kernels hide processes from it, is there all the same.
    assert!(fast.read().keys().any(|key| key.0 == 1));
}

#[test]
fn a_new_program_and_a_new_session_are_noticed() {
    let _alone = alone();
    let _crowd = Crowd::of_sleepers();
    // The child is no leader of its group, so setsid(1) need not fork to give it a session.
    let script = "exec 3<&0; sh -c 'echo ready; read go; exec setsid sleep 901' <&3 & wait";
    let mut shell = Crowd::start(Command::new("sh").args(["-c", script]));
    let parent = shell.first.id().to_string();
    let Some(mut fast) = Reader::fast() else { return };
    let is_it = |row: &Row| row["name"] == "sh" && row.get("parent_pid") == Some(&parent);
    let mut other = Reader::open();
    let seen = other.read_both().1.into_iter().find(is_it).unwrap();
    let pid = whole(&seen, "pid");
    // The second look at everyone is over.
    fast.read();
    fast.read();
    shell.say("go");
    let end = Instant::now() + Duration::from_secs(120);
    let changed = loop {
        let (_, news) = fast.read_both();
        assert!(fast.source.fast_served() > 100);
        if let Some(row) = news.into_iter().find(|row| whole(row, "pid") == pid && row["name"] == "sleep") {
            break row;
        }
        assert!(Instant::now() < end, "nobody noticed");
        sleep(Duration::from_millis(20));
    };
    // It has left the group that ends with us.
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    assert_eq!((changed["change"].as_str(), changed["command_line"].as_str()), ("changed", "sleep 901"));
    assert_eq!((changed["session_pid"].as_str(), changed["group_pid"].as_str()), (pid.to_string().as_str(), pid.to_string().as_str()));
    assert_ne!(seen["session_pid"], changed["session_pid"], "it had that session before");
}
