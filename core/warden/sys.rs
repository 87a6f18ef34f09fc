//! The kernel's calls, raw: the only `unsafe` of the warden. No libc, no allocation, no thread-local `errno`.
//!
//! Each wrapper is safe to call with any arguments: the kernel checks what it is given, slices and C strings carry
//! their lengths, and a descriptor closes itself. What a call may fail with is in its man page.

mod memory;
mod number;

use core::arch::{asm, global_asm};
use core::ffi::CStr;
use number as nr;

/// An error number, positive as in `errno(3)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident = $value:literal),* $(,)?) => { impl Errno { $(pub const $name: Errno = Errno($value);)* } };
}
errnos! {
    EPERM = 1, ENOENT = 2, EINTR = 4, EBADF = 9, ENOMEM = 12, EACCES = 13, ENODEV = 19,
    ENOTDIR = 20, EINVAL = 22, ENAMETOOLONG = 36, ENOSYS = 38, ELOOP = 40, EPROTO = 71,
}

pub type Result<T> = core::result::Result<T, Errno>;

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {enter}", "ud2", enter = sym enter);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "mov x0, sp", "and sp, x0, #-16", "bl {enter}", "brk #1", enter = sym enter);

/// The first instruction's successor: hands the program's first argument, if there is one, to `main`.
unsafe extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: the kernel lays the argument count, then the argument pointers, at the initial stack pointer (execve(2)).
    let argument = unsafe {
        let count = *stack;
        if count > 1 { Some(CStr::from_ptr(*stack.add(2) as *const core::ffi::c_char)) } else { None }
    };
    crate::main(argument)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

/// # Safety
/// The arguments must be what the call of that number expects; pointers must be valid for what the kernel does with them.
#[inline]
unsafe fn syscall(number: usize, a: [usize; 6]) -> Result<usize> {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise; rcx and r11 are what the instruction destroys.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a[0] as isize => result, in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    if result < 0 { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

fn six(given: &[usize]) -> [usize; 6] {
    core::array::from_fn(|i| given.get(i).copied().unwrap_or(0))
}

/// One call whose arguments are numbers or pointers into live Rust values.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {{
        let given: &[usize] = &[$($argument as usize),*];
        // SAFETY: each wrapper below passes what the call's man page asks for; pointers come from references that outlive the call.
        unsafe { syscall($number, six(given)) }
    }};
}

fn done(result: Result<usize>) -> Result<()> {
    result.map(drop)
}

/// An owned descriptor.
pub struct Fd(i32);

impl Fd {
    pub fn number(&self) -> i32 {
        self.0
    }
    pub fn into_number(self) -> i32 {
        let number = self.0;
        core::mem::forget(self);
        number
    }
    /// Takes over a number that nobody else owns.
    pub fn own(number: i32) -> Fd {
        Fd(number)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        let _ = call!(nr::CLOSE, self.0);
    }
}

fn descriptor(result: Result<usize>) -> Result<Fd> {
    result.map(|number| Fd(number as i32))
}

/// The working directory, where a directory descriptor is asked for.
pub const CWD: i32 = -100;
const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_RECURSIVE: u32 = 0x8000;
const AT_EMPTY_PATH: u32 = 0x1000;

pub fn exit(code: i32) -> ! {
    loop {
        let _ = call!(nr::EXIT_GROUP, code);
    }
}

// ---- files ---------------------------------------------------------------------------------------------------------

pub mod open {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const CREATE: u64 = 0o100;
    pub const EXCLUSIVE: u64 = 0o200;
    pub const CLOSE_ON_EXEC: u64 = 0o2000000;
    pub const PATH: u64 = 0o10000000;
    #[cfg(target_arch = "x86_64")]
    pub const DIRECTORY: u64 = 0o200000;
    #[cfg(target_arch = "x86_64")]
    pub const NO_FOLLOW: u64 = 0o400000;
    #[cfg(target_arch = "aarch64")]
    pub const DIRECTORY: u64 = 0o40000;
    #[cfg(target_arch = "aarch64")]
    pub const NO_FOLLOW: u64 = 0o100000;
}

/// `openat2(2)`'s resolve bits.
pub mod resolve {
    pub const NO_MAGICLINKS: u64 = 0x02;
    pub const IN_ROOT: u64 = 0x10;
}

