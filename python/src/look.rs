//! What is true right now, for Python.

use std::sync::Arc;
use std::time::Duration;

use barograph_session::{Node, snapshot as look, tree as watch};
use barograph_sources::{Choice, Fault, Machine, Roots};
use barograph_store::Frame;
use pyo3::exceptions::{PyProcessLookupError, PyValueError};
use pyo3::prelude::*;

use crate::recording::BarographError;
use crate::table::Rows;

fn machine() -> Result<Arc<Machine>, Fault> {
    Machine::open(Roots::default()).map(Arc::new)
}

fn raised(fault: &Fault) -> PyErr {
    BarographError::new_err(format!("can't look at the machine: {fault}"))
}

/// One reading of everything: the tables that have rows, with their names.
#[pyfunction]
pub(crate) fn snapshot(py: Python<'_>, processes: &str) -> PyResult<Vec<(&'static str, Rows)>> {
    let choice: Choice = processes.parse().map_err(|error| PyValueError::new_err(format!("processes={processes:?}: {error}")))?;
    let batches = py.detach(|| look(&machine()?, choice.select)).map_err(|fault| raised(&fault))?;
    let tables = batches.iter().filter(|batch| !batch.is_empty());
    Ok(tables.map(|batch| (batch.table().name, Rows::new(Frame::of_batch(batch).batch().clone()))).collect())
}

/// A process: pid, that of its parent, name, command line, state, threads, RAM, CPU time, and cores while we watched.
type Process = (i64, i64, String, String, String, i64, i64, f64, f64);

/// A process and its descendants, watched for so many seconds.
#[pyfunction]
pub(crate) fn tree(py: Python<'_>, pid: u32, sample: f64) -> PyResult<Vec<Process>> {
    let time = Duration::try_from_secs_f64(sample).map_err(|_| PyValueError::new_err(format!("sample={sample}: it is a number of seconds")))?;
    let nodes = py.detach(|| watch(&machine()?, vec![pid], time)).map_err(|fault| raised(&fault))?;
    if nodes.is_empty() {
        return Err(PyProcessLookupError::new_err(format!("there is no process {pid}")));
    }
    let told = |node: Node| {
        let Node { pid, parent, name, command, state, threads, resident_bytes, cpu_seconds, cores } = node;
        (pid, parent, name, command, state, threads, resident_bytes, cpu_seconds, cores)
    };
    Ok(nodes.into_iter().map(told).collect())
}
