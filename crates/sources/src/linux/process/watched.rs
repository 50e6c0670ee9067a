//! What is known of each process between two readings.

use super::bpf::Answer;
use super::cpu_time::CpuTime;
use super::files::{Detail, Kept};
use super::identity::Who;
use super::ledger::{Gone, Used};
use super::listing::Entry;
use super::parse::{Io, Stat};

/// How often the dear files are read.
struct Turns {
    /// So many processes a second; where there are more, each waits longer for its turn.
    a_second: i64,
    /// But each waits for so many seconds, at least and at most.
    seconds: (i64, i64),
}

/// Who has not run is read again once in so long, as its memory may be taken from it, and others may change how nice it is.
const LONGEST_REST: i64 = 5_000_000_000;
/// Who has more memory than this is read at every tick: what is taken from it would be missed.
const LARGE_BYTES: u64 = 16 << 20;

const TURNS_OF_THE_JOB: Turns = Turns { a_second: 10, seconds: (1, 10) };
const TURNS_OF_OTHERS: Turns = Turns { a_second: 8, seconds: (10, 300) };

/// A process of the listing.
pub(super) struct Known {
    pub(super) entry: Entry,
    pub(super) standing: Standing,
}

pub(super) enum Standing {
    /// Seen for the first time at this tick.
    New,
    /// Looked at once, and of no concern; or collected by us.
    Stranger,
    Watched(Box<Watched>),
}

pub(super) struct Watched {
    /// Number of the reading at which `stat` was read, and of the one at which that was last tried.
    pub(super) turn: u64,
    pub(super) tried: u64,
    /// In the job's tree; for good, whoever its parent becomes.
    pub(super) member: bool,
    pub(super) selected: bool,
    /// We are about to collect it, and its use is in the books.
    pub(super) settled: bool,
    /// With CPU time as it is shown: neither part ever falls, whichever way it comes.
    pub(super) stat: Stat,
    /// When `stat` was read, on the monotonic clock.
    pub(super) read_at: i64,
    /// How long it had run by its clock before `stat` was read, if that was asked.
    run_nanos: Option<u64>,
    /// The same, or as the BPF iterator says.
    ran_nanos: Option<u64>,
    /// It has not run since the reading before, so it has neither read nor written.
    pub(super) rested: bool,
    pub(super) io: Option<Io>,
    /// Its I/O can't be read; tried again when the next detail is due.
    pub(super) io_failed: bool,
    pub(super) kept: Option<Kept>,
    pub(super) detail: Option<Detail>,
    /// Whether `detail` was read at this tick.
    pub(super) detail_fresh: bool,
    pub(super) detail_due: i64,
    /// What it was like when `detail` was read, and when that was.
    detail_of: Option<(Rest, i64)>,
    /// Set once it has a row in `processes`; changes with what that row says.
    pub(super) identity: Option<u64>,
    /// Whether to look who it is: at its first tick, at its second because it may not have called execve(2) before, and when its name changes.
    pub(super) look: bool,
    /// Its name is one that was not compared with what is asked for.
    pub(super) renamed: bool,
    /// CPU time at the reading before, to find the busiest.
    cpu_before: u64,
    /// The BPF iterator told of it at some time, so what `stat` has of its identity may be old.
    pub(super) was_told: bool,
    /// Faults of collected children at the reading before, to see whether somebody was collected since.
    children_minor_faults_before: u64,
}

/// What stays the same while a process neither runs nor loses memory: how long it has run, its threads and its resident pages.
type Rest = (u64, u64, u64);

/// The place of a process in a list in the order of pids.
pub(super) fn find(known: &[Known], pid: u32) -> Option<usize> {
    known.binary_search_by_key(&pid, |known| known.entry.pid).ok()
}

impl Known {
    pub(super) fn watched(&self) -> Option<(u32, &Watched)> {
        match &self.standing {
            Standing::Watched(process) => Some((self.entry.pid, process)),
            Standing::New | Standing::Stranger => None,
        }
    }

    pub(super) fn member(&self) -> Option<(u32, &Watched)> {
        self.watched().filter(|(_, process)| process.member)
    }
}

impl Watched {
    pub(super) fn new(turn: u64, mut stat: Stat, run_nanos: Option<u64>) -> Watched {
        stat.cpu = run_nanos.map_or(stat.cpu, |run| CpuTime::divided(stat.cpu, run, stat.cpu));
        Watched {
            turn,
            tried: turn,
            member: false,
            selected: false,
            settled: false,
            stat,
            read_at: i64::MIN,
            run_nanos,
            ran_nanos: run_nanos,
            rested: false,
            io: None,
            io_failed: false,
            kept: None,
            detail: None,
            detail_fresh: false,
            detail_due: i64::MIN,
            detail_of: None,
            identity: None,
            look: true,
            renamed: true,
            cpu_before: 0,
            was_told: false,
            children_minor_faults_before: 0,
        }
    }

    /// Takes what /proc says now, and how long the process had run by its clock before that was read.
    pub(super) fn advance(&mut self, turn: u64, stat: Stat, run_nanos: Option<u64>) {
        let cpu = match run_nanos {
            Some(run) => CpuTime::divided_twice(stat.cpu, run, stat.cpu, self.stat.cpu),
            None => stat.cpu.at_least(self.stat.cpu),
        };
        self.step(turn, Stat { cpu, ..stat });
        // Of several threads one may run since less than the kernel has written down.
        self.rested = self.has_not_run(run_nanos) && stat.state != b'R' && stat.threads == 1;
        (self.run_nanos, self.ran_nanos) = (run_nanos, run_nanos);
    }

