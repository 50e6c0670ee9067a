//! Mending what a crash left: leftover files, parts that can't be read, missing facts, a missing end.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::disk::{self, Durability};
use crate::facts::{End, FACTS_FILE, Notice, Totals};
use crate::parts::{self, Part};
use crate::timeline::{DAMAGED_FOLDER, table_names};
use crate::{Damage, Error, Facts, Query, Timeline, state};

/// What was found in a recording, and what was done about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Parts that were read from the first row to the last.
    pub parts: usize,
    /// Rows in them.
    pub rows: u64,
    /// Hidden files of unfinished writes, which are gone now.
    pub leftovers: Vec<PathBuf>,
    /// Parts that can't be read. They are in `damaged/` now, under `TABLE-NAME`.
    pub damaged: Vec<Damage>,
    /// Whether `recording.json` had to be made anew from what the parts say, and what was wrong with it.
    pub facts_rebuilt: Option<String>,
    /// Whether an end was written, as nobody else will.
    pub end_written: bool,
}

impl Report {
    /// Whether there was anything to mend.
    pub fn is_clean(&self) -> bool {
        self.leftovers.is_empty() && self.damaged.is_empty() && self.facts_rebuilt.is_none() && !self.end_written
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parts with {} rows are whole", self.parts, self.rows)?;
        if let Some(why) = &self.facts_rebuilt {
            write!(f, "\n{FACTS_FILE} was made anew from the parts: {why}")?;
        }
        for path in &self.leftovers {
            write!(f, "\nremoved what an unfinished write left: {}", path.display())?;
        }
        for damage in &self.damaged {
            write!(f, "\nmoved to {DAMAGED_FOLDER}/, as it can't be read: {} ({})", damage.path.display(), damage.why)?;
        }
        if self.end_written {
            write!(f, "\nwrote the end that the recorder could not: interrupted")?;
        }
        if self.is_clean() {
            write!(f, "\nnothing had to be mended")?;
        }
        Ok(())
    }
}

/// Mends a recording. Doing it twice does no more than doing it once. A live recording is left alone.
pub fn repair(path: impl AsRef<Path>) -> Result<Report, Error> {
    let folder = path.as_ref();
    let mut report = Report::default();
    let (_lock, facts) = state::claim(folder)?;
    let facts = match facts {
        Ok(facts) => Some(facts),
        Err(Error::NotARecording { .. } | Error::Facts { .. }) if folder.is_dir() && !table_names(folder)?.is_empty() => None,
        Err(error) => return Err(error),
    };
    remove_leftovers(folder, &mut report)?;
    for table in table_names(folder)? {
        check_table(folder, &table, &mut report)?;
    }
    mend_facts(folder, facts, &mut report)?;
    Ok(report)
}

fn remove_leftovers(folder: &Path, report: &mut Report) -> Result<(), Error> {
    let inside = fs::read_dir(folder).map_err(|source| Error::disk(folder, source))?.flatten().map(|entry| entry.path());
    for place in [folder.to_owned()].into_iter().chain(inside.filter(|path| path.is_dir())) {
        for entry in fs::read_dir(&place).map_err(|source| Error::disk(&place, source))?.flatten() {
            if disk::is_leftover(&entry.file_name()) && entry.path().is_file() {
                fs::remove_file(entry.path()).map_err(|source| Error::disk(&entry.path(), source))?;
                report.leftovers.push(entry.path());
            }
        }
    }
    report.leftovers.sort_unstable();
    Ok(())
}

