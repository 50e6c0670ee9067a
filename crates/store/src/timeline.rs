//! The one reader of recordings, whether they are live, ended or cut off.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array};
use arrow_schema::{FieldRef, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use parquet::errors::ParquetError;

use crate::catalogue::{Catalogue, Listed};
use crate::parts;
use crate::schema::{FieldInfo, time_fields};
use crate::{Bucket, Error, Facts, Frame, Query, State, state, thin};

/// Where `repair` puts what can't be read.
pub(crate) const DAMAGED_FOLDER: &str = "damaged";

/// From so many parts on, several threads look at them at first.
const MANY_PARTS: usize = 50;

/// So many of them at most.
const MOST_THREADS: usize = 4;

/// A recording, opened for reading. Every answer is what is on disk at that moment: a live recording gives more when asked again.
#[derive(Debug)]
pub struct Timeline {
    folder: PathBuf,
    facts: Facts,
    damaged: Mutex<BTreeMap<PathBuf, String>>,
    catalogue: Arc<Catalogue>,
}

/// A table of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// What it tells.
    pub help: String,
    /// The columns that name a row's subject.
    pub keys: Vec<String>,
    /// The column, if any, that says by 1 or 0 whether a row counts towards the machine's sum.
    pub counted: Option<String>,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes it takes on disk.
    pub bytes: u64,
    /// How many parts it has.
    pub parts: usize,
    /// The earliest and latest UTC time of its rows, in nanoseconds since 1970.
    pub range: Option<(i64, i64)>,
    /// The same on the monotonic clock. UTC may have been set meanwhile; this tells how long it was.
    pub monotonic_range: Option<(i64, i64)>,
    /// Its columns, both times left out.
    pub fields: Vec<FieldInfo>,
}

