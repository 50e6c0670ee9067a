//! What each line of a program cost, worked out from its sampled stacks and from what its process had used at the same moments.
//!
//! Whatever a process used between two samples goes to the lines in which its threads were running: half to those at the end of that time, half to those at
//! its beginning. What was used while no thread was seen to run is kept for the next sample that sees one. So sums are exact, and a share is right as
//! far as samples can tell. GPU memory will be one more amount of a [`Growth`].

use std::collections::HashMap;
use std::rc::Rc;

use barograph_model::{Described, Field, Lines, RUNNING, StackFrame, stack_frames};

use crate::{Error, Frame, Query, Timeline};

/// Rows that are looked at together.
const CHUNK_ROWS: u64 = 100_000;

/// A row that stands for a time that began more than this after the thread's row before does not follow it.
const SLACK_NANOS: i64 = 5_000_000;

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LineCost {
    /// Samples in which it ran.
    pub samples: u64,
    /// Time for which threads were at it, running or waiting: with several threads more than passed on the clock.
    pub seconds: f64,
    /// The part of it for which they waited.
    pub waiting_seconds: f64,
    /// What the process used meanwhile.
    pub growth: Growth,
}

/// What a process used over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    /// CPU time.
    pub cpu_seconds: f64,
    /// By how much its RAM grew, less by how much it shrank.
    pub resident_bytes: f64,
    /// The growth alone.
    pub resident_grown_bytes: f64,
    /// Bytes read.
    pub read_bytes: f64,
    /// Bytes written.
    pub written_bytes: f64,
    /// Page faults without reading from a disk.
    pub minor_faults: f64,
    /// Page faults that read from a disk.
    pub major_faults: f64,
}

impl Growth {
    fn map2(self, other: Growth, each: impl Fn(f64, f64) -> f64) -> Growth {
        Growth {
            cpu_seconds: each(self.cpu_seconds, other.cpu_seconds),
            resident_bytes: each(self.resident_bytes, other.resident_bytes),
            resident_grown_bytes: each(self.resident_grown_bytes, other.resident_grown_bytes),
            read_bytes: each(self.read_bytes, other.read_bytes),
            written_bytes: each(self.written_bytes, other.written_bytes),
            minor_faults: each(self.minor_faults, other.minor_faults),
            major_faults: each(self.major_faults, other.major_faults),
        }
    }

    fn plus(self, other: Growth) -> Growth {
        self.map2(other, |mine, theirs| mine + theirs)
    }

    /// These parts of it: of CPU time and of what comes with it, and of memory.
    fn part(self, cpu: f64, memory: f64) -> Growth {
        let factors = Growth {
            cpu_seconds: cpu,
            resident_bytes: memory,
            resident_grown_bytes: memory,
            read_bytes: cpu,
            written_bytes: cpu,
            minor_faults: memory,
            major_faults: cpu,
        };
        self.map2(factors, |mine, factor| mine * factor)
    }
}

impl LineCost {
    fn add(&mut self, other: &LineCost) {
        self.samples += other.samples;
        self.seconds += other.seconds;
        self.waiting_seconds += other.waiting_seconds;
        self.growth = self.growth.plus(other.growth);
    }
}

/// A line, or a function, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The file, as the program knows it.
    pub file: String,
    /// The function; of a line, one of those that stand in it.
    pub function: String,
    /// The line; `None` for a function, and where the program does not tell.
    pub line: Option<u64>,
    /// What it cost itself, and in the libraries that it called.
    pub own: LineCost,
    /// What it cost with all that it called.
    pub total: LineCost,
}

/// What the lines of a recording cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineCosts {
    /// The lines of the program itself, in no order.
    pub lines: Vec<Line>,
    /// The same by functions.
    pub functions: Vec<Line>,
    /// Everything together.
    pub all: LineCost,
    /// What was used while no thread was seen to run, and never thereafter. Part of `all`.
    pub unseen: Growth,
    /// Python processes that were looked at.
    pub processes: usize,
    /// Their threads.
    pub threads: usize,
    /// When somebody looked, all processes together.
    pub looks: u64,
    /// The time from the first look to the last.
    pub seconds: f64,
}

