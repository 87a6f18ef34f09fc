//! Python's seconds as the core's times.

use crate::error::refuse;
use pyo3::prelude::*;
use std::time::Duration;

/// `seconds` as a time. `what` names the limit that it is.
pub fn duration(py: Python<'_>, what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        refuse(py, &format!("{what} {seconds}"), "a time is a number of seconds, not negative and not beyond all bounds")
    })
}
