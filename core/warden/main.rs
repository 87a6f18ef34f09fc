//! The warden: the first process of every sandbox, and PID 1 where the process tree is its own.
//!
//! The warden is a small freestanding program, without libc and without an allocator. The library
//! carries the binary and executes it in new namespaces. Its only descriptor is the control socket,
//! number 0.
//!
//! Its life has three parts:
//! 1. **Set-up.** The library sends a plan (`Request::Setup`), and the warden applies its steps in
//!    order. The last steps take all privileges away. Nothing of the payload runs yet.
//! 2. **The loop.** The warden waits in one `ppoll(2)`. It starts commands, forwards their output,
//!    enforces the limits that no kernel mechanism enforces, reaps every process, and reports ends.
//! 3. **The end.** The warden ends with its last command, or when the control socket is closed, or
//!    when the caller ends. The kernel then kills everything in its pid namespace. Without a pid
//!    namespace of its own, the warden kills and reaps the processes itself.
//!
//! A *template* stops after set-up without giving up its privileges. It runs no command. Instead it
//! copies itself on request, and each copy continues as a warden with ready mounts.
//!
//! The modules; each uses those below it:
//!
//! ```text
//!   main        session, descriptors, then set-up and the loop
//!    |
//!    +-- join       executed outside the namespaces: enter them, and fork into them
//!    +-- setup      the steps: ids, mounts, populate, target, scratch, landlock, seal
//!    +-- run        the loop: requests, ready descriptors, ended children
//!         |
//!         +-- template   copies of a template, with copies and networks
//!         +-- state      what all commands share, and the limits of a cell
//!         +-- command    one command, from its start to the report of its end
//!              |
//!              +-- start    makes the process of a command; examine says why execve failed
//!              +-- first    or has it made already, as process 1 of a tree below the warden's
//!              +-- relay    forwards a stream and counts its bytes
//!              +-- watch    samples usage for the limits on memory, processes and time
//!              +-- reap     kills processes; scan finds them in a proc file system
//!
//!   control     control socket, command sockets, request buffer
//!   text, entries, walk      fixed-size texts, directory entries, paths without openat2(2)
//!   wire        the protocol, compiled from core/wire
//!   sys         the system calls, and the only unsafe code
//! ```
//!
//! The warden trusts the caller and nothing else. After the sealing step it has no privilege that
//! an attacker could take. The payload runs as the same user, so seccomp filters guard the warden;
//! `docs/warden.md` tells how, and lists every system call of the loop.
//!
//! `core/build.rs` compiles this file with `--cfg freestanding`, which adds the entry point.
//! Without it, the file is the library crate `seclude-warden` of the workspace, for lints, unit
//! tests and documentation.
#![no_std]
#![cfg_attr(freestanding, no_main)]
#![deny(unsafe_code)]
#![allow(clippy::result_large_err, reason = "there is no allocator to box an error with")]

#[allow(unsafe_code)]
mod sys;
#[path = "../wire/mod.rs"]
#[allow(dead_code)]
mod wire;

mod command;
mod control;
mod copies;
mod entries;
mod examine;
mod first;
mod gate;
mod join;
mod networks;
mod reap;
mod relay;
mod run;
mod scan;
mod setup;
#[cfg(stage_clock)]
mod stages;
mod start;
mod state;
mod template;
mod text;
mod walk;
mod watch;

#[cfg(test)]
#[path = "../../warden/unit/mod.rs"]
mod unit;

use control::{CommandSocket, Control, RequestBuffer};
use run::Next;
use sys::{Errno, Result};
use wire::message::{Report, Request};

const RLIMIT_NOFILE: u32 = 7;

