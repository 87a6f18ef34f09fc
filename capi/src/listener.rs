//! `seclude_listener` and `seclude_notification`: deciding about system calls, one by one, from
//! outside.

use crate::boundary::{
    buffer, change, code, descriptor, free, made, read, taken, told, write, write_array,
};
use crate::child::{State, seclude_child};
use crate::error::{SECLUDE_EINVAL, seclude_error};
use seclude_core::{Listener, Notification};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Where calls are heard that a filter leaves to the caller. Who makes such a call stands still
/// until it has an answer.
pub struct seclude_listener(Listener);

/// A system call that waits for an answer. Freed without one, it fails with EPERM.
///
/// What its arguments point at lies in memory that other threads of the program can change while
/// you look. So `seclude_notification_allow` is no answer to "may it, with these contents": act for
/// the program instead, and answer with the result.
pub struct seclude_notification {
    call: Notification,
    name: std::ffi::CString,
}

/// Takes the listener of a command whose filter has `SECLUDE_SECCOMP_NOTIFY`, for
/// `seclude_listener_free`. Somebody must listen. A second time, or if there is none,
/// `SECLUDE_EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_take_listener(
    child: *mut seclude_child,
    listener: *mut *mut seclude_listener,
    err: *mut *mut seclude_error,
) -> c_int {
    made("listener", listener, err, || {
        let none = || seclude_error::invalid("listener", "there is none, or it was taken already");
        match &mut change("child", child)?.state {
            State::Held(child) => child.take_listener().map(seclude_listener).ok_or_else(none),
            State::Collected(_) => Err(none()),
        }
    })
}

/// Frees a listener. NULL is a no-op. Once it and its notifications are freed, calls left to it
/// fail with ENOSYS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_listener_free(listener: *mut seclude_listener) {
    free(listener);
}

/// Its descriptor: readable when a call waits, hung up when nobody can make one any more; it speaks
/// seccomp_unotify(2). Borrowed. `SECLUDE_EINVAL` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_listener_fd(listener: *const seclude_listener) -> c_int {
    told(listener, SECLUDE_EINVAL, |listener| Some(listener.0.as_fd().as_raw_fd()))
}

/// Waits for the next call, at most so many milliseconds, for ever if that is negative: 1 and
/// `*call`, for `seclude_notification_free` or one of the answers; 0 if none came in time, or
/// nobody is left who could make one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_listener_receive(
    listener: *const seclude_listener,
    timeout_ms: i64,
    call: *mut *mut seclude_notification,
    err: *mut *mut seclude_error,
) -> c_int {
    write(call, std::ptr::null_mut());
    code(err, || {
        let listener = &read("listener", listener)?.0;
        if call.is_null() {
            return Err(seclude_error::null("call"));
        }
        let next = match u64::try_from(timeout_ms) {
            Ok(time) => listener.receive_within(Duration::from_millis(time))?,
            Err(_) => listener.receive()?,
        };
        let Some(next) = next else { return Ok(0) };
        let name = std::ffi::CString::new(next.syscall().to_string()).unwrap_or_default();
        write(call, Box::into_raw(Box::new(seclude_notification { call: next, name })));
        Ok(1)
    })
}

/// Frees a call; without an answer, it fails with EPERM. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_free(call: *mut seclude_notification) {
    free(call);
}

/// The call's name; its number in decimal if it is newer than this library; `foreign:` and its
/// number if it is another architecture's. Borrowed. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_name(
    call: *const seclude_notification,
) -> *const c_char {
    told(call, std::ptr::null(), |call| Some(call.name.as_ptr()))
}

/// The call's number. -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_number(call: *const seclude_notification) -> c_int {
    told(call, -1, |call| Some(call.call.syscall().number()))
}

/// The thread that makes it, as the caller sees it. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_pid(call: *const seclude_notification) -> u32 {
    told(call, 0, |call| Some(call.call.pid()))
}

/// Writes its six arguments, as they stood in the registers, to six places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_arguments(
    call: *const seclude_notification,
    arguments: *mut u64,
) {
    let all = told(call, [0; 6], |call| Some(call.call.arguments()));
    write_array(arguments, &all);
}

/// Reads the program's memory at an address into `size` bytes at `into`; how many there were, which
/// ends where nothing is mapped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_read(
    call: *const seclude_notification,
    address: u64,
    into: *mut c_void,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let room = buffer("into", into, size.min(c_int::MAX as usize))?;
        Ok(read("call", call)?.call.read(address, room)? as c_int)
    })
}

/// Has the kernel carry it out, with whatever its arguments point at by then, and frees it. Linux
/// 5.5.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_allow(
    call: *mut seclude_notification,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || Ok(taken("call", call)?.call.allow().map(|()| 0)?))
}

/// It has succeeded with this result. Frees it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_succeed(
    call: *mut seclude_notification,
    value: i64,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || Ok(taken("call", call)?.call.succeed(value).map(|()| 0)?))
}

/// It has failed with this error number of errno(3), 1 to 4095. Frees it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_fail(
    call: *mut seclude_notification,
    errnum: c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || Ok(taken("call", call)?.call.fail(errnum).map(|()| 0)?))
}

/// It has succeeded, and its result is a new descriptor of the program's, a copy of `fd`,
/// close-on-exec or not: the answer to an open(2), say. Returns its number there. Frees it. Linux
/// 5.9.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_succeed_with_fd(
    call: *mut seclude_notification,
    fd: c_int,
    close_on_exec: c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let call = taken("call", call)?;
        let fd = descriptor("fd", fd)?;
        Ok(call.call.succeed_with_descriptor(fd.as_fd(), close_on_exec != 0)?)
    })
}
