//! What the other faces are made from: every name that a policy, a limit or an outcome has, with its documentation.
//!
//! `faces` (a crate of this repository) reads it and writes the parts of C, Python and the documentation that say the
//! same. It is no part of the API.

pub use crate::outcome::FIGURES;

/// A figure of [`Usage`](crate::Usage).
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name in Rust and Python.
    pub name: &'static str,
    /// `time`, `bytes` or `count`; with `_if_known` behind it where it may be missing.
    pub kind: &'static str,
    /// Its documentation, one line after the other.
    pub doc: &'static str,
}
