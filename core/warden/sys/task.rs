//! Processes, signals and time.

use super::number as nr;
use super::{Errno, Fd, Result, descriptor, done, open};
use crate::wire::message::BypassToken;
use core::arch::asm;
use core::ffi::CStr;

pub const SIGKILL: i32 = 9;
pub const SIGCHLD: i32 = 17;
pub const SIGCONT: i32 = 18;
pub const SIGSTOP: i32 = 19;

/// Blocks exactly the signals in `mask` (bit n-1 for signal n).
pub fn block_signals(mask: u64) -> Result<()> {
    const SIG_SETMASK: u32 = 2;
    done(call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const mask, 0, 8))
}

/// Resets every signal to its default action: an ignored signal would stay ignored over
/// `execve(2)`.
pub fn default_signals() -> Result<()> {
    let action = [0usize; 4];
    // The action of these two cannot be changed.
    for signal in (1..=64).filter(|signal| ![SIGKILL, SIGSTOP].contains(signal)) {
        call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8)?;
    }
    Ok(())
}

/// Ignores the signals in `mask` (bit n-1 for signal n), also over `execve(2)`.
pub fn ignore_signals(mask: u64) -> Result<()> {
    const SIG_IGN: usize = 1;
    let action = [SIG_IGN, 0, 0, 0];
    for signal in (1..=64u32).filter(|signal| mask & 1 << (signal - 1) != 0) {
        call!(nr::RT_SIGACTION, signal, action.as_ptr(), 0, 8)?;
    }
    Ok(())
}

/// A signalfd that becomes readable when a child ends.
pub fn child_signal() -> Result<Fd> {
    const NONBLOCK: u32 = 0o4000;
    let mask = 1u64 << (SIGCHLD - 1);
    descriptor(call!(
        nr::SIGNALFD4,
        -1i32,
        &raw const mask,
        8,
        NONBLOCK | open::CLOSE_ON_EXEC as u32
    ))
}

/// The id of this process in its own pid namespace; 0 if a filter around the caller refuses the
/// call.
pub fn process_id() -> i32 {
    call!(nr::GETPID).map_or(0, |pid| pid as i32)
}

/// The id of this process in its own pid namespace, for what would protect nothing with another.
pub fn known_process_id() -> Result<u32> {
    call!(nr::GETPID).map(|pid| pid as u32)
}

pub fn kill(pid: i32, signal: i32) -> Result<()> {
    done(call!(nr::KILL, pid, signal))
}

/// The result of `getrusage(2)` as the kernel lays it out: user and system time, each in seconds
/// and microseconds, then 14 numbers.
pub type RawUsage = [i64; 18];

/// A child that has ended: its id, its raw wait status, and the usage of it and of the children
/// that it waited for.
pub struct Reaped {
    pub pid: i32,
    pub status: i32,
    pub usage: RawUsage,
}

/// Reaps one child that has ended. `None` while all run, ECHILD if there are none. Never waits.
pub fn reap() -> Result<Option<Reaped>> {
    const WNOHANG: u32 = 1;
    const WALL: u32 = 0x4000_0000;
    const STOPPED: i32 = 0x7f;
    let (mut status, mut usage) = (0i32, [0i64; 18]);
    let pid = call!(nr::WAIT4, -1i32, &raw mut status, WALL | WNOHANG, usage.as_mut_ptr())?;
    // A child can make its parent its tracer (PTRACE_TRACEME). Its stops are reported here too, but
    // it has not ended.
    if status & 0xff == STOPPED {
        return Err(Errno::EINTR);
    }
    Ok(if pid == 0 { None } else { Some(Reaped { pid: pid as i32, status, usage }) })
}

/// For [`usage_of`]: all children that have been reaped.
pub const CHILDREN: i32 = -1;
/// For [`usage_of`]: the warden itself.
pub const SELF: i32 = 0;

/// The resource usage of [`SELF`] or [`CHILDREN`].
pub fn usage_of(who: i32) -> RawUsage {
    let mut usage = [0i64; 18];
    let _ = call!(nr::GETRUSAGE, who, usage.as_mut_ptr());
    usage
}

