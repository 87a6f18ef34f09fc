//! A command that is ready to start, alone or together with others joined to it by pipes.

use crate::child::Child;
use crate::descriptor::copy;
use crate::error::{raise, refuse};
use crate::outcome::{Ending, ending};
use crate::sandbox::Sandbox;
use crate::time::duration;
use crate::transfer::{Bounds, transfer};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use seclude_core::{Interaction, Stdio, WindowSize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A command that can be started once.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Command(Mutex<Option<seclude_core::Command>>);

impl Command {
    pub fn new(command: seclude_core::Command) -> Command {
        Command(Mutex::new(Some(command)))
    }

    /// Takes the core's command out, so that only one start has it and no other thread waits.
    fn take(&self, py: Python<'_>) -> PyResult<seclude_core::Command> {
        let command = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        command.ok_or_else(|| refuse(py, "command", "it was started already"))
    }

    /// Puts the command back after a start that found no place, so that it can be tried again.
    fn put_back(&self, command: seclude_core::Command) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
    }
}

/// Stands for the command's terminal in place of a stream's descriptor.
const PTY: i32 = -4;

/// The parts of a command, from a dictionary. Streams are descriptor numbers or `PTY`; `None` is
/// the caller's own stream.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Parts {
    args: Vec<PyBackedBytes>,
    arg0: Option<PyBackedBytes>,
    env: Option<Vec<(PyBackedBytes, PyBackedBytes)>>,
    cwd: Option<PyBackedBytes>,
    streams: [Option<i32>; 3],
    /// Which of the streams are pipes that the package made for this command alone.
    own_pipes: [bool; 3],
    fds: Vec<(i32, i32)>,
    ignored_signals: Vec<i32>,
    inherit_ignored_signals: bool,
    umask: Option<u32>,
    process_group: Option<i32>,
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Option<Vec<u32>>,
    wall_time: Option<f64>,
    memory: Option<u64>,
    cpu_time: Option<f64>,
    pids: Option<u64>,
    collect: Vec<PyBackedBytes>,
    collect_into: Option<PyBackedBytes>,
    collect_bounds: Bounds,
    window_size: Option<(u16, u16)>,
}

impl Parts {
    /// Builds the command, to run where `make` decides. Duplicates all descriptors.
    pub fn of(
        &self,
        py: Python<'_>,
        make: impl FnOnce(&OsStr) -> seclude_core::Command,
    ) -> PyResult<Command> {
        let args = &self.args;
        let (program, rest) = args
            .split_first()
            .map_or((OsStr::new(""), args.as_slice()), |(first, rest)| (text(first), rest));
        let mut command = make(program);
        command.args(rest.iter().map(text));
        if let Some(name) = &self.arg0 {
            command.arg0(text(name));
        }
        if let Some(variables) = &self.env {
            command
                .env_clear()
                .envs(variables.iter().map(|(name, value)| (text(name), text(value))));
        }
        if let Some(directory) = &self.cwd {
            command.current_dir(text(directory));
        }
        let stream = |what, index: usize| -> PyResult<Option<Stdio>> {
            match self.streams[index] {
                None => Ok(None),
                Some(PTY) => Ok(Some(Stdio::pty())),
                Some(number) => {
                    let fd = copy(py, what, number)?;
                    Ok(Some(if self.own_pipes[index] {
                        Stdio::own_pipe(fd)
                    } else {
                        Stdio::from(fd)
                    }))
                }
            }
        };
        if let Some(fd) = stream("stdin", 0)? {
            command.stdin(fd);
        }
        if let Some(fd) = stream("stdout", 1)? {
            command.stdout(fd);
        }
        if let Some(fd) = stream("stderr", 2)? {
            command.stderr(fd);
        }
        for &(target, source) in &self.fds {
            command.fd(target, copy(py, "descriptor", source)?);
        }
        for &signal in &self.ignored_signals {
            command.ignore_signal(signal);
        }
        if self.inherit_ignored_signals {
            command.inherit_ignored_signals();
        }
        if let Some(mask) = self.umask {
            command.umask(mask);
        }
        if let Some(group) = self.process_group {
            command.process_group(group);
        }
        if let Some(uid) = self.uid {
            command.uid(uid);
        }
        if let Some(gid) = self.gid {
            command.gid(gid);
        }
        if let Some(groups) = &self.groups {
            command.groups(groups.iter().copied());
        }
        if let Some(seconds) = self.wall_time {
            command.wall_time(duration(py, "wall_time", seconds)?);
        }
        if let Some(bytes) = self.memory {
            command.memory(bytes);
        }
        if let Some(seconds) = self.cpu_time {
            command.cpu_time(duration(py, "cpu_time", seconds)?);
        }
        if let Some(number) = self.pids {
            command.pids(number);
        }
        for pattern in &self.collect {
            command.collect(text(pattern));
        }
        if let Some(directory) = &self.collect_into {
            command.collect_into(text(directory));
        }
        command.collect_within(transfer(self.collect_bounds));
        if let Some((rows, columns)) = self.window_size {
            command.window_size(WindowSize { rows, columns });
        }
        Ok(Command::new(command))
    }
}

