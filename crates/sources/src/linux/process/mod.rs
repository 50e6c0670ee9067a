//! Processes: what each of the watched ones uses, from /proc/PID/stat and io at every tick, and from the dearer files now and then.
//!
//! One listing of /proc tells who came and went; a process that is not watched is read once and then known by its inode. The watched tree's files
//! stay open. `status`, which costs more than stat and io together, is read when a process is first seen and then once in a while.

mod files;
mod identity;
mod ledger;
mod listing;
mod parse;
mod watch;

use std::sync::Arc;

use barograph_model::{Batch, Bytes, Count, Counter, Described, Gauge, Id, Level, Moment, Rows, Seconds, Table, Text, table};

use crate::{Fault, FaultKind, Faults, Machine, Root, Source};
use files::{Detail, Files, Kept};
use identity::{Identities, Who};
use ledger::{Gone, Ledger, Levels, Parent, Used};
use listing::{Entry, Listing};
use parse::{Io, Stat};

pub use identity::{Exit, Processes, start_ticks, user_name};
pub use ledger::{Job, JobTotals};
pub use watch::{Choice, Scope, Select, Watch};

table! {
    /// What each watched process uses. Counters run since the process began.
    pub Process = "process" in "/proc/PID" {
        key {
            /// Number of the process. It is used again for others after its end.
            pid: Id = "stat pid",
            /// When it began, in clock ticks since boot: with the pid it names one process for good.
            start_ticks: Id = "stat starttime",
        }
        /// What it does: R runs, S sleeps, D waits for a device, Z has ended and waits to be collected, T is stopped, I idles in the kernel.
        state: Text = "stat state",
        /// Threads that it has.
        threads: Gauge<Count> = "stat num_threads",
        /// CPU time that it spent in programs' code, all threads.
        user: Counter<Seconds> = "stat utime",
        /// CPU time that the kernel spent on its behalf, all threads.
        system: Counter<Seconds> = "stat stime",
        /// CPU time in programs' code of children that it has collected, and of theirs.
        children_user: Counter<Seconds> = "stat cutime",
        /// CPU time in the kernel of children that it has collected, and of theirs.
        children_system: Counter<Seconds> = "stat cstime",
        /// The core that it last ran on.
        core: Id = "stat processor",
        /// Niceness: -20 is served first, 19 last.
        nice: Gauge<Level> = "stat nice",
        /// RAM that it has, pages shared with others included.
        resident: Gauge<Bytes> = "stat rss",
        /// Address space that it has, used or not.
        virtual_size: Gauge<Bytes> = "stat vsize",
        /// Page faults that needed no device.
        minor_faults: Counter<Count> = "stat minflt",
        /// Page faults that had to wait for a device.
        major_faults: Counter<Count> = "stat majflt",
        /// Time that it waited for block devices; absent where the kernel does not account for delays.
        io_delay: Counter<Seconds> = "stat delayacct_blkio_ticks",
        /// Bytes that it and the children that it collected read by system calls, from caches, pipes and sockets too.
        read: Counter<Bytes> = "io rchar",
        /// Bytes that it and the children that it collected wrote by system calls, to caches, pipes and sockets too.
        written: Counter<Bytes> = "io wchar",
        /// System calls that read.
        read_calls: Counter<Count> = "io syscr",
        /// System calls that wrote.
        write_calls: Counter<Count> = "io syscw",
        /// Bytes that devices had to deliver.
        storage_read: Counter<Bytes> = "io read_bytes",
        /// Bytes sent to devices on its behalf.
        storage_written: Counter<Bytes> = "io write_bytes",
        /// Bytes that were to be written and were not, because the file was truncated before.
        storage_cancelled: Counter<Bytes> = "io cancelled_write_bytes",
        /// The most RAM that it has had so far. Read now and then, as all columns after this one.
        peak_resident: Gauge<Bytes> = "status VmHWM",
        /// RAM that belongs to no file: heap and stacks.
        anonymous: Gauge<Bytes> = "status RssAnon",
        /// RAM that maps files, such as its program and libraries.
        file: Gauge<Bytes> = "status RssFile",
        /// Shared memory that it has touched, tmpfs included.
        shared: Gauge<Bytes> = "status RssShmem",
        /// Memory of it that is in swap.
        swap: Gauge<Bytes> = "status VmSwap",
        /// Times that its main thread gave up the core, to wait for something.
        voluntary_switches: Counter<Count> = "status voluntary_ctxt_switches",
        /// Times that its main thread lost the core to another.
        involuntary_switches: Counter<Count> = "status nonvoluntary_ctxt_switches",
        /// Time that its main thread was ready to run and had no core.
        run_delay: Counter<Seconds> = "schedstat run_delay",
        /// Descriptors that it has open.
        open_files: Gauge<Count> = "fd, counted",
    }
}

