//! The nouns: what is asked for, and what comes back. As JSON they are what the page and the server say to each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A value of a key column: what a row is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A number: a pid, a core.
    Number(i64),
    /// A text: a device, a gauge's name.
    Text(String),
}

/// What a line is made of: columns of one table, added and taken away. Counters are shown as rates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// What it is called; without it, the name of its first column in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The table.
    pub table: String,
    /// Columns that are added, such as `user_seconds` and `system_seconds`.
    pub plus: Vec<String>,
    /// Columns that are taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minus: Vec<String>,
    /// Only rows with these values in these columns.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, Key>,
    /// Whether each subject, by the table's keys, has a line of its own. If not, and the table has keys, the rows that count are added up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by: bool,
    /// With `by`: only so many lines, those with the highest mean in the window. The rest together is a line of the kind [`Kind::Others`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
}

/// The time that is looked at, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its begin, UTC nanoseconds since 1970.
    pub from: i64,
    /// Its end, UTC nanoseconds since 1970.
    pub to: i64,
    /// No more points than this for a line: about a pixel each. Where there are fewer rows than that, each is a point.
    pub buckets: usize,
}

/// What a number on an axis is. Counters give rates: CPU seconds per second are cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Cores: CPU seconds per second.
    Cores,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// A share, 0 to 1.
    Ratio,
    /// Seconds.
    Seconds,
    /// Cycles per second.
    Hertz,
    /// How many.
    Count,
    /// How many per second.
    PerSecond,
    /// A number of a program's own.
    Number,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Areas on top of each other: their sum means something.
    Stack,
    /// A line each.
    Lines,
    /// A row of coloured cells each, such as for cores.
    Heat,
}

/// A level that is drawn across a panel: what there is, or what is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// What it is: `limit of the job`, `cores`.
    pub label: String,
    /// Where it lies, in the panel's unit.
    pub value: f64,
}

/// A chart: what is drawn together, on one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// A word for addresses and options: `cpu-by-process`.
    pub id: String,
    /// Its title: `CPU by process`.
    pub title: String,
    /// What it shows, in a sentence.
    pub help: String,
    /// The unit of its axis.
    pub unit: Unit,
    /// How it is drawn.
    pub style: Style,
    /// Its lines.
    pub specs: Vec<Spec>,
    /// Levels across it.
    pub limits: Vec<Limit>,
    /// Whether it is shown unless asked for otherwise. The others are offered.
    pub shown: bool,
}

/// One number at the top, with a small curve: what matters most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Its title: `Memory`.
    pub title: String,
    /// The unit of its number.
    pub unit: Unit,
    /// Its line.
    pub spec: Spec,
    /// The panel that shows more of it, by its id.
    pub panel: String,
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// That of a table without keys, or the sum of all rows that count.
    Whole,
    /// That of one subject.
    Subject,
    /// The sum of all subjects that have no line of their own.
    Others,
}

/// A thinned line. Of each bucket the mean by time, the lowest and the highest value; NaN where nothing is known, which is to be drawn as absence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// Where they stand: UTC milliseconds since 1970. Of a bucket its middle, of a row its own time. Lines of the same table share it.
    pub x: Arc<Vec<f64>>,
    /// Means.
    pub mean: Vec<f64>,
    /// Lowest values; empty where each point is one row.
    pub min: Vec<f64>,
    /// Highest values; empty where each point is one row.
    pub max: Vec<f64>,
}

/// What a line comes to within the window, from all its rows. What is not known is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Mean by time.
    pub mean: Option<f64>,
    /// Below it for 95 % of the time.
    pub p95: Option<f64>,
    /// The highest value.
    pub peak: Option<f64>,
    /// When that was: UTC milliseconds.
    pub peak_at: Option<f64>,
    /// By how much a counter grew.
    pub total: Option<f64>,
    /// The last value.
    pub last: Option<f64>,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The place of its spec among those asked for.
    pub spec: usize,
    /// What it is called: for a process its name and pid.
    pub label: String,
    /// Whose it is.
    pub kind: Kind,
    /// The values of the table's key columns, for a subject.
    pub key: Vec<Key>,
    /// The unit of its values.
    pub unit: Unit,
    /// Its points.
    pub points: Points,
    /// What it comes to.
    pub summary: Summary,
}

/// A stretch of time in which nothing was recorded. UTC milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The last row before it.
    pub from: f64,
    /// The first row after it.
    pub to: f64,
    /// Why, in words, as far as is known: `suspended`, `no readings`.
    pub why: String,
}

/// Lines of one window, in the order of the specs, and within one of the means, highest first; others last.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// The lines.
    pub lines: Vec<Line>,
    /// Gaps within the window.
    pub gaps: Vec<Gap>,
}

/// A process at a moment. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRow {
    /// Its pid.
    pub pid: i64,
    /// When it began, in clock ticks since boot. A pid alone names nothing.
    pub start_ticks: i64,
    /// The pid of its parent.
    pub parent_pid: Option<i64>,
    /// Its name.
    pub name: Option<String>,
    /// Its command line.
    pub command: Option<String>,
    /// Whose it is.
    pub user: Option<String>,
    /// What it does, as in the column `process.state`.
    pub state: Option<String>,
    /// Whether it is of the job.
    pub in_job: bool,
    /// CPU, in cores, since its row before.
    pub cores: Option<f64>,
    /// RAM, pages shared with others included.
    pub resident_bytes: Option<f64>,
    /// Bytes read per second.
    pub read: Option<f64>,
    /// Bytes written per second.
    pub written: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
    /// Open files.
    pub open_files: Option<f64>,
    /// Share of the time that it waited for a core, 0 to 1.
    pub waiting: Option<f64>,
    /// Seconds since it began.
    pub age_seconds: Option<f64>,
}