impl Timeline {
    /// What the lines of its Python programs cost between these UTC times; `None` if nobody looked at them.
    pub fn line_costs(&self, from: Option<i64>, to: Option<i64>) -> Result<Option<LineCosts>, Error> {
        if !self.has_table(Lines::TABLE.name) {
            return Ok(None);
        }
        let mut account = Account::default();
        for chunk in self.chunks(Lines::TABLE.name, &Query::all().between(from, to), CHUNK_ROWS)? {
            account.add(&chunk?);
        }
        Ok(Some(account.finish()))
    }
}

/// Places in [`Book::entries`] of what is on a stack, each once.
#[derive(Debug)]
struct Stack {
    own: [usize; 2],
    total: Vec<usize>,
}

/// Lines and functions, found again by name.
#[derive(Default)]
struct Book {
    entries: Vec<(Line, bool)>,
    places: HashMap<(String, String, Option<u64>, bool), usize>,
    stacks: HashMap<(String, String, String, Option<u64>), Rc<Stack>>,
}

impl Book {
    fn place(&mut self, frame: StackFrame<'_>, is_function: bool) -> usize {
        let line = (frame.line > 0 && !is_function).then_some(frame.line);
        // A line is one, though what stands in it may be functions of its own: comprehensions, lambdas.
        let function = if line.is_some() { "" } else { frame.function };
        let key = (frame.file.to_owned(), function.to_owned(), line, is_function);
        *self.places.entry(key).or_insert_with_key(|(file, _, line, _)| {
            let function = frame.function.to_owned();
            let entry = Line { file: file.clone(), function, line: *line, own: LineCost::default(), total: LineCost::default() };
            self.entries.push((entry, is_function));
            self.entries.len() - 1
        })
    }

    fn stack(&mut self, text: &str, own: StackFrame<'_>) -> Rc<Stack> {
        let key = (text.to_owned(), own.file.to_owned(), own.function.to_owned(), Some(own.line));
        if let Some(stack) = self.stacks.get(&key) {
            return Rc::clone(stack);
        }
        let frames = stack_frames(text).filter(|frame| !frame.is_of_library()).chain([own]);
        let mut total: Vec<usize> = frames.flat_map(|frame| [self.place(frame, false), self.place(frame, true)]).collect();
        total.sort_unstable();
        total.dedup();
        let stack = Rc::new(Stack { own: [self.place(own, false), self.place(own, true)], total });
        self.stacks.insert(key, Rc::clone(&stack));
        stack
    }

    fn charge(&mut self, stack: &Stack, cost: &LineCost) {
        stack.own.iter().for_each(|&place| self.entries[place].0.own.add(cost));
        stack.total.iter().for_each(|&place| self.entries[place].0.total.add(cost));
    }
}

/// A process as far as it was read.
#[derive(Default)]
struct Process {
    /// Its counters at the sample before.
    before: Option<Counters>,
    /// What nobody was charged for yet.
    pending: Growth,
    threads: HashMap<Option<i64>, Thread>,
    /// The rows of the sample that is being read.
    at: i64,
    rows: Vec<Row>,
}

#[derive(Default)]
struct Thread {
    at: i64,
    /// Where it ran, if it did.
    ran: Option<Rc<Stack>>,
    cpu: Option<f64>,
    faults: Option<f64>,
}

struct Row {
    thread: Option<i64>,
    stack: Rc<Stack>,
    is_running: bool,
    holds_lock: bool,
    seconds: f64,
    cpu: Option<f64>,
    faults: Option<f64>,
    counters: Counters,
}

/// Counters of a process, in the order of [`growth`].
type Counters = [Option<f64>; 6];

#[derive(Default)]
struct Account {
    book: Book,
    processes: HashMap<(i64, i64), Process>,
    all: LineCost,
    unseen: Growth,
    threads: usize,
    looks: u64,
    ends: Option<(i64, i64)>,
}

fn column<K>(field: Field<Lines, K>) -> String {
    Lines::TABLE.metrics[field.index()].column()
}

