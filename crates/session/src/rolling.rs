//! A recording of which only the last hours are kept: before it has grown old another one begins, which takes its place once it knows enough itself.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barograph_store::{State, Timeline};
use rustix::process::geteuid;

use crate::{Error, Session, Settings};

/// After so many ticks another one begins: four hours at one a second.
const TICKS: u32 = 14_400;

/// So many it has when it takes the place of the one before: an hour at one a second.
const KNOWN: u32 = 3_600;

/// What has lost its place stays for this long, so that nobody reads of what is gone.
const FAREWELL: Duration = Duration::from_secs(60);

/// One that could not begin is tried again after this time.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What all of them are called. Each is in a folder of its own, with a number.
const NAME: &str = "machine.baro";

/// A recording that goes on for as long as somebody looks, and never takes more room than that of `TICKS` and `KNOWN` ticks, the latter twice.
#[derive(Debug)]
pub struct Rolling {
    place: PathBuf,
    settings: Settings,
    count: u64,
    shown: Part,
    next: Option<Part>,
    /// That which was shown before, and since when it is not.
    past: Option<(PathBuf, Instant)>,
    try_again: Instant,
}

#[derive(Debug)]
struct Part {
    session: Session,
    began: Instant,
}

/// What became of a rolling recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing that anybody need know.
    Same,
    /// Another recording is shown from now on. This one goes in a minute.
    Taken(PathBuf),
    /// This recording is no more.
    Removed(PathBuf),
}

impl Rolling {
    /// Begins to record in that folder, which is the caller's to remove.
    pub fn start(place: &Path, settings: Settings) -> Result<Rolling, Error> {
        let shown = begin(place, &settings, 1)?;
        Ok(Rolling { place: place.to_owned(), settings, count: 1, try_again: shown.began, shown, next: None, past: None })
    }

    /// The recording that is shown.
    pub fn path(&self) -> &Path {
        self.shown.session.path()
    }

    /// How long it is shown at most, with what it knew when it took its place.
    pub fn longest(&self) -> Duration {
        self.after(TICKS + KNOWN)
    }

    fn after(&self, ticks: u32) -> Duration {
        self.settings.options.interval.saturating_mul(ticks)
    }

    /// Does what is due at that time.
    pub fn turn(&mut self, now: Instant) -> Turn {
        if self.past.as_ref().is_some_and(|(_, since)| now.saturating_duration_since(*since) >= FAREWELL)
            && let Some((path, _)) = self.past.take()
        {
            // Should it fail, the caller removes it with the rest.
            let _ = path.parent().map(fs::remove_dir_all);
            return Turn::Removed(path);
        }
        let known = self.after(KNOWN);
        if let Some(next) = self.next.take_if(|next| now.saturating_duration_since(next.began) >= known) {
            let old = std::mem::replace(&mut self.shown, next);
            // What it came to is nobody's business any more.
            let _ = old.session.stop();
            let path = old.session.path().to_owned();
            self.past = Some((path.clone(), now));
            return Turn::Taken(path);
        }
        if self.next.is_none() && now >= self.try_again && now.saturating_duration_since(self.shown.began) >= self.after(TICKS) {
            self.count += 1;
            match begin(&self.place, &self.settings, self.count) {
                Ok(next) => self.next = Some(Part { began: now, ..next }),
                Err(_) => self.try_again = now + TRY_AGAIN,
            }
        }
        Turn::Same
    }

    /// Ends it.
    pub fn end(self) {
        for part in [Some(self.shown), self.next].into_iter().flatten() {
            let _ = part.session.stop();
        }
    }

    /// Removes what those of us left in this folder that were killed: folders of this user with such a prefix in which nobody records any more.
    pub fn sweep(place: &Path, prefix: &str) {
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        for folder in entries(place) {
            let is_named = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
            let is_own = || fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
            if is_named && is_own() {
                let states: Vec<_> = entries(&folder).filter_map(|part| Some(Timeline::open(part.join(NAME)).ok()?.state())).collect();
                // One that has no recording yet is just beginning.
                if !states.is_empty() && !states.contains(&State::Live) {
                    // Another one of us may be faster.
                    let _ = fs::remove_dir_all(&folder);
                }
            }
        }
    }
}

fn begin(place: &Path, settings: &Settings, number: u64) -> Result<Part, Error> {
    let folder = place.join(number.to_string());
    fs::create_dir_all(&folder).map_err(|error| Error::NotStarted(format!("{}: {error}", folder.display())))?;
    let session = Session::start(Settings { path: Some(folder.join(NAME)), ..settings.clone() })?;
    Ok(Part { session, began: Instant::now() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Watched;

    fn settings() -> Settings {
        Settings { watched: Watched::Machine, beacon: false, process_memory: false, ..Settings::default() }
    }

    #[test]
    fn another_takes_its_place_and_it_goes() {
        let place = tempfile::tempdir().unwrap();
        let folders = || fs::read_dir(place.path()).unwrap().count();
        let mut rolling = Rolling::start(place.path(), settings()).unwrap();
        let (first, begin) = (rolling.path().to_owned(), Instant::now());
        assert_eq!((rolling.longest(), rolling.turn(begin), folders()), (Duration::from_secs(5 * 3600), Turn::Same, 1));
        let (full, hour) = (begin + Duration::from_secs(4 * 3600), Duration::from_secs(3600));
        assert_eq!((rolling.turn(full), rolling.path(), folders()), (Turn::Same, first.as_path(), 2));
        assert_eq!((rolling.turn(full + hour / 2), folders()), (Turn::Same, 2), "the next one knows too little");
        assert_eq!(rolling.turn(full + hour), Turn::Taken(first.clone()));
        let second = rolling.path().to_owned();
        assert!(second != first && Timeline::open(&second).unwrap().state() == State::Live);
        assert_eq!(Timeline::open(&first).unwrap().state(), State::Ended);
        assert_eq!((rolling.turn(full + hour), rolling.turn(full + hour + FAREWELL), folders()), (Turn::Same, Turn::Removed(first), 1));
        rolling.end();
        assert_eq!(Timeline::open(&second).unwrap().state(), State::Ended);
    }

    #[test]
    fn one_that_cannot_be_followed_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let mut rolling = Rolling::start(place.path(), settings()).unwrap();
        let full = Instant::now() + Duration::from_secs(4 * 3600);
        // Where the next one is to be, there is something else.
        fs::write(place.path().join("2"), "").unwrap();
        assert_eq!((rolling.turn(full), rolling.next.is_none()), (Turn::Same, true));
        assert_eq!((rolling.turn(full + TRY_AGAIN / 2), rolling.count), (Turn::Same, 2));
        assert_eq!((rolling.turn(full + TRY_AGAIN), rolling.next.is_some()), (Turn::Same, true));
        rolling.end();
    }

    #[test]
    fn only_what_nobody_writes_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let (beginning, foreign, live) = (make("ours-a"), make("other"), make("ours-b"));
        let rolling = Rolling::start(&live, settings()).unwrap();
        Rolling::sweep(place.path(), "ours-");
        assert!(beginning.exists() && foreign.exists() && live.exists());
        rolling.end();
        Rolling::sweep(place.path(), "ours-");
        assert!(beginning.exists() && foreign.exists() && !live.exists());
    }
}