pub fn open_resolved(directory: i32, path: &CStr, flags: u64, resolve: u64) -> Result<Fd> {
    let how = [flags | open::CLOSE_ON_EXEC, 0, resolve];
    descriptor(call!(nr::OPENAT2, directory, path.as_ptr(), how.as_ptr(), size_of_val(&how)))
}

pub fn open(directory: i32, path: &CStr, flags: u64, mode: u32) -> Result<Fd> {
    descriptor(call!(nr::OPENAT, directory, path.as_ptr(), flags | open::CLOSE_ON_EXEC, mode))
}

pub fn read(fd: &Fd, buffer: &mut [u8]) -> Result<usize> {
    call!(nr::READ, fd.0, buffer.as_mut_ptr(), buffer.len())
}

/// Writes all of `data`.
pub fn write(fd: &Fd, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        let written = call!(nr::WRITE, fd.0, data.as_ptr(), data.len())?;
        data = data.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Writes `data` to a file that exists, in one write, as the kernel's own files want it.
pub fn write_file(path: &CStr, data: &[u8]) -> Result<()> {
    let file = open(CWD, path, open::WRITE, 0)?;
    let written = call!(nr::WRITE, file.0, data.as_ptr(), data.len())?;
    if written == data.len() { Ok(()) } else { Err(Errno::EPROTO) }
}

pub fn make_directory(directory: i32, name: &CStr, mode: u32) -> Result<()> {
    done(call!(nr::MKDIRAT, directory, name.as_ptr(), mode))
}

pub fn symlink(target: &CStr, directory: i32, name: &CStr) -> Result<()> {
    done(call!(nr::SYMLINKAT, target.as_ptr(), directory, name.as_ptr()))
}

pub fn read_link(directory: i32, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
    call!(nr::READLINKAT, directory, name.as_ptr(), buffer.as_mut_ptr(), buffer.len())
}

pub fn unlink(directory: i32, name: &CStr) -> Result<()> {
    done(call!(nr::UNLINKAT, directory, name.as_ptr(), 0))
}


pub fn change_directory(path: &CStr) -> Result<()> {
    done(call!(nr::CHDIR, path.as_ptr()))
}

pub fn change_directory_to(fd: &Fd) -> Result<()> {
    done(call!(nr::FCHDIR, fd.0))
}

/// Entries of an open directory, as `getdents64(2)` packs them; 0 at the end.
pub fn list_directory(fd: &Fd, buffer: &mut [u8]) -> Result<usize> {
    call!(nr::GETDENTS64, fd.0, buffer.as_mut_ptr(), buffer.len())
}

/// Whether the effective user may do what `mode` says (R_OK 4, X_OK 1) to what `fd` stands for.
pub fn accessible(fd: i32, mode: u32) -> Result<()> {
    const AT_EACCESS: u32 = 0x200;
    done(call!(nr::FACCESSAT2, fd, c"".as_ptr(), mode, AT_EMPTY_PATH | AT_EACCESS))
}

/// What `statx(2)` says that the warden asks for.
pub struct Status {
    pub mode: u32,
    /// What it stands for, if it is a device node.
    pub device: (u32, u32),
    /// The file system that it lies on.
    pub file_system: u64,
}

impl Status {
    pub fn is_directory(&self) -> bool {
        self.mode & 0o170000 == 0o040000
    }
    pub fn is_symlink(&self) -> bool {
        self.mode & 0o170000 == 0o120000
    }
    pub fn is_file(&self) -> bool {
        self.mode & 0o170000 == 0o100000
    }
    pub fn is_character_device(&self) -> bool {
        self.mode & 0o170000 == 0o020000
    }
}

/// The status of `name` in `directory`, or of the descriptor itself if `name` is empty. Links are not followed.
pub fn status(directory: i32, name: &CStr) -> Result<Status> {
    const STATX_TYPE_MODE: u32 = 0x3;
    let mut raw = [0u64; 32];
    done(call!(nr::STATX, directory, name.as_ptr(), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_TYPE_MODE, raw.as_mut_ptr()))?;
    // struct statx: stx_mode at byte 28, stx_rdev_major and _minor at 128, stx_dev_major and _minor at 136.
    Ok(Status { mode: (raw[3] >> 32) as u32 & 0xffff, device: (raw[16] as u32, (raw[16] >> 32) as u32), file_system: raw[17] })
}

// ---- mounts --------------------------------------------------------------------------------------------------------

/// A copy of the mount tree at `fd`, attached nowhere.
pub fn copy_tree(fd: i32, recursive: bool) -> Result<Fd> {
    const OPEN_TREE_CLONE: u64 = 1;
    let deep = if recursive { AT_RECURSIVE as u64 } else { 0 };
    descriptor(call!(nr::OPEN_TREE, fd, c"".as_ptr(), OPEN_TREE_CLONE | deep | AT_EMPTY_PATH as u64 | open::CLOSE_ON_EXEC))
}

/// Attaches the tree at `tree` to what `target` stands for.
pub fn attach_tree(tree: &Fd, target: i32, path: &CStr) -> Result<()> {
    const FROM_EMPTY_PATH: u32 = 0x4;
    const TO_EMPTY_PATH: u32 = 0x40;
    let to = if path.is_empty() { TO_EMPTY_PATH } else { 0 };
    done(call!(nr::MOVE_MOUNT, tree.0, c"".as_ptr(), target, path.as_ptr(), FROM_EMPTY_PATH | to))
}

/// Adds attributes to the mount at `fd`, and to all below it if `recursive`.
pub fn add_attributes(fd: &Fd, attributes: u64, recursive: bool) -> Result<()> {
    set_attributes(fd.0, c"", [attributes, 0, 0, 0], recursive)
}

/// Stops propagation, both ways, of every mount that the warden sees.
pub fn stop_propagation() -> Result<()> {
    const MS_PRIVATE: u64 = 1 << 18;
    const MS_REC: u64 = 1 << 14;
    mount(None, c"/", None, MS_PRIVATE | MS_REC, None)
}

fn set_attributes(directory: i32, path: &CStr, attributes: [u64; 4], recursive: bool) -> Result<()> {
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    done(call!(nr::MOUNT_SETATTR, directory, path.as_ptr(), flags, attributes.as_ptr(), size_of_val(&attributes)))
}

/// A file system that is being configured: `fsopen(2)`.
pub struct FileSystem(Fd);

impl FileSystem {
    pub fn open(kind: &CStr) -> Result<FileSystem> {
        descriptor(call!(nr::FSOPEN, kind.as_ptr(), 1)).map(FileSystem)
    }
    pub fn set(&self, key: &CStr, value: &CStr) -> Result<()> {
        const SET_STRING: u32 = 1;
        done(call!(nr::FSCONFIG, self.0.0, SET_STRING, key.as_ptr(), value.as_ptr(), 0))
    }
    /// Makes it, as a tree attached nowhere.
    pub fn mount(&self, attributes: u64) -> Result<Fd> {
        const CREATE: u32 = 6;
        done(call!(nr::FSCONFIG, self.0.0, CREATE, 0, 0, 0))?;
        descriptor(call!(nr::FSMOUNT, self.0.0, 1, attributes))
    }
}

/// The classic call, for kernels without the others.
pub fn mount(source: Option<&CStr>, target: &CStr, kind: Option<&CStr>, flags: u64, data: Option<&CStr>) -> Result<()> {
    fn pointer(text: Option<&CStr>) -> *const core::ffi::c_char {
        text.map_or(core::ptr::null(), CStr::as_ptr)
    }
    done(call!(nr::MOUNT, pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data)))
}

