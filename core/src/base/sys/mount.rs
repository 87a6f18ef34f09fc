//! The calls that copy and idmap a mount.
#![allow(unsafe_code)]

use super::own;
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// AT_RECURSIVE of linux/fcntl.h, which the libc crate does not have for musl.
const AT_RECURSIVE: i32 = 0x8000;

/// The arguments of mount_setattr(2).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    users: u64,
}

fn flags(recursive: bool) -> i32 {
    libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 }
}

/// Copies the mount at a descriptor, with those below it if `recursive`. The copy is attached
/// nowhere: `open_tree(2)`.
pub fn copy_tree(source: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    let how = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | flags(recursive) as u32;
    // SAFETY: the path is a text that ends with a NUL, and the kernel checks all numbers.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), how) };
    Ok(own(Errno::result(tree)? as i32))
}

/// Has the owners of files in a copied mount translated by a user namespace, and makes the mount
/// read-only if asked: `mount_setattr(2)`.
pub fn set_idmap(
    tree: BorrowedFd<'_>,
    users: BorrowedFd<'_>,
    read_only: bool,
    recursive: bool,
) -> io::Result<()> {
    let change = MountAttributes {
        set: libc::MOUNT_ATTR_IDMAP | if read_only { libc::MOUNT_ATTR_RDONLY } else { 0 },
        clear: 0,
        propagation: libc::MS_PRIVATE,
        users: users.as_raw_fd() as u64,
    };
    let (call, size) = (libc::SYS_mount_setattr, size_of::<MountAttributes>());
    // SAFETY: `change` has the layout and the size that the call expects, and outlives it. The path
    // is a text that ends with a NUL.
    let done = unsafe {
        libc::syscall(
            call,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags(recursive),
            &raw const change,
            size,
        )
    };
    Errno::result(done)?;
    Ok(())
}
