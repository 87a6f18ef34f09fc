//! Converts Python's seconds, and the texts that policies use for times and sizes.

use crate::error::{raise, refuse};
use pyo3::prelude::*;
use std::time::Duration;

/// Converts seconds to a `Duration`. Errors name the value as `what`.
pub fn duration(py: Python<'_>, what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        refuse(
            py,
            &format!("{what} {seconds}"),
            "a time is a number of seconds, not negative and not beyond all bounds",
        )
    })
}

/// Converts a size such as `64M` to bytes. Errors name the value as `what`.
#[pyfunction]
pub fn size_of_text(py: Python<'_>, what: &str, text: &str) -> PyResult<u64> {
    seclude_core::size_of_text(what, text).map_err(|error| raise(py, &error))
}

/// Converts a time such as `200ms` to seconds. Errors name the value as `what`.
#[pyfunction]
pub fn time_of_text(py: Python<'_>, what: &str, text: &str) -> PyResult<f64> {
    seclude_core::time_of_text(what, text)
        .map(|time| time.as_secs_f64())
        .map_err(|error| raise(py, &error))
}
