//! Marks, gauges and spans: from a call of Python to a message to whoever records.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use barograph_beacon::{self as beacon, Message, SpanId, Status, What};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::words::{Attributes, text, why};

/// The innermost open span of this thread or task: a `contextvars.ContextVar` of its id, or `None`.
static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn current(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let made = CURRENT.get_or_try_init(py, || {
        let default = PyDict::new(py);
        default.set_item("default", py.None())?;
        py.import("contextvars")?.getattr("ContextVar")?.call(("barograph.span",), Some(&default)).map(Bound::unbind)
    })?;
    Ok(made.bind(py))
}

/// The innermost open span here.
pub(crate) fn parent(py: Python<'_>) -> Option<SpanId> {
    let id = current(py).ok()?.call_method0(intern!(py, "get")).ok()?;
    // To be refused a number is dearer than to see that there is none.
    if id.is_none() { None } else { id.extract().ok().map(SpanId) }
}

/// From now on this is the innermost open span here. Gives what ends that.
pub(crate) fn make_current(py: Python<'_>, span: SpanId) -> Option<Py<PyAny>> {
    current(py).ok()?.call_method1(intern!(py, "set"), (span.0,)).ok().map(Bound::unbind)
}

pub(crate) fn make_former_current(py: Python<'_>, token: Option<Py<PyAny>>) {
    if let (Ok(current), Some(token)) = (current(py), token) {
        // It is refused where this is another context than that in which the span began: there it was not the current one.
        let _ = current.call_method1(intern!(py, "reset"), (token,));
    }
}

/// The id of the innermost open span of this thread or task; None if there is none, or nobody listens.
#[pyfunction]
pub(crate) fn current_span(py: Python<'_>) -> Option<String> {
    parent(py).map(|span| span.to_string())
}

/// Whether somebody records what this program says.
#[pyfunction]
pub(crate) fn is_on() -> bool {
    beacon::is_on()
}

/// Waits until what has been said is with the recorder, for no longer than so many seconds. Returns whether it is.
#[pyfunction]
#[pyo3(signature = (timeout = 1.0))]
pub(crate) fn flush(py: Python<'_>, timeout: f64) -> bool {
    let timeout = Duration::try_from_secs_f64(timeout.max(0.0)).unwrap_or(Duration::MAX);
    py.detach(|| beacon::flush(timeout))
}

/// Says that this moment has this name.
#[pyfunction]
pub(crate) fn mark(name: &Bound<'_, PyAny>, detail: Option<&Bound<'_, PyAny>>, attributes: Option<&Bound<'_, PyDict>>) {
    if beacon::is_on() {
        let (name, detail, attributes) = (text(name), detail.map(text), Attributes::of(attributes));
        let attributes = attributes.values();
        beacon::say(|_| Message { detail: detail.as_deref(), attributes: &attributes, ..Message::new(What::Mark(&name)) });
    }
}

/// Says what a number of the program's own now is.
#[pyfunction]
#[pyo3(signature = (name, value, /))]
pub(crate) fn gauge(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) {
    if beacon::is_on()
        && let Ok(value) = value.extract()
    {
        beacon::gauge(&text(name), value);
    }
}

/// A named block of code.
#[pyclass(frozen, module = "barograph")]
pub(crate) struct Span {
    name: String,
    attributes: Attributes,
    /// One for each time that it was entered and not left: it may be entered again within itself.
    open: Mutex<Vec<Open>>,
}

struct Open {
    span: Option<SpanId>,
    /// What makes the span before it the current one again.
    token: Option<Py<PyAny>>,
}

#[pymethods]
impl Span {
    #[new]
    fn new(name: &Bound<'_, PyAny>, attributes: Option<&Bound<'_, PyDict>>) -> Span {
        Span { name: text(name), attributes: Attributes::of(attributes), open: Mutex::default() }
    }

    /// Its id in the recording, while it is open.
    #[getter]
    fn id(&self) -> Option<String> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.last().and_then(|open| open.span).map(|span| span.to_string())
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        let py = slf.py();
        let span = beacon::begin(&slf.name, parent(py), &slf.attributes.values());
        let token = span.and_then(|span| make_current(py, span));
        slf.open.lock().unwrap_or_else(PoisonError::into_inner).push(Open { span, token });
        slf
    }

    fn __exit__(&self, py: Python<'_>, kind: &Bound<'_, PyAny>, exception: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) -> bool {
        let Some(Open { span, token }) = self.open.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return false };
        if let Some(span) = span {
            match why(kind, exception) {
                None => beacon::end(span, Status::Ok),
                Some(why) => beacon::end(span, Status::Error(&why)),
            }
        }
        make_former_current(py, token);
        false
    }
}
