//! Who is there: the processes of /proc, in order of their pids, each with a mark that changes when the pid is used again.
//!
//! The kernel walks all processes for a listing, so one is made only if somebody may have come: a pid was given away since, the last word of
//! /proc/loadavg, proc(5). Where listings are so dear that they have to rest, those pids are looked at one by one. Who has gone is seen when it is to be read.

use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use barograph_model::Moment;
use rustix::fs::{OFlags, RawDir, SeekFrom};
use rustix::time::{ClockId, clock_gettime};

use crate::scan::{number, words};
use crate::shared::SharedFile;
use crate::{Fault, Machine, Root};

/// A listing may use 1/200 of the time (0.5 %): on a machine with thousands of processes, fast ticks do not list them each time.
const SHARE_OF_TIME: i64 = 200;

/// After this time there is a listing in any case: a process may be made under a pid of choice, clone3(2), which the kernel does not count as given.
const LONGEST_TRUST: i64 = 5_000_000_000;

/// Where the BPF iterator tells who has come there is a listing after this time: kernels may hide processes from iterators.
const LONGEST_TRUST_OF_OTHERS: i64 = 60_000_000_000;

/// A pid is given away before its process is listed. Between the two its parent may have to wait for its core: so long there are listings, each four times as
/// late as the one before.
const LONGEST_BIRTH: i64 = 100_000_000;

/// So many pids that were given away are looked at one by one, the last ones.
const MOST_LOOKS: u32 = 64;

/// For a process that no listing has shown yet.
pub(super) const NO_INODE: u64 = 0;

/// A process as the listing shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Entry {
    pub(super) pid: u32,
    /// The inode of /proc/PID, which is another one when the pid belongs to another process. So a process that was
    /// looked at once need not be read again to know that it is still the same.
    pub(super) inode: u64,
}

/// The folder /proc, kept open.
pub(super) struct Listing {
    directory: OwnedFd,
    buffer: Vec<MaybeUninit<u8>>,
    entries: Vec<Entry>,
    /// On the clock of [`Moment::monotonic_nanos`].
    not_before: i64,
    trusted_until: i64,
    overdue_from: i64,
    newest: Newest,
    /// Up to here the pids that were given away were looked at, and when there may be such a look again.
    looked_up_to: Option<u64>,
    no_look_before: i64,
}

/// The pid that was given away last.
struct Newest {
    /// `None` where /proc is another machine's: the kernel tells of the pids of who asks. So it is where another program makes this file, as in some containers.
    loadavg: Option<SharedFile>,
    pid: Option<u64>,
    /// When it was given away, as far as was seen, and when there is to be a listing all the same; `None` if its process has long been born.
    since: i64,
    again_at: Option<i64>,
}

impl Newest {
    fn open(machine: &Machine) -> Newest {
        let is_the_kernels = machine.is_ours() && machine.is_of_its_file_system(Root::Proc, "loadavg");
        let loadavg = if is_the_kernels { machine.share(Root::Proc, "loadavg").ok() } else { None };
        Newest { loadavg, pid: None, since: 0, again_at: None }
    }

    /// Kernels that do not count say 0.
    fn read(&mut self, at: Moment) -> Option<u64> {
        let pid = self.loadavg.as_mut()?.read(at, |text| words(text).nth(4).and_then(number)).ok()?;
        pid.filter(|&pid| pid > 0)
    }

    /// Whether anybody may have come since this was asked before.
    fn has_changed(&mut self, at: Moment) -> bool {
        let (now, pid) = (at.monotonic_nanos, self.read(at));
        if pid.is_none() || std::mem::replace(&mut self.pid, pid) != pid {
            (self.since, self.again_at) = (now, Some(now));
            return true;
        }
        let is_due = self.again_at.is_some_and(|again| now >= again);
        if is_due {
            let age = now - self.since;
            self.again_at = (age < LONGEST_BIRTH).then(|| now.saturating_add(age.saturating_mul(3)));
        }
        is_due
    }
}

impl Listing {
    pub(super) fn open(machine: &Machine) -> Result<Listing, Fault> {
        let directory = machine.open_at(Root::Proc, ".", OFlags::DIRECTORY).map_err(|errno| Fault::call(machine.path(Root::Proc, ""), errno))?;
        Ok(Listing {
            directory,
            buffer: vec![MaybeUninit::uninit(); 32 * 1024],
            entries: Vec::new(),
            not_before: i64::MIN,
            trusted_until: i64::MIN,
            overdue_from: i64::MIN,
            newest: Newest::open(machine),
            looked_up_to: None,
            no_look_before: i64::MIN,
        })
    }

    /// The next reading lists whatever the last one cost and showed.
    pub(super) fn rest_no_more(&mut self) {
        (self.not_before, self.trusted_until, self.overdue_from) = (i64::MIN, i64::MIN, i64::MIN);
    }

