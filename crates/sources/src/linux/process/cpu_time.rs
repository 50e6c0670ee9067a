//! CPU time of a process by the nanosecond.
//!
//! What the kernel counts exactly is how long a process ran. /proc/PID/stat divides that into user and system time, as samples taken at the kernel's ticks say, and shows
//! both rounded down to 10 ms. The process's CPU clock, clock_gettime(2), gives the sum as it is, to everybody. So the sum here is the clock's, and only its
//! division the kernel's.

use nix::time::ClockId;

/// CPU time in nanoseconds, in programs' code and in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTime {
    pub(super) user: u64,
    pub(super) system: u64,
}

impl CpuTime {
    pub(super) fn sum(self) -> u64 {
        self.user.saturating_add(self.system)
    }

    /// Neither less than the one nor than the other.
    pub(super) fn at_least(self, other: CpuTime) -> CpuTime {
        CpuTime { user: self.user.max(other.user), system: self.system.max(other.system) }
    }

    /// The run time, which is exact, divided in the proportion of these times, and neither part less than was shown already: neither may go back.
    pub(super) fn divided(counted: CpuTime, run: u64, shown: CpuTime) -> CpuTime {
        if shown.sum() >= run {
            return shown;
        }
        let part = match (counted.user, counted.system) {
            (_, 0) => 0,
            (0, _) => run,
            (user, system) => {
                let part = u128::from(system) * u128::from(run) / (u128::from(user) + u128::from(system));
                u64::try_from(part).unwrap_or(run)
            }
        };
        // What was shown is less than the run time, so both ends of this are in order.
        let system = part.clamp(shown.system, run - shown.user);
        CpuTime { user: run - system, system }
    }

    /// The run time divided as the kernel does it, which counts ticks of each part and does not go back behind what it has shown itself; nor do we behind what we
    /// have. We know its counts now better, now worse, so the two may differ by a tick or two, and the sum does not.
    pub(super) fn divided_twice(counted: CpuTime, run: u64, the_kernel_showed: CpuTime, we_showed: CpuTime) -> CpuTime {
        let run = run.max(the_kernel_showed.sum());
        CpuTime::divided(CpuTime::divided(counted, run, the_kernel_showed), run, we_showed)
    }
}

/// How long the process of this pid ran so far, all threads, those that have ended too; `None` once it has been collected, or where there is no such clock. As the kernel
/// writes down at its ticks how long somebody has been running, it may be behind by one, of 1 to 10 ms, for each thread that runs just now.
///
/// The clock knows a process only by its pid. Whoever reads a file of the process *after* it, and finds it to be the same process as before, knows whose time it was.
pub(super) fn run_nanos(pid: u32) -> Option<u64> {
    // The number of a process's clock is made of its pid, clock_getcpuclockid(3), and the 2 of the clock by the scheduler.
    let clock = (!i32::try_from(pid).ok()? << 3) | 2;
    let time = ClockId::from_raw(clock).now().ok()?;
    u64::try_from(time.tv_sec()).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(time.tv_nsec()).ok()?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    fn time(user: u64, system: u64) -> CpuTime {
        CpuTime { user, system }
    }

    #[test]
    fn run_time_is_divided_as_the_ticks_say_and_never_goes_back() {
        assert_eq!(CpuTime::divided(time(3, 1), 80, time(0, 0)), time(60, 20));
        assert_eq!(CpuTime::divided(time(3, 0), 80, time(0, 0)), time(80, 0));
        assert_eq!(CpuTime::divided(time(0, 3), 80, time(0, 0)), time(0, 80));
        assert_eq!(CpuTime::divided(time(0, 0), 80, time(0, 0)), time(80, 0));
        assert_eq!(CpuTime::divided(time(3, 1), 80, time(70, 0)), time(70, 10));
        assert_eq!(CpuTime::divided(time(3, 1), 80, time(0, 25)), time(55, 25));
        assert_eq!(CpuTime::divided(time(3, 1), 80, time(70, 20)), time(70, 20), "more was shown than there is");
        assert_eq!(CpuTime::divided(time(u64::MAX, u64::MAX), u64::MAX, time(0, 0)), time(u64::MAX - u64::MAX / 2, u64::MAX / 2));
    }

    #[test]
    fn two_who_divide_differently_do_not_make_the_sum_more() {
        assert_eq!(CpuTime::divided_twice(time(0, 100), 108, time(0, 100), time(9, 95)), time(9, 99));
        assert_eq!(CpuTime::divided_twice(time(1, 1), 117, time(9, 99), time(0, 108)), time(9, 108));
        assert_eq!(CpuTime::divided_twice(time(1, 1), 108, time(9, 99), time(0, 108)), time(0, 108), "it is ours that may not go back");
        assert_eq!(CpuTime::divided_twice(time(1, 1), 108, time(60, 60), time(0, 0)), time(60, 60), "the kernel has counted on since");
    }

    #[test]
    fn the_clock_of_a_process_is_its_own_and_ends_with_it() {
        let own = || {
            let time = clock_gettime(ClockId::ProcessCPUTime);
            u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap()
        };
        let before = own();
        let told = run_nanos(std::process::id()).unwrap();
        assert!((before..=own()).contains(&told), "{before} {told}");
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        assert!(run_nanos(pid).is_some());
        child.wait().unwrap();
        assert_eq!(run_nanos(pid), None, "it has been collected");
    }
}
