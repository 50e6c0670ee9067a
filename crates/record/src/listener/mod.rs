//! Who listens to lines: those of the job's own output on its way to where it belongs, and those of growing files.
//!
//! The output passes through a process of its own, as if it were piped into tee(1), and not through the recorder: should that be killed, the job goes on
//! writing and everything it writes still arrives. What goes where is decided by what the job would have without us:
//!
//! - a terminal is replaced by a pseudo-terminal that is nobody's controlling terminal. To the job it is a terminal of the same size. Its input, its
//!   session, its group and its signals stay those of the real one;
//! - a file is left alone, and read as it grows;
//! - anything else is replaced by a pipe. Standard output and error that are the same stay the same, so that the order of what is written does.
//!
//! The listener is no child of the recorder, which waits for all of its children, and ignores what a terminal sends to the whole group: it ends when nobody
//! can write to the job's output any more.

mod follow;
mod output;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{last_stand, system_call};
use follow::Follower;
pub(crate) use output::pass_on_without_memory;
use output::{Ends, Relay, Screen};

/// What the terminal and shells send to a whole group is for the job. SIGTTOU is not among them: who may not write in the background stops, with the group.
const IGNORED: [i32; 9] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE, libc::SIGTSTP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];

/// How long we look whether all has been read, before we look again.
const SHORTLY: Duration = Duration::from_micros(500);

/// Nobody has said yet which process the job is.
const UNTOLD: i64 = -1;
const NOBODY: i64 = 0;

/// What is listened to.
#[derive(Clone, Debug, Default)]
pub struct ListenTo {
    /// The output of a job that is about to be started.
    pub output: bool,
    /// Files that grow, or are yet to come.
    pub files: Vec<PathBuf>,
}

/// When and where bytes were heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// When they came, in nanoseconds of CLOCK_MONOTONIC.
    pub at: i64,
    /// The job's root process, if there is one.
    pub pid: Option<u32>,
}

/// Hears what comes from one place. It lives in the listener's process.
pub trait Ear: Send {
    /// These bytes came.
    fn hear(&mut self, bytes: &[u8], heard: Heard);

    /// Nothing more will come, or matter: what is unfinished counts as it stands, and what was said must be on its way.
    fn finish(&mut self, heard: Heard);
}

/// An ear, shared by who reads and who says that it is over. One that panicked hears nothing more, and what it heard still goes where it belongs.
struct SharedEar {
    ear: Mutex<Option<Box<dyn Ear>>>,
    job: Arc<AtomicI64>,
}

impl SharedEar {
    fn tell(&self, what: impl FnOnce(&mut dyn Ear, Heard), at: i64) {
        let mut ear = self.ear.lock().unwrap_or_else(PoisonError::into_inner);
        // What a job writes in its first moment may come before we are told who it is.
        for _ in 0..100 {
            if self.job.load(Ordering::Acquire) != UNTOLD {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let pid = u32::try_from(self.job.load(Ordering::Acquire)).ok().filter(|pid| i64::from(*pid) != NOBODY);
        let heard = Heard { at, pid };
        if let Some(listening) = ear.as_deref_mut()
            && std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| what(listening, heard))).is_err()
        {
            *ear = None;
        }
    }

    fn hear(&self, bytes: &[u8], at: i64) {
        self.tell(|ear, heard| ear.hear(bytes, heard), at);
    }

    fn finish(&self) {
        self.tell(|ear, heard| ear.finish(heard), barograph_beacon::monotonic_nanos());
    }
}

/// The listener, as the recorder knows it.
#[derive(Debug)]
pub struct Listener {
    control: UnixStream,
    output: [Option<Arc<OwnedFd>>; 2],
    is_done: bool,
}

impl Listener {
    /// Starts one. It makes an ear for each place. No other thread may run yet, and the job must not be started.
    pub fn start(what: &ListenTo, mut ear: impl FnMut() -> Box<dyn Ear>) -> io::Result<Listener> {
        let (ours, control) = UnixStream::pair()?;
        let Ends { relays, followed, output, screens } = if what.output { Ends::of_this_process()? } else { Ends::default() };
        let followers = what.files.iter().map(|path| Follower::of_path(path.clone())).chain(followed.into_iter().map(Ok));
        let followers = followers.collect::<io::Result<Vec<_>>>()?;
        system_call::beside(|| {
            let far_ends = output.iter().flatten().map(|end| end.as_raw_fd());
            let kept = followers.iter().flat_map(Follower::descriptors).chain(relays.iter().flat_map(Relay::descriptors));
            let kept: Vec<RawFd> = kept.chain([control.as_raw_fd()]).chain(screens.iter().map(Screen::descriptor)).collect();
            debug_assert!(far_ends.into_iter().all(|end| !kept.contains(&end)));
            leave_all_but(&kept);
            // Before there are threads to which it could be told as well.
            let sizes = system_call::block(&[libc::SIGWINCH]).map(|(sizes, _)| sizes).ok();
            let job = Arc::new(AtomicI64::new(UNTOLD));
            let mut shared = || Arc::new(SharedEar { ear: Mutex::new(Some(ear())), job: job.clone() });
            let relays = relays.into_iter().map(|relay| relay.start(shared())).collect();
            let followers = followers.into_iter().map(|follower| follower.start(shared())).collect();
            Process { control: Some(control), relays, followers, screens, sizes, job: job.clone() }.run();
        })?;
        ours.set_nonblocking(true)?;
        Ok(Listener { control: ours, output, is_done: false })
    }

