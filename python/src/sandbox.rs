//! A policy, read from text, and the commands of it.

use crate::cell::Cell;
use crate::command::{Command, Parts};
use crate::error::raise;
use crate::join::{Joined, Sources};
use crate::pool::Pool;
use pyo3::prelude::*;

/// A sandbox: a policy that has been read and found sound.
#[pyclass(frozen, eq, module = "seclude._seclude")]
#[derive(PartialEq)]
pub struct Sandbox(seclude_core::Sandbox);

#[pymethods]
impl Sandbox {
    /// Reads a policy in JSON.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Sandbox> {
        Sandbox::checked(py, seclude_core::Sandbox::from_json(text))
    }

    /// Reads a policy in TOML.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str) -> PyResult<Sandbox> {
        Sandbox::checked(py, seclude_core::Sandbox::from_toml(text))
    }

    /// The policy in JSON.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.0.to_json().map_err(|error| raise(py, &error))
    }

    /// The policy in TOML.
    fn to_toml(&self, py: Python<'_>) -> PyResult<String> {
        self.0.to_toml().map_err(|error| raise(py, &error))
    }

    /// A command, not started yet. All descriptors are copied.
    fn command(&self, py: Python<'_>, parts: Parts) -> PyResult<Command> {
        parts.of(py, |program| self.0.command(program))
    }

    /// Makes a template of the policy.
    fn prepare(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.prepare()).map_err(|error| raise(py, &error))
    }

    /// For commands in namespaces that exist.
    fn join(&self, py: Python<'_>, sources: Sources) -> PyResult<Joined> {
        let join = sources.of(py)?;
        py.detach(|| self.0.join(&join)).map(Joined::new).map_err(|error| raise(py, &error))
    }

    /// Starts a cell.
    fn cell(&self, py: Python<'_>) -> PyResult<Cell> {
        py.detach(|| self.0.cell()).map(Cell::new).map_err(|error| raise(py, &error))
    }

    /// Starts a pool.
    fn pool(&self, py: Python<'_>, size: usize, reuse: bool) -> PyResult<Pool> {
        let pool = py.detach(|| if reuse { self.0.reusing_pool(size) } else { self.0.pool(size) });
        pool.map(Pool::new).map_err(|error| raise(py, &error))
    }
}

impl Sandbox {
    /// One whose policy is sound.
    pub fn new(sandbox: seclude_core::Sandbox) -> Sandbox {
        Sandbox(sandbox)
    }

    /// A policy's mistakes are told when it is made, not when it is first used.
    fn checked(
        py: Python<'_>,
        sandbox: seclude_core::Result<seclude_core::Sandbox>,
    ) -> PyResult<Sandbox> {
        let checked = sandbox.and_then(|sandbox| sandbox.check().map(|()| Sandbox(sandbox)));
        checked.map_err(|error| raise(py, &error))
    }
}