/// The tables that this source fills.
pub(super) const TABLES: &[&Table] = &[Job::TABLE, Process::TABLE, Processes::TABLE];

/// How long the values of the dear files are good for: those of the job's tree, and those of other processes.
const DETAIL_NANOS: i64 = 1_000_000_000;
const DETAIL_NANOS_OF_OTHERS: i64 = 10_000_000_000;

/// A process of the listing.
struct Known {
    entry: Entry,
    standing: Standing,
}

enum Standing {
    /// Seen for the first time at this tick.
    New,
    /// Looked at once, and of no concern.
    Stranger,
    Watched(Box<Watched>),
}

struct Watched {
    /// Met at this tick: whether it is of the job is yet to be found out.
    met: bool,
    /// In the job's tree; for good, whoever its parent becomes.
    member: bool,
    selected: bool,
    stat: Stat,
    io: Option<Io>,
    /// Its I/O may not be read; tried again with the next detail.
    io_refused: bool,
    kept: Option<Kept>,
    detail: Option<Detail>,
    /// Whether `detail` was read at this tick.
    detail_fresh: bool,
    detail_due: i64,
    /// Set once it has a row in `processes`; changes with what that row says.
    identity: Option<u64>,
    /// Whether to look who it is: at its first tick, at its second because it may not have called execve(2) before, and when its name changes.
    look: bool,
    /// CPU time at the reading before, to find the busiest.
    cpu_ticks_before: u64,
    /// Faults of collected children at the reading before, to see whether somebody was collected since.
    children_minor_faults_before: u64,
}

impl Watched {
    fn new(stat: Stat) -> Watched {
        Watched {
            met: true,
            member: false,
            selected: false,
            stat,
            io: None,
            io_refused: false,
            kept: None,
            detail: None,
            detail_fresh: false,
            detail_due: i64::MIN,
            identity: None,
            look: true,
            cpu_ticks_before: 0,
            children_minor_faults_before: 0,
        }
    }

    fn advance(&mut self, stat: Stat) {
        self.look |= stat.name != self.stat.name || stat.parent != self.stat.parent;
        self.cpu_ticks_before = self.stat.user + self.stat.system;
        self.children_minor_faults_before = self.stat.children_minor_faults;
        self.stat = stat;
    }

    fn used(&self) -> Used {
        Used::of(&self.stat, self.io.as_ref())
    }

    fn user_id(&self) -> Option<u32> {
        self.detail.and_then(|detail| detail.status.user_id)
    }

    fn who(&self, pid: u32) -> Who<'_> {
        Who { pid, stat: &self.stat, user_id: self.user_id(), member: self.member }
    }

    fn gone(&self, pid: u32) -> Gone {
        Gone { pid, parent: self.stat.parent, used: self.used() }
    }

    fn cpu_ticks_since(&self) -> u64 {
        (self.stat.user + self.stat.system).saturating_sub(self.cpu_ticks_before)
    }

    /// How long its detail holds; the first period is shortened by chance of the pid, so that not all fall due at one tick.
    fn detail_period(&self, pid: u32) -> i64 {
        let period = if self.member { DETAIL_NANOS } else { DETAIL_NANOS_OF_OTHERS };
        if self.detail_due == i64::MIN { period * i64::from(1 + pid % 16) / 16 } else { period }
    }
}