/// Nanoseconds of processor time that `pid` and all its threads have used (clock_getcpuclockid(3));
/// 0 if it is gone.
pub fn cpu_time_of(pid: u32) -> u64 {
    const SCHED: i32 = 2;
    let mut time = [0u64; 2];
    match call!(nr::CLOCK_GETTIME, !(pid as i32) << 3 | SCHED, time.as_mut_ptr()) {
        Ok(_) => time[0] * 1_000_000_000 + time[1],
        Err(_) => 0,
    }
}

/// The monotonic clock in nanoseconds.
pub fn now() -> u64 {
    let mut time = [0u64; 2];
    let _ = call!(nr::CLOCK_GETTIME, 1, time.as_mut_ptr());
    time[0] * 1_000_000_000 + time[1]
}

/// A descriptor for [`wait`], as `poll(2)` lays it out.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Polled {
    fd: i32,
    wanted: u16,
    ready: u16,
}

impl Polled {
    const READ: u16 = 1;
    const WRITE: u16 = 4;

    pub const NOTHING: Polled = Polled { fd: -1, wanted: 0, ready: 0 };
    /// Ready when there is input, or when the other side has hung up.
    pub fn readable(fd: i32) -> Polled {
        Polled { fd, wanted: Polled::READ, ready: 0 }
    }
    /// Ready when there is room to write, or when nobody reads.
    pub fn writable(fd: i32) -> Polled {
        Polled { fd, wanted: Polled::WRITE, ready: 0 }
    }
    /// Ready only when nobody reads any more.
    pub fn hang_up(fd: i32) -> Polled {
        Polled { fd, wanted: 0, ready: 0 }
    }
    pub fn is_ready(&self) -> bool {
        self.ready != 0
    }
    /// Whether there is input, and not only a hang-up.
    pub fn has_input(&self) -> bool {
        self.ready & Polled::READ != 0
    }
}

/// Waits until one of `polled` is ready or the timeout has passed.
pub fn wait(polled: &mut [Polled], timeout_ns: Option<u64>) -> Result<()> {
    let time = timeout_ns.map(|ns| [ns / 1_000_000_000, ns % 1_000_000_000]);
    let time = time.as_ref().map_or(core::ptr::null(), |time| time.as_ptr());
    done(call!(nr::PPOLL, polled.as_mut_ptr(), polled.len(), time, 0, 8))
}

/// Starts a process that runs `body` on its own stack, without waiting for it. Returns its id and
/// pidfd.
///
/// With `share`, it runs in the warden's memory until it executes a program or ends, else in a
/// copy. Its stack and argument stay valid until [`Lent::take_back`](super::Lent::take_back).
/// `body` must not unwind; the warden is built without unwinding.
pub fn start<T: Sync>(
    stack: &'static mut [usize],
    share: bool,
    body: extern "C" fn(&'static T) -> !,
    argument: &'static T,
) -> Result<(i32, Fd)> {
    const VM: u64 = 0x100;
    const PIDFD: u64 = 0x1000;
    let flags = PIDFD | SIGCHLD as u64 | if share { VM } else { 0 };
    let mut pidfd = -1i32;
    let top = stack.as_mut_ptr_range().end as usize & !15;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the child runs `body` on `stack`, which nothing else uses. `body` never returns, and
    // `argument` outlives it. The parent finds all its registers as they were.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f",
            "xor ebp, ebp", "mov rdi, r13", "call r12", "ud2", "2:",
            inlateout("rax") nr::CLONE as isize => result, in("rdi") flags, in("rsi") top,
            in("rdx") &raw mut pidfd, in("r10") 0, in("r8") 0, in("r12") body, in("r13") argument,
            lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc 0", "cbnz x0, 2f", "mov x29, #0", "mov x0, x21", "blr x20", "brk #1", "2:",
            in("x8") nr::CLONE, inlateout("x0") flags as isize => result, in("x1") top,
            in("x2") &raw mut pidfd, in("x3") 0, in("x4") 0, in("x20") body, in("x21") argument);
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        asm!("ecall", "bnez a0, 2f", "mv fp, zero", "mv a0, s3", "jalr s2", "unimp", "2:",
            in("a7") nr::CLONE, inlateout("a0") flags as isize => result, in("a1") top,
            in("a2") &raw mut pidfd, in("a3") 0, in("a4") 0, in("s2") body, in("s3") argument);
    }
    if result < 0 { Err(Errno(-result as i32)) } else { Ok((result as i32, Fd(pidfd))) }
}

