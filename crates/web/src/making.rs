//! Recordings that are made through the page: one at a time, real ones, in the folders that were given.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use barograph_session::{Change, Condition, Order, Session, Settings as SessionSettings, Watched};
use barograph_sources::Choice;
use serde::{Deserialize, Serialize};

use crate::failure::{Answer, Failure};

/// The shortest time between two readings, and the longest.
const INTERVALS: std::ops::RangeInclusive<f64> = 0.01..=86_400.0;

/// What is recorded, where, and how often.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) path: Option<String>,
    pub(crate) interval_seconds: f64,
    pub(crate) write_interval_seconds: f64,
    pub(crate) processes: String,
    pub(crate) pids: Vec<u32>,
    pub(crate) without: Vec<String>,
    /// Conditions whose begin and end the recorder marks, such as `memory > 2 GiB for 10s`.
    pub(crate) mark_when: Vec<String>,
}

/// What the page says of them; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    path: Option<String>,
    interval_seconds: Option<f64>,
    write_interval_seconds: Option<f64>,
    processes: Option<String>,
    pids: Option<Vec<u32>>,
    without: Option<Vec<String>>,
    mark_when: Option<Vec<String>>,
}

impl Wanted {
    /// What of a recording of somebody else's is to be otherwise.
    pub(crate) fn change(self) -> Answer<Change> {
        if self.pids.is_some() || self.path.is_some() {
            return Err(Failure::bad("where it goes and whom it watches stays as it is"));
        }
        let (interval, write_interval, processes, without) =
            (self.interval_seconds, self.write_interval_seconds, self.processes.clone(), self.without.clone());
        let is_marked = self.mark_when.is_some();
        // What is not said is taken from elsewhere here only to be looked at.
        let all = Settings::default().with(self)?;
        Ok(Change {
            interval: interval.map(Duration::from_secs_f64),
            write_interval: write_interval.map(Duration::from_secs_f64),
            processes: processes.map(|_| all.choice()).transpose()?,
            without,
            mark_when: is_marked.then(|| all.conditions()).transpose()?,
            ..Change::default()
        })
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            path: None,
            interval_seconds: 1.0,
            write_interval_seconds: 10.0,
            processes: "all".to_owned(),
            pids: Vec::new(),
            without: Vec::new(),
            mark_when: Vec::new(),
        }
    }
}

impl Settings {
    /// These, with what the page says.
    pub(crate) fn with(&self, wanted: Wanted) -> Answer<Settings> {
        let old = self.clone();
        let settings = Settings {
            path: wanted.path.filter(|path| !path.is_empty()).or(old.path),
            interval_seconds: wanted.interval_seconds.unwrap_or(old.interval_seconds),
            write_interval_seconds: wanted.write_interval_seconds.unwrap_or(old.write_interval_seconds),
            processes: wanted.processes.unwrap_or(old.processes),
            pids: wanted.pids.unwrap_or(old.pids),
            without: wanted.without.unwrap_or(old.without),
            mark_when: wanted.mark_when.unwrap_or(old.mark_when),
        };
        for (name, seconds) in [("sampling", settings.interval_seconds), ("write", settings.write_interval_seconds)] {
            if !INTERVALS.contains(&seconds) {
                return Err(Failure::bad(format!("the {name} interval must lie between 0.01 and 86400 seconds, and not be {seconds}")));
            }
        }
        if settings.pids.contains(&0) {
            return Err(Failure::bad("no process has the pid 0"));
        }
        Ok(settings)
    }

    /// What of these is otherwise than before.
    fn change(&self, old: &Settings) -> Answer<Change> {
        let seconds = |new: f64, old: f64| (new != old).then(|| Duration::from_secs_f64(new));
        Ok(Change {
            interval: seconds(self.interval_seconds, old.interval_seconds),
            write_interval: seconds(self.write_interval_seconds, old.write_interval_seconds),
            processes: (self.processes != old.processes).then(|| self.choice()).transpose()?,
            without: (self.without != old.without).then(|| self.without.clone()),
            mark_when: (self.mark_when != old.mark_when).then(|| self.conditions()).transpose()?,
            ..Change::default()
        })
    }

    fn conditions(&self) -> Answer<Vec<Condition>> {
        let parse = |text: &String| text.parse().map_err(|why| Failure::bad(format!("{text}: {why}")));
        self.mark_when.iter().map(parse).collect()
    }

    fn choice(&self) -> Answer<Choice> {
        self.processes.parse().map_err(|error| Failure::bad(format!("processes: {error}")))
    }
}

/// A recording that goes on.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) session: Session,
    pub(crate) settings: Settings,
    pub(crate) began: SystemTime,
}

/// Where recordings may be made: the folder in which the server was started, and those that it was given.
#[derive(Debug)]
pub(crate) struct Places(Vec<PathBuf>);

impl Places {
    /// The first is where names without a folder go.
    pub(crate) fn new(folders: impl IntoIterator<Item = PathBuf>) -> Places {
        Places(folders.into_iter().filter_map(|folder| folder.canonicalize().ok()).filter(|folder| folder.is_dir()).collect())
    }

    /// The folder that recordings go to, if nobody says otherwise.
    fn first(&self) -> Answer<&Path> {
        self.0.first().map(PathBuf::as_path).ok_or_else(|| Failure::forbidden("the folder in which this server was started is there no more"))
    }

