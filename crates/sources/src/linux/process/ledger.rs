//! What the watched tree used as a whole, with each second and byte counted once, though processes come and go between two readings.
//!
//! The kernel adds what a process used to its parent's children's share when the parent collects it, wait(2). So the sum over living processes of their
//! own and their collected children's use is the truth, with three additions: what we collected ourselves, being the parent or the subreaper; what nobody
//! will ever account for, because its parent ignores SIGCHLD or is not of the tree; and never going backwards, since the files are not read at one instant.

use barograph_model::{Bytes, Count, Counter, Gauge, Moment, Rows, Seconds, table};

use super::parse::{Io, Stat};

table! {
    /// The watched process tree as one: sums over its living processes, and over all that have ended.
    pub Job = "job" in "/proc/PID/stat and /proc/PID/io of every process of the tree" {
        /// Processes of the tree that are alive.
        processes: Gauge<Count> = "processes counted",
        /// Threads of the tree.
        threads: Gauge<Count> = "stat num_threads, summed",
        /// CPU time that the tree spent in programs' code, ended processes included.
        user: Counter<Seconds> = "stat utime and cutime, summed",
        /// CPU time that the kernel spent on the tree's behalf, ended processes included.
        system: Counter<Seconds> = "stat stime and cstime, summed",
        /// RAM in use by the tree; pages that processes share are counted for each of them.
        resident: Gauge<Bytes> = "stat rss, summed",
        /// RAM in use by the largest process of the tree.
        largest_resident: Gauge<Bytes> = "stat rss, largest",
        /// The most RAM that any single process of the tree has used so far, as the kernel saw it between readings too.
        largest_peak_resident: Gauge<Bytes> = "status VmHWM, largest",
        /// Address space of the tree.
        virtual_size: Gauge<Bytes> = "stat vsize, summed",
        /// Page faults that needed no device.
        minor_faults: Counter<Count> = "stat minflt and cminflt, summed",
        /// Page faults that had to wait for a device.
        major_faults: Counter<Count> = "stat majflt and cmajflt, summed",
        /// Bytes that the tree read by system calls, from caches, pipes and sockets too.
        read: Counter<Bytes> = "io rchar, summed",
        /// Bytes that the tree wrote by system calls, to caches, pipes and sockets too.
        written: Counter<Bytes> = "io wchar, summed",
        /// System calls of the tree that read.
        read_calls: Counter<Count> = "io syscr, summed",
        /// System calls of the tree that wrote.
        write_calls: Counter<Count> = "io syscw, summed",
        /// Bytes that devices had to deliver for the tree.
        storage_read: Counter<Bytes> = "io read_bytes, summed",
        /// Bytes that the tree caused to be written to devices.
        storage_written: Counter<Bytes> = "io write_bytes, summed",
        /// Open descriptors of the tree, as last counted for each process.
        open_files: Gauge<Count> = "fd, counted and summed",
        /// Processes of the tree whose input and output may not be read, and are missing from the sums.
        unreadable: Gauge<Count> = "io, refused",
    }
}

/// Amounts that are passed on to the parent when a process is collected. Times are in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used([u64; 10]);

impl Used {
    /// What this process and the children that it has collected used.
    pub(super) fn of(stat: &Stat, io: Option<&Io>) -> Used {
        let io = io.copied().unwrap_or_default();
        Used([
            stat.user + stat.children_user,
            stat.system + stat.children_system,
            stat.minor_faults + stat.children_minor_faults,
            stat.major_faults + stat.children_major_faults,
            io.read,
            io.written,
            io.read_calls,
            io.write_calls,
            io.storage_read,
            io.storage_written,
        ])
    }

    pub(super) fn add(&mut self, other: Used) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    fn raise_to(&mut self, other: Used) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = (*mine).max(theirs);
        }
    }

    fn minor_faults(&self) -> u64 {
        self.0[2]
    }
}

/// A process of the tree that is no longer there, as it was last seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) used: Used,
}

/// What the ledger asks about the parent of a process that is gone.
pub(super) enum Parent {
    /// Lives; its collected children's minor faults grew by this much since the last reading.
    Alive { children_minor_faults: u64 },
    /// We collected it, or we are it: what its children used is in the books.
    Settled,
    /// Not of the tree.
    Stranger,
}

