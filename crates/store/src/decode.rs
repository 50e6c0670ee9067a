//! How columns come to the decoders of the parquet crate. Those of a part are each read from the disk at once, and decompressed by a context that is kept;
//! those of somebody else's file, which may be large, come page by page.
//!
//! Why parts not by the crate's own reader: for each column of each row group it makes a context for compressing and one for decompressing, each of which asks
//! the processor what it can do, and that is a call of the hypervisor in a virtual machine; and it asks the kernel six times for each page. With row groups
//! as small as ours that is most of the work.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Compression;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::counts::check_counts;
use crate::guard::{Finite, MOST_BYTES};
use crate::index::begins_with_head;

/// All rows of a file that is no part of ours, and which [`crate::check_flat`] lets pass. To be called, and asked for rows, within [`crate::guarded`].
pub fn read_foreign(file: File, metadata: &ArrowReaderMetadata, batch_rows: usize) -> Result<ParquetRecordBatchReader> {
    let groups = (0..metadata.metadata().num_row_groups()).collect();
    let groups = Groups { file: Pieces::ByPage(Arc::new(Finite(file))), metadata: metadata.metadata().clone(), groups };
    read(&groups, metadata, ProjectionMask::all(), None, batch_rows)
}

/// These columns of some row groups, and of them these rows.
pub(crate) fn read(
    groups: &Groups,
    metadata: &ArrowReaderMetadata,
    mask: ProjectionMask,
    rows: Option<RowSelection>,
    batch_rows: usize,
) -> Result<ParquetRecordBatchReader> {
    let levels = parquet_to_arrow_field_levels(metadata.parquet_schema(), mask, Some(metadata.schema().fields()))?;
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, groups, batch_rows, rows)
}

/// In which pieces a file is read.
#[derive(Clone)]
pub(crate) enum Pieces {
    /// A column of a row group at once.
    ByColumn(Arc<File>),
    /// A page at a time.
    ByPage(Arc<Finite>),
}

/// Some row groups of a file.
pub(crate) struct Groups {
    pub(crate) file: Pieces,
    pub(crate) metadata: Arc<ParquetMetaData>,
    pub(crate) groups: Vec<usize>,
}

impl RowGroups for Groups {
    fn num_rows(&self) -> usize {
        self.row_groups().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let groups = self.groups.clone().into_iter();
        Ok(Box::new(Chunks { file: self.file.clone(), metadata: self.metadata.clone(), groups, column }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.groups.iter().map(|&group| self.metadata.row_group(group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// One column, row group by row group.
struct Chunks {
    file: Pieces,
    metadata: Arc<ParquetMetaData>,
    groups: vec::IntoIter<usize>,
    column: usize,
}

impl Iterator for Chunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.metadata.row_group(self.groups.next()?);
        let (chunk, rows) = (group.column(self.column), usize::try_from(group.num_rows()).unwrap_or(0));
        Some(match &self.file {
            Pieces::ByColumn(file) => Pages::of_part(file, chunk, rows).map(|pages| Box::new(pages) as Box<dyn PageReader>),
            Pieces::ByPage(file) => Pages::find(file.clone(), chunk, rows, None).map(|pages| Box::new(pages) as Box<dyn PageReader>),
        })
    }
}

impl PageIterator for Chunks {}

/// The pages of a column in a row group.
struct Pages<R: ChunkReader> {
    /// What finds them, and decompresses those that are not ours to decompress.
    found: SerializedPageReader<Heads<R>>,
    /// How many bytes they can be at most, if they are ours to decompress.
    most_bytes: Option<usize>,
    /// Whether its values may be absent.
    is_optional: bool,
}

impl Pages<Fetched> {
    fn of_part(file: &File, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Pages<Fetched>> {
        let (begin, length) = chunk.byte_range();
        let file_bytes = file.metadata()?.len();
        if length > file_bytes || begin > file_bytes - length {
            return Err(ParquetError::EOF("a column lies beyond the end of the file".to_owned()));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| ParquetError::EOF("a column is too large".to_owned()))?];
        file.read_exact_at(&mut bytes, begin)?;
        let fetched = Arc::new(Fetched { begin, bytes: bytes.into() });
        match chunk.compression() {
            Compression::ZSTD(_) => {}
            Compression::UNCOMPRESSED => return Pages::find(fetched, chunk, rows, None),
            other => return Err(ParquetError::General(format!("it is compressed by {other}, as no part is"))),
        }
        let plain = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        let most_bytes = usize::try_from(chunk.uncompressed_size()).unwrap_or(0).min(MOST_BYTES);
        Pages::find(fetched, &plain, rows, Some(most_bytes))
    }
}

impl<R: ChunkReader> Pages<R> {
    fn find(file: Arc<R>, chunk: &ColumnChunkMetaData, rows: usize, most_bytes: Option<usize>) -> Result<Pages<R>> {
        let is_optional = chunk.column_descr().max_def_level() > 0;
        Ok(Pages { found: SerializedPageReader::new(Arc::new(Heads(file)), chunk, rows, None)?, most_bytes, is_optional })
    }

    /// A page as it was found, decompressed and looked at.
    fn made_ready(&self, page: Page) -> Result<Page> {
        let page = self.decompressed(page)?;
        check_counts(&page, self.is_optional)?;
        Ok(page)
    }

    fn decompressed(&self, mut page: Page) -> Result<Page> {
        let Some(most) = self.most_bytes else { return Ok(page) };
        // Levels of the second version are never compressed.
        let (buf, levels) = match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => (buf, 0),
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, is_compressed: true, .. } => {
                (buf, *def_levels_byte_len as usize + *rep_levels_byte_len as usize)
            }
            Page::DataPageV2 { .. } => return Ok(page),
        };
        *buf = decompressed(buf, levels, most)?;
        Ok(page)
    }
}

impl<R: ChunkReader> Iterator for Pages<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<R: ChunkReader> PageReader for Pages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.found.get_next_page()?;
        page.map(|page| self.made_ready(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.found.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.found.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.found.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.found.take_deferred_dictionary()?;
        page.map(|page| self.made_ready(page)).transpose()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.found.at_record_boundary()
    }
}

/// What follows so many bytes that are not compressed, behind them. No page of a column is larger than `most`.
fn decompressed(bytes: &Bytes, plain: usize, most: usize) -> Result<Bytes> {
    thread_local! {
        static KEPT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    let Some((plain, packed)) = bytes.split_at_checked(plain) else {
        return Err(ParquetError::General("a page is shorter than its levels".to_owned()));
    };
    if packed.is_empty() {
        return Ok(bytes.clone());
    }
    // Whoever wrote it may have written several frames; the first says how long it is itself.
    let is_one = find_frame_compressed_size(packed) == Ok(packed.len());
    let said = get_frame_content_size(packed).ok().flatten().filter(|_| is_one).and_then(|size| usize::try_from(size).ok());
    let mut out = Vec::new();
    KEPT.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        out = decompressor.decompress(packed, said.filter(|size| *size <= most).unwrap_or(most))?;
        Ok::<(), ParquetError>(())
    })?;
    if plain.is_empty() {
        return Ok(out.into());
    }
    Ok([plain, &out].concat().into())
}

/// A file of which the head of a page is looked at before the crate reads it. Where the crate begins to read, there is one.
struct Heads<R>(Arc<R>);

/// The head of a page is some fifty bytes long, and longer where it has the least and the greatest of its texts.
const LONGEST_HEAD: u64 = 16 << 20;

impl<R: ChunkReader> Length for Heads<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Heads<R> {
    type T = HeadReader<R>;

