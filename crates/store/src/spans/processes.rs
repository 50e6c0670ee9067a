//! The processes in which spans ran: when they lived, and what the samples say of them and of their descendants.

use std::collections::HashMap;

use barograph_model::Moment;

use super::cost::Cost;
use super::edges::{Block, Reading};
use super::track::Track;
use crate::processes::{IDENTITIES, PID, SAMPLES, START};
use crate::{Error, Frame, Query, Timeline};

/// Names of tables and columns that the recorder's sources declare and this module joins by.
const JOB: &str = "job";
const USER: &str = "user_seconds";
const SYSTEM: &str = "system_seconds";
const CHILDREN_USER: &str = "children_user_seconds";
const CHILDREN_SYSTEM: &str = "children_system_seconds";
const RESIDENT: &str = "resident_bytes";
const PEAK_RESIDENT: &str = "peak_resident_bytes";
const READ: &str = "read_bytes";
const WRITTEN: &str = "written_bytes";
const MINOR_FAULTS: &str = "minor_faults";
const MAJOR_FAULTS: &str = "major_faults";
const CHANGE: &str = "change";
const PARENT: &str = "parent_pid";
const STARTED: &str = "started_seconds";
const USER_AT_EXIT: &str = "user_time_seconds";
const SYSTEM_AT_EXIT: &str = "system_time_seconds";

/// Choices of processes that leave none of the job out.
const COMPLETE: [&str; 3] = ["", "tree", "all"];

/// Rows that are read together.
const CHUNK_ROWS: u64 = 65_536;

/// The kernel rounds the start of a process down to a clock tick.
const TICK_NANOS: i64 = 10_000_000;

/// Who starts a process may say its begin so long before it is there: nobody knows its pid earlier.
const FOREBODING_NANOS: i64 = 100_000_000;

/// As many generations are looked back: a file may say anything, in circles too.
const MOST_GENERATIONS: usize = 1000;

/// A process: its place in [`Seen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Process(u32);

impl Process {
    fn place(self) -> usize {
        self.0 as usize
    }
}

/// What is known of a process but for its samples.
#[derive(Debug)]
struct Life {
    pid: i64,
    start_ticks: i64,
    started_nanos: i64,
    parent_pid: Option<i64>,
    /// When its end was noticed.
    ended: Option<Moment>,
    /// CPU time of it and of the children that it had collected, as wait4(2) told.
    used_at_exit: Option<f64>,
    /// Whether one of the others is its child.
    is_parent: bool,
}

/// All processes that have an identity in the recording.
#[derive(Debug, Default)]
pub(super) struct Seen {
    lives: Vec<Life>,
    /// By pid, in the order of their starts.
    of_pid: HashMap<i64, Vec<Process>>,
    root: Option<Process>,
    has_job: bool,
    is_complete: bool,
    start: i64,
    last: Moment,
    last_look: i64,
}