pub fn pivot_root(new: &CStr, old: &CStr) -> Result<()> {
    done(call!(nr::PIVOT_ROOT, new.as_ptr(), old.as_ptr()))
}

/// Lets go of the mount tree at `path`; it disappears once nobody uses it.
pub fn detach(path: &CStr) -> Result<()> {
    const MNT_DETACH: u32 = 2;
    done(call!(nr::UMOUNT2, path.as_ptr(), MNT_DETACH))
}

// ---- identity and privilege ----------------------------------------------------------------------------------------

pub fn unshare(namespaces: u64) -> Result<()> {
    done(call!(nr::UNSHARE, namespaces))
}

pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    done(call!(nr::SETRESGID, gid, gid, gid))?;
    done(call!(nr::SETRESUID, uid, uid, uid))
}

pub fn drop_groups() -> Result<()> {
    done(call!(nr::SETGROUPS, 0, 0))
}

/// How many supplementary groups there are.
pub fn count_groups() -> Result<usize> {
    call!(nr::GETGROUPS, 0, 0)
}

pub fn set_host_name(name: &[u8]) -> Result<()> {
    done(call!(nr::SETHOSTNAME, name.as_ptr(), name.len()))
}

pub fn set_domain_name(name: &[u8]) -> Result<()> {
    done(call!(nr::SETDOMAINNAME, name.as_ptr(), name.len()))
}

