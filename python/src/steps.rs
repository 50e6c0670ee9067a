//! Spans of generators and coroutines, which run in steps: others run between them, and what those use is not theirs.

use std::sync::{Mutex, PoisonError};

use barograph_beacon::{self as beacon, Message, Readings, SpanId, Status, What};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustix::time::{ClockId, clock_gettime};

use crate::span::{make_current, make_former_current, parent};
use crate::words::{Attributes, text, why};

/// A span of something that runs in steps. It begins with the first one.
#[pyclass(frozen, module = "barograph")]
pub(crate) struct Steps {
    name: String,
    attributes: Attributes,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    span: Option<SpanId>,
    has_begun: bool,
    /// CPU time of the thread at the begin, and what the steps have used since.
    cpu_nanos: u64,
    step_began: u64,
    token: Option<Py<PyAny>>,
}

/// CPU time of this thread.
fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[pymethods]
impl Steps {
    #[new]
    fn new(name: &Bound<'_, PyAny>, attributes: Option<&Bound<'_, PyDict>>) -> Steps {
        Steps { name: text(name), attributes: Attributes::of(attributes), state: Mutex::default() }
    }

    /// A step begins.
    fn resume(&self, py: Python<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.has_begun {
            state.has_begun = true;
            let (parent, attributes) = (parent(py), self.attributes.values());
            beacon::say(|beacon| {
                let span = beacon.new_span();
                let (readings, at) = beacon.at_begin();
                (state.span, state.cpu_nanos) = (Some(span), readings.thread_cpu_nanos.unwrap_or(0));
                let begin = What::Begin { name: &self.name, span, parent };
                Message { at: Some(at), attributes: &attributes, readings, ..Message::new(begin) }
            });
        }
        let Some(span) = state.span else { return };
        state.token = make_current(py, span);
        state.step_began = thread_cpu_nanos();
    }

    /// A step ends, in the thread that it began in.
    fn pause(&self, py: Python<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.span.is_some() {
            state.cpu_nanos += thread_cpu_nanos().saturating_sub(state.step_began);
        }
        make_former_current(py, state.token.take());
    }

    /// The last step has ended, by this exception if there was one.
    fn end(&self, exception: &Bound<'_, PyAny>) {
        let why = if exception.is_none() { None } else { why(exception.get_type().as_any(), exception) };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(span) = state.span.take() else { return };
        beacon::say(|beacon| {
            let (readings, at) = beacon.at_end();
            let status = why.as_deref().map_or(Status::Ok, Status::Error);
            let readings = Readings { thread_cpu_nanos: Some(state.cpu_nanos), ..readings };
            Message { at: Some(at), readings, ..Message::new(What::End { span, status }) }
        });
    }
}
