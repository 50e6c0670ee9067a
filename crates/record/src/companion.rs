//! A command that is run and waited for, and not recorded by us: it has the terminal and the signals as if it were alone, and at its end what it used is known.

use std::ffi::OsStr;
use std::fs;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::job::{JobEnd, Signals, SpawnError, has_reached_the_group, pause_with};
use crate::last_stand;
use crate::system_call::{self, Arrived, Children, Collected};

/// What a command and all that it collected used, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Used {
    /// How it ended.
    pub end: JobEnd,
    /// CPU time, as wait4(2) tells it.
    pub cpu: Duration,
    /// The most RAM that one of its processes had.
    pub peak_resident_bytes: u64,
    /// Page faults without reading from a disk.
    pub minor_faults: u64,
    /// Page faults that read from a disk.
    pub major_faults: u64,
    /// Bytes read from and written to anywhere, where the kernel lets us see them.
    pub bytes: Option<(u64, u64)>,
}

/// Runs a command with these variables in its environment to its end. Once it runs, `begun` is told its pid. No other thread may run yet.
pub fn accompany(command: &[impl AsRef<OsStr>], variables: &[(&str, String)], begun: impl FnOnce(u32)) -> Result<Used, SpawnError> {
    let signals = Signals::watch().map_err(SpawnError::NoRoom)?;
    let pid = signals.spawn(command, variables, [None; 2])?;
    last_stand::begin(pid, &signals, false);
    begun(pid);
    let mut companion = Companion { pid, continued: false };
    loop {
        if let Some(used) = companion.collect() {
            return Ok(used);
        }
        // However it ends, we look at everything.
        let _ = poll(&mut [PollFd::from_borrowed_fd(signals.descriptor(), PollFlags::IN)], None);
        while let Some(arrived) = signals.next() {
            companion.heed(arrived);
        }
    }
}

struct Companion {
    pid: u32,
    /// Whether somebody has continued it, perhaps with us.
    continued: bool,
}

impl Companion {
    fn heed(&mut self, arrived: Arrived) {
        match arrived.signal {
            libc::SIGCHLD => pause_with(self.pid, &mut self.continued),
            libc::SIGXFSZ => {}
            libc::SIGCONT => {
                pause_with(self.pid, &mut self.continued);
                if !std::mem::take(&mut self.continued) {
                    system_call::send(self.pid, libc::SIGCONT);
                }
            }
            signal if !has_reached_the_group(arrived) => system_call::send(self.pid, signal),
            _ => {}
        }
    }

    /// What it used, once it has ended. Children that we had before are collected and forgotten.
    fn collect(&self) -> Option<Used> {
        while let Children::Ended(pid) = system_call::ended_child() {
            let bytes = if pid == self.pid { bytes(pid) } else { None };
            let collected = system_call::collect(pid)?;
            if pid == self.pid {
                last_stand::ended(collected.end());
                return Some(used(collected, bytes));
            }
        }
        None
    }
}

fn used(collected: Collected, bytes: Option<(u64, u64)>) -> Used {
    let Collected { user_seconds, system_seconds, peak_resident_bytes, minor_faults, major_faults, .. } = collected;
    let cpu = Duration::try_from_secs_f64(user_seconds + system_seconds).unwrap_or_default();
    Used { end: collected.end(), cpu, peak_resident_bytes, minor_faults, major_faults, bytes }
}

/// What a process that has ended, and those that it collected, have read and written. The kernel tells it until it is collected.
fn bytes(pid: u32) -> Option<(u64, u64)> {
    let told = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok();
    Some((field("rchar:")?, field("wchar:")?))
}