pub fn new_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: u32 = 1;
    done(call!(nr::KEYCTL, JOIN_SESSION_KEYRING, 0, 0, 0, 0))
}

/// The `prctl(2)` options in use.
pub mod process {
    pub const SET_DUMPABLE: u32 = 4;
    pub const CAPBSET_DROP: u32 = 24;
    pub const SET_SECUREBITS: u32 = 28;
    pub const SET_CHILD_SUBREAPER: u32 = 36;
    pub const SET_NO_NEW_PRIVS: u32 = 38;
    pub const CAP_AMBIENT: u32 = 47;
    pub const CAP_AMBIENT_CLEAR_ALL: usize = 4;
    pub const SET_PDEATHSIG: u32 = 1;
}

pub fn prctl(option: u32, value: usize) -> Result<()> {
    done(call!(nr::PRCTL, option, value, 0, 0, 0))
}

/// Empties the effective, permitted and inheritable sets.
pub fn drop_capabilities() -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let sets = [0u32; 6];
    done(call!(nr::CAPSET, header.as_ptr(), sets.as_ptr()))
}

pub fn personality(value: u32) -> Result<()> {
    done(call!(nr::PERSONALITY, value))
}

pub fn new_session() -> Result<()> {
    done(call!(nr::SETSID))
}

pub fn umask(mask: u32) {
    let _ = call!(nr::UMASK, mask);
}

pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    done(call!(nr::PRLIMIT64, 0, resource, limit.as_ptr(), 0))
}

pub fn limit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = [0u64; 2];
    done(call!(nr::PRLIMIT64, 0, resource, 0, limit.as_mut_ptr()))?;
    Ok((limit[0], limit[1]))
}

/// Brings up the loopback device of the warden's network namespace.
pub fn loopback_up() -> Result<()> {
    const AF_INET: u32 = 2;
    const SOCK_DGRAM: u32 = 2;
    const SIOCSIFFLAGS: u32 = 0x8914;
    const IFF_UP_RUNNING: u16 = 0x41;
    let socket = descriptor(call!(nr::SOCKET, AF_INET, SOCK_DGRAM | open::CLOSE_ON_EXEC as u32, 0))?;
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&IFF_UP_RUNNING.to_ne_bytes());
    done(call!(nr::IOCTL, socket.0, SIOCSIFFLAGS, request.as_mut_ptr()))
}

// ---- processes, signals, time --------------------------------------------------------------------------------------

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

// ---- descriptors and messages --------------------------------------------------------------------------------------

/// A close-on-exec copy of `fd` with a number of at least `least`.
pub fn duplicate_above(fd: i32, least: i32) -> Result<i32> {
    const DUPFD_CLOEXEC: u32 = 1030;
    call!(nr::FCNTL, fd, DUPFD_CLOEXEC, least).map(|number| number as i32)
}

/// Makes `target` a copy of `fd` that stays open over exec.
pub fn duplicate_to(fd: i32, target: i32) -> Result<()> {
    done(call!(nr::DUP3, fd, target, 0))
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: u32) -> Result<()> {
    done(call!(nr::CLOSE_RANGE, first, u32::MAX, 0))
}

pub fn close_number(number: i32) {
    let _ = call!(nr::CLOSE, number);
}

/// Marks every descriptor close-on-exec. The kernel before 5.11 lacks this; then each has been received so anyway.
pub fn close_all_on_exec() {
    const CLOEXEC: u32 = 4;
    let _ = call!(nr::CLOSE_RANGE, 0, u32::MAX, CLOEXEC);
}

/// A control message that carries up to 253 descriptors.
#[repr(C, align(8))]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptors: [i32; 254],
}

const SCM_RIGHTS_HEADER: usize = 16;

#[repr(C)]
struct MessageHeader {
    name: usize,
    name_length: u64,
    parts: *const [usize; 2],
    part_count: usize,
    control: *mut Control,
    control_length: usize,
    flags: u64,
}

