//! Opens descriptors of namespaces by process, path or kind, and keeps namespaces by a mount.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes;
use crate::base::sys;
use crate::host::socket::wait_readable;
use crate::policy::Namespace;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use nix::unistd::unlink;
use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Parses the number in a link such as `pid:[4026531836]`.
pub fn number(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// The error for a process that has ended.
pub fn gone(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, what.to_owned()).because("it has ended").errno(libc::ESRCH)
}

/// The file name of a kind in `/proc/PID/ns`.
pub fn file_name(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Mount => "mnt",
        kind => kind.name(),
    }
}

/// Opens the namespaces of these kinds that a process is in. Kinds that this kernel lacks are left
/// out.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if the process has ended. [`ErrorKind::NamespacesDenied`] if the caller
/// may not inspect it.
pub fn of_process(
    pid: u32,
    wanted: impl Fn(&Namespace) -> bool,
) -> Result<Vec<(Namespace, OwnedFd)>> {
    // The descriptor stays bound to this process. After its end nothing can be opened through it.
    let path = format!("/proc/{pid}");
    let process =
        open(&*path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| match errno {
                Errno::ENOENT => gone(&format!("process {pid}")).hint("there is no such process"),
                errno => Error::io(format!("open {path}"), errno).at(&path),
            })?;
    of_directory(process.as_fd(), pid, wanted)
}

/// Like [`of_process`], with `/proc/PID` already open.
///
/// # Errors
///
/// As [`of_process`].
pub fn of_directory(
    process: BorrowedFd<'_>,
    pid: u32,
    wanted: impl Fn(&Namespace) -> bool,
) -> Result<Vec<(Namespace, OwnedFd)>> {
    let mut found = Vec::new();
    for kind in Namespace::ALL.iter().copied().filter(wanted) {
        let path = format!("ns/{}", file_name(kind));
        match openat(process, &*path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(namespace) => found.push((kind, namespace)),
            Err(Errno::ENOENT)
                if openat(process, "stat", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
                    .is_ok() => {}
            Err(Errno::ENOENT | Errno::ESRCH) => return Err(gone(&format!("process {pid}"))),
            Err(errno @ (Errno::EACCES | Errno::EPERM)) => {
                return Err(Error::new(
                    ErrorKind::NamespacesDenied,
                    format!("open the {kind} namespace of process {pid}"),
                )
                .errno(errno as i32)
                .hint(
                    "the caller may not inspect that process: it must be its user, or root \
                    (ptrace(2))",
                ));
            }
            Err(errno) => return Err(Error::io(format!("open /proc/{pid}/{path}"), errno)),
        }
    }
    Ok(found)
}

/// Opens the namespaces of the process behind a pidfd, and of no other process.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if the caller does not see the process, or if it has ended. Otherwise as
/// [`of_process`].
pub fn of_pidfd(
    pidfd: &OwnedFd,
    wanted: impl Fn(&Namespace) -> bool,
) -> Result<Vec<(Namespace, OwnedFd)>> {
    let pid = processes::pid_of(pidfd)?.ok_or_else(|| {
        Error::invalid("pidfd", "is not a descriptor of a process that the caller sees")
    })?;
    let found = of_process(pid, wanted)?;
    // If the process still lives, the id was its own all the time.
    match wait_readable(&[pidfd.as_fd()], Some(Instant::now()))? {
        None => Ok(found),
        Some(_) => Err(gone(&format!("process {pid}"))),
    }
}

/// Opens the namespace at a path.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if the file is no namespace. Otherwise the error of the open.
pub fn at(path: &Path) -> Result<(Namespace, OwnedFd)> {
    let failed =
        |errno: Errno| Error::io(format!("open the namespace {}", path.display()), errno).at(path);
    // Check the file type before the real open: the path may name a FIFO or a device.
    let found = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)?;
    if fstatfs(&found).map_err(failed)?.filesystem_type() != NSFS_MAGIC {
        return Err(Error::invalid(
            format!("namespace {}", path.display()),
            "what stands there is none",
        )
        .at(path));
    }
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    let namespace =
        open(&*link, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)?;
    Ok((kind(namespace.as_fd(), &path.to_string_lossy())?, namespace))
}

/// The kind of the namespace behind a descriptor.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if the descriptor is no namespace.
pub fn kind(namespace: BorrowedFd<'_>, what: &str) -> Result<Namespace> {
    let flag = sys::namespace_kind(namespace).ok();
    let known =
        flag.and_then(|flag| Namespace::ALL.iter().find(|kind| kind.flag() == flag).copied());
    known.ok_or_else(|| Error::invalid(format!("namespace {what}"), "it is not a namespace"))
}

/// Whether the caller is in this namespace.
///
/// # Errors
///
/// An error if the namespace or the caller's own cannot be identified.
pub fn is_callers(kind: Namespace, namespace: BorrowedFd<'_>) -> Result<bool> {
    let id = fstat(namespace).map_err(|errno| Error::io("stat a namespace", errno))?.st_ino;
    let path = format!("/proc/thread-self/ns/{}", file_name(kind));
    let own =
        fs::read_link(&path).map_err(|error| Error::io(format!("read {path}"), error).at(&path))?;
    Ok(own.to_str().and_then(number) == Some(id))
}

/// Mounts a namespace on a new file, which keeps it alive.
///
/// # Errors
///
/// [`ErrorKind::NamespacesDenied`] if the mount fails. Otherwise the error of creating the file.
pub fn persist(namespace: &OwnedFd, path: &Path) -> Result<()> {
    let action = || format!("keep a namespace at {}", path.display());
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let file = file.map_err(|error| Error::io(action(), error).at(path))?;
    let by_descriptor = |fd: i32| PathBuf::from(format!("/proc/self/fd/{fd}"));
    let (source, target) = (by_descriptor(namespace.as_raw_fd()), by_descriptor(file.as_raw_fd()));
    mount(Some(&source), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(|errno| {
        let _ = unlink(path);
        let error = Error::new(ErrorKind::NamespacesDenied, action()).errno(errno as i32).at(path);
        match errno {
            Errno::EPERM => error.hint(
                "CAP_SYS_ADMIN over the caller's mount namespace is required: start as root, or \
                keep a descriptor",
            ),
            Errno::EINVAL => error.hint(
                "a mount namespace can only be kept by a mount that is private, in an older one \
                (mount_namespaces(7))",
            ),
            _ => error,
        }
    })
}

/// Removes such a mount and its file.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if no namespace is mounted there. Otherwise the error of the unmount.
pub fn release(path: &Path) -> Result<()> {
    let action = || format!("release the namespace at {}", path.display());
    let failed = |errno: Errno| Error::io(action(), errno).at(path);
    let found = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(failed)?;
    if fstatfs(&found).map_err(failed)?.filesystem_type() != NSFS_MAGIC {
        return Err(
            Error::invalid(format!("namespace {}", path.display()), "none is kept there").at(path)
        );
    }
    drop(found);
    umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).map_err(failed)?;
    unlink(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_number_in_a_link() {
        assert_eq!(number("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(number("pid:[]"), None);
        assert_eq!(number("pid:[12"), None);
        assert_eq!(number("/home"), None);
    }
}
