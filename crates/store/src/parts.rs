//! The parts of one table, read while they may be replaced: list, open, and list again when one has gone in between.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::decode::{self, Groups, Pieces};
use crate::guard::{MOST_BYTES, are_possible, check_size, guarded};
use crate::index::flat_index;
use crate::schema::{MONOTONIC, TIME, time_fields};
use crate::{Damage, Error, Query};

/// How often a listing is tried again when its parts have gone.
const TRIES: usize = 8;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// An opened part. It stays what it is, even when another takes its name.
pub(crate) struct Part {
    path: PathBuf,
    file: Arc<File>,
    metadata: ArrowReaderMetadata,
    pub(crate) bytes: u64,
}

/// What was read of each part, and which parts could not be read.
pub(crate) type Collected<T> = (Vec<T>, Vec<Damage>);

/// Reads something of each part, in the order of their numbers.
///
/// A part is replaced by a rename, so the file that was opened is whole whatever happens to its name. When a part is gone, its rows may stand
/// elsewhere: what was read so far is thrown away and the listing begins anew. A part that appears after the listing holds only later rows.
pub(crate) fn collect<T>(folder: &Path, mut read: impl FnMut(&Part) -> Result<T, Error>) -> Result<Collected<T>, Error> {
    collect_paths(folder, |path| Part::open(path).and_then(|part| read(&part)))
}

/// The same for a reader that opens the parts itself, if it must.
pub(crate) fn collect_paths<T>(folder: &Path, mut read: impl FnMut(&Path) -> Result<T, Error>) -> Result<Collected<T>, Error> {
    'listing: for _ in 0..TRIES {
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for path in list(folder)? {
            match read(&path) {
                Ok(value) => found.push(value),
                Err(Error::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue 'listing,
                Err(Error::Part { source, .. }) => damaged.push(Damage { path, why: source.to_string() }),
                Err(Error::Disk { source, .. }) => damaged.push(Damage { path, why: source.to_string() }),
                Err(error) => return Err(error),
            }
        }
        return Ok((found, damaged));
    }
    Err(Error::Unsteady { path: folder.to_owned() })
}

/// The parts in a folder, by number. No folder is no part.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| Error::disk(folder, source))?,
    };
    let mut parts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_part(path)).collect();
    parts.sort_by(|a, b| (a.as_os_str().len(), a).cmp(&(b.as_os_str().len(), b)));
    Ok(parts)
}

fn is_part(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "parquet")
}

impl Part {
    pub(crate) fn open(path: &Path) -> Result<Part, Error> {
        Part::open_known(path, |_| None)
    }

