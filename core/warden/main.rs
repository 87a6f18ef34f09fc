//! The warden: PID 1 of every sandbox.
//!
//! A freestanding program (no libc, no allocator), executed from inside the library in fresh
//! namespaces. It is born with one descriptor, the control socket, as number 0. It applies the plan
//! that it is sent, runs commands, reaps everything, reports each end, and ends itself when the
//! socket or the caller does; the kernel then kills all that is left inside. It trusts the caller
//! and nothing else, and once sealed it has no privilege to lose.
//!
//! `core/build.rs` compiles it with `--cfg freestanding`: then it has an entry point of its own.
//! Without, it is the library `warden`, a member of the workspace, by which lints, unit tests and
//! documentation see it.
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

use control::{Control, RequestBuffer};
use run::Next;
use sys::{Errno, Result};
use wire::message::{Report, Request};

const RLIMIT_NOFILE: u32 = 7;

/// `joins`: this program was executed outside the namespaces that it is to be in.
pub fn main(joins: bool) -> ! {
    // The caller has blocked them; again, for a warden that somebody else executes.
    let _ = sys::block_signals(u64::MAX);
    lead_session();
    let limits = sys::limit(RLIMIT_NOFILE);
    close_inherited(limits.map_or(1024, |(soft, _)| soft.min(1 << 20)));
    // The kernel lets nobody send a descriptor while more of the same user's are under way in
    // sockets than the sender may have open, and commands, who are that user, could see to it.
    // A command's own limit is set when it starts.
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
                // A new one keeps nothing of the template's, which has few descriptors, and so low
                // numbers.
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

/// Leads a session of its own. Where autogroups are on (sched(7)), the kernel shares the processors
/// among sessions, and each command has its own: in the caller's, a warden would share what is left
/// to it with all of the caller's processes, and a command that makes sessions would leave little.
fn lead_session() {
    // It fails for the leader of a group, which the caller may have made of it.
    let _ = sys::new_session();
}

/// Set-up, then commands until the caller lets go.
fn serve(control: &mut Control, incoming: &mut RequestBuffer) -> Result<Next> {
    let Some((place, namespaces)) = set_up(control, incoming)? else { return Ok(Next::End) };
    incoming.clear();
    sys::release_stack();
    run::serve(control, incoming, &place, namespaces)
}

/// What the first request asks; `None`, told to the caller, if that could not be done.
// Never inlined: its frame is large, and would lie in that of who waits.
#[inline(never)]
fn set_up(
    control: &mut Control,
    incoming: &mut RequestBuffer,
) -> Result<Option<(setup::Place, u64)>> {
    #[cfg(stage_clock)]
    stages::begin();
    control.await_message(incoming)?;
    #[cfg(stage_clock)]
    stages::mark(stages::PLAN_RECEIVED);
    let Request::Setup { namespaces, report_ready, .. } = incoming.request()? else {
        return Err(Errno::EPROTO);
    };
    control.watch_caller(incoming.take_descriptor(0)?);
    let place = match setup::apply(control, incoming) {
        Ok(place) => place,
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
        control
            .report(&Report::Ready { protections: place.protections, landlock: place.landlock })?;
    }
    Ok(Some((place, namespaces)))
}

/// Closes all but the control socket; before Linux 5.9, where there is no close_range(2), those
/// below `highest`.
fn close_inherited(highest: u64) {
    if sys::close_from(1).is_err() {
        (1..highest).for_each(|number| sys::close_number(number as i32));
    }
}
