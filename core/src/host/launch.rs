//! Processes that run in the caller's memory for a moment.
//!
//! - This file: the launch. One clone creates the namespaces, and a few instructions later the new
//!   process executes the warden.
//! - `passage`: a launch from within the network namespace of a private network.
//! - `visit`: opens descriptors in other namespaces.
//! - `write`: writes a file that the caller's own limits do not let it write.
//!
//! Until it executes a program or ends, such a process shares the caller's memory. The calling
//! thread is suspended (CLONE_VM|CLONE_VFORK), and other threads keep running. So the code there
//! ([`enter`], `pass`, `go`, `fill` and [`raw`]) makes system calls and nothing else. It
//! must not allocate, take a lock, panic, or call libc (whose `errno` would be the caller's), and
//! every signal is blocked. Only this folder has these rules.
#![allow(unsafe_code)]

mod passage;
mod raw;
pub mod visit;
mod write;

pub use write::write_in_child;

use crate::host::cgroup::{Entered, EntryDescriptors};
use crate::host::image::Image;
use raw::{block_signals, clone, raw};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

/// A new process: its pidfd and its process id.
pub struct Launched {
    pub pidfd: OwnedFd,
    pub pid: i32,
    /// The cgroups that it is in already.
    pub entered: Entered,
}

/// What the new process needs. It lives on the caller's stack, which does not change while the
/// calling thread is suspended.
struct Needs {
    control: c_int,
    image: c_int,
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    /// The `tasks` files of v1 cgroups, and how many of these cgroups the process has entered.
    tasks: *const c_int,
    task_count: usize,
    /// The capabilities that survive the exec, as bits.
    capabilities: u64,
    entered: AtomicUsize,
    errno: AtomicI32,
}

/// Which of the system calls failed.
pub enum LaunchFailure {
    /// The network namespace could not be entered.
    Enter(io::Error),
    Clone(io::Error),
    Execute(io::Error),
}

/// The network namespace that the warden is born in, and the user namespace that owns it.
#[derive(Clone, Copy)]
pub struct Birthplace<'a> {
    pub users: BorrowedFd<'a>,
    pub network: BorrowedFd<'a>,
}

