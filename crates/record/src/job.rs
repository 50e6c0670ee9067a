//! The job: a command that we start, or processes that run already, and the signals that concern it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, getsid, pidfd_open, test_kill_process};

use crate::last_stand;
use crate::system_call::{self, Arrived, Command, Mask, Pause};

/// Signals that are left as they are: those that can't be blocked, those of our own faults, and two that do nothing unless asked for.
const LEFT: [i32; 11] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGPIPE,
    libc::SIGURG,
];

/// What a terminal stops a group with.
pub(crate) const STOPS: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error("{0}: no such program; check the spelling and PATH")]
    NotFound(String),
    /// It is there, and can't be executed.
    #[error("{0}: can't be executed: {1}")]
    NotExecutable(String, io::Error),
    /// There is no room for a process beside us.
    #[error("nothing was recorded: there is no room for a process beside this one: {0}")]
    NoRoom(io::Error),
    /// The recorder runs within another program, whose children are none of its business.
    #[error("a recorder within another program starts no command")]
    Guest,
}

impl SpawnError {
    /// What it means that execve(2) failed so for this command.
    fn of(command: &[impl AsRef<OsStr>], error: io::Error) -> SpawnError {
        let name = command.first().map(|program| program.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => SpawnError::NotFound(name),
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => SpawnError::NoRoom(error),
            _ => SpawnError::NotExecutable(name, error),
        }
    }

    /// The exit status that shells give for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            SpawnError::NotFound(_) => 127,
            SpawnError::NotExecutable(..) | SpawnError::NoRoom(_) | SpawnError::Guest => 126,
        }
    }
}

/// Becomes this command, as a shell's `exec` does; returns only if that fails.
pub fn become_command(command: &[impl AsRef<OsStr>]) -> SpawnError {
    SpawnError::of(command, Command::new(command).map_or_else(|error| error, |command| command.execute()))
}

/// Says which command is about to be recorded, before anything else is done: should there be no memory to record it, it runs all the same.
pub fn care_for(command: &[impl AsRef<OsStr>]) {
    if let Ok(command) = Command::new(command) {
        last_stand::prepare(command);
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
    found: Found,
}

/// The signals as we found them.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    mask: Mask,
    /// Those that whoever started us wanted ignored, a bit for each.
    ignored: u64,
}

impl Found {
    fn ignores(self, signal: i32) -> bool {
        self.ignored & bit(signal) != 0
    }

    /// Makes them so again.
    pub(crate) fn give_back(self) {
        system_call::heed_children(!self.ignores(libc::SIGCHLD));
        system_call::restore(self.mask);
    }
}

impl Signals {
    /// Must be called before any thread is started but those that hear none, so that all of them leave the signals to us.
    pub(crate) fn watch() -> io::Result<Signals> {
        let all = 1..=libc::SIGRTMAX();
        let ignored = all.clone().filter(|&signal| system_call::is_ignored(signal)).fold(0, |set, signal| set | bit(signal));
        // Who does not stop, as whoever started us wanted it, has no stop to see.
        let heeded = |signal: &i32| !STOPS.contains(signal) || ignored & bit(*signal) == 0 && !system_call::is_blocked(*signal);
        let watched: Vec<i32> = all.filter(|signal| !LEFT.contains(signal)).filter(heeded).collect();
        let (descriptor, mask) = system_call::block(&watched)?;
        let found = Found { mask, ignored };
        last_stand::remember(found);
        system_call::heed_children(true);
        Ok(Signals { descriptor, found })
    }

    pub(crate) fn next(&self) -> Option<Arrived> {
        system_call::next_signal(self.descriptor())
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Whether a signal is none of our business: what was to be ignored when we were started. Shells start what is to run in the background so, that
    /// Ctrl-C is not for it; a SIGINT that somebody sends on purpose is.
    pub(crate) fn is_ignored(&self, arrived: Arrived) -> bool {
        let keyboard = [libc::SIGINT, libc::SIGQUIT].contains(&arrived.signal);
        self.found.ignores(arrived.signal) && (arrived.from_kernel || !keyboard)
    }

    /// Starts a command with the mask and the ignored signals that we had, these variables in its environment, and these streams for its output where they
    /// are not ours.
    pub(crate) fn spawn(
        &self,
        command: &[impl AsRef<OsStr>],
        told: &[(&str, String)],
        output: [Option<BorrowedFd<'_>>; 2],
    ) -> Result<u32, SpawnError> {
        let heedless = self.found.ignores(libc::SIGCHLD);
        let prepared = Command::new(command).and_then(|prepared| if told.is_empty() { Ok(prepared) } else { prepared.with_environment(told) });
        let spawned = prepared.and_then(|prepared| prepared.with_output(output).spawn(self.found.mask, heedless));
        spawned.map_err(|error| SpawnError::of(command, error))
    }
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Signals that arrived at the very end would otherwise be delivered now, and end us before we can say how the job ended.
        while self.next().is_some() {}
        self.found.give_back();
    }
}

/// Stops when the command is stopped from the terminal, so that a shell sees that and takes the terminal back. Notes whether somebody has continued the command,
/// perhaps with us.
pub(crate) fn pause_with(pid: u32, continued: &mut bool) {
    match system_call::paused_or_continued(pid) {
        Some(Pause::Stopped(signal)) => {
            *continued = false;
            if STOPS.contains(&signal) {
                system_call::stop_by(signal);
            }
        }
        Some(Pause::Continued) => *continued = true,
        None => {}
    }
}

/// Whether a signal has reached the whole group of ours, and so the job: what the kernel makes, as a terminal does for Ctrl-C. There are two exceptions:
/// the end of a terminal is told to who leads its session alone, and a timer that was set before we were started is that of this process.
pub(crate) fn has_reached_the_group(arrived: Arrived) -> bool {
    let ours_alone = || arrived.signal == libc::SIGALRM || arrived.signal == libc::SIGHUP && getsid(None) == Ok(getpid());
    arrived.from_kernel && !ours_alone()
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
