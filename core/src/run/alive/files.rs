//! Copying files into and out of a running sandbox.

use super::Alive;
use crate::base::error::{Error, Result};
use crate::host::tree_copy;
use crate::policy::check_inside;
use crate::run::transfer::{self, Copied, Owner, Side, Transfer, path_of};
use std::os::fd::OwnedFd;
use std::path::Path;

impl Alive {
    pub fn copy_out(
        &self,
        inside: impl AsRef<Path>,
        to: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        let (parent, name) = transfer::split(to.as_ref())?;
        let to = Side {
            directory: transfer::open_directory(parent)?,
            path: path_of(&name),
            shown: to.as_ref(),
            owner: None,
        };
        // Read with the rights of the sandbox's user. Otherwise a program inside could move a file
        // here that it may not read, and get it out in the caller's name.
        tree_copy::copy(&transfer.rules, self.side(inside.as_ref())?, to)
    }

    pub fn copy_in(
        &self,
        from: impl AsRef<Path>,
        inside: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        let (base, name) = transfer::split(from.as_ref())?;
        let path = path_of(&name);
        let from =
            Side { directory: transfer::open_directory(base)?, path, shown: path, owner: None };
        transfer::split(inside.as_ref())?;
        tree_copy::copy(&transfer.rules, from, self.side(inside.as_ref())?)
    }

    fn side<'a>(&self, inside: &'a Path) -> Result<Side<'a>> {
        Ok(Side {
            path: within(inside)?,
            shown: inside,
            directory: self.root()?,
            owner: self.owner_of_files()?,
        })
    }

    /// The user with whose rights the caller reads and writes the sandbox's files.
    ///
    /// If that is a privileged caller itself ([`Sandbox::as_caller`](crate::Sandbox::as_caller)),
    /// it is the caller without its capabilities over files, which the command does not have.
    pub fn owner_of_files(&self) -> Result<Option<Owner>> {
        match self.owner {
            Some(owner) => Ok(Some(owner)),
            None => transfer::privileged_caller(),
        }
    }

    /// Opens the root directory of the sandbox's mount namespace.
    fn root(&self) -> Result<OwnedFd> {
        // Without namespaces it is the caller's own, and the caller may have no right to inspect
        // the warden.
        if self.sandbox.policy().confined.is_some() {
            return transfer::open_directory(Path::new("/"));
        }
        let ended = || Error::invalid("files of the sandbox", "it has ended, and they are gone");
        let root =
            transfer::open_directory(Path::new(&format!("/proc/{}/root", self.warden.pid())));
        // Check after opening: the pid is the warden's only until it is reaped.
        if self.warden.is_alive()? { root } else { Err(ended()) }
    }
}

/// Makes an absolute path inside relative to the root.
fn within(path: &Path) -> Result<&Path> {
    check_inside("path", path)?;
    Ok(path
        .strip_prefix("/")
        .ok()
        .filter(|rest| !rest.as_os_str().is_empty())
        .unwrap_or(Path::new(".")))
}
