//! The sources: files, directories and devices of the caller, opened with the caller's rights.

use super::Mounts;
use crate::sys::{self, Call, Errno, Fd, Result, open};
use crate::walk::{self, Links};
use core::ffi::CStr;

impl Mounts<'_> {
    pub fn open_source(&mut self, path: &CStr, optional: bool, follow: bool) -> Result<()> {
        let opened = match follow {
            true => open_mounted(path),
            false => open_directory_or_file(|flags| walk::open_path(path, flags, Links::Refuse)),
        };
        match opened {
            Ok(fd) => self.known.push_source(Some(fd)),
            Err(Errno::ENOENT | Errno::ENOTDIR) if optional => self.known.push_source(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens a device node. The check of its number keeps a file of that name from taking its
    /// place.
    pub fn open_device(&mut self, path: &CStr, device: (u32, u32)) -> Result<()> {
        let fd = open_callers(path, open::PATH)?;
        let status = sys::status(fd.number(), c"")?;
        if !status.is_character_device() || status.device != device {
            return Err(Errno::ENODEV);
        }
        self.known.push_source(Some(fd))
    }

    pub fn source(&self, number: u32) -> Result<Option<i32>> {
        self.known.source(number)
    }

    pub fn check_readable(&self, number: u32) -> Result<()> {
        const READ: u32 = 4;
        const SEARCH: u32 = 1;
        let Some(fd) = self.source(number)? else { return Ok(()) };
        let status = sys::status(fd, c"")?;
        if status.is_directory() {
            sys::accessible(fd, SEARCH)
        } else if status.is_file() {
            sys::accessible(fd, READ)
        } else {
            Ok(())
        }
    }
}

/// Opens a path of the caller, including what is mounted there.
fn open_mounted(path: &CStr) -> Result<Fd> {
    open_directory_or_file(|flags| open_callers(path, flags))
}

/// Opens a directory with O_DIRECTORY, which makes an automount point mount. `O_PATH` alone does
/// not (open(2)).
///
/// ELOOP for an automount point if its mount does not reach this mount namespace. Without
/// O_DIRECTORY it could be opened and bound, but everything that enters it would fail with the same
/// error.
fn open_directory_or_file(open_by: impl Fn(u64) -> Result<Fd>) -> Result<Fd> {
    match open_by(open::PATH | open::DIRECTORY) {
        Err(Errno::ENOTDIR) => open_by(open::PATH),
        result => result,
    }
}

/// Whether this path of the caller is an automount point and its mount does not reach this mount
/// namespace.
pub fn is_automount_out_of_reach(path: &CStr) -> bool {
    open_mounted(path).err() == Some(Errno::ELOOP) && open_callers(path, open::PATH).is_ok()
}

/// Opens a path of the caller. Symlinks are followed, but not the links in `/proc` that lead to
/// open files.
fn open_callers(path: &CStr, flags: u64) -> Result<Fd> {
    match sys::open_resolved(sys::CWD, path, flags, sys::resolve::NO_MAGICLINKS) {
        Err(errno) if Call::OPENAT2.is_absent_after(errno) => {
            // The kernel walks the path once more, because it applies further rules to links in
            // sticky directories (proc_sys_fs(5)).
            drop(walk::walk_path(path, flags, Links::Follow)?);
            sys::open(sys::CWD, path, flags, 0)
        }
        result => result,
    }
}
