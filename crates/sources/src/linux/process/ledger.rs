//! What the watched tree used as a whole, with each second and byte counted once, though processes come and go between two readings.
//!
//! The kernel adds what a process used to its parent's children's share when the parent collects it, wait(2). So the sum over living processes of their
//! own and their collected children's use is the truth, with three additions: what we collected ourselves, being the parent or the subreaper; what nobody
//! will ever account for, because its parent ignores SIGCHLD or is not of the tree; and never going backwards, since the files are not read at one instant.
//!
//! Whether a process that is gone was collected, its parent's minor faults of collected children tell: every process has some, and they arrive whole.

use std::cmp::Reverse;

use barograph_model::{Bytes, Count, Counter, Gauge, Moment, Rows, Seconds, table};

use super::cpu_time::CpuTime;
use super::parse::{Io, Stat};
use super::watched::Watched;

table! {
    /// The watched process tree as one: sums over its living processes, and over all that have ended.
    pub Job = "job" in "/proc/PID/stat and /proc/PID/io of every process of the tree" {
        /// Processes of the tree that are alive.
        processes: Gauge<Count> = "processes counted",
        /// Threads of the tree.
        threads: Gauge<Count> = "stat num_threads, summed",
        /// CPU time that the tree spent in programs' code, ended processes included.
        user: Counter<Seconds> = "clock_gettime(2) of each process, stat utime and cutime, summed",
        /// CPU time that the kernel spent on the tree's behalf, ended processes included.
        system: Counter<Seconds> = "clock_gettime(2) of each process, stat stime and cstime, summed",
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
        /// Bytes that the tree read by read(2) and its like, from caches and pipes too; recv(2) does not count.
        read: Counter<Bytes> = "io rchar, summed",
        /// Bytes that the tree wrote by write(2) and its like, to caches and pipes too; send(2) does not count.
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

/// Amounts that are passed on to the parent when a process is collected. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used([u64; 10]);

impl Used {
    /// What this process and the children that it has collected used.
    pub(super) fn of(stat: &Stat, io: Option<&Io>) -> Used {
        let io = io.copied().unwrap_or_default();
        Used([
            stat.cpu.user.saturating_add(stat.children_cpu.user),
            stat.cpu.system.saturating_add(stat.children_cpu.system),
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

    fn cpu(&self) -> CpuTime {
        CpuTime { user: self.0[0], system: self.0[1] }
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
    /// It was there when this tick began, so its parent may have been read before it was collected.
    pub(super) late: bool,
    /// Minor faults that have arrived with its parent, and may be a part of its own.
    pub(super) arrived: u64,
}

/// A process that is gone, and who is to account for it.
#[derive(Clone, Copy)]
struct Claim {
    /// The nearest ancestor that is not gone itself, and how far it is.
    ancestor: u32,
    distance: usize,
    /// Whether it, or one on the way to that ancestor, is late.
    late: bool,
    gone: Gone,
}

/// What the ledger asks about the parent of a process that is gone.
#[derive(Clone, Copy)]
pub(super) enum Parent {
    /// Was read at this tick; its collected children's minor faults grew by this much since the reading before.
    Read { children_minor_faults: u64 },
    /// Lives, and could not be read at this tick.
    Unread,
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
    pub(super) ignoring_children: u64,
}

impl Levels {
    /// Adds a living process.
    pub(super) fn add(&mut self, process: &Watched, page_size: u64) {
        let resident = process.stat.resident_pages.saturating_mul(page_size);
        self.processes += 1;
        self.threads = self.threads.saturating_add(process.stat.threads);
        self.resident = self.resident.saturating_add(resident);
        self.largest_resident = self.largest_resident.max(resident);
        self.virtual_size = self.virtual_size.saturating_add(process.stat.virtual_bytes);
        self.unreadable += u64::from(process.io_failed);
        self.ignoring_children += u64::from(process.detail.is_some_and(|detail| detail.status.ignores_children));
        // The kernel updates VmHWM late; what we saw ourselves is a lower bound for it.
        let peak = process.detail.and_then(|detail| detail.status.peak_resident).unwrap_or(0).max(resident);
        self.largest_peak_resident = self.largest_peak_resident.max(peak);
        let open_files = process.detail.and_then(|detail| detail.open_files);
        self.open_files = [self.open_files, open_files].into_iter().flatten().reduce(u64::saturating_add);
    }
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
    /// Bytes read by system calls; `None` if nobody's could be read.
    pub read_bytes: Option<u64>,
    /// Bytes written by system calls, likewise.
    pub written_bytes: Option<u64>,
    /// The most processes that were alive at one reading.
    pub processes_peak: u64,
    /// Processes that were seen at all.
    pub processes_seen: u64,
    /// Processes whose input and output could not be read, at most at one reading.
    pub unreadable_peak: u64,
    /// Processes of whose children nobody knows what they used after they were last seen, at most at one reading.
    pub ignoring_children_peak: u64,
}

/// The books of the tree.
#[derive(Default)]
pub(super) struct Ledger {
    collected: Used,
    /// Whom we are about to collect, and what it used.
    collecting: Option<(u32, Used)>,
    lost: Used,
    shown: Used,
    before: Option<Used>,
    peak: Levels,
    /// Those who are gone and whose use is not in the books yet.
    departed: Vec<Gone>,
    /// Processes that we collected since the last row, and the minor faults of the children that those had collected.
    settled: Vec<(u32, u64)>,
    pub(super) seen: u64,
    pub(super) rows: Rows<Job>,
}

impl Ledger {
    /// We collect this process ourselves; this is what it used, and its collected children's minor faults since it was last read.
    pub(super) fn collect(&mut self, pid: u32, used: Used, children_minor_faults: u64) {
        self.collected.add(used);
        self.collecting = Some((pid, used));
        self.settled.push((pid, children_minor_faults));
    }

    /// It was collected, and wait4(2) told its times to the microsecond, those of its children too.
    pub(super) fn time_exactly(&mut self, pid: u32, seconds: [f64; 2]) {
        let Some((_, used)) = self.collecting.take_if(|(collecting, _)| *collecting == pid) else { return };
        let [user, system] = seconds.map(|seconds| (seconds * 1e9).round() as u64);
        let told = CpuTime { user, system };
        let exact = CpuTime::divided(told, told.sum(), used.cpu());
        let mut rest = Used::default();
        (rest.0[0], rest.0[1]) = (exact.user - used.0[0], exact.system - used.0[1]);
        self.collected.add(rest);
    }

    /// This process is gone.
    pub(super) fn depart(&mut self, gone: Gone) {
        self.departed.push(gone);
    }

    /// The kernel's word on the largest process among one that we collected and its descendants.
    pub(super) fn peak_of_process(&mut self, bytes: u64) {
        self.peak.largest_peak_resident = self.peak.largest_peak_resident.max(bytes);
    }

    /// Finds out for each process that is gone whether its use has reached the books of an ancestor, and keeps what never will. What may reach them
    /// by the next tick counts as living until then.
    pub(super) fn settle(&mut self, parent: impl Fn(u32) -> Parent) {
        let mut claims = self.claims();
        claims.sort_unstable_by_key(|claim| (claim.ancestor, claim.late, claim.distance, Reverse(claim.gone.used.minor_faults())));
        self.settled.sort_unstable();
        self.departed.clear();
        for claims in claims.chunk_by(|a, b| a.ancestor == b.ancestor) {
            let pid = claims[0].ancestor;
            let settled = self.settled.binary_search_by_key(&pid, |&(settled, _)| settled).map(|index| self.settled[index].1);
            let parent = settled.map_or_else(|_| parent(pid), |children_minor_faults| Parent::Read { children_minor_faults });
            match parent {
                Parent::Read { children_minor_faults } => self.settle_with(children_minor_faults, claims),
                Parent::Unread => self.departed.extend(claims.iter().map(|claim| claim.gone)),
                Parent::Stranger => claims.iter().for_each(|claim| self.lost.add(claim.gone.used)),
            }
        }
        self.settled.clear();
    }

    /// Those who are gone, and who is to account for each.
    fn claims(&mut self) -> Vec<Claim> {
        self.departed.sort_unstable_by_key(|gone| gone.pid);
        let departed = &self.departed;
        let claim = |&gone: &Gone| {
            let (mut ancestor, mut late, mut distance) = (gone.parent, gone.late, 0);
            // A parent that is gone too passed it on to its own parent. The way is no longer than the list, even if pids were used again.
            while distance < departed.len()
                && let Ok(index) = departed.binary_search_by_key(&ancestor, |gone| gone.pid)
            {
                late |= departed[index].late;
                ancestor = departed[index].parent;
                distance += 1;
            }
            Claim { ancestor, distance, late, gone }
        };
        departed.iter().map(claim).collect()
    }

    /// Who of these was collected, when so many minor faults have arrived with their ancestor: the nearest first, and of those the largest.
    fn settle_with(&mut self, arrived: u64, claims: &[Claim]) {
        let mut arrived = claims.iter().fold(arrived, |sum, claim| sum.saturating_add(claim.gone.arrived));
        let first_left = self.departed.len();
        for &Claim { late, gone, .. } in claims {
            match arrived.checked_sub(gone.used.minor_faults()) {
                Some(rest) => arrived = rest,
                None if late => self.departed.push(Gone { late: false, arrived: 0, ..gone }),
                None => self.lost.add(gone.used),
            }
        }
        // Which ones have arrived is a guess where some are still to come; when all have, their sum will tell.
        if let Some(left) = self.departed.get_mut(first_left) {
            left.arrived = arrived;
        }
    }

    /// Writes the row of this tick. `living` is the use of all living processes of the tree.
    pub(super) fn row(&mut self, at: Moment, living: Used, levels: Levels) {
        let mut now = living;
        self.departed.iter().for_each(|gone| now.add(gone.used));
        now.add(self.collected);
        now.add(self.lost);
        self.shown.raise_to(now);
        self.before.get_or_insert(self.shown);
        self.raise_peaks(levels);
        let io_is_known = self.io_is_known();
        let io = |sum: u64| io_is_known.then_some(sum);
        let [user, system, minor, major, read, written, read_calls, write_calls, storage_read, storage_written] = self.shown.0;
        self.rows
            .row(at)
            .set(Job::processes, levels.processes)
            .set(Job::threads, levels.threads)
            .set(Job::user, seconds(user))
            .set(Job::system, seconds(system))
            .set(Job::resident, levels.resident)
            .set(Job::largest_resident, levels.largest_resident)
            .set(Job::largest_peak_resident, (self.peak.largest_peak_resident > 0).then_some(self.peak.largest_peak_resident))
            .set(Job::virtual_size, levels.virtual_size)
            .set(Job::minor_faults, minor)
            .set(Job::major_faults, major)
            .set(Job::read, io(read))
            .set(Job::written, io(written))
            .set(Job::read_calls, io(read_calls))
            .set(Job::write_calls, io(write_calls))
            .set(Job::storage_read, io(storage_read))
            .set(Job::storage_written, io(storage_written))
            .set(Job::open_files, levels.open_files)
            .set(Job::unreadable, levels.unreadable);
    }

    /// Where some of the input and output may not be read and the rest is nothing, its sum is not zero but unknown.
    fn io_is_known(&self) -> bool {
        self.peak.unreadable == 0 || self.shown.0[4..].iter().any(|&sum| sum > 0)
    }

    fn raise_peaks(&mut self, levels: Levels) {
        let peak = &mut self.peak;
        peak.processes = peak.processes.max(levels.processes);
        peak.resident = peak.resident.max(levels.resident);
        peak.unreadable = peak.unreadable.max(levels.unreadable);
        peak.ignoring_children = peak.ignoring_children.max(levels.ignoring_children);
        peak.largest_peak_resident = peak.largest_peak_resident.max(levels.largest_peak_resident);
    }

    /// The sums since the first row.
    pub(super) fn totals(&self) -> JobTotals {
        let before = self.before.unwrap_or_default().0;
        let used = |index: usize| self.shown.0[index].saturating_sub(before[index]);
        let seen = |bytes: u64| (bytes > 0).then_some(bytes);
        JobTotals {
            user_seconds: seconds(used(0)),
            system_seconds: seconds(used(1)),
            peak_resident_bytes: seen(self.peak.resident),
            largest_peak_resident_bytes: seen(self.peak.largest_peak_resident),
            read_bytes: self.io_is_known().then(|| used(4)),
            written_bytes: self.io_is_known().then(|| used(5)),
            processes_peak: self.peak.processes,
            processes_seen: self.seen,
            unreadable_peak: self.peak.unreadable,
            ignoring_children_peak: self.peak.ignoring_children,
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(nanos: u64, faults: u64) -> Used {
        let mut used = Used::default();
        used.0[0] = nanos;
        used.0[2] = faults;
        used
    }

    fn gone(pid: u32, parent: u32, nanos: u64, faults: u64) -> Gone {
        Gone { pid, parent, used: used(nanos, faults), late: false, arrived: 0 }
    }

    fn late(gone: Gone) -> Gone {
        Gone { late: true, ..gone }
    }

    /// A tree whose root is process 1, with so many faults of collected children that have arrived since the reading before.
    fn root_has(faults: u64) -> impl Fn(u32) -> Parent {
        move |pid| if pid == 1 { Parent::Read { children_minor_faults: faults } } else { Parent::Stranger }
    }

    /// The CPU time of those who were lost, and of those who may still be accounted for.
    fn settled(ledger: &mut Ledger, gone: &[Gone], parent: impl Fn(u32) -> Parent) -> (u64, u64) {
        gone.iter().for_each(|&gone| ledger.depart(gone));
        ledger.settle(parent);
        (ledger.lost.0[0], ledger.departed.iter().map(|gone| gone.used.0[0]).sum())
    }

    fn settled_at_once(gone: &[Gone], parent: impl Fn(u32) -> Parent) -> (u64, u64) {
        settled(&mut Ledger::default(), gone, parent)
    }

    #[test]
    fn a_collected_child_is_not_counted_twice() {
        assert_eq!(settled_at_once(&[gone(2, 1, 50, 100)], root_has(100)), (0, 0));
        assert_eq!(settled_at_once(&[late(gone(2, 1, 50, 100))], root_has(130)), (0, 0));
    }

    #[test]
    fn a_child_whose_parent_ignores_it_is_kept() {
        assert_eq!(settled_at_once(&[gone(2, 1, 50, 100)], root_has(0)), (50, 0));
    }

    #[test]
    fn of_many_children_each_is_settled_by_itself() {
        let children = [gone(2, 1, 1, 100), gone(3, 1, 10, 100), gone(4, 3, 100, 100)];
        assert_eq!(settled_at_once(&children, root_has(310)), (0, 0));
        assert_eq!(settled_at_once(&children, root_has(210)), (100, 0), "3 ignored its child 4");
    }

    #[test]
    fn a_grandchild_reaches_the_grandparent() {
        let family = [gone(3, 2, 50, 100), gone(2, 1, 5, 80)];
        assert_eq!(settled_at_once(&family, root_has(180)), (0, 0));
        assert_eq!(settled_at_once(&family, |_| Parent::Stranger), (55, 0), "no one of the tree is left to account for them");
    }

    #[test]
    fn who_vanished_after_its_parent_was_read_counts_as_living_until_the_next_tick() {
        let mut ledger = Ledger::default();
        assert_eq!(settled(&mut ledger, &[late(gone(2, 1, 50, 100))], root_has(0)), (0, 50));
        assert_eq!(settled(&mut ledger, &[], root_has(120)), (0, 0), "now it has been collected");

        let mut ledger = Ledger::default();
        assert_eq!(settled(&mut ledger, &[late(gone(2, 1, 50, 100))], root_has(0)), (0, 50));
        assert_eq!(settled(&mut ledger, &[], root_has(0)), (50, 0), "now it never will be");
    }

    #[test]
    fn of_two_that_vanished_one_may_have_been_collected() {
        let late = [late(gone(2, 1, 1, 20)), late(gone(3, 1, 10, 30))];
        for (first, second, of_first) in [(20, 30, 10), (30, 20, 1), (41, 35, 1)] {
            let mut ledger = Ledger::default();
            assert_eq!(settled(&mut ledger, &late, root_has(first)), (0, of_first), "{first}");
            assert_eq!(settled(&mut ledger, &[], root_has(second)), (0, 0), "{second}");
        }
    }

    #[test]
    fn a_child_waits_for_a_late_parent() {
        let mut ledger = Ledger::default();
        assert_eq!(settled(&mut ledger, &[gone(3, 2, 50, 100), late(gone(2, 1, 5, 80))], root_has(0)), (0, 55));
        assert_eq!(settled(&mut ledger, &[], root_has(180)), (0, 0));
    }

    #[test]
    fn a_parent_that_could_not_be_read_is_asked_again() {
        let mut ledger = Ledger::default();
        assert_eq!(settled(&mut ledger, &[gone(2, 1, 50, 100)], |_| Parent::Unread), (0, 50));
        assert_eq!(settled(&mut ledger, &[], root_has(100)), (0, 0));
    }

    #[test]
    fn what_a_parent_knew_that_we_collected_is_in_the_books() {
        let mut ledger = Ledger::default();
        ledger.collect(2, used(70, 300), 100);
        assert_eq!(settled(&mut ledger, &[gone(3, 2, 50, 100)], |_| Parent::Stranger), (0, 0));
        ledger.collect(2, used(70, 300), 0);
        assert_eq!(settled(&mut ledger, &[gone(3, 2, 50, 100)], |_| Parent::Stranger), (50, 0), "it ignored its child");
    }

    #[test]
    fn those_whom_we_collect_are_timed_as_wait_says() {
        let mut ledger = Ledger::default();
        ledger.row(Moment::default(), used(1_000_000_000, 1), Levels::default());
        for pid in 2..12 {
            ledger.collect(pid, used(u64::from(pid % 2) * 10_000_000, 1), 0);
            ledger.time_exactly(pid, [0.013, 0.002]);
            ledger.time_exactly(pid, [0.013, 0.002]);
        }
        ledger.time_exactly(99, [5.0, 5.0]);
        // The kernel divides anew each time; what was seen of one part was seen, and the sum is no more for that.
        ledger.collect(12, used(10_000_000, 1), 0);
        ledger.time_exactly(12, [0.008, 0.004]);
        ledger.row(Moment::default(), used(1_000_000_000, 1), Levels::default());
        let totals = ledger.totals();
        assert!((totals.user_seconds - 0.14).abs() < 1e-9 && (totals.system_seconds - 0.022).abs() < 1e-9, "{totals:?}");
        let user = ledger.rows.column("user_seconds").unwrap();
        assert!((user.float(1).unwrap() - 1.14).abs() < 1e-9);
    }

    #[test]
    fn pids_in_a_circle_end() {
        assert_eq!(settled_at_once(&[gone(2, 3, 1, 1), gone(3, 2, 1, 1)], root_has(0)), (2, 0));
    }

    #[test]
    fn sums_never_go_backwards() {
        let mut ledger = Ledger::default();
        ledger.row(Moment::default(), used(1_000_000_000, 1), Levels::default());
        ledger.row(Moment::default(), used(900_000_000, 1), Levels::default());
        ledger.row(Moment::default(), used(1_200_000_000, 1), Levels::default());
        let user = ledger.rows.column("user_seconds").unwrap();
        assert_eq!((0..3).map(|row| user.float(row)).collect::<Vec<_>>(), [Some(1.0), Some(1.0), Some(1.2)]);
        assert_eq!(ledger.totals().user_seconds, 0.2);
    }
}
