//! Where copies go: to files and directories of the caller or of a sandbox, or into memory.

use crate::base::error::Result;
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::path::Path;

/// Receives a tree, entry by entry. `at` is the path that errors name. After an error nothing more
/// is called.
pub trait Sink {
    /// Begins a directory. What follows belongs into it, until [`Sink::leave`].
    fn enter(&mut self, at: &Path, name: &CString) -> Result<()>;

    /// Ends the directory that was begun last, and sets its permissions.
    fn leave(&mut self, at: &Path, mode: Mode) -> Result<()>;

    /// Begins a file, which should have `length` bytes.
    fn begin(&mut self, at: &Path, name: &CString, length: u64) -> Result<()>;

    /// Appends to the file that was begun.
    fn write(&mut self, at: &Path, bytes: &[u8]) -> Result<()>;

    /// Ends the file, and sets its permissions.
    fn end(&mut self, at: &Path, mode: Mode) -> Result<()>;
}