/// Reads every cell of every part: an index that is whole says nothing of the pages before it.
fn check_table(folder: &Path, table: &str, report: &mut Report) -> Result<(), Error> {
    for path in parts::list(&folder.join(table))? {
        let rows = Part::open(&path).and_then(|part| part.read_through());
        match rows {
            Ok(rows) => {
                report.parts += 1;
                report.rows += rows;
            }
            Err(Error::Part { source, .. }) => {
                set_aside(folder, table, &path)?;
                report.damaged.push(Damage { path, why: source.to_string() });
            }
            // A disk that fails may read tomorrow what it does not read today: nothing is moved.
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn set_aside(folder: &Path, table: &str, path: &Path) -> Result<(), Error> {
    let aside = folder.join(DAMAGED_FOLDER);
    fs::create_dir_all(&aside).map_err(|source| Error::disk(&aside, source))?;
    let name = format!("{table}-{}", path.file_name().unwrap_or_default().to_string_lossy());
    let target = crate::free_name(&aside.join(name));
    fs::rename(path, &target).map_err(|source| Error::disk(path, source))
}

fn mend_facts(folder: &Path, facts: Option<Facts>, report: &mut Report) -> Result<(), Error> {
    let rebuilt = facts.is_none();
    let mut facts = match facts {
        Some(facts) => facts,
        None => {
            report.facts_rebuilt = Some(if folder.join(FACTS_FILE).exists() { "it could not be read" } else { "it was missing" }.to_owned());
            rebuilt_facts(folder)?
        }
    };
    if facts.end.is_none() {
        facts.end = Some(interrupted_end(folder, &facts)?);
        report.end_written = true;
    }
    if rebuilt || report.end_written {
        facts.write(folder, Durability::PowerCut)?;
    }
    Ok(())
}

/// What the parts know: which recording they belong to, who wrote them, when it began and how often a row came.
fn rebuilt_facts(folder: &Path) -> Result<Facts, Error> {
    let mut facts = Facts { write_interval_seconds: 0.0, ..Facts::default() };
    let (mut begin, mut steps): (Option<(i64, i64)>, Vec<i64>) = (None, Vec::new());
    for table in table_names(folder)? {
        let first = |part: &Part| Ok((part.said("recording"), part.said("version")));
        for (id, version) in parts::collect(&folder.join(&table), first)?.0 {
            facts.id = id.unwrap_or(facts.id);
            facts.barograph = version.unwrap_or(facts.barograph);
        }
        let rows = frame_of(folder, &table, &facts)?;
        begin = rows.times().first().copied().zip(rows.monotonic().first().copied()).into_iter().chain(begin).min_by_key(|moment| moment.1);
        steps.extend(usual_step(rows.monotonic()));
    }
    // Most tables have their rows at ticks. Those of what programs say come more often, and slow sources more seldom.
    facts.interval_seconds = median(steps).map_or(0.0, |nanos| nanos as f64 / 1e9);
    (facts.clock.utc_nanos, facts.clock.monotonic_nanos) = begin.unwrap_or_default();
    let detail = format!("{FACTS_FILE} was lost, and made anew from the tables: command, host and limits are not known");
    facts.notices.push(Notice { name: "facts_rebuilt".to_owned(), detail, count: 1 });
    Ok(facts)
}

/// The end is the last row of any table.
fn interrupted_end(folder: &Path, facts: &Facts) -> Result<End, Error> {
    let mut end =
        End { utc_nanos: facts.clock.utc_nanos, monotonic_nanos: facts.clock.monotonic_nanos, reason: "interrupted".to_owned(), ..End::default() };
    for table in table_names(folder)? {
        let rows = frame_of(folder, &table, facts)?;
        let last = rows.times().iter().zip(rows.monotonic()).max_by_key(|(_, monotonic)| **monotonic);
        if let Some((&utc_nanos, &monotonic_nanos)) = last
            && monotonic_nanos > end.monotonic_nanos
        {
            (end.utc_nanos, end.monotonic_nanos) = (utc_nanos, monotonic_nanos);
        }
    }
    end.totals = Totals { wall_seconds: Some(facts.seconds_until(end.monotonic_nanos)), ..Totals::default() };
    Ok(end)
}

/// The times of a table, without its columns.
fn frame_of(folder: &Path, table: &str, facts: &Facts) -> Result<crate::Frame, Error> {
    Timeline::with_facts(folder, facts.clone()).frame(table, &Query::all().columns(Vec::<String>::new()))
}

/// The median of the times between rows, in nanoseconds.
fn usual_step(monotonic: &[i64]) -> Option<i64> {
    median(monotonic.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0).collect())
}

fn median(mut numbers: Vec<i64>) -> Option<i64> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}