impl Seen {
    pub(super) fn read(timeline: &Timeline) -> Result<Seen, Error> {
        let facts = timeline.facts();
        let mut seen = Seen {
            has_job: timeline.has_table(JOB),
            is_complete: COMPLETE.contains(&facts.processes.selection.as_str()),
            start: facts.clock.monotonic_nanos,
            last: Moment { utc_nanos: facts.clock.utc_nanos, monotonic_nanos: facts.clock.monotonic_nanos },
            last_look: i64::MIN,
            ..Seen::default()
        };
        for table in timeline.tables()? {
            let Some(((_, utc_nanos), (_, monotonic_nanos))) = table.range.zip(table.monotonic_range) else { continue };
            if monotonic_nanos > seen.last.monotonic_nanos {
                seen.last = Moment { utc_nanos, monotonic_nanos };
            }
            if table.name == SAMPLES {
                seen.last_look = monotonic_nanos;
            }
        }
        if let Some(end) = &facts.end {
            seen.last = Moment { utc_nanos: end.utc_nanos, monotonic_nanos: end.monotonic_nanos };
        }
        if timeline.has_table(IDENTITIES) {
            let columns = [PID, START, CHANGE, PARENT, STARTED, USER_AT_EXIT, SYSTEM_AT_EXIT];
            let mut known = HashMap::new();
            for chunk in timeline.chunks(IDENTITIES, &Query::all().columns(columns), CHUNK_ROWS)? {
                seen.learn(&chunk?, &mut known, facts.host.ticks_per_second);
            }
        }
        for place in 0..seen.lives.len() as u32 {
            seen.of_pid.entry(seen.lives[place as usize].pid).or_default().push(Process(place));
        }
        let lives = &seen.lives;
        seen.of_pid.values_mut().for_each(|same| same.sort_by_key(|process| lives[process.place()].started_nanos));
        for place in 0..seen.lives.len() as u32 {
            if let Some(parent) = seen.parent(Process(place)) {
                seen.lives[parent.place()].is_parent = true;
            }
        }
        seen.root = facts.root.and_then(|root| {
            let is_root = |process: &&Process| seen.lives[process.place()].start_ticks == root.start_ticks.cast_signed();
            seen.of_pid.get(&i64::try_from(root.pid).ok()?)?.iter().find(is_root).copied()
        });
        Ok(seen)
    }

    fn learn(&mut self, rows: &Frame, known: &mut HashMap<(i64, i64), usize>, ticks_per_second: u64) {
        let (pids, starts, parents) = (rows.ints(PID), rows.ints(START), rows.ints(PARENT));
        let (changes, started) = (rows.texts(CHANGE), rows.floats(STARTED));
        let (user, system) = (rows.floats(USER_AT_EXIT), rows.floats(SYSTEM_AT_EXIT));
        for row in 0..rows.len() {
            let Some((pid, start_ticks)) = pids[row].zip(starts[row]) else { continue };
            let place = *known.entry((pid, start_ticks)).or_insert(self.lives.len());
            if place == self.lives.len() {
                let counted = || (ticks_per_second > 0).then(|| start_ticks as f64 / ticks_per_second as f64);
                let Some(seconds) = started[row].or_else(counted) else {
                    known.remove(&(pid, start_ticks));
                    continue;
                };
                let life = Life {
                    pid,
                    start_ticks,
                    started_nanos: (seconds * 1e9) as i64,
                    parent_pid: None,
                    ended: None,
                    used_at_exit: None,
                    is_parent: false,
                };
                self.lives.push(life);
            }
            let life = &mut self.lives[place];
            // An orphan's later parent is not who started it.
            life.parent_pid = life.parent_pid.or(parents[row]);
            if changes[row].is_some_and(|change| change == "gone" || change == "exited") && life.ended.is_none() {
                life.ended = Some(Moment { utc_nanos: rows.times()[row], monotonic_nanos: rows.monotonic()[row] });
                life.used_at_exit = user[row].zip(system[row]).map(|(user, system)| user + system);
            }
        }
    }

    /// The process that had this pid at this moment of the monotonic clock.
    pub(super) fn process(&self, pid: i64, moment: i64) -> Option<Process> {
        let same = self.of_pid.get(&pid)?;
        let life = |process: &Process| &self.lives[process.place()];
        let begun = same.partition_point(|process| life(process).started_nanos <= moment);
        // Its end is noticed late, and never early.
        let lives = |process: &&Process| life(process).ended.is_none_or(|ended| ended.monotonic_nanos >= moment);
        let comes = |process: &&Process| life(process).started_nanos <= moment.saturating_add(FOREBODING_NANOS);
        let living = begun.checked_sub(1).and_then(|last| same.get(last)).filter(lives);
        living.or_else(|| same.get(begun).filter(comes)).copied()
    }

    /// When its end was noticed.
    pub(super) fn end_of(&self, process: Process) -> Option<Moment> {
        self.lives[process.place()].ended
    }

    /// The end of the recording, or the latest moment that it tells of.
    pub(super) fn last_moment(&self) -> Moment {
        self.last
    }

