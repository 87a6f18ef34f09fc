//! The system calls of a process that shares the caller's memory, without libc.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Runs `body(argument)` in a child process, and waits until the child has ended. `flags` are those
/// of clone(2), besides CLONE_VM and CLONE_VFORK.
///
/// # Safety
///
/// `body` follows the rules of this folder, does not return, and needs less than 16 KiB of stack.
pub unsafe fn in_child(
    flags: i32,
    body: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> io::Result<()> {
    const STACK: usize = 16 * 1024;
    let mut stack: Box<[MaybeUninit<u128>]> = Box::new_uninit_slice(STACK / size_of::<u128>());
    let top = stack.as_mut_ptr_range().end;
    let mut pidfd: c_int = -1;
    // No exit signal: the caller's own SIGCHLD handler and wait loops do not see this child.
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | flags) as usize;
    let blocked = block_signals(u64::MAX);
    // SAFETY: `body` runs on `stack`, which is large enough and outlives it: CLONE_VFORK suspends
    // this thread until the new process has ended. The rest is the caller's promise.
    let result = unsafe {
        clone(libc::SYS_clone, [flags, top as usize, &raw mut pidfd as usize], body, argument)
    };
    block_signals(blocked);
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result as i32));
    }
    // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    crate::base::sys::reap(pidfd.as_fd(), Duration::from_secs(1));
    Ok(())
}

/// Ends the process, and only it.
pub fn exit() -> ! {
    loop {
        // SAFETY: the call takes a number.
        unsafe { raw(libc::SYS_exit_group, [0, 0, 0, 0, 0]) };
    }
}

/// Calls clone(2) or clone3(2) and returns the kernel's result. The new process calls
/// `body(argument)` on the stack that `a` names.
///
/// This is not libc's clone. ThreadSanitizer replaces that by a function that takes the sanitizer's
/// locks before the call and releases them in both processes. In shared memory this releases them
/// twice, and the caller aborts.
///
/// # Safety
///
/// As for `clone(2)` with CLONE_VM and CLONE_VFORK. `body` must not return. The other two arguments
/// of clone(2), which concern threads, are zero.
pub unsafe fn clone(
    number: i64,
    a: [usize; 3],
    body: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise. The new process never continues here, and the old one finds all
    // registers unchanged.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            // Only the new process gets here. A zero frame pointer ends its backtraces.
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") 0, in("r8") 0,
            in("r12") body, in("r13") argument, lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, #0",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            in("x8") number, inlateout("x0") a[0] as isize => result,
            in("x1") a[1], in("x2") a[2], in("x3") 0, in("x4") 0,
            in("x20") body, in("x21") argument);
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "ecall",
            "bnez a0, 2f",
            "mv fp, zero",
            "mv a0, s3",
            "jalr s2",
            "unimp",
            "2:",
            in("a7") number, inlateout("a0") a[0] as isize => result,
            in("a1") a[1], in("a2") a[2], in("a3") 0, in("a4") 0,
            in("s2") body, in("s3") argument);
    }
    result
}

/// Blocks exactly the signals in `mask` for this thread, including those that libc reserves.
/// Returns the previous mask.
pub fn block_signals(mask: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: both pointers are to 8 bytes, the size that is passed. The raw call is needed because
    // libc's own leaves out two signals, whose handlers must not run in the new process.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            size_of::<u64>(),
        )
    };
    before
}

/// Makes a system call and returns the kernel's result: negative for an error.
///
/// # Safety
/// The arguments must be what that call expects.
#[inline(always)]
pub unsafe fn raw(number: i64, a: [usize; 5]) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise. The instruction destroys rcx and r11.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number, inlateout("x0") a[0] as isize => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], options(nostack));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: the caller's promise.
    unsafe {
        std::arch::asm!(
            "ecall",
            in("a7") number, inlateout("a0") a[0] as isize => result,
            in("a1") a[1], in("a2") a[2], in("a3") a[3], in("a4") a[4], options(nostack));
    }
    result
}
