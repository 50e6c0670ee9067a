//! What is known of each process between two readings.

use super::bpf::{Answer, CpuTime};
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

const TURNS_OF_THE_JOB: Turns = Turns { a_second: 32, seconds: (1, 10) };
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
    pub(super) stat: Stat,
    pub(super) io: Option<Io>,
    /// Its I/O can't be read; tried again when the next detail is due.
    pub(super) io_failed: bool,
    pub(super) kept: Option<Kept>,
    pub(super) detail: Option<Detail>,
    /// Whether `detail` was read at this tick.
    pub(super) detail_fresh: bool,
    pub(super) detail_due: i64,
    /// Set once it has a row in `processes`; changes with what that row says.
    pub(super) identity: Option<u64>,
    /// Whether to look who it is: at its first tick, at its second because it may not have called execve(2) before, and when its name changes.
    pub(super) look: bool,
    /// Its name is one that was not compared with what is asked for.
    pub(super) renamed: bool,
    /// CPU time at the reading before, to find the busiest.
    cpu_ticks_before: u64,
    /// CPU time as it was shown when the BPF iterator last told it, if it did.
    pub(super) shown: Option<CpuTime>,
    /// Faults of collected children at the reading before, to see whether somebody was collected since.
    children_minor_faults_before: u64,
}

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
    pub(super) fn new(turn: u64, stat: Stat) -> Watched {
        Watched {
            turn,
            tried: turn,
            member: false,
            selected: false,
            settled: false,
            stat,
            io: None,
            io_failed: false,
            kept: None,
            detail: None,
            detail_fresh: false,
            detail_due: i64::MIN,
            identity: None,
            look: true,
            renamed: true,
            cpu_ticks_before: 0,
            shown: None,
            children_minor_faults_before: 0,
        }
    }

    pub(super) fn advance(&mut self, turn: u64, mut stat: Stat) {
        // The kernel does not know what we have shown of the iterator's numbers, and may divide the time otherwise.
        if self.shown.is_some() {
            stat.user = stat.user.max(self.stat.user);
            stat.system = stat.system.max(self.stat.system);
        }
        // A worker of the kernel has no memory, and a name that says what it works on just now.
        let renamed = stat.name != self.stat.name && stat.virtual_bytes > 0;
        self.renamed |= renamed;
        self.look |= renamed || stat.parent != self.stat.parent;
        self.cpu_ticks_before = self.stat.user + self.stat.system;
        self.children_minor_faults_before = self.stat.children_minor_faults;
        self.turn = turn;
        self.stat = stat;
    }

    /// The same with what the BPF iterator says.
    pub(super) fn advance_fast(&mut self, turn: u64, answer: Answer) {
        self.advance(turn, answer.stat);
        self.io = Some(answer.io);
        self.io_failed = false;
        self.shown = Some(answer.cpu);
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

    pub(super) fn cpu_ticks_since(&self) -> u64 {
        (self.stat.user + self.stat.system).saturating_sub(self.cpu_ticks_before)
    }

    /// Minor faults of the children that it has collected since the reading before.
    pub(super) fn children_minor_faults_since(&self) -> u64 {
        self.stat.children_minor_faults.saturating_sub(self.children_minor_faults_before)
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