impl Account {
    /// Takes rows, which come in the order of time.
    fn add(&mut self, frame: &Frame) {
        let ints = |name: String| frame.ints(&name);
        let (pids, starts, threads, line) =
            (ints(column(Lines::pid)), ints(column(Lines::start_ticks)), ints(column(Lines::thread)), ints(column(Lines::line)));
        let (locks, names) =
            (ints(column(Lines::holds_lock)), [column(Lines::state), column(Lines::function), column(Lines::file), column(Lines::stack)]);
        let [states, functions, files, stacks] = names.each_ref().map(|name| frame.texts(name));
        let floats = |name: String| frame.floats(&name);
        let (durations, cpus, faults) =
            (floats(column(Lines::duration)), floats(column(Lines::thread_cpu)), floats(column(Lines::thread_minor_faults)));
        let counters = [
            floats(column(Lines::cpu)),
            floats(column(Lines::resident)),
            floats(column(Lines::read)),
            floats(column(Lines::written)),
            floats(column(Lines::minor_faults)),
            floats(column(Lines::major_faults)),
        ];
        for row in 0..frame.len() {
            let (Some(pid), Some(start), Some(function), Some(file)) = (pids[row], starts[row], functions[row], files[row]) else { continue };
            let at = frame.monotonic()[row];
            let own = StackFrame { function, file, line: line[row].and_then(|line| u64::try_from(line).ok()).unwrap_or(0) };
            let stack = self.book.stack(stacks[row].unwrap_or_default(), own);
            let row = Row {
                thread: threads[row],
                stack,
                is_running: states[row] == Some(RUNNING),
                holds_lock: locks[row] == Some(1),
                // A file may say anything; time is never negative.
                seconds: durations[row].unwrap_or(0.0).max(0.0),
                cpu: cpus[row],
                faults: faults[row],
                counters: counters.each_ref().map(|counter| counter[row]),
            };
            self.ends = Some(self.ends.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
            let process = self.processes.entry((pid, start)).or_default();
            if process.at != at {
                settle(process, &mut self.book, &mut self.all, &mut self.looks);
                process.at = at;
            }
            process.rows.push(row);
        }
    }

    fn finish(mut self) -> LineCosts {
        for process in self.processes.values_mut() {
            settle(process, &mut self.book, &mut self.all, &mut self.looks);
            self.threads += process.threads.len();
            self.unseen = self.unseen.plus(process.pending);
        }
        self.all.growth = self.all.growth.plus(self.unseen);
        let mut costs = LineCosts {
            all: self.all,
            unseen: self.unseen,
            processes: self.processes.len(),
            threads: self.threads,
            looks: self.looks,
            seconds: self.ends.map_or(0.0, |(first, last)| last.saturating_sub(first) as f64 / 1e9),
            ..LineCosts::default()
        };
        for (entry, is_function) in self.book.entries {
            if is_function { &mut costs.functions } else { &mut costs.lines }.push(entry);
        }
        costs
    }
}

/// Charges the lines of a sample, and those of the sample before, with what the process has used between them.
fn settle(process: &mut Process, book: &mut Book, all: &mut LineCost, looks: &mut u64) {
    let rows = std::mem::take(&mut process.rows);
    let Some(last) = rows.last() else { return };
    *looks += 1;
    let now = last.counters;
    let grown = process.before.map_or_else(Growth::default, |before| growth(before, now));
    process.before = Some(std::array::from_fn(|place| now[place].or(process.before.and_then(|before| before[place]))));
    let pending = process.pending.plus(grown);
    let running: Vec<&Row> = rows.iter().filter(|row| row.is_running).collect();
    let since = |row: &Row, now: Option<f64>, before: fn(&Thread) -> Option<f64>| {
        let before = process.threads.get(&row.thread).and_then(before);
        Some((now? - before?).max(0.0))
    };
    let cpu = shares(&running, |row| since(row, row.cpu, |thread| thread.cpu));
    let faults = shares(&running, |row| since(row, row.faults, |thread| thread.faults));
    let memory = faults.or_else(|| shares(&running, |row| Some(f64::from(u8::from(row.holds_lock)))));
    let even = 1.0 / running.len().max(1) as f64;
    process.pending = if running.is_empty() { pending } else { Growth::default() };
    let mut place = 0;
    for row in &rows {
        let mut cost = LineCost { seconds: row.seconds, ..LineCost::default() };
        if !row.is_running {
            cost.waiting_seconds = row.seconds;
        } else {
            let (cpu, memory) = (cpu.as_ref().map_or(even, |shares| shares[place]), memory.as_ref().map_or(even, |shares| shares[place]));
            place += 1;
            let mut growth = pending.part(cpu, memory);
            let begin = process.at.saturating_sub((row.seconds * 1e9) as i64).saturating_sub(SLACK_NANOS);
            let before = process.threads.get(&row.thread).filter(|thread| thread.at >= begin).and_then(|thread| thread.ran.as_ref());
            if let Some(before) = before.filter(|before| !Rc::ptr_eq(before, &row.stack)) {
                growth = growth.part(0.5, 0.5);
                let half = LineCost { growth, ..LineCost::default() };
                book.charge(before, &half);
                all.add(&half);
            }
            cost.samples = 1;
            cost.growth = growth;
        }
        book.charge(&row.stack, &cost);
        all.add(&cost);
    }
    for row in rows {
        let thread = process.threads.entry(row.thread).or_default();
        thread.at = process.at;
        thread.cpu = row.cpu.or(thread.cpu);
        thread.faults = row.faults.or(thread.faults);
        thread.ran = row.is_running.then_some(row.stack);
    }
}

fn growth(before: Counters, now: Counters) -> Growth {
    let grew = |place: usize| now[place].zip(before[place]).map_or(0.0, |(now, before)| now - before);
    let counted = |place: usize| grew(place).max(0.0);
    Growth {
        cpu_seconds: counted(0),
        resident_bytes: grew(1),
        resident_grown_bytes: counted(1),
        read_bytes: counted(2),
        written_bytes: counted(3),
        minor_faults: counted(4),
        major_faults: counted(5),
    }
}

/// The rows' shares of one; `None` if that of one is not known, or there is nothing to share.
fn shares(rows: &[&Row], of: impl Fn(&Row) -> Option<f64>) -> Option<Vec<f64>> {
    let amounts: Vec<f64> = rows.iter().map(|row| of(row)).collect::<Option<_>>()?;
    let sum: f64 = amounts.iter().sum();
    (sum > 0.0).then(|| amounts.into_iter().map(|amount| amount / sum).collect())
}

#[cfg(test)]
mod tests {
    use barograph_model::{LineCounters, LineRow, Moment, Rows, Sink};
    use proptest::prelude::*;