/// Levels of the tree at one tick.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Levels {
    pub(super) processes: u64,
    pub(super) threads: u64,
    pub(super) resident: u64,
    pub(super) largest_resident: u64,
    pub(super) largest_peak_resident: u64,
    pub(super) virtual_size: u64,
    pub(super) open_files: Option<u64>,
    pub(super) unreadable: u64,
}

/// What the tree used from first to last, for the summary at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JobTotals {
    /// CPU time in programs' code, in seconds.
    pub user_seconds: f64,
    /// CPU time in the kernel, in seconds.
    pub system_seconds: f64,
    /// The most RAM that the tree used at one reading, in bytes.
    pub peak_resident_bytes: Option<u64>,
    /// The most RAM that a single process used, as the kernel kept it, in bytes.
    pub largest_peak_resident_bytes: Option<u64>,
    /// Bytes read by system calls.
    pub read_bytes: u64,
    /// Bytes written by system calls.
    pub written_bytes: u64,
    /// Bytes that devices delivered.
    pub storage_read_bytes: u64,
    /// Bytes sent to devices.
    pub storage_written_bytes: u64,
    /// The most processes that were alive at one reading.
    pub processes_peak: u64,
    /// Processes that were seen at all.
    pub processes_seen: u64,
    /// Processes whose input and output could not be read, at most at one reading.
    pub unreadable_peak: u64,
}

/// The books of the tree.
#[derive(Default)]
pub(super) struct Ledger {
    collected: Used,
    lost: Used,
    shown: Used,
    before: Option<Used>,
    peak: Levels,
    expected: Vec<(u32, Used)>,
    pub(super) seen: u64,
    pub(super) rows: Rows<Job>,
}

impl Ledger {
    /// We collected this process ourselves; these are its last values.
    pub(super) fn collect(&mut self, used: Used) {
        self.collected.add(used);
    }

    /// The kernel's word on the largest process among one that we collected and its descendants.
    pub(super) fn peak_of_process(&mut self, bytes: u64) {
        self.peak.largest_peak_resident = self.peak.largest_peak_resident.max(bytes);
    }

    /// Finds out for each process that is gone whether its use has reached a living parent's books, and keeps what has not.
    pub(super) fn settle(&mut self, gone: &[Gone], parent: impl Fn(u32) -> Parent) {
        self.expected.clear();
        for process in gone {
            let mut ancestor = process.parent;
            // A parent that is gone too passed it on to its own parent. The chain is no longer than the list.
            for _ in gone {
                match gone.iter().find(|other| other.pid == ancestor) {
                    Some(other) if !matches!(parent(ancestor), Parent::Settled) => ancestor = other.parent,
                    _ => break,
                }
            }
            match parent(ancestor) {
                Parent::Settled => {}
                Parent::Stranger => self.lost.add(process.used),
                Parent::Alive { .. } => match self.expected.iter_mut().find(|(pid, _)| *pid == ancestor) {
                    Some((_, used)) => used.add(process.used),
                    None => self.expected.push((ancestor, process.used)),
                },
            }
        }
        for (pid, used) in &self.expected {
            // Every process faults some pages in, so these tell whether it was collected; half, because reading is not instantaneous.
            if let Parent::Alive { children_minor_faults } = parent(*pid)
                && children_minor_faults.saturating_mul(2) < used.minor_faults()
            {
                self.lost.add(*used);
            }
        }
    }

    /// Writes the row of this tick. `living` is the use of all living processes of the tree.
    pub(super) fn row(&mut self, at: Moment, living: Used, levels: Levels, ticks_per_second: f64) {
        let mut now = living;
        now.add(self.collected);
        now.add(self.lost);
        self.shown.raise_to(now);
        self.before.get_or_insert(self.shown);
        self.raise_peaks(levels);
        let [user, system, minor, major, read, written, read_calls, write_calls, storage_read, storage_written] = self.shown.0;
        self.rows
            .row(at)
            .set(Job::processes, levels.processes)
            .set(Job::threads, levels.threads)
            .set(Job::user, user as f64 / ticks_per_second)
            .set(Job::system, system as f64 / ticks_per_second)
            .set(Job::resident, levels.resident)
            .set(Job::largest_resident, levels.largest_resident)
            .set(Job::largest_peak_resident, (self.peak.largest_peak_resident > 0).then_some(self.peak.largest_peak_resident))
            .set(Job::virtual_size, levels.virtual_size)
            .set(Job::minor_faults, minor)
            .set(Job::major_faults, major)
            .set(Job::read, read)
            .set(Job::written, written)
            .set(Job::read_calls, read_calls)
            .set(Job::write_calls, write_calls)
            .set(Job::storage_read, storage_read)
            .set(Job::storage_written, storage_written)
            .set(Job::open_files, levels.open_files)
            .set(Job::unreadable, levels.unreadable);
    }

