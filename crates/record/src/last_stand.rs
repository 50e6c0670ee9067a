//! What is left to do when there is no memory to be had, or a fault of ours comes to light: nothing more is recorded, and the job is seen to its end, so that
//! nobody waits for it in vain and its exit status is not lost. Nothing here takes memory.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::{panic, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::job::{Found, JobEnd, STOPS, Signals, has_reached_the_group};
use crate::listener;
use crate::system_call::{self, Children, Command, Pause};

/// The command, until it has been started.
static COMMAND: OnceLock<Command> = OnceLock::new();
/// The signals as we found them, once we have changed them.
static FOUND: OnceLock<Found> = OnceLock::new();
/// The job, once it runs.
static JOB: OnceLock<Job> = OnceLock::new();
const NO_STATUS: i32 = -1;
/// The job's exit status once it has one, as shells give it.
static STATUS: AtomicI32 = AtomicI32::new(NO_STATUS);
/// Whether somebody has been told: several threads may want memory.
static TOLD: AtomicBool = AtomicBool::new(false);
/// Whether this is the process that listens to lines, which has a job of its own to go on with.
static IS_LISTENER: AtomicBool = AtomicBool::new(false);

/// Who writes down that nothing more is recorded, without taking memory.
static WILL: OnceLock<Box<Will>> = OnceLock::new();

type Will = dyn Fn(&str) + Send + Sync;

thread_local! {
    /// Whether this thread only makes ready what others can do without.
    static IS_ASSISTANT: Cell<bool> = const { Cell::new(false) };
}

struct Job {
    pid: u32,
    signals: Option<OwnedFd>,
    with_tree: bool,
}

/// Makes ready to run this command even if there is no memory to record it.
pub(crate) fn prepare(command: Command) {
    let _ = COMMAND.set(command);
}

/// Has this said, in plain words, when a job's recorder can go on no more; where it is said may take no memory, and wait for no lock.
pub fn bequeath(say: impl Fn(&str) + Send + Sync + 'static) {
    let _ = WILL.set(Box::new(say));
}

/// This process passes the job's output on, and neither starts nor waits for it.
pub(crate) fn is_listener() {
    IS_LISTENER.store(true, Ordering::Relaxed);
}

/// This thread is not needed, and gives up for itself alone where there is no memory.
pub(crate) fn is_assistant() {
    IS_ASSISTANT.set(true);
}

/// The command must find the signals so.
pub(crate) fn remember(signals: Found) {
    let _ = FOUND.set(signals);
}

/// From here on there is a job, perhaps with a tree to wait for.
pub(crate) fn begin(pid: u32, signals: &Signals, with_tree: bool) {
    let _ = JOB.set(Job { pid, signals: signals.descriptor().try_clone_to_owned().ok(), with_tree });
    let (recorder, say_what) = (thread::current().id(), panic::take_hook());
    panic::set_hook(Box::new(move |what| {
        say_what(what);
        // Without any other thread the recorder can do.
        if thread::current().id() == recorder
            && let Some(job) = JOB.get()
        {
            job.see_out("this is a fault of the recorder");
        }
    }));
}

/// The job's root process has ended. Whoever is given its pid afterwards, and ends, is another.
pub(crate) fn ended(end: JobEnd) {
    let _ = STATUS.compare_exchange(NO_STATUS, end.shell_code().into(), Ordering::Relaxed, Ordering::Relaxed);
}

/// Called when there is no memory. Comes back only where there is no job to care for.
pub(crate) fn out_of_memory() {
    stand("there is no memory left");
}

/// Called when we have touched memory that is not there, or given up. Comes back only where there is no job to care for.
pub(crate) fn fault() {
    let why = "the recorder has failed, or there is no memory left for its threads";
    stand(why);
    // The allocator, which may be anybody's, gives up before we know what we are asked for.
    system_call::become_what_follows(|| {
        tell(why, "nothing was recorded");
    });
}

/// Sees the job to its end if it runs, or else becomes it.
fn stand(why: &str) {
    // Before there is a job only the first thread is needed, and two would start it twice: the C library may give up for an assistant before that is one.
    let is_needed = JOB.get().is_some() || COMMAND.get().is_none() || IS_LISTENER.load(Ordering::Relaxed) || system_call::is_first_thread();
    while IS_ASSISTANT.get() || !is_needed {
        let _ = poll(&mut [], None);
    }
    if IS_LISTENER.load(Ordering::Relaxed) {
        listener::pass_on_without_memory();
    }
    match (JOB.get(), COMMAND.get()) {
        (Some(job), _) => job.see_out(why),
        (None, Some(command)) => {
            tell(why, "nothing was recorded");
            if let Some(signals) = FOUND.get() {
                signals.give_back();
            }
            let failed = command.execute();
            system_call::exit(if failed.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 });
        }
        (None, None) => {}
    }
}

