//! Processes: what each of the watched ones uses, from /proc/PID/stat and io at every tick, and from the dearer files now and then.
//!
//! One listing of /proc tells who came and went; a process that is not watched is read once and then known by its inode. The watched tree's files
//! stay open. `status`, which costs more than stat and io together, is read when a process is first seen and then once in a while.

mod bpf;
mod census;
mod cpu_time;
mod files;
mod identity;
mod ledger;
mod listing;
mod parse;
mod pause;
#[cfg(feature = "lines")]
mod python;
mod watch;
mod watched;

use std::sync::Arc;

use barograph_model::{Batch, Bytes, Count, Counter, Described, Gauge, Id, Level, Moment, Rows, Seconds, Table, Text, table};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions};

use crate::{Fault, FaultKind, Faults, Machine, Root, Source};
use bpf::Fast;
use files::Files;
use identity::{Identities, Who};
use ledger::{Ledger, Levels, Parent, Used};
use listing::Listing;
use parse::Stat;
use pause::Reading;
use watched::{Known, Standing, Watched};

pub use identity::{Exit, Processes, start_ticks, user_name};
pub use ledger::{Job, JobTotals};
pub(super) use listing::cpu_nanos;
#[cfg(feature = "lines")]
pub use python::{LineSource, LineStatus};
pub use watch::{Choice, Scope, Select, Watch};

