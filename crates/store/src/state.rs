//! Whether a recording is being written, has ended, or was cut off.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::facts::FACTS_FILE;
use crate::{Error, Facts};

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

/// An end is an end. Without one, the recorder's lock tells whether it lives, in whatever container or on whatever host that shares the folder; where the
/// file system knows no such locks, the age of the files does.
pub(crate) fn state(folder: &Path, facts: &Facts) -> State {
    // The end is written before the lock is let go: these facts may have been read before both, and then they are of a recorder that lived.
    let has_ended_since = || Facts::read(folder).is_ok_and(|now| now.end.is_some());
    if facts.end.is_some() {
        State::Ended
    } else if is_locked(folder) || is_alive_without_lock(folder, facts) || has_ended_since() {
        State::Live
    } else {
        State::Interrupted
    }
}

/// Takes the lock of a recording that nobody writes, or where there are no locks nothing, and reads its facts, which nobody changes any more.
pub(crate) fn claim(folder: &Path) -> Result<(Option<Lock>, Result<Facts, Error>), Error> {
    let lock = lock(folder);
    let facts = Facts::read(folder);
    let lives = |facts: &Facts| facts.end.is_none() && is_alive_without_lock(folder, facts);
    if lock.is_none() && is_locked(folder) || facts.as_ref().is_ok_and(lives) {
        return Err(Error::Live { path: folder.to_owned(), pid: facts.map_or(0, |facts| facts.recorder.pid) });
    }
    Ok((lock, facts))
}

/// The lock of a recording's folder, for as long as this lives.
pub(crate) struct Lock {
    handle: File,
    owner: u32,
}

impl Drop for Lock {
    /// Gives it back also for children that have it open as well: those that are yet to execute their own program, and those that never will, as the workers of
    /// Python's `multiprocessing`. None of these may do so for us.
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = flock(&self.handle, FlockOperation::Unlock);
        }
    }
}

/// Locks the folder. A file system without such locks gives none, and the recording goes on.
pub(crate) fn lock(folder: &Path) -> Option<Lock> {
    let handle = File::open(folder).ok()?;
    flock(&handle, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(Lock { handle, owner: std::process::id() })
}

/// A shared lock is tried, so that two who ask at the same time don't take each other for a recorder.
pub(crate) fn is_locked(folder: &Path) -> bool {
    let Ok(handle) = File::open(folder) else { return false };
    flock(&handle, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

fn is_alive_without_lock(folder: &Path, facts: &Facts) -> bool {
    !facts.locked && is_fresh(folder, facts)
}

/// Whether any file of the recording changed within the last three write intervals.
fn is_fresh(folder: &Path, facts: &Facts) -> bool {
    let limit = Duration::try_from_secs_f64(facts.write_interval_seconds * 3.0).unwrap_or_default();
    let tables = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = tables.chain([folder.join(FACTS_FILE)]).filter_map(|path| path.metadata().ok()?.modified().ok()).max();
    newest.is_some_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age <= limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Durability;
    use crate::facts::End;

    #[test]
    fn the_lock_tells_a_recorder_that_lives() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = Facts { locked: true, ..Facts::default() };
        let held = lock(folder.path());
        assert_eq!(state(folder.path(), &facts), State::Live);
        drop(held);
        assert_eq!(state(folder.path(), &facts), State::Interrupted);
        facts.end = Some(End::default());
        assert_eq!(state(folder.path(), &facts), State::Ended);
    }

    #[test]
    fn who_has_the_folder_open_as_well_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let lock = lock(folder.path()).unwrap();
        // As a child has it.
        let inherited = lock.handle.try_clone().unwrap();
        drop(lock);
        assert!(!is_locked(folder.path()));
        drop(inherited);
    }

    #[test]
    fn who_read_the_facts_just_before_the_end_was_written_calls_nobody_dead() {
        let folder = tempfile::tempdir().unwrap();
        let facts = Facts { locked: true, ..Facts::default() };
        facts.write(folder.path(), Durability::Crash).unwrap();
        let read_before = Facts::read(folder.path()).unwrap();
        Facts { end: Some(End::default()), ..facts }.write(folder.path(), Durability::Crash).unwrap();
        assert_eq!(state(folder.path(), &read_before), State::Live);
        assert_eq!(state(folder.path(), &Facts::read(folder.path()).unwrap()), State::Ended);
    }

    #[test]
    fn without_locks_the_age_of_the_files_decides() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FACTS_FILE), "{}").unwrap();
        let mut facts = Facts::default();
        assert_eq!(state(folder.path(), &facts), State::Live);
        facts.write_interval_seconds = 0.0;
        assert_eq!(state(folder.path(), &facts), State::Interrupted);
    }
}
