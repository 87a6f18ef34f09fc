//! Descriptors of namespaces: found by process, path or kind, and kept by a mount.

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

/// The number in `pid:[4026531836]`.
pub fn number(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// The error for what has ended.
pub fn gone(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, what.to_owned()).because("it has ended").errno(libc::ESRCH)
}

/// The name of a kind in `/proc/PID/ns`.
pub fn file_name(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Mount => "mnt",
        kind => kind.name(),
    }
}

/// The namespaces of these kinds that a process is in. The kinds that this kernel lacks are left
/// out.
pub fn of_process(
    pid: u32,
    wanted: impl Fn(&Namespace) -> bool,
) -> Result<Vec<(Namespace, OwnedFd)>> {
    // Bound to this process: when that ends, nothing more is found through it.
    let path = format!("/proc/{pid}");
    let process =
        open(&*path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| match errno {
                Errno::ENOENT => gone(&format!("process {pid}")).hint("there is no such process"),
                errno => Error::io(format!("open {path}"), errno).at(&path),
            })?;
    of_directory(process.as_fd(), pid, wanted)
}

/// The same by `/proc/PID`, opened.
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
                return Err(Error::new(ErrorKind::NamespacesDenied, format!("open the {kind} namespace of process {pid}"))
                    .errno(errno as i32)
                    .hint("the caller may not look into that process: it takes to be its user, or root (ptrace(2))"));
            }
            Err(errno) => return Err(Error::io(format!("open /proc/{pid}/{path}"), errno)),
        }
    }
    Ok(found)
}

/// The namespaces of the process behind a pidfd, and of no other.
pub fn of_pidfd(
    pidfd: &OwnedFd,
    wanted: impl Fn(&Namespace) -> bool,
) -> Result<Vec<(Namespace, OwnedFd)>> {
    let pid = processes::pid_of(pidfd)?.ok_or_else(|| {
        Error::invalid("pidfd", "is no descriptor of a process that the caller sees")
    })?;
    let found = of_process(pid, wanted)?;
    // It was that process all the time, if it still lives.
    match wait_readable(&[pidfd.as_fd()], Some(Instant::now()))? {
        None => Ok(found),
        Some(_) => Err(gone(&format!("process {pid}"))),
    }
}

/// The namespace that a path leads to.
pub fn at(path: &Path) -> Result<(Namespace, OwnedFd)> {
    let failed =
        |errno: Errno| Error::io(format!("open the namespace {}", path.display()), errno).at(path);
    // Looked at before it is opened: anything may stand there.
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
pub fn kind(namespace: BorrowedFd<'_>, what: &str) -> Result<Namespace> {
    let flag = sys::namespace_kind(namespace).ok();
    let known =
        flag.and_then(|flag| Namespace::ALL.iter().find(|kind| kind.flag() == flag).copied());
    known.ok_or_else(|| Error::invalid(format!("namespace {what}"), "it is none"))
}

/// Whether the caller is in it.
pub fn is_callers(kind: Namespace, namespace: BorrowedFd<'_>) -> Result<bool> {
    let id = fstat(namespace).map_err(|errno| Error::io("stat a namespace", errno))?.st_ino;
    let path = format!("/proc/thread-self/ns/{}", file_name(kind));
    let own =
        fs::read_link(&path).map_err(|error| Error::io(format!("read {path}"), error).at(&path))?;
    Ok(own.to_str().and_then(number) == Some(id))
}

/// Mounts a namespace at a new file.
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
            Errno::EPERM => {
                error.hint("it takes CAP_SYS_ADMIN over the caller's mount namespace: start as root, or hold a descriptor")
            }
            Errno::EINVAL => {
                error.hint("a mount namespace can only be kept by a mount that is private, in an older one (mount_namespaces(7))")
            }
            _ => error,
        }
    })
}

/// Takes such a mount and its file away.
pub fn release(path: &Path) -> Result<()> {
    let action = || format!("let go of the namespace at {}", path.display());
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
    fn a_link_names_a_number() {
        assert_eq!(number("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(number("pid:[]"), None);
        assert_eq!(number("pid:[12"), None);
        assert_eq!(number("/home"), None);
    }
}
