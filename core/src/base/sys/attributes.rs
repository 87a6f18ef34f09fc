//! The extended attributes of open files (xattr(7)).
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The longest list of names, and the longest value, that the kernel gives.
const LIST_MAX: usize = 64 * 1024;

/// The attributes that any user may set: those whose names begin with `user.`. None if the file
/// system keeps none. `read` reads the value of one, as [`attribute`] does.
pub fn user_attributes(
    file: BorrowedFd<'_>,
    read: impl Fn(&CStr) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let mut list = vec![0u8; LIST_MAX];
    // SAFETY: the buffer has the given length.
    let length = unsafe { libc::flistxattr(file.as_raw_fd(), list.as_mut_ptr().cast(), LIST_MAX) };
    let length = match Errno::result(length) {
        Err(Errno::EOPNOTSUPP) => return Ok(Vec::new()),
        length => length?.unsigned_abs(),
    };
    let names = list[..length].split_inclusive(|byte| *byte == 0);
    let names = names.filter(|name| name.starts_with(b"user."));
    let mut attributes = Vec::new();
    for name in names.filter_map(|name| CStr::from_bytes_with_nul(name).ok()) {
        if let Some(value) = read(name)? {
            attributes.push((name.to_owned(), value));
        }
    }
    Ok(attributes)
}

/// The value of one attribute; `None` if the file does not have it.
pub fn attribute(file: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0u8; LIST_MAX];
    // SAFETY: the name ends with a NUL, and the buffer has the given length.
    let length = unsafe {
        libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), LIST_MAX)
    };
    match Errno::result(length) {
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno.into()),
        Ok(length) => {
            value.truncate(length.unsigned_abs());
            Ok(Some(value))
        }
    }
}
