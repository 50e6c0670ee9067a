//! How long it takes to look at a recording: `cargo bench -p barograph-view --bench look -- RUN.baro [ROUNDS]`. Prints numbers and judges nothing.
//!
//! Made for the day that `crates/store/examples/day.rs` writes. Files are in the page cache for all but the first opening after a boot.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

use std::path::Path;
use std::time::{Duration, Instant};

use barograph_model::Described;
use barograph_sources::Process;
use barograph_view::{Line, Panel, Spec, View, Window};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let Some(path) = arguments.first() else {
        println!("which recording? `cargo run --release -p barograph-store --example day -- 200 86400 1 300 DAY.baro` writes one");
        return;
    };
    let rounds: usize = arguments.get(1).map_or(9, |text| text.parse().unwrap());
    let begun = Instant::now();
    let view = View::open(Path::new(path)).unwrap();
    println!("open                                   {}", shown(begun.elapsed()));
    let panels = view.panels();
    let first: Vec<Spec> = view.cards().into_iter().map(|card| card.spec).chain(specs(&panels)).collect();
    let (from, to) = view.range();
    println!("open, panels and cards                 {}", shown(begun.elapsed()));
    let whole = Window { from, to, buckets: 1000 };
    // The table of processes is a hundred times as long as all others: who wants the other charts first asks for them first.
    let (processes, others): (Vec<Spec>, Vec<Spec>) = first.into_iter().partition(|spec| spec.table == Process::TABLE.name);
    let mut lines = view.lines(&others, whole).unwrap().lines;
    println!("open to first charts ({:2} specs)        {}, CPU {}", others.len(), shown(begun.elapsed()), shown(cpu()));
    lines.extend(view.lines(&processes, whole).unwrap().lines);
    println!("and those by process ({:2} specs)        {}, CPU {}", processes.len(), shown(begun.elapsed()), shown(cpu()));
    println!("  frame: {} lines, {:.0} KB; {}", lines.len(), bytes(&lines) / 1e3, memory());
    let charts: Vec<Spec> = specs(&panels).collect();
    println!(
        "\nzoom, all {} shown panels in one frame, 1000 buckets, median and worst of {rounds}",
        panels.iter().filter(|panel| panel.shown).count()
    );
    for (name, seconds) in [
        ("all", (to - from) / 1_000_000_000),
        ("12 h", 43_200),
        ("6 h", 21_600),
        ("3 h", 10_800),
        ("2 h", 7200),
        ("1 h", 3600),
        ("20 min", 1200),
        ("1 min", 60),
    ] {
        let (mut times, mut size, used) = (Vec::new(), 0.0, cpu());
        for round in 0..rounds as i64 {
            let length = (seconds * 1_000_000_000).min(to - from);
            let begin = from + (to - from - length) / rounds as i64 * round;
            let begun = Instant::now();
            let lines = view.lines(&charts, Window { from: begin, to: begin + length, buckets: 1000 }).unwrap();
            times.push(begun.elapsed());
            size = bytes(&lines.lines);
        }
        let each = (cpu() - used) / rounds as u32;
        println!("  {name:8} {}   CPU {} each   {:6.0} KB", spread(times), shown(each), size / 1e3);
    }
    println!("\none panel at a time, 1 h");
    for panel in panels.iter().filter(|panel| panel.shown) {
        let at = |round: i64| from + (to - from - 3_600_000_000_000).max(0) / rounds as i64 * round;
        let ask = |round| view.lines(&panel.specs, Window { from: at(round), to: at(round) + 3_600_000_000_000, buckets: 1000 }).unwrap();
        println!("  {:20} {}", panel.id, spread(times(rounds, |round| drop(ask(round)))));
    }
    println!();
    let middle = |round: i64| from + (to - from) / 10 * (round % 9 + 1) + 123_456_789;
    println!("processes of a moment    {}", spread(times(rounds, |round| drop(view.processes_at(middle(round)).unwrap()))));
    println!("find processes           {}", spread(times(rounds, |_| drop(view.find_processes("cc1plus").unwrap()))));
    let processes = view.processes_at(middle(4)).unwrap();
    let life = |round: i64| {
        let process = &processes[round as usize * 7 % processes.len()];
        let life = view.life(process.pid, process.start_ticks).unwrap().unwrap();
        let specs: Vec<Spec> = life.panels.into_iter().flat_map(|panel| panel.specs).collect();
        drop(view.lines(&specs, whole).unwrap());
    };
    println!("a life, with its panels  {}", spread(times(rounds.min(3), life)));
    println!(
        "refresh                  {}",
        spread(times(rounds, |_| {
            view.refresh().unwrap();
        }))
    );
    println!("{}", memory());
}

fn specs(panels: &[Panel]) -> impl Iterator<Item = Spec> {
    panels.iter().filter(|panel| panel.shown).flat_map(|panel| panel.specs.clone())
}

fn times(rounds: usize, ask: impl Fn(i64)) -> Vec<Duration> {
    let timed = |round| {
        let begun = Instant::now();
        ask(round);
        begun.elapsed()
    };
    (0..rounds as i64).map(timed).collect()
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    format!("{} {}", shown(times[times.len() / 2]), shown(times[times.len() - 1]))
}

fn shown(time: Duration) -> String {
    format!("{:9.2} ms", time.as_secs_f64() * 1e3)
}

/// What the numbers of a frame take.
fn bytes(lines: &[Line]) -> f64 {
    lines
        .iter()
        .map(|line| [line.points.x.len(), line.points.mean.len(), line.points.min.len(), line.points.max.len()].iter().sum::<usize>() * 8)
        .sum::<usize>() as f64
}

/// CPU time that this process has used, in units of 10 ms: on a busy machine it says more than a clock.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}

fn memory() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)).and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0_f64)
    };
    format!("RSS {:.0} MB, peak {:.0} MB", of("VmRSS:") / 1e3, of("VmHWM:") / 1e3)
}
