//! The native extension of the Python package `seclude`.
//!
//! It holds only what needs the core: reading and writing policies, starting commands, and
//! inspecting and controlling them. Streams, waiting, text modes and the conventions of
//! `subprocess` are written in Python, in `seclude/*.py`.
//!
//! No function holds the GIL while the core waits for another process. No function waits long:
//! Python polls the pidfd, so that Ctrl-C works.
#![deny(unsafe_code)]

use pyo3::prelude::*;

mod cell;
mod child;
mod collected;
mod command;
mod descriptor;
mod doctor;
mod error;
mod image;
mod interpreter;
mod join;
mod listener;
mod namespaces;
mod network;
mod outcome;
mod pool;
mod sandbox;
mod time;
mod transfer;

/// The native extension module.
#[pymodule(gil_used = false)]
fn _seclude(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Must come first: the types below are made for the interpreter that adds them first.
    interpreter::main_only(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<cell::Cell>()?;
    module.add_class::<child::Child>()?;
    module.add_class::<command::Command>()?;
    module.add_class::<image::Image>()?;
    module.add_class::<join::Joined>()?;
    module.add_class::<listener::Listener>()?;
    module.add_class::<listener::Notification>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<pool::Pool>()?;
    module.add_class::<sandbox::Sandbox>()?;
    module.add_class::<image::Store>()?;
    module.add_function(wrap_pyfunction!(command::spawn_together, module)?)?;
    module.add_function(wrap_pyfunction!(doctor::doctor, module)?)?;
    module.add_function(wrap_pyfunction!(error::system_error, module)?)?;
    module.add_function(wrap_pyfunction!(join::cells, module)?)?;
    module.add_function(wrap_pyfunction!(join::enter, module)?)?;
    module.add_function(wrap_pyfunction!(join::persist, module)?)?;
    module.add_function(wrap_pyfunction!(join::release, module)?)?;
    module.add_function(wrap_pyfunction!(namespaces::namespaces, module)?)?;
    module.add_function(wrap_pyfunction!(time::size_of_text, module)?)?;
    module.add_function(wrap_pyfunction!(time::time_of_text, module)?)?;
    module.add_function(wrap_pyfunction!(transfer::copy, module)?)
}
