//! A launch from within a network namespace.
//!
//! A thread cannot enter a user namespace, so a first child process does, and enters the network
//! namespace. It makes the new process there as a sibling (CLONE_PARENT), which so is the caller's
//! own child. The user namespace of the new process is below the one that the first has entered.
#![allow(unsafe_code)]

use super::raw::{exit, in_child, raw};
use super::{Birthplace, CloneArguments, LaunchFailure, clone_into};
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

/// What the first process needs, and its result. It lives on the caller's stack, which does not
/// change while the calling thread is suspended.
struct Passage {
    users: c_int,
    network: c_int,
    arguments: Option<CloneArguments>,
    plain: [usize; 3],
    body: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
    has_entered: AtomicBool,
    in_v2: AtomicBool,
    result: AtomicIsize,
}

/// Makes a new process in `birthplace`, as [`clone_into`] does elsewhere.
///
/// # Safety
///
/// As for [`clone_into`].
pub unsafe fn clone_in(
    birthplace: Birthplace<'_>,
    mut arguments: Option<CloneArguments>,
    mut plain: [usize; 3],
    body: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Result<(isize, bool), LaunchFailure> {
    if let Some(arguments) = &mut arguments {
        arguments.flags |= libc::CLONE_PARENT as u64;
        // A sibling has the signal of the first process.
        arguments.exit_signal = 0;
    }
    plain[0] |= libc::CLONE_PARENT as usize;
    let passage = Passage {
        users: birthplace.users.as_raw_fd(),
        network: birthplace.network.as_raw_fd(),
        arguments,
        plain,
        body,
        argument,
        has_entered: AtomicBool::new(false),
        in_v2: AtomicBool::new(false),
        result: AtomicIsize::new(-(libc::EPERM as isize)),
    };
    // The first process has the caller's descriptors, so that the new one's pidfd is among them.
    let flags = libc::CLONE_FILES | libc::SIGCHLD;
    // SAFETY: `pass` reads `passage`, which outlives it, and does not return.
    unsafe { in_child(flags, pass, (&raw const passage).cast_mut().cast()) }
        .map_err(LaunchFailure::Clone)?;
    let result = passage.result.load(Ordering::Acquire);
    if !passage.has_entered.load(Ordering::Acquire) {
        return Err(LaunchFailure::Enter(io::Error::from_raw_os_error(-result as i32)));
    }
    Ok((result, passage.in_v2.load(Ordering::Acquire)))
}

/// The first process. Every signal is blocked.
extern "C" fn pass(argument: *mut c_void) -> c_int {
    const NET: usize = libc::CLONE_NEWNET as usize;
    const USER: usize = libc::CLONE_NEWUSER as usize;
    // SAFETY: `clone_in` passes a pointer to a `Passage` that outlives this process.
    let passage = unsafe { &*argument.cast::<Passage>() };
    let enter = |namespace: c_int, kind: usize| {
        // SAFETY: the call takes numbers.
        unsafe { raw(libc::SYS_setns, [namespace as usize, kind, 0, 0, 0]) }
    };
    // A caller with CAP_SYS_ADMIN enters the network namespace directly: the sandbox's ids are then
    // mapped from all of the caller's.
    let mut result = enter(passage.network, NET);
    if result < 0 {
        result = enter(passage.users, USER);
        if result == 0 {
            result = enter(passage.network, NET);
        }
    }
    if result == 0 {
        passage.has_entered.store(true, Ordering::Release);
        // SAFETY: the promise of `clone_in`'s caller. This process is suspended, too, until the new
        // one has executed the warden or ended.
        let (born, in_v2) = unsafe {
            clone_into(passage.arguments.as_ref(), passage.plain, passage.body, passage.argument)
        };
        passage.in_v2.store(in_v2, Ordering::Release);
        result = born;
    }
    passage.result.store(result, Ordering::Release);
    exit()
}