/// The source of the tables `job`, `process` and `processes`.
pub struct ProcessSource {
    machine: Arc<Machine>,
    watch: Watch,
    watched_user: Option<u32>,
    own_pid: u32,
    delays_accounted: bool,
    listing: Listing,
    files: Files,
    /// In the order of pids. `before` is empty between readings.
    known: Vec<Known>,
    before: Vec<Known>,
    /// Members that are gone and not yet settled in the ledger: those missing in this tick's listing, and those that
    /// vanished later in the tick, whose parents may have been read before they were collected.
    gone: Vec<Gone>,
    gone_late: Vec<Gone>,
    /// Processes that we collected since the last reading.
    settled: Vec<u32>,
    busiest: Vec<(u64, u64, u32)>,
    left_out: u64,
    faults: Faults,
    identities: Identities,
    ledger: Ledger,
    rows: Rows<Process>,
}

impl ProcessSource {
    /// Opens /proc to watch these processes.
    pub fn open(machine: &Arc<Machine>, watch: Watch) -> Result<ProcessSource, Fault> {
        let identities = Identities::new(machine);
        let watched_user = match &watch.select {
            Select::User(name) => Some(identities.user_id(name).or_else(|| name.parse().ok()).ok_or_else(|| Fault {
                kind: FaultKind::Gone,
                what: format!("user {name}").into(),
                why: "there is no such user in /etc/passwd; try its number".into(),
            })?),
            _ => None,
        };
        Ok(ProcessSource {
            machine: Arc::clone(machine),
            watch,
            watched_user,
            own_pid: std::process::id(),
            // Since Linux 5.14 delays are off unless asked for, and the field reads 0. Before, this file is not there and they are on.
            delays_accounted: machine.number(Root::Proc, "sys/kernel/task_delayacct") != Some(0),
            listing: Listing::open(machine)?,
            files: Files::new(machine),
            known: Vec::new(),
            before: Vec::new(),
            gone: Vec::new(),
            gone_late: Vec::new(),
            settled: Vec::new(),
            busiest: Vec::new(),
            left_out: 0,
            faults: Faults::default(),
            identities,
            ledger: Ledger::default(),
            rows: Rows::new(),
        })
    }

    /// Living processes of the job, as of the last reading.
    pub fn members(&self) -> impl Iterator<Item = u32> {
        self.known.iter().filter_map(Known::watched).filter(|(_, process)| process.member && !process.stat.is_zombie()).map(|(pid, _)| pid)
    }

    /// The same by pid and start ticks.
    pub fn member_identities(&self) -> impl Iterator<Item = (u32, u64)> {
        self.known.iter().filter_map(Known::watched).filter(|(_, process)| process.member).map(|(pid, process)| (pid, process.stat.start_ticks))
    }

    /// Processes that were read at the last tick and have no row in `process`, by the user's choice.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What the job used from its first to its last row.
    pub fn totals(&self) -> JobTotals {
        self.ledger.totals(self.ticks())
    }

    /// Takes the last values of a child of ours that has ended and is yet to be collected (waitid(2) with WNOWAIT).
    pub fn before_collecting(&mut self, pid: u32) {
        self.settled.push(pid);
        let Ok(stat) = self.files.stat(pid, None) else { return };
        let io = self.files.io(pid, None).ok();
        self.ledger.collect(Used::of(&stat, io.as_ref()));
        match self.find(pid) {
            Some(index) => {
                if let Standing::Watched(process) = &mut self.known[index].standing {
                    process.stat = stat;
                }
            }
            None => self.ledger.seen += 1,
        }
    }

    /// Notes how a child of ours ended, after it was collected.
    pub fn collected(&mut self, at: Moment, pid: u32, exit: Exit) {
        if let Some(bytes) = exit.peak_resident_bytes {
            self.ledger.peak_of_process(bytes);
        }
        let Some(index) = self.find(pid) else { return };
        if let Standing::Watched(process) = self.known.remove(index).standing {
            if process.identity.is_some() {
                self.identities.ended(at, self.machine.ticks_per_second as f64, process.who(pid), Some(exit));
            }
            self.files.release(process.kept);
        }
    }

    fn ticks(&self) -> f64 {
        self.machine.ticks_per_second as f64
    }

    fn find(&self, pid: u32) -> Option<usize> {
        self.known.binary_search_by_key(&pid, |known| known.entry.pid).ok()
    }

