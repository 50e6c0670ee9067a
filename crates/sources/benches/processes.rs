//! What reading processes costs, beside the least that it could cost: raw preads of the same files, unparsed, in the same run.
//!
//! `cargo bench -p barograph-sources --bench processes [-- hot|cold|all [N…]]`. Hot: one reading after another. Cold: one a second, as a recorder does
//! it, where each costs several times more because caches have forgotten the processes. Compare ratios, not microseconds: machines and days differ.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench talks to a person")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use barograph_model::Moment;
use barograph_sources::{Machine, ProcessSource, Roots, Scope, Select, Source, Watch};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};
use rustix::time::{ClockId, clock_gettime};

const COLD_READINGS: usize = 9;

fn main() {
    // `cargo test --all-targets` starts benches too, without this word.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let named = |word: &str| arguments.iter().any(|argument| argument == word || argument == "all");
    let mut counts: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![100, 500, 2000];
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("load {}; CPU time of this thread, medians (least) in us for each process\n", load.trim());
    for count in counts {
        let crowd = Crowd::start(count);
        let mut methods = methods(&crowd);
        if named("hot") || !named("cold") {
            show("hot", count, &mut methods, measure_hot);
        }
        if named("cold") {
            let readings = measure_cold(&mut methods);
            let mut readings = readings.into_iter();
            show("1 Hz", count, &mut methods, |_| readings.next().unwrap());
        }
    }
}

/// So many sleeping processes, children of a shell.
struct Crowd {
    shell: Child,
    pids: Vec<u32>,
}

impl Crowd {
    fn start(count: usize) -> Crowd {
        let script = format!("i=0; while [ $i -lt {count} ]; do sleep 900 & echo $!; i=$((i+1)); done; echo; wait");
        let mut shell = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
        let lines = BufReader::new(shell.stdout.take().unwrap()).lines().map(Result::unwrap);
        let pids: Vec<u32> = lines.take_while(|line| !line.is_empty()).map(|line| line.parse().unwrap()).collect();
        sleep(Duration::from_millis(500));
        Crowd { shell, pids }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
        let _ = self.shell.wait();
    }
}

/// A way of reading, which says how many processes it has read. The clock is in seconds.
struct Method {
    name: &'static str,
    read: Box<dyn FnMut(i64) -> usize>,
}

fn methods(crowd: &Crowd) -> Vec<Method> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let files = |pid: &u32| [File::open(format!("/proc/{pid}/stat")).unwrap(), File::open(format!("/proc/{pid}/io")).unwrap()];
    let kept: Vec<[File; 2]> = crowd.pids.iter().map(files).collect();
    let paths: Vec<[String; 2]> = crowd.pids.iter().map(|pid| [format!("/proc/{pid}/stat"), format!("/proc/{pid}/io")]).collect();
    let mut methods = vec![
        Method { name: "limit: pread of kept stat, io", read: Box::new(move |_| kept.iter().map(|files| files.iter().for_each(pread)).count()) },
        Method {
            name: "limit: open, pread, close of both",
            read: Box::new(move |_| paths.iter().map(|paths| paths.iter().for_each(|path| pread(&File::open(path).unwrap()))).count()),
        },
    ];
    for (name, scope, seconds, fast) in [
        ("ProcessSource, tree, no detail", Scope::Tree, 0, false),
        ("ProcessSource, tree, a tick a second", Scope::Tree, 1, false),
        ("ProcessSource, machine, no detail", Scope::Machine, 0, false),
        ("ProcessSource, machine, a tick a second", Scope::Machine, 1, false),
        ("fast, machine, no detail", Scope::Machine, 0, true),
        ("fast, machine, a tick a second", Scope::Machine, 1, true),
    ] {
        let roots = if scope == Scope::Tree { vec![crowd.shell.id()] } else { Vec::new() };
        let machine = Arc::new(Machine::open(Roots::default()).unwrap());
        let mut source = ProcessSource::open(&machine, Watch { roots, adopts: false, scope, select: Select::Everyone }).unwrap();
        if fast && !make_ready(&mut source) {
            println!("{name}: no BPF iterator here: {}\n", source.fast_status());
            continue;
        }
        let read = move |second: i64| {
            // Listings are spaced by what they cost: a clock that stands still would do without them.
            let nanos = 1_000_000_000_000 + second * if seconds == 0 { 1_000_000 } else { 1_000_000_000 };
            source.read(Moment { utc_nanos: nanos, monotonic_nanos: nanos }).unwrap();
            let mut rows = 0;
            source.each_batch(&mut |batch| {
                rows += if batch.table().name == "process" { batch.len() } else { 0 };
                batch.clear();
            });
            rows
        };
        methods.push(Method { name, read: Box::new(read) });
    }
    methods
}

/// Reads until the BPF iterator is used. Says whether it is.
fn make_ready(source: &mut ProcessSource) -> bool {
    source.allow_fast();
    for second in 0..500 {
        let nanos = second * 1_000_000_000;
        source.read(Moment { utc_nanos: nanos, monotonic_nanos: nanos }).unwrap();
        source.each_batch(&mut barograph_model::Batch::clear);
        if source.fast_served() > 0 {
            return true;
        }
        sleep(Duration::from_millis(10));
    }
    false
}

fn pread(file: &File) {
    let mut buffer = [0; 2048];
    assert!(std::os::unix::fs::FileExt::read_at(file, &mut buffer, 0).unwrap() > 0);
}

fn cpu_micros() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn timed(method: &mut Method, second: i64) -> f64 {
    let begin = cpu_micros();
    let read = (method.read)(second);
    (cpu_micros() - begin) / read as f64
}

fn measure_hot(method: &mut Method) -> Vec<f64> {
    (0..65).map(|second| timed(method, second)).skip(5).collect()
}

/// Reads by each method in turn, one reading a second.
fn measure_cold(methods: &mut [Method]) -> Vec<Vec<f64>> {
    let mut readings = vec![Vec::new(); methods.len()];
    for round in -3..COLD_READINGS as i64 {
        for (method, readings) in methods.iter_mut().zip(&mut readings) {
            // What the first readings cost, which meet everyone, is not counted.
            sleep(Duration::from_millis(if round < 0 { 0 } else { 1000 }));
            let micros = timed(method, 100 + round);
            readings.extend((round >= 0).then_some(micros));
        }
    }
    readings
}

fn show(title: &str, count: usize, methods: &mut [Method], mut measure: impl FnMut(&mut Method) -> Vec<f64>) {
    println!("{title}, {count} sleeping processes");
    let mut limit = None;
    for method in methods {
        let mut micros = measure(method);
        micros.sort_by(f64::total_cmp);
        let median = micros[micros.len() / 2];
        let limit = *limit.get_or_insert(median);
        println!("  {:<42} {median:6.2} ({:.2})   {:4.2} x the limit", method.name, micros[0], median / limit);
    }
    println!();
}
