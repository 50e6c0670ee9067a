//! The recorder inside this process: threads of its own that never wait for Python, and a handle for Python.

use std::path::PathBuf;
use std::time::Duration;

use barograph_beacon::{self as beacon, Address};
use barograph_record::{Options, Until};
use barograph_session::{Error, Session as Recording, Settings, Watched};
use barograph_sources::Choice;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::recording::BarographError;

/// A recording under way.
#[pyclass(frozen, module = "barograph._native")]
pub(crate) struct Session {
    session: Recording,
}

fn raised(error: &Error) -> PyErr {
    BarographError::new_err(error.to_string())
}

fn time(name: &str, seconds: f64) -> PyResult<Duration> {
    let said = || PyValueError::new_err(format!("{name}={seconds}: it is a number of seconds above 0"));
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(said)
}

#[pymethods]
impl Session {
    /// Begins to record: these processes and their descendants, or with `machine` everything.
    #[new]
    #[allow(clippy::too_many_arguments, reason = "it is called by keyword, from one place")]
    #[pyo3(signature = (*, pids, machine, path, interval, write_interval, duration, processes, max_overhead, force, lines))]
    fn new(
        py: Python<'_>,
        pids: Option<Vec<u32>>,
        machine: bool,
        path: Option<PathBuf>,
        interval: f64,
        write_interval: f64,
        duration: Option<f64>,
        processes: Option<&str>,
        max_overhead: Option<f64>,
        force: bool,
        lines: Option<u32>,
    ) -> PyResult<Session> {
        let until = if pids.is_some() { Until::Root } else { Until::Stopped };
        let watched = match pids {
            _ if machine => Watched::Machine,
            Some(pids) => Watched::Processes(pids),
            None => Watched::ThisProgram,
        };
        let options = Options {
            interval: time("interval", interval)?,
            write_interval: time("write_interval", write_interval)?,
            duration: duration.map(|duration| time("duration", duration)).transpose()?,
            max_overhead,
            until,
            ..Settings::default().options
        };
        let choice = |text: &str| text.parse::<Choice>().map_err(|error| PyValueError::new_err(format!("processes={text:?}: {error}")));
        let settings = Settings { watched, path, force, options, processes: processes.map(choice).transpose()?, lines, ..Settings::default() };
        let session = py.detach(|| Recording::start(settings)).map_err(|error| raised(&error))?;
        Ok(Session { session })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.session.path().to_owned()
    }

    #[getter]
    fn id(&self) -> &str {
        self.session.id()
    }

    #[getter]
    fn beacon(&self) -> Option<&str> {
        self.session.beacon()
    }

    #[getter]
    fn is_running(&self) -> bool {
        self.session.is_running()
    }

    /// Reads everything now, and waits until readers can see it.
    fn snapshot_now(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.session.snapshot_now()).map_err(|error| raised(&error))
    }

    /// Reads everything once more, writes the end and waits until all is on disk.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.session.stop()).map(drop).map_err(|error| raised(&error))
    }
}

/// From now on this program's marks and spans go to the recorder that listens there, or to nobody.
#[pyfunction]
pub(crate) fn tell(address: Option<std::ffi::OsString>) -> bool {
    match address.and_then(|address| Address::parse(&address)) {
        Some(address) => beacon::connect_to(address),
        None => {
            beacon::disconnect();
            false
        }
    }
}
