//! Copying files out of and into the sandbox of a running command.

use super::Child;
use crate::base::error::{Error, Result};
use crate::run::alive::Alive;
use crate::run::transfer::{Copied, Transfer};
use std::path::Path;

/// # Files
impl Child {
    /// Copies a file or tree out of the running sandbox, from the absolute path `inside` to `to`.
    /// `to` must not exist yet.
    ///
    /// This works like [`Transfer::copy`] with the sandbox's root as the base. A privileged caller
    /// reads with the rights of the sandbox's user. Programs inside may change the files meanwhile;
    /// [`Child::freeze`] prevents that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the command has ended, if a path is not
    /// allowed or if a bound of `transfer` is exceeded. [`ErrorKind::Io`](crate::ErrorKind::Io) if
    /// a file cannot be read or written.
    pub fn copy_out(
        &self,
        inside: impl AsRef<Path>,
        to: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.running_sandbox()?.copy_out(inside, to, transfer)
    }

    /// Copies a file or tree of the caller's into the running sandbox, to the absolute path
    /// `inside`. `inside` must not exist yet.
    ///
    /// The copy is made with the rights of the sandbox's user, so it needs a directory that the
    /// command may write to. The command owns the copies.
    ///
    /// # Errors
    ///
    /// The same as for [`Child::copy_out`].
    pub fn copy_in(
        &self,
        from: impl AsRef<Path>,
        inside: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.running_sandbox()?.copy_in(from, inside, transfer)
    }

    fn running_sandbox(&self) -> Result<&Alive> {
        match self.outcome {
            Some(_) => {
                Err(Error::invalid("files of the sandbox", "it has ended, and they are gone")
                    .hint("name files before the start, to collect them after the end"))
            }
            None => Ok(&self.alive),
        }
    }
}
