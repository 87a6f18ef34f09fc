//! Answers system calls from outside, one by one.

use crate::descriptor::copy;
use crate::error::{raise, refuse};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Receives the system calls that a filter leaves to the caller.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Listener(seclude_core::Listener);

impl Listener {
    pub fn new(listener: seclude_core::Listener) -> Listener {
        Listener(listener)
    }
}

#[pymethods]
impl Listener {
    /// Returns its borrowed descriptor.
    fn fileno(&self) -> i32 {
        self.0.as_fd().as_raw_fd()
    }

    /// Returns a call that is waiting now, or `None`.
    fn receive(&self, py: Python<'_>) -> PyResult<Option<Notification>> {
        let next = py
            .detach(|| self.0.receive_within(Duration::ZERO))
            .map_err(|error| raise(py, &error))?;
        Ok(next.map(|call| Notification(Mutex::new(Some(call)))))
    }

    /// Returns whether no process is left that could make a call.
    fn is_deserted(&self, py: Python<'_>) -> PyResult<bool> {
        self.0.is_deserted().map_err(|error| raise(py, &error))
    }
}

/// A system call that waits for an answer. If dropped unanswered, the call fails with EPERM.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Notification(Mutex<Option<seclude_core::Notification>>);

impl Notification {
    fn ask<T>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&seclude_core::Notification) -> T,
    ) -> PyResult<T> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(call) => Ok(question(call)),
            None => Err(refuse(py, "system call", "it was answered already")),
        }
    }

    fn answer<T>(
        &self,
        py: Python<'_>,
        answer: impl FnOnce(seclude_core::Notification) -> seclude_core::Result<T>,
    ) -> PyResult<T> {
        let call = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer(call.ok_or_else(|| refuse(py, "system call", "it was answered already"))?)
            .map_err(|error| raise(py, &error))
    }
}

#[pymethods]
impl Notification {
    /// The name of the call.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        self.ask(py, |call| call.syscall().to_string())
    }

    /// The number of the call.
    #[getter]
    fn number(&self, py: Python<'_>) -> PyResult<i32> {
        self.ask(py, |call| call.syscall().number())
    }

    /// The six arguments of the call.
    #[getter]
    fn arguments(&self, py: Python<'_>) -> PyResult<(u64, u64, u64, u64, u64, u64)> {
        self.ask(py, |call| call.arguments().into())
    }

    /// The id of the thread that makes the call.
    #[getter]
    fn pid(&self, py: Python<'_>) -> PyResult<u32> {
        self.ask(py, seclude_core::Notification::pid)
    }

    /// Reads the program's memory.
    fn read<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        size: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let read = self.ask(py, |call| {
            let mut bytes = vec![0; size];
            call.read(address, &mut bytes).map(|length| {
                bytes.truncate(length);
                bytes
            })
        })?;
        read.map(|bytes| PyBytes::new(py, &bytes)).map_err(|error| raise(py, &error))
    }

    /// Reads a null-terminated string from the program's memory.
    fn read_string<'py>(&self, py: Python<'py>, address: u64) -> PyResult<Bound<'py, PyBytes>> {
        let read = self.ask(py, |call| call.read_string(address))?;
        read.map(|bytes| PyBytes::new(py, &bytes)).map_err(|error| raise(py, &error))
    }

    /// Lets the kernel carry out the call.
    fn allow(&self, py: Python<'_>) -> PyResult<()> {
        self.answer(py, seclude_core::Notification::allow)
    }

    /// Makes the call succeed with this value.
    fn succeed(&self, py: Python<'_>, value: i64) -> PyResult<()> {
        self.answer(py, |call| call.succeed(value))
    }

    /// Makes the call fail with this error number.
    fn fail(&self, py: Python<'_>, errno: i32) -> PyResult<()> {
        self.answer(py, |call| call.fail(errno))
    }

    /// Makes the call succeed with a new descriptor, and returns its number.
    fn succeed_with_descriptor(
        &self,
        py: Python<'_>,
        fd: i32,
        close_on_exec: bool,
    ) -> PyResult<i32> {
        let given = copy(py, "descriptor", fd)?;
        self.answer(py, |call| call.succeed_with_descriptor(given.as_fd(), close_on_exec))
    }
}
