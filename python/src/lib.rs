//! The Python face of seclude: the native half, thin by intent.
//!
//! Only what needs the core is here: a policy read and written, a command started, a child asked and told. Streams,
//! waiting, text and the manners of `subprocess` are Python's own, in `seclude/*.py`. Nothing here holds the GIL while the
//! core waits for another process, and nothing waits long: Python polls the pidfd, so that Ctrl-C works.
#![deny(unsafe_code)]

use pyo3::prelude::*;

mod cell;
mod child;
mod command;
mod descriptor;
mod doctor;
mod error;
mod join;
mod listener;
mod namespaces;
mod outcome;
mod pool;
mod sandbox;
mod time;
mod transfer;

/// The native half of the package.
#[pymodule(gil_used = false)]
mod _seclude {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::cell::Cell;
    #[pymodule_export]
    use crate::child::Child;
    #[pymodule_export]
    use crate::command::{Command, spawn_together};
    #[pymodule_export]
    use crate::doctor::doctor;
    #[pymodule_export]
    use crate::error::system_error;
    #[pymodule_export]
    use crate::join::{Joined, cells, enter, persist, release};
    #[pymodule_export]
    use crate::listener::{Listener, Notification};
    #[pymodule_export]
    use crate::namespaces::namespaces;
    #[pymodule_export]
    use crate::pool::Pool;
    #[pymodule_export]
    use crate::sandbox::Sandbox;
    #[pymodule_export]
    use crate::transfer::copy;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
