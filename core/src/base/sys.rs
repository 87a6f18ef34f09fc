//! Safe wrappers for the system calls that no crate in use wraps.
//!
//! This is one of the few modules that may contain `unsafe` code. It is longer than 400 lines so
//! that they stay few.
#![allow(unsafe_code)]

pub mod attributes;
pub mod loop_device;
pub mod mount;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::MFdFlags;
use nix::sys::time::TimeSpec;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Makes a file in memory: `memfd_create(2)`. Before 2.27, glibc has no function of that name.
///
/// # Errors
///
/// The error of `memfd_create(2)`.
pub fn memfd_create(name: &CStr, flags: MFdFlags) -> nix::Result<OwnedFd> {
    // SAFETY: the pointer is to a string that ends with a zero byte.
    let number = unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags.bits()) };
    // SAFETY: the kernel has just created this descriptor, and nothing else owns it.
    Errno::result(number).map(|number| unsafe { OwnedFd::from_raw_fd(number as i32) })
}

/// Opens a pidfd of the calling process: `pidfd_open(2)`, Linux 5.3.
///
/// If a seccomp filter refuses that call, SO_PEERPIDFD (Linux 6.5) on a socket pair within this
/// process returns a pidfd of the process.
///
/// # Errors
///
/// The error of `pidfd_open(2)`, or EMFILE or ENFILE of the second way.
pub fn own_pidfd() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) };
    if number >= 0 {
        // SAFETY: the kernel has just created this descriptor, and nothing else owns it.
        return Ok(unsafe { OwnedFd::from_raw_fd(number as i32) });
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // Both errors come from a seccomp filter: the kernel itself never returns EPERM here, and
        // every supported kernel has the call.
        Some(libc::EPERM | libc::ENOSYS) => {
            own_pidfd_by_socket().map_err(|other| match other.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE) => other,
                _ => error,
            })
        }
        _ => Err(error),
    }
}

fn own_pidfd_by_socket() -> io::Result<OwnedFd> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let (socket, _other) = std::os::unix::net::UnixStream::pair()?;
    let mut number: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `number`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut number).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // `errno` is that of an earlier call where this one has succeeded.
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the kernel has just created this descriptor, close-on-exec as every pidfd.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The size of a page of memory: 4096 bytes on x86_64, up to 64 KiB on aarch64.
pub fn page_size() -> u64 {
    // SAFETY: takes a number only.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// Opens a pidfd of another process: `pidfd_open(2)`, Linux 5.3.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    match unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } {
        -1 => Err(io::Error::last_os_error()),
        number => Ok(own(number as i32)),
    }
}

/// Sends a signal to the process behind `pidfd`: `pidfd_send_signal(2)`, Linux 5.1.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers and a NULL siginfo pointer, which means a signal as kill(2) sends it.
    match unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<()>(),
            0,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The process id behind `pidfd`, as the caller sees it: PIDFD_GET_INFO, Linux 6.13.
pub fn pidfd_pid(pidfd: BorrowedFd<'_>) -> io::Result<u32> {
    /// `struct pidfd_info` in its first published size: mask, cgroup id, then pid.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        pid: u32,
        rest: [u32; 11],
    }
    const _: () = assert!(size_of::<Info>() == 64);
    /// _IOWR(0xFF, 11, struct pidfd_info)
    const PIDFD_GET_INFO: u64 = 3 << 30 | 64 << 16 | 0xFF << 8 | 11;
    let mut info = Info { mask: 1, ..Info::default() };
    // SAFETY: the kernel writes at most the 64 bytes that the request's number names.
    match unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) } {
        0 => Ok(info.pid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Borrows a descriptor of the caller's by its number, to duplicate it. If it is closed, its use
/// fails with EBADF.
pub fn borrow(number: i32) -> BorrowedFd<'static> {
    // The number -1 is no value of the type. Like every number beyond the limit, the largest one is
    // never open.
    let number = if number < 0 { i32::MAX } else { number };
    // SAFETY: the number is not -1; it is only passed to fcntl(2), which answers EBADF for a closed
    // one.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// The effective capabilities of the calling thread, as a bit mask: `capget(2)`.
pub fn effective_capabilities() -> io::Result<u64> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut sets = [0u32; 6];
    // SAFETY: version 3 of the call reads the header's 8 bytes and writes the 24 bytes of the sets.
    match unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) } {
        0 => Ok(u64::from(sets[0]) | u64::from(sets[3]) << 32),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets the effective capabilities of the calling thread, and keeps its other sets: `capset(2)`.
///
/// # Errors
///
/// The error number.
pub fn set_effective_capabilities(effective: u64) -> Result<(), i32> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut sets = [0u32; 6];
    // SAFETY: version 3 of the calls reads the header's 8 bytes, and writes, then reads, the 24
    // bytes of the sets.
    let result = unsafe {
        match libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) {
            0 => {
                (sets[0], sets[3]) = (effective as u32, (effective >> 32) as u32);
                libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr())
            }
            failed => failed,
        }
    };
    if result == 0 { Ok(()) } else { Err(Errno::last_raw()) }
}

