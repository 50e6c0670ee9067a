//! Apache Parquet: one file, compressed with zstd, with the metadata of the fields kept.

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::{Error, Exporter, Options, Output};

/// Rows of a row group: what a reader must hold of a column at least, and what this writer holds at most.
const GROUP_ROWS: usize = 128 * 1024;

pub(crate) fn open(output: Output, schema: &SchemaRef, _options: &Options) -> Result<Box<dyn Exporter>, Error> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("barograph ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    Ok(Box::new(Parquet { writer: ArrowWriter::try_new(output, schema.clone(), Some(properties))? }))
}

struct Parquet {
    writer: ArrowWriter<Output>,
}

impl Exporter for Parquet {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        Ok(self.writer.write(rows)?)
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.writer.close()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use ::parquet::file::metadata::ParquetMetaDataReader;

    use crate::Options;
    use crate::format::tests::{rows, written};

    #[test]
    fn rows_and_metadata_read_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), written("parquet", &rows(), &Options::default())).unwrap();
        let metadata = ParquetMetaDataReader::new().parse_and_finish(file.as_file()).unwrap();
        assert_eq!(metadata.num_row_groups(), 1);
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap().build().unwrap();
        let read = reader.next().unwrap().unwrap();
        assert_eq!(read, rows());
        assert_eq!(read.schema().field(2).metadata()["help"], "CPU time.");
    }
}