    /// Not everybody could be met: the next reading lists again, if listings need not rest.
    pub(super) fn trust_no_more(&mut self) {
        self.trusted_until = i64::MIN;
    }

    /// No reading lists any more.
    pub(super) fn rest_for_good(&mut self) {
        self.not_before = i64::MAX;
    }

    /// Whether there must be a listing at this tick although somebody else tells who has come.
    pub(super) fn is_overdue(&self, at: Moment) -> bool {
        at.monotonic_nanos >= self.overdue_from
    }

    /// The pids that were given away since this one, as long as they have not begun anew at the smallest: all others are of older processes.
    pub(super) fn pids_since(&mut self, at: Moment, pid: u32) -> Option<RangeInclusive<u32>> {
        let newest = u32::try_from(self.newest.read(at)?).ok()?;
        (newest >= pid).then_some(pid..=newest)
    }

    /// The pids that were given away since the last listing, the last of them at least, where that was so dear that this tick has none: each is of a process,
    /// of a thread, or of nobody any more.
    pub(super) fn given_meanwhile(&mut self, at: Moment) -> Option<RangeInclusive<u32>> {
        let rests = at.monotonic_nanos < self.not_before && self.not_before < i64::MAX;
        if !rests || at.monotonic_nanos < self.no_look_before {
            return None;
        }
        let newest = self.newest.read(at)?;
        let before = self.looked_up_to.replace(newest).or(self.newest.pid)?;
        // The last one may not have been born at the last look.
        let (first, last) = (u32::try_from(before).ok()?, u32::try_from(newest).ok()?);
        (first < last).then(|| first.max(last.saturating_sub(MOST_LOOKS - 1))..=last)
    }

    /// Looks at pids took so much CPU time: a share of the time as for listings.
    pub(super) fn has_looked(&mut self, at: Moment, nanos: i64) {
        self.no_look_before = at.monotonic_nanos.saturating_add(nanos.saturating_mul(SHARE_OF_TIME));
    }

    /// The processes now; `None` if nobody has come, or if the last listing was so dear that this tick does without.
    pub(super) fn read(&mut self, at: Moment) -> Result<Option<&[Entry]>, Fault> {
        if at.monotonic_nanos < self.not_before {
            return Ok(None);
        }
        let has_changed = self.newest.has_changed(at);
        if at.monotonic_nanos < self.trusted_until && !has_changed {
            return Ok(None);
        }
        self.looked_up_to = None;
        let begin = cpu_nanos();
        let fault = |errno| Fault::call("the listing of /proc", errno);
        rustix::fs::seek(&self.directory, SeekFrom::Start(0)).map_err(fault)?;
        self.entries.clear();
        let mut directory = RawDir::new(&self.directory, &mut self.buffer);
        while let Some(entry) = directory.next() {
            let entry = entry.map_err(fault)?;
            if let Some(pid) = number(entry.file_name().to_bytes()).and_then(|pid| u32::try_from(pid).ok()) {
                self.entries.push(Entry { pid, inode: entry.ino() });
            }
        }
        // The kernel lists pids in order; a folder that plays /proc need not.
        if !self.entries.is_sorted() {
            self.entries.sort_unstable();
        }
        let rest = (cpu_nanos() - begin).saturating_mul(SHARE_OF_TIME);
        self.not_before = at.monotonic_nanos.saturating_add(rest);
        self.trusted_until = at.monotonic_nanos.saturating_add(LONGEST_TRUST);
        self.overdue_from = at.monotonic_nanos.saturating_add(LONGEST_TRUST_OF_OTHERS);
        Ok(Some(&self.entries))
    }
}

