//! Where copies go: to files and directories of the caller or of a sandbox, into memory, or
//! elsewhere.

use super::Contents;
use crate::base::error::Result;
use nix::sys::stat::{FileStat, Mode};
use nix::sys::time::TimeSpec;
use std::ffi::{CStr, CString};
use std::path::Path;

/// The properties of an entry that its copy is to have.
#[derive(Debug, Clone, Copy)]
pub struct Attributes {
    /// The permission bits.
    pub mode: Mode,
    /// The time of its last modification.
    pub modified: Option<TimeSpec>,
}

impl Attributes {
    /// The set-user-id, set-group-id and sticky bits are not copied.
    pub(super) fn of(status: &FileStat, with_time: bool) -> Attributes {
        let time = || TimeSpec::new(status.st_mtime, status.st_mtime_nsec);
        Attributes {
            mode: Mode::from_bits_truncate(status.st_mode & 0o777),
            modified: with_time.then(time),
        }
    }
}

/// Receives a tree, entry by entry, with the rights of the copy's writer. `at` is the path that
/// errors name. After an error only [`Sink::undo`] is called.
pub trait Sink {
    /// Begins a directory. What follows belongs into it, until [`Sink::leave`].
    fn enter(&mut self, at: &Path, name: &CString) -> Result<()>;

    /// Ends the directory that was begun last, and sets its attributes.
    fn leave(&mut self, at: &Path, attributes: &Attributes) -> Result<()>;

    /// Takes a file. `contents` counts what is taken from it.
    fn file(
        &mut self,
        name: &CString,
        contents: &mut Contents<'_>,
        attributes: &Attributes,
    ) -> Result<()>;

    /// Takes a symbolic link. Called only if the rules have links copied.
    fn link(
        &mut self,
        at: &Path,
        name: &CString,
        target: &CStr,
        attributes: &Attributes,
    ) -> Result<()>;

    /// Removes what has been made.
    fn undo(&mut self);
}