    /// What a job has in the place of its standard output and error.
    pub(crate) fn output(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [&self.output[0], &self.output[1]].map(|end| end.as_ref().map(|end| end.as_fd()))
    }

    /// The job is this process, and has all that it needs of us.
    pub(crate) fn began_with(&mut self, pid: Option<u32>) {
        self.output = [None, None];
        let mut message = [PID, 0, 0, 0, 0];
        message[1..].copy_from_slice(&pid.unwrap_or(0).to_ne_bytes());
        let _ = (&self.control).write_all(&message);
    }

    /// Asks for word when all that has been written is heard.
    pub(crate) fn ask(&mut self) {
        self.is_done = (&self.control).write_all(&[FINISH]).is_err();
    }

    /// Whether that word has come, or the listener has gone.
    pub(crate) fn is_done(&mut self) -> bool {
        let mut word = [0];
        self.is_done |= match (&self.control).read(&mut word) {
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
            Ok(_) => true,
        };
        self.is_done
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

/// What the recorder says: which process the job is, and that all should be heard that there is.
const PID: u8 = b'p';
const FINISH: u8 = b'f';

/// Becomes a process that holds nothing but these descriptors and its standard error.
fn leave_all_but(kept: &[RawFd]) {
    last_stand::is_listener();
    system_call::ignore(&IGNORED);
    let _ = rustix::thread::set_name(c"barograph-lines");
    // Whoever writes to what we were started with, or waits for its end, must not wait for us.
    if let Ok(nothing) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&nothing);
        let _ = rustix::stdio::dup2_stdout(&nothing);
        let _ = rustix::stdio::dup2_stderr(&nothing);
    }
    system_call::close_others(kept);
}

/// The listener's process.
struct Process {
    control: Option<UnixStream>,
    relays: Vec<output::Running>,
    followers: Vec<follow::Running>,
    screens: Vec<Screen>,
    /// Tells that the terminal has another size.
    sizes: Option<OwnedFd>,
    job: Arc<AtomicI64>,
}

impl Process {
    fn run(mut self) {
        while let Some(control) = &self.control {
            self.wait(Some(control), None);
            let _ = control.set_nonblocking(true);
            let mut order = [0];
            match (&mut &*control).read(&mut order) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Ok(1) if order[0] == PID => self.hear_of_job(),
                Ok(1) if order[0] == FINISH => self.finish(),
                // Nobody records any more.
                _ => self.control = None,
            }
        }
        std::mem::take(&mut self.followers).into_iter().for_each(follow::Running::end);
        // Others may still write to what the job had, for as long as they live.
        while !self.relays.iter().all(|relay| relay.thread.is_finished()) {
            self.wait(None, Some(&Timespec { tv_sec: 0, tv_nsec: 50_000_000 }));
        }
    }

    /// Waits for an order or another size of the terminal, which is passed on.
    fn wait(&self, control: Option<&UnixStream>, timeout: Option<&Timespec>) {
        let mut watched: Vec<PollFd<'_>> = control.map(|control| PollFd::new(control, PollFlags::IN)).into_iter().collect();
        watched.extend(self.sizes.as_ref().map(|sizes| PollFd::new(sizes, PollFlags::IN)));
        let _ = poll(&mut watched, timeout);
        if self.sizes.as_ref().is_some_and(|sizes| std::iter::from_fn(|| system_call::next_signal(sizes.as_fd())).count() > 0) {
            self.screens.iter().for_each(Screen::resize);
        }
    }

    fn hear_of_job(&self) {
        let mut pid = [0; 4];
        let Some(control) = &self.control else { return };
        let _ = control.set_nonblocking(false);
        if (&mut &*control).read_exact(&mut pid).is_ok() {
            self.job.store(u32::from_ne_bytes(pid).into(), Ordering::Release);
        }
    }

    /// Waits until all is read, written and heard that has come so far, and says so.
    fn finish(&mut self) {
        while !self.relays.iter().all(output::Running::is_idle) {
            if self.is_alone() {
                return;
            }
            thread::sleep(SHORTLY);
        }
        self.followers.iter().for_each(follow::Running::finish);
        self.relays.iter().for_each(|relay| relay.ear.finish());
        if let Some(control) = &self.control {
            let _ = (&mut &*control).write_all(&[FINISH]);
        }
    }

    /// Whether the recorder has gone while we wait.
    fn is_alone(&self) -> bool {
        let Some(control) = &self.control else { return true };
        let mut watched = [PollFd::new(control, PollFlags::empty())];
        let _ = poll(&mut watched, Some(&Timespec::default()));
        watched[0].revents().contains(PollFlags::HUP)
    }
}
