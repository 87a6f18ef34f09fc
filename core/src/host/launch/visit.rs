//! Opens descriptors in other namespaces, without a thread or a process that stays there.
//!
//! A child process with the caller's descriptors (CLONE_FILES) enters the namespaces and opens what
//! is wanted. The descriptors are the caller's, and the child ends. A socket belongs for good to
//! the network namespace in which it was made.
#![allow(unsafe_code)]

use super::raw::{exit, in_child, raw};
use crate::base::sys;
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicIsize, Ordering};

/// What the child does, in order.
#[derive(Debug, Clone, Copy)]
pub enum Stop<'a> {
    /// Enters a namespace of this kind, a clone flag: setns(2).
    Enter(BorrowedFd<'a>, u64),
    /// Makes namespaces, which end with the visit unless a descriptor holds them: unshare(2).
    Make(u64),
    /// Opens a socket, close-on-exec and non-blocking: domain, type and protocol.
    Socket(i32, i32, i32),
    /// Opens a file, close-on-exec.
    Open(&'a CStr, i32),
}

/// One system call, and the kernel's result once it has been made.
struct Call {
    number: i64,
    arguments: [usize; 5],
    opens: bool,
    result: AtomicIsize,
}

/// The result of a call that has not been made.
const NOT_MADE: isize = isize::MIN;

/// Makes a visit. Returns the descriptors that it has opened, in order.
///
/// # Errors
///
/// The number of the stop that failed, and its error. `None`: no process could be made.
pub fn visit(stops: &[Stop<'_>]) -> Result<Vec<OwnedFd>, (Option<usize>, io::Error)> {
    let calls: Vec<Call> = stops.iter().map(Stop::call).collect();
    let itinerary: &[Call] = &calls;
    // SAFETY: `go` reads the calls, which outlive it, and does not return.
    let made = unsafe { in_child(libc::CLONE_FILES, go, (&raw const itinerary).cast_mut().cast()) };
    made.map_err(|error| (None, error))?;
    let results = || calls.iter().map(|call| call.result.load(Ordering::Acquire));
    let opened = calls.iter().zip(results()).filter(|(call, result)| call.opens && *result >= 0);
    // Owned before anything else: a failed visit closes them.
    let opened: Vec<OwnedFd> = opened.map(|(_, result)| sys::own(result as i32)).collect();
    match results().position(|result| result < 0) {
        None => Ok(opened),
        Some(index) => {
            let errno = match calls[index].result.load(Ordering::Acquire) {
                NOT_MADE => libc::EPERM,
                result => -result as i32,
            };
            Err((Some(index), io::Error::from_raw_os_error(errno)))
        }
    }
}

impl Stop<'_> {
    fn call(&self) -> Call {
        let fd = |fd: BorrowedFd<'_>| fd.as_raw_fd() as usize;
        let path = |path: &CStr| path.as_ptr() as usize;
        let (number, arguments, opens) = match *self {
            Stop::Enter(namespace, kind) => {
                (libc::SYS_setns, [fd(namespace), kind as usize, 0, 0, 0], false)
            }
            Stop::Make(kinds) => (libc::SYS_unshare, [kinds as usize, 0, 0, 0, 0], false),
            Stop::Socket(domain, kind, protocol) => {
                let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
                let arguments = [domain as usize, kind as usize, protocol as usize, 0, 0];
                (libc::SYS_socket, arguments, true)
            }
            Stop::Open(at, flags) => {
                let flags = flags | libc::O_CLOEXEC;
                let arguments = [libc::AT_FDCWD as usize, path(at), flags as usize, 0, 0];
                (libc::SYS_openat, arguments, true)
            }
        };
        Call { number, arguments, opens, result: AtomicIsize::new(NOT_MADE) }
    }
}

/// The child: makes the calls up to the first that fails. Every signal is blocked.
extern "C" fn go(argument: *mut c_void) -> c_int {
    // SAFETY: `visit` passes a pointer to a slice that outlives this process.
    let calls = unsafe { *argument.cast::<&[Call]>() };
    for call in calls {
        // SAFETY: `Stop::call` has made the arguments for this call. What they point to is borrowed
        // for as long as this process lives.
        let result = unsafe { raw(call.number, call.arguments) };
        call.result.store(result, Ordering::Release);
        if result < 0 {
            break;
        }
    }
    exit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_failed_visit_tells_the_stop_and_leaves_no_descriptor() {
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let file = std::fs::File::open("/dev/null").unwrap();
        let before = count();
        let stops = [
            Stop::Open(c"/dev/null", libc::O_RDONLY),
            Stop::Enter(file.as_fd(), libc::CLONE_NEWNET as u64),
            Stop::Open(c"/dev/null", libc::O_RDONLY),
        ];
        let (index, error) = visit(&stops).unwrap_err();
        assert_eq!((index, error.raw_os_error()), (Some(1), Some(libc::EINVAL)));
        assert_eq!(count(), before);
    }

    #[test]
    fn descriptors_arrive_in_order_and_close_on_exec() {
        let stops = [
            Stop::Open(c"/dev/null", libc::O_RDONLY),
            Stop::Socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
        ];
        let opened = visit(&stops).unwrap();
        let links = opened.iter().map(|fd| {
            let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
            std::fs::read_link(link).unwrap().to_string_lossy().into_owned()
        });
        let links: Vec<String> = links.collect();
        assert!(links[0] == "/dev/null" && links[1].starts_with("socket:"), "{links:?}");
        for fd in &opened {
            let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        }
    }
}