    /// When processes were last looked at.
    pub(super) fn last_look(&self) -> i64 {
        self.last_look
    }

    fn parent(&self, process: Process) -> Option<Process> {
        let life = &self.lives[process.place()];
        self.process(life.parent_pid?, life.started_nanos).filter(|parent| *parent != process)
    }

    /// It, its parent, its parent's parent and so on.
    fn line(&self, process: Process) -> impl Iterator<Item = Process> {
        std::iter::successors(Some(process), |process| self.parent(*process)).take(MOST_GENERATIONS)
    }

    fn is_gone(&self, process: Process, moment: i64) -> bool {
        self.end_of(process).is_some_and(|ended| ended.monotonic_nanos <= moment)
    }

    /// Whether it began within the time of which samples were read, so that all that it used was used there.
    fn is_born(&self, process: Process, from: i64) -> bool {
        self.lives[process.place()].started_nanos >= from.max(self.start).saturating_sub(TICK_NANOS)
    }
}

/// Columns of a sample, in the order of [`Sample::of`].
const SAMPLED: [&str; 10] = [USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM, RESIDENT, PEAK_RESIDENT, READ, WRITTEN, MINOR_FAULTS, MAJOR_FAULTS];

/// What a process had used at a tick.
struct Sample {
    cpu: Option<f64>,
    /// Of the children that it collected.
    children_cpu: Option<f64>,
    resident: Option<f64>,
    mark: Option<f64>,
    read: Option<f64>,
    written: Option<f64>,
    minor_faults: Option<f64>,
    major_faults: Option<f64>,
}

impl Sample {
    fn of(cells: [Option<f64>; SAMPLED.len()]) -> Sample {
        let [user, system, children_user, children_system, resident, mark, read, written, minor_faults, major_faults] = cells;
        let (cpu, children_cpu) = (sum(user, system), sum(children_user, children_system));
        Sample { cpu, children_cpu, resident, mark, read, written, minor_faults, major_faults }
    }
}

/// The samples of one process.
#[derive(Debug, Default)]
struct Samples {
    cpu: Track,
    resident: Track,
    /// The kernel's mark of the most RAM so far.
    mark: Track,
    read: Track,
    written: Track,
    minor_faults: Track,
    major_faults: Track,
    tree: Option<Tree>,
}

impl Samples {
    fn push(&mut self, at: i64, born: i64, sample: &Sample) {
        let counters = [
            (&mut self.cpu, sample.cpu),
            (&mut self.read, sample.read),
            (&mut self.written, sample.written),
            (&mut self.minor_faults, sample.minor_faults),
            (&mut self.major_faults, sample.major_faults),
        ];
        for (track, value) in counters {
            if track.last_at().is_none() && born < at {
                // Every counter was zero at its birth.
                track.push(born, value.map(|_| 0.0));
            }
            track.push(at, value);
        }
        // Who has ended and waits to be collected has no RAM, and that is not what it had.
        self.resident.push(at, sample.resident.filter(|bytes| *bytes > 0.0));
        self.mark.push(at, sample.mark);
    }
}

/// What processes used together.
#[derive(Debug, Default)]
struct Tree {
    cpu: Track,
    resident: Track,
    /// CPU time so far.
    used: f64,
}

/// The samples of all processes in which spans ran.
#[derive(Debug, Default)]
pub(super) struct Readings {
    seen: Seen,
    samples: HashMap<Process, Samples>,
    job: Option<Tree>,
    stale_nanos: i64,
}

