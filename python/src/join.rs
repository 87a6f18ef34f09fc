//! Commands in existing namespaces, and cells that other processes have published.

use crate::command::{Command, Parts};
use crate::descriptor::copy;
use crate::error::{raise, refuse};
use crate::transfer::path;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use seclude_core::{Join, NamedCell, Namespace};

/// Existing namespaces, from a dictionary.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Sources {
    pid: Option<u32>,
    pidfd: Option<i32>,
    paths: Vec<PyBackedBytes>,
    fds: Vec<i32>,
    only: Option<Vec<String>>,
}

impl Sources {
    pub fn of(&self, py: Python<'_>) -> PyResult<Join> {
        let mut join = Join::new();
        if let Some(pid) = self.pid {
            join = join.process(pid);
        }
        if let Some(pidfd) = self.pidfd {
            join = join.pidfd(copy(py, "pidfd", pidfd)?);
        }
        for place in &self.paths {
            join = join.path(path(place));
        }
        for &fd in &self.fds {
            join = join.descriptor(copy(py, "descriptor", fd)?);
        }
        if let Some(kinds) = &self.only {
            join =
                join.only(kinds.iter().map(|name| kind(py, name)).collect::<PyResult<Vec<_>>>()?);
        }
        Ok(join)
    }
}

fn kind(py: Python<'_>, name: &str) -> PyResult<Namespace> {
    Namespace::from_name(name)
        .ok_or_else(|| refuse(py, "namespace", &format!("{name:?} is no kind of namespace")))
}

/// A policy combined with existing namespaces.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Joined(seclude_core::Joined);

impl Joined {
    pub fn new(joined: seclude_core::Joined) -> Joined {
        Joined(joined)
    }
}

#[pymethods]
impl Joined {
    /// Prepares a command without starting it. Duplicates all descriptors.
    fn command(&self, py: Python<'_>, parts: Parts) -> PyResult<Command> {
        parts.of(py, |program| self.0.command(program))
    }

    /// Returns the kinds of namespace that commands enter.
    fn kinds(&self) -> Vec<&'static str> {
        self.0.kinds().into_iter().map(Namespace::name).collect()
    }
}

/// Keeps a namespace alive with a mount.
#[pyfunction]
pub fn persist(py: Python<'_>, sources: Sources, name: &str, place: PyBackedBytes) -> PyResult<()> {
    let (join, kind) = (sources.of(py)?, kind(py, name)?);
    join.persist(kind, path(&place)).map_err(|error| raise(py, &error))
}

/// Removes the mount that keeps a namespace alive.
#[pyfunction]
pub fn release(py: Python<'_>, place: PyBackedBytes) -> PyResult<()> {
    seclude_core::release(path(&place)).map_err(|error| raise(py, &error))
}

/// Returns the name, warden pid and policy (JSON) of every published cell that is alive.
#[pyfunction]
pub fn cells(py: Python<'_>) -> PyResult<Vec<(String, u32, String)>> {
    let told =
        |cell: &NamedCell| Ok((cell.name().to_owned(), cell.pid(), cell.sandbox().to_json()?));
    let all = py.detach(|| NamedCell::all().and_then(|cells| cells.iter().map(told).collect()));
    all.map_err(|error| raise(py, &error))
}

/// Enters the published cell of this name. Also returns its policy in JSON.
#[pyfunction]
pub fn enter(py: Python<'_>, name: &str) -> PyResult<(Joined, String)> {
    let entered = py.detach(|| {
        let cell = NamedCell::find(name)?;
        Ok((Joined(cell.enter()?), cell.sandbox().to_json()?))
    });
    entered.map_err(|error| raise(py, &error))
}
