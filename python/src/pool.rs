//! Sandboxes set up ahead of use.

use crate::command::{Command, Parts};
use pyo3::prelude::*;
use seclude_core::PoolStatistics;
use std::os::fd::AsRawFd;

/// A pool. Dropping it together with its commands ends the sandboxes that are ready.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Pool(seclude_core::Pool);

impl Pool {
    pub fn new(pool: seclude_core::Pool) -> Pool {
        Pool(pool)
    }
}

/// A dictionary with the keyword arguments of `seclude.PoolStatistics`. Times are in seconds.
#[derive(IntoPyObject)]
pub struct Statistics {
    size: usize,
    ready: usize,
    in_use: usize,
    most_in_use: usize,
    made: u64,
    handed_out: u64,
    waited: u64,
    lost: u64,
    failed: u64,
    hand_out_p50: f64,
    hand_out_p99: f64,
    make_p50: f64,
    make_p99: f64,
}

type Networks = (u64, u64, u64, Option<(u64, &'static str)>);

#[pymethods]
impl Pool {
    /// Prepares a command without starting it. Duplicates all descriptors.
    fn command(&self, py: Python<'_>, parts: Parts) -> PyResult<Command> {
        parts.of(py, |program| self.0.command(program))
    }

    /// Returns a borrowed descriptor, readable while a start is worth trying.
    fn fileno(&self) -> i32 {
        self.0.fd().as_raw_fd()
    }

    /// Returns the counts of namespaces made, reused and retired, and the id of the last retired
    /// one with the reason.
    fn networks(&self, py: Python<'_>) -> Networks {
        let told = py.detach(|| self.0.networks());
        (told.made, told.reused, told.retired, told.last_retired.map(|last| (last.id, last.why)))
    }

    /// Returns the counters of the pool.
    fn statistics(&self) -> Statistics {
        let told: PoolStatistics = self.0.statistics();
        Statistics {
            size: told.size,
            ready: told.ready,
            in_use: told.in_use,
            most_in_use: told.most_in_use,
            made: told.made,
            handed_out: told.handed_out,
            waited: told.waited,
            lost: told.lost,
            failed: told.failed,
            hand_out_p50: told.hand_out_p50.as_secs_f64(),
            hand_out_p99: told.hand_out_p99.as_secs_f64(),
            make_p50: told.make_p50.as_secs_f64(),
            make_p99: told.make_p99.as_secs_f64(),
        }
    }

    /// Ends the ready sandboxes and the threads of the pool.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}