table! {
    /// What each watched process uses. Counters run since the process began. Who has not run since the row before is as it was then, for at most five seconds; where it has
    /// more than 16 MiB of RAM it is read each time.
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
        /// CPU time that it spent in programs' code, all threads. Its sum with system time is exact, and divided as the kernel does.
        user: Counter<Seconds> = "clock_gettime(2) of the process, stat utime",
        /// CPU time that the kernel spent on its behalf, all threads.
        system: Counter<Seconds> = "clock_gettime(2) of the process, stat stime",
        /// RAM that it has, pages shared with others included.
        resident: Gauge<Bytes> = "stat rss",
        /// Address space that it has, used or not.
        virtual_size: Gauge<Bytes> = "stat vsize",
        /// CPU time in programs' code of children that it has collected, and of theirs.
        children_user: Counter<Seconds> = "stat cutime",
        /// CPU time in the kernel of children that it has collected, and of theirs.
        children_system: Counter<Seconds> = "stat cstime",
        /// The core that it last ran on.
        core: Id = "stat processor",
        /// Niceness: -20 is served first, 19 last.
        nice: Gauge<Level> = "stat nice",
        /// Page faults that needed no device.
        minor_faults: Counter<Count> = "stat minflt",
        /// Page faults that had to wait for a device.
        major_faults: Counter<Count> = "stat majflt",
        /// Time that it waited for block devices; absent where the kernel does not account for delays.
        io_delay: Counter<Seconds> = "stat delayacct_blkio_ticks",
        /// Bytes that it and the children that it collected read by read(2) and its like, from caches and pipes too; recv(2) does not count.
        read: Counter<Bytes> = "io rchar",
        /// Bytes that it and the children that it collected wrote by write(2) and its like, to caches and pipes too; send(2) does not count.
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

/// The dear files of those whose turn it is are read together, once a second however fast ticks are: the first warms the caches for those after it. A
/// sixteenth is left off, as ticks come a little early or late.
const BETWEEN_ROUNDS: i64 = 1_000_000_000 / 16 * 15;

/// The source of the tables `job`, `process` and `processes`.
pub struct ProcessSource {
    machine: Arc<Machine>,
    watch: Watch,
    watched_user: Option<u32>,
    own_pid: u32,
    delays_accounted: bool,
    listing: Listing,
    files: Files,
    fast: Fast,
    /// Number of this reading.
    turn: u64,
    /// When it is time again for dear files.
    next_round: i64,
    /// Processes that are not of the job are read at every so many readings; 0 is never.
    others_every: u64,
    /// Nobody was listed yet.
    first: bool,
    /// The job's first process, until the first listing after its birth.
    began_with: Option<u32>,
    /// The same for good, and what it was if nobody had seen it before it ended.
    root: Option<u32>,
    unseen_root: Option<Stat>,
    /// In the order of pids. `before` is empty between readings.
    known: Vec<Known>,
    before: Vec<Known>,
    /// Pids of those met at this reading.
    met: Vec<u32>,
    /// Somebody of the job has gone since all of it was read.
    member_left: bool,
    /// Whether we had children when this was opened, and those that we then saw: they are not of the job.
    had_children: bool,
    foreign: Vec<u32>,
    busiest: Vec<(u64, u64, u32)>,
    left_out: u64,
    faults: Faults,
    identities: Identities,
    ledger: Ledger,
    rows: Rows<Process>,
    /// The time of the last rows, on the monotonic clock.
    last: Option<i64>,
}

impl ProcessSource {
    /// Opens /proc to watch these processes.
    pub fn open(machine: &Arc<Machine>, mut watch: Watch) -> Result<ProcessSource, Fault> {
        let identities = Identities::new(machine);
        let watched_user = watched_user(&identities, &watch.select)?;
        if matches!(watch.select, Select::Nobody) {
            watch.scope = Scope::Tree;
        }
        Ok(ProcessSource {
            machine: Arc::clone(machine),
            watch,
            watched_user,
            own_pid: std::process::id(),
            // Since Linux 5.14 delays are off unless asked for, and the field reads 0. Before, this file is not there and they are on.
            delays_accounted: machine.number(Root::Proc, "sys/kernel/task_delayacct") != Some(0),
            listing: Listing::open(machine)?,
            files: Files::new(machine),
            fast: Fast::new(machine),
            turn: 0,
            next_round: i64::MIN,
            others_every: 1,
            first: true,
            began_with: None,
            root: None,
            unseen_root: None,
            known: Vec::new(),
            before: Vec::new(),
            met: Vec::new(),
            member_left: false,
            had_children: has_children(),
            foreign: Vec::new(),
            busiest: Vec::new(),
            left_out: 0,
            faults: Faults::default(),
            identities,
            ledger: Ledger::default(),
            rows: Rows::new(),
            last: None,
        })
    }

    /// From the next reading on, these processes get rows. An error changes nothing.
    pub fn choose(&mut self, choice: &Choice) -> Result<(), Fault> {
        self.watched_user = watched_user(&self.identities, &choice.select)?;
        self.watch.select = choice.select.clone();
        let scope = choice.scope.unwrap_or(if self.has_job() { Scope::Tree } else { Scope::Machine });
        self.watch.scope = if matches!(choice.select, Select::Nobody) { Scope::Tree } else { scope };
        self.left_out = 0;
        for known in &mut self.known {
            match &mut known.standing {
                Standing::Watched(process) if process.member || self.watch.scope == Scope::Machine => {
                    process.renamed = true;
                    if !process.member {
                        // It may be as old as the time when it was last chosen.
                        process.io = None;
                        process.forget_detail();
                    }
                }
                Standing::Watched(_) => {
                    if let Standing::Watched(process) = std::mem::replace(&mut known.standing, Standing::Stranger) {
                        self.files.release(process.kept);
                    }
                }
                // It was looked at once, and is looked at again.
                standing @ Standing::Stranger if self.watch.scope == Scope::Machine => *standing = Standing::New,
                _ => {}
            }
        }
        self.list_anew();
        Ok(())
    }

    /// Which processes get rows.
    pub fn choice(&self) -> Choice {
        Choice { scope: Some(self.watch.scope), select: self.watch.select.clone() }
    }

    /// What that leaves out, in words.
    pub fn without(&self) -> Option<String> {
        self.watch.left_out()
    }

    /// Whether there is a job, or only the machine.
    pub fn has_job(&self) -> bool {
        self.watch.adopts || !self.watch.roots.is_empty()
    }

    /// At the next reading nobody is overlooked, whatever listing all processes costs.
    pub fn list_anew(&mut self) {
        self.listing.rest_no_more();
    }

    /// The job begins with this child of ours. Said at once, it spares a look at everyone who was there before.
    pub fn began_with(&mut self, pid: u32) {
        self.root = Some(pid);
        self.began_with = self.only_adopts().then_some(pid);
    }

    /// All of the job has ended: nobody new needs to be looked for.
    pub fn all_ended(&mut self) {
        if self.only_adopts() {
            self.listing.rest_for_good();
        }
    }

    /// Whether processes that are not of the job are read at all.
    pub fn watches_others(&self) -> bool {
        self.watch.scope == Scope::Machine
    }

    /// Reads processes that are not of the job at every so many readings only; 0 is never.
    pub fn read_others_every(&mut self, readings: u64) {
        self.others_every = readings;
    }

    /// From the next reading on a BPF iterator may be used, where there is one and many processes that are not of the job are read.
    pub fn allow_fast(&mut self) {
        self.fast.allow();
    }

    /// Whether the BPF iterator is used: `ok`, or why not.
    pub fn fast_status(&self) -> String {
        self.fast.status()
    }

    /// Processes whose counters came from the BPF iterator at the last reading.
    pub fn fast_served(&self) -> u64 {
        self.fast.served()
    }

    /// Whether we have children that are not of the job, because we had them before it.
    pub fn has_foreign_children(&self) -> bool {
        !self.foreign.is_empty()
    }

    /// Living processes of the job, as of the last reading.
    pub fn members(&self) -> impl Iterator<Item = u32> {
        self.member_identities().map(|(pid, _)| pid)
    }

    /// The same by pid and start ticks.
    pub fn member_identities(&self) -> impl Iterator<Item = (u32, u64)> {
        self.known
            .iter()
            .filter_map(Known::member)
            .filter(|(_, process)| !process.stat.is_zombie())
            .map(|(pid, process)| (pid, process.stat.start_ticks))
    }

    /// Processes that were read at the last tick and have no row in `process`, by the user's choice.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What the job used from its first to its last row.
    pub fn totals(&self) -> JobTotals {
        self.ledger.totals()
    }

    /// Takes the last values of a child of ours that has ended and is yet to be collected (waitid(2) with WNOWAIT).
    pub fn before_collecting(&mut self, pid: u32) {
        if let Some(index) = self.foreign.iter().position(|&foreign| foreign == pid) {
            self.foreign.swap_remove(index);
            return;
        }
        let known = self.find(pid).map(|index| &mut self.known[index].standing);
        let kept = match &known {
            Some(Standing::Watched(process)) => process.kept.as_ref(),
            _ => None,
        };
        let run_nanos = self.files.run_nanos(pid);
        let stat = self.files.stat(pid, kept).ok();
        let io = self.files.io(pid, kept).ok();
        match (known, stat) {
            (Some(Standing::Watched(process)), stat) if process.member && stat.is_none_or(|stat| stat.start_ticks == process.stat.start_ticks) => {
                if let Some(stat) = stat {
                    process.advance(process.turn, stat, run_nanos);
                }
                process.io = io.or(process.io);
                process.settled = true;
                self.ledger.collect(pid, process.used(), process.children_minor_faults_since());
            }
            (_, Some(stat)) => {
                self.unseen_root = (self.root == Some(pid) && matches!(self.watch.select, Select::Everyone)).then_some(stat);
                self.ledger.seen += 1;
                let process = Watched::new(self.turn, stat, run_nanos);
                self.ledger.collect(pid, Used::of(&process.stat, io.as_ref()), stat.children_minor_faults);
            }
            (_, None) => {}
        }
    }

    /// Notes how a child of ours ended, after it was collected.
    pub fn collected(&mut self, at: Moment, pid: u32, exit: Exit) {
        self.ledger.time_exactly(pid, [exit.user_seconds, exit.system_seconds]);
        if let Some(bytes) = exit.peak_resident_bytes {
            self.ledger.peak_of_process(bytes);
        }
        // The job's first process has a row, however soon it ends.
        if let Some(stat) = self.unseen_root.take() {
            self.identities.ended(at, self.ticks(), Who { pid, stat: &stat, user_id: None, member: true }, Some(exit));
        }
        let Some(index) = self.find(pid) else { return };
        if matches!(&self.known[index].standing, Standing::Watched(process) if process.settled)
            && let Standing::Watched(process) = std::mem::replace(&mut self.known[index].standing, Standing::Stranger)
        {
            if process.identity.is_some() {
                self.identities.ended(at, self.ticks(), process.who(pid), Some(exit));
            }
            self.member_left = true;
            self.files.release(process.kept);
        }
    }

    /// Rows of processes that nobody has taken yet.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    fn ticks(&self) -> f64 {
        self.machine.ticks_per_second as f64
    }

    fn find(&self, pid: u32) -> Option<usize> {
        watched::find(&self.known, pid)
    }

    /// Chooses who gets a row at this tick.
    fn select(&mut self) {
        if let Select::Busiest(count) = self.watch.select {
            self.busiest.clear();
            let ranked = self.known.iter().filter_map(Known::watched);
            self.busiest.extend(ranked.map(|(pid, process)| (process.cpu_nanos_since(), process.stat.resident_pages, pid)));
            if count < self.busiest.len() {
                self.busiest.select_nth_unstable_by(count, |a, b| b.cmp(a));
                self.busiest.truncate(count);
            }
            self.busiest.sort_unstable_by_key(|&(_, _, pid)| pid);
        }
        for known in &mut self.known {
            let Standing::Watched(process) = &mut known.standing else { continue };
            process.selected = match &self.watch.select {
                Select::Everyone => true,
                Select::Nobody => false,
                Select::Named(regex) if std::mem::take(&mut process.renamed) => {
                    regex.is_match(&String::from_utf8_lossy(process.stat.name.as_bytes()))
                }
                Select::Named(_) => process.selected,
                Select::User(_) => process.user_id().is_some() && process.user_id() == self.watched_user,
                Select::Busiest(_) => self.busiest.binary_search_by_key(&known.entry.pid, |&(_, _, pid)| pid).is_ok(),
            };
        }
    }

    /// Reads the dear files of those whose turn it is, and who they are of those that may have changed.
    fn look_closer(&mut self, at: Moment) {
        let is_round = at.monotonic_nanos >= self.next_round;
        if is_round {
            self.next_round = at.monotonic_nanos.saturating_add(BETWEEN_ROUNDS);
        }
        let mut all = std::mem::take(&mut self.known);
        let members = all.iter().filter_map(Known::member).count();
        let others = all.iter().filter_map(Known::watched).count() - members;
        for known in &mut all {
            let pid = known.entry.pid;
            let Standing::Watched(process) = &mut known.standing else { continue };
            process.detail_fresh = false;
            if is_round || process.detail.is_none() {
                self.read_detail(at, pid, process, if process.member { members } else { others });
            }
            if process.selected && process.io.is_none() {
                self.read_io(at, pid, process);
            }
            if process.selected && process.look && (process.identity.is_none() || !process.stat.is_zombie()) {
                if process.was_told
                    && let Ok(stat) = self.files.stat(pid, None)
                    && stat.start_ticks == process.stat.start_ticks
                {
                    process.stat.take_belonging(&stat);
                }
                // The second look comes one tick after the first.
                process.look = process.identity.is_none();
                let ticks = self.machine.ticks_per_second as f64;
                process.identity = Some(self.identities.look(&mut self.files, ticks, at, process.who(pid), process.identity));
            }
        }
        self.known = all;
    }

    fn read_detail(&mut self, at: Moment, pid: u32, process: &mut Watched, of_its_kind: usize) {
        // A process may become the watched user's at any time.
        let wanted = process.selected || process.member || self.watched_user.is_some();
        if !wanted || at.monotonic_nanos < process.detail_due {
            return;
        }
        process.put_off_detail(at.monotonic_nanos, pid, of_its_kind);
        if process.needs_no_detail(at.monotonic_nanos) {
            return;
        }
        match self.files.detail(pid) {
            Ok(detail) => {
                process.take_detail(at.monotonic_nanos, detail);
                process.selected |= self.watched_user.is_some() && process.user_id() == self.watched_user;
            }
            Err(kind) => self.faults.count(kind),
        }
    }

    fn write_rows(&mut self, at: Moment) {
        let units = Units { ticks: self.ticks(), page: self.machine.page_size, delays_accounted: self.delays_accounted };
        self.left_out = 0;
        for (pid, process) in self.known.iter().filter_map(Known::watched).filter(|(_, process)| process.turn == self.turn) {
            if process.selected {
                write_row(&mut self.rows, at, pid, process, units);
            } else {
                self.left_out += 1;
            }
        }
    }

    /// Settles the ledger and writes the job's row.
    fn write_job(&mut self, at: Moment) {
        let (known, turn) = (&self.known, self.turn);
        self.ledger.settle(|pid| match watched::find(known, pid).and_then(|index| known[index].member()) {
            Some((_, process)) if process.turn == turn => Parent::Read { children_minor_faults: process.children_minor_faults_since() },
            Some(_) => Parent::Unread,
            None => Parent::Stranger,
        });
        let (mut living, mut levels) = (Used::default(), Levels::default());
        for (_, process) in known.iter().filter_map(Known::member) {
            living.add(process.used());
            if !process.stat.is_zombie() {
                levels.add(process, self.machine.page_size);
            }
        }
        self.ledger.row(at, living, levels);
    }

    /// Reads everything once, and adds the rows of this time.
    fn read_once(&mut self, at: Moment) -> Result<(), Fault> {
        let has_job = self.has_job();
        if !has_job && self.watch.scope == Scope::Tree {
            return Ok(());
        }
        if self.only_adopts() && std::mem::take(&mut self.first) {
            // Listing a large machine would only hold up the job's begin.
            self.write_job(at);
            return Ok(());
        }
        self.turn += 1;
        self.read_fast(at);
        let listed = self.compare_listing(at);
        self.read_known(at);
        self.find_members(at);
        self.first &= !matches!(listed, Ok(true));
        self.select();
        self.look_closer(at);
        if has_job {
            self.write_job(at);
        }
        self.write_rows(at);
        listed.map(|_| ())
    }
}