/// Executes the warden in new namespaces (`flags`), with `control` as its descriptor 0. Without
/// `flags`, executes it in the caller's namespaces with the argument [`FOUND`], to create the
/// namespaces itself.
///
/// `control` and the image's descriptor must be 3 or higher. The new process starts in the v2
/// cgroup of `entry` where the kernel supports it (clone3(2), CLONE_INTO_CGROUP, Linux 5.7) and no
/// filter denies the call. Before anything else it enters the v1 cgroups. `kept`: the capabilities
/// that its commands keep, as bits. With a `birthplace`, it is in that network namespace. Unless
/// the caller may enter it directly, its new user namespace is below the one that owns it.
///
/// # Errors
///
/// Which of the system calls failed, and its error number.
pub fn launch(
    image: &Image,
    flags: Option<u64>,
    birthplace: Option<Birthplace<'_>>,
    control: BorrowedFd<'_>,
    entry: &EntryDescriptors<'_>,
    kept: u64,
) -> Result<Launched, LaunchFailure> {
    const STACK: usize = 32 * 1024;
    let (image_fd, path) = image.executable();
    let argument = if flags.is_none() { FOUND.as_ptr() } else { std::ptr::null() };
    let arguments: [*const c_char; 3] = [c"seclude-warden".as_ptr(), argument, std::ptr::null()];
    let environment: [*const c_char; 1] = [std::ptr::null()];
    let tasks: Vec<c_int> = entry.v1.iter().map(AsRawFd::as_raw_fd).collect();
    let needs = Needs {
        control: control.as_raw_fd(),
        image: image_fd,
        path: path.as_ptr(),
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        tasks: tasks.as_ptr(),
        task_count: tasks.len(),
        capabilities: CAPABILITIES | kept,
        entered: AtomicUsize::new(0),
        errno: AtomicI32::new(0),
    };
    let mut stack: Box<[MaybeUninit<u128>]> = Box::new_uninit_slice(STACK / size_of::<u128>());
    let top = stack.as_mut_ptr_range().end;
    let mut pidfd: c_int = -1;
    let flags =
        flags.unwrap_or(0) | (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    let argument: *mut c_void = (&raw const needs).cast_mut().cast();
    let arguments = entry.v2.map(|cgroup| CloneArguments {
        flags: flags | CLONE_INTO_CGROUP,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: STACK as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArguments::default()
    });

    let plain = [flags as usize | libc::SIGCHLD as usize, top as usize, &raw mut pidfd as usize];
    let (result, in_v2) = match birthplace {
        // SAFETY: as below.
        Some(birthplace) => unsafe {
            passage::clone_in(birthplace, arguments, plain, enter, argument)?
        },
        None => {
            let blocked = block_signals(u64::MAX);
            // SAFETY: `enter` runs on `stack`, which is large enough and outlives it. `enter` reads
            // `needs`, which outlives it too: CLONE_VFORK suspends this thread until the new
            // process has executed the warden or ended. `enter` does not return.
            let born = unsafe { clone_into(arguments.as_ref(), plain, enter, argument) };
            block_signals(blocked);
            born
        }
    };

    if result < 0 {
        return Err(LaunchFailure::Clone(io::Error::from_raw_os_error(-result as i32)));
    }
    let pid = result as c_int;
    // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD).
    let mut pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    // The pidfd has a standard number if the caller has closed that one. Another thread may be
    // about to put a stream there.
    if pidfd.as_raw_fd() < 3 {
        pidfd = pidfd.try_clone().unwrap_or(pidfd);
    }
    match needs.errno.load(Ordering::Acquire) {
        0 => Ok(Launched {
            pidfd,
            pid,
            entered: Entered { v2: in_v2, v1: needs.entered.load(Ordering::Acquire) },
        }),
        errno => {
            // The process is exiting already, so this wait is short.
            crate::base::sys::reap(pidfd.as_fd(), Duration::from_secs(1));
            Err(LaunchFailure::Execute(io::Error::from_raw_os_error(errno)))
        }
    }
}

/// The argument that tells the warden to create the namespaces itself.
pub const FOUND: &CStr = c"found";

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` up to its member `cgroup`.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Makes the new process by clone3(2) with `arguments`, or if that fails by clone(2) with `plain`.
/// Returns the kernel's result, and whether the first succeeded.
///
/// # Safety
///
/// As for [`clone`].
unsafe fn clone_into(
    arguments: Option<&CloneArguments>,
    plain: [usize; 3],
    body: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> (isize, bool) {
    if let Some(arguments) = arguments {
        let a = [std::ptr::from_ref(arguments) as usize, size_of::<CloneArguments>(), 0];
        // SAFETY: the caller's promise.
        let result = unsafe { clone(libc::SYS_clone3, a, body, argument) };
        if result > 0 {
            return (result, true);
        }
    }
    // SAFETY: the caller's promise.
    (unsafe { clone(libc::SYS_clone, plain, body, argument) }, false)
}

/// The capabilities that the warden needs during set-up: CAP_SETGID, SETUID, SETPCAP, NET_ADMIN,
/// SYS_ADMIN, SYS_RESOURCE, SYS_TIME; and SETFCAP, for a template that maps id 0 for its copies
/// (user_namespaces(7)). If one cannot be raised, the step that needs it reports the failure.
const CAPABILITIES: u64 =
    1 << 6 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 21 | 1 << 24 | 1 << 25 | 1 << 31;

/// The new process: it enters its cgroups, makes the control socket its descriptor 0, makes its
/// capabilities survive the exec, and executes the warden.
///
/// In a new user namespace without an id map the process is not root yet, and an exec drops every
/// capability. Ambient capabilities stay (capabilities(7)). The warden clears them before any
/// command runs.
///
/// A thread that moves only itself, by a 0 in `tasks`, does not wait. A process that another one
/// moves through `cgroup.procs` waits for an RCU grace period, which takes many times as long as
/// the rest of the launch.
extern "C" fn enter(argument: *mut c_void) -> c_int {
    const PR_CAP_AMBIENT: usize = 47;
    const PR_CAP_AMBIENT_RAISE: usize = 2;
    // SAFETY: `launch` passes a pointer to `Needs` that outlives this process's stay in its memory.
    let needs = unsafe { &*argument.cast::<Needs>() };
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut sets = [0u32; 6];
    // SAFETY: all calls take numbers, or pointers to the local variables above and to what `needs`
    // holds, in the form that the kernel expects.
    let result = unsafe {
        let mut entered = 0;
        while entered < needs.task_count
            && raw(
                libc::SYS_write,
                [*needs.tasks.add(entered) as usize, b"0".as_ptr() as usize, 1, 0, 0],
            ) == 1
        {
            entered += 1;
        }
        needs.entered.store(entered, Ordering::Release);
        raw(libc::SYS_capget, [header.as_ptr() as usize, sets.as_mut_ptr() as usize, 0, 0, 0]);
        sets[2] = sets[1];
        sets[5] = sets[4];
        raw(libc::SYS_capset, [header.as_ptr() as usize, sets.as_ptr() as usize, 0, 0, 0]);
        let mut next = 0;
        while needs.capabilities >> next != 0 {
            if needs.capabilities >> next & 1 != 0 {
                raw(libc::SYS_prctl, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, next, 0, 0]);
            }
            next += 1;
        }
        match raw(libc::SYS_dup3, [needs.control as usize, 0, 0, 0, 0]) {
            failed @ ..0 => failed,
            _ => raw(
                libc::SYS_execveat,
                [
                    needs.image as usize,
                    needs.path as usize,
                    needs.arguments as usize,
                    needs.environment as usize,
                    libc::AT_EMPTY_PATH as usize,
                ],
            ),
        }
    };
    needs.errno.store(-result as i32, Ordering::Release);
    loop {
        // SAFETY: ends this process, and only it.
        unsafe { raw(libc::SYS_exit_group, [127, 0, 0, 0, 0]) };
    }
}
