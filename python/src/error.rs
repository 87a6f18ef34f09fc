//! The core's errors as Python's exceptions, which `seclude/errors.py` defines.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use seclude_core::{Error, ErrorKind, Step};
use std::path::Path;

/// The exception that an error of the core is.
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.kind() {
        ErrorKind::Invalid | ErrorKind::Policy => "PolicyError",
        ErrorKind::ProgramMissing | ErrorKind::InterpreterMissing => "ProgramNotFound",
        ErrorKind::ProgramNotExecutable => "ProgramNotExecutable",
        _ => "SetupError",
    };
    build(
        py,
        class,
        &error.to_string(),
        error.kind(),
        error.step_kind().map(Step::name),
        error.step(),
        error.raw_os_error(),
        error.path(),
        error.remedy(),
    )
}

/// A refusal of this layer's own, in the core's words: what, and why.
pub fn refuse(py: Python<'_>, what: &str, why: &str) -> PyErr {
    build(
        py,
        "PolicyError",
        &format!("{what}: {why}"),
        ErrorKind::Invalid,
        None,
        what,
        None,
        None,
        None,
    )
}

/// The exception for a system call of the package's own that failed: of the kind that the core
/// makes of the error number.
#[pyfunction]
pub fn system_error<'py>(py: Python<'py>, step: &str, errno: i32) -> Bound<'py, PyBaseException> {
    raise(py, &Error::io(step, std::io::Error::from_raw_os_error(errno)))
        .into_value(py)
        .into_bound(py)
}

#[allow(clippy::too_many_arguments)]
fn build(
    py: Python<'_>,
    class: &str,
    message: &str,
    kind: ErrorKind,
    step_kind: Option<&str>,
    step: &str,
    errno: Option<i32>,
    path: Option<&Path>,
    hint: Option<&str>,
) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let fields = PyDict::new(py);
        fields.set_item("kind", kind.name())?;
        fields.set_item("step", step)?;
        fields.set_item("step_kind", step_kind)?;
        fields.set_item("errno", errno)?;
        fields.set_item("path", path.map(Path::as_os_str))?;
        fields.set_item("hint", hint)?;
        let exception =
            py.import("seclude.errors")?.getattr(class)?.call((message,), Some(&fields))?;
        Ok(PyErr::from_value(exception))
    };
    // What fails here is Python itself: out of memory, or interrupted. That is then the news.
    make().unwrap_or_else(|failure| failure)
}
