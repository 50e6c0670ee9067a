//! The signals of a recorder that has a process of its own: which are for the command, and which for us.

use super::{Job, Reason, Recorder};
use crate::job::{Signals, has_reached_the_group, pause_with};
use crate::system_call::{self, Arrived};

impl Recorder {
    /// Returns whether somebody asks for the end.
    pub(super) fn hear_signals(&mut self) -> bool {
        let mut is_asked = false;
        while let Some(arrived) = self.control.signals().and_then(Signals::next) {
            match arrived.signal {
                libc::SIGCHLD => {
                    self.pause_with_command();
                    self.collect_children();
                }
                libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => self.asked_to_pause(arrived),
                libc::SIGCONT => self.go_on(),
                libc::SIGUSR1 | libc::SIGUSR2 | libc::SIGWINCH => self.forward(arrived),
                // A file of the recording met the limit of sizes; writing it has failed, and that is told.
                libc::SIGXFSZ => {}
                signal if signal >= libc::SIGRTMIN() => self.forward(arrived),
                _ => {
                    is_asked |= !self.is_ignored(arrived);
                    self.asked_to_stop(arrived);
                }
            }
        }
        is_asked
    }

    /// The command, while it runs.
    pub(super) fn command(&self) -> Option<u32> {
        match self.job {
            Job::Started { pid } if self.job_end.is_none() => Some(pid),
            _ => None,
        }
    }

    /// Passes a signal on to the command, unless it has got it already.
    fn forward(&mut self, arrived: Arrived) {
        if let Some(pid) = self.command()
            && !self.has_reached_the_job(arrived)
        {
            system_call::send(pid, arrived.signal);
        }
    }

    /// Whether a signal was not for us alone.
    fn has_reached_the_job(&mut self, arrived: Arrived) -> bool {
        // Who of the job signals its whole group (`kill 0`) has thought of itself. The command is of the job before anybody was listed.
        let sender = arrived.sender;
        has_reached_the_group(arrived) || sender != 0 && (self.command() == Some(sender) || self.panel.processes().members().any(|pid| pid == sender))
    }

    /// Stops with the command: nobody records what does not run.
    fn pause_with_command(&mut self) {
        if let Some(pid) = self.command() {
            pause_with(pid, &mut self.continued);
        }
    }

    /// The command decides whether to stop, and we stop with it. Without one it is for us.
    fn asked_to_pause(&mut self, arrived: Arrived) {
        match self.command() {
            Some(_) => self.forward(arrived),
            None => system_call::stop_by(arrived.signal),
        }
    }

    /// Continues the command, unless whoever continued us has continued it as well.
    fn go_on(&mut self) {
        self.pause_with_command();
        if let Some(pid) = self.command().filter(|_| !self.continued) {
            system_call::send(pid, libc::SIGCONT);
        }
        self.continued = false;
    }

    fn is_ignored(&self, arrived: Arrived) -> bool {
        self.control.signals().is_some_and(|signals| signals.is_ignored(arrived))
    }

    fn asked_to_stop(&mut self, arrived: Arrived) {
        if let Job::Started { .. } = self.job {
            // Should we be killed next, how it is now is kept as well.
            self.tick_with_new_listing();
        }
        if self.command().is_some() {
            self.forward(arrived);
            if !self.is_ignored(arrived) {
                // The job decides; we go on until it has.
                self.publish_now = true;
                self.asked = self.asked.or((!arrived.from_kernel).then_some(arrived.signal));
            }
            return;
        }
        if self.is_ignored(arrived) {
            return;
        }
        let first = self.asked.is_none();
        if let Job::Started { .. } = self.job
            && !arrived.from_kernel
        {
            self.asked = Some(arrived.signal);
            self.pass_to_the_rest(arrived.signal);
            if first && self.asked_the_rest {
                // They may take their time, as the command might have. Who does not want to wait for them asks again.
                self.publish_now = true;
                return;
            }
        }
        self.stop.get_or_insert(Reason::Signal(arrived.signal));
    }

    /// Sends a signal to what the command has left behind, as of the last tick.
    pub(super) fn pass_to_the_rest(&mut self, signal: i32) {
        for pid in self.panel.processes().members() {
            system_call::send(pid, signal);
            self.asked_the_rest = true;
        }
    }
}
