//! What an overlay has on the disk: how it hides what is below, and what its layers show together.
//!
//! An overlay hides what is below it by a device node 0, 0 in the place of what was removed, and by
//! an attribute of a directory that was removed and made again (overlayfs.rst in the kernel's
//! documentation).

use super::reach::Reach;
use crate::base::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// The attribute of a directory that hides what is below it.
const OPAQUE: &CStr = c"user.overlay.opaque";

/// The layers below changes, for comparison.
pub struct Lower {
    /// The topmost first.
    layers: Vec<OwnedFd>,
    reach: Reach,
}

impl Lower {
    /// Opens the layers at these paths, the lowest first.
    pub fn open(paths: &[PathBuf], reach: Reach) -> Result<Lower> {
        let open = |path: &PathBuf| super::blobs::open(path, libc::O_DIRECTORY).map(OwnedFd::from);
        Ok(Lower { layers: paths.iter().rev().map(open).collect::<Result<_>>()?, reach })
    }

    /// The status of what the layers show at a path. `None` if nothing is there.
    pub fn find(&self, path: &[u8]) -> Result<Option<FileStat>> {
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        let found = self.directories(above).and_then(|directories| {
            if name.is_empty() {
                return directories.first().map(fstat).transpose();
            }
            let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
            for directory in &directories {
                match self.reach.status(directory, &name) {
                    Err(Errno::ENOENT) => {}
                    Err(errno) => return Err(errno),
                    Ok(status) if is_whiteout(&status) => return Ok(None),
                    Ok(status) => return Ok(Some(status)),
                }
            }
            Ok(None)
        });
        found.map_err(|errno| Self::failed(path, errno))
    }

    /// The names in a directory of the layers.
    pub fn names(&self, path: &[u8]) -> Result<Vec<CString>> {
        let directories = self.directories(path).map_err(|errno| Self::failed(path, errno))?;
        let mut names: BTreeMap<CString, bool> = BTreeMap::new();
        for directory in directories {
            let found = self.reach.names(&directory);
            for name in found.map_err(|errno| Self::failed(path, errno))? {
                let status = self.reach.status(&directory, &name);
                let status = status.map_err(|errno| Self::failed(path, errno))?;
                names.entry(name).or_insert(!is_whiteout(&status));
            }
        }
        Ok(names.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect())
    }

    /// The directories that an overlay shows as one at a path.
    fn directories(&self, path: &[u8]) -> nix::Result<Vec<OwnedFd>> {
        let mut here = self
            .layers
            .iter()
            .map(|layer| self.reach.open(layer, c".", OFlag::O_DIRECTORY))
            .collect::<nix::Result<Vec<_>>>()?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
            let mut next = Vec::new();
            for directory in &here {
                match self.reach.status(directory, &name) {
                    Err(Errno::ENOENT) => {}
                    Err(errno) => return Err(errno),
                    Ok(status) if kind(&status) == SFlag::S_IFDIR => {
                        let opened = self.reach.open(directory, &name, OFlag::O_DIRECTORY)?;
                        let is_last = hides_lower(&self.reach, &opened)?;
                        next.push(opened);
                        if is_last {
                            break;
                        }
                    }
                    Ok(_) => break,
                }
            }
            here = next;
        }
        Ok(here)
    }

    fn failed(path: &[u8], errno: Errno) -> Error {
        let shown = String::from_utf8_lossy(path);
        Error::io(format!("read /{shown} of the layers"), io::Error::from(errno))
    }
}

pub fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT
}

pub fn error_number(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

pub fn is_whiteout(status: &FileStat) -> bool {
    kind(status) == SFlag::S_IFCHR && status.st_rdev == 0
}

pub fn hides_lower(reach: &Reach, directory: &OwnedFd) -> nix::Result<bool> {
    let value = reach.attribute(directory.as_fd(), OPAQUE)?;
    Ok(value.is_some_and(|value| value == b"y"))
}

pub fn open_at(at: &OwnedFd, name: &CStr, more: OFlag) -> nix::Result<OwnedFd> {
    openat(at.as_fd(), name, flags(more), Mode::empty())
}

/// The flags with which a file is opened to read it.
pub fn flags(more: OFlag) -> OFlag {
    OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | more
}
