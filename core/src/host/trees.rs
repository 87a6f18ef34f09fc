//! Mount trees that the caller makes for a warden: idmapped ones, which only who may mount the file
//! system itself can make (mount_setattr(2)).
#![allow(unsafe_code)]

use crate::base::sys;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

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

/// What of a path is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A directory, read-only, without the mounts below it.
    Layer,
    /// A directory, without the mounts below it.
    Directory,
    /// All that is there. With `follow`, also behind symbolic links in the path.
    All { follow: bool },
}

/// Copies the mount at `path`, attached nowhere. In the copy, each file belongs to the id to which
/// the user namespace `users` maps the owner's number. Linux 5.12; in an overlay 5.19.
///
/// # Errors
///
/// EINVAL if the file system cannot be idmapped, and EPERM if the caller may not.
pub fn idmapped(path: &Path, users: BorrowedFd<'_>, shape: Shape) -> io::Result<OwnedFd> {
    let (directory, below) = match shape {
        Shape::Layer | Shape::Directory => (OFlag::O_DIRECTORY, 0),
        Shape::All { .. } => (OFlag::empty(), AT_RECURSIVE),
    };
    let refused = match shape {
        Shape::All { follow: false } => ResolveFlag::RESOLVE_NO_SYMLINKS,
        _ => ResolveFlag::RESOLVE_NO_MAGICLINKS,
    };
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC | directory).resolve(refused);
    let source = openat2(AT_FDCWD, path, how)?;
    let empty = c"".as_ptr();
    let flags = libc::AT_EMPTY_PATH | below;
    let how = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | flags as u32;
    // SAFETY: the path is a text that ends with a NUL, and the kernel checks all numbers.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), empty, how) };
    let tree = sys::own(Errno::result(tree)? as i32);
    let read_only = if shape == Shape::Layer { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let change = MountAttributes {
        set: libc::MOUNT_ATTR_IDMAP | read_only,
        clear: 0,
        propagation: libc::MS_PRIVATE,
        users: users.as_raw_fd() as u64,
    };
    let size = size_of::<MountAttributes>();
    // SAFETY: `change` has the layout and the size that the call expects, and outlives it.
    let done = unsafe {
        let (call, change) = (libc::SYS_mount_setattr, &raw const change);
        libc::syscall(call, tree.as_raw_fd(), empty, flags, change, size)
    };
    Errno::result(done)?;
    Ok(tree)
}
