//! A recording, read from Python: each answer is what is on disk at that moment.

use std::path::PathBuf;

use barograph_store::{Error, Query, SpanQuery, State, Timeline};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyFileNotFoundError, PyKeyError};
use pyo3::prelude::*;

use crate::table::Rows;

create_exception!(barograph, BarographError, PyException, "What Barograph could not do, and why.");

pub(crate) fn raised(error: Error) -> PyErr {
    let said = error.to_string();
    match error {
        Error::Missing { .. } => PyFileNotFoundError::new_err(said),
        Error::NoTable { .. } | Error::NoColumn { .. } => PyKeyError::new_err(said),
        _ => BarographError::new_err(said),
    }
}

/// What is known of a column: name, id, kind, unit, code of the unit, help and origin.
type Column = (String, String, String, String, String, String, String);

/// The folder of a recording.
#[pyclass(frozen, module = "barograph._native")]
pub(crate) struct Source {
    folder: PathBuf,
}

impl Source {
    fn timeline(&self) -> PyResult<Timeline> {
        Timeline::open(&self.folder).map_err(raised)
    }
}

#[pymethods]
impl Source {
    #[new]
    fn new(py: Python<'_>, folder: PathBuf) -> PyResult<Source> {
        let source = Source { folder };
        py.detach(|| source.timeline())?;
        Ok(source)
    }

    /// What `recording.json` says, as JSON.
    fn facts(&self, py: Python<'_>) -> PyResult<String> {
        let facts = py.detach(|| self.timeline())?;
        serde_json::to_string(facts.facts()).map_err(|error| BarographError::new_err(error.to_string()))
    }

    /// `live`, `ended` or `interrupted`.
    fn state(&self, py: Python<'_>) -> PyResult<&'static str> {
        py.detach(|| {
            Ok(match self.timeline()?.state() {
                State::Live => "live",
                State::Ended => "ended",
                State::Interrupted => "interrupted",
            })
        })
    }

    /// Names of the tables.
    fn tables(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.detach(|| Ok(self.timeline()?.tables().map_err(raised)?.into_iter().map(|table| table.name).collect()))
    }

    /// What is known of a table: help, keys, number of rows, and its columns.
    fn describe(&self, py: Python<'_>, table: &str) -> PyResult<(String, Vec<String>, u64, Vec<Column>)> {
        let table = py.detach(|| self.timeline()?.table(table).map_err(raised))?;
        let columns =
            table.fields.into_iter().map(|field| (field.name, field.id, field.kind, field.unit, field.ucum, field.help, field.origin)).collect();
        Ok((table.help, table.keys, table.rows, columns))
    }

    /// Rows of a table, between two times in nanoseconds since 1970, in which columns have these values.
    #[allow(clippy::too_many_arguments, reason = "it is called by keyword, from one place")]
    fn rows(
        &self,
        py: Python<'_>,
        table: &str,
        columns: Option<Vec<String>>,
        begin: Option<i64>,
        end: Option<i64>,
        numbers: Vec<(String, i64)>,
        texts: Vec<(String, String)>,
    ) -> PyResult<Rows> {
        py.detach(|| {
            let timeline = self.timeline()?;
            let asked = columns.iter().flatten().chain(numbers.iter().map(|(name, _)| name)).chain(texts.iter().map(|(name, _)| name));
            let mut asked = asked.filter(|name| !["time", "monotonic_nanos"].contains(&name.as_str())).peekable();
            if asked.peek().is_some() {
                let known: Vec<String> = timeline.table(table).map_err(raised)?.fields.into_iter().map(|field| field.name).collect();
                if let Some(wrong) = asked.find(|name| !known.contains(name)) {
                    return Err(raised(Error::NoColumn { table: table.to_owned(), column: wrong.clone(), known }));
                }
            }
            let mut query = Query::all().between(begin, end);
            (query.columns, query.equal, query.equal_text) = (columns, numbers, texts);
            Ok(Rows::new(timeline.frame(table, &query).map_err(raised)?.batch().clone()))
        })
    }

    /// One row a span, with what it cost.
    fn spans(&self, py: Python<'_>, name: Option<String>, begin: Option<i64>, end: Option<i64>) -> PyResult<Rows> {
        py.detach(|| {
            let spans = self.timeline()?.spans(&SpanQuery { from: begin, to: end, name }).map_err(raised)?;
            Ok(Rows::new(spans.frame().batch().clone()))
        })
    }

    /// What each line, or each function, of its Python programs cost.
    fn lines(&self, py: Python<'_>, by_function: bool, begin: Option<i64>, end: Option<i64>) -> PyResult<Rows> {
        py.detach(|| {
            let costs = self.timeline()?.line_costs(begin, end).map_err(raised)?.unwrap_or_default();
            let rows = crate::lines::rows(if by_function { costs.functions } else { costs.lines });
            rows.map(Rows::new).map_err(|error| BarographError::new_err(error.to_string()))
        })
    }

    /// What was said of moments.
    fn events(&self, py: Python<'_>, begin: Option<i64>, end: Option<i64>) -> PyResult<Rows> {
        py.detach(|| Ok(Rows::new(self.timeline()?.events(&Query::all().between(begin, end)).map_err(raised)?.batch().clone())))
    }

    /// The parts that can't be read, and why.
    fn damaged(&self, py: Python<'_>) -> PyResult<Vec<(PathBuf, String)>> {
        py.detach(|| {
            let timeline = self.timeline()?;
            timeline.tables().map_err(raised)?;
            Ok(timeline.damaged().into_iter().map(|damage| (damage.path, damage.why)).collect())
        })
    }
}
