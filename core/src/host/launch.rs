//! The launch: one clone that creates the namespaces, and the few instructions until the new
//! process executes the warden. A second function writes a file that the caller's own limits do not
//! let it write.
//!
//! Between `clone` and `execveat` the new process runs in the caller's memory. The calling thread
//! is suspended (CLONE_VM|CLONE_VFORK), and other threads keep running. So the code there
//! ([`enter`], [`fill`] and [`raw`]) makes system calls and nothing else. It must not allocate,
//! take a lock, panic, or call libc (whose `errno` would be the caller's), and every signal is
//! blocked. Only this file has these rules,
//! and it is longer than 400 lines so that no other has them.
#![allow(unsafe_code)]

use crate::host::cgroup::{Entered, EntryDescriptors};
use crate::host::image::Image;
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

/// Which of the two system calls failed.
pub enum LaunchFailure {
    Clone(io::Error),
    Execute(io::Error),
}

/// Executes the warden in new namespaces (`flags`), with `control` as its descriptor 0. Without
/// `flags`, executes it in the caller's namespaces with the argument [`FOUND`], to create the
/// namespaces itself.
///
/// `control` and the image's descriptor must be 3 or higher. The new process starts in the v2
/// cgroup of `entry` where the kernel supports it (clone3(2), CLONE_INTO_CGROUP, Linux 5.7) and no
/// filter denies the call. Before anything else it enters the v1 cgroups. `kept`: the capabilities
/// that its commands keep, as bits.
///
/// # Errors
///
/// Which of the two system calls failed, and its error number.
pub fn launch(
    image: &Image,
    flags: Option<u64>,
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

    let blocked = block_signals(u64::MAX);
    // SAFETY: `enter` runs on `stack`, which is large enough and outlives it. `enter` reads
    // `needs`, which outlives it too: CLONE_VFORK suspends this thread until the new process has
    // executed the warden or ended. `enter` does not return.
    let born = arguments.as_ref().map(|arguments| unsafe {
        clone(
            libc::SYS_clone3,
            [&raw const *arguments as usize, size_of::<CloneArguments>(), 0],
            enter,
            argument,
        )
    });
    let in_v2 = born.is_some_and(|result| result > 0);
    let result = match born {
        Some(pid) if in_v2 => pid,
        // SAFETY: as above.
        _ => unsafe {
            let flags = flags as usize | libc::SIGCHLD as usize;
            clone(libc::SYS_clone, [flags, top as usize, &raw mut pidfd as usize], enter, argument)
        },
    };
    block_signals(blocked);

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
    const STACK: usize = 16 * 1024;
    let filling = Filling {
        file: file.as_raw_fd(),
        start: bytes.as_ptr(),
        length: bytes.len(),
        errno: AtomicI32::new(0),
    };
    let mut stack: Box<[MaybeUninit<u128>]> = Box::new_uninit_slice(STACK / size_of::<u128>());
    let top = stack.as_mut_ptr_range().end;
    let mut pidfd: c_int = -1;
    // No exit signal: the caller's own SIGCHLD handler and wait loops do not see this child.
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as usize;
    let blocked = block_signals(u64::MAX);
    // SAFETY: `fill` runs on `stack`, which is large enough and outlives it. `fill` reads `filling`
    // and `bytes`, which outlive it too: CLONE_VFORK suspends this thread until the new process has
    // ended. `fill` does not return.
    let result = unsafe {
        clone(
            libc::SYS_clone,
            [flags, top as usize, &raw mut pidfd as usize],
            fill,
            (&raw const filling).cast_mut().cast(),
        )
    };
    block_signals(blocked);
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result as i32));
    }
    // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    crate::base::sys::reap(pidfd.as_fd(), Duration::from_secs(1));
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
    loop {
        // SAFETY: ends this process, and only it.
        unsafe { raw(libc::SYS_exit_group, [0, 0, 0, 0, 0]) };
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
unsafe fn clone(
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
fn block_signals(mask: u64) -> u64 {
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

/// Makes a system call and returns the kernel's result: negative for an error.
///
/// # Safety
/// The arguments must be what that call expects.
#[inline(always)]
unsafe fn raw(number: i64, a: [usize; 5]) -> isize {
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
