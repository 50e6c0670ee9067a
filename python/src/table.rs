//! Rows of a table, handed to Python without a copy by Arrow's PyCapsule interface, or as plain values.

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch, RecordBatchIterator};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

/// Columns of equal length.
#[pyclass(frozen, module = "barograph._native")]
pub(crate) struct Rows {
    batch: RecordBatch,
}

impl Rows {
    pub(crate) fn new(batch: RecordBatch) -> Rows {
        Rows { batch }
    }
}

fn refused(error: &ArrowError) -> PyErr {
    PyTypeError::new_err(error.to_string())
}

#[pymethods]
impl Rows {
    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.batch.schema_ref().as_ref()).map_err(|error| refused(&error))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// The schema that is asked for is advice, by the interface; ours is the only one that we have.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(&self, py: Python<'py>, requested_schema: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), c"arrow_array_stream")
    }

    /// Names of the columns.
    fn names(&self) -> Vec<String> {
        self.batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// What the schema says of each column.
    fn metadata(&self) -> Vec<std::collections::HashMap<String, String>> {
        self.batch
            .schema_ref()
            .fields()
            .iter()
            .map(|field| field.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect())
            .collect()
    }

    /// Some rows, without a copy.
    fn slice(&self, offset: usize, length: usize) -> Rows {
        let offset = offset.min(self.batch.num_rows());
        Rows { batch: self.batch.slice(offset, length.min(self.batch.num_rows() - offset)) }
    }

    /// A column as a list; times are nanoseconds since 1970.
    fn values<'py>(&self, py: Python<'py>, column: &str) -> PyResult<Bound<'py, PyList>> {
        let array = self.batch.column_by_name(column).ok_or_else(|| PyKeyError::new_err(column.to_owned()))?;
        match array.data_type() {
            DataType::Timestamp(..) if array.as_primitive_opt::<TimestampNanosecondType>().is_some() => {
                PyList::new(py, array.as_primitive::<TimestampNanosecondType>().iter().collect::<Vec<_>>())
            }
            DataType::Int64 => PyList::new(py, array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()),
            DataType::Float64 => PyList::new(py, array.as_primitive::<Float64Type>().iter().collect::<Vec<_>>()),
            DataType::Utf8 => PyList::new(py, array.as_string::<i32>().iter().collect::<Vec<_>>()),
            DataType::Boolean => PyList::new(py, array.as_boolean().iter().collect::<Vec<_>>()),
            other => Err(PyTypeError::new_err(format!("column {column} is of type {other}, which is no plain value"))),
        }
    }

    /// Whether a column holds times.
    fn has_times(&self, column: &str) -> bool {
        self.batch.column_by_name(column).is_some_and(|array| matches!(array.data_type(), DataType::Timestamp(..)))
    }
}
