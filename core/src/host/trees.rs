//! Idmapped mount trees, which the caller makes for a warden. Only a process that may mount the
//! file system itself can make them (mount_setattr(2)).

use crate::base::sys::mount;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The part of the tree at a path that is copied.
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
    let all = matches!(shape, Shape::All { .. });
    let directory = if all { OFlag::empty() } else { OFlag::O_DIRECTORY };
    let refused = match shape {
        Shape::All { follow: false } => ResolveFlag::RESOLVE_NO_SYMLINKS,
        _ => ResolveFlag::RESOLVE_NO_MAGICLINKS,
    };
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC | directory).resolve(refused);
    let source = openat2(AT_FDCWD, path, how)?;
    let tree = mount::copy_tree(source.as_fd(), all)?;
    mount::set_idmap(tree.as_fd(), users, shape == Shape::Layer, all)?;
    Ok(tree)
}
