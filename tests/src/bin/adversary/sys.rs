//! System calls by number, with what the attacks need and libc's wrappers do not give: arguments of
//! 64 bits, no checks.

use std::ffi::CString;

/// A system call. What it does, it does to processes and files of a sandbox that is made for it.
pub fn call(number: i64, a: [u64; 6]) -> i64 {
    // SAFETY: pointers among the arguments come from `at` and `at_mut`, and live as long as the
    // expression that makes the call.
    unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) }
}

/// The address of something that a call reads.
pub fn at<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>() as u64
}

/// The address of something that a call writes.
pub fn at_mut<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<u8>() as u64
}

/// A number as an argument, with the sign extended.
pub fn number(value: i32) -> u64 {
    i64::from(value).cast_unsigned()
}

/// The same number with other bits in the half that the kernel does not look at.
pub fn disguised(value: i32) -> u64 {
    u64::from(value.cast_unsigned()) | 0x5ec1_0de0_0000_0000
}

/// A text for a call.
pub fn text(text: &str) -> CString {
    CString::new(text).expect("no NUL in it")
}

/// Forks: 0 in the new process, -1 if there is none.
pub fn fork() -> i64 {
    call(libc::SYS_clone, [number(libc::SIGCHLD), 0, 0, 0, 0, 0])
}

pub fn own() -> i32 {
    std::process::id().cast_signed()
}

pub fn parent() -> i32 {
    call(libc::SYS_getppid, [0; 6]) as i32
}

pub fn ignore_broken_pipes() {
    // SAFETY: ignoring is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let mut time = [0i64; 2];
    call(libc::SYS_clock_gettime, [number(libc::CLOCK_MONOTONIC), at_mut(&mut time), 0, 0, 0, 0]);
    time[0].cast_unsigned() * 1_000_000_000 + time[1].cast_unsigned()
}

pub fn rest(microseconds: u64) {
    std::thread::sleep(std::time::Duration::from_micros(microseconds));
}
