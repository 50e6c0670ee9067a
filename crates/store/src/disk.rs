//! Files that appear whole or not at all: written under a hidden name, synced, and renamed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// What a write must survive before it counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of our process, by whatever signal. Costs no waiting for the disk.
    Crash,
    /// The end of power as well: files and folders are synced to the disk.
    PowerCut,
}

/// The hidden name under which a file is written before it takes its own. The dot keeps it out of `*.parquet` and of the data sets of
/// pyarrow, Spark and Dask, which all pass over names that begin with one.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

/// A recording's room on the disk for its end, given back there.
pub(crate) const RESERVE_FILE: &str = ".reserve";

/// Whether a file of this name is left over from a recorder that did not come to its end.
pub(crate) fn is_leftover(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name == RESERVE_FILE.as_bytes() || name.starts_with(b".") && name.ends_with(b".tmp")
}

/// Puts these bytes in the place of the file, which has its old content or the new one at every instant.
pub(crate) fn replace(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
    let temporary = temporary(path);
    let written = write_new(&temporary, bytes, durability).and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        let _ = fs::remove_file(&temporary);
        return Err(Error::disk(path, source));
    }
    match path.parent() {
        Some(folder) if durability == Durability::PowerCut => sync_folder(folder),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    if durability == Durability::PowerCut { file.sync_data() } else { Ok(()) }
}

/// Makes the names in this folder survive a power cut. File systems that can't sync a folder (some network ones) keep names safe in their own way.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder).and_then(|opened| opened.sync_all()) {
        Err(source) if source.kind() != io::ErrorKind::InvalidInput => Err(Error::disk(folder, source)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, b"old", Durability::PowerCut).unwrap();
        fs::create_dir(temporary(&path)).unwrap();
        assert!(replace(&path, b"new", Durability::Crash).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::remove_dir(temporary(&path)).unwrap();
        replace(&path, b"new", Durability::Crash).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
