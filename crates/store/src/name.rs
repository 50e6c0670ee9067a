//! Names for recordings: one that is free, and what may be replaced by force.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::facts::FACTS_FILE;
use crate::{Error, State, Timeline};

/// This path if nothing stands there, or else the first free one of `NAME-2.baro`, `NAME-3.baro` …
pub fn free_name(path: &Path) -> PathBuf {
    if path.symlink_metadata().is_err() {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default();
    let numbered = |number: u64| {
        let mut name = OsString::from(stem);
        name.push(format!("-{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    let mut number = 2;
    while numbered(number).symlink_metadata().is_ok() {
        number += 1;
    }
    numbered(number)
}

/// Removes the recording of this name. What is no recording is never removed, nor one that is being written.
pub(crate) fn remove_recording(path: &Path) -> Result<(), Error> {
    let recording = path.join(FACTS_FILE).is_file();
    // Of a recorder that was killed at its start nothing may be there but a file that it had begun to write.
    let only_begun = fs::read_dir(path).is_ok_and(|entries| entries.flatten().all(|entry| disk::is_leftover(&entry.file_name())));
    if !recording && !only_begun {
        return Err(Error::NotARecording { path: path.to_owned(), why: "it is not overwritten, not even by force; choose another name".to_owned() });
    }
    if let Ok(timeline) = Timeline::open(path)
        && timeline.state() == State::Live
    {
        return Err(Error::Live { path: path.to_owned(), pid: timeline.facts().recorder.pid });
    }
    fs::remove_dir_all(path).map_err(|source| Error::disk(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_number_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.baro");
        assert_eq!(free_name(&path), path);
        fs::create_dir(&path).unwrap();
        assert_eq!(free_name(&path), folder.path().join("run-2.baro"));
        fs::create_dir(folder.path().join("run-2.baro")).unwrap();
        assert_eq!(free_name(&path), folder.path().join("run-3.baro"));
    }

    #[test]
    fn a_folder_that_is_no_recording_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
        assert!(remove_recording(folder.path()).is_err());
        assert!(folder.path().join("thesis.tex").exists());
    }

    #[test]
    fn what_a_recorder_that_was_killed_at_once_began_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for begun in [&[][..], &[".recording.json.tmp"]] {
            let path = folder.path().join("run.baro");
            fs::create_dir(&path).unwrap();
            begun.iter().for_each(|name| fs::write(path.join(name), "{\"form").unwrap());
            remove_recording(&path).unwrap();
            assert!(!path.exists());
        }
    }
}