/// Says it, unless something was said before. Says whether it did.
fn tell(why: &str, what: &str) -> bool {
    let is_first = !TOLD.swap(true, Ordering::Relaxed);
    if is_first {
        system_call::say(&["barograph: ", why, ": ", what, "\n"]);
    }
    is_first
}

impl Job {
    fn see_out(&self, why: &str) -> ! {
        if tell(why, "nothing is recorded from here on, and the job goes on")
            && let Some(say) = WILL.get()
        {
            say(why);
        }
        loop {
            let children_left = self.collect();
            let status = STATUS.load(Ordering::Relaxed);
            if status != NO_STATUS && !(self.with_tree && children_left) {
                // Another thread may have gone on writing what was not so then.
                WILL.get().inspect(|say| say(why));
                system_call::exit(status);
            }
            if let Some(Pause::Stopped(signal)) = system_call::paused_or_continued(self.pid)
                && STOPS.contains(&signal)
            {
                system_call::stop_by(signal);
            }
            self.wait_and_forward(status == NO_STATUS);
        }
    }

    /// Collects who has ended. Says whether there are others.
    fn collect(&self) -> bool {
        loop {
            match system_call::ended_child() {
                Children::Ended(pid) => {
                    let end = system_call::collect(pid).map(|collected| collected.end());
                    if let Some(end) = end.filter(|_| pid == self.pid) {
                        ended(end);
                    }
                }
                Children::Running => return true,
                Children::None => return false,
            }
        }
    }

    fn wait_and_forward(&self, runs: bool) {
        // Not for long, as another thread of ours may hear of a child's end first.
        let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let Some(signals) = &self.signals else {
            let _ = poll(&mut [], Some(&timeout));
            return;
        };
        let descriptor: BorrowedFd<'_> = signals.as_fd();
        let _ = poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], Some(&timeout));
        while let Some(arrived) = system_call::next_signal(descriptor) {
            if runs && ![libc::SIGCHLD, libc::SIGXFSZ].contains(&arrived.signal) && !has_reached_the_group(arrived) {
                system_call::send(self.pid, arrived.signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;
    use std::{env, ptr};

    use super::*;

    /// Runs one of these tests once more, as a process of its own, which this variable tells.
    fn run_within(name: &str, variable: &str) -> (Option<i32>, String, String) {
        let name = format!("last_stand::tests::{name}");
        let output = Command::new(env::current_exe().unwrap()).args(["--exact", &name, "--nocapture"]).env(variable, "1").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn another_thread_that_gives_up_before_the_job_does_not_start_it() {
        const WITHIN: &str = "BAROGRAPH_TEST_ANOTHER_GIVES_UP";
        if env::var_os(WITHIN).is_some() {
            system_call::stand_by(0, ptr::null(), ptr::null());
            prepare(system_call::Command::new(&["echo", "started twice"]).unwrap());
            thread::spawn(|| std::process::abort());
            thread::sleep(Duration::from_millis(300));
            // As the first thread would, which goes on.
            system_call::exit(5);
        }
        let (status, out, said) = run_within("another_thread_that_gives_up_before_the_job_does_not_start_it", WITHIN);
        assert_eq!(status, Some(5), "{out}{said}");
        assert!(!out.contains("started twice"), "{out}");
    }

    #[test]
    fn a_job_ends_once() {
        ended(JobEnd::Code(3));
        ended(JobEnd::Signal(9));
        assert_eq!(STATUS.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn who_gives_up_sees_the_job_to_its_end() {
        const WITHIN: &str = "BAROGRAPH_TEST_GIVES_UP";
        if env::var_os(WITHIN).is_some() {
            system_call::stand_by(0, ptr::null(), ptr::null());
            let signals = Signals::watch().unwrap();
            let job = signals.spawn(&["sh", "-c", "sleep 0.2; echo ended; exit 5"], &[], [None; 2]).unwrap();
            begin(job, &signals, false);
            bequeath(|why| system_call::say(&["written down: ", why, "\n", "", ""]));
            // As the C library does in each thread for which it finds no memory.
            for _ in 0..2 {
                thread::spawn(|| std::process::abort());
            }
            std::process::abort();
        }
        let (status, out, said) = run_within("who_gives_up_sees_the_job_to_its_end", WITHIN);
        assert_eq!(status, Some(5), "{out}{said}");
        assert!(out.contains("ended"), "{out}");
        assert!(said.contains("and the job goes on\nwritten down: the recorder has failed"), "{said}");
    }
}
