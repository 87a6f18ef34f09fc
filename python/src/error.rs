//! The core's errors as Python exceptions, which `seclude/errors.py` defines.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use seclude_core::{Error, ErrorKind, Step};
use std::path::Path;

/// Converts an error of the core to an exception.
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

/// Returns a `PolicyError` of this layer, worded like one of the core: the object and the reason.
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

/// Returns the exception for a failed system call of the Python package. Its kind is the one that
/// the core derives from the error number.
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
    // Only Python itself can fail here, by lack of memory or an interrupt. Raise that instead.
    make().unwrap_or_else(|failure| failure)
}