/// CPU time of this thread. By the clock on the wall, a listing that had to wait for its core would keep us from looking for as long as a short job lives.
pub(in super::super) fn cpu_nanos() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::Roots;

    /// A folder that plays /proc, with so many processes and the pid that was given away last.
    fn folder(newest: Option<u64>) -> (TempDir, Listing) {
        let folder = tempfile::tempdir().unwrap();
        for pid in [1, 7, 30] {
            fs::create_dir(folder.path().join(pid.to_string())).unwrap();
        }
        let machine = Machine::open(Roots { proc: folder.path().into(), ..Roots::default() }).unwrap();
        let mut listing = Listing::open(&machine).unwrap();
        assert!(listing.newest.loadavg.is_none(), "the kernel tells of our pids, and not of a folder's");
        if let Some(newest) = newest {
            give_away(&folder, newest);
            listing.newest.loadavg = Some(machine.share(Root::Proc, "loadavg").unwrap());
        }
        (folder, listing)
    }

    fn give_away(folder: &TempDir, pid: u64) {
        fs::write(folder.path().join("loadavg"), format!("0.10 0.20 0.30 1/99 {pid}\n")).unwrap();
    }

    /// Whether there is a listing at this time, in milliseconds. What listings cost is no reason to do without here.
    fn lists(listing: &mut Listing, milli: i64) -> bool {
        listing.not_before = i64::MIN;
        let nanos = milli * 1_000_000;
        listing.read(Moment { utc_nanos: nanos, monotonic_nanos: nanos }).unwrap().is_some()
    }

    #[test]
    fn there_is_a_listing_only_if_somebody_may_have_come() {
        let (folder, mut listing) = folder(Some(100));
        let mut all = |millis: &[i64]| millis.iter().copied().filter(|&milli| lists(&mut listing, milli)).collect::<Vec<_>>();
        // Whose pid is new may be listed late: there is a listing at the next tick, and then each is four times as late, until nobody is born so slowly.
        assert_eq!(all(&[0, 10, 20, 30, 40, 50, 150, 160, 170, 640, 700]), [0, 10, 40, 160]);
        give_away(&folder, 101);
        assert_eq!(all(&[710, 810, 820, 830]), [710, 810]);
        // A pid of choice is not counted as given away.
        assert_eq!(all(&[5809, 5810, 5820]), [5810]);
        for again in [Listing::rest_no_more, Listing::trust_no_more] {
            again(&mut listing);
            assert_eq!([5830, 5840].map(|milli| lists(&mut listing, milli)), [true, false]);
        }
        for nothing in ["0.10 0.20\n", "0.00 0.00 0.00 0/0 0\n"] {
            fs::write(folder.path().join("loadavg"), nothing).unwrap();
            assert_eq!([5850, 5860, 5870].map(|milli| lists(&mut listing, milli)), [true; 3], "nobody tells");
        }
        listing.rest_for_good();
        assert!(listing.read(Moment { utc_nanos: 0, monotonic_nanos: i64::MAX - 1 }).unwrap().is_none());
    }

    #[test]
    fn while_listings_rest_the_pids_that_were_given_away_are_looked_at() {
        let (folder, mut listing) = folder(Some(100));
        let at = |nanos| Moment { utc_nanos: 0, monotonic_nanos: nanos };
        assert_eq!(listing.given_meanwhile(at(0)), None, "there may be a listing");
        assert!(listing.read(at(0)).unwrap().is_some());
        listing.not_before = 1_000;
        assert_eq!(listing.given_meanwhile(at(1)), None);
        give_away(&folder, 102);
        assert_eq!(listing.given_meanwhile(at(2)), Some(100..=102));
        assert_eq!(listing.given_meanwhile(at(3)), None);
        give_away(&folder, 500);
        listing.has_looked(at(4), 2);
        assert_eq!(listing.given_meanwhile(at(403)), None, "that would be more than its share of the time");
        assert_eq!(listing.given_meanwhile(at(404)), Some(437..=500), "the last ones");
        give_away(&folder, 7);
        assert_eq!(listing.given_meanwhile(at(405)), None, "they began anew at the smallest");
        give_away(&folder, 8);
        assert_eq!(listing.given_meanwhile(at(406)), Some(7..=8));
        assert!(listing.read(at(1_000)).unwrap().is_some());
        listing.rest_for_good();
        give_away(&folder, 9);
        assert_eq!(listing.given_meanwhile(at(1_001)), None);
    }

    #[test]
    fn where_nobody_tells_of_pids_each_tick_lists() {
        let (_folder, mut listing) = folder(None);
        assert_eq!([0, 10, 20, 30].map(|milli| lists(&mut listing, milli)), [true; 4]);
        assert_eq!(listing.entries.iter().map(|entry| entry.pid).collect::<Vec<_>>(), [1, 7, 30]);
        assert_eq!(listing.pids_since(Moment::default(), 1), None);
    }

    #[test]
    fn pids_since_the_job_began_are_those_up_to_the_newest() {
        let (folder, mut listing) = folder(Some(100));
        assert_eq!(listing.pids_since(Moment::default(), 90), Some(90..=100));
        assert_eq!(listing.pids_since(Moment::default(), 100), Some(100..=100));
        assert_eq!(listing.pids_since(Moment::default(), 101), None, "they began anew at the smallest, so any may be the job's");
        give_away(&folder, 1 << 40);
        assert_eq!(listing.pids_since(Moment::default(), 90), None);
    }

    #[test]
    fn a_listing_is_overdue_a_minute_after_the_last() {
        let (_folder, mut listing) = folder(Some(100));
        let at = |second: i64| Moment { utc_nanos: 0, monotonic_nanos: second * 1_000_000_000 };
        assert!(listing.is_overdue(at(0)));
        assert!(lists(&mut listing, 0));
        assert_eq!([59, 60].map(|second| listing.is_overdue(at(second))), [false, true]);
    }
}