impl Source for ProcessSource {
    fn read(&mut self, mut at: Moment) -> Result<(), Fault> {
        let before = (self.ledger.rows.len(), self.rows.len());
        let reading = Reading::begin();
        let mut read = self.read_once(at);
        if let Some(taken) = self.last.and_then(|last| reading.held_up(at.monotonic_nanos - last)) {
            // What stands in these rows is of two times. In those that take their place nobody is missing, be it who is due now or who was born meanwhile.
            self.ledger.rows.truncate(before.0);
            self.rows.truncate(before.1);
            self.turn += self.others_every.saturating_sub(1);
            self.list_anew();
            at.monotonic_nanos += taken;
            read = self.read_once(at);
        }
        self.last = Some(at.monotonic_nanos);
        read
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

/// The number of the user whose processes are chosen, if it is one's.
fn watched_user(identities: &Identities, select: &Select) -> Result<Option<u32>, Fault> {
    let Select::User(name) = select else { return Ok(None) };
    let found = identities.user_id(name).or_else(|| name.parse().ok());
    found.map(Some).ok_or_else(|| Fault {
        kind: FaultKind::Other,
        what: format!("user {name}").into(),
        why: "there is no such user in /etc/passwd; try its number".into(),
    })
}

/// Whether this process has any child, ended or not, waitid(2).
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, look), Err(Errno::CHILD))
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
    // Whole milliseconds: whoever hardly runs has the same number for long, which costs no room in a file. The kernel knows no better of who runs just now.
    let millis = |nanos: u64| (nanos / 1_000_000) as f64 / 1e3;
    let mut row = rows.row(at);
    row.set(Process::pid, u64::from(pid))
        .set(Process::start_ticks, stat.start_ticks)
        .text(Process::state, std::slice::from_ref(&stat.state))
        .set(Process::threads, stat.threads)
        .set(Process::user, millis(stat.cpu.user))
        .set(Process::system, millis(stat.cpu.system))
        .set(Process::children_user, millis(stat.children_cpu.user))
        .set(Process::children_system, millis(stat.children_cpu.system))
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
