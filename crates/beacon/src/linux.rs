//! What a process can tell of itself at a moment: clocks, memory, what it has read and written.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::time::{ClockId, clock_gettime};

use crate::Readings;

/// The clock of the wire format, CLOCK_MONOTONIC, in nanoseconds.
pub(crate) fn monotonic_nanos() -> i64 {
    nanos(ClockId::Monotonic).cast_signed()
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

pub(crate) fn pid() -> u32 {
    rustix::process::getpid().as_raw_pid().cast_unsigned()
}

pub(crate) fn thread() -> u32 {
    rustix::thread::gettid().as_raw_pid().cast_unsigned()
}

/// The files of this process that tell what it has used, kept open.
pub(crate) struct Usage {
    statm: Option<File>,
    io: Option<File>,
    page_size: u64,
}

impl Usage {
    /// Opens them; what can't be had is absent from all readings.
    pub(crate) fn open() -> Usage {
        let open = |path| File::open(path).ok();
        Usage { statm: open("/proc/self/statm"), io: open("/proc/self/io"), page_size: rustix::param::page_size() as u64 }
    }

    /// How it is now, but for the clocks.
    pub(crate) fn read(&self) -> Readings {
        let (mut statm, mut io) = ([0; 128], [0; 256]);
        let (statm, io) = (told(self.statm.as_ref(), &mut statm), told(self.io.as_ref(), &mut io));
        Readings {
            resident_bytes: statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).map(|pages: u64| pages * self.page_size),
            read_bytes: field(io, "rchar: "),
            written_bytes: field(io, "wchar: "),
            ..Readings::default()
        }
    }
}

/// The CPU time of this thread and of its process.
pub(crate) fn clocks() -> (u64, u64) {
    (nanos(ClockId::ThreadCPUTime), nanos(ClockId::ProcessCPUTime))
}

fn told<'a>(file: Option<&File>, buffer: &'a mut [u8]) -> &'a str {
    let length = file.and_then(|file| file.read_at(buffer, 0).ok()).unwrap_or(0);
    std::str::from_utf8(&buffer[..length]).unwrap_or("")
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.parse().ok()
}