fn text(bytes: &PyBackedBytes) -> &OsStr {
    OsStr::from_bytes(bytes)
}

#[pymethods]
impl Command {
    /// Starts the command, or returns `None` if its pool has no free place. `waited` is the time in
    /// seconds since the first attempt was refused.
    fn try_spawn(&self, py: Python<'_>, waited: f64) -> PyResult<Option<Child>> {
        let mut command = self.take(py)?;
        let since = Duration::try_from_secs_f64(waited).ok().filter(|waited| !waited.is_zero());
        if let Some(since) = since.and_then(|waited| Instant::now().checked_sub(waited)) {
            command.refused_since(since);
        }
        match py.detach(|| command.try_spawn()).map_err(|error| raise(py, &error))? {
            Some(child) => Ok(Some(Child::new(child))),
            None => {
                self.put_back(command);
                Ok(None)
            }
        }
    }

    /// Runs the command to its end and records what it does.
    fn learn(&self, py: Python<'_>) -> PyResult<Known> {
        let mut command = self.take(py)?;
        let learned = py.detach(move || command.learn()).map_err(|error| raise(py, &error))?;
        let bytes = |bytes: &[u8]| PyBytes::new(py, bytes).unbind();
        Ok(Known {
            outcome: ending(&learned.output.outcome),
            stdout: bytes(&learned.output.stdout),
            stderr: bytes(&learned.output.stderr),
            calls: learned.calls.iter().map(|(call, count)| (call.to_string(), *count)).collect(),
            refused: learned.refused.iter().map(ToString::to_string).collect(),
            paths: learned.paths.iter().map(|path| bytes(path.as_os_str().as_bytes())).collect(),
            sandbox: Py::new(py, Sandbox::new(learned.sandbox()))?,
        })
    }
}

/// A dictionary with the keyword arguments of `seclude.Learned`.
#[derive(IntoPyObject)]
pub struct Known {
    outcome: Ending,
    stdout: Py<PyBytes>,
    stderr: Py<PyBytes>,
    calls: Vec<(String, u64)>,
    refused: Vec<String>,
    paths: Vec<Py<PyBytes>>,
    sandbox: Py<Sandbox>,
}

/// One end of a pipe: the command's index in the list, and its descriptor.
type PipeEnd = (usize, i32);

/// Starts several commands at once, each pipe given as its writing end and its reading end. Returns
/// `None` if the pool did not have enough free places within `timeout` seconds.
#[pyfunction]
pub fn spawn_together(
    py: Python<'_>,
    commands: Vec<Py<Command>>,
    pipes: Vec<(PipeEnd, PipeEnd)>,
    timeout: f64,
) -> PyResult<Option<Vec<Child>>> {
    let timeout = duration(py, "timeout", timeout)?;
    let mut interaction = Interaction::new();
    for command in &commands {
        interaction.add(command.get().take(py)?);
    }
    for (from, to) in pipes {
        interaction.pipe(from, to);
    }
    match py.detach(|| interaction.spawn_timeout(timeout)).map_err(|error| raise(py, &error))? {
        Some(children) => Ok(Some(children.into_iter().map(Child::new).collect())),
        None => {
            commands
                .iter()
                .zip(interaction.into_commands())
                .for_each(|(command, core)| command.get().put_back(core));
            Ok(None)
        }
    }
}
