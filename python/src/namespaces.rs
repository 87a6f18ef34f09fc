//! The namespaces that the caller may see, as plain tuples. `seclude/namespace_list.py` gives them
//! names.

use crate::error::raise;
use crate::outcome::{Seen, seen};
use pyo3::prelude::*;
use seclude_core::{LiveNamespace, Namespaces, Process};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

/// The fields of `seclude.LiveNamespace`, in order, with processes as indices.
type Living = (
    &'static str,
    u64,
    Option<u64>,
    Option<u32>,
    Option<u64>,
    Vec<usize>,
    Vec<OsString>,
    Vec<String>,
);

/// The processes, each once, although several namespaces share it.
#[derive(Default)]
struct Processes {
    list: Vec<Seen>,
    places: BTreeMap<u32, usize>,
}

impl Processes {
    fn places(&mut self, processes: Vec<Arc<Process>>) -> Vec<usize> {
        let place = |process: Arc<Process>| {
            *self.places.entry(process.pid).or_insert_with(|| {
                self.list.push(seen(Arc::unwrap_or_clone(process)));
                self.list.len() - 1
            })
        };
        processes.into_iter().map(place).collect()
    }
}

/// Returns the processes, the visible namespaces, and the processes with unknown namespaces.
#[pyfunction]
pub fn namespaces(py: Python<'_>) -> PyResult<(Vec<Seen>, Vec<Living>, Vec<usize>)> {
    let Namespaces { list, closed, .. } =
        py.detach(seclude_core::namespaces).map_err(|error| raise(py, &error))?;
    let mut processes = Processes::default();
    let mut living = |namespace: LiveNamespace| {
        let LiveNamespace {
            kind,
            id,
            owner,
            owner_uid,
            parent,
            processes: within,
            held_by,
            addresses,
            ..
        } = namespace;
        (
            kind.name(),
            id,
            owner,
            owner_uid,
            parent,
            processes.places(within),
            held_by.into_iter().map(Into::into).collect(),
            addresses.iter().map(ToString::to_string).collect(),
        )
    };
    let list = list.into_iter().map(&mut living).collect();
    let closed = processes.places(closed);
    Ok((processes.list, list, closed))
}
