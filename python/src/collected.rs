//! The files that a command has left, as a plain dictionary. `seclude/collected.py` gives it names.

use crate::error::raise;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use seclude_core::Collected;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A dictionary. Each file is its path, its contents and its permissions.
#[derive(IntoPyObject)]
pub struct Left {
    files: Vec<(Py<PyBytes>, Py<PyBytes>, u32)>,
    entries: u64,
    bytes: u64,
    skipped: Vec<Py<PyBytes>>,
    unmatched: Vec<Py<PyBytes>>,
    error: Option<Py<PyBaseException>>,
}

pub fn left(py: Python<'_>, collected: Collected) -> Left {
    let Collected { files, entries, bytes, skipped, unmatched, error, .. } = collected;
    let text = |text: &OsStr| PyBytes::new(py, text.as_bytes()).unbind();
    // Each file's contents are freed when Python has its copy.
    let files = files.into_iter().map(|file| {
        (text(file.path.as_os_str()), PyBytes::new(py, &file.contents).unbind(), file.permissions)
    });
    Left {
        files: files.collect(),
        entries,
        bytes,
        skipped: skipped.iter().map(|path| text(path.as_os_str())).collect(),
        unmatched: unmatched.iter().map(|pattern| text(pattern)).collect(),
        error: error.map(|error| raise(py, &error).into_value(py)),
    }
}
