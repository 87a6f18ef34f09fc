//! Files that go in and out while it is alive.

use super::Alive;
use crate::error::{Error, Result};
use crate::policy::check_inside;
use crate::transfer::{self, Copied, Transfer};
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Alive {
    pub fn copy_out(&self, inside: impl AsRef<Path>, to: impl AsRef<Path>, transfer: &Transfer) -> Result<Copied> {
        let root = self.root()?;
        let (parent, name) = transfer::split(to.as_ref())?;
        transfer.run((root.as_fd(), within(inside.as_ref())?), (transfer::open_directory(parent)?.as_fd(), &name), None)
    }

    pub fn copy_in(&self, from: impl AsRef<Path>, inside: impl AsRef<Path>, transfer: &Transfer) -> Result<Copied> {
        let root = self.root()?;
        let (base, source) = transfer::split(from.as_ref())?;
        let (parent, name) = transfer::split(inside.as_ref())?;
        let action = || format!("find {} inside", parent.display());
        let directory = transfer::find(root.as_fd(), within(parent)?, OFlag::O_PATH | OFlag::O_DIRECTORY)
            .map_err(|errno| Error::io(action(), errno))?;
        let base = transfer::open_directory(base)?;
        transfer.run((base.as_fd(), Path::new(OsStr::from_bytes(source.to_bytes()))), (directory.as_fd(), &name), self.owner)
    }

    /// The sandbox's root, as its warden has it.
    fn root(&self) -> Result<OwnedFd> {
        let ended = || Error::invalid("files of the sandbox", "it has ended, and they are gone");
        let root = transfer::open_directory(Path::new(&format!("/proc/{}/root", self.warden.pid())));
        // Its number means the warden only while it has not been reaped.
        if self.warden.is_alive()? { root } else { Err(ended()) }
    }
}

/// An absolute path inside, relative to the root.
fn within(path: &Path) -> Result<&Path> {
    check_inside("path", path)?;
    Ok(path.strip_prefix("/").ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}
