//! Why mount trees of the caller's could not be shown: layers of overlays, and idmapped binds.

use crate::base::error::{Error, ErrorKind};
use crate::base::step::Step;
use std::io;
use std::path::Path;

/// The caller could not make the mount tree of a layer.
pub fn of_layer(path: &Path, error: io::Error) -> Error {
    if error.raw_os_error() == Some(libc::ENOTDIR) {
        return Error::new(ErrorKind::Invalid, action(path))
            .errno(libc::ENOTDIR)
            .at(path)
            .hint("a layer is a directory")
            .during(Step::Overlay);
    }
    of_tree(path, error).during(Step::Overlay)
}

/// The caller could not make the mount tree of an idmapped bind.
pub fn of_bind(path: &Path, error: io::Error) -> Error {
    of_tree(path, error).during(Step::Bind)
}

fn action(path: &Path) -> String {
    format!("show {} with the sandbox's ids", path.display())
}

fn of_tree(path: &Path, error: io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let shown = path.display();
    let (kind, hint) = match errno {
        libc::ENOENT | libc::ENOTDIR => (
            ErrorKind::SourceMissing,
            format!("{shown} does not exist, as the caller sees it: make it"),
        ),
        libc::ELOOP => (
            ErrorKind::SourceMissing,
            format!(
                "a part of {shown} is a symbolic link, and is not to be followed (nofollow), or \
                they lead in a circle"
            ),
        ),
        libc::EACCES => (ErrorKind::SourceUnreadable, format!("the caller may not reach {shown}")),
        libc::EPERM => (
            ErrorKind::NamespacesDenied,
            format!(
                "only a process that may mount its file system can (mount_setattr(2)), and none in a \
                container may: start as an unprivileged user who owns {shown}, or outside"
            ),
        ),
        libc::EINVAL => (
            ErrorKind::Unsupported,
            format!(
                "the file system of {shown}, or of a mount below it, has no idmapped mounts: use \
                ext4, xfs, btrfs (Linux 5.15) or a tmpfs (6.3)"
            ),
        ),
        libc::ENOSYS => (
            ErrorKind::Unsupported,
            "idmapped mounts need Linux 5.12: start as an unprivileged user instead".into(),
        ),
        _ => return Error::io(action(path), error).at(path),
    };
    Error::new(kind, action(path)).errno(errno).at(path).hint(hint)
}

/// What the kernel's refusal to mount an overlay means, and what helps.
pub fn explain(errno: i32) -> (ErrorKind, Option<String>) {
    let (kind, hint) = match errno {
        libc::EPERM => (
            ErrorKind::Unsupported,
            "an overlay in a user namespace needs Linux 5.11: use a kernel that has it, or show \
            the directory read-only (root)",
        ),
        libc::EOPNOTSUPP => (
            ErrorKind::Unsupported,
            "the changes need a file system that keeps attributes of users: a tmpfs from Linux 6.6 \
            on (CONFIG_TMPFS_XATTR), ext4, xfs or btrfs. Keep them in a directory (kept), or show \
            the directory read-only (root)",
        ),
        libc::ENODEV => (
            ErrorKind::Unsupported,
            "this kernel has no overlay file system: load its module (modprobe overlay)",
        ),
        libc::EINVAL => (
            ErrorKind::Setup,
            "the kernel takes no such layer, or not with the ids of a sandbox (Linux 5.19): a \
            layer must be on a local file system, be in no other layer, and have no mounts below \
            it",
        ),
        libc::ENOTDIR => (ErrorKind::Invalid, "a layer is a directory"),
        libc::EACCES => (
            ErrorKind::SourceUnreadable,
            "the command's user may not enter a layer, or not write where the changes are kept",
        ),
        libc::ELOOP => (
            ErrorKind::Invalid,
            "/proc and /dev are links there, and the sandbox's own would be mounted elsewhere: \
            make them directories",
        ),
        _ => (ErrorKind::Setup, "the kernel's log says why (dmesg)"),
    };
    (kind, Some(hint.into()))
}