/// A part that could not be read, and was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl Timeline {
    /// Opens a recording of any state.
    pub fn open(path: impl AsRef<Path>) -> Result<Timeline, Error> {
        let folder = path.as_ref().to_owned();
        let facts = Facts::read(&folder)?;
        Ok(Timeline { folder, facts, damaged: Mutex::default(), catalogue: Arc::default() })
    }

    /// The tables of a folder whose facts come from elsewhere.
    pub(crate) fn with_facts(folder: &Path, facts: Facts) -> Timeline {
        Timeline { folder: folder.to_owned(), facts, damaged: Mutex::default(), catalogue: Arc::default() }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The facts as they were when it was opened or last refreshed.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Reads the facts again: a live recording may have ended.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.facts = Facts::read(&self.folder)?;
        Ok(())
    }

    /// The same recording opened again, as it is now. What is known of parts that have not changed is kept, so that this is cheap however long it is.
    pub fn reopened(&self) -> Result<Timeline, Error> {
        let again = Timeline::open(&self.folder)?;
        Ok(Timeline { catalogue: self.catalogue.clone(), ..again })
    }

    /// Whether it is being written, by the facts as they were when it was opened or last refreshed: one that has ended since is still live by these.
    pub fn state(&self) -> State {
        state::state(&self.folder, &self.facts)
    }

    /// The tables, by name. A table whose every part is damaged is there, with no rows.
    pub fn tables(&self) -> Result<Vec<TableInfo>, Error> {
        let names = folder_names(&self.folder)?;
        self.look_ahead(&names);
        let known = |name: String| match self.table(&name) {
            Err(Error::NoTable { .. }) => None,
            table => Some(table),
        };
        names.into_iter().filter_map(known).collect()
    }

    /// Where no part has been looked at yet and there are many, that is done on several threads.
    fn look_ahead(&self, tables: &[String]) {
        if !self.catalogue.is_empty() {
            return;
        }
        let paths: Vec<PathBuf> = tables.iter().flat_map(|table| parts::list(&self.folder.join(table)).unwrap_or_default()).collect();
        if paths.len() < MANY_PARTS {
            return;
        }
        let next = AtomicUsize::new(0);
        let look = || {
            while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                // What can't be read says so when it is asked for.
                let _ = self.catalogue.listed(path);
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        thread::scope(|scope| {
            (1..threads).for_each(|_| drop(thread::Builder::new().spawn_scoped(scope, look)));
            look();
        });
    }

    /// What is known of one table.
    pub fn table(&self, name: &str) -> Result<TableInfo, Error> {
        let mut info = TableInfo {
            name: name.to_owned(),
            help: String::new(),
            keys: Vec::new(),
            counted: None,
            rows: 0,
            bytes: 0,
            parts: 0,
            range: None,
            monotonic_range: None,
            fields: Vec::new(),
        };
        let parts = self.collect(name, |listed| Ok(listed.outline.clone()))?;
        let join = |all: Option<(i64, i64)>, one: Option<(i64, i64)>| [all, one].into_iter().flatten().reduce(parts::wider);
        let mut schema: Option<&Arc<Schema>> = None;
        for part in &parts {
            info.rows += part.rows;
            info.bytes += part.bytes;
            info.parts += 1;
            info.range = join(info.range, part.range);
            info.monotonic_range = join(info.monotonic_range, part.monotonic_range);
            info.help = part.help.clone().unwrap_or(info.help);
            info.keys = part.keys.as_ref().map_or(info.keys, |keys| keys.split(',').map(str::to_owned).collect());
            info.counted = part.counted.clone().or(info.counted);
            if schema.is_some_and(|known| Arc::ptr_eq(known, &part.schema)) {
                continue;
            }
            schema = Some(&part.schema);
            let fields = FieldInfo::of_schema(&part.schema);
            let new: Vec<FieldInfo> = fields.into_iter().filter(|field| info.fields.iter().all(|known| known.name != field.name)).collect();
            info.fields.extend(new);
        }
        Ok(info)
    }

    /// How many rows of a table the query can find at most, and the monotonic times between which they lie.
    pub(crate) fn extent(&self, table: &str, query: &Query) -> Result<(u64, Option<(i64, i64)>), Error> {
        let extent = |listed: &Listed| if listed.outline.may_match(query) { Ok(listed.part()?.extent(query)) } else { Ok((0, None)) };
        let parts = self.collect(table, extent)?;
        let rows = parts.iter().map(|(rows, _)| rows).sum();
        Ok((rows, parts.into_iter().filter_map(|(_, range)| range).reduce(parts::wider)))
    }

    /// Whether there is such a table.
    pub fn has_table(&self, name: &str) -> bool {
        is_table_name(name) && parts::list(&self.folder.join(name)).is_ok_and(|parts| !parts.is_empty())
    }

    /// The rows that are asked for, in the order of time, which is that of the monotonic clock: somebody may have set the other one back. Rows of the
    /// same time come in the order in which they were written.
    pub fn frame(&self, table: &str, query: &Query) -> Result<Frame, Error> {
        let parts = self.collect(table, |listed| {
            let batches = if listed.outline.may_match(query) { listed.part()?.read(query)? } else { Vec::new() };
            Ok((listed.outline.schema.clone(), batches))
        })?;
        let schema = common_schema(parts.iter().map(|(schema, _)| schema), query);
        let folder = self.folder.join(table);
        let failed = |source| Error::part(&folder, ParquetError::from(source));
        let conformed: Result<Vec<RecordBatch>, _> = parts.iter().flat_map(|(_, batches)| batches).map(|batch| conform(batch, &schema)).collect();
        let all = concat_batches(&schema, &conformed.map_err(failed)?).map_err(failed)?;
        let frame = Frame::new(all);
        match order_of(frame.monotonic()) {
            None => Ok(frame),
            Some(order) => Ok(Frame::new(take_record_batch(frame.batch(), &UInt64Array::from(order)).map_err(failed)?)),
        }
    }

    /// A column of numbers, thinned to at most so many buckets between the query's times, or else those of the first and last row. In a table with
    /// keys, the query should name one subject.
    pub fn thin(&self, table: &str, column: &str, query: &Query, buckets: usize) -> Result<Vec<Bucket>, Error> {
        let frame = self.frame(table, &query.clone().columns([column]))?;
        let known = frame.fields();
        if known.is_empty() && !self.table(table)?.fields.iter().any(|field| field.name == column) {
            let known = self.table(table)?.fields.into_iter().map(|field| field.name).collect();
            return Err(Error::NoColumn { table: table.to_owned(), column: column.to_owned(), known });
        }
        if !frame.is_numeric(column) {
            return Err(Error::NotNumeric { table: table.to_owned(), column: column.to_owned() });
        }
        let (mut times, mut values) = (frame.times().to_vec(), frame.floats(column));
        // A picture goes by UTC, in which two moments may be the same.
        if let Some(order) = order_of(&times) {
            (times, values) = order.iter().map(|&row| (times[row as usize], values[row as usize])).unzip();
        }
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Ok(Vec::new()) };
        Ok(thin(&times, &values, query.from.unwrap_or(first), query.to.unwrap_or(last), buckets))
    }

    /// The parts that could not be read since the recording was opened.
    pub fn damaged(&self) -> Vec<Damage> {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.iter().map(|(path, why)| Damage { path: path.clone(), why: why.clone() }).collect()
    }

    /// Names of the tables: folders with parts in them.
    pub(crate) fn table_names(&self) -> Result<Vec<String>, Error> {
        table_names(&self.folder)
    }

    /// The parts of a table.
    pub(crate) fn listed(&self, table: &str) -> Result<Vec<Listed>, Error> {
        self.collect_paths(table, |path| Ok(self.catalogue.listed(path)?.closed()))
    }

    fn remember(&self, damaged: Vec<Damage>) {
        let mut known = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(damaged.into_iter().map(|damage| (damage.path, damage.why)));
    }

    fn collect<T>(&self, table: &str, mut read: impl FnMut(&Listed) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.collect_paths(table, |path| read(&self.catalogue.listed(path)?))
    }

    fn collect_paths<T>(&self, table: &str, read: impl FnMut(&Path) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let no_table = || Ok(Error::NoTable { path: self.folder.clone(), table: table.to_owned(), known: self.table_names()? });
        if !is_table_name(table) {
            return Err(no_table()?);
        }
        let (found, damaged) = parts::collect_paths(&self.folder.join(table), read)?;
        if found.is_empty() && damaged.is_empty() {
            return Err(no_table()?);
        }
        self.remember(damaged);
        Ok(found)
    }
}

