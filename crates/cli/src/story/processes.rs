//! The processes that used most.

use std::collections::{HashMap, HashSet};

use barograph_model::{Described, Field};
use barograph_sources::{Process, Processes};
use barograph_store::{Exit, Frame, Query, Subject, Tally, Timeline};

use super::Span;
use crate::human;

/// Rows that are looked at together.
const CHUNK_ROWS: u64 = 100_000;

/// The processes that used most CPU time, and how many there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Top {
    pub(crate) lines: Vec<ProcessLine>,
    /// Processes that are not among them.
    pub(crate) others: usize,
    /// Their CPU time.
    pub(crate) others_cpu_seconds: f64,
}

/// A process of the report. What is not known is absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessLine {
    pub(crate) pid: i64,
    pub(crate) start_ticks: i64,
    pub(crate) parent_pid: Option<i64>,
    pub(crate) name: Option<String>,
    pub(crate) command_line: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) cpu_seconds: f64,
    /// CPU time over the time that it was seen.
    pub(crate) mean_cores: Option<f64>,
    pub(crate) peak_resident_bytes: Option<f64>,
    pub(crate) read_bytes: Option<f64>,
    pub(crate) written_bytes: Option<f64>,
    /// When it began, or its first row if it began before; and its last row. Monotonic nanoseconds.
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
    pub(crate) ended: Ended,
    /// Whether it had collected children that had used CPU time when it was last read.
    has_collected: bool,
}

/// What became of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was there at the last tick.
    #[default]
    No,
    /// It is gone, and we were not told how.
    Gone,
    /// It gave a status or was killed.
    How(Exit),
}

impl ProcessLine {
    /// Its arguments, or else its name in brackets as ps(1) has it.
    pub(crate) fn command(&self) -> String {
        match (&self.command_line, &self.name) {
            (Some(line), _) if !line.is_empty() => human::escape(line),
            (_, Some(name)) => format!("[{}]", human::escape(name)),
            _ => String::new(),
        }
    }

    /// The same without the folder of the program: where room is scarce, its arguments say more.
    pub(crate) fn short_command(&self) -> String {
        let command = self.command();
        let program = command.split(' ').next().unwrap_or_default();
        let folder = if program.starts_with('/') { program.rfind('/').map_or(0, |slash| slash + 1) } else { 0 };
        if folder < program.len() { command[folder..].to_owned() } else { command }
    }

    pub(crate) fn ended_in_words(&self) -> String {
        match self.ended {
            Ended::No => String::new(),
            Ended::Gone => "ended".to_owned(),
            Ended::How(exit) => human::exit(exit).replace("killed by ", ""),
        }
    }
}

/// The columns that are added up for each process.
struct Watched {
    user: usize,
    system: usize,
    children: [usize; 2],
    resident: usize,
    peak_resident: usize,
    read: usize,
    written: usize,
}

/// The so many processes that used most CPU time.
pub(crate) fn top(timeline: &Timeline, span: &Span, count: usize) -> anyhow::Result<Top> {
    if !timeline.has_table(Process::TABLE.name) {
        return Ok(Top::default());
    }
    let mut tally = Tally::of::<Process>();
    let watched = Watched {
        user: tally.watch(Process::user),
        system: tally.watch(Process::system),
        children: [tally.watch(Process::children_user), tally.watch(Process::children_system)],
        resident: tally.watch(Process::resident),
        peak_resident: tally.watch(Process::peak_resident),
        read: tally.watch(Process::read),
        written: tally.watch(Process::written),
    };
    let query = Query::all().columns(tally.columns()).between(span.asked.0, span.asked.1);
    for chunk in timeline.chunks(Process::TABLE.name, &query, CHUNK_ROWS)? {
        tally.add(&chunk?);
    }
    let ticks_per_second = timeline.facts().host.ticks_per_second.max(1) as f64;
    let mut lines: Vec<ProcessLine> = tally.finish().iter().map(|subject| process(subject, &watched, span, ticks_per_second)).collect();
    let used_more = |a: &ProcessLine, b: &ProcessLine| {
        let memory = |line: &ProcessLine| line.peak_resident_bytes.unwrap_or(0.0);
        b.cpu_seconds.total_cmp(&a.cpu_seconds).then(memory(b).total_cmp(&memory(a))).then(a.pid.cmp(&b.pid))
    };
    lines.sort_by(used_more);
    let rest = lines.split_off(count.min(lines.len()));
    identify(timeline, span, &mut lines)?;
    lines.sort_by(used_more);
    Ok(Top { lines, others: rest.len(), others_cpu_seconds: rest.iter().fold(0.0, |sum, line| sum + line.cpu_seconds) })
}

