//! What changes seldom about a process: name, command line, user, control group. Kept once, not in every row.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use barograph_model::{Bytes, Count, Gauge, Id, Moment, Rows, Seconds, Text, table};

use super::files::Files;
use super::parse::{self, Stat};
use crate::scan::{lines, number};
use crate::{Machine, Root};

/// As much of a command line as is kept. The kernel allows 2 MiB; nobody reads that.
const COMMAND_LINE_LIMIT: usize = 16 * 1024;

table! {
    /// Who the processes are: one row when a process is first seen, one whenever something below has changed, and one when it has ended.
    pub Processes = "processes" in "/proc/PID" {
        key {
            /// Number of the process. It is used again for others after its end.
            pid: Id = "stat pid",
            /// When it began, in clock ticks since boot: with the pid it names one process for good.
            start_ticks: Id = "stat starttime",
        }
        /// Why there is this row: `seen`, `changed`, `exited` (we collected it and know how it ended) or `gone`.
        change: Text = "the recorder",
        /// Number of its parent.
        parent_pid: Id = "stat ppid",
        /// Number of its process group.
        group_pid: Id = "stat pgrp",
        /// Number of its session.
        session_pid: Id = "stat session",
        /// Its terminal, as a device number; absent for a process without one.
        terminal: Id = "stat tty_nr",
        /// When it began, in seconds since boot.
        started: Gauge<Seconds> = "stat starttime",
        /// Name of its program, as the kernel knows it: at most 15 bytes.
        name: Text = "stat comm",
        /// Its arguments, with quotes where they are needed; the first 16 KiB.
        command_line: Text = "cmdline",
        /// The file that it runs.
        executable: Text = "exe",
        /// Number of the user as whom it runs.
        user_id: Id = "status Uid, real",
        /// Name of that user, where /etc/passwd knows it.
        user: Text = "/etc/passwd",
        /// Its control group: the path of cgroup v2, or of a v1 hierarchy where that is all there is.
        cgroup: Text = "cgroup",
        /// Its container's id, if its control group names one.
        container: Text = "cgroup",
        /// Whether it belongs to the watched tree: 1 or 0.
        in_job: Gauge<Count> = "the recorder",
        /// The exit status that it gave; absent for a signal.
        exit_code: Id = "wait4(2)",
        /// The signal that ended it.
        exit_signal: Id = "wait4(2)",
        /// CPU time in programs' code, its own and that of the children that it collected.
        user_time: Gauge<Seconds> = "wait4(2) ru_utime",
        /// CPU time in the kernel, its own and that of the children that it collected.
        system_time: Gauge<Seconds> = "wait4(2) ru_stime",
        /// The most RAM that it or any child that it collected used.
        peak_resident: Gauge<Bytes> = "wait4(2) ru_maxrss",
    }
}

/// How a process that we collected ended, wait4(2).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exit {
    /// The exit status that it gave, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// CPU time in programs' code, of it and of the children that it collected, in seconds.
    pub user_seconds: f64,
    /// CPU time in the kernel, likewise.
    pub system_seconds: f64,
    /// The most RAM that it or a child that it collected used, in bytes; `None` if that can't be told from what we ourselves used before it began.
    pub peak_resident_bytes: Option<u64>,
}

/// Reads identities and writes their rows.
pub(super) struct Identities {
    users: Users,
    file: Vec<u8>,
    command_line: Vec<u8>,
    cgroup: Vec<u8>,
    executable: Vec<u8>,
    pub(super) rows: Rows<Processes>,
}

/// A process as this file needs it.
#[derive(Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) pid: u32,
    pub(super) stat: &'a Stat,
    pub(super) user_id: Option<u32>,
    pub(super) member: bool,
}

impl Identities {
    pub(super) fn new(machine: &Arc<Machine>) -> Identities {
        Identities {
            users: Users::read(machine),
            file: Vec::with_capacity(COMMAND_LINE_LIMIT),
            command_line: Vec::new(),
            cgroup: Vec::new(),
            executable: Vec::new(),
            rows: Rows::new(),
        }
    }

    /// The number of a user of this name.
    pub(super) fn user_id(&self, name: &str) -> Option<u32> {
        self.users.0.iter().find(|(_, known)| known.as_str() == name).map(|(id, _)| *id)
    }

