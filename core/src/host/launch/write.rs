//! Writes a file that the caller's own limits do not let it write.
#![allow(unsafe_code)]

use super::raw::{exit, in_child, raw};
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// What to write, and the result. It lives on the caller's stack, which does not change while the
/// calling thread is suspended.
struct Filling {
    file: c_int,
    start: *const u8,
    length: usize,
    errno: AtomicI32,
}

/// Writes all of `bytes` to a file, in a child process that raises its RLIMIT_FSIZE as far as it
/// may. The limit belongs to the process, so the caller's stays as it is.
///
/// # Errors
///
/// EFBIG if the raised limit is still too low, without a signal. Otherwise the error of the clone
/// or the write.
pub fn write_in_child(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let filling = Filling {
        file: file.as_raw_fd(),
        start: bytes.as_ptr(),
        length: bytes.len(),
        errno: AtomicI32::new(0),
    };
    // SAFETY: `fill` reads `filling` and `bytes`, which outlive it, and does not return.
    unsafe { in_child(0, fill, (&raw const filling).cast_mut().cast())? };
    match filling.errno.load(Ordering::Acquire) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// The child process that writes. Every signal is blocked, SIGXFSZ included. A pending one is
/// discarded when the process exits.
extern "C" fn fill(argument: *mut c_void) -> c_int {
    const RLIMIT_FSIZE: usize = libc::RLIMIT_FSIZE as usize;
    // SAFETY: `write_in_child` passes a pointer to a `Filling` that outlives this process.
    let filling = unsafe { &*argument.cast::<Filling>() };
    let mut limit = [u64::MAX; 2];
    let mut written = 0;
    let mut result = 0;
    // SAFETY: all calls take numbers, or pointers to the local variable above and to the `length`
    // bytes that `filling` names.
    unsafe {
        // A privileged process can remove the limit. Any other can raise it to its hard limit.
        if raw(libc::SYS_prlimit64, [0, RLIMIT_FSIZE, limit.as_ptr() as usize, 0, 0]) < 0
            && raw(libc::SYS_prlimit64, [0, RLIMIT_FSIZE, 0, limit.as_mut_ptr() as usize, 0]) == 0
        {
            limit[0] = limit[1];
            raw(libc::SYS_prlimit64, [0, RLIMIT_FSIZE, limit.as_ptr() as usize, 0, 0]);
        }
        while written < filling.length {
            let start = filling.start.wrapping_add(written) as usize;
            result = raw(
                libc::SYS_write,
                [filling.file as usize, start, filling.length.wrapping_sub(written), 0, 0],
            );
            if result <= 0 {
                break;
            }
            written = written.wrapping_add(result as usize);
        }
    }
    // A write of zero bytes is a failure too.
    let errno = if written == filling.length { 0 } else { (result.wrapping_neg() as i32).max(1) };
    filling.errno.store(errno, Ordering::Release);
    exit()
}