    /// Compares the listing with what is known: who is new comes in, who is missing goes.
    fn compare_listing(&mut self, at: Moment) -> Result<(), Fault> {
        let Some(entries) = self.listing.read()? else { return Ok(()) };
        std::mem::swap(&mut self.known, &mut self.before);
        let mut before = self.before.drain(..).peekable();
        let mut missing = Vec::new();
        for &entry in entries {
            while let Some(old) = before.next_if(|old| old.entry.pid < entry.pid) {
                missing.push(old);
            }
            let standing = match before.next_if(|old| old.entry.pid == entry.pid) {
                Some(old) if old.entry.inode == entry.inode => old.standing,
                // The pid was used again, or the kernel forgot the inode. A watched process is told by its start time when it is read.
                Some(Known { standing: Standing::Watched(process), .. }) => Standing::Watched(process),
                _ => Standing::New,
            };
            self.known.push(Known { entry, standing });
        }
        missing.extend(before);
        for old in missing {
            if let Standing::Watched(process) = old.standing {
                self.gone.extend(process.member.then(|| process.gone(old.entry.pid)));
                self.bury(at, old.entry.pid, *process);
            }
        }
        Ok(())
    }

    fn bury(&mut self, at: Moment, pid: u32, process: Watched) {
        if process.identity.is_some() {
            self.identities.ended(at, self.ticks(), process.who(pid), None);
        }
        self.files.release(process.kept);
    }

    /// Reads everyone who is watched, and meets who is new. Who can't be read any more is gone.
    fn read_known(&mut self, at: Moment) {
        for index in 0..self.known.len() {
            let pid = self.known[index].entry.pid;
            let standing = std::mem::replace(&mut self.known[index].standing, Standing::New);
            self.known[index].standing = match standing {
                Standing::Stranger => Standing::Stranger,
                Standing::New => self.meet(pid),
                Standing::Watched(process) => self.read_again(at, pid, process),
            };
        }
        // Still new are those who vanished while we looked. Whoever has their pid now is met after the next listing.
        self.known.retain(|known| !matches!(known.standing, Standing::New));
    }

    fn meet(&mut self, pid: u32) -> Standing {
        match self.files.stat(pid, None) {
            Ok(stat) => Standing::Watched(Box::new(Watched::new(stat))),
            Err(FaultKind::Gone) => Standing::New,
            Err(kind) => {
                self.faults.count(kind);
                Standing::Stranger
            }
        }
    }

    fn read_again(&mut self, at: Moment, pid: u32, mut process: Box<Watched>) -> Standing {
        match self.files.stat(pid, process.kept.as_ref()) {
            Ok(stat) if stat.start_ticks == process.stat.start_ticks => {
                process.advance(stat);
                self.read_io(pid, &mut process);
                Standing::Watched(process)
            }
            outcome => {
                self.faults.count(outcome.err().unwrap_or(FaultKind::Gone));
                self.gone_late.extend(process.member.then(|| process.gone(pid)));
                self.bury(at, pid, *process);
                Standing::New
            }
        }
    }

    fn read_io(&mut self, pid: u32, process: &mut Watched) {
        if process.io_refused {
            return;
        }
        match self.files.io(pid, process.kept.as_ref()) {
            Ok(io) => process.io = Some(io),
            Err(kind) => {
                self.faults.count(kind);
                process.io_refused = kind == FaultKind::Denied;
            }
        }
    }

    /// Decides for those met at this tick whether they are of the job. A parent may have a higher pid than its child.
    fn find_members(&mut self) {
        let mut found = true;
        while found {
            found = false;
            for index in 0..self.known.len() {
                let Known { entry, standing: Standing::Watched(process) } = &self.known[index] else { continue };
                if process.met && !process.member && self.belongs(entry.pid, process.stat.parent) {
                    found = true;
                    let Standing::Watched(process) = &mut self.known[index].standing else { continue };
                    process.member = true;
                    self.ledger.seen += 1;
                }
            }
        }
        for index in 0..self.known.len() {
            let pid = self.known[index].entry.pid;
            let Standing::Watched(process) = &mut self.known[index].standing else { continue };
            if !std::mem::take(&mut process.met) {
                continue;
            }
            if process.member {
                process.kept = self.files.keep(pid);
            } else if self.watch.scope == Scope::Tree {
                self.known[index].standing = Standing::Stranger;
                continue;
            }
            let Standing::Watched(mut process) = std::mem::replace(&mut self.known[index].standing, Standing::Stranger) else { continue };
            self.read_io(pid, &mut process);
            self.known[index].standing = Standing::Watched(process);
        }
    }