    /// The same without reading the index of one that is known, by what the kernel says of the file.
    pub(crate) fn open_known(path: &Path, known: impl FnOnce(&Metadata) -> Option<ArrowReaderMetadata>) -> Result<Part, Error> {
        let file = File::open(path).map_err(|source| Error::disk(path, source))?;
        let found = file.metadata().map_err(|source| Error::disk(path, source))?;
        let load = || {
            let metadata = Arc::new(ParquetMetaDataReader::decode_metadata(&flat_index(&file, found.len())?)?);
            check_size(&metadata)?;
            ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new())
        };
        let metadata = known(&found).map_or_else(|| guarded(load), Ok).map_err(|source| Error::part(path, source))?;
        Ok(Part { path: path.to_owned(), file: Arc::new(file), metadata, bytes: found.len() })
    }

    /// What its index says, for who opens it again.
    pub(crate) fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    pub(crate) fn schema(&self) -> &Arc<Schema> {
        self.metadata.schema()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.groups().map(|group| group.num_rows().unsigned_abs()).sum()
    }

    /// What the part says of its table or recording under this key.
    pub(crate) fn said(&self, key: &str) -> Option<String> {
        let pairs = self.metadata.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key.strip_prefix("barograph.") == Some(key))?.value.clone()
    }

    /// The earliest and latest time of its rows in this column: UTC or monotonic.
    pub(crate) fn range(&self, clock: &str) -> Option<(i64, i64)> {
        let column = self.schema().index_of(clock).ok()?;
        let ranges = self.groups().filter_map(|group| int_range(group, column));
        ranges.reduce(wider).filter(is_possible)
    }

    /// How many rows the query can find at most, and the monotonic times between which they lie.
    pub(crate) fn extent(&self, query: &Query) -> (u64, Option<(i64, i64)>) {
        let groups = || self.groups().filter(|group| self.may_match(group, query));
        let column = self.schema().index_of(MONOTONIC).ok();
        let ranges = groups().filter_map(|group| int_range(group, column?));
        (groups().map(|group| group.num_rows().unsigned_abs()).sum(), ranges.reduce(wider).filter(is_possible))
    }

    /// The rows that the query asks for, in the order of the file.
    pub(crate) fn read(&self, query: &Query) -> Result<Vec<RecordBatch>, Error> {
        let (mut batches, mut bytes) = (Vec::new(), 0);
        self.each_batch(query, |batch| {
            bytes += batch.get_array_memory_size();
            if bytes > MOST_BYTES {
                return Err(ParquetError::General("its rows take more memory than one should give them; ask for fewer columns".to_owned()));
            }
            batches.push(batch);
            Ok(())
        })?;
        Ok(batches)
    }

    /// The same, a batch for each row group that has any.
    pub(crate) fn read_groups(&self, query: &Query) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        for (index, group) in self.groups().enumerate().filter(|(_, group)| self.may_match(group, query)) {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0).max(1);
            let mut of_group = Vec::new();
            let take = |batch| {
                of_group.push(batch);
                Ok(())
            };
            guarded(|| self.decode_groups(query, vec![index], rows, take)).map_err(|source| Error::part(&self.path, source))?;
            batches.append(&mut of_group);
        }
        Ok(batches)
    }

    /// How many rows there are, by reading every cell.
    pub(crate) fn read_through(&self) -> Result<u64, Error> {
        let mut rows = 0;
        self.each_batch(&Query::all(), |batch| {
            rows += batch.num_rows() as u64;
            Ok(())
        })?;
        Ok(rows)
    }

    fn each_batch(&self, query: &Query, take: impl FnMut(RecordBatch) -> ParquetResult<()>) -> Result<(), Error> {
        guarded(|| self.decode(query, take)).map_err(|source| Error::part(&self.path, source))
    }

    fn decode(&self, query: &Query, take: impl FnMut(RecordBatch) -> ParquetResult<()>) -> ParquetResult<()> {
        let groups: Vec<usize> = self.groups().enumerate().filter(|(_, group)| self.may_match(group, query)).map(|(index, _)| index).collect();
        if groups.is_empty() {
            return Ok(());
        }
        self.decode_groups(query, groups, BATCH_ROWS, take)
    }

    fn decode_groups(
        &self,
        query: &Query,
        groups: Vec<usize>,
        batch_rows: usize,
        mut take: impl FnMut(RecordBatch) -> ParquetResult<()>,
    ) -> ParquetResult<()> {
        let batches = |mask: ProjectionMask, rows: Option<RowSelection>| self.batches(self.by_column(), mask, groups.clone(), rows, batch_rows);
        let (mut rows, left) = (None, self.unanswered(query, &groups));
        if left.restricts_rows() {
            let mut keep = Vec::new();
            for batch in batches(self.projection(left.restricting_columns()), None)? {
                keep.push(matching(&batch?, &left)?);
            }
            let selection = RowSelection::from_filters(&keep);
            if !selection.selects_any() {
                return Ok(());
            }
            rows = Some(selection);
        }
        let mask = match &query.columns {
            Some(columns) => self.projection([TIME, MONOTONIC].into_iter().chain(columns.iter().map(String::as_str))),
            None => ProjectionMask::all(),
        };
        for batch in batches(mask, rows)? {
            let batch = batch?;
            check_times(&batch, query)?;
            take(batch)?;
        }
        Ok(())
    }

    /// What of a query must be asked of the rows: of row groups that lie wholly between its times, those need not be looked at.
    fn unanswered(&self, query: &Query, groups: &[usize]) -> Query {
        let lie_between = |clock: &str, from: i64, to: i64| {
            let Ok(column) = self.schema().index_of(clock) else { return false };
            let lies_between = |&group: &usize| {
                int_range(self.metadata.metadata().row_group(group), column).is_some_and(|(first, last)| first >= from && last <= to)
            };
            groups.iter().all(lies_between)
        };
        let mut left = query.clone();
        if lie_between(TIME, query.from.unwrap_or(i64::MIN), query.to.unwrap_or(i64::MAX)) {
            (left.from, left.to) = (None, None);
        }
        left.monotonic = query.monotonic.filter(|&(from, to)| !lie_between(MONOTONIC, from, to));
        left
    }

    /// Columns of some row groups, read in such pieces of the file.
    pub(crate) fn batches(
        &self,
        file: Pieces,
        mask: ProjectionMask,
        groups: Vec<usize>,
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> ParquetResult<ParquetRecordBatchReader> {
        let groups = Groups { file, metadata: self.metadata.metadata().clone(), groups };
        decode::read(&groups, &self.metadata, mask, rows, batch_rows)
    }

    pub(crate) fn by_column(&self) -> Pieces {
        Pieces::ByColumn(self.file.clone())
    }

    /// As the parquet crate does by itself.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn by_page(&self) -> io::Result<Pieces> {
        Ok(Pieces::ByPage(Arc::new(crate::guard::Finite(self.file.try_clone()?))))
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn parquet_schema(&self) -> &parquet::schema::types::SchemaDescriptor {
        self.metadata.parquet_schema()
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn row_groups(&self) -> usize {
        self.groups().count()
    }

    fn groups(&self) -> impl Iterator<Item = &RowGroupMetaData> {
        self.metadata.metadata().row_groups().iter()
    }

    fn projection<'a>(&self, columns: impl Iterator<Item = &'a str>) -> ProjectionMask {
        ProjectionMask::columns(self.metadata.parquet_schema(), columns)
    }

    /// Whether the statistics of a row group leave room for a row that is asked for.
    fn may_match(&self, group: &RowGroupMetaData, query: &Query) -> bool {
        let range = |column: &str| self.schema().index_of(column).ok().and_then(|index| int_range(group, index));
        let in_time = range(TIME).is_none_or(|(first, last)| query.from.is_none_or(|from| last >= from) && query.to.is_none_or(|to| first <= to));
        let in_monotonic = query.monotonic.is_none_or(|(from, to)| range(MONOTONIC).is_none_or(|(first, last)| last >= from && first <= to));
        in_time && in_monotonic && query.equal.iter().all(|(column, value)| range(column).is_none_or(|(low, high)| (low..=high).contains(value)))
    }
}

