//! The job: a command that we start, or processes that run already, and the signals that concern it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};

use crate::system_call::{self, Arrived, Mask};

/// Signals that end or concern the job. SIGCHLD tells of children; the stop signals of a terminal stay as they are, so that we stop with the job.
const WATCHED: [i32; 8] = [libc::SIGCHLD, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error("{0}: no such program; check the spelling and PATH")]
    NotFound(String),
    /// It is there, and can't be executed.
    #[error("{0}: can't be executed: {1}")]
    NotExecutable(String, io::Error),
}

impl SpawnError {
    /// What it means that execve(2) failed so for this program.
    pub fn new(program: &OsStr, error: io::Error) -> SpawnError {
        let name = program.to_string_lossy().into_owned();
        match error.kind() {
            io::ErrorKind::NotFound => SpawnError::NotFound(name),
            _ => SpawnError::NotExecutable(name, error),
        }
    }

    /// The exit status that shells give for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            SpawnError::NotFound(_) => 127,
            SpawnError::NotExecutable(..) => 126,
        }
    }
}

/// How the root process of a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// By itself, with this exit status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl JobEnd {
    /// The exit status that shells give for it: 128 and the signal's number.
    pub fn shell_code(self) -> u8 {
        match self {
            JobEnd::Code(code) => code as u8,
            JobEnd::Signal(signal) => 128u8.wrapping_add(signal as u8),
        }
    }
}

/// The signals of this process, turned into something to wait for.
pub(crate) struct Signals {
    descriptor: OwnedFd,
    before: Mask,
}

impl Signals {
    /// Must be called before any thread is started, so that all of them leave the signals to us.
    pub(crate) fn watch() -> io::Result<Signals> {
        let (descriptor, before) = system_call::block(&WATCHED)?;
        system_call::want_children();
        Ok(Signals { descriptor, before })
    }

    pub(crate) fn next(&self) -> Option<Arrived> {
        system_call::next_signal(&self.descriptor)
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Starts a command with the mask that we had.
    pub(crate) fn spawn(&self, command: &[impl AsRef<OsStr>]) -> Result<u32, SpawnError> {
        let program = command.first().map(AsRef::as_ref).unwrap_or_default();
        system_call::spawn(command, self.before).map_err(|error| SpawnError::new(program, error))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Signals that arrived at the very end would otherwise be delivered now, and end us before we can say how the job ended.
        while self.next().is_some() {}
        system_call::restore(self.before);
    }
}

/// A process that was running before us: known to be gone as soon as it is.
pub(crate) struct Attached {
    pub(crate) pid: u32,
    pub(crate) pidfd: Option<OwnedFd>,
}

impl Attached {
    pub(crate) fn open(pid: u32) -> Attached {
        let pidfd = Pid::from_raw(pid.cast_signed()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Attached { pid, pidfd }
    }

    /// Whether it has ended. Where there is no pidfd_open(2) (before Linux 5.3), whether nobody has its pid.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.pidfd {
            Some(pidfd) => {
                let mut ended = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
                poll(&mut ended, Some(&Timespec::default())).is_ok_and(|count| count > 0)
            }
            None => Pid::from_raw(self.pid.cast_signed()).is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH)),
        }
    }
}