    fn raise_peaks(&mut self, levels: Levels) {
        let peak = &mut self.peak;
        peak.processes = peak.processes.max(levels.processes);
        peak.resident = peak.resident.max(levels.resident);
        peak.unreadable = peak.unreadable.max(levels.unreadable);
        peak.largest_peak_resident = peak.largest_peak_resident.max(levels.largest_peak_resident);
    }

    /// The sums since the first row.
    pub(super) fn totals(&self, ticks_per_second: f64) -> JobTotals {
        let before = self.before.unwrap_or_default().0;
        let used = |index: usize| self.shown.0[index].saturating_sub(before[index]);
        let seen = |bytes: u64| (bytes > 0).then_some(bytes);
        JobTotals {
            user_seconds: used(0) as f64 / ticks_per_second,
            system_seconds: used(1) as f64 / ticks_per_second,
            peak_resident_bytes: seen(self.peak.resident),
            largest_peak_resident_bytes: seen(self.peak.largest_peak_resident),
            read_bytes: used(4),
            written_bytes: used(5),
            storage_read_bytes: used(8),
            storage_written_bytes: used(9),
            processes_peak: self.peak.processes,
            processes_seen: self.seen,
            unreadable_peak: self.peak.unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(ticks: u64, faults: u64) -> Used {
        let mut used = Used::default();
        used.0[0] = ticks;
        used.0[2] = faults;
        used
    }

    fn lost(gone: &[Gone], parent: impl Fn(u32) -> Parent) -> u64 {
        let mut ledger = Ledger::default();
        ledger.settle(gone, parent);
        ledger.lost.0[0]
    }

    #[test]
    fn a_collected_child_is_not_counted_twice() {
        let gone = [Gone { pid: 2, parent: 1, used: used(50, 100) }];
        assert_eq!(lost(&gone, |_| Parent::Alive { children_minor_faults: 100 }), 0);
    }

    #[test]
    fn a_child_whose_parent_ignores_it_is_kept() {
        let gone = [Gone { pid: 2, parent: 1, used: used(50, 100) }];
        assert_eq!(lost(&gone, |_| Parent::Alive { children_minor_faults: 0 }), 50);
    }

    #[test]
    fn a_grandchild_reaches_the_grandparent() {
        let gone = [Gone { pid: 3, parent: 2, used: used(50, 100) }, Gone { pid: 2, parent: 1, used: used(5, 80) }];
        let parent = |pid| if pid == 1 { Parent::Alive { children_minor_faults: 180 } } else { Parent::Stranger };
        assert_eq!(lost(&gone, parent), 0);
        let nobody = |_| Parent::Stranger;
        assert_eq!(lost(&gone, nobody), 55, "no one of the tree is left to account for them");
    }

    #[test]
    fn what_a_collected_parent_knew_is_settled() {
        let gone = [Gone { pid: 3, parent: 2, used: used(50, 100) }];
        assert_eq!(lost(&gone, |_| Parent::Settled), 0);
    }

    #[test]
    fn sums_never_go_backwards() {
        let mut ledger = Ledger::default();
        ledger.row(Moment::default(), used(100, 1), Levels::default(), 100.0);
        ledger.row(Moment::default(), used(90, 1), Levels::default(), 100.0);
        ledger.row(Moment::default(), used(120, 1), Levels::default(), 100.0);
        let user = ledger.rows.column("user_seconds").unwrap();
        assert_eq!((0..3).map(|row| user.float(row)).collect::<Vec<_>>(), [Some(1.0), Some(1.0), Some(1.2)]);
        assert_eq!(ledger.totals(100.0).user_seconds, 0.2);
    }
}