/// Runs the warden. `joins`: this program was executed outside the namespaces of the sandbox.
pub fn main(joins: bool) -> ! {
    // The caller has blocked all signals already. This is for a warden that another program
    // executes.
    let _ = sys::block_signals(u64::MAX);
    lead_session();
    let limits = sys::limit(RLIMIT_NOFILE);
    close_inherited(limits.map_or(1024, |(soft, _)| soft.min(1 << 20)));
    // The kernel refuses to send a descriptor (ETOOMANYREFS, unix(7)) while more of the user's
    // descriptors are in flight than the sender's soft limit allows. Commands run as the same user
    // and could reach a low limit. The limit of a command is set when it starts.
    if let Ok((_, hard)) = limits {
        let _ = sys::set_limit(RLIMIT_NOFILE, hard, hard);
    }
    if joins {
        join::join_and_fork();
    }
    let mut incoming = RequestBuffer::new();
    let code = loop {
        match serve(&mut Control::new(), &mut incoming) {
            Ok(Next::Begin) => {
                // A copy keeps no descriptor of its template. A template has few, so their numbers
                // are low.
                incoming.clear();
                lead_session();
                close_inherited(1024);
            }
            Ok(Next::End) => break 0,
            Err(_) => break 1,
        }
    };
    sys::exit(code)
}

/// Makes the warden the leader of a new session.
///
/// With autogroups (sched(7)), the kernel shares the processors among sessions, and each command
/// has a session of its own. In the caller's session, the warden would share one portion with all
/// processes of the caller. A command that makes many sessions would leave it little time.
fn lead_session() {
    // setsid(2) fails for the leader of a process group, which the caller may have made of the
    // warden.
    let _ = sys::new_session();
}

/// Runs set-up, then commands until the last one or the caller ends.
fn serve(control: &mut Control, incoming: &mut RequestBuffer) -> Result<Next> {
    let Some((finished, namespaces)) = set_up(control, incoming)? else { return Ok(Next::End) };
    incoming.clear();
    sys::release_stack();
    run::serve(control, incoming, &finished, namespaces)
}

/// Handles the first request. Returns `None` after it has reported a failure to the caller.
// Not inlined: its large frame would become part of the frame of the loop.
#[inline(never)]
fn set_up(
    control: &mut Control,
    incoming: &mut RequestBuffer,
) -> Result<Option<(setup::FinishedSetup, u64)>> {
    #[cfg(stage_clock)]
    stages::begin();
    control.await_message(incoming)?;
    #[cfg(stage_clock)]
    stages::mark(stages::PLAN_RECEIVED);
    let Request::Setup { namespaces, report_ready, .. } = incoming.request()? else {
        return Err(Errno::EPROTO);
    };
    control.watch_caller(incoming.take_descriptor(0)?);
    let mut finished = match setup::apply(control, incoming) {
        Ok(finished) => finished,
        Err(refusal) => {
            let setup::Refusal { step, errno, path, reason, call } = &refusal;
            let report = Report::Refused {
                step: *step,
                errno: errno.0,
                path: path.as_bytes(),
                reason: *reason,
                call: *call,
            };
            return control.report(&report).map(|()| None);
        }
    };
    #[cfg(stage_clock)]
    stages::mark(stages::READY);
    if report_ready {
        let report =
            Report::Ready { protections: finished.protections, landlock: finished.landlock };
        let caller = CommandSocket::control();
        let (file, changes) = (finished.callers_file.take(), finished.changes.take());
        match (&file, &changes, finished.lent.take()) {
            (Some(file), Some(changes), _) => caller.report(&report, &[file, changes])?,
            (Some(one), None, _) | (None, Some(one), _) => caller.report(&report, &[one])?,
            (None, None, Some([users, network])) => caller.report(&report, &[&users, &network])?,
            (None, None, None) => caller.report(&report, &[])?,
        }
    }
    Ok(Some((finished, namespaces)))
}

/// Closes every descriptor but the control socket. Linux before 5.9 has no close_range(2), so the
/// warden then closes the numbers below `highest` one by one.
fn close_inherited(highest: u64) {
    if sys::close_from(1).is_err() {
        (1..highest).for_each(|number| sys::close_number(number as i32));
    }
}