    use super::*;
    use crate::{Facts, Options, Recording};

    const MAIN: StackFrame<'static> = StackFrame { function: "main", file: "job.py", line: 90 };

    #[derive(Clone, Copy, Debug)]
    struct Seen {
        at: i64,
        thread: u64,
        /// `None` while it waits.
        cpu: Option<f64>,
        line: u64,
        process: LineCounters,
    }

    fn costs(rows: &[Seen]) -> LineCosts {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.baro");
        let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
        let mut batch = Rows::<Lines>::new();
        for seen in rows {
            batch.add(&LineRow {
                at: Moment { utc_nanos: seen.at, monotonic_nanos: seen.at },
                pid: 5,
                start_ticks: 6,
                thread: Some(seen.thread),
                thread_name: None,
                is_running: seen.cpu.is_some(),
                holds_lock: seen.thread == 1,
                duration_seconds: 0.01,
                thread_cpu_seconds: seen.cpu,
                thread_minor_faults: None,
                counters: seen.process,
                frames: &[StackFrame { function: "work", file: "job.py", line: seen.line }, MAIN],
            });
        }
        recording.take(&batch).unwrap();
        recording.publish().unwrap();
        drop(recording);
        Timeline::open(&path).unwrap().line_costs(None, None).unwrap().unwrap()
    }

    fn seen(tick: i64, thread: u64, cpu: Option<f64>, line: u64, used: f64, resident: u64) -> Seen {
        let process = LineCounters { cpu_seconds: Some(used), resident_bytes: Some(resident), ..LineCounters::default() };
        Seen { at: tick * 10_000_000, thread, cpu, line, process }
    }

    fn of(costs: &LineCosts, line: u64) -> &Line {
        costs.lines.iter().find(|entry| entry.line == Some(line)).unwrap()
    }