impl Readings {
    /// Reads the samples that these blocks need.
    pub(super) fn read<'a>(timeline: &Timeline, seen: Seen, blocks: impl Iterator<Item = &'a Block>, stale_nanos: i64) -> Result<Readings, Error> {
        let mut readings = Readings { seen, stale_nanos, ..Readings::default() };
        let (mut from, mut to, mut needs_job) = (i64::MAX, i64::MIN, false);
        for block in blocks {
            from = from.min(block.begin.at.monotonic_nanos);
            to = to.max(block.until.map_or(block.begin.at.monotonic_nanos, |until| until.monotonic_nanos));
            needs_job |= readings.is_of_job(block);
            if let Some(process) = block.process {
                readings.samples.entry(process).or_default();
            }
        }
        // A counter that stands still between two far samples is no help: what is farther than this from an edge tells nothing of it.
        let window = (from.saturating_sub(stale_nanos), to.saturating_add(stale_nanos));
        if needs_job {
            readings.read_job(timeline, window)?;
        }
        if !readings.samples.is_empty() && timeline.has_table(SAMPLES) {
            readings.read_processes(timeline, window)?;
        }
        for samples in readings.samples.values_mut() {
            samples.resident.close();
            samples.tree.iter_mut().for_each(|tree| tree.resident.close());
        }
        readings.job.iter_mut().for_each(|tree| tree.resident.close());
        Ok(readings)
    }

    /// Whether what the whole job used is what the tree of this block used: that is so for its root, and the best answer for a process that nobody saw.
    fn is_of_job(&self, block: &Block) -> bool {
        self.seen.has_job && (block.process.is_none() || block.process == self.seen.root)
    }

    fn read_job(&mut self, timeline: &Timeline, window: (i64, i64)) -> Result<(), Error> {
        let mut job = Tree::default();
        let query = Query::all().columns([USER, SYSTEM, RESIDENT]).monotonic(window.0, window.1);
        for chunk in timeline.chunks(JOB, &query, CHUNK_ROWS)? {
            let rows = chunk?;
            let (user, system, resident) = (rows.floats(USER), rows.floats(SYSTEM), rows.floats(RESIDENT));
            for (row, &at) in rows.monotonic().iter().enumerate() {
                job.cpu.push(at, sum(user[row], system[row]));
                job.resident.push(at, resident[row]);
            }
        }
        self.job = Some(job);
        Ok(())
    }

    fn read_processes(&mut self, timeline: &Timeline, window: (i64, i64)) -> Result<(), Error> {
        let mut grove = Grove::new(self, window.0);
        let mut query = Query::all().columns([PID, START].into_iter().chain(SAMPLED)).monotonic(window.0, window.1);
        if let (1, Some(only)) = (grove.members.len().max(self.samples.len()), self.samples.keys().next()) {
            let life = &self.seen.lives[only.place()];
            query = query.equal(PID, life.pid).equal(START, life.start_ticks);
        }
        let places: HashMap<(i64, i64), Process> =
            (0..).map(Process).zip(&self.seen.lives).map(|(process, life)| ((life.pid, life.start_ticks), process)).collect();
        for chunk in timeline.chunks(SAMPLES, &query, CHUNK_ROWS)? {
            let rows = chunk?;
            let (pids, starts, columns) = (rows.ints(PID), rows.ints(START), SAMPLED.map(|column| rows.floats(column)));
            let mut first = 0;
            for tick in rows.monotonic().chunk_by(|one, next| one == next) {
                for row in first..first + tick.len() {
                    let Some(&process) = pids[row].zip(starts[row]).and_then(|key| places.get(&key)) else { continue };
                    let sample = Sample::of(columns.each_ref().map(|column| column[row]));
                    if let Some(samples) = self.samples.get_mut(&process) {
                        samples.push(tick[0], self.seen.lives[process.place()].started_nanos, &sample);
                    }
                    grove.see(process, sample.cpu.zip(sample.children_cpu), sample.resident);
                }
                first += tick.len();
                grove.tick(self, tick[0]);
            }
        }
        // Who ended after the last sample did so as well.
        grove.tick(self, i64::MAX);
        self.add_exits();
        Ok(())
    }

    /// Of who never had a child, wait4(2) tells the CPU time at its end exactly.
    fn add_exits(&mut self) {
        for (process, samples) in &mut self.samples {
            let life = &self.seen.lives[process.place()];
            let used = life.used_at_exit.filter(|_| !life.is_parent);
            if let (Some(used), Some(ended)) = (used, life.ended)
                && samples.cpu.last().is_none_or(|last| used >= last)
            {
                if samples.cpu.last_at().is_none() {
                    samples.cpu.push(life.started_nanos, Some(0.0));
                }
                samples.cpu.push(ended.monotonic_nanos, Some(used));
            }
        }
    }

    pub(super) fn start_ticks(&self, process: Process) -> i64 {
        self.seen.lives[process.place()].start_ticks
    }

    fn of(&self, block: &Block) -> Option<&Samples> {
        self.samples.get(&block.process?)
    }

    /// The time of a block that samples can tell of: an open one is told up to the last of them.
    pub(super) fn window(&self, block: &Block, until: i64) -> (i64, i64) {
        let born = block.process.map_or(i64::MIN, |process| self.seen.lives[process.place()].started_nanos);
        let begin = block.begin.at.monotonic_nanos.max(born.min(until));
        let last = self.of(block).and_then(|samples| samples.cpu.last_at()).filter(|_| block.end.is_none());
        (begin, last.map_or(until, |last| until.min(last.max(begin))))
    }

    /// By how much a counter of its process grew.
    pub(super) fn growth(&self, block: &Block, reading: Reading, (begin, end): (i64, i64)) -> Option<f64> {
        let samples = self.of(block)?;
        let track = match reading {
            Reading::ProcessCpu => &samples.cpu,
            Reading::Read => &samples.read,
            Reading::Written => &samples.written,
            Reading::MinorFaults => &samples.minor_faults,
            Reading::MajorFaults => &samples.major_faults,
            Reading::ThreadCpu | Reading::Resident => return None,
        };
        track.growth(begin, end, self.stale_nanos)
    }

    /// RAM of its process at the sample that is nearest to this moment.
    pub(super) fn resident_near(&self, block: &Block, moment: i64) -> Option<f64> {
        self.of(block)?.resident.nearest(moment, self.stale_nanos)
    }

    /// The most RAM of its process: at samples, and by the kernel's own mark if that rose meanwhile.
    pub(super) fn peaks(&self, block: &Block, (begin, end): (i64, i64)) -> [Option<f64>; 2] {
        self.of(block).map_or([None; 2], |samples| [samples.resident.highest(begin, end), samples.mark.risen(begin, end)])
    }

    /// What its tree used.
    pub(super) fn tree(&self, block: &Block, (begin, end): (i64, i64), cost: &mut Cost) {
        let (tree, whose) = match self.is_of_job(block) {
            true => (self.job.as_ref(), "job"),
            false => (self.of(block).and_then(|samples| samples.tree.as_ref()), "process"),
        };
        let Some(tree) = tree else { return };
        let end = tree.cpu.last_at().filter(|_| block.end.is_none()).map_or(end, |last| end.min(last.max(begin)));
        cost.tree_cpu_seconds = tree.cpu.growth(begin, end, self.stale_nanos);
        cost.tree_peak_resident_bytes = tree.resident.highest(begin, end);
        cost.tree = cost.tree_cpu_seconds.or(cost.tree_peak_resident_bytes).map(|_| whose);
    }
}

