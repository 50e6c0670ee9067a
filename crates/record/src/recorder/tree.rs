//! The end of the job: its children are collected, and it is over when the command has ended, or nobody of its tree is left.

use barograph_sources::Exit;

use super::{Job, Reason, Recorder, Until};
use crate::clock::now;
use crate::job::JobEnd;
use crate::last_stand;
use crate::system_call::{self, Children};

impl Recorder {
    /// Collects every child that has ended: the command, and orphans that became ours.
    pub(super) fn collect_children(&mut self) {
        let ran = self.command().is_some();
        loop {
            match system_call::ended_child() {
                Children::Ended(pid) => self.collect(pid),
                Children::Running => break,
                Children::None => {
                    self.no_children = true;
                    break;
                }
            }
        }
        if !matches!(self.job, Job::Started { .. }) || self.job_end.is_none() {
            return;
        }
        if let Some(signal) = self.asked.filter(|_| ran && self.options.until != Until::Root) {
            self.tick_with_new_listing();
            self.pass_to_the_rest(signal);
        }
        if self.options.until == Until::Root || self.no_children && self.ends_with_tree() {
            self.stop.get_or_insert(self.end_of_tree());
        } else if self.ends_with_tree() && self.panel.processes().has_foreign_children() {
            // Children that we had before the job stay when it has gone.
            self.tick_with_new_listing();
            self.see_end_of_tree();
        }
    }

    /// Forgets attached processes that have ended.
    pub(super) fn see_attached(&mut self) {
        let Job::Attached(processes) = &mut self.job else { return };
        let mut ended = Vec::new();
        processes.retain(|process| {
            let gone = process.has_ended();
            ended.extend(gone.then_some(process.pid));
            !gone
        });
        let (any, all) = (!ended.is_empty(), processes.is_empty());
        for pid in ended {
            self.event(now(), "exited", None, Some(pid), None);
        }
        if any && all {
            match self.options.until {
                Until::Root => {
                    self.stop.get_or_insert(Reason::JobEnded);
                }
                // Not to wait for a tick that may be far: see now whether descendants are left.
                Until::Tree => {
                    self.tick();
                    self.see_end_of_tree();
                }
                Until::Stopped => {}
            }
        }
    }

    /// Ends a recording when none of its tree is left, where no child of ours tells.
    pub(super) fn see_end_of_tree(&mut self) {
        let over = match &self.job {
            Job::None => false,
            Job::Started { .. } => self.job_end.is_some() && self.ends_with_tree() && self.panel.processes().has_foreign_children(),
            Job::Attached(processes) => processes.is_empty() && self.options.until == Until::Tree,
        };
        if over && self.panel.processes().members().next().is_none() {
            self.stop.get_or_insert(self.end_of_tree());
        }
    }

    fn collect(&mut self, pid: u32) {
        self.panel.processes().before_collecting(pid);
        let Some(collected) = system_call::collect(pid) else { return };
        let exit = Exit {
            code: collected.code,
            signal: collected.signal,
            user_seconds: collected.user_seconds,
            system_seconds: collected.system_seconds,
            // Across execve(2) a process inherits the peak of who started it, so up to ours the number says nothing.
            peak_resident_bytes: Some(collected.peak_resident_bytes).filter(|&bytes| bytes > self.peak_floor),
        };
        let at = now();
        self.panel.processes().collected(at, pid, exit);
        if self.command() == Some(pid) {
            let end = collected.end();
            last_stand::ended(end);
            self.job_end = Some(end);
            self.exit = Some(exit);
            let how = match end {
                JobEnd::Code(code) => format!("exit {code}"),
                JobEnd::Signal(signal) => format!("signal {signal}"),
            };
            self.event(at, "exited", Some(&how), Some(pid), None);
        }
    }

    /// Whether the recording ends when none of the tree is left.
    fn ends_with_tree(&self) -> bool {
        self.options.until == Until::Tree || self.asked.is_some()
    }

    /// Why a recording ended whose tree has.
    fn end_of_tree(&self) -> Reason {
        self.asked.filter(|_| self.asked_the_rest).map_or(Reason::JobEnded, Reason::Signal)
    }
}
