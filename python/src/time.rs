//! Python's seconds as the core's times, and the texts that a policy has for times and sizes.

use crate::error::{raise, refuse};
use pyo3::prelude::*;
use std::time::Duration;

/// `seconds` as a time. `what` names the limit that it is.
pub fn duration(py: Python<'_>, what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        refuse(
            py,
            &format!("{what} {seconds}"),
            "a time is a number of seconds, not negative and not beyond all bounds",
        )
    })
}

/// The bytes that a text such as `64M` says. `what` names the value in the error.
#[pyfunction]
pub fn size_of_text(py: Python<'_>, what: &str, text: &str) -> PyResult<u64> {
    seclude_core::size_of_text(what, text).map_err(|error| raise(py, &error))
}

/// The seconds that a text such as `200ms` says.
#[pyfunction]
pub fn time_of_text(py: Python<'_>, what: &str, text: &str) -> PyResult<f64> {
    seclude_core::time_of_text(what, text)
        .map(|time| time.as_secs_f64())
        .map_err(|error| raise(py, &error))
}