/// One message from `fd`, with the descriptors beside it laid into `descriptors`: (length, how many descriptors). Length 0: closed.
pub fn receive(fd: i32, buffer: &mut [u8], descriptors: &mut [i32; 253]) -> Result<(usize, usize)> {
    const CMSG_CLOEXEC: u32 = 0x4000_0000;
    const TRUNCATED: u64 = 0x20 | 0x8;
    let parts = [buffer.as_mut_ptr() as usize, buffer.len()];
    let mut control = Control { length: 0, level: 0, kind: 0, descriptors: [-1; 254] };
    let mut header = MessageHeader { name: 0, name_length: 0, parts: &raw const parts, part_count: 1, control: &raw mut control, control_length: size_of::<Control>(), flags: 0 };
    let length = call!(nr::RECVMSG, fd, &raw mut header, CMSG_CLOEXEC)?;
    let count = if header.control_length >= SCM_RIGHTS_HEADER { control.length.saturating_sub(SCM_RIGHTS_HEADER) / 4 } else { 0 };
    let count = count.min(descriptors.len());
    descriptors[..count].copy_from_slice(&control.descriptors[..count]);
    // A message that did not fit is not to be trusted with what it cut off; the length tells how much came.
    if header.flags & TRUNCATED != 0 { Err(Errno::EPROTO) } else { Ok((length, count)) }
}

/// Sends one message, with at most one descriptor beside it. Never raises SIGPIPE, never waits.
pub fn send(fd: i32, message: &[u8], descriptor: Option<&Fd>) -> Result<()> {
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    const NOSIGNAL: u32 = 0x4000;
    let parts = [message.as_ptr() as usize, message.len()];
    let mut control = Control { length: SCM_RIGHTS_HEADER + 4, level: SOL_SOCKET, kind: SCM_RIGHTS, descriptors: [0; 254] };
    let mut header = MessageHeader { name: 0, name_length: 0, parts: &raw const parts, part_count: 1, control: core::ptr::null_mut(), control_length: 0, flags: 0 };
    if let Some(fd) = descriptor {
        control.descriptors[0] = fd.0;
        header.control = &raw mut control;
        header.control_length = 24;
    }
    done(call!(nr::SENDMSG, fd, &raw mut header, NOSIGNAL))
}

// ---- memory --------------------------------------------------------------------------------------------------------

/// Zeroed pages, given back when dropped.
pub struct Pages {
    start: *mut u8,
    length: usize,
}

impl Pages {
    /// At least `length` bytes; `shared` with children that do not share memory.
    pub fn new(length: usize, shared: bool) -> Result<Pages> {
        const READ_WRITE: u32 = 3;
        const ANONYMOUS: u32 = 0x20;
        let length = length.max(1).next_multiple_of(4096);
        let start = call!(nr::MMAP, 0, length, READ_WRITE, ANONYMOUS | if shared { 1 } else { 2 }, -1i32, 0)?;
        Ok(Pages { start: start as *mut u8, length })
    }

    /// A private copy of the first `length` bytes of a file.
    pub fn of_file(fd: &Fd, length: usize) -> Result<Pages> {
        let mut pages = Pages::new(length, false)?;
        let mut filled = 0;
        while filled < length {
            let piece = &mut pages.bytes()[filled..length];
            match call!(nr::PREAD64, fd.0, piece.as_mut_ptr(), piece.len(), filled)? {
                0 => return Err(Errno::EPROTO),
                count => filled += count,
            }
        }
        Ok(pages)
    }

    pub fn read(&self) -> &[u8] {
        // SAFETY: `start` and `length` are a mapping that this value owns, and nobody holds it mutably.
        unsafe { core::slice::from_raw_parts(self.start, self.length) }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `start` and `length` are a mapping that this value alone owns.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.length) }
    }

    /// The first byte as a flag that another process may set.
    pub fn atomic(&mut self) -> &core::sync::atomic::AtomicBool {
        // SAFETY: the memory is this value's, zeroed (false), and only ever holds what an AtomicBool stores.
        unsafe { core::sync::atomic::AtomicBool::from_ptr(self.start.cast()) }
    }

    pub fn read_words(&self) -> &[usize] {
        // SAFETY: as above; a page is aligned for any integer and every bit pattern is one.
        unsafe { core::slice::from_raw_parts(self.start.cast(), self.length / size_of::<usize>()) }
    }

    /// The same memory as machine words.
    pub fn words(&mut self) -> &mut [usize] {
        // SAFETY: as above; a page is aligned for any integer and every bit pattern is one.
        unsafe { core::slice::from_raw_parts_mut(self.start.cast(), self.length / size_of::<usize>()) }
    }

    /// Gives the memory's contents back to the kernel; reads as zero afterwards.
    pub fn forget_contents(&mut self) {
        const DONTNEED: u32 = 4;
        let _ = call!(nr::MADVISE, self.start, self.length, DONTNEED);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = call!(nr::MUNMAP, self.start, self.length);
    }
}