/// Whether a folder of this name in a recording would be a table. Others are not looked into.
fn is_table_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name != DAMAGED_FOLDER && !name.contains('/')
}

/// Names of the folders of a recording that may be tables.
fn folder_names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(|source| Error::disk(folder, source))?;
    let is_folder = |entry: &fs::DirEntry| entry.file_type().map_or(true, |kind| !kind.is_file());
    let mut names: Vec<String> = entries.flatten().filter(is_folder).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| is_table_name(name));
    names.sort_unstable();
    Ok(names)
}

/// Names of the tables of a recording: folders with parts in them, damaged ones left out.
pub(crate) fn table_names(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = folder_names(folder)?;
    names.retain(|name| parts::list(&folder.join(name)).is_ok_and(|parts| !parts.is_empty()));
    Ok(names)
}

/// The columns of all parts, those of the query alone if it names some, in its order. The first part that has a column says what it is.
fn common_schema<'a>(schemas: impl Iterator<Item = &'a Arc<Schema>>, query: &Query) -> Arc<Schema> {
    let mut known: Vec<FieldRef> = Vec::new();
    for field in schemas.flat_map(|schema| schema.fields()) {
        if !crate::schema::is_time(field.name()) && known.iter().all(|other| other.name() != field.name()) {
            known.push(Arc::new(field.as_ref().clone().with_nullable(true)));
        }
    }
    let asked: Vec<FieldRef> = match &query.columns {
        None => known,
        Some(names) => names.iter().filter_map(|name| known.iter().find(|field| field.name() == name).cloned()).collect(),
    };
    Arc::new(Schema::new(time_fields().into_iter().map(Arc::new).chain(asked).collect::<Vec<_>>()))
}

/// The batch with exactly these columns. What it lacks, or has in another type, is absent.
fn conform(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => column.clone(),
            _ => new_null_array(field.data_type(), batch.num_rows()),
        })
        .collect();
    RecordBatch::try_new_with_options(schema.clone(), columns, &RecordBatchOptions::new().with_row_count(Some(batch.num_rows())))
}

/// The order of these times, if they do not have it already.
fn order_of(times: &[i64]) -> Option<Vec<u64>> {
    if times.is_sorted() {
        return None;
    }
    let mut order: Vec<u64> = (0..times.len() as u64).collect();
    order.sort_by_key(|&row| times[row as usize]);
    Some(order)
}
