//! The native half of the Python package: recordings as Arrow, marks and spans, and the recorder on a thread of its own. The other half, in Python, is what
//! people call.

mod lines;
mod look;
mod recording;
mod session;
mod span;
mod steps;
mod table;
mod words;

/// The native half of Barograph.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::look::{snapshot, tree};
    #[pymodule_export]
    use crate::recording::{BarographError, Source};
    #[pymodule_export]
    use crate::session::{Session, tell};
    #[pymodule_export]
    use crate::span::{Span, current_span, flush, gauge, is_on, mark};
    #[pymodule_export]
    use crate::steps::Steps;
    #[pymodule_export]
    use crate::table::Rows;

    /// The version of the package, and of the program in its wheel.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python has it by this name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