    /// Whether its clock says what it said before.
    fn has_not_run(&self, run_nanos: Option<u64>) -> bool {
        run_nanos.is_some() && run_nanos == self.run_nanos
    }

    /// Whether what /proc says of it need not be read: it has not run, and all that is of interest here is changed by the process itself. But for its memory, so that
    /// it is read now and then all the same, each process at a moment of its own.
    ///
    /// The clock may be behind by one tick of the kernel's scheduler, for whoever began to run since. That is seen at the next reading.
    pub(super) fn rests(&self, now: i64, pid: u32, run_nanos: Option<u64>, page: u64) -> bool {
        let period = |nanos: i64| nanos.saturating_add(i64::from(pid % 16) * (LONGEST_REST / 16)).div_euclid(LONGEST_REST);
        self.has_not_run(run_nanos)
            && self.stat.state != b'R'
            && self.stat.resident_pages.saturating_mul(page) <= LARGE_BYTES
            && period(now) == period(self.read_at)
    }

    /// Takes what /proc said last.
    pub(super) fn rest_on(&mut self, turn: u64) {
        self.note_before();
        self.turn = turn;
    }

    fn note_before(&mut self) {
        self.cpu_before = self.stat.cpu.sum();
        self.children_minor_faults_before = self.stat.children_minor_faults;
    }

    /// Takes what the BPF iterator says.
    pub(super) fn advance_fast(&mut self, turn: u64, answer: Answer) {
        self.step(turn, answer.stat);
        (self.run_nanos, self.ran_nanos, self.rested) = (None, Some(answer.ran_nanos), false);
        self.io = Some(answer.io);
        self.io_failed = false;
        self.was_told = true;
    }

    fn step(&mut self, turn: u64, stat: Stat) {
        // A worker of the kernel has no memory, and a name that says what it works on just now.
        let renamed = stat.name != self.stat.name && stat.virtual_bytes > 0;
        self.renamed |= renamed;
        self.look |= renamed || stat.parent != self.stat.parent;
        self.note_before();
        self.turn = turn;
        self.stat = stat;
    }

    pub(super) fn used(&self) -> Used {
        Used::of(&self.stat, self.io.as_ref())
    }

    pub(super) fn user_id(&self) -> Option<u32> {
        self.detail.and_then(|detail| detail.status.user_id)
    }

    pub(super) fn who(&self, pid: u32) -> Who<'_> {
        Who { pid, stat: &self.stat, user_id: self.user_id(), member: self.member }
    }

    pub(super) fn gone(&self, pid: u32, late: bool) -> Gone {
        Gone { pid, parent: self.stat.parent, used: self.used(), late, arrived: 0 }
    }

    pub(super) fn cpu_nanos_since(&self) -> u64 {
        self.stat.cpu.sum().saturating_sub(self.cpu_before)
    }

    /// Minor faults of the children that it has collected since the reading before.
    pub(super) fn children_minor_faults_since(&self) -> u64 {
        self.stat.children_minor_faults.saturating_sub(self.children_minor_faults_before)
    }

    fn at_rest(&self) -> Option<Rest> {
        self.ran_nanos.filter(|_| self.stat.state != b'R').map(|ran| (ran, self.stat.threads, self.stat.resident_pages))
    }

    /// Takes what its dear files say.
    pub(super) fn take_detail(&mut self, now: i64, detail: Detail) {
        self.detail = Some(detail);
        self.detail_fresh = true;
        self.detail_of = self.at_rest().map(|rest| (rest, now));
    }

    /// Whether its dear files can only say again what they said: all that they tell is changed by the process itself, but for memory that is taken from it. So
    /// they are asked again in the end, and sooner those of the job.
    pub(super) fn needs_no_detail(&self, now: i64) -> bool {
        let longest = if self.member { LONGEST_REST } else { TURNS_OF_OTHERS.seconds.1 * 1_000_000_000 };
        self.detail_of.is_some_and(|(rest, read)| now - read < longest && self.at_rest() == Some(rest))
    }

    /// The next time its dear files are due they are read, whatever it did since.
    pub(super) fn forget_detail(&mut self) {
        self.detail_of = None;
    }

    /// Sets when its dear files are due again, where there are so many of the job, or so many others. The first period is shortened by chance of the pid, so
    /// that not all fall due at one tick.
    pub(super) fn put_off_detail(&mut self, now: i64, pid: u32, of_its_kind: usize) {
        let Turns { a_second, seconds: (least, most) } = if self.member { TURNS_OF_THE_JOB } else { TURNS_OF_OTHERS };
        let seconds = (i64::try_from(of_its_kind).unwrap_or(i64::MAX) / a_second).clamp(least, most);
        let period = seconds * 1_000_000_000;
        let share = if self.detail_due == i64::MIN { 1 + i64::from(pid % 15) } else { 15 };
        // Ticks come a little early or late: a sixteenth is left off, so that a period of one tick does not become two.
        self.detail_due = now.saturating_add(period / 16 * share);
    }
}
