//! What is known of parts that were opened before, so that a question about a minute does not open a day of files.

use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::Schema;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::parts::Part;
use crate::schema::{MONOTONIC, TIME};
use crate::{Error, Frame, Query};

/// Memory for indexes of parts, about: those of a recording that grows are asked for again and again.
const MOST_BYTES: usize = 2 << 20;

/// What a part tells without its rows.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) schema: Arc<Schema>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// The earliest and latest UTC time.
    pub(crate) range: Option<(i64, i64)>,
    /// The same on the monotonic clock.
    pub(crate) monotonic_range: Option<(i64, i64)>,
    pub(crate) help: Option<String>,
    pub(crate) keys: Option<String>,
    pub(crate) counted: Option<String>,
}

impl Outline {
    fn of(part: &Part, schema: Arc<Schema>) -> Outline {
        let said = |key: &str| part.said(key).filter(|said| !said.is_empty());
        Outline {
            schema,
            rows: part.rows(),
            bytes: part.bytes,
            range: part.range(TIME),
            monotonic_range: part.range(MONOTONIC),
            help: said("help"),
            keys: said("keys"),
            counted: said("counted"),
        }
    }

    /// Whether the part may have a row that is asked for.
    pub(crate) fn may_match(&self, query: &Query) -> bool {
        let touches = |range: Option<(i64, i64)>, from: Option<i64>, to: Option<i64>| {
            range.is_none_or(|(first, last)| from.is_none_or(|from| last >= from) && to.is_none_or(|to| first <= to))
        };
        let (from, to) = query.monotonic.unzip();
        touches(self.range, query.from, query.to) && touches(self.monotonic_range, from, to)
    }
}

/// What tells one state of a part from the next: it is replaced as a whole, by a file of more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp { bytes: metadata.len(), inode: metadata.ino(), changed: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// The parts that were opened, by their paths.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    parts: HashMap<PathBuf, (Stamp, Arc<Outline>)>,
    /// By folder the schema that was seen last: nearly all parts of a table have the same columns, and share it.
    schemas: HashMap<PathBuf, Arc<Schema>>,
    /// The indexes that were read last, the oldest first, and how much memory they take.
    indexes: VecDeque<(PathBuf, Stamp, ArrowReaderMetadata)>,
    bytes: usize,
}

impl Known {
    fn keep(&mut self, path: &Path, stamp: Stamp, index: ArrowReaderMetadata) {
        let bytes = |index: &ArrowReaderMetadata| index.metadata().memory_size();
        // An older state of the same part is asked for no more.
        if let Some(old) = self.indexes.iter().position(|(known, ..)| known == path).and_then(|place| self.indexes.remove(place)) {
            self.bytes -= bytes(&old.2);
        }
        self.bytes += bytes(&index);
        self.indexes.push_back((path.to_owned(), stamp, index));
        while self.bytes > MOST_BYTES
            && let Some((.., oldest)) = self.indexes.pop_front()
        {
            self.bytes -= bytes(&oldest);
        }
    }

    fn index(&self, path: &Path, stamp: Stamp) -> Option<ArrowReaderMetadata> {
        self.indexes.iter().rev().find(|(known, at, _)| *at == stamp && known == path).map(|(.., index)| index.clone())
    }
}

/// A part that is listed. It is opened when its rows are asked for.
pub(crate) struct Listed {
    path: PathBuf,
    pub(crate) outline: Arc<Outline>,
    part: OnceCell<Part>,
    catalogue: Arc<Catalogue>,
}

impl Listed {
    /// The same without the file: a list of many must not hold them all open.
    pub(crate) fn closed(self) -> Listed {
        Listed { part: OnceCell::new(), ..self }
    }

    /// The rows that are asked for, a frame for each row group, in the order of the file.
    pub(crate) fn groups(&self, query: &Query) -> Result<Vec<Frame>, Error> {
        if !self.outline.may_match(query) {
            return Ok(Vec::new());
        }
        Ok(self.part()?.read_groups(query)?.into_iter().map(Frame::new).collect())
    }

    /// The part itself. It may have more rows than its outline by now.
    pub(crate) fn part(&self) -> Result<&Part, Error> {
        if let Some(part) = self.part.get() {
            return Ok(part);
        }
        let part = self.catalogue.open(&self.path)?.0;
        Ok(self.part.get_or_init(|| part))
    }
}

impl Catalogue {
    /// The part at this path, which is opened if this state of it was not before.
    pub(crate) fn listed(self: &Arc<Self>, path: &Path) -> Result<Listed, Error> {
        let stamp = Stamp::of(&path.metadata().map_err(|source| Error::disk(path, source))?);
        let seen = self.known().parts.get(path).filter(|(known, _)| *known == stamp).cloned();
        if let Some((_, outline)) = seen {
            return Ok(Listed { path: path.to_owned(), outline, part: OnceCell::new(), catalogue: self.clone() });
        }
        let (part, stamp) = self.open(path)?;
        let folder = path.parent().unwrap_or(path);
        let mut known = self.known();
        let schema = known.schemas.get(folder).filter(|known| *known == part.schema()).unwrap_or_else(|| part.schema()).clone();
        let outline = Arc::new(Outline::of(&part, schema.clone()));
        known.schemas.insert(folder.to_owned(), schema);
        known.parts.insert(path.to_owned(), (stamp, outline.clone()));
        drop(known);
        let opened = OnceCell::new();
        let _ = opened.set(part);
        Ok(Listed { path: path.to_owned(), outline, part: opened, catalogue: self.clone() })
    }

    /// Whether no part was looked at yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.known().parts.is_empty()
    }

    /// How many indexes are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.known().indexes.len()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a part, by its index if that is kept, and says which state of it that was.
    fn open(&self, path: &Path) -> Result<(Part, Stamp), Error> {
        let (mut opened, mut is_known) = (None, false);
        let part = Part::open_known(path, |found| {
            let stamp = Stamp::of(found);
            opened = Some(stamp);
            let index = self.known().index(path, stamp);
            is_known = index.is_some();
            index
        })?;
        let Some(stamp) = opened else { unreachable!("whoever opens a part asks what is known of it") };
        if !is_known {
            self.known().keep(path, stamp, part.metadata().clone());
        }
        Ok((part, stamp))
    }
}