impl Query {
    fn restricts_rows(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.monotonic.is_some() || self.filtered_columns().next().is_some()
    }

    /// Whether all of these times are asked for.
    fn has_times(&self, utc: &[i64], monotonic: &[i64]) -> bool {
        let all_between = |times: &[i64], from: i64, to: i64| times.iter().all(|time| (from..=to).contains(time));
        let (from, to) = self.monotonic.unwrap_or((i64::MIN, i64::MAX));
        all_between(utc, self.from.unwrap_or(i64::MIN), self.to.unwrap_or(i64::MAX)) && all_between(monotonic, from, to)
    }

    /// Those in which it is looked up whether a row is asked for.
    fn restricting_columns(&self) -> impl Iterator<Item = &str> {
        let utc = (self.from.is_some() || self.to.is_some()).then_some(TIME);
        utc.into_iter().chain(self.monotonic.map(|_| MONOTONIC)).chain(self.filtered_columns())
    }

    fn filtered_columns(&self) -> impl Iterator<Item = &str> {
        self.equal.iter().map(|(column, _)| column.as_str()).chain(self.equal_text.iter().map(|(column, _)| column.as_str()))
    }
}

/// The range that holds both.
pub(crate) fn wider(one: (i64, i64), other: (i64, i64)) -> (i64, i64) {
    (one.0.min(other.0), one.1.max(other.1))
}

