//! `seclude_listener` and `seclude_notification`: the caller decides about single system calls.

use crate::boundary::{
    buffer, change, code, create, descriptor, free, query, read, take, write, write_array,
};
use crate::child::{State, seclude_child};
use crate::error::{SECLUDE_EINVAL, seclude_error};
use seclude_core::{Listener, Notification};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// A source of the system calls that a filter leaves to the caller. A thread that makes such a call
/// is stopped until the caller has answered.
pub struct seclude_listener(Listener);

/// A system call that waits for an answer. Freed without one, the call fails with EPERM.
///
/// The arguments may point to memory that other threads of the program can change while the caller
/// reads it. So `seclude_notification_allow` cannot approve a call because of that memory's
/// contents. Act for the program instead, and answer with the result.
pub struct seclude_notification {
    call: Notification,
    name: std::ffi::CString,
}

/// Takes the listener of a command whose filter has `SECLUDE_SECCOMP_NOTIFY`.
///
/// The caller must then receive and answer the calls. Returns `SECLUDE_EINVAL` if there is no
/// listener, or if it was taken before. `*listener` is owned: free it with `seclude_listener_free`.
/// It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_take_listener(
    child: *mut seclude_child,
    listener: *mut *mut seclude_listener,
    err: *mut *mut seclude_error,
) -> c_int {
    create("listener", listener, err, || {
        let none = || seclude_error::invalid("listener", "there is none, or it was taken already");
        match &mut change("child", child)?.state {
            State::Held(child) => child.take_listener().map(seclude_listener).ok_or_else(none),
            State::Collected(_) => Err(none()),
        }
    })
}

/// Frees a listener. NULL is a no-op. Once it and its notifications are freed, the calls that the
/// filter leaves to the caller fail with ENOSYS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_listener_free(listener: *mut seclude_listener) {
    free(listener);
}

/// Returns the listener's descriptor, as of seccomp_unotify(2). `SECLUDE_EINVAL` for NULL.
///
/// It is readable when a call waits, and hung up (POLLHUP) when no process is left that could make
/// one. Borrowed: never close it; valid until the listener is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_listener_fd(listener: *const seclude_listener) -> c_int {
    query(listener, SECLUDE_EINVAL, |listener| Some(listener.0.as_fd().as_raw_fd()))
}

/// Waits for the next call, for at most `timeout_ms` milliseconds, or without a limit if that is
/// negative.
///
/// Returns 1 and `*call`, or 0 if no call came in time or no process is left that could make one.
/// `*call` is owned: answer it or free it with `seclude_notification_free`, each of which frees it.
/// It is NULL unless this returns 1.
#[unsafe(no_mangle)]
#[must_use]
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

/// Frees a notification. The call fails with EPERM. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_free(call: *mut seclude_notification) {
    free(call);
}

/// Returns the name of the call. NULL for NULL. Borrowed: valid until the notification is freed or
/// answered.
///
/// A call that is newer than the library has its number in decimal. A call of another architecture
/// has `foreign:` and its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_name(
    call: *const seclude_notification,
) -> *const c_char {
    query(call, std::ptr::null(), |call| Some(call.name.as_ptr()))
}

/// Returns the number of the call. -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_number(call: *const seclude_notification) -> c_int {
    query(call, -1, |call| Some(call.call.syscall().number()))
}

/// Returns the thread that makes the call, by its id in the caller's pid namespace. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_pid(call: *const seclude_notification) -> u32 {
    query(call, 0, |call| Some(call.call.pid()))
}

/// Writes the six arguments of the call, as they stood in the registers, to `arguments[0]` to
/// `arguments[5]`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_notification_arguments(
    call: *const seclude_notification,
    arguments: *mut u64,
) {
    let all = query(call, [0; 6], |call| Some(call.call.arguments()));
    write_array(arguments, &all);
}

/// Reads `size` bytes of the program's memory from `address` to `into`. Returns how many bytes it
/// read: fewer if unmapped memory follows.
#[unsafe(no_mangle)]
#[must_use]
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

/// Lets the kernel make the call, with whatever its arguments point to by then. Frees the
/// notification, on failure too. Linux 5.5.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_notification_allow(
    call: *mut seclude_notification,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || Ok(take("call", call)?.call.allow().map(|()| 0)?))
}

/// Lets the call succeed with the result `value`, without making it. Frees the notification, on
/// failure too.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_notification_succeed(
    call: *mut seclude_notification,
    value: i64,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || Ok(take("call", call)?.call.succeed(value).map(|()| 0)?))
}

/// Lets the call fail with an error number of errno(3), 1 to 4095. Frees the notification, on
/// failure too.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_notification_fail(
    call: *mut seclude_notification,
    errnum: c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || Ok(take("call", call)?.call.fail(errnum).map(|()| 0)?))
}

/// Lets the call succeed with a new descriptor in the program, a copy of `fd`: the answer to
/// open(2), for example.
///
/// Returns the number of the descriptor in the program. It is close-on-exec there if
/// `close_on_exec` is not 0. `fd` is borrowed. Frees the notification, on failure too. Linux 5.9.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_notification_succeed_with_fd(
    call: *mut seclude_notification,
    fd: c_int,
    close_on_exec: c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let call = take("call", call)?;
        let fd = descriptor("fd", fd)?;
        Ok(call.call.succeed_with_descriptor(fd.as_fd(), close_on_exec != 0)?)
    })
}