fn sum(user: Option<f64>, system: Option<f64>) -> Option<f64> {
    user.zip(system).map(|(user, system)| user + system)
}

/// The trees below processes, counted tick by tick so that what a child used is counted once: while it lives as its own, and once its parent has
/// collected it only as far as the parent has gained more than was seen of the child.
struct Grove {
    /// The processes of which each process is a descendant, and itself, as far as their trees are asked for.
    members: HashMap<Process, Vec<Process>>,
    /// What each living member was last seen to have used: itself, the children that it collected; and its RAM.
    alive: HashMap<Process, (f64, f64, f64)>,
    /// What those had used who are gone and whom this ancestor may have collected since it was last seen.
    left: HashMap<Process, f64>,
    /// Who was seen at this tick.
    now: Vec<(Process, f64, f64, f64)>,
    from: i64,
}

impl Grove {
    fn new(readings: &mut Readings, from: i64) -> Grove {
        let seen = &readings.seen;
        let mut members: HashMap<Process, Vec<Process>> = HashMap::new();
        let asked = |process: &Process| seen.is_complete && !(seen.has_job && Some(*process) == seen.root);
        for (process, samples) in &mut readings.samples {
            samples.tree = asked(process).then(Tree::default);
        }
        if readings.samples.values().any(|samples| samples.tree.is_some()) {
            for process in (0..seen.lives.len() as u32).map(Process) {
                let above: Vec<Process> =
                    seen.line(process).filter(|above| readings.samples.get(above).is_some_and(|samples| samples.tree.is_some())).collect();
                if !above.is_empty() {
                    members.insert(process, above);
                }
            }
        }
        Grove { members, alive: HashMap::new(), left: HashMap::new(), now: Vec::new(), from }
    }

