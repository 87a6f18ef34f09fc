//! Attacks by numbers: processors that are busy, processes that come faster than they are ended,
//! and processes in odd states.

use crate::sys::{at, call, fork, number, rest};

/// Keeps every processor busy, the one that the warden runs on too, by many processes.
pub fn spin() -> ! {
    const EACH: usize = 6;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for process in 0..EACH * processors {
        if fork() == 0 {
            let mut mask = [0u64; 16];
            mask[0] = 1 << (process % processors % 64);
            call(libc::SYS_sched_setaffinity, [0, size_of_val(&mask) as u64, at(&mask), 0, 0, 0]);
            busy();
        }
    }
    busy()
}

fn busy() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Forks as fast as it can. The first process stays: its end would be the command's.
pub fn fork_bomb() -> ! {
    loop {
        if fork() == 0 {
            hop();
        }
        reap();
        rest(100);
    }
}

/// Makes another process and ends, again and again: nobody who lists them sees them all.
fn hop() -> ! {
    for round in 0u64.. {
        match fork() {
            // Every third one leads a session of its own.
            0 if round % 3 == 0 => drop(call(libc::SYS_setsid, [0; 6])),
            0 => {}
            1.. => std::process::exit(0),
            _ => rest(50),
        }
    }
    unreachable!("an endless count")
}

fn reap() {
    while call(libc::SYS_wait4, [number(-1), 0, number(libc::WNOHANG), 0, 0, 0]) > 0 {}
}

/// Processes that stand still: stopped, traced by a child, waiting in vfork(2), orphans in sessions
/// of their own, zombies.
pub fn odd() -> ! {
    const FEW: usize = 3;
    for _ in 0..FEW {
        if fork() == 0 {
            stop();
        }
        if fork() == 0 {
            traced();
        }
        if fork() == 0 {
            in_vfork();
        }
        if fork() == 0 {
            call(libc::SYS_setsid, [0; 6]);
            if fork() == 0 {
                stop();
            }
            std::process::exit(0);
        }
    }
    // Nobody waits for these.
    loop {
        if fork() == 0 {
            std::process::exit(0);
        }
        rest(5000);
    }
}

fn stop() -> ! {
    loop {
        let own = number(std::process::id().cast_signed());
        call(libc::SYS_kill, [own, number(libc::SIGSTOP), 0, 0, 0, 0]);
    }
}

/// Its child traces it, holds it, and stops.
fn traced() -> ! {
    let parent = number(std::process::id().cast_signed());
    if fork() == 0 {
        call(libc::SYS_ptrace, [u64::from(libc::PTRACE_ATTACH), parent, 0, 0, 0, 0]);
        rest(1000);
        stop();
    }
    rest_for_ever()
}

/// It waits for a child that never executes anything: the kernel lets it be ended by SIGKILL alone.
fn in_vfork() -> ! {
    // No stack of its own: the child uses the parent's memory, and this function does not return in
    // either.
    let child = call(
        libc::SYS_clone,
        [number(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD), 0, 0, 0, 0, 0],
    );
    if child == 0 {
        loop {
            call(libc::SYS_ppoll, [0; 6]);
        }
    }
    rest_for_ever()
}

/// Does nothing: somebody who is attacked.
pub fn rest_for_ever() -> ! {
    loop {
        rest(1_000_000);
    }
}