/// Sets the supplementary groups of the calling thread only: `setgroups(2)`. libc's function sets
/// them for every thread.
///
/// # Errors
///
/// The error number.
pub fn set_thread_groups(groups: &[u32]) -> Result<(), i32> {
    // SAFETY: the kernel reads as many ids as the slice has.
    match unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) } {
        0 => Ok(()),
        _ => Err(Errno::last_raw()),
    }
}

/// Whether a file has this extended attribute: `getxattr(2)`.
pub fn has_attribute(path: &CStr, name: &CStr) -> io::Result<bool> {
    // SAFETY: both strings are NUL-terminated, and with a length of 0 the kernel writes nothing to
    // the NULL pointer.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) };
    match io::Error::last_os_error() {
        _ if length >= 0 => Ok(true),
        error if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EOPNOTSUPP)) => {
            Ok(false)
        }
        error => Err(error),
    }
}

/// The caller's hard limit on a resource, given by its RLIMIT number: `getrlimit(2)`.
pub fn hard_limit(resource: u32) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a struct of the size that the call writes. The number is unsigned
    // in glibc's declaration, and signed in musl's.
    match unsafe { libc::getrlimit(resource as _, &raw mut limit) } {
        0 => Ok(limit.rlim_max),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What is known about a process that has ended. Unknown parts are `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gone {
    /// The signal that killed the process, if a signal did.
    pub signal: Option<i32>,
    /// The user and system time of the process and of all descendants that were waited for.
    pub cpu: Option<(Duration, Duration)>,
}

/// Waits at most `patience` for a process to end, and reaps it if it is a child: `waitid(2)`.
///
/// `None` if the process has not ended. Nothing is known about its end if it is not a child, if the
/// caller ignores SIGCHLD, or if another thread has reaped it.
pub fn reap(pidfd: BorrowedFd<'_>, patience: Duration) -> Option<Gone> {
    let deadline = Instant::now().checked_add(patience);
    let ended = &mut [PollFd::new(pidfd, PollFlags::POLLIN)];
    loop {
        let left = deadline
            .map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let milliseconds = left.as_nanos().div_ceil(1_000_000);
        match poll(ended, PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if left.is_zero() => return None,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => break,
            Err(_) => return None,
        }
    }
    // SAFETY: all zeroes is a valid value of both types; the kernel writes at most one of each.
    let (result, status, usage) = unsafe {
        let (mut status, mut usage): (libc::siginfo_t, libc::rusage) = std::mem::zeroed();
        let options = libc::WEXITED | libc::__WALL | libc::WNOHANG;
        let fd = pidfd.as_raw_fd();
        (
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                fd,
                &raw mut status,
                options,
                &raw mut usage,
            ),
            status,
            usage,
        )
    };
    // Not a child (a template has started it), or already reaped.
    if result != 0 {
        return Some(Gone::default());
    }
    // SAFETY: waitid(2) has filled in the SIGCHLD fields.
    let (pid, number) = unsafe { (status.si_pid(), status.si_status()) };
    let killed = matches!(status.si_code, libc::CLD_KILLED | libc::CLD_DUMPED);
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    let cpu = (pid != 0).then(|| (time(usage.ru_utime), time(usage.ru_stime)));
    Some(Gone { signal: killed.then_some(number), cpu })
}

/// Receives a message and at most four descriptors from a socket: `recvmsg(2)`, `unix(7)`.
///
/// Returns the length of the message and the descriptors. The latter are `None` if no descriptor
/// number was free for one of them, which the kernel reports by MSG_CTRUNC. Those that did arrive
/// are then closed.
#[allow(
    clippy::unnecessary_cast,
    reason = "the lengths are of another type with another C library"
)]
pub fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Option<Vec<OwnedFd>>)> {
    const MOST: usize = 4;
    /// A control message with descriptors, aligned as the kernel requires.
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptors: [RawFd; MOST],
    }
    const _: () =
        assert!(size_of::<Control>() == size_of::<libc::cmsghdr>() + MOST * size_of::<RawFd>());
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all zeroes is a valid value of both types.
    let (mut control, mut message): (Control, libc::msghdr) = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    (message.msg_control, message.msg_controllen) =
        ((&raw mut control).cast(), size_of::<Control>() as _);
    // SAFETY: the kernel writes to `bytes` and `control`, no more than their sizes, and both
    // outlive the call.
    let length =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let is_rights = message.msg_controllen as usize >= size_of::<libc::cmsghdr>()
        && (control.header.cmsg_level, control.header.cmsg_type)
            == (libc::SOL_SOCKET, libc::SCM_RIGHTS);
    let count = if is_rights {
        (control.header.cmsg_len as usize - size_of::<libc::cmsghdr>()) / size_of::<RawFd>()
    } else {
        0
    };
    // Avoid the standard numbers: a caller that has closed these may open other streams there.
    let above = |fd: OwnedFd| if fd.as_raw_fd() < 3 { fd.try_clone().ok() } else { Some(fd) };
    let descriptors: Vec<Option<OwnedFd>> =
        control.descriptors.into_iter().take(count).map(|number| above(own(number))).collect();
    let descriptors: Option<Vec<OwnedFd>> = descriptors.into_iter().collect();
    Ok((length, descriptors.filter(|_| message.msg_flags & libc::MSG_CTRUNC == 0)))
}

/// Takes an exclusive lock on an open file, without waiting: `flock(2)`. `false`: another has one.
pub fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: takes numbers only.
    let done = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    match done {
        0 => Ok(true),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            error => Err(error),
        },
    }
}

/// Whether nobody else has a file open that this process has open for writing: only then is there a
/// write lease (fcntl(2)).
pub fn is_only_user(file: BorrowedFd<'_>) -> io::Result<bool> {
    let lease = |kind: i32| {
        // SAFETY: takes numbers only.
        match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) } {
            0 => Ok(true),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                error => Err(error),
            },
        }
    };
    Ok(lease(libc::F_WRLCK)? && lease(libc::F_UNLCK)?)
}

/// Releases a lock on an open file, also for duplicates of the descriptor: `flock(2)`.
pub fn unlock(file: BorrowedFd<'_>) {
    // SAFETY: takes numbers only.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// The number of bytes in a pipe: FIONREAD. 0 if that cannot be determined.
pub fn pending(pipe: BorrowedFd<'_>) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes one int.
    unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    usize::try_from(count).unwrap_or(0)
}

/// The window size of a terminal, as rows and columns: TIOCGWINSZ.
pub fn window_size(terminal: BorrowedFd<'_>) -> io::Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) } {
        0 => Ok((size.ws_row, size.ws_col)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets the window size of a terminal: TIOCSWINSZ.
pub fn set_window_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one `winsize`.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A system call that waits for the decision of a seccomp listener: `struct seccomp_notif`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SeccompNotification {
    pub id: u64,
    pub pid: u32,
    flags: u32,
    pub number: i32,
    pub architecture: u32,
    pub instruction: u64,
    pub arguments: [u64; 6],
}
const _: () = assert!(size_of::<SeccompNotification>() == 80);

/// Calls `ioctl(2)` on a seccomp listener. The request number encodes the size of `data`.
fn listener_ioctl<T>(listener: BorrowedFd<'_>, request: u32, data: &mut T) -> io::Result<i32> {
    assert_eq!(request >> 16 & 0x3fff, size_of::<T>() as u32);
    loop {
        // SAFETY: the kernel reads and writes at most the size in the request number, which the
        // assertion has compared with the size of `T`.
        match unsafe { libc::ioctl(listener.as_raw_fd(), request as _, &raw mut *data) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            result => return Ok(result),
        }
    }
}

/// Receives the next waiting call: SECCOMP_IOCTL_NOTIF_RECV, Linux 5.0.
pub fn seccomp_receive(listener: BorrowedFd<'_>) -> io::Result<SeccompNotification> {
    let mut notification = SeccompNotification::default();
    listener_ioctl(listener, 0xc050_2100, &mut notification)?;
    Ok(notification)
}

/// Answers a call with a return value or a negative error number: SECCOMP_IOCTL_NOTIF_SEND.
///
/// With flag 1 (SECCOMP_USER_NOTIF_FLAG_CONTINUE) the kernel executes the call instead.
pub fn seccomp_answer(
    listener: BorrowedFd<'_>,
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
) -> io::Result<()> {
    /// `struct seccomp_notif_resp`
    #[repr(C)]
    struct Answer {
        id: u64,
        value: i64,
        error: i32,
        flags: u32,
    }
    listener_ioctl(listener, 0xc018_2101, &mut Answer { id, value, error, flags }).map(drop)
}

/// Whether the process that made this call still waits: SECCOMP_IOCTL_NOTIF_ID_VALID.
pub fn seccomp_waits(listener: BorrowedFd<'_>, mut id: u64) -> bool {
    listener_ioctl(listener, 0x4008_2102, &mut id).is_ok()
}

/// Installs a copy of `fd` in the waiting process, and returns its number from the call:
/// SECCOMP_IOCTL_NOTIF_ADDFD, Linux 5.9.
///
/// Since Linux 5.14 the flag SECCOMP_ADDFD_FLAG_SEND does both atomically.
pub fn seccomp_answer_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    close_on_exec: bool,
) -> io::Result<i32> {
    /// `struct seccomp_notif_addfd`
    #[repr(C)]
    struct Added {
        id: u64,
        flags: u32,
        from: u32,
        to: u32,
        new_flags: u32,
    }
    const SEND: u32 = 2;
    let new_flags = if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 };
    let from = fd.as_raw_fd() as u32;
    let add = |flags: u32| {
        listener_ioctl(listener, 0x4018_2103, &mut Added { id, flags, from, to: 0, new_flags })
    };
    match add(SEND) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let number = add(0)?;
            seccomp_answer(listener, id, number.into(), 0, 0).map(|()| number)
        }
        result => result,
    }
}

/// Opens the user namespace that owns a namespace: NS_GET_USERNS of `ioctl_ns(2)`, Linux 4.9.
///
/// # Errors
///
/// EPERM if the owner is neither the caller's user namespace nor a descendant of it.
pub fn namespace_owner(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    namespace_ioctl(namespace, 0xb701)
}

/// Opens the parent of a pid or user namespace: NS_GET_PARENT of `ioctl_ns(2)`, Linux 4.9.
///
/// # Errors
///
/// EPERM if the parent is outside the caller's own namespace, or there is none.
pub fn namespace_parent(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    namespace_ioctl(namespace, 0xb702)
}

/// The kind of a namespace, as a clone flag: NS_GET_NSTYPE, Linux 4.11.
pub fn namespace_kind(namespace: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: takes numbers only, and returns a number.
    match unsafe { libc::ioctl(namespace.as_raw_fd(), 0xb703) } {
        -1 => Err(io::Error::last_os_error()),
        kind => Ok(kind as u64 & 0xffff_ffff),
    }
}

fn namespace_ioctl(namespace: BorrowedFd<'_>, request: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only, and returns a new descriptor.
    match unsafe { libc::ioctl(namespace.as_raw_fd(), request as _) } {
        -1 => Err(io::Error::last_os_error()),
        number => Ok(own(number)),
    }
}

/// The user id that created a user namespace, as the caller sees it: NS_GET_OWNER_UID, Linux 4.11.
pub fn namespace_owner_uid(namespace: BorrowedFd<'_>) -> io::Result<u32> {
    const NS_GET_OWNER_UID: u32 = 0xb704;
    let mut uid: libc::uid_t = 0;
    // SAFETY: the kernel writes one uid_t.
    match unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID as _, &raw mut uid) } {
        0 => Ok(uid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The ABI of Landlock (`landlock_create_ruleset(2)`); 0 if the kernel has none, or a filter hides
/// it.
pub fn landlock_abi() -> u32 {
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the call takes no attributes, and returns a number.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

/// Takes ownership of a descriptor that the kernel has just created.
pub fn own(number: i32) -> OwnedFd {
    // SAFETY: every caller passes a number that the kernel has just returned, and nothing else
    // owns.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Makes the empty file `to` share the blocks of `from`, which are copied when one is written to:
/// FICLONE, `ioctl_ficlone(2)`.
///
/// # Errors
///
/// EOPNOTSUPP or EXDEV if the file systems cannot.
pub fn share_blocks(from: &File, to: &File) -> nix::Result<()> {
    // SAFETY: the request takes a descriptor, by value.
    let result = unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) };
    Errno::result(result).map(drop)
}

/// Sets the time of the last modification of what a descriptor refers to, which may be a symbolic
/// link opened by O_PATH: `utimensat(2)` with AT_EMPTY_PATH, Linux 5.8.
///
/// # Errors
///
/// EINVAL before Linux 5.8.
pub fn set_modified(link: BorrowedFd<'_>, modified: &TimeSpec) -> nix::Result<()> {
    let times = [*TimeSpec::UTIME_OMIT.as_ref(), *modified.as_ref()];
    // SAFETY: the kernel reads both times, and the path ends with a zero byte.
    let result = unsafe {
        libc::utimensat(link.as_raw_fd(), c"".as_ptr(), times.as_ptr(), libc::AT_EMPTY_PATH)
    };
    Errno::result(result).map(drop)
}