    fn belongs(&self, pid: u32, parent: u32) -> bool {
        if pid == self.own_pid {
            return false;
        }
        let parent_is_member = || match self.find(parent).map(|index| &self.known[index].standing) {
            Some(Standing::Watched(process)) => process.member,
            _ => false,
        };
        self.watch.roots.contains(&pid) || (self.watch.adopts && parent == self.own_pid) || parent_is_member()
    }

    /// Chooses who gets a row at this tick.
    fn select(&mut self) {
        if let Select::Busiest(count) = self.watch.select {
            self.busiest.clear();
            let ranked = self.known.iter().filter_map(Known::watched);
            self.busiest.extend(ranked.map(|(pid, process)| (process.cpu_ticks_since(), process.stat.resident_pages, pid)));
            self.busiest.sort_unstable_by(|a, b| b.cmp(a));
            self.busiest.truncate(count);
            self.busiest.sort_unstable_by_key(|&(_, _, pid)| pid);
        }
        self.left_out = 0;
        for known in &mut self.known {
            let Standing::Watched(process) = &mut known.standing else { continue };
            let in_scope = process.member || self.watch.scope == Scope::Machine;
            process.selected = in_scope
                && match &self.watch.select {
                    Select::Everyone => true,
                    Select::Nobody => false,
                    Select::Named(regex) if process.look => regex.is_match(&String::from_utf8_lossy(process.stat.name.as_bytes())),
                    Select::Named(_) => process.selected,
                    Select::User(_) => process.user_id().is_some() && process.user_id() == self.watched_user,
                    Select::Busiest(_) => self.busiest.binary_search_by_key(&known.entry.pid, |&(_, _, pid)| pid).is_ok(),
                };
            self.left_out += u64::from(!process.selected);
        }
    }

    /// Reads the dear files of those whose turn it is, and who they are of those that may have changed.
    fn look_closer(&mut self, at: Moment) {
        let ticks = self.ticks();
        for known in &mut self.known {
            let pid = known.entry.pid;
            let Standing::Watched(process) = &mut known.standing else { continue };
            process.detail_fresh = false;
            let user_unknown = self.watched_user.is_some() && process.detail.is_none();
            if (process.selected || process.member || user_unknown) && at.monotonic_nanos >= process.detail_due {
                match self.files.detail(pid) {
                    Ok(detail) => process.detail = Some(detail),
                    Err(kind) => self.faults.count(kind),
                }
                process.detail_fresh = process.detail.is_some();
                process.io_refused = false;
                process.detail_due = at.monotonic_nanos + process.detail_period(pid);
                process.selected |= user_unknown && process.user_id() == self.watched_user;
            }
            if process.selected && process.look {
                // The second look comes one tick after the first.
                process.look = process.identity.is_none();
                let known = process.identity;
                process.identity = Some(self.identities.look(&mut self.files, ticks, at, process.who(pid), known));
            }
        }
    }

    fn write_rows(&mut self, at: Moment) {
        let units = Units { ticks: self.ticks(), page: self.machine.page_size, delays_accounted: self.delays_accounted };
        for known in &self.known {
            if let Some((pid, process)) = known.watched().filter(|(_, process)| process.selected) {
                write_row(&mut self.rows, at, pid, process, units);
            }
        }
    }

    /// Settles the ledger and writes the job's row.
    fn write_job(&mut self, at: Moment) {
        if self.watch.roots.is_empty() && !self.watch.adopts {
            return;
        }
        let mut ledger = std::mem::take(&mut self.ledger);
        let parent = |pid: u32| {
            if self.settled.contains(&pid) || (self.watch.adopts && pid == self.own_pid) {
                return Parent::Settled;
            }
            match self.find(pid).and_then(|index| self.known[index].watched()) {
                Some((_, process)) if process.member => {
                    Parent::Alive { children_minor_faults: process.stat.children_minor_faults.saturating_sub(process.children_minor_faults_before) }
                }
                _ => Parent::Stranger,
            }
        };
        ledger.settle(&self.gone, parent);
        self.ledger = ledger;
        let mut living = Used::default();
        self.gone_late.iter().for_each(|gone| living.add(gone.used));
        let mut levels = Levels::default();
        for (_, process) in self.known.iter().filter_map(Known::watched).filter(|(_, process)| process.member) {
            living.add(process.used());
            if !process.stat.is_zombie() {
                levels.add(process, self.machine.page_size);
            }
        }
        self.ledger.row(at, living, levels, self.ticks());
    }
}