/// Statistics are not checked against the rows.
fn is_possible(&(first, last): &(i64, i64)) -> bool {
    first <= last && are_possible(&[first, last])
}

/// Smallest and largest value of a column of whole numbers in a row group, where the file says them.
fn int_range(group: &RowGroupMetaData, column: usize) -> Option<(i64, i64)> {
    match group.columns().get(column)?.statistics()? {
        Statistics::Int64(known) => Some((*known.min_opt()?, *known.max_opt()?)),
        _ => None,
    }
}

/// Refuses rows without times, and times that no clock has: whoever works with rows may subtract any two of them. And rows that nobody asked for: then
/// the index has said something else of their times than they do.
fn check_times(batch: &RecordBatch, query: &Query) -> ParquetResult<()> {
    let column = |field: &Field| batch.column_by_name(field.name()).filter(|array| array.data_type() == field.data_type());
    let [utc, monotonic] = time_fields();
    let utc = column(&utc).and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>());
    let monotonic = column(&monotonic).and_then(|array| array.as_primitive_opt::<Int64Type>());
    match (utc, monotonic) {
        (Some(utc), Some(monotonic)) if utc.null_count() + monotonic.null_count() > 0 => Err("has rows without a time"),
        (Some(utc), Some(monotonic)) if !are_possible(utc.values()) || !are_possible(monotonic.values()) => Err("has times that no clock has"),
        (Some(utc), Some(monotonic)) if !query.has_times(utc.values(), monotonic.values()) => {
            Err("has an index that does not tell the times of its rows")
        }
        (Some(_), Some(_)) => Ok(()),
        _ => Err("has no columns of times"),
    }
    .map_err(|why| ParquetError::General(why.to_owned()))
}

