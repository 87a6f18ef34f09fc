//! The interpreter that this library is loaded into.
//!
//! The types of a native module are made once in a process, for one interpreter. In another one,
//! objects would be of classes that belong to the first: an `isinstance` that is false, references
//! that outlive their interpreter.

use pyo3::exceptions::PyImportError;
use pyo3::ffi::{PyInterpreterState_Get, PyInterpreterState_GetID};
use pyo3::prelude::*;

/// The main interpreter's number: the first that is given.
const MAIN: i64 = 0;

/// Refuses a sub-interpreter, before anything is made in it.
#[allow(unsafe_code)]
pub fn main_only(_attached: Python<'_>) -> PyResult<()> {
    // SAFETY: the thread is attached to an interpreter, as the argument proves: that is what both
    // calls ask for.
    let number = unsafe { PyInterpreterState_GetID(PyInterpreterState_Get()) };
    if number == MAIN {
        return Ok(());
    }
    Err(PyImportError::new_err(format!(
        "import seclude in interpreter {number}: its types belong to the main interpreter, and a sub-interpreter would get wrong \
         ones; hint: import it in the main interpreter (mod_wsgi: WSGIApplicationGroup %{{GLOBAL}}), or in a process of its own"
    )))
}
