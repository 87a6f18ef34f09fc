//! The launch: one clone that makes the namespaces, and the few instructions until the warden is
//! executed. And another one, for a file that the caller's own limits do not let it write.
//!
//! Between `clone` and `execveat` the new process runs in the caller's memory, with the calling
//! thread suspended (CLONE_VM|CLONE_VFORK) and other threads running on. So what runs there
//! ([`enter`], [`fill`] and [`raw`]) makes system calls and nothing else: no allocation, no lock,
//! no panic, no libc (its `errno` would be the caller's), and every signal blocked. This is the one
//! file with these rules.
#![allow(unsafe_code)]

use crate::host::cgroup::{Doors, Entered};
use crate::host::image::Image;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

/// A process just made: its descriptor and its number.
pub struct Launched {
    pub pidfd: OwnedFd,
    pub pid: i32,
    /// The cgroups that it stands in already.
    pub entered: Entered,
}

/// What the new process needs. It lives on the caller's stack, which stands still meanwhile.
struct Needs {
    control: c_int,
    image: c_int,
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    /// The doors to cgroups of version 1, and how many of them it has gone through.
    doors: *const c_int,
    door_count: usize,
    entered: AtomicUsize,
    errno: AtomicI32,
}

/// Which of the two system calls failed.
pub enum LaunchFailure {
    Clone(io::Error),
    Execute(io::Error),
}

/// Executes the warden in new namespaces (`flags`), with `control` as its descriptor 0; without
/// `flags` in the caller's, as a founder.
///
/// `control` and the image's descriptor must be 3 or higher. Born in the v2 cgroup among the
/// `doors`, where the kernel can do that (clone3(2), CLONE_INTO_CGROUP, Linux 5.7) and nobody
/// forbids the call, and the first thing that it does is go through the others.
pub fn launch(
    image: &Image,
    flags: Option<u64>,
    control: BorrowedFd<'_>,
    doors: &Doors<'_>,
) -> Result<Launched, LaunchFailure> {
    const STACK: usize = 32 * 1024;
    let (image_fd, path) = image.executable();
    let argument = if flags.is_none() { FOUND.as_ptr() } else { std::ptr::null() };
    let arguments: [*const c_char; 3] = [c"seclude-warden".as_ptr(), argument, std::ptr::null()];
    let environment: [*const c_char; 1] = [std::ptr::null()];
    let tasks: Vec<c_int> = doors.v1.iter().map(AsRawFd::as_raw_fd).collect();
    let needs = Needs {
        control: control.as_raw_fd(),
        image: image_fd,
        path: path.as_ptr(),
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        doors: tasks.as_ptr(),
        door_count: tasks.len(),
        entered: AtomicUsize::new(0),
        errno: AtomicI32::new(0),
    };
    let mut stack: Box<[MaybeUninit<u128>]> = Box::new_uninit_slice(STACK / size_of::<u128>());
    let top = stack.as_mut_ptr_range().end;
    let mut pidfd: c_int = -1;
    let flags =
        flags.unwrap_or(0) | (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    let argument: *mut c_void = (&raw const needs).cast_mut().cast();
    let arguments = doors.v2.map(|cgroup| CloneArguments {
        flags: flags | CLONE_INTO_CGROUP,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: STACK as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArguments::default()
    });

    let blocked = block_signals(u64::MAX);
    // SAFETY: `enter` runs on `stack`, which is large enough for it and outlives it; it reads
    // `needs`, which does too, because CLONE_VFORK suspends this thread until the new process
    // has executed the warden or ended. `enter` does not return.
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
    // It has a standard number if the caller has closed that one, and may be about to put another
    // stream there.
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
            // It is ending: nothing can keep it from that.
            crate::base::sys::reap(pidfd.as_fd(), Duration::from_secs(1));
            Err(LaunchFailure::Execute(io::Error::from_raw_os_error(errno)))
        }
    }
}

/// What is to be written, and how that went. It lives on the caller's stack, which stands still
/// meanwhile.
struct Filling {
    file: c_int,
    start: *const u8,
    length: usize,
    errno: AtomicI32,
}