/// Which rows the query asks for. A row without the value that is asked for, or a part without the column, does not match.
fn matching(batch: &RecordBatch, query: &Query) -> Result<BooleanArray, ArrowError> {
    let mut keep = vec![true; batch.num_rows()];
    if let Some(times) = batch.column_by_name(TIME).and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>()) {
        for (keep, &time) in keep.iter_mut().zip(times.values()) {
            *keep = query.from.is_none_or(|from| time >= from) && query.to.is_none_or(|to| time <= to);
        }
    }
    if let Some((from, to)) = query.monotonic
        && let Some(times) = batch.column_by_name(MONOTONIC).and_then(|array| array.as_primitive_opt::<Int64Type>())
    {
        keep.iter_mut().zip(times.values()).for_each(|(keep, time)| *keep &= (from..=to).contains(time));
    }
    for (column, wanted) in &query.equal {
        match batch.column_by_name(column).and_then(|array| array.as_primitive_opt::<Int64Type>()) {
            Some(values) => keep.iter_mut().zip(values).for_each(|(keep, value)| *keep &= value == Some(*wanted)),
            None => keep.fill(false),
        }
    }
    for (column, wanted) in &query.equal_text {
        match batch.column_by_name(column).and_then(|array| array.as_string_opt::<i32>()) {
            Some(values) => keep.iter_mut().zip(values).for_each(|(keep, value)| *keep &= value == Some(wanted.as_str())),
            None => keep.fill(false),
        }
    }
    Ok(BooleanArray::from(keep))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, TimestampNanosecondArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// Rows at these times, two in each row group, with a number each.
    fn part(folder: &Path, times: &[i64]) -> Part {
        let fields: Vec<Field> = time_fields().into_iter().chain([Field::new("pid", arrow_schema::DataType::Int64, true)]).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampNanosecondArray::from(times.to_vec()).with_timezone("UTC")),
            Arc::new(Int64Array::from(times.iter().map(|time| time + 1000).collect::<Vec<_>>())),
            Arc::new(Int64Array::from(times.iter().map(|time| time % 2).collect::<Vec<_>>())),
        ];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let path = folder.join("000000.parquet");
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Part::open(&path).unwrap()
    }

    #[test]
    fn rows_are_those_of_the_time_whatever_the_index_answers_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let part = part(folder.path(), &[1, 2, 3, 4, 5, 6]);
        let times = |query: &Query| -> Vec<i64> {
            let batches = [part.read(query).unwrap(), part.read_groups(query).unwrap()].map(|batches| {
                batches.iter().flat_map(|batch| batch.column(0).as_primitive::<TimestampNanosecondType>().values().to_vec()).collect::<Vec<_>>()
            });
            assert_eq!(batches[0], batches[1]);
            batches[0].clone()
        };
        for (from, to) in [(1, 6), (2, 6), (3, 4), (2, 5), (4, 4), (0, 9), (7, 9)] {
            let expected: Vec<i64> = (1..=6).filter(|time| (from..=to).contains(time)).collect();
            assert_eq!(times(&Query::all().between(Some(from), Some(to))), expected);
            assert_eq!(times(&Query::all().monotonic(from + 1000, to + 1000)), expected);
            assert_eq!(times(&Query::all().between(Some(from), None).monotonic(0, to + 1000)), expected);
            let odd: Vec<i64> = expected.iter().copied().filter(|time| time % 2 == 1).collect();
            assert_eq!(times(&Query::all().between(Some(from), Some(to)).equal("pid", 1)), odd);
            assert_eq!(times(&Query::all().between(Some(from), Some(to)).equal("nobody", 1)), Vec::<i64>::new());
        }
        assert_eq!(times(&Query::all().equal("nobody", 1)), Vec::<i64>::new());
        assert_eq!(times(&Query::all().columns(Vec::<String>::new()).equal("pid", 0)), [2, 4, 6]);
        let whole = part.unanswered(&Query::all().between(Some(1), Some(4)).monotonic(1001, 1003), &[0, 1]);
        assert!(whole.from.is_none() && whole.to.is_none() && whole.monotonic.is_some());
    }

    #[test]
    fn rows_of_another_time_than_the_index_says_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let part = part(folder.path(), &[1, 2]);
        let batch = &part.read(&Query::all()).unwrap()[0];
        assert!(check_times(batch, &Query::all().between(Some(1), Some(2)).monotonic(1001, 1002)).is_ok());
        for query in [Query::all().between(Some(2), None), Query::all().between(None, Some(1)), Query::all().monotonic(1002, 1009)] {
            assert!(check_times(batch, &query).unwrap_err().to_string().contains("does not tell the times of its rows"));
        }
    }

    /// A live recording is opened again and again; what its index says is read once.
    #[test]
    fn a_part_that_is_another_file_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Arc::new(crate::catalogue::Catalogue::default());
        let path = folder.path().join("000000.parquet");
        for times in [&[1, 2][..], &[1, 2, 3], &[4, 5, 6]] {
            drop(part(folder.path(), times));
            // In place of the one before, as a recorder does it.
            let beside = folder.path().join("beside");
            std::fs::copy(&path, &beside).unwrap();
            std::fs::rename(&beside, &path).unwrap();
            for _ in 0..2 {
                let listed = catalogue.listed(&path).unwrap();
                assert_eq!(listed.part().unwrap().range(TIME), Some((times[0], times[times.len() - 1])));
                assert_eq!(listed.closed().part().unwrap().rows(), times.len() as u64);
            }
            assert_eq!(catalogue.kept(), 1);
        }
    }
}
