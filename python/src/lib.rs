//! The native half of the Python package.
use pyo3::prelude::*;

#[pymodule]
mod _native {
    use pyo3::prelude::*;
    #[pyfunction]
    fn nothing() {}
    #[pyclass(frozen)]
    struct Nothing;
    #[pymethods]
    impl Nothing {
        fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> { slf }
        #[pyo3(signature = (*_why))]
        fn __exit__(&self, _why: &Bound<'_, pyo3::types::PyTuple>) {}
    }
}
