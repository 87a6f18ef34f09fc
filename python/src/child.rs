//! A running command: its state, and the ways to end it.

use crate::collected::{Left, left};
use crate::error::{raise, refuse};
use crate::listener::Listener;
use crate::network::{Published, Reached, published, reached, texts};
use crate::outcome::{Ending, Seen, Used, ending, seen, used};
use crate::time::duration;
use crate::transfer::{Bounds, Done, path, watched};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use seclude_core::{Copied, Result};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// A running command. Dropping it kills everything inside.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Child {
    /// `None` only while this object is being dropped.
    child: Mutex<Option<seclude_core::Child>>,
    /// The process id as the caller sees it, and as the command sees it.
    pids: (u32, u32),
    /// The thread that copies files, which holds `child` meanwhile.
    copier: Mutex<Option<ThreadId>>,
    /// The process that started the command. A copy of this object in a child of `os.fork` must
    /// not read the reports meant for that process.
    owner: u32,
}

impl Child {
    pub fn new(child: seclude_core::Child) -> Child {
        let pids = (child.id(), child.inside_id());
        let (child, copier) = (Mutex::new(Some(child)), Mutex::new(None));
        Child { child, pids, copier, owner: std::process::id() }
    }

    /// Calls the core without the GIL, because another thread may hold the lock meanwhile.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        what: &str,
        question: impl FnOnce(&mut seclude_core::Child) -> Result<T> + Send,
    ) -> PyResult<T> {
        if std::process::id() != self.owner {
            return Err(refuse(
                py,
                what,
                "only the process that started the command may do that, not one forked from it",
            ));
        }
        if *self.copier() == Some(thread::current().id()) {
            let why = "a function that is told about a copy's progress may not use its command";
            return Err(refuse(py, what, why));
        }
        let answer = py.detach(|| {
            self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(question)
        });
        match answer {
            Some(answer) => answer.map_err(|error| raise(py, &error)),
            None => Err(refuse(py, what, "the command was dropped")),
        }
    }

    fn copier(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.copier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies files. Meanwhile functions of the caller's run in this thread.
    fn copy(
        &self,
        py: Python<'_>,
        what: &str,
        copy: impl FnOnce(&mut seclude_core::Child) -> Result<Copied> + Send,
    ) -> PyResult<Result<Copied>> {
        self.ask(py, what, |child| {
            *self.copier() = Some(thread::current().id());
            let result = copy(child);
            *self.copier() = None;
            Ok(result)
        })
    }
}

impl Drop for Child {
    /// Releases the GIL for other threads, because the core waits until nothing is left inside. At
    /// the interpreter's end the thread cannot attach, and the child is dropped as it is.
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        Python::try_attach(|py| py.detach(move || drop(child)));
    }
}

#[pymethods]
impl Child {
    /// The process id as the caller sees it.
    #[getter]
    fn pid(&self) -> u32 {
        self.pids.0
    }

    /// The process id as the command sees it.
    #[getter]
    fn inside_pid(&self) -> u32 {
        self.pids.1
    }

    /// A borrowed descriptor that becomes readable when the command ends.
    #[getter]
    fn pidfd(&self, py: Python<'_>) -> PyResult<i32> {
        self.ask(py, "pidfd", |child| Ok(child.pidfd().as_raw_fd()))
    }

    /// Seconds until a time limit or `kill` must have ended the command, or `None`.
    #[getter]
    fn deadline(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let left =
            |deadline: Instant| deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        self.ask(py, "deadline", |child| Ok(child.deadline().map(left)))
    }

    /// Waits until a TCP socket listens on a port, for at most this many seconds.
    fn wait_ready(&self, py: Python<'_>, port: u16, timeout: f64) -> PyResult<bool> {
        let timeout = duration(py, "timeout", timeout)?;
        self.ask(py, "wait_ready", |child| child.wait_ready(port, timeout))
    }

    /// Returns its addresses in its private network.
    fn addresses(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.ask(py, "addresses", |child| Ok(texts(child.addresses())))
    }

    /// Returns its published ports.
    fn ports(&self, py: Python<'_>) -> PyResult<Vec<Published>> {
        self.ask(py, "ports", |child| Ok(published(child.ports())))
    }

    /// Returns what it has reached outside.
    fn egress(&self, py: Python<'_>) -> PyResult<Reached> {
        self.ask(py, "egress", |child| Ok(reached(child.egress())))
    }

