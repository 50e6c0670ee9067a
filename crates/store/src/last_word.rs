//! A notice from who can record no more and may have no memory left: put into the facts as they stand on disk, by system calls alone.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstat, open, rename};
use rustix::io::{Errno, pread, write};

use crate::facts::FACTS_FILE;

/// The notice's name, as it stands in the facts.
const NAME: &[u8] = b"\"recorder_failed\"";

/// How facts end that have no end yet, as they are written: what stands before this in a list that is empty, and in one that is not.
const REST: &[u8] = b"],\n  \"end\": null\n}\n";
const EMPTY: &[u8] = b"[";
const FULL: &[u8] = b"\n  ";

/// Where it goes; made while there is memory.
#[derive(Debug)]
pub struct LastWord {
    facts: CString,
    hidden: CString,
}

impl LastWord {
    /// For the recording in this folder. `None` for a path that no system call takes.
    pub fn new(folder: &Path) -> Option<LastWord> {
        let path = |name: &str| CString::new(folder.join(name).as_os_str().as_bytes()).ok();
        Some(LastWord { facts: path(FACTS_FILE)?, hidden: path(&format!(".{FACTS_FILE}.last.tmp"))? })
    }

    /// Adds the notice `recorder_failed`, of these plain words, if it is not there. Takes no memory, waits for no lock and for no disk; a recording that has
    /// ended stays as it is.
    pub fn say(&self, detail: &str) {
        // Nobody can be told that it failed: whoever has no memory has said so already.
        if self.add(detail).is_err() {
            let _ = rustix::fs::unlink(&*self.hidden);
        }
    }

    fn add(&self, detail: &str) -> Result<(), Errno> {
        let facts = open(&*self.facts, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let size = u64::try_from(fstat(&facts)?.st_size).unwrap_or(0);
        let mut tail = [0; 256];
        let looked_at = usize::try_from(size).map_or(tail.len(), |size| size.min(tail.len()));
        pread(&facts, &mut tail[..looked_at], size - looked_at as u64)?;
        if tail.windows(NAME.len()).any(|words| words == NAME) {
            return Ok(());
        }
        let mut tail = [0; REST.len() + FULL.len()];
        let begin = size.checked_sub(tail.len() as u64).ok_or(Errno::INVAL)?;
        pread(&facts, &mut tail, begin)?;
        let before = tail.strip_suffix(REST).ok_or(Errno::INVAL)?;
        // The line end before the bracket of a list that is not empty comes after the new one.
        let (kept, comma) = match before {
            FULL => (begin, ","),
            _ if before.ends_with(EMPTY) => (begin + before.len() as u64, ""),
            _ => return Err(Errno::INVAL),
        };
        let hidden = open(&*self.hidden, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC, Mode::from_raw_mode(0o666))?;
        copy(&facts, &hidden, kept)?;
        for piece in [comma, "\n    {\n      \"name\": \"recorder_failed\",\n      \"detail\": \"", detail, "\",\n      \"count\": 1\n    }\n  "] {
            write_all(&hidden, piece.as_bytes())?;
        }
        write_all(&hidden, REST)?;
        rename(&*self.hidden, &*self.facts)
    }
}

/// Copies the first so many bytes.
fn copy(from: &OwnedFd, to: &OwnedFd, bytes: u64) -> Result<(), Errno> {
    let (mut buffer, mut done) = ([0; 512], 0);
    while done < bytes {
        let most = buffer.len().min(usize::try_from(bytes - done).unwrap_or(usize::MAX));
        let read = pread(from, &mut buffer[..most], done)?;
        if read == 0 {
            return Err(Errno::INVAL);
        }
        write_all(to, &buffer[..read])?;
        done += read as u64;
    }
    Ok(())
}

fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = write(&to, bytes)?;
        if written == 0 {
            return Err(Errno::IO);
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Durability, End, Facts, Notice};

    #[test]
    fn it_is_added_to_the_facts_as_they_stand_and_to_no_recording_that_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let word = LastWord::new(folder.path()).unwrap();
        word.say("nobody has facts yet");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let failed = |detail: &str| Notice { name: "recorder_failed".to_owned(), detail: detail.to_owned(), count: 1 };
        let before = Notice { name: "missed_ticks".to_owned(), detail: "[".to_owned(), count: 3 };
        for notices in [vec![], vec![before]] {
            // Longer than what is copied at once, with something in it that looks like the list.
            let command = Some(vec!["\n  \"notices\": [],\n  \"end\": null\n}\n".repeat(100)]);
            let mut facts = Facts { command, notices, ..Facts::default() };
            facts.write(folder.path(), Durability::Crash).unwrap();
            facts.notices.push(failed("no memory"));
            for detail in ["no memory", "none still"] {
                word.say(detail);
                assert_eq!(Facts::read(folder.path()).unwrap(), facts);
            }
            // Byte for byte as we write it.
            let said = fs::read(folder.path().join(FACTS_FILE)).unwrap();
            facts.write(folder.path(), Durability::Crash).unwrap();
            assert!(said == fs::read(folder.path().join(FACTS_FILE)).unwrap());
            facts.end = Some(End::default());
            facts.write(folder.path(), Durability::Crash).unwrap();
            word.say("too late");
            assert_eq!(Facts::read(folder.path()).unwrap(), facts);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
