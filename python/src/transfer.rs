//! Copies files and trees out of and into directories that a hostile program may have filled.

use crate::error::raise;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use seclude_core::{Copied, Result, Transfer};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The bounds: bytes, files and directories, and whether special files are left out.
pub type Bounds = (u64, u64, bool);
/// The result: files and directories, bytes, and the paths that were left out.
pub type Done = (u64, u64, Vec<Py<PyBytes>>);

pub fn transfer((bytes, entries, skip): Bounds) -> Transfer {
    let transfer = Transfer::new().max_bytes(bytes).max_entries(entries);
    if skip { transfer.skip_special() } else { transfer }
}

pub fn path(bytes: &PyBackedBytes) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

pub fn done(py: Python<'_>, result: Result<Copied>) -> PyResult<Done> {
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
) -> PyResult<Done> {
    let result = py.detach(|| transfer(bounds).copy(path(&base), path(&source), path(&to)));
    done(py, result)
}
