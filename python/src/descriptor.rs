//! Duplicates descriptors of the caller, so that the core owns what it gets. Python names a
//! descriptor by its number only, which requires `unsafe` here.

use pyo3::prelude::*;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::error::{raise, refuse};

/// Duplicates the caller's descriptor `number`, close-on-exec. Errors name it as `what`, its role
/// in the command.
#[allow(unsafe_code)]
pub fn copy(py: Python<'_>, what: &str, number: i32) -> PyResult<OwnedFd> {
    if number < 0 {
        return Err(refuse(py, &format!("{what} {number}"), "a descriptor is not negative"));
    }
    // SAFETY: the number is not negative, and the borrow ends with this call. If the number is not
    // open, F_DUPFD_CLOEXEC fails with EBADF and touches nothing.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    seclude_core::copy_of(&format!("{what} {number}"), borrowed).map_err(|error| raise(py, &error))
}