/// Forks like [`fork_sibling`], with this process id in its own pid namespace; EEXIST if it is
/// taken. It uses clone3(2) with `set_tid` (Linux 5.5), which takes CAP_SYS_ADMIN or
/// CAP_CHECKPOINT_RESTORE over the namespace.
pub fn fork_sibling_as(number: i32) -> Result<Option<(i32, Fd)>> {
    const PARENT: u64 = 0x8000;
    const PIDFD: u64 = 0x1000;
    let mut pidfd = -1i32;
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal (that of the parent, for
    // a sibling), stack and its size, tls, set_tid and its length.
    let arguments =
        [PARENT | PIDFD, &raw mut pidfd as u64, 0, 0, 0, 0, 0, 0, &raw const number as u64, 1];
    let pid = call!(nr::CLONE3, arguments.as_ptr(), size_of_val(&arguments))?;
    Ok(if pid == 0 { None } else { Some((pid as i32, Fd(pidfd))) })
}

/// Forks a sibling of this process, that is, a child of its parent. Returns `Ok(None)` in the new
/// process.
pub fn fork_sibling() -> Result<Option<(i32, Fd)>> {
    const PARENT: u64 = 0x8000;
    const PIDFD: u64 = 0x1000;
    let mut pidfd = -1i32;
    let pid = call!(nr::CLONE, PARENT | PIDFD | SIGCHLD as u64, 0, &raw mut pidfd, 0, 0)?;
    Ok(if pid == 0 { None } else { Some((pid as i32, Fd(pidfd))) })
}

/// Forks into new namespaces of these kinds. Returns `Ok(None)` in the new process.
pub fn fork_into(namespaces: u64) -> Result<Option<(i32, Fd)>> {
    const PIDFD: u64 = 0x1000;
    let mut pidfd = -1i32;
    let pid = call!(nr::CLONE, namespaces | PIDFD | SIGCHLD as u64, 0, &raw mut pidfd, 0, 0)?;
    Ok(if pid == 0 { None } else { Some((pid as i32, Fd(pidfd))) })
}

const SHARE_DIRECTORIES: u64 = 0x200;
const SHARE_DESCRIPTORS: u64 = 0x400;

/// Forks into a new pid namespace. The new process, its first, has a copy of the memory, and shares
/// descriptors, root and working directory until it calls [`stand_alone`].
pub fn fork_first() -> Result<Option<(i32, Fd)>> {
    const NEW_PID_NAMESPACE: u64 = 0x2000_0000;
    fork_into(NEW_PID_NAMESPACE | SHARE_DIRECTORIES | SHARE_DESCRIPTORS)
}

/// Goes on with copies of the descriptors and directories that it has shared.
pub fn stand_alone() -> Result<()> {
    super::unshare(SHARE_DIRECTORIES | SHARE_DESCRIPTORS)
}

/// An eventfd to wait at: reading 8 bytes waits until 8 bytes have been written.
pub fn gate() -> Result<Fd> {
    descriptor(call!(nr::EVENTFD2, 0, open::CLOSE_ON_EXEC as u32))
}

/// A NULL-terminated array of pointers to C strings, as `execve(2)` takes it.
pub struct Pointers(&'static mut [usize]);

impl Pointers {
    /// Stores the addresses of the strings in `space`, which needs one word more than there are
    /// strings.
    pub fn new(
        space: &'static mut [usize],
        strings: impl Iterator<Item = &'static CStr>,
    ) -> Result<Pointers> {
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

/// Executes the program at `path`. Returns only if that fails.
pub fn execute(
    path: &CStr,
    arguments: &Pointers,
    environment: &Pointers,
    token: BypassToken,
) -> Errno {
    match call!(
        nr::EXECVE,
        path.as_ptr(),
        arguments.0.as_ptr(),
        environment.0.as_ptr(),
        0,
        token.fourth,
        token.fifth
    ) {
        Err(errno) => errno,
        Ok(_) => Errno::EPROTO,
    }
}