fn process(subject: &Subject, watched: &Watched, span: &Span, ticks_per_second: f64) -> ProcessLine {
    let start_ticks = subject.key[1];
    // The kernel rounds the start down to a tick, and the recording may begin within it.
    let born_inside = (start_ticks as f64 + 2.0) / ticks_per_second >= span.monotonic.0 as f64 / 1e9;
    let grew = |column: usize| {
        let extent = subject.extents[column];
        let before = if born_inside { 0.0 } else { extent.first? };
        Some((extent.last? - before).max(0.0))
    };
    let cpu_seconds = grew(watched.user).unwrap_or(0.0) + grew(watched.system).unwrap_or(0.0);
    // No row comes before its process, whatever the file says.
    let born = || ((start_ticks as f64 / ticks_per_second * 1e9) as i64).max(span.monotonic.0).min(subject.last.monotonic_nanos);
    let began = if born_inside { born() } else { subject.first.monotonic_nanos };
    let seconds = (subject.last.monotonic_nanos - began) as f64 / 1e9;
    let highest = |column: usize| subject.extents[column].highest;
    ProcessLine {
        pid: subject.key[0],
        start_ticks,
        cpu_seconds,
        mean_cores: (seconds >= 0.1).then(|| cpu_seconds / seconds),
        peak_resident_bytes: highest(watched.resident).into_iter().chain(highest(watched.peak_resident)).reduce(f64::max),
        read_bytes: grew(watched.read),
        written_bytes: grew(watched.written),
        first_seen: began,
        last_seen: subject.last.monotonic_nanos,
        has_collected: watched.children.iter().any(|&column| subject.extents[column].last.is_some_and(|seconds| seconds > 0.0)),
        ..ProcessLine::default()
    }
}

fn column<T: Described, K>(field: Field<T, K>) -> String {
    T::TABLE.metrics[field.index()].column()
}

/// Who they are and how they ended, from one pass over the table of identities.
fn identify(timeline: &Timeline, span: &Span, lines: &mut [ProcessLine]) -> anyhow::Result<()> {
    if !timeline.has_table(Processes::TABLE.name) {
        return Ok(());
    }
    let places: HashMap<(i64, i64), usize> = lines.iter().enumerate().map(|(place, line)| ((line.pid, line.start_ticks), place)).collect();
    let mut parents = HashSet::new();
    let mut exact = vec![None; lines.len()];
    let columns = [
        column(Processes::pid),
        column(Processes::start_ticks),
        column(Processes::change),
        column(Processes::parent_pid),
        column(Processes::name),
        column(Processes::command_line),
        column(Processes::user),
        column(Processes::exit_code),
        column(Processes::exit_signal),
        column(Processes::user_time),
        column(Processes::system_time),
    ];
    let query = Query::all().columns(columns).between(None, span.asked.1);
    for chunk in timeline.chunks(Processes::TABLE.name, &query, CHUNK_ROWS)? {
        let chunk = chunk?;
        parents.extend(chunk.ints(&column(Processes::parent_pid)).into_iter().flatten());
        learn(&chunk, &places, lines, &mut exact);
    }
    for (line, exact) in lines.iter_mut().zip(exact) {
        // What wait4(2) says is exact, but includes collected children. It is the truth of a process that had none, seen or not, and lived within the span.
        let is_childless = !line.has_collected && !parents.contains(&line.pid);
        if let Some(exact) = exact.filter(|exact| span.is_whole() && *exact >= line.cpu_seconds && is_childless) {
            line.cpu_seconds = exact;
        }
    }
    Ok(())
}

fn learn(rows: &Frame, places: &HashMap<(i64, i64), usize>, lines: &mut [ProcessLine], exact: &mut [Option<f64>]) {
    let ints = |name: String| rows.ints(&name);
    let (pids, starts) = (ints(column(Processes::pid)), ints(column(Processes::start_ticks)));
    let (parents, codes, signals) = (ints(column(Processes::parent_pid)), ints(column(Processes::exit_code)), ints(column(Processes::exit_signal)));
    let (change, name, command, user) =
        (column(Processes::change), column(Processes::name), column(Processes::command_line), column(Processes::user));
    let (changes, names, commands, users) = (rows.texts(&change), rows.texts(&name), rows.texts(&command), rows.texts(&user));
    let (user_times, system_times) = (rows.floats(&column(Processes::user_time)), rows.floats(&column(Processes::system_time)));
    for row in 0..rows.len() {
        let Some(&place) = pids[row].zip(starts[row]).and_then(|key| places.get(&key)) else { continue };
        let line = &mut lines[place];
        let learn = |known: &mut Option<String>, said: Option<&str>| {
            if let Some(said) = said.filter(|said| !said.is_empty()) {
                *known = Some(said.to_owned());
            }
        };
        learn(&mut line.name, names[row]);
        learn(&mut line.command_line, commands[row]);
        learn(&mut line.user, users[row]);
        // An orphan's later parent is not who started it.
        line.parent_pid = line.parent_pid.or(parents[row]);
        let small = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
        let exit = Exit { code: small(codes[row]), signal: small(signals[row]) };
        if exit != Exit::default() {
            line.ended = Ended::How(exit);
            exact[place] = user_times[row].zip(system_times[row]).map(|(user, system)| user + system);
        } else if changes[row].is_some_and(|change| change == "gone" || change == "exited") {
            line.ended = Ended::Gone;
        }
    }
}
