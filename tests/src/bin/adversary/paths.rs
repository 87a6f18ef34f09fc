//! Attacks by a path that others execute. `/tmp/w/program` is in turn a file that cannot be
//! executed, a FIFO, a symbolic link to a device, and a file under a write lease, which blocks
//! every open(2) until the lease is released (fcntl(2)).

use crate::sys::{at, call, number, text};
use std::ffi::CStr;

const AT: i32 = libc::AT_FDCWD;
const EXCHANGE: u64 = 2;

pub fn swap() -> ! {
    let place = text("/tmp/w/program");
    let others = ["/tmp/w/fifo", "/tmp/w/leased", "/tmp/w/link", "/tmp/w/directory"].map(text);
    call(libc::SYS_mkdirat, [number(AT), at(c"/tmp/w"), 0o777, 0, 0, 0]);
    file(&place);
    call(
        libc::SYS_mknodat,
        [number(AT), at(&*others[0]), u64::from(libc::S_IFIFO | 0o755), 0, 0, 0],
    );
    let leased = file(&others[1]);
    call(libc::SYS_symlinkat, [at(c"/dev/ptmx"), number(AT), at(&*others[2]), 0, 0, 0]);
    call(libc::SYS_mkdirat, [number(AT), at(&*others[3]), 0o755, 0, 0, 0]);
    // The kernel sends SIGIO to the lease holder when a process waits for the lease; it is ignored.
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    call(libc::SYS_write, [1, at(b"ready\n"), 6, 0, 0, 0]);
    for round in 0usize.. {
        call(libc::SYS_fcntl, [leased, number(libc::F_SETLEASE), number(libc::F_WRLCK), 0, 0, 0]);
        let other = &*others[round / 512 % others.len()];
        call(libc::SYS_renameat2, [number(AT), at(&*place), number(AT), at(other), EXCHANGE, 0]);
    }
    unreachable!("an endless count")
}

/// Creates a file that is executable and no program. Returns its descriptor.
fn file(path: &CStr) -> u64 {
    let flags = number(libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC);
    let file = call(libc::SYS_openat, [number(AT), at(path), flags, 0o755, 0, 0]).cast_unsigned();
    call(libc::SYS_write, [file, at(b"\x7fELF and no more"), 16, 0, 0, 0]);
    // The kernel grants a write lease only if no other descriptor of the file is open.
    call(libc::SYS_close, [file, 0, 0, 0, 0, 0]);
    call(
        libc::SYS_openat,
        [number(AT), at(path), number(libc::O_RDONLY | libc::O_CLOEXEC), 0, 0, 0],
    )
    .cast_unsigned()
}
