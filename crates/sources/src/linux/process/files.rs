//! Opening and reading the files of one process, with as few system calls as can be.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::cpu_time;
use super::parse::{self, Io, Stat, Status};
use crate::machine::read_once;
use crate::{FaultKind, Machine, Root};

/// Descriptors that are left to others when files of processes are kept open, two for each.
const SPARE_DESCRIPTORS: u64 = 384;
/// Processes whose files are kept open at most: each file costs some 6 kB of the kernel's memory.
const MOST_KEPT: u64 = 512;

/// The files of a process that are read at every tick, kept open. They can't be mistaken: once the process has ended, reading them fails.
pub(super) struct Kept {
    stat: OwnedFd,
    io: Option<OwnedFd>,
}

/// What is read only now and then.
#[derive(Clone, Copy, Default)]
pub(super) struct Detail {
    pub(super) status: Status,
    pub(super) run_delay_nanos: Option<u64>,
    pub(super) open_files: Option<u64>,
}

/// Reads files of processes into buffers that are used again and again.
pub(super) struct Files {
    machine: Arc<Machine>,
    nanos_per_tick: u64,
    /// Whether pids of this /proc are the kernel's to us: then each process has a clock.
    has_clocks: bool,
    buffer: Vec<u8>,
    kept: u64,
    most_kept: u64,
    /// Whether /proc/PID/fd tells its number of entries as its size (Linux 6.2).
    descriptors_counted: bool,
}

impl Files {
    pub(super) fn new(machine: &Arc<Machine>) -> Files {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        Files {
            machine: Arc::clone(machine),
            nanos_per_tick: 1_000_000_000 / machine.ticks_per_second,
            has_clocks: machine.is_ours(),
            buffer: Vec::with_capacity(4096),
            kept: 0,
            most_kept: (limit.saturating_sub(SPARE_DESCRIPTORS) / 2).min(MOST_KEPT),
            descriptors_counted: machine.size(Root::Proc, "self/fd").is_ok_and(|size| size > 0),
        }
    }

    /// Keeps the files of a process of the job open, if there is room for them.
    pub(super) fn keep(&mut self, pid: u32) -> Option<Kept> {
        self.keep_within(pid, self.most_kept)
    }

    /// The same for a process outside the job, whose own may still need three quarters of the room.
    pub(super) fn keep_other(&mut self, pid: u32, has_job: bool) -> Option<Kept> {
        self.keep_within(pid, if has_job { self.most_kept / 4 } else { self.most_kept })
    }

    fn keep_within(&mut self, pid: u32, most: u64) -> Option<Kept> {
        if self.kept >= most {
            return None;
        }
        let stat = self.open(pid, "stat").ok()?;
        let io = self.open(pid, "io").ok();
        self.kept += 1;
        Some(Kept { stat, io })
    }

    /// Closes kept files.
    pub(super) fn release(&mut self, kept: Option<Kept>) {
        if kept.is_some() {
            self.kept -= 1;
        }
    }

    /// How long this process ran so far. Only a file that is read after this can tell that it is still the one that had this pid.
    pub(super) fn run_nanos(&self, pid: u32) -> Option<u64> {
        if self.has_clocks { cpu_time::run_nanos(pid) } else { None }
    }

    pub(super) fn stat(&mut self, pid: u32, kept: Option<&Kept>) -> Result<Stat, FaultKind> {
        match kept {
            Some(kept) => read_once(&kept.stat, &mut self.buffer)?,
            None => self.read(pid, "stat")?,
        }
        parse::stat(&self.buffer, self.nanos_per_tick).ok_or(FaultKind::Malformed)
    }

    pub(super) fn io(&mut self, pid: u32, kept: Option<&Kept>) -> Result<Io, FaultKind> {
        match kept.and_then(|kept| kept.io.as_ref()) {
            Some(file) => read_once(file, &mut self.buffer)?,
            None => self.read(pid, "io")?,
        }
        parse::io(&self.buffer).ok_or(FaultKind::Malformed)
    }

    pub(super) fn detail(&mut self, pid: u32) -> Result<Detail, FaultKind> {
        self.read(pid, "status")?;
        let status = parse::status(&self.buffer);
        let run_delay_nanos = self.read(pid, "schedstat").ok().and_then(|()| parse::run_delay_nanos(&self.buffer));
        Ok(Detail { status, run_delay_nanos, open_files: self.count_descriptors(pid) })
    }

    fn count_descriptors(&self, pid: u32) -> Option<u64> {
        let mut room = [0; PATH];
        let path = path_of(&mut room, pid, "fd");
        if self.descriptors_counted { self.machine.size(Root::Proc, path) } else { self.machine.count(Root::Proc, path) }.ok()
    }

    /// The bytes of a file of this process, as many as the buffer holds.
    pub(super) fn bytes(&mut self, pid: u32, file: &str, into: &mut Vec<u8>) -> Result<(), Errno> {
        read_once(self.open(pid, file)?, into)
    }

    /// Where a symbolic link of this process leads.
    pub(super) fn link(&self, pid: u32, file: &str, into: &mut Vec<u8>) -> Result<(), Errno> {
        into.clear();
        let link = self.machine.open_at(Root::Proc, path_of(&mut [0; PATH], pid, file), OFlags::PATH | OFlags::NOFOLLOW)?;
        *into = rustix::fs::readlinkat(&link, "", std::mem::take(into))?.into_bytes();
        Ok(())
    }

    fn open(&self, pid: u32, file: &str) -> Result<OwnedFd, Errno> {
        self.machine.open_at(Root::Proc, path_of(&mut [0; PATH], pid, file), OFlags::empty())
    }

    fn read(&mut self, pid: u32, file: &str) -> Result<(), Errno> {
        read_once(self.open(pid, file)?, &mut self.buffer)
    }
}

const PATH: usize = 32;

/// `PID/FILE`, written where the caller has room for it.
fn path_of<'a>(room: &'a mut [u8; PATH], pid: u32, file: &str) -> &'a [u8] {
    let mut digits = [0; 10];
    let mut first = digits.len();
    let mut rest = pid;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let number = &digits[first..];
    let length = number.len() + 1 + file.len();
    room[..number.len()].copy_from_slice(number);
    room[number.len()] = b'/';
    room[number.len() + 1..length].copy_from_slice(file.as_bytes());
    &room[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_all_pids() {
        assert_eq!(path_of(&mut [0; PATH], 0, "io"), b"0/io");
        assert_eq!(path_of(&mut [0; PATH], u32::MAX, "schedstat"), b"4294967295/schedstat");
    }
}
