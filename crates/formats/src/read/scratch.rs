//! The temporary folder that a file is read into. It is locked for as long as somebody uses it, so that what a killed program left can be told from it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

/// What the folders begin with; behind it stands a random word.
const PREFIX: &str = "barograph-file-";

/// One that is taken from us before we have locked it is made anew so often.
const TRIES: usize = 16;

/// A folder is removed so often while somebody still writes to it.
const REMOVALS: usize = 100;

/// Those of this process.
static HELD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn held() -> MutexGuard<'static, Vec<PathBuf>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of our own, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    _lock: Option<File>,
}

impl Scratch {
    /// Makes one in that folder, and removes those in it that nobody uses any more.
    pub(super) fn make(place: &Path) -> io::Result<Scratch> {
        sweep(place);
        // From here on one who ends us waits until he knows of it, or we until he has ended us.
        let mut held = held();
        for _ in 0..TRIES {
            let private = fs::Permissions::from_mode(0o700);
            let made = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(place)?;
            // Whoever swept between these two lines took it for one that was left.
            let Some(lock) = lock_of(made.path()) else { continue };
            let path = made.keep();
            held.push(path.clone());
            return Ok(Scratch { path, _lock: lock });
        }
        Err(io::Error::other("somebody else removes whatever is made here"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        held().retain(|path| *path != self.path);
        // What can't be removed is swept by the next of us.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Locks a new folder; without a lock where the file system knows none. `None` if it is somebody else's or has gone.
fn lock_of(folder: &Path) -> Option<Option<File>> {
    let handle = open(folder).ok()?;
    match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => None,
        Err(_) => Some(None),
        Ok(()) => {
            let (ours, there) = (handle.metadata().ok()?, fs::symlink_metadata(folder).ok()?);
            ((ours.dev(), ours.ino()) == (there.dev(), there.ino())).then_some(Some(handle))
        }
    }
}

fn open(folder: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(folder)
}

/// Removes what those of us left in this folder that were killed: folders of this user that nobody holds.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(handle) = open(&entry.path()) else { continue };
        let is_own = handle.metadata().is_ok_and(|found| found.uid() == geteuid().as_raw());
        if is_own && flock(&handle, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // What can't be removed is there the next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Removes what files were read into, for a process that ends at once: nothing is made any more, and whoever reads one fails.
pub fn leave_nothing() {
    let held = held();
    for folder in held.iter() {
        for _ in 0..REMOVALS {
            match fs::remove_dir_all(folder) {
                // Another thread has just written something.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => thread::sleep(Duration::from_millis(1)),
                _ => break,
            }
        }
    }
    std::mem::forget(held);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = place.path().join(name);
            fs::create_dir_all(folder.join("x.baro")).unwrap();
            folder
        };
        let (left, foreign, file) = (make("barograph-file-abc"), make("barograph-0"), place.path().join("barograph-file-x"));
        fs::write(&file, "").unwrap();
        let elsewhere = make("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, place.path().join("barograph-file-link")).unwrap();
        let first = Scratch::make(place.path()).unwrap();
        assert!(!left.exists() && foreign.exists() && file.exists() && elsewhere.join("x.baro").exists());
        assert!(held().contains(&first.path));
        let second = Scratch::make(place.path()).unwrap();
        assert!(first.path().exists() && second.path() != first.path());
        let gone = first.path().to_owned();
        drop(first);
        assert!(!gone.exists() && second.path().exists() && !held().contains(&gone));
    }

    #[test]
    fn a_folder_that_was_swept_before_it_was_locked_is_none() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a");
        assert!(lock_of(&folder).is_none());
        fs::create_dir(&folder).unwrap();
        let sweeper = open(&folder).unwrap();
        flock(&sweeper, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(lock_of(&folder).is_none(), "it is being removed");
        drop(sweeper);
        assert!(lock_of(&folder).is_some_and(|lock| lock.is_some()));
    }
}