    /// Reads who it is, and adds a row unless that is what `known` says. Returns what to pass as `known` the next time.
    /// A process that is about to end has neither arguments nor program any more: what it was stands.
    pub(super) fn look(&mut self, files: &mut Files, ticks: f64, at: Moment, who: Who<'_>, known: Option<u64>) -> u64 {
        let Identities { file, command_line, cgroup, executable, .. } = self;
        command_line.clear();
        if files.bytes(who.pid, "cmdline", file).is_ok() {
            parse::command_line(file, command_line);
        }
        cgroup.clear();
        if files.bytes(who.pid, "cgroup", file).is_ok() {
            cgroup.extend_from_slice(parse::cgroup(file).unwrap_or_default());
        }
        if files.link(who.pid, "exe", executable).is_err() {
            executable.clear();
        }
        if let Some(known) = known.filter(|_| command_line.is_empty() && executable.is_empty()) {
            return known;
        }
        let mut hasher = DefaultHasher::new();
        (&self.command_line, &self.cgroup, &self.executable, who.stat.name.as_bytes()).hash(&mut hasher);
        (who.stat.parent, who.stat.group, who.stat.session, who.stat.terminal, who.user_id, who.member).hash(&mut hasher);
        let now = hasher.finish();
        if known != Some(now) {
            self.add(ticks, at, who, if known.is_none() { "seen" } else { "changed" });
        }
        now
    }

    fn add(&mut self, ticks: f64, at: Moment, who: Who<'_>, change: &str) {
        let Identities { users, command_line, cgroup, executable, rows, .. } = self;
        let user = who.user_id.and_then(|id| users.0.get(&id)).map(String::as_bytes);
        let mut row = rows.row(at);
        row.set(Processes::pid, u64::from(who.pid))
            .set(Processes::start_ticks, who.stat.start_ticks)
            .text(Processes::change, change.as_bytes())
            .set(Processes::parent_pid, u64::from(who.stat.parent))
            .set(Processes::group_pid, u64::from(who.stat.group))
            .set(Processes::session_pid, u64::from(who.stat.session))
            .set(Processes::terminal, u64::try_from(who.stat.terminal).ok().filter(|&device| device != 0))
            .set(Processes::started, who.stat.start_ticks as f64 / ticks)
            .text(Processes::name, who.stat.name.as_bytes())
            .text(Processes::command_line, full(command_line))
            .text(Processes::executable, full(executable))
            .set(Processes::user_id, who.user_id.map(u64::from))
            .text(Processes::user, user)
            .text(Processes::cgroup, full(cgroup))
            .text(Processes::container, parse::container(cgroup))
            .set(Processes::in_job, u64::from(who.member));
    }

    /// Adds the row of a process that has ended; `exit` is known of those that we collected.
    pub(super) fn ended(&mut self, at: Moment, ticks: f64, who: Who<'_>, exit: Option<Exit>) {
        let id = |value: Option<i32>| value.and_then(|value| u64::try_from(value).ok());
        let mut row = self.rows.row(at);
        row.set(Processes::pid, u64::from(who.pid))
            .set(Processes::start_ticks, who.stat.start_ticks)
            .text(Processes::change, if exit.is_some() { &b"exited"[..] } else { &b"gone"[..] })
            .set(Processes::parent_pid, u64::from(who.stat.parent))
            .set(Processes::started, who.stat.start_ticks as f64 / ticks)
            .text(Processes::name, who.stat.name.as_bytes())
            .set(Processes::in_job, u64::from(who.member));
        if let Some(exit) = exit {
            row.set(Processes::exit_code, id(exit.code))
                .set(Processes::exit_signal, id(exit.signal))
                .set(Processes::user_time, exit.user_seconds)
                .set(Processes::system_time, exit.system_seconds)
                .set(Processes::peak_resident, exit.peak_resident_bytes);
        }
    }
}

fn full(text: &[u8]) -> Option<&[u8]> {
    (!text.is_empty()).then_some(text)
}

/// Names of users, from passwd(5). Users that only a directory service knows stay numbers: asking it could block a tick.
struct Users(HashMap<u32, String>);

impl Users {
    fn read(machine: &Machine) -> Users {
        let mut text = Vec::new();
        if machine.read(Root::Etc, "passwd", &mut text).is_err() {
            return Users(HashMap::new());
        }
        Users(lines(&text).filter_map(parse_user).collect())
    }
}

/// Name of the user as whom we run, or the number where /etc/passwd knows none.
pub fn user_name(machine: &Machine) -> String {
    let id = rustix::process::getuid().as_raw();
    Users::read(machine).0.remove(&id).unwrap_or_else(|| id.to_string())
}

/// When a process began, in clock ticks since boot; `None` if there is none of this pid.
pub fn start_ticks(machine: &Machine, pid: u32) -> Option<u64> {
    let mut text = Vec::new();
    machine.read(Root::Proc, &format!("{pid}/stat"), &mut text).ok()?;
    parse::stat(&text, 1).map(|stat| stat.start_ticks)
}

fn parse_user(line: &[u8]) -> Option<(u32, String)> {
    let mut parts = line.split(|&byte| byte == b':');
    let (name, _, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some((u32::try_from(number(id)?).ok()?, String::from_utf8(name.to_vec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        assert_eq!(parse_user(b"ada:x:1000:1000:Ada:/home/ada:/bin/sh"), Some((1000, "ada".into())));
        assert_eq!(parse_user(b"# comment"), None);
        assert_eq!(parse_user(b"ada:x:many"), None);
    }
}
