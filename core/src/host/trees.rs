//! Mount trees that the caller makes for a warden: idmapped ones, which only who may mount the file
//! system itself can make (mount_setattr(2)).
#![allow(unsafe_code)]

use crate::base::sys;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The arguments of mount_setattr(2).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    users: u64,
}

/// Copies the mount at the directory `path`, without mounts below it, read-only and attached
/// nowhere. In the copy, each file belongs to the id to which the user namespace `users` maps the
/// owner's number. Linux 5.12; in an overlay 5.19.
///
/// # Errors
///
/// EINVAL if the file system cannot be idmapped, and EPERM if the caller may not.
pub fn idmapped(path: &Path, users: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const SET: u64 = libc::MOUNT_ATTR_IDMAP
        | libc::MOUNT_ATTR_RDONLY
        | libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let source = open(path, flags, Mode::empty())?;
    let (empty, at) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    let how = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | at as u32;
    // SAFETY: the path is a text that ends with a NUL, and the kernel checks all numbers.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), empty, how) };
    let tree = sys::own(nix::errno::Errno::result(tree)? as i32);
    let change =
        MountAttributes { set: SET, clear: 0, propagation: 0, users: users.as_raw_fd() as u64 };
    let size = size_of::<MountAttributes>();
    // SAFETY: `change` has the layout and the size that the call expects, and outlives it.
    let done = unsafe {
        libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), empty, at, &raw const change, size)
    };
    nix::errno::Errno::result(done)?;
    Ok(tree)
}
