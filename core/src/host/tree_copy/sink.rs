//! Where copies go: to files and directories of the caller or of a sandbox, into memory, or
//! elsewhere.

use super::Contents;
use crate::base::error::Result;
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::path::Path;

/// Receives a tree, entry by entry, with the rights of the copy's writer. `at` is the path that
/// errors name. After an error only [`Sink::undo`] is called.
pub trait Sink {
    /// Begins a directory. What follows belongs into it, until [`Sink::leave`].
    fn enter(&mut self, at: &Path, name: &CString) -> Result<()>;

    /// Ends the directory that was begun last, and sets its permissions.
    fn leave(&mut self, at: &Path, mode: Mode) -> Result<()>;

    /// Takes a file with its contents and permissions. `contents` counts what is taken from it.
    fn file(&mut self, name: &CString, contents: &mut Contents<'_>, mode: Mode) -> Result<()>;

    /// Removes what has been made.
    fn undo(&mut self);
}
