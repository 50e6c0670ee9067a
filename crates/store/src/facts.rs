//! The facts of a recording, as they stand in its `recording.json`: of the host, the run, the clock, and how it ended.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Error;
use crate::disk::{self, Durability};
use crate::figures::stale_nanos;
use crate::guard::are_possible;
use crate::timeline::table_names;

/// The format that this crate writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The file of the facts in a recording's folder.
pub const FACTS_FILE: &str = "recording.json";

/// Everything about a recording that is not a row of a table. What is not known is absent, never guessed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Version of the format, see FORMAT.md.
    pub format: u32,
    /// Version of the Barograph that wrote it.
    pub barograph: String,
    /// 128 random bits in hexadecimal, which name the recording wherever it is copied.
    pub id: String,
    /// The command that was run, if one was.
    pub command: Option<Vec<String>>,
    /// The working directory.
    pub directory: String,
    /// Who ran it.
    pub user: String,
    /// The machine.
    pub host: Host,
    /// What the job was allowed to use.
    pub limits: Limits,
    /// The process that recorded.
    pub recorder: Process,
    /// Whether the recorder holds a lock on the folder for as long as it lives. A file system may know no such locks.
    pub locked: bool,
    /// The process that was watched with its descendants, if one was.
    pub root: Option<Process>,
    /// When the recording began.
    pub clock: Clock,
    /// Seconds between two ticks, as it was set last.
    pub interval_seconds: f64,
    /// The longest that ever lay between two ticks, if that was changed while the recording went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_interval_seconds: Option<f64>,
    /// Seconds between two writes to disk: the most that a crash can lose.
    pub write_interval_seconds: f64,
    /// Whether the first ticks came faster than the interval.
    pub dense_start: bool,
    /// What ends the recording: `root`, `tree`, a duration.
    pub until: String,
    /// Which processes have rows.
    pub processes: Processes,
    /// The conditions whose begin and end are events, such as `memory > 2 GiB for 10s`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mark_when: Vec<String>,
    /// Where programs can say what they are doing, see docs/beacon.md; absent if nowhere.
    pub beacon: Option<String>,
    /// Each source by name: `ok`, or why it gave nothing.
    pub sources: BTreeMap<String, String>,
    /// What a reader of the numbers should know.
    pub notices: Vec<Notice>,
    /// How it ended; absent while it goes on, and if it was cut off.
    pub end: Option<End>,
    /// What a later version has written beside these, kept as it is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for Facts {
    fn default() -> Facts {
        Facts {
            format: FORMAT,
            barograph: env!("CARGO_PKG_VERSION").to_owned(),
            id: String::new(),
            command: None,
            directory: String::new(),
            user: String::new(),
            host: Host::default(),
            limits: Limits::default(),
            recorder: Process::default(),
            locked: false,
            root: None,
            clock: Clock::default(),
            interval_seconds: 1.0,
            longest_interval_seconds: None,
            write_interval_seconds: 10.0,
            dense_start: false,
            until: String::new(),
            processes: Processes::default(),
            mark_when: Vec::new(),
            beacon: None,
            sources: BTreeMap::new(),
            notices: Vec::new(),
            end: None,
            other: Map::new(),
        }
    }
}

/// The machine that was recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Operating system, as it calls itself.
    pub os: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Architecture, such as `x86_64`.
    pub arch: String,
    /// The kernel's random name of this boot.
    pub boot_id: String,
    /// Cores that can be used.
    pub cores: u64,
    /// RAM.
    pub memory_bytes: u64,
    /// Size of a page.
    pub page_size: u64,
    /// Ticks per second of the kernel's start times.
    pub ticks_per_second: u64,
}

/// What the job was allowed to use, where that is less than the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Cores; 1.5 is one and a half.
    pub cores: Option<f64>,
    /// What sets the limits, such as the path of a cgroup.
    pub origin: String,
    /// Processes of the cgroup that the kernel had killed for lack of memory before; absent if memory is not limited, or nobody counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
}

/// A process: its pid alone would soon name another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Process id.
    pub pid: u64,
    /// When it started, in ticks since boot.
    pub start_ticks: u64,
}

/// One moment on both clocks, and the zone of the people there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// Nanoseconds since 1970 UTC.
    pub utc_nanos: i64,
    /// Nanoseconds of the monotonic clock.
    pub monotonic_nanos: i64,
    /// IANA name of the time zone, such as `Europe/Berlin`.
    pub zone: String,
}

/// Which processes have rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Processes {
    /// The choice, as given: `tree`, `all`, `top:10` …
    pub selection: String,
    /// What the choice left out, in words.
    pub left_out: Option<String>,
    /// Whether a BPF iterator gave their counters at the end: `ok`, or why they came from /proc. Absent until the end.
    pub fast: Option<String>,
}

/// Something that a reader of the numbers should know: missed ticks, a missing privilege, lost rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// What it is, such as `missed_ticks`.
    pub name: String,
    /// More about it.
    pub detail: String,
    /// How many times.
    pub count: u64,
}

/// How a recording ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
    /// Nanoseconds since 1970 UTC.
    pub utc_nanos: i64,
    /// Nanoseconds of the monotonic clock.
    pub monotonic_nanos: i64,
    /// Why: `exited`, `stopped`, `duration`, `interrupted` …
    pub reason: String,
    /// How the watched root process ended, if it did.
    pub exit: Option<Exit>,
    /// The sums of the run.
    pub totals: Totals,
}

