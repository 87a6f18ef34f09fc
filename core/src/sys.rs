//! The system calls that no crate in use wraps, a borrowed standard descriptor, and the reaping of a process by its own.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A descriptor of the process `pid`: `pidfd_open(2)`, Linux 5.3.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}

/// Sends a signal to the process behind `pidfd`: `pidfd_send_signal(2)`, Linux 5.1.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers and a NULL pointer, which means the plain signal.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<()>(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The process id behind `pidfd`, as the caller sees it: PIDFD_GET_INFO, Linux 6.13.
pub fn pidfd_pid(pidfd: BorrowedFd<'_>) -> io::Result<u32> {
    /// struct pidfd_info, first published size: mask, cgroup id, then pid.
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

/// One of the caller's standard descriptors, which may be closed: every use of it says so then.
pub fn borrow(number: i32) -> BorrowedFd<'static> {
    // SAFETY: the number is 0, 1 or 2; it is only passed to fcntl(2), which answers EBADF for a closed one.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// The effective capabilities of this thread, as bits: `capget(2)`.
pub fn effective_capabilities() -> u64 {
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut sets = [0u32; 6];
    // SAFETY: version 3 of the call reads the header's 8 bytes and writes the 24 bytes of the sets.
    unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    u64::from(sets[0]) | u64::from(sets[3]) << 32
}

/// The caller's hard limit on a resource, by its number: `getrlimit(2)`.
pub fn hard_limit(resource: u32) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the pointer is to a struct of the size that the call writes.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_max
}

/// Waits for a child's end and takes its status: the signal that killed it, if one did and nobody else has taken the status. A caller that
/// ignores SIGCHLD, or reaps everything, leaves none to take.
pub fn reap(pidfd: &OwnedFd) -> Option<i32> {
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::__WALL) {
            Err(Errno::EINTR) => {}
            Ok(WaitStatus::Signaled(_, signal, _)) => return Some(signal as i32),
            _ => return None,
        }
    }
}

/// Takes over a descriptor that the kernel has just made for us.
pub fn own(number: i32) -> OwnedFd {
    // SAFETY: every caller passes a number fresh from the kernel, which nobody else owns.
    unsafe { OwnedFd::from_raw_fd(number) }
}
