//! A descriptor of the caller's, named by its number, copied so that the core owns what it is
//! given. A number is all that Python has: hence the `unsafe`.

use pyo3::prelude::*;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::error::{raise, refuse};

/// A copy, close-on-exec, of the caller's descriptor `number`. `what` names its part in the
/// command.
#[allow(unsafe_code)]
pub fn copy(py: Python<'_>, what: &str, number: i32) -> PyResult<OwnedFd> {
    if number < 0 {
        return Err(refuse(py, &format!("{what} {number}"), "a descriptor is not negative"));
    }
    // SAFETY: the number is not negative, and the borrow ends with this call. A number that is not
    // open makes F_DUPFD_CLOEXEC fail with EBADF and touches nothing.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    seclude_core::copy_of(&format!("{what} {number}"), borrowed).map_err(|error| raise(py, &error))
}
