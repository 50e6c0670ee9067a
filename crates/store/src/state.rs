//! Whether a recording is being written, has ended, or was cut off.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Facts;
use crate::facts::{FACTS_FILE, Process};

/// How far a recording has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being written.
    Live,
    /// It ended, and says how.
    Ended,
    /// It stopped without an end: the recorder was killed, or the machine went down.
    Interrupted,
}

/// Looks at what is known, surest first: an end; the recorder's lock on the folder; its process on this boot; the age of its files.
///
/// The lock is what holds across containers, whose pids are not ours; the process is for file systems that know no locks on folders.
pub(crate) fn state(folder: &Path, facts: &Facts) -> State {
    if facts.end.is_some() {
        return State::Ended;
    }
    let this_boot = read_line("/proc/sys/kernel/random/boot_id").is_some_and(|boot| boot == facts.host.boot_id);
    let lives = is_locked(folder) || if this_boot { is_alive(facts.recorder) } else { !is_our_host(facts) && is_fresh(folder, facts) };
    if lives { State::Live } else { State::Interrupted }
}

/// Locks the folder for as long as the handle lives. A file system without such locks gives none, and the recording goes on.
pub(crate) fn lock(folder: &Path) -> Option<File> {
    let handle = File::open(folder).ok()?;
    flock(&handle, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(handle)
}

/// A shared lock is tried, so that two who ask at the same time don't take each other for a recorder.
pub(crate) fn is_locked(folder: &Path) -> bool {
    let Ok(handle) = File::open(folder) else { return false };
    flock(&handle, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

/// The same host on another boot can't be writing any more.
fn is_our_host(facts: &Facts) -> bool {
    read_line("/proc/sys/kernel/hostname").is_some_and(|name| name == facts.host.name)
}

fn is_alive(process: Process) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{}/stat", process.pid)) else { return false };
    start_ticks(&stat) == Some(process.start_ticks)
}

/// The name may hold spaces and parentheses, so the fields are counted from its last parenthesis: the start is the 22nd field of all. A zombie writes
/// nothing any more.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Whether any file of the recording changed within the last three write intervals.
fn is_fresh(folder: &Path, facts: &Facts) -> bool {
    let limit = Duration::try_from_secs_f64(facts.write_interval_seconds * 3.0).unwrap_or_default();
    let tables = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = tables.chain([folder.join(FACTS_FILE)]).filter_map(|path| path.metadata().ok()?.modified().ok()).max();
    newest.is_some_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age <= limit))
}

fn read_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{End, Host};

    fn this_boot() -> Facts {
        let host = Host { boot_id: read_line("/proc/sys/kernel/random/boot_id").unwrap(), ..Host::default() };
        Facts { host, ..Facts::default() }
    }

    fn ourselves() -> Process {
        let stat = fs::read("/proc/self/stat").unwrap();
        Process { pid: u64::from(std::process::id()), start_ticks: start_ticks(&stat).unwrap() }
    }

    #[test]
    fn the_recorder_is_known_by_pid_and_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = this_boot();
        facts.recorder = ourselves();
        assert_eq!(state(folder.path(), &facts), State::Live);
        facts.recorder.start_ticks += 1;
        assert_eq!(state(folder.path(), &facts), State::Interrupted, "the pid was given to another process");
        facts.end = Some(End::default());
        assert_eq!(state(folder.path(), &facts), State::Ended);
    }

    #[test]
    fn the_lock_tells_a_recorder_whose_pid_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let facts = this_boot();
        let held = lock(folder.path());
        assert_eq!(state(folder.path(), &facts), State::Live);
        drop(held);
        assert_eq!(state(folder.path(), &facts), State::Interrupted);
    }

    #[test]
    fn on_another_host_the_age_of_the_files_decides() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FACTS_FILE), "{}").unwrap();
        let mut facts = Facts { host: Host { boot_id: "elsewhere".into(), name: "elsewhere".into(), ..Host::default() }, ..Facts::default() };
        assert_eq!(state(folder.path(), &facts), State::Live);
        facts.write_interval_seconds = 0.0;
        assert_eq!(state(folder.path(), &facts), State::Interrupted);
    }

    #[test]
    fn a_name_full_of_parentheses_hides_nothing() {
        let stat = b"42 (a) b) (c) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1";
        assert_eq!(start_ticks(stat), Some(777));
    }
}
