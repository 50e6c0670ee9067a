//! Arrow's file format, also known as Feather 2: the columns as they lie in memory, for readers that map the file.

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;

use crate::{Error, Exporter, Options, Output};

pub(crate) fn open(output: Output, schema: &SchemaRef, _options: &Options) -> Result<Box<dyn Exporter>, Error> {
    Ok(Box::new(Ipc { writer: FileWriter::try_new_buffered(output, schema)? }))
}

struct Ipc {
    writer: FileWriter<std::io::BufWriter<Output>>,
}

impl Exporter for Ipc {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        Ok(self.writer.write(rows)?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        Ok(self.writer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow_ipc::reader::FileReader;

    use crate::Options;
    use crate::format::tests::{rows, written};

    #[test]
    fn rows_and_metadata_read_back() {
        let bytes = written("arrow", &rows(), &Options::default());
        let mut reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
        assert_eq!(reader.schema().field(2).metadata()["help"], "CPU time.");
        let read: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
        assert_eq!(read, [rows().slice(0, 1), rows().slice(1, 2)]);
    }
}
