//! Processes, signals and time.

use super::number as nr;
use super::{Errno, Fd, Result, descriptor, done, open};
use core::arch::asm;
use core::ffi::CStr;

pub const SIGKILL: i32 = 9;
pub const SIGCHLD: i32 = 17;

/// Blocks exactly the signals in `mask` (bit n-1 for signal n).
pub fn block_signals(mask: u64) {
    const SIG_SETMASK: u32 = 2;
    let _ = call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const mask, 0, 8);
}

/// Gives every signal its default meaning again: an ignored one would stay ignored over exec.
pub fn default_signals() {
    let action = [0usize; 4];
    for signal in 1..=64 {
        let _ = call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8);
    }
}

/// A descriptor that becomes readable when a child ends.
pub fn child_signal() -> Result<Fd> {
    const NONBLOCK: u32 = 0o4000;
    let mask = 1u64 << (SIGCHLD - 1);
    descriptor(call!(nr::SIGNALFD4, -1i32, &raw const mask, 8, NONBLOCK | open::CLOSE_ON_EXEC as u32))
}

pub fn kill(pid: i32, signal: i32) -> Result<()> {
    done(call!(nr::KILL, pid, signal))
}

/// One child that has ended and its raw wait status; `None` while all run; ECHILD when there are none.
pub fn reap(block: bool) -> Result<Option<(i32, i32)>> {
    const WNOHANG: u32 = 1;
    const WALL: u32 = 0x4000_0000;
    let mut status = 0i32;
    let pid = call!(nr::WAIT4, -1i32, &raw mut status, WALL | if block { 0 } else { WNOHANG }, 0)?;
    Ok(if pid == 0 { None } else { Some((pid as i32, status)) })
}

/// `getrusage(RUSAGE_CHILDREN)`, as the kernel lays it out: user and system time, then 14 numbers.
pub fn usage_of_children() -> [i64; 18] {
    let mut usage = [0i64; 18];
    let _ = call!(nr::GETRUSAGE, -1i32, usage.as_mut_ptr());
    usage
}

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let mut time = [0u64; 2];
    let _ = call!(nr::CLOCK_GETTIME, 1, time.as_mut_ptr());
    time[0] * 1_000_000_000 + time[1]
}

/// Waits until one of `fds` has something to read or has hung up. `None` in the list is passed over. The answer has a
/// bit for each that has.
pub fn wait_readable<const N: usize>(fds: [Option<i32>; N], timeout_ns: Option<u64>) -> Result<u32> {
    let mut polled = [[0u32; 2]; N];
    for (slot, fd) in polled.iter_mut().zip(fds) {
        *slot = [fd.unwrap_or(-1) as u32, 1];
    }
    let time = timeout_ns.map(|ns| [ns / 1_000_000_000, ns % 1_000_000_000]);
    let time = time.as_ref().map_or(core::ptr::null(), |time| time.as_ptr());
    call!(nr::PPOLL, polled.as_mut_ptr(), N, time, 0, 8)?;
    Ok(polled.iter().enumerate().fold(0, |ready, (i, slot)| if slot[1] >> 16 != 0 { ready | 1 << i } else { ready }))
}

/// Starts a process that runs `body` on a stack of its own; returns when it has executed a program or ended.
///
/// With `share`, it borrows the warden's memory meanwhile, as vfork(2) does. `body` must not unwind (there is no unwinding here).
pub fn start<T: Sync>(stack: &mut [u8], share: bool, body: extern "C" fn(&T) -> !, argument: &T) -> Result<(i32, Fd)> {
    const VM: u64 = 0x100;
    const PIDFD: u64 = 0x1000;
    const VFORK: u64 = 0x4000;
    let flags = VFORK | PIDFD | SIGCHLD as u64 | if share { VM } else { 0 };
    let mut pidfd = -1i32;
    let top = (stack.as_mut_ptr() as usize + stack.len()) & !15;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the child runs `body` on `stack`, which the warden does not touch before it goes on (CLONE_VFORK);
    // `body` never returns, and `argument` outlives it for the same reason.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r13", "call r12", "ud2", "2:",
            inlateout("rax") nr::CLONE as isize => result, in("rdi") flags, in("rsi") top, in("rdx") &raw mut pidfd,
            in("r10") 0, in("r8") 0, in("r12") body, in("r13") argument, lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc 0", "cbnz x0, 2f", "mov x29, #0", "mov x0, x21", "blr x20", "brk #1", "2:",
            in("x8") nr::CLONE, inlateout("x0") flags as isize => result, in("x1") top, in("x2") &raw mut pidfd,
            in("x3") 0, in("x4") 0, in("x20") body, in("x21") argument);
    }
    if result < 0 { Err(Errno(-result as i32)) } else { Ok((result as i32, Fd(pidfd))) }
}

/// A sibling of this process (a child of its parent) that goes on from here: `Ok(None)` in the new one.
pub fn fork_sibling() -> Result<Option<(i32, Fd)>> {
    const PARENT: u64 = 0x8000;
    const PIDFD: u64 = 0x1000;
    let mut pidfd = -1i32;
    let pid = call!(nr::CLONE, PARENT | PIDFD | SIGCHLD as u64, 0, &raw mut pidfd, 0, 0)?;
    Ok(if pid == 0 { None } else { Some((pid as i32, Fd(pidfd))) })
}

/// Pointers to C strings, as `execve(2)` wants them: NULL-terminated.
pub struct Pointers<'a>(&'a mut [usize]);

impl<'a> Pointers<'a> {
    /// Lays the strings' addresses into `space`, which must have one place more than there are strings.
    pub fn new(space: &'a mut [usize], strings: impl Iterator<Item = &'a CStr>) -> Result<Pointers<'a>> {
        let last = space.len().checked_sub(1).ok_or(Errno::EPROTO)?;
        let mut used = 0;
        for string in strings {
            if used == last {
                return Err(Errno::EPROTO);
            }
            space[used] = string.as_ptr() as usize;
            used += 1;
        }
        space[used] = 0;
        Ok(Pointers(space))
    }
}

/// Executes the program at `path`; only returns if that failed.
pub fn execute(path: &CStr, arguments: &Pointers<'_>, environment: &Pointers<'_>) -> Errno {
    match call!(nr::EXECVE, path.as_ptr(), arguments.0.as_ptr(), environment.0.as_ptr()) {
        Err(errno) => errno,
        Ok(_) => Errno::EPROTO,
    }
}
