//! The job's output on its way: read from the job, written to where it belongs, and heard.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, OutputModes, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::SharedEar;
use super::follow::Follower;
use crate::system_call;

/// Bytes that are read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// All ends of what the output passes through.
#[derive(Default)]
pub(super) struct Ends {
    /// What is read and written on.
    pub(super) relays: Vec<Relay>,
    /// Files that the job writes to itself.
    pub(super) followed: Vec<Follower>,
    /// What the job gets in the place of its standard output and error.
    pub(super) output: [Option<Arc<OwnedFd>>; 2],
    pub(super) screens: Vec<Screen>,
}

/// One way that output takes.
pub(super) struct Relay {
    /// Whoever else knows of it does not keep it open: when we stop reading, the job is to be told.
    from: Arc<OwnedFd>,
    to: OwnedFd,
}

/// A terminal, and the one that the job has in its place.
pub(super) struct Screen {
    real: OwnedFd,
    /// Our end of the job's, as long as it is read.
    ours: Weak<OwnedFd>,
}

impl Ends {
    /// For the standard output and error that this process has.
    pub(super) fn of_this_process() -> io::Result<Ends> {
        let mut ends = Ends::default();
        let (out, err) = (io::stdout(), io::stderr());
        let mut first = None;
        for (place, stream) in [out.as_fd(), err.as_fd()].into_iter().enumerate() {
            if !system_call::was_open(stream.as_raw_fd()) {
                continue;
            }
            let found = fstat(stream)?;
            let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
            let identity = (found.st_dev, found.st_ino, found.st_rdev);
            if first == Some(identity) {
                ends.output[1] = ends.output[0].clone();
                continue;
            }
            first = Some(identity);
            if is_file {
                ends.followed.extend(Follower::of_stream(stream)?);
                continue;
            }
            let real = fcntl_dupfd_cloexec(stream, 3)?;
            let (ours, jobs) = if isatty(&real) { terminal_like(&real)? } else { pipe_with(PipeFlags::CLOEXEC)? };
            let ours = Arc::new(ours);
            if isatty(&real) {
                ends.screens.push(Screen { real: fcntl_dupfd_cloexec(stream, 3)?, ours: Arc::downgrade(&ours) });
            }
            ends.relays.push(Relay { from: ours, to: real });
            ends.output[place] = Some(Arc::new(jobs));
        }
        Ok(ends)
    }
}

/// A terminal for the job that is like this one, but changes nothing of what passes through: that the real one does. Our end and the job's.
fn terminal_like(real: &OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let jobs = ioctl_tiocgptpeer(&ours, flags)?;
    let mut modes = tcgetattr(real)?;
    modes.output_modes.remove(OutputModes::OPOST);
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&jobs, OptionalActions::Now, &modes)?;
    tcsetwinsize(&ours, tcgetwinsize(real)?)?;
    Ok((ours, jobs))
}

impl Screen {
    pub(super) fn descriptor(&self) -> RawFd {
        self.real.as_raw_fd()
    }

    /// Gives the job's terminal the size of the real one. The kernel has told the job of the new size already; if it has looked meanwhile it has seen the
    /// old one, and is told again.
    pub(super) fn resize(&self) {
        let Some(ours) = self.ours.upgrade() else { return };
        let (Ok(real), Ok(jobs)) = (tcgetwinsize(&self.real), tcgetwinsize(&ours)) else { return };
        if real == jobs || tcsetwinsize(&ours, real).is_err() {
            return;
        }
        if let Ok(group) = tcgetpgrp(&self.real) {
            let _ = kill_process_group(group, Signal::WINCH);
        }
    }
}

/// A relay whose thread runs.
pub(super) struct Running {
    from: Weak<OwnedFd>,
    waits: Arc<AtomicBool>,
    pub(super) ear: Arc<SharedEar>,
    pub(super) thread: JoinHandle<()>,
}

/// Relays that run. When memory has run out, the last of them ends the process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread reads and writes, for when there is no memory.
    static WAY: Cell<Option<(RawFd, RawFd)>> = const { Cell::new(None) };
}

impl Relay {
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [self.from.as_raw_fd(), self.to.as_raw_fd()]
    }

    pub(super) fn start(self, ear: Arc<SharedEar>) -> Running {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        let waits = Arc::new(AtomicBool::new(false));
        let (from, its_ear, its_waits) = (Arc::downgrade(&self.from), ear.clone(), waits.clone());
        let thread = thread::spawn(move || self.run(&its_ear, &its_waits));
        Running { from, waits, ear, thread }
    }

    fn run(self, ear: &SharedEar, waits: &AtomicBool) {
        WAY.set(Some((self.from.as_raw_fd(), self.to.as_raw_fd())));
        let mut buffer = vec![0; CHUNK];
        loop {
            waits.store(true, Ordering::SeqCst);
            let _ = poll(&mut [PollFd::new(&*self.from, PollFlags::IN)], None);
            waits.store(false, Ordering::SeqCst);
            let Some(bytes) = self.pass_on(&mut buffer, |bytes, at| ear.hear(bytes, at)) else { break };
            debug_assert!(bytes <= CHUNK);
        }
        waits.store(true, Ordering::SeqCst);
        // From here on the job is told, as it would be without us, that nobody reads.
        drop(self);
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes what there is once, and returns how much; `None` at the end of either side.
    fn pass_on(&self, buffer: &mut [u8], hear: impl FnOnce(&[u8], i64)) -> Option<usize> {
        let length = match rustix::io::read(&*self.from, &mut *buffer) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => return Some(0),
            // A pseudo-terminal that nobody has open says EIO.
            Err(_) => return None,
        };
        let at = barograph_beacon::monotonic_nanos();
        let written = write_all(&self.to, &buffer[..length]);
        hear(&buffer[..length], at);
        written.then_some(length)
    }
}

fn write_all(to: impl AsFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Somebody who shares it wants writes not to wait. We can.
            Err(Errno::AGAIN) => _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None),
            Err(_) => return false,
        }
    }
    true
}

impl Running {
    /// Whether all that was written has been passed on and heard. Before the thread takes something it stops waiting, so we look in the other order.
    pub(super) fn is_idle(&self) -> bool {
        let Some(from) = self.from.upgrade() else { return self.thread.is_finished() };
        if self.thread.is_finished() {
            return true;
        }
        let mut watched = [PollFd::new(&*from, PollFlags::IN)];
        let is_empty = poll(&mut watched, Some(&Timespec::default())).is_ok() && !watched[0].revents().contains(PollFlags::IN);
        let is_ended = watched[0].revents().contains(PollFlags::HUP);
        is_empty && !is_ended && self.waits.load(Ordering::SeqCst)
    }
}

/// There is no memory to listen with: this thread goes on with what it has to pass on, and nothing more is heard. The last one ends the process.
pub(crate) fn pass_on_without_memory() -> ! {
    let mut buffer = [0; 4096];
    if let Some((from, to)) = WAY.get() {
        system_call::copy(from, to, &mut buffer);
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
    while RUNNING.load(Ordering::Relaxed) > 0 {
        let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 50_000_000 }));
    }
    system_call::exit(0)
}

/// What a job's file is, so that it can be read as it grows.
pub(super) fn again(stream: impl AsFd) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", stream.as_fd().as_raw_fd()))
}