    fn get_read(&self, start: u64) -> Result<HeadReader<R>> {
        Ok(HeadReader { file: self.0.clone(), start, looked_at: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// Reads from the head of a page on. It is looked at once there is anything read: the crate also makes such a reader where it knows the head, and leaves it.
struct HeadReader<R: ChunkReader> {
    file: Arc<R>,
    start: u64,
    looked_at: Option<R::T>,
}

impl<R: ChunkReader> HeadReader<R> {
    /// What reads on from here, if here is a head.
    fn look(&self) -> Result<R::T> {
        let there = self.file.len().saturating_sub(self.start).min(LONGEST_HEAD);
        let looks = (10..).step_by(3).map(|bits| 1 << bits).take_while(|length| *length < there).chain([there]);
        for length in looks {
            if begins_with_head(&self.file.get_bytes(self.start, length as usize)?) {
                return self.file.get_read(self.start);
            }
        }
        Err(ParquetError::General("the head of a page makes no sense".to_owned()))
    }
}

impl<R: ChunkReader> Read for HeadReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.looked_at.is_none() {
            self.looked_at = Some(self.look().map_err(io::Error::other)?);
        }
        self.looked_at.as_mut().map_or(Ok(0), |reader| reader.read(buffer))
    }
}

/// A column's bytes, at the place that they have in the file.
struct Fetched {
    begin: u64,
    bytes: Bytes,
}

impl Length for Fetched {
    fn len(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }
}

impl ChunkReader for Fetched {
    type T = Rest;

    fn get_read(&self, start: u64) -> Result<Rest> {
        Ok(Rest(self.get_bytes(start, usize::try_from(self.len().saturating_sub(start)).unwrap_or(0))?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let begin = start.checked_sub(self.begin).and_then(|begin| usize::try_from(begin).ok());
        let range = begin.and_then(|begin| Some(begin..begin.checked_add(length)?)).filter(|range| range.end <= self.bytes.len());
        range.map(|range| self.bytes.slice(range)).ok_or_else(|| ParquetError::EOF("a page lies beyond its column".to_owned()))
    }
}

/// Bytes whose end is an error for who reads beyond it, as that of [`crate::guard::Finite`].
struct Rest(Bytes);

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.0.len());
        if count == 0 && !buffer.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buffer[..count].copy_from_slice(&self.0.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
