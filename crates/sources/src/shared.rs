//! A file that several sources need at the same tick: /proc/stat counts every interrupt of every core for whoever reads it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use barograph_model::Moment;

use crate::{Fault, KeptFile, Machine, Root};

/// The files of a machine that somebody shares.
#[derive(Debug, Default)]
pub(crate) struct Sharing(Mutex<Vec<(Root, &'static str, Weak<Text>)>>);

/// What a file said when it was read last.
#[derive(Debug)]
struct Text {
    file: KeptFile,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// Number of the reading, and the tick that it was for.
    reading: u64,
    tick: i64,
    text: Vec<u8>,
}

/// One source's way to a file that it may share with others.
#[derive(Debug)]
pub(crate) struct SharedFile {
    text: Arc<Text>,
    /// The reading that this source has had.
    had: u64,
}

impl Sharing {
    /// Opens a file, or joins those who have it open.
    pub(crate) fn open(&self, machine: &Machine, root: Root, path: &'static str) -> Result<SharedFile, Fault> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(.., text)| text.strong_count() > 0);
        let found = known.iter().find(|entry| (entry.0, entry.1) == (root, path)).and_then(|(.., text)| text.upgrade());
        let text = match found {
            Some(text) => text,
            None => {
                let text = Arc::new(Text { file: machine.keep(root, path)?, last: Mutex::default() });
                known.push((root, path, Arc::downgrade(&text)));
                text
            }
        };
        Ok(SharedFile { text, had: 0 })
    }
}

impl SharedFile {
    /// Shows what the file says: what it said to another source at this tick, or else what it says now. Never the same twice to the same source.
    pub(crate) fn read<T>(&mut self, at: Moment, show: impl FnOnce(&[u8]) -> T) -> Result<T, Fault> {
        let mut last = self.text.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.reading == self.had || last.tick != at.utc_nanos {
            self.text.file.read(&mut last.text)?;
            last.reading += 1;
            last.tick = at.utc_nanos;
        }
        self.had = last.reading;
        Ok(show(&last.text))
    }

    pub(crate) fn path(&self) -> &str {
        self.text.file.path()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Roots;

    #[test]
    fn what_one_source_reads_another_has_at_the_same_tick() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stat");
        fs::write(&file, "first").unwrap();
        let roots = Roots { proc: folder.path().into(), sys: folder.path().into(), etc: folder.path().into(), mounts: folder.path().into() };
        let machine = Machine::open(roots).unwrap();
        let mut readers = [(); 2].map(|()| machine.share(Root::Proc, "stat").unwrap());
        let mut read = |reader: usize, tick: i64| {
            let mut seen = String::new();
            readers[reader].read(Moment { utc_nanos: tick, monotonic_nanos: 0 }, |text| seen = String::from_utf8(text.to_vec()).unwrap()).unwrap();
            seen
        };
        assert_eq!(read(0, 1), "first");
        fs::write(&file, "second").unwrap();
        assert_eq!(read(1, 1), "first", "it was read for this tick");
        assert_eq!(read(1, 1), "second", "who asks again wants to know it again");
        fs::write(&file, "third").unwrap();
        assert_eq!(read(0, 2), "third", "that was another tick");
        assert_eq!(read(1, 2), "third");
        assert!(machine.share(Root::Proc, "missing").is_err());
    }
}
