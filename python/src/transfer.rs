//! Copies files and trees out of and into directories that a hostile program may have filled.

use crate::error::raise;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use seclude_core::{Copied, CopyProgress, Result, Transfer};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The bounds: bytes, files and directories, whether special files are left out, and whether links
/// and times are kept.
pub type Bounds = (u64, u64, bool, bool);
/// The result: files and directories, bytes, and the paths that were left out.
pub type Done = (u64, u64, Vec<Py<PyBytes>>);

pub fn transfer((bytes, entries, skip, archive): Bounds) -> Transfer {
    let transfer = Transfer::new().max_bytes(bytes).max_entries(entries);
    let transfer = if skip { transfer.skip_special() } else { transfer };
    if archive { transfer.archive() } else { transfer }
}

/// Runs `copy` without the GIL, and meanwhile Python's signal handlers and the caller's function
/// now and then, in this thread. An exception of either cancels the copy and is raised.
pub fn watched(
    py: Python<'_>,
    bounds: Bounds,
    progress: Option<Py<PyAny>>,
    copy: impl FnOnce(Python<'_>, &Transfer) -> PyResult<Result<Copied>>,
) -> PyResult<Done> {
    let raised = Arc::new(Mutex::new(None));
    let raise_later = raised.clone();
    let transfer = transfer(bounds).progress(move |so_far: &CopyProgress| {
        let told = Python::try_attach(|py| {
            py.check_signals()?;
            match &progress {
                Some(progress) => progress.call1(py, (so_far.entries, so_far.bytes)).map(drop),
                None => Ok(()),
            }
        });
        match told {
            Some(Ok(())) => ControlFlow::Continue(()),
            Some(Err(error)) => {
                *raise_later.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                ControlFlow::Break(())
            }
            // The interpreter is ending.
            None => ControlFlow::Break(()),
        }
    });
    let result = copy(py, &transfer)?;
    match raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(error),
        None => done(py, result),
    }
}

pub fn path(bytes: &PyBackedBytes) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn done(py: Python<'_>, result: Result<Copied>) -> PyResult<Done> {
    let Copied { entries, bytes, skipped, .. } = result.map_err(|error| raise(py, &error))?;
    let path = |path: &std::path::PathBuf| PyBytes::new(py, path.as_os_str().as_bytes()).unbind();
    Ok((entries, bytes, skipped.iter().map(path).collect()))
}

/// Copies a file or tree that lies below a directory.
#[pyfunction]
pub fn copy(
    py: Python<'_>,
    base: PyBackedBytes,
    source: PyBackedBytes,
    to: PyBackedBytes,
    bounds: Bounds,
    progress: Option<Py<PyAny>>,
) -> PyResult<Done> {
    watched(py, bounds, progress, |py, transfer| {
        Ok(py.detach(|| transfer.copy(path(&base), path(&source), path(&to))))
    })
}
