//! The check for the interpreter that loads this library.
//!
//! The types of a native module are made once per process, for one interpreter. In another one,
//! objects would have classes of the first: `isinstance` would be wrong, and references could
//! outlive their interpreter.

use pyo3::exceptions::PyImportError;
use pyo3::ffi::{PyInterpreterState_Get, PyInterpreterState_GetID};
use pyo3::prelude::*;

/// The id of the main interpreter, which is the first one given.
const MAIN: i64 = 0;

/// Refuses a subinterpreter, before anything is made in it.
#[allow(unsafe_code)]
pub fn main_only(_attached: Python<'_>) -> PyResult<()> {
    // SAFETY: both calls require that the thread is attached to an interpreter, which the argument
    // proves.
    let number = unsafe { PyInterpreterState_GetID(PyInterpreterState_Get()) };
    if number == MAIN {
        return Ok(());
    }
    Err(PyImportError::new_err(format!(
        "import seclude in interpreter {number}: its types belong to the main interpreter, and a \
         sub-interpreter would get wrong ones; hint: import it in the main interpreter \
         (mod_wsgi: WSGIApplicationGroup %{{GLOBAL}}), or in a process of its own"
    )))
}