/// How a process ended: one of the two is present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// Its exit status.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// The sums of a run, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// From start to end.
    pub wall_seconds: Option<f64>,
    /// CPU time outside the kernel.
    pub user_seconds: Option<f64>,
    /// CPU time in the kernel.
    pub system_seconds: Option<f64>,
    /// Most memory that the job's processes held together at a tick.
    pub peak_resident_bytes: Option<u64>,
    /// Most memory that a single process ever held, by the kernel's own high-water mark.
    pub peak_process_resident_bytes: Option<u64>,
    /// Bytes read from storage.
    pub read_bytes: Option<u64>,
    /// Bytes written to storage.
    pub written_bytes: Option<u64>,
    /// Most processes at once.
    pub processes_peak: Option<u64>,
    /// All processes that were ever seen.
    pub processes_seen: Option<u64>,
}

/// Where the facts of a recording that was made of a file say which file that is.
pub const FILE_FACT: &str = "file";

impl Facts {
    /// The file that this recording was made of, as the user named it; none for one that is a recording itself.
    pub fn file(&self) -> Option<&str> {
        self.other.get(FILE_FACT)?.as_str()
    }

    /// The facts in this recording's folder.
    pub fn read(folder: &Path) -> Result<Facts, Error> {
        let path = folder.join(FACTS_FILE);
        let text = fs::read(&path).map_err(|source| missing_or_disk(folder, &path, source))?;
        let facts: Facts = serde_json::from_slice(&text).map_err(|source| Error::Facts { path: path.clone(), source })?;
        if facts.format > FORMAT {
            return Err(Error::TooNew { path: folder.to_owned(), found: facts.format, known: FORMAT });
        }
        let end = facts.end.as_ref().map_or([0; 2], |end| [end.utc_nanos, end.monotonic_nanos]);
        if !are_possible(&[facts.clock.utc_nanos, facts.clock.monotonic_nanos]) || !are_possible(&end) {
            return Err(Error::Facts { path, source: serde_json::Error::custom("it has times that no clock has") });
        }
        Ok(facts)
    }

    pub(crate) fn write(&self, folder: &Path, durability: Durability) -> Result<u64, Error> {
        let path = folder.join(FACTS_FILE);
        let mut text = serde_json::to_vec_pretty(self).map_err(|source| Error::Facts { path: path.clone(), source })?;
        text.push(b'\n');
        disk::replace(&path, &text, durability)?;
        Ok(text.len() as u64)
    }

    /// The age at which the row before is too old for a rate: three intervals, at least two seconds. Where the interval was changed, three of the longest:
    /// what was read at a slower pace is no gap.
    pub fn stale_nanos(&self) -> i64 {
        stale_nanos(self.longest_interval_seconds.map_or(self.interval_seconds, |longest| longest.max(self.interval_seconds)))
    }

    /// Seconds from the start to this moment of the monotonic clock.
    pub(crate) fn seconds_until(&self, monotonic_nanos: i64) -> f64 {
        monotonic_nanos.saturating_sub(self.clock.monotonic_nanos) as f64 / 1e9
    }
}

/// A folder without facts, no folder, and a disk that fails are three things to say.
fn missing_or_disk(folder: &Path, path: &Path, source: io::Error) -> Error {
    match (source.kind(), folder.metadata()) {
        (io::ErrorKind::NotFound, Ok(found)) if found.is_dir() => {
            let rebuilt = table_names(folder).is_ok_and(|names| !names.is_empty());
            let then = if rebuilt { "; `barograph repair` rebuilds that from its tables" } else { ", and no table from which that could be rebuilt" };
            let why = format!("it has no {FACTS_FILE}{then}");
            Error::NotARecording { path: folder.to_owned(), why }
        }
        (io::ErrorKind::NotADirectory, _) => {
            Error::NotARecording { path: folder.to_owned(), why: "it is a file, and a recording is a folder".to_owned() }
        }
        (io::ErrorKind::NotFound, _) => Error::Missing { path: folder.to_owned() },
        _ => Error::disk(path, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_wrote_survives() {
        let text = r#"{"format":1,"id":"ab","weather":{"rain":true},"host":{"name":"h","galaxy":1}}"#;
        let facts: Facts = serde_json::from_str(text).unwrap();
        assert_eq!(facts.host.name, "h");
        assert_eq!(facts.end, None);
        let again = serde_json::to_value(&facts).unwrap();
        assert_eq!(again["weather"]["rain"], true);
    }

    #[test]
    fn times_that_no_clock_has_are_told() {
        let folder = tempfile::tempdir().unwrap();
        for text in [r#"{"clock":{"utc_nanos":9223372036854775807}}"#, r#"{"end":{"monotonic_nanos":-9223372036854775808}}"#] {
            fs::write(folder.path().join(FACTS_FILE), text).unwrap();
            assert!(Facts::read(folder.path()).unwrap_err().to_string().contains("no clock has"), "{text}");
        }
    }

    #[test]
    fn a_later_format_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FACTS_FILE), r#"{"format":2}"#).unwrap();
        let error = Facts::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("format 2") && error.contains("newer"), "{error}");
    }

    #[test]
    fn each_wrong_path_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| Facts::read(path).unwrap_err().to_string();
        assert!(said(&folder.path().join("none")).contains("no such recording"));
        assert!(said(folder.path()).contains("no recording.json"));
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(said(&file).contains("it is a file"));
        fs::write(folder.path().join(FACTS_FILE), "{\"format\":").unwrap();
        assert!(said(folder.path()).contains("barograph repair"));
    }
}