/// Writes all of `bytes` to a file, in a process of its own that has raised its limit on the size
/// of files as far as it may: the limit is a process's, and the caller's stays as it is. EFBIG if
/// that was not far enough, and no signal.
pub fn write_apart(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
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
    // It ends without a signal to the caller, whose own loops do not see it.
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as usize;
    let blocked = block_signals(u64::MAX);
    // SAFETY: `fill` runs on `stack`, which is large enough for it and outlives it; it reads
    // `filling` and `bytes`, which do too, because CLONE_VFORK suspends this thread until the
    // new process has ended. `fill` does not return.
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

/// The process that writes. Every signal is blocked, SIGXFSZ too: what is pending goes with it.
extern "C" fn fill(argument: *mut c_void) -> c_int {
    const RLIMIT_FSIZE: usize = libc::RLIMIT_FSIZE as usize;
    // SAFETY: `write_apart` passes a pointer to a `Filling` that outlives this process.
    let filling = unsafe { &*argument.cast::<Filling>() };
    let mut limit = [u64::MAX; 2];
    let mut written = 0;
    let mut result = 0;
    // SAFETY: all calls take numbers, or pointers to the local above and to what `filling` holds:
    // so many bytes.
    unsafe {
        // A privileged one may have all. Any other may have what its hard limit says.
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
    // A write of nothing is no success either.
    let errno = if written == filling.length { 0 } else { (result.wrapping_neg() as i32).max(1) };
    filling.errno.store(errno, Ordering::Release);
    loop {
        // SAFETY: ends this process, and only it.
        unsafe { raw(libc::SYS_exit_group, [0, 0, 0, 0, 0]) };
    }
}

/// The argument by which the warden knows that it is to found.
pub const FOUND: &CStr = c"found";

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// struct clone_args, up to and with `cgroup`.
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

/// clone(2) or clone3(2), its result as the kernel returns it; the new process calls
/// `body(argument)` on the stack that `a` names.
///
/// Not libc's clone: a caller built with ThreadSanitizer has that replaced by one that takes the
/// sanitizer's locks before the call and releases them on both sides of it, which in a shared
/// memory is once too often, and it aborts.
///
/// # Safety
/// As for `clone(2)` with CLONE_VM and CLONE_VFORK; `body` must not return. The other two arguments
/// of clone(2), a thread's, are zero.
unsafe fn clone(
    number: i64,
    a: [usize; 3],
    body: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise; the new process never goes on here, and the old one finds all
    // registers as they were.
    unsafe {
        std::arch::asm!("syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r13", "call r12", "ud2", "2:",
            inlateout("rax") number as isize => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") 0, in("r8") 0,
            in("r12") body, in("r13") argument, lateout("rcx") _, lateout("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("svc 0", "cbnz x0, 2f", "mov x29, #0", "mov x0, x21", "blr x20", "brk #1", "2:",
            in("x8") number, inlateout("x0") a[0] as isize => result, in("x1") a[1], in("x2") a[2], in("x3") 0, in("x4") 0,
            in("x20") body, in("x21") argument);
    }
    result
}

/// Blocks exactly the signals in `mask`, libc's own among them, for this thread; the mask that was
/// in force.
fn block_signals(mask: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: both pointers are to 8 bytes, the size that is passed. Raw, because libc keeps two
    // signals out of its own call, and their handlers must not run in the new process.
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

/// What the warden needs while it sets up: CAP_SETGID, SETUID, SETPCAP, NET_ADMIN, SYS_ADMIN,
/// SYS_RESOURCE, SYS_TIME; and SETFCAP, for a template that maps id 0 for its copies
/// (user_namespaces(7)). One that cannot be raised is missed where it is needed, by a step that
/// says so.
const CAPABILITIES: [usize; 8] = [6, 7, 8, 12, 21, 24, 25, 31];

/// The new process: it enters its cgroups, the control socket becomes descriptor 0, the
/// capabilities survive the exec, the warden is executed.
///
/// In a new user namespace without a map an exec drops every capability: the process is not root
/// there yet. Ambient ones stay (capabilities(7)); the warden clears them before any command runs.
///
/// A thread that moves itself alone, by 0 in `tasks`, waits for nobody; moved by another, through
/// `cgroup.procs`, it waits until every processor has passed a quiet moment (RCU), which is many
/// times as long as all the rest.
extern "C" fn enter(argument: *mut c_void) -> c_int {
    const PR_CAP_AMBIENT: usize = 47;
    const PR_CAP_AMBIENT_RAISE: usize = 2;
    // SAFETY: `launch` passes a pointer to `Needs` that outlives this process's stay in its memory.
    let needs = unsafe { &*argument.cast::<Needs>() };
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut sets = [0u32; 6];
    // SAFETY: all calls take numbers, or pointers to the locals above and to what `needs` holds,
    // which is as the kernel wants it.
    let result = unsafe {
        let mut through = 0;
        while through < needs.door_count
            && raw(
                libc::SYS_write,
                [*needs.doors.add(through) as usize, b"0".as_ptr() as usize, 1, 0, 0],
            ) == 1
        {
            through += 1;
        }
        needs.entered.store(through, Ordering::Release);
        raw(libc::SYS_capget, [header.as_ptr() as usize, sets.as_mut_ptr() as usize, 0, 0, 0]);
        sets[2] = sets[1];
        sets[5] = sets[4];
        raw(libc::SYS_capset, [header.as_ptr() as usize, sets.as_ptr() as usize, 0, 0, 0]);
        let mut next = 0;
        while next < CAPABILITIES.len() {
            raw(libc::SYS_prctl, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITIES[next], 0, 0]);
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

/// A system call, its result as the kernel returns it: negative for an error.
///
/// # Safety
/// The arguments must be what that call expects.
#[inline(always)]
unsafe fn raw(number: i64, a: [usize; 5]) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise; rcx and r11 are what the instruction destroys.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise.
    unsafe {
        std::arch::asm!("svc 0", in("x8") number, inlateout("x0") a[0] as isize => result, in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], options(nostack));
    }
    result
}
