//! System calls by number. The attacks need 64-bit arguments and no checks, which libc's wrappers
//! do not offer.

use std::ffi::CString;

/// Makes a system call. It affects only processes and files of a sandbox that exists for it.
pub fn call(number: i64, a: [u64; 6]) -> i64 {
    // SAFETY: pointers among the arguments come from `at` and `at_mut` and are valid until the end
    // of the expression that makes the call.
    unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) }
}

/// The address of a value that a call reads.
pub fn at<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>() as u64
}

/// The address of a value that a call writes.
pub fn at_mut<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<u8>() as u64
}

/// A sign-extended number as an argument.
pub fn number(value: i32) -> u64 {
    i64::from(value).cast_unsigned()
}

/// The same number with other bits in the upper half, which the kernel ignores.
pub fn disguised(value: i32) -> u64 {
    u64::from(value.cast_unsigned()) | 0x5ec1_0de0_0000_0000
}

/// A C string for a call.
pub fn text(text: &str) -> CString {
    CString::new(text).expect("no NUL in it")
}

/// Forks. Returns 0 in the child and -1 on failure.
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
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// The monotonic clock in nanoseconds.
pub fn now() -> u64 {
    let mut time = [0i64; 2];
    call(libc::SYS_clock_gettime, [number(libc::CLOCK_MONOTONIC), at_mut(&mut time), 0, 0, 0, 0]);
    time[0].cast_unsigned() * 1_000_000_000 + time[1].cast_unsigned()
}

pub fn rest(microseconds: u64) {
    std::thread::sleep(std::time::Duration::from_micros(microseconds));
}
