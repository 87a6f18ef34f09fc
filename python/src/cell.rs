//! A sandbox that stays up, with its commands.

use crate::command::{Command, Parts};
use crate::error::raise;
use crate::image::{Changed, Image, changed};
use crate::network::{Network, Published, Reached, published, reached, texts};
use crate::outcome::{Seen, Used, seen, used};
use crate::time::duration;
use crate::transfer::{Bounds, Done, path, watched};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use seclude_core::Result;

/// A cell. Dropping it together with its commands and children kills everything inside.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Cell(seclude_core::Cell);

impl Cell {
    pub fn new(cell: seclude_core::Cell) -> Cell {
        Cell(cell)
    }

    /// Calls the core without the GIL.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&seclude_core::Cell) -> Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| question(&self.0)).map_err(|error| raise(py, &error))
    }
}

#[pymethods]
impl Cell {
    /// Returns what differs in the overlay from its layers.
    fn changes(&self, py: Python<'_>) -> PyResult<Vec<Changed>> {
        self.ask(py, |cell| cell.changes().map(changed))
    }

    /// Makes an image of the cell's image and the changes to it.
    fn commit(&self, py: Python<'_>, name: Option<String>) -> PyResult<Image> {
        self.ask(py, |cell| cell.commit(name.as_deref()).map(Image::new))
    }

    /// Prepares a command without starting it. Duplicates all descriptors.
    fn command(&self, py: Python<'_>, parts: Parts) -> PyResult<Command> {
        parts.of(py, |program| self.0.command(program))
    }

    /// Returns the names of the protections that apply to all commands of the cell.
    fn enforced(&self) -> Vec<&'static str> {
        self.0.enforced().iter().map(|protection| protection.name()).collect()
    }

    /// Returns the process id of the warden.
    fn pid(&self, py: Python<'_>) -> PyResult<u32> {
        self.ask(py, seclude_core::Cell::id)
    }

    /// Publishes the cell under a name.
    fn publish(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.ask(py, |cell| cell.publish(name))
    }

    /// Returns every process inside.
    fn processes(&self, py: Python<'_>) -> PyResult<Vec<Seen>> {
        self.ask(py, |cell| Ok(cell.processes()?.into_iter().map(seen).collect()))
    }

    /// Waits until a TCP socket listens on a port, for at most this many seconds.
    fn wait_ready(&self, py: Python<'_>, port: u16, timeout: f64) -> PyResult<bool> {
        let timeout = duration(py, "timeout", timeout)?;
        self.ask(py, |cell| cell.wait_ready(port, timeout))
    }

    /// Returns the addresses in its private networks.
    fn addresses(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.ask(py, |cell| cell.addresses().map(texts))
    }

    /// Returns its published ports.
    fn ports(&self, py: Python<'_>) -> PyResult<Vec<Published>> {
        self.ask(py, |cell| cell.ports().map(published))
    }

    /// Returns what its commands have reached outside.
    fn egress(&self, py: Python<'_>) -> PyResult<Reached> {
        self.ask(py, |cell| cell.egress().map(reached))
    }

    /// Joins a private network, and returns the addresses there.
    fn connect(&self, py: Python<'_>, network: PyRef<'_, Network>) -> PyResult<Vec<String>> {
        let network = network.core();
        self.ask(py, |cell| cell.connect(network).map(texts))
    }

    /// Leaves a private network.
    fn disconnect(&self, py: Python<'_>, network: PyRef<'_, Network>) -> PyResult<()> {
        let network = network.core();
        self.ask(py, |cell| cell.disconnect(network))
    }

    /// Returns what all commands have used so far.
    fn usage(&self, py: Python<'_>) -> PyResult<Used> {
        self.ask(py, |cell| Ok(used(&cell.usage()?)))
    }

    /// Stops everything inside and returns the mechanism used.
    fn freeze(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.ask(py, |cell| cell.freeze().map(|freezer| freezer.name()))
    }

    /// Resumes everything inside.
    fn thaw(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, seclude_core::Cell::thaw)
    }

    /// Kills everything inside.
    fn kill_all(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, seclude_core::Cell::kill_all)
    }

    /// Returns to the state after set-up.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, seclude_core::Cell::reset)
    }

    /// Kills everything inside and closes the cell.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    /// Returns whether the cell can run commands.
    fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Changes the memory limit shared by all commands, in bytes.
    fn set_memory(&self, py: Python<'_>, bytes: u64) -> PyResult<()> {
        self.ask(py, |cell| cell.set_memory(bytes))
    }

    /// Changes the limit on processors.
    fn set_cpus(&self, py: Python<'_>, number: f64) -> PyResult<()> {
        self.ask(py, |cell| cell.set_cpus(number))
    }

    /// Changes the limit on processes and threads.
    fn set_pids(&self, py: Python<'_>, number: u64) -> PyResult<()> {
        self.ask(py, |cell| cell.set_pids(number))
    }

    /// Copies a file or tree out of the cell.
    fn copy_out(
        &self,
        py: Python<'_>,
        inside: PyBackedBytes,
        to: PyBackedBytes,
        bounds: Bounds,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Done> {
        watched(py, bounds, progress, |py, transfer| {
            Ok(py.detach(|| self.0.copy_out(path(&inside), path(&to), transfer)))
        })
    }

    /// Copies a file or tree into the cell.
    fn copy_in(
        &self,
        py: Python<'_>,
        source: PyBackedBytes,
        inside: PyBackedBytes,
        bounds: Bounds,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Done> {
        watched(py, bounds, progress, |py, transfer| {
            Ok(py.detach(|| self.0.copy_in(path(&source), path(&inside), transfer)))
        })
    }
}
