//! A policy read from text, and its commands.

use crate::cell::Cell;
use crate::command::{Command, Parts};
use crate::error::raise;
use crate::join::{Joined, Sources};
use crate::network::Network;
use crate::pool::Pool;
use pyo3::prelude::*;
use seclude_core::Attempt;

/// A validated policy.
#[pyclass(frozen, eq, module = "seclude._seclude")]
#[derive(PartialEq)]
pub struct Sandbox(seclude_core::Sandbox);

#[pymethods]
impl Sandbox {
    /// Makes the sandbox for the caller's own tests.
    #[staticmethod]
    fn for_tests(py: Python<'_>) -> PyResult<Sandbox> {
        Sandbox::checked(py, seclude_core::Sandbox::for_tests())
    }

    /// Parses a policy written in JSON, and gives it a network.
    #[staticmethod]
    fn from_json(
        py: Python<'_>,
        text: &str,
        network: Option<PyRef<'_, Network>>,
    ) -> PyResult<Sandbox> {
        let sandbox = seclude_core::Sandbox::from_json(text);
        let given = |sandbox: seclude_core::Sandbox| match &network {
            Some(network) => sandbox.network(network.core()),
            None => sandbox,
        };
        Sandbox::checked(py, sandbox.map(given))
    }

    /// Parses a policy written in TOML.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str) -> PyResult<Sandbox> {
        Sandbox::checked(py, seclude_core::Sandbox::from_toml(text))
    }

    /// Returns the policy as JSON.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        self.0.to_json().map_err(|error| raise(py, &error))
    }

    /// Returns the policy as TOML.
    fn to_toml(&self, py: Python<'_>) -> PyResult<String> {
        self.0.to_toml().map_err(|error| raise(py, &error))
    }

    /// Returns a sandbox that asks `decide` about destinations, with the fields of an attempt.
    fn decide_egress(&self, decide: Py<PyAny>) -> Sandbox {
        let asked = move |attempt: &Attempt| {
            Python::try_attach(|py| {
                let Attempt { protocol, name, address, port, denial, .. } = attempt;
                let address = address.map(|address| address.to_string());
                let fields = (protocol.name(), name.clone(), address, *port, denial.clone());
                let answer = decide.call1(py, fields);
                answer.and_then(|answer| answer.is_truthy(py)).unwrap_or_else(|error| {
                    // There is no caller to raise it to.
                    error.write_unraisable(py, Some(decide.bind(py)));
                    false
                })
            })
            .unwrap_or(false)
        };
        Sandbox(self.0.clone().decide_egress(asked))
    }

    /// Whether a function decides about destinations.
    fn decides_egress(&self) -> bool {
        self.0.decides_egress()
    }

    /// Returns this sandbox with the same function as another one.
    fn deciding_as(&self, other: PyRef<'_, Sandbox>) -> Sandbox {
        Sandbox(self.0.clone().deciding_as(&other.0))
    }

    /// Returns the private network that it has been given.
    fn network(&self) -> Option<Network> {
        self.0.given_network().cloned().map(Network::new)
    }

    /// Prepares a command without starting it. Duplicates all descriptors.
    fn command(&self, py: Python<'_>, parts: Parts) -> PyResult<Command> {
        parts.of(py, |program| self.0.command(program))
    }

    /// Creates a template of the policy.
    fn prepare(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.prepare()).map_err(|error| raise(py, &error))
    }

    /// Returns a `Joined` that runs commands in existing namespaces.
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
    /// Wraps a policy that is already validated.
    pub fn new(sandbox: seclude_core::Sandbox) -> Sandbox {
        Sandbox(sandbox)
    }

    /// Validates a policy, so that mistakes are reported on construction and not on first use. A
    /// network that it names may be given later.
    fn checked(
        py: Python<'_>,
        sandbox: seclude_core::Result<seclude_core::Sandbox>,
    ) -> PyResult<Sandbox> {
        let checked = sandbox.and_then(|sandbox| sandbox.check_text().map(|()| Sandbox(sandbox)));
        checked.map_err(|error| raise(py, &error))
    }
}