    #[test]
    fn what_was_used_goes_to_the_lines_at_both_ends_of_the_time() {
        let costs = costs(&[
            seen(0, 1, Some(1.0), 7, 1.0, 1000),
            seen(1, 1, Some(1.01), 7, 1.01, 1000),
            seen(2, 1, Some(1.02), 8, 1.02, 5000),
            seen(3, 1, Some(1.03), 8, 1.03, 4000),
        ]);
        let (seven, eight) = (of(&costs, 7).own, of(&costs, 8).own);
        assert!((seven.growth.cpu_seconds - 0.015).abs() < 1e-9 && (eight.growth.cpu_seconds - 0.015).abs() < 1e-9);
        assert_eq!((seven.growth.resident_bytes, eight.growth.resident_bytes, eight.growth.resident_grown_bytes), (2000.0, 1000.0, 2000.0));
        assert_eq!((seven.samples, eight.samples, costs.looks), (2, 2, 4));
        let main = of(&costs, 90);
        assert_eq!((main.own, main.total.samples), (LineCost::default(), 4));
        assert!((main.total.growth.cpu_seconds - 0.03).abs() < 1e-9);
        let function = |name: &str| costs.functions.iter().find(|function| function.function == name).unwrap();
        assert_eq!((function("work").own.samples, function("main").total.samples), (4, 4));
    }

    #[test]
    fn each_thread_is_charged_with_its_own_time_and_who_has_the_lock_with_memory() {
        let costs = costs(&[
            seen(0, 1, Some(0.0), 7, 0.0, 0),
            seen(0, 2, Some(0.0), 8, 0.0, 0),
            seen(1, 1, Some(0.001), 7, 0.02, 4096),
            seen(1, 2, Some(0.009), 8, 0.02, 4096),
        ]);
        // Twice as much as both threads used: others, of a library, worked for them.
        assert!((of(&costs, 7).own.growth.cpu_seconds - 0.002).abs() < 1e-9 && (of(&costs, 8).own.growth.cpu_seconds - 0.018).abs() < 1e-9);
        assert_eq!((of(&costs, 7).own.growth.resident_bytes, of(&costs, 8).own.growth.resident_bytes), (4096.0, 0.0));
        assert_eq!((costs.processes, costs.threads), (1, 2));
    }

    #[test]
    fn what_is_used_while_nobody_runs_is_kept_for_who_is_next() {
        let rows = [seen(0, 1, None, 7, 0.0, 0), seen(1, 1, None, 7, 0.5, 0), seen(2, 1, Some(0.5), 8, 0.6, 0), seen(3, 1, None, 9, 0.7, 10)];
        let told = costs(&rows);
        assert!((of(&told, 8).own.growth.cpu_seconds - 0.6).abs() < 1e-9);
        assert!((told.unseen.cpu_seconds - 0.1).abs() < 1e-9 && (told.all.growth.cpu_seconds - 0.7).abs() < 1e-9);
        assert!((of(&told, 7).own.waiting_seconds - 0.02).abs() < 1e-9 && of(&told, 7).own.samples == 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever was seen: lines together have what the process used from the first row to the last, less what is told as unseen.
        #[test]
        fn sums_are_exact(ticks in prop::collection::vec((prop::collection::vec((1_u64..4, prop::option::of(0.0..1.0), 1_u64..6), 1..4), 0.0..1.0, 0_u64..1000), 1..30)) {
            let (mut rows, mut used, mut threads) = (Vec::new(), 0.0, HashMap::new());
            for (tick, (seen_now, more, resident)) in (0_i64..).zip(&ticks) {
                used += more;
                for (thread, cpu, line) in seen_now {
                    let total: &mut f64 = threads.entry(*thread).or_default();
                    *total += cpu.unwrap_or(0.0);
                    rows.push(seen(tick, *thread, cpu.map(|_| *total), *line, used, *resident));
                }
            }
            let costs = costs(&rows);
            let sum = |of: fn(&Growth) -> f64| costs.lines.iter().map(|line| of(&line.own.growth)).sum::<f64>() + of(&costs.unseen);
            let (first, last) = (rows[0].process, rows[rows.len() - 1].process);
            let grew = last.cpu_seconds.unwrap() - first.cpu_seconds.unwrap();
            prop_assert!((sum(|growth| growth.cpu_seconds) - grew).abs() < 1e-6);
            prop_assert!((costs.all.growth.cpu_seconds - grew).abs() < 1e-6);
            let grew = last.resident_bytes.unwrap() as f64 - first.resident_bytes.unwrap() as f64;
            prop_assert!((sum(|growth| growth.resident_bytes) - grew).abs() < 1e-3);
            let functions: f64 = costs.functions.iter().map(|function| function.own.growth.cpu_seconds).sum();
            let lines: f64 = costs.lines.iter().map(|line| line.own.growth.cpu_seconds).sum();
            prop_assert!((functions - lines).abs() < 1e-6);
        }
    }
}
