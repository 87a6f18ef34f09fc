//! Files that go in and out while it is alive.

use super::Alive;
use crate::base::error::{Error, Result};
use crate::policy::check_inside;
use crate::run::transfer::{self, Copied, Side, Transfer, path_of};
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
        // What the user inside may not read is not to come out in its name: it may have moved it
        // here.
        transfer.run(self.side(inside.as_ref())?, to)
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
        transfer.run(from, self.side(inside.as_ref())?)
    }

    fn side<'a>(&self, inside: &'a Path) -> Result<Side<'a>> {
        Ok(Side {
            path: within(inside)?,
            shown: inside,
            directory: self.root()?,
            owner: self.owner,
        })
    }

    /// The sandbox's root, as its warden has it.
    fn root(&self) -> Result<OwnedFd> {
        let ended = || Error::invalid("files of the sandbox", "it has ended, and they are gone");
        let root =
            transfer::open_directory(Path::new(&format!("/proc/{}/root", self.warden.pid())));
        // Its number means the warden only while it has not been reaped.
        if self.warden.is_alive()? { root } else { Err(ended()) }
    }
}

/// An absolute path inside, relative to the root.
fn within(path: &Path) -> Result<&Path> {
    check_inside("path", path)?;
    Ok(path
        .strip_prefix("/")
        .ok()
        .filter(|rest| !rest.as_os_str().is_empty())
        .unwrap_or(Path::new(".")))
}
