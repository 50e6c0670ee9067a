//! What a recorder waits for, besides the clock: signals, words, and what the job still writes.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Job, Recorder};
use crate::clock::deadline_nanos;
use crate::job::{Attached, JobEnd};

/// poll(2) refuses times that its kernel can't count; after an hour we look around and go on.
const LONGEST_WAIT: i64 = 3_600_000_000_000;

impl Recorder {
    /// Sleeps until this deadline, or until a signal, a word of a program, or the end of an attached process. Whether any of these may be there.
    pub(super) fn wait(&self, deadline: i64) -> bool {
        self.wait_for(deadline, None)
    }

    /// The same, or until there is something to be read here.
    fn wait_for(&self, deadline: i64, other: Option<BorrowedFd<'_>>) -> bool {
        let at = deadline_nanos();
        let (beacon, deadline) = match self.beacon.as_ref().map(|beacon| beacon.ready(at)) {
            None => (None, deadline),
            Some(Ok(socket)) => (Some(socket), deadline),
            Some(Err(later)) => (None, deadline.min(later)),
        };
        let left = deadline.saturating_sub(at).clamp(0, LONGEST_WAIT);
        let timeout = Timespec { tv_sec: left / 1_000_000_000, tv_nsec: left % 1_000_000_000 };
        // An array, so that waiting takes no memory; who finds no place in it is seen at the next tick.
        let mut watched: [PollFd<'_>; 16] = std::array::from_fn(|_| PollFd::from_borrowed_fd(self.control.descriptor(), PollFlags::IN));
        let attached: &[Attached] = if let Job::Attached(processes) = &self.job { processes } else { &[] };
        let pidfds = attached.iter().filter_map(|process| process.pidfd.as_ref()).map(AsFd::as_fd);
        let mut count = 1;
        for (place, descriptor) in watched[1..].iter_mut().zip(beacon.into_iter().chain(other).chain(pidfds)) {
            *place = PollFd::from_borrowed_fd(descriptor, PollFlags::IN);
            count += 1;
        }
        // Where it fails, we look at everything.
        poll(&mut watched[..count], Some(&timeout)) != Ok(0)
    }

    /// Waits for a command that outlives its recording, and goes on passing signals to it.
    pub fn wait_for_command(&mut self) -> Option<JobEnd> {
        while matches!(self.job, Job::Started { .. }) && self.job_end.is_none() {
            self.wait(i64::MAX);
            self.hear_signals();
        }
        self.hear_listener_out();
        self.job_end
    }

    /// Waits until all that was written so far has gone where it belongs and was listened to, or somebody wants us to end now.
    pub(super) fn hear_listener_out(&mut self) {
        let Some(mut listener) = self.listener.take() else { return };
        listener.ask();
        let mut is_urgent = false;
        while !is_urgent && !listener.is_done() {
            self.hear_programs();
            self.wait_for(i64::MAX, Some(listener.descriptor()));
            is_urgent = self.hear_signals();
        }
        self.listener = Some(listener);
    }
}