    /// Whether its pipes may stay open after it has ended.
    #[getter]
    fn pipes_may_stay(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, "pipes", |child| Ok(child.pipes_may_stay()))
    }

    /// Returns the descriptor of the caller's side of its terminal, which the caller then owns.
    /// Returns `None` if there is no terminal or it was taken.
    fn take_terminal(&self, py: Python<'_>) -> PyResult<Option<i32>> {
        self.ask(py, "terminal", |child| {
            child.forget_lost();
            Ok(child.terminal.take().map(|terminal| OwnedFd::from(terminal).into_raw_fd()))
        })
    }

    /// Returns the listener of its filter, or `None` if there is none or it was taken.
    fn take_listener(&self, py: Python<'_>) -> PyResult<Option<Listener>> {
        self.ask(py, "listener", |child| Ok(child.take_listener().map(Listener::new)))
    }

    /// Copies a file or tree out of the running sandbox.
    fn copy_out(
        &self,
        py: Python<'_>,
        inside: PyBackedBytes,
        to: PyBackedBytes,
        bounds: Bounds,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Done> {
        watched(py, bounds, progress, |py, transfer| {
            self.copy(py, "copy out", |child| child.copy_out(path(&inside), path(&to), transfer))
        })
    }

    /// Copies a file or tree into the running sandbox.
    fn copy_in(
        &self,
        py: Python<'_>,
        source: PyBackedBytes,
        inside: PyBackedBytes,
        bounds: Bounds,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Done> {
        watched(py, bounds, progress, |py, transfer| {
            self.copy(py, "copy in", |child| child.copy_in(path(&source), path(&inside), transfer))
        })
    }

    /// Whether there are files to collect once the command has ended.
    fn has_files(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, "collect", |child| Ok(child.has_files()))
    }

    /// Gives up the files to collect.
    fn discard_files(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, "collect", |child| {
            child.discard_files();
            Ok(())
        })
    }

    /// Collects the files that the command has left.
    fn collect(&self, py: Python<'_>) -> PyResult<Left> {
        let collected = self.ask(py, "collect", seclude_core::Child::collect)?;
        Ok(left(py, collected))
    }

    /// Returns how the command ended, or `None` while it runs.
    fn try_wait(&self, py: Python<'_>) -> PyResult<Option<Ending>> {
        self.ask(py, "wait", |child| Ok(child.try_wait()?.as_ref().map(ending)))
    }

    /// Kills everything inside.
    fn kill(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, "kill", seclude_core::Child::kill)
    }

    /// Sends a signal to the command's first process.
    fn signal(&self, py: Python<'_>, number: i32) -> PyResult<()> {
        self.ask(py, "signal", |child| child.signal(number))
    }

    /// Returns every process inside.
    fn processes(&self, py: Python<'_>) -> PyResult<Vec<Seen>> {
        self.ask(py, "processes", |child| Ok(child.processes()?.into_iter().map(seen).collect()))
    }

    /// Returns what the command has used so far, or in total once it has ended.
    fn usage(&self, py: Python<'_>) -> PyResult<Used> {
        self.ask(py, "usage", |child| Ok(used(&child.usage()?)))
    }

    /// Changes the memory limit, in bytes.
    fn set_memory(&self, py: Python<'_>, bytes: u64) -> PyResult<()> {
        self.ask(py, "memory", |child| child.set_memory(bytes))
    }

    /// Changes the limit on processors.
    fn set_cpus(&self, py: Python<'_>, number: f64) -> PyResult<()> {
        self.ask(py, "cpus", |child| child.set_cpus(number))
    }

    /// Changes the limit on processor time, in seconds.
    fn set_cpu_time(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let limit = duration(py, "cpu_time", seconds)?;
        self.ask(py, "cpu_time", |child| child.set_cpu_time(limit))
    }

    /// Changes the limit on processes and threads.
    fn set_pids(&self, py: Python<'_>, number: u64) -> PyResult<()> {
        self.ask(py, "pids", |child| child.set_pids(number))
    }

    /// Stops everything inside and returns the mechanism used.
    fn freeze(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.ask(py, "freeze", |child| child.freeze().map(|freezer| freezer.name()))
    }

    /// Resumes everything inside.
    fn thaw(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, "thaw", seclude_core::Child::thaw)
    }
}