    fn see(&mut self, process: Process, used: Option<(f64, f64)>, resident: Option<f64>) {
        if let Some((own, children)) = used.filter(|_| self.members.contains_key(&process)) {
            self.now.push((process, own, children, resident.unwrap_or(0.0)));
        }
    }

    fn tick(&mut self, readings: &mut Readings, at: i64) {
        if self.now.is_empty() && self.alive.is_empty() {
            return;
        }
        let Readings { seen, samples, .. } = readings;
        self.leave(seen, samples, at);
        for (process, own, children, resident) in self.now.drain(..) {
            let left = self.left.remove(&process).unwrap_or(0.0);
            let before = self.alive.insert(process, (own, children, resident));
            let (own_before, children_before) = match before {
                Some((own, children, _)) => (own, children),
                None if seen.is_born(process, self.from) => (0.0, 0.0),
                None => (own, children),
            };
            let grew = (own - own_before).max(0.0) + (children - children_before - left).max(0.0);
            for above in &self.members[&process] {
                let Some(tree) = samples.get_mut(above).and_then(|samples| samples.tree.as_mut()) else { continue };
                if tree.cpu.last_at().is_none() && *above == process && before.is_none() && seen.is_born(process, self.from) {
                    tree.cpu.push(seen.lives[process.place()].started_nanos, Some(0.0));
                }
                tree.used += grew;
            }
        }
        let mut together: HashMap<Process, f64> = HashMap::new();
        for (process, (.., resident)) in &self.alive {
            for above in &self.members[process] {
                *together.entry(*above).or_default() += resident;
            }
        }
        for (process, resident) in together.into_iter().filter(|_| at < i64::MAX) {
            if let Some(tree) = samples.get_mut(&process).and_then(|samples| samples.tree.as_mut()).filter(|_| self.alive.contains_key(&process)) {
                tree.cpu.push(at, Some(tree.used));
                tree.resident.push(at, Some(resident));
            }
        }
    }

    /// Those who are gone since the last tick: who may have collected them, and what wait4(2) said of them.
    fn leave(&mut self, seen: &Seen, samples: &mut HashMap<Process, Samples>, at: i64) {
        let gone: Vec<(Process, f64)> = self
            .alive
            .iter()
            .filter(|(process, _)| seen.is_gone(**process, at))
            .map(|(process, (own, children, _))| (*process, own + children))
            .collect();
        for (process, used) in &gone {
            self.alive.remove(process);
            let pending = self.left.remove(process).unwrap_or(0.0);
            if let Some(ancestor) = seen.line(*process).skip(1).find(|above| !seen.is_gone(*above, at)) {
                *self.left.entry(ancestor).or_default() += used + pending;
            }
            let life = &seen.lives[process.place()];
            let tree = samples.get_mut(process).and_then(|samples| samples.tree.as_mut());
            if let (Some(tree), Some(total), Some(ended)) = (tree, life.used_at_exit, life.ended) {
                let others: f64 =
                    gone.iter().filter(|(other, _)| other != process && self.members[other].contains(process)).map(|(_, used)| used).sum();
                tree.used += (total - used - others - pending).max(0.0);
                tree.cpu.push(ended.monotonic_nanos, Some(tree.used));
            }
        }
    }
}
