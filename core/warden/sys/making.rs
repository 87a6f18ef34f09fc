//! Files as an image describes them, which the unpacker makes (core/unpacker).

use super::number as nr;
use super::{AT_SYMLINK_NOFOLLOW, Errno, Fd, Result, done};
use core::ffi::CStr;

const AT_REMOVEDIR: u32 = 0x200;
const S_IFIFO: u32 = 0o010000;

impl Errno {
    pub const EISDIR: Errno = Errno(21);
}

/// Makes another name for a file. A link is not followed.
pub fn hard_link(from: i32, name: &CStr, directory: i32, new: &CStr) -> Result<()> {
    done(call!(nr::LINKAT, from, name.as_ptr(), directory, new.as_ptr(), 0))
}

pub fn make_fifo(directory: i32, name: &CStr, mode: u32) -> Result<()> {
    done(call!(nr::MKNODAT, directory, name.as_ptr(), S_IFIFO | mode, 0))
}

pub fn remove_directory(directory: i32, name: &CStr) -> Result<()> {
    done(call!(nr::UNLINKAT, directory, name.as_ptr(), AT_REMOVEDIR))
}

/// Changes the mode of an open file or directory.
pub fn set_mode(fd: &Fd, mode: u32) -> Result<()> {
    done(call!(nr::FCHMOD, fd.0, mode))
}

/// Changes the user and the group of a name, of a link too.
pub fn set_owner(directory: i32, name: &CStr, (uid, gid): (u32, u32)) -> Result<()> {
    done(call!(nr::FCHOWNAT, directory, name.as_ptr(), uid, gid, AT_SYMLINK_NOFOLLOW))
}

/// Sets the time of the last change of a name, of a link too.
pub fn set_time(directory: i32, name: &CStr, seconds: i64, nanoseconds: u32) -> Result<()> {
    let time = [seconds, i64::from(nanoseconds)];
    let times = [time, time];
    done(call!(nr::UTIMENSAT, directory, name.as_ptr(), times.as_ptr(), AT_SYMLINK_NOFOLLOW))
}

/// Sets an extended attribute of an open file or directory.
pub fn set_attribute_of(fd: &Fd, name: &CStr, value: &[u8]) -> Result<()> {
    done(call!(nr::FSETXATTR, fd.0, name.as_ptr(), value.as_ptr(), value.len(), 0))
}

/// Reads an extended attribute of an open file or directory. Returns its length.
pub fn attribute_of(fd: &Fd, name: &CStr, value: &mut [u8]) -> Result<usize> {
    call!(nr::FGETXATTR, fd.0, name.as_ptr(), value.as_mut_ptr(), value.len())
}