    /// This path, if it lies in one of our folders, links included.
    fn allow(&self, said: &str) -> Answer<PathBuf> {
        let outside = || {
            let places: Vec<_> = self.0.iter().map(|place| place.display().to_string()).collect();
            Failure::forbidden(format!(
                "{said}: recordings are made in {} only; start `barograph view` with another folder for others",
                places.join(", ")
            ))
        };
        let path = self.first()?.join(said);
        if said.contains('\0') || path.components().any(|part| matches!(part, Component::ParentDir)) || path.file_name().is_none() {
            return Err(outside());
        }
        // What is not there yet is no link.
        let there = path.ancestors().skip(1).find(|folder| fs::symlink_metadata(folder).is_ok());
        let real = there.and_then(|folder| Some((folder, folder.canonicalize().ok()?)));
        match real {
            Some((folder, real)) if self.0.iter().any(|place| real.starts_with(place)) => {
                Ok(path.strip_prefix(folder).map_or_else(|_| path.clone(), |rest| real.join(rest)))
            }
            _ => Err(outside()),
        }
    }
}

impl Making {
    /// Begins a recording; a name that is taken gets a number.
    pub(crate) fn start(settings: Settings, places: &Places) -> Answer<Making> {
        let choice = settings.choice()?;
        let path = settings.path.as_deref().map(|path| places.allow(path)).transpose()?;
        let mut made = SessionSettings {
            watched: if settings.pids.is_empty() { Watched::Machine } else { Watched::Processes(settings.pids.clone()) },
            path: Some(match path {
                Some(path) => path,
                None => places.first()?.join(default_name(&settings)),
            }),
            processes: Some(choice),
            without: settings.without.clone(),
            mark_when: settings.conditions()?,
            ..SessionSettings::default()
        };
        made.options.interval = Duration::from_secs_f64(settings.interval_seconds);
        made.options.write_interval = Duration::from_secs_f64(settings.write_interval_seconds);
        let session = Session::start(made).map_err(|error| Failure::conflict(error.to_string()))?;
        Ok(Making { session, settings, began: SystemTime::now() })
    }

    pub(crate) fn path(&self) -> &Path {
        self.session.path()
    }

    /// Changes it while it goes on.
    pub(crate) fn set(&mut self, settings: Settings) -> Answer<()> {
        let old = &self.settings;
        if settings.pids != old.pids || settings.path != old.path {
            return Err(Failure::bad("where it goes and whom it watches stays as it is: stop it and start another"));
        }
        self.session.set(settings.change(old)?).map_err(|error| Failure::conflict(error.to_string()))?;
        self.settings = settings;
        Ok(())
    }

    /// Ends it, with everything read once more.
    pub(crate) fn stop(&self) -> Answer<()> {
        self.session.stop().map(drop).map_err(Failure::failed)
    }
}

fn default_name(settings: &Settings) -> String {
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let subject = settings.pids.first().map_or_else(|| "machine".to_owned(), |pid| format!("pid{pid}"));
    format!("{subject}-{time}.baro")
}

/// Tells a recorder of somebody else's what to do, and waits until it is done.
pub(crate) fn order(path: &Path, order: &Order) -> Answer<()> {
    Ok(barograph_session::order(path, order)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folders_that_were_given() {
        let place = tempfile::tempdir().unwrap();
        let (given, other) = (place.path().join("given"), place.path().join("other"));
        fs::create_dir(&given).unwrap();
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, given.join("out")).unwrap();
        std::os::unix::fs::symlink(&given, place.path().join("in")).unwrap();
        let places = Places::new([given.clone()]);
        let real = given.canonicalize().unwrap();
        assert_eq!(places.allow("a"), Ok(real.join("a")));
        assert_eq!(places.allow("new/a.baro"), Ok(real.join("new/a.baro")));
        assert_eq!(places.allow(&given.join("a").display().to_string()), Ok(real.join("a")));
        assert_eq!(places.allow(&place.path().join("in/a").display().to_string()), Ok(real.join("a")));
        let absolute = other.join("a").display().to_string();
        for out in ["../a", "a/../../b", "out/a", "out/new/a", "/etc/a", "/", ".", "..", "a\0b", &absolute] {
            assert!(places.allow(out).is_err_and(|failure| failure.error.contains("recordings are made in")), "{out}");
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_told() {
        let with = |text: &str| Settings::default().with(serde_json::from_str(text).unwrap());
        assert_eq!(with("{}"), Ok(Settings::default()));
        assert_eq!(with(r#"{"intervalSeconds":0.2,"pids":[7]}"#), Ok(Settings { interval_seconds: 0.2, pids: vec![7], ..Settings::default() }));
        for wrong in [r#"{"intervalSeconds":0}"#, r#"{"writeIntervalSeconds":1e9}"#, r#"{"intervalSeconds":-1}"#, r#"{"pids":[0]}"#] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
        assert!(with(r#"{"processes":"some"}"#).unwrap().choice().is_err());
        let wrong = with(r#"{"markWhen":["memory is large"]}"#).unwrap().conditions().unwrap_err();
        assert!(wrong.error.starts_with("memory is large: expected a metric"), "{}", wrong.error);
    }
}