impl Known {
    fn watched(&self) -> Option<(u32, &Watched)> {
        match &self.standing {
            Standing::Watched(process) => Some((self.entry.pid, process)),
            Standing::New | Standing::Stranger => None,
        }
    }
}

impl Levels {
    fn add(&mut self, process: &Watched, page_size: u64) {
        let resident = process.stat.resident_pages.saturating_mul(page_size);
        self.processes += 1;
        self.threads += process.stat.threads;
        self.resident += resident;
        self.largest_resident = self.largest_resident.max(resident);
        self.virtual_size = self.virtual_size.saturating_add(process.stat.virtual_bytes);
        self.unreadable += u64::from(process.io.is_none());
        if let Some(detail) = process.detail {
            self.largest_peak_resident = self.largest_peak_resident.max(detail.status.peak_resident.unwrap_or(0));
            self.open_files = self.open_files.into_iter().chain(detail.open_files).reduce(|sum, count| sum + count);
        }
        // The kernel updates VmHWM late; what we saw ourselves is a lower bound for it.
        self.largest_peak_resident = self.largest_peak_resident.max(resident);
    }
}

impl Source for ProcessSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        self.gone.clear();
        self.gone.append(&mut self.gone_late);
        let listed = self.compare_listing(at);
        self.read_known(at);
        self.find_members();
        self.select();
        self.look_closer(at);
        self.write_job(at);
        self.write_rows(at);
        self.settled.clear();
        listed
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.ledger.rows);
        visit(&mut self.rows);
        visit(&mut self.identities.rows);
    }

    fn faults(&self) -> Faults {
        self.faults
    }
}

/// What the kernel's units stand for.
#[derive(Clone, Copy)]
struct Units {
    ticks: f64,
    page: u64,
    delays_accounted: bool,
}

fn write_row(rows: &mut Rows<Process>, at: Moment, pid: u32, process: &Watched, units: Units) {
    let stat = &process.stat;
    let seconds = |ticks: u64| ticks as f64 / units.ticks;
    let mut row = rows.row(at);
    row.set(Process::pid, u64::from(pid))
        .set(Process::start_ticks, stat.start_ticks)
        .text(Process::state, std::slice::from_ref(&stat.state))
        .set(Process::threads, stat.threads)
        .set(Process::user, seconds(stat.user))
        .set(Process::system, seconds(stat.system))
        .set(Process::children_user, seconds(stat.children_user))
        .set(Process::children_system, seconds(stat.children_system))
        .set(Process::core, stat.core)
        .set(Process::nice, stat.nice)
        .set(Process::resident, stat.resident_pages.checked_mul(units.page))
        .set(Process::virtual_size, stat.virtual_bytes)
        .set(Process::minor_faults, stat.minor_faults)
        .set(Process::major_faults, stat.major_faults)
        .set(Process::io_delay, stat.io_delay.filter(|_| units.delays_accounted).map(seconds));
    if let Some(io) = process.io {
        row.set(Process::read, io.read)
            .set(Process::written, io.written)
            .set(Process::read_calls, io.read_calls)
            .set(Process::write_calls, io.write_calls)
            .set(Process::storage_read, io.storage_read)
            .set(Process::storage_written, io.storage_written)
            .set(Process::storage_cancelled, io.cancelled);
    }
    if let Some(detail) = process.detail.filter(|_| process.detail_fresh) {
        row.set(Process::peak_resident, detail.status.peak_resident)
            .set(Process::anonymous, detail.status.anonymous)
            .set(Process::file, detail.status.file)
            .set(Process::shared, detail.status.shared)
            .set(Process::swap, detail.status.swap)
            .set(Process::voluntary_switches, detail.status.voluntary_switches)
            .set(Process::involuntary_switches, detail.status.involuntary_switches)
            .set(Process::run_delay, detail.run_delay_nanos.map(|nanos| nanos as f64 / 1e9))
            .set(Process::open_files, detail.open_files);
    }
}
