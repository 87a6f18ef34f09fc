//! Why an overlay could not be set up.

use crate::base::error::{Error, ErrorKind};
use crate::base::step::Step;
use std::io;
use std::path::Path;

/// The caller could not make the mount tree of a layer.
pub fn of_tree(path: &Path, error: io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let shown = path.display();
    let failed = |kind: ErrorKind, hint: String| {
        Error::new(kind, format!("show the layer {shown} with the sandbox's ids"))
            .errno(errno)
            .at(path)
            .hint(hint)
    };
    match errno {
        libc::ENOENT => {
            failed(ErrorKind::SourceMissing, format!("{shown} does not exist: make it"))
        }
        libc::ENOTDIR => failed(ErrorKind::Invalid, "a layer is a directory".into()),
        libc::EACCES => {
            failed(ErrorKind::SourceUnreadable, format!("the caller may not reach {shown}"))
        }
        libc::EPERM => failed(
            ErrorKind::NamespacesDenied,
            format!(
                "only who may mount its file system can (mount_setattr(2)), and in a container \
                that is the host: start as an unprivileged user who owns {shown}, or outside"
            ),
        ),
        libc::EINVAL => failed(
            ErrorKind::Unsupported,
            format!(
                "the file system of {shown} has no idmapped mounts: use a directory on ext4, xfs, \
                btrfs or a tmpfs"
            ),
        ),
        libc::ENOSYS => failed(
            ErrorKind::Unsupported,
            "idmapped mounts need Linux 5.12: start as an unprivileged user instead".into(),
        ),
        _ => Error::io(format!("show the layer {shown} with the sandbox's ids"), error).at(path),
    }
    .during(Step::Overlay)
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
            "the changes are kept on a tmpfs, which takes the attributes of an overlay from \
            Linux 6.6 on (CONFIG_TMPFS_XATTR): use such a kernel, or show the directory \
            read-only (root)",
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
        libc::ELOOP => (
            ErrorKind::Invalid,
            "/proc and /dev are links there, and the sandbox's own would be mounted elsewhere: \
            make them directories",
        ),
        _ => (ErrorKind::Setup, "the kernel's log says why (dmesg)"),
    };
    (kind, Some(hint.into()))
}
