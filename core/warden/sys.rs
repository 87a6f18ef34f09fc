//! Raw system calls: the only `unsafe` code of the warden. There is no libc, no allocation and no
//! thread-local `errno`.
//!
//! Every wrapper is safe to call with any arguments. The kernel checks what it gets, slices and C
//! strings carry their lengths, and an owned descriptor closes itself. The man page of each call
//! lists its errors.

use core::arch::asm;
#[cfg(freestanding)]
use core::arch::global_asm;

/// An error number, positive as in `errno(3)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident = $value:literal),* $(,)?) => {
        impl Errno { $(pub const $name: Errno = Errno($value);)* }
    };
}
errnos! {
    EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, E2BIG = 7, EBADF = 9, EAGAIN = 11, ENOMEM = 12,
    EACCES = 13, EBUSY = 16, EEXIST = 17, ENODEV = 19, ENOTDIR = 20, EINVAL = 22, EPIPE = 32,
    ENAMETOOLONG = 36,
    ENOSYS = 38, ELOOP = 40, EBADE = 52, EPROTO = 71, EBADMSG = 74, EOVERFLOW = 75, EBADFD = 77,
    EOPNOTSUPP = 95, ECONNRESET = 104, EDQUOT = 122,
}

pub type Result<T> = core::result::Result<T, Errno>;

#[cfg(all(freestanding, target_arch = "x86_64"))]
global_asm!(
    ".globl _start", "_start:", "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {enter}",
    "ud2", enter = sym enter,
);
#[cfg(all(freestanding, target_arch = "aarch64"))]
global_asm!(
    ".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "mov x0, sp", "and sp, x0, #-16",
    "bl {enter}", "brk #1", enter = sym enter,
);
// The global pointer: a linker may address data by it.
#[cfg(all(freestanding, target_arch = "riscv64"))]
global_asm!(
    ".globl _start", "_start:", ".option push", ".option norelax", "la gp, __global_pointer$",
    ".option pop", "mv fp, zero", "mv ra, zero", "mv a0, sp", "andi sp, sp, -16", "call {enter}",
    "unimp", enter = sym enter,
);

/// Runs right after the first instruction. Tells `main` whether the program was given an argument.
#[cfg(freestanding)]
unsafe extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: the kernel lays the argument count, then the argument pointers, at the initial stack
    // pointer (execve(2)).
    let arguments = unsafe { *stack };
    crate::main(arguments > 1)
}

#[cfg(freestanding)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

/// # Safety
///
/// The arguments must be what the call with that number expects. Pointers must be valid for what
/// the kernel does with them.
#[inline]
unsafe fn syscall(number: usize, a: [usize; 6]) -> Result<usize> {
    #[cfg(test)]
    if let Some(answer) = fake_kernel::answer(number, a) {
        return answer.map_err(|errno| absent::noted(number, errno));
    }
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise. The instruction destroys rcx and r11.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a[0],
            in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a[0] as isize => result, in("x1") a[1],
            in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: the caller's promise.
    unsafe {
        asm!("ecall", in("a7") number, inlateout("a0") a[0] as isize => result, in("a1") a[1],
            in("a2") a[2], in("a3") a[3], in("a4") a[4], in("a5") a[5], options(nostack));
    }
    if result < 0 { Err(absent::noted(number, Errno(-result as i32))) } else { Ok(result as usize) }
}

fn six(given: &[usize]) -> [usize; 6] {
    core::array::from_fn(|i| given.get(i).copied().unwrap_or(0))
}

/// Makes one system call. The arguments are numbers or pointers into live Rust values.
///
/// A temporary in an argument lives until the call is over, because the arguments are the scrutinee
/// of a `match`. A `let` would drop it at the semicolon, and the kernel would read memory that is
/// used for something else by then.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        match &[$($argument as usize),*] as &[usize] {
            // SAFETY: each wrapper below passes what the man page of the call asks for. Pointers
            // come from references that outlive the call.
            given => unsafe { crate::sys::syscall($number, crate::sys::six(given)) },
        }
    };
}

mod absent;
#[cfg(test)]
#[path = "../../warden/unit/fake_kernel/mod.rs"]
pub mod fake_kernel;
mod file;
mod landlock;
#[allow(dead_code, reason = "only the unpacker makes these calls")]
mod making;
// Miri has its own, and runs no assembly.
#[cfg(not(miri))]
mod memory;
mod message;
mod mount;
mod number;
mod pages;
mod privilege;
mod seccomp;
mod task;
mod terminal;

pub use absent::*;
pub use file::*;
pub use landlock::*;
#[allow(unused_imports, reason = "only the unpacker makes these calls")]
pub use making::*;
pub use message::*;
pub use mount::*;
pub use pages::*;
pub use privilege::*;
pub use seccomp::*;
pub use task::*;
pub use terminal::*;

fn done(result: Result<usize>) -> Result<()> {
    result.map(drop)
}

/// An owned descriptor, closed when dropped.
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
    /// Takes over a number that nothing else owns.
    pub fn own(number: i32) -> Fd {
        Fd(number)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        let _ = call!(number::CLOSE, self.0);
    }
}

fn descriptor(result: Result<usize>) -> Result<Fd> {
    result.map(|number| Fd(number as i32))
}

/// Stands for the working directory where a directory descriptor is expected (AT_FDCWD).
pub const CWD: i32 = -100;
const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_RECURSIVE: u32 = 0x8000;
const AT_EMPTY_PATH: u32 = 0x1000;

pub fn exit(code: i32) -> ! {
    let _ = call!(number::EXIT_GROUP, code);
    // A filter of the caller may forbid even exit_group(2). An invalid instruction then ends the
    // process by a signal.
    trap()
}

fn trap() -> ! {
    loop {
        // SAFETY: an instruction that does not exist, which ends the process.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            asm!("ud2");
            #[cfg(target_arch = "aarch64")]
            asm!("udf #0");
            #[cfg(target_arch = "riscv64")]
            asm!("unimp");
        }
    }
}
