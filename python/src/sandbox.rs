//! A policy, read from text, and the commands of it.

use crate::command::Command;
use crate::descriptor::copy;
use crate::error::raise;
use crate::time::duration;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

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

    /// A command, not started yet. Streams are descriptor numbers; `None` is the caller's own. All descriptors are copied.
    #[pyo3(signature = (args, *, arg0, env, cwd, stdin, stdout, stderr, fds, wall_time))]
    #[allow(clippy::too_many_arguments)] // One for each of the command's parts, and only Python calls it.
    fn command(
        &self,
        py: Python<'_>,
        args: Vec<PyBackedBytes>,
        arg0: Option<PyBackedBytes>,
        env: Option<Vec<(PyBackedBytes, PyBackedBytes)>>,
        cwd: Option<PyBackedBytes>,
        stdin: Option<i32>,
        stdout: Option<i32>,
        stderr: Option<i32>,
        fds: Vec<(i32, i32)>,
        wall_time: Option<f64>,
    ) -> PyResult<Command> {
        let (program, rest) = args.split_first().map_or((OsStr::new(""), args.as_slice()), |(first, rest)| (text(first), rest));
        let mut command = self.0.command(program);
        command.args(rest.iter().map(text));
        if let Some(name) = &arg0 {
            command.arg0(text(name));
        }
        if let Some(variables) = &env {
            command.env_clear().envs(variables.iter().map(|(name, value)| (text(name), text(value))));
        }
        if let Some(directory) = &cwd {
            command.current_dir(text(directory));
        }
        let stream =
            |what, number: Option<i32>| -> PyResult<Option<OwnedFd>> { number.map(|number| copy(py, what, number)).transpose() };
        if let Some(fd) = stream("stdin", stdin)? {
            command.stdin(fd);
        }
        if let Some(fd) = stream("stdout", stdout)? {
            command.stdout(fd);
        }
        if let Some(fd) = stream("stderr", stderr)? {
            command.stderr(fd);
        }
        for (target, source) in fds {
            command.fd(target, copy(py, "descriptor", source)?);
        }
        if let Some(seconds) = wall_time {
            command.wall_time(duration(py, "wall_time", seconds)?);
        }
        Ok(Command::new(command))
    }
}

impl Sandbox {
    /// One whose policy is sound.
    pub fn new(sandbox: seclude_core::Sandbox) -> Sandbox {
        Sandbox(sandbox)
    }

    /// A policy's mistakes are told when it is made, not when it is first used.
    fn checked(py: Python<'_>, sandbox: seclude_core::Result<seclude_core::Sandbox>) -> PyResult<Sandbox> {
        let checked = sandbox.and_then(|sandbox| sandbox.check().map(|()| Sandbox(sandbox)));
        checked.map_err(|error| raise(py, &error))
    }
}

fn text(bytes: &PyBackedBytes) -> &OsStr {
    OsStr::from_bytes(bytes)
}
