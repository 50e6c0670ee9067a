//! Rows of one table in the order of time, as columns: what every reader of a recording gets.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Schema};
use barograph_model::{Batch, Column, Physical};

use crate::schema::{FieldInfo, MONOTONIC, TIME, arrow_schema, table_metadata, time_fields};

/// Rows of one table, oldest first. Its first columns are `time` and `monotonic_nanos`.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    batch: RecordBatch,
}

impl Frame {
    pub(crate) fn new(batch: RecordBatch) -> Frame {
        Frame { batch }
    }

    /// Rows in memory as columns, with what is known of each in its metadata.
    pub fn of_batch(batch: &Batch) -> Frame {
        let schema = arrow_schema(batch.table(), &table_metadata(batch.table(), ""));
        let times = TimestampNanosecondArray::from(batch.utc_nanos().to_vec()).with_timezone("UTC");
        let both: [ArrayRef; 2] = [Arc::new(times), Arc::new(Int64Array::from(batch.monotonic_nanos().to_vec()))];
        let metrics = batch.columns().iter().zip(batch.table().metrics).map(|(column, metric)| array(column, metric.physical));
        let rows = RecordBatch::try_new(schema, both.into_iter().chain(metrics).collect());
        Frame::new(rows.unwrap_or_else(|error| unreachable!("columns follow from the declaration: {error}")))
    }

    /// No rows, and no columns but the times.
    pub(crate) fn empty() -> Frame {
        Frame { batch: RecordBatch::new_empty(Arc::new(Schema::new(time_fields().to_vec()))) }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows as Arrow has them; the schema carries what is known of each column.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// What is known of each column, both times left out.
    pub fn fields(&self) -> Vec<FieldInfo> {
        FieldInfo::of_schema(self.batch.schema_ref())
    }

    /// Names of the columns, both times left out.
    pub fn columns(&self) -> Vec<String> {
        self.fields().into_iter().map(|field| field.name).collect()
    }

    /// UTC time of each row, in nanoseconds since 1970. In a joined frame, 0 where the row has no partner.
    pub fn times(&self) -> &[i64] {
        let column = self.array(TIME).and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>());
        column.map_or(&[], |column| column.values())
    }

    /// Monotonic time of each row, in nanoseconds since boot.
    pub fn monotonic(&self) -> &[i64] {
        let column = self.array(MONOTONIC).and_then(|array| array.as_primitive_opt::<Int64Type>());
        column.map_or(&[], |column| column.values())
    }

    /// The whole number of each row in this column; all absent if there is no such column or it holds something else.
    pub fn ints(&self, column: &str) -> Vec<Option<i64>> {
        match self.array(column).and_then(|array| array.as_primitive_opt::<Int64Type>()) {
            Some(column) => column.iter().collect(),
            None => vec![None; self.len()],
        }
    }

    /// The number of each row in this column, whole numbers included; all absent if there is no such column or it holds no numbers.
    pub fn floats(&self, column: &str) -> Vec<Option<f64>> {
        let Some(array) = self.array(column) else { return vec![None; self.len()] };
        match array.data_type() {
            DataType::Float64 => array.as_primitive::<Float64Type>().iter().collect(),
            DataType::Int64 => array.as_primitive::<Int64Type>().iter().map(|value| value.map(|value| value as f64)).collect(),
            _ => vec![None; self.len()],
        }
    }

    /// The same with NaN where there is none: no column holds a NaN.
    pub fn numbers(&self, column: &str) -> Vec<f64> {
        let Some(array) = self.array(column) else { return vec![f64::NAN; self.len()] };
        let mut numbers: Vec<f64> = match array.data_type() {
            DataType::Float64 => array.as_primitive::<Float64Type>().values().to_vec(),
            DataType::Int64 => array.as_primitive::<Int64Type>().values().iter().map(|&value| value as f64).collect(),
            _ => return vec![f64::NAN; self.len()],
        };
        if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
            numbers.iter_mut().zip(nulls).filter(|(_, present)| !present).for_each(|(number, _)| *number = f64::NAN);
        }
        numbers
    }

    /// The whole numbers of this column, if it is there and every row has one.
    pub fn all_ints(&self, column: &str) -> Option<&[i64]> {
        let array = self.array(column)?.as_primitive_opt::<Int64Type>()?;
        (array.null_count() == 0).then(|| &array.values()[..])
    }

    /// The text of each row in this column; all absent if there is no such column or it holds no texts.
    pub fn texts(&self, column: &str) -> Vec<Option<&str>> {
        match self.array(column).and_then(|array| array.as_string_opt::<i32>()) {
            Some(column) => column.iter().collect(),
            None => vec![None; self.len()],
        }
    }

    /// Whether this column is there and holds numbers.
    pub fn is_numeric(&self, column: &str) -> bool {
        self.array(column).is_some_and(|array| matches!(array.data_type(), DataType::Int64 | DataType::Float64))
    }

    fn array(&self, column: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(column)
    }
}

fn array(column: &Column, physical: Physical) -> ArrayRef {
    let present = || Some(NullBuffer::from(column.present()));
    match physical {
        Physical::Int => Arc::new(Int64Array::new(ScalarBuffer::from(column.bits().to_vec()), present())),
        Physical::Float => {
            let floats: Vec<f64> = column.bits().iter().map(|bits| f64::from_bits(bits.cast_unsigned())).collect();
            Arc::new(Float64Array::new(ScalarBuffer::from(floats), present()))
        }
        Physical::Text => Arc::new((0..column.bits().len()).map(|row| column.text(row)).collect::<StringArray>()),
    }
}
