//! Attacks by signals, with every call that sends one.

use crate::Reach;
use crate::sys::{at, call, disguised, number, rest};

const SIGNALS: [i32; 7] = [
    libc::SIGSTOP,
    libc::SIGKILL,
    libc::SIGTERM,
    libc::SIGCHLD,
    libc::SIGTSTP,
    libc::SIGSEGV,
    libc::SIGXCPU,
];

pub fn send(reach: Reach) -> ! {
    loop {
        for pid in reach.targets() {
            for signal in SIGNALS {
                to_process(pid, signal);
            }
        }
        if reach.is_all() {
            for signal in SIGNALS {
                call(libc::SYS_kill, [number(-1), number(signal), 0, 0, 0, 0]);
            }
        }
        rest(200);
    }
}

fn to_process(pid: i32, signal: i32) {
    let signal = number(signal);
    // siginfo_t: number, error, code (SI_QUEUE), and the sender.
    let mut details = [0i32; 32];
    (details[0], details[2]) = (signal as i32, -1);
    for target in [number(pid), disguised(pid)] {
        call(libc::SYS_kill, [target, signal, 0, 0, 0, 0]);
        call(libc::SYS_tkill, [target, signal, 0, 0, 0, 0]);
        call(libc::SYS_tgkill, [target, target, signal, 0, 0, 0]);
        call(libc::SYS_rt_sigqueueinfo, [target, signal, at(&details), 0, 0, 0]);
        call(libc::SYS_rt_tgsigqueueinfo, [target, target, signal, at(&details), 0, 0]);
        let pidfd = call(libc::SYS_pidfd_open, [target, 0, 0, 0, 0, 0]);
        if pidfd >= 0 {
            call(libc::SYS_pidfd_send_signal, [pidfd.cast_unsigned(), signal, 0, 0, 0, 0]);
            call(libc::SYS_close, [pidfd.cast_unsigned(), 0, 0, 0, 0, 0]);
        }
    }
}
