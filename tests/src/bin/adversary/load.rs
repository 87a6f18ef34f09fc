//! Attacks by load: busy processors, processes created faster than they can be killed, and
//! processes in unusual states.

use crate::sys::{at, call, fork, number, rest};

/// Starts many busy processes, so that every processor is busy, the warden's included.
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

/// Forks as fast as possible. The first process stays, because its end would end the command.
pub fn fork_bomb() -> ! {
    loop {
        if fork() == 0 {
            hop();
        }
        reap();
        rest(100);
    }
}

/// Forks and exits over and over, so that no scan lists all of the processes.
fn hop() -> ! {
    for round in 0u64.. {
        match fork() {
            // Every third process leads a session of its own.
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

/// Leaves processes in unusual states: stopped, traced by a child, waiting in vfork(2), orphaned in
/// their own sessions, and zombies.
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
    // These children are never waited for.
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

/// A process traced by its child, which stops it and then stops itself.
fn traced() -> ! {
    let parent = number(std::process::id().cast_signed());
    if fork() == 0 {
        call(libc::SYS_ptrace, [libc::PTRACE_ATTACH as u64, parent, 0, 0, 0, 0]);
        rest(1000);
        stop();
    }
    rest_for_ever()
}

/// A process waiting for a vfork(2) child that never calls execve(2). Only SIGKILL ends such a
/// wait.
fn in_vfork() -> ! {
    // The child has no stack of its own and uses the parent's memory. This function returns in
    // neither of them.
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

/// Does nothing: a target for the attacks.
pub fn rest_for_ever() -> ! {
    loop {
        rest(1_000_000);
    }
}
