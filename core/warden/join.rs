//! The first: a warden that was executed outside its namespaces. It enters those that exist,
//! makes the others, and goes on in them as a new process; the one that was executed tells the
//! caller and ends.

use crate::control::{CommandSocket, Control, RequestBuffer};
use crate::sys::{self, Errno, Fd, Polled};
use crate::wire::codec::List;
use crate::wire::message::{Report, Request};
use crate::wire::plan::{guard, namespace};

/// What could not be done, and which kind of namespace could not be entered, if it was one.
struct JoinFailure(Errno, u64);

impl From<Errno> for JoinFailure {
    fn from(errno: Errno) -> JoinFailure {
        JoinFailure(errno, 0)
    }
}

/// Returns in the new process only.
// Never inlined: its frame is large, and would lie in that of who waits.
#[inline(never)]
pub fn join_and_fork() {
    let report = match begin() {
        Ok(None) => return,
        Ok(Some((pid, pidfd))) => {
            CommandSocket::control().report(&Report::Born { pid, errno: 0, kind: 0 }, &[&pidfd])
        }
        Err(JoinFailure(errno, kind)) => {
            CommandSocket::control().report(&Report::Born { pid: 0, errno: errno.0, kind }, &[])
        }
    };
    sys::exit(report.is_err().into())
}

fn begin() -> Result<Option<(i32, Fd)>, JoinFailure> {
    let mut incoming = RequestBuffer::new();
    Control::new().await_message(&mut incoming)?;
    let Request::Join { joined, namespaces } = incoming.request()? else {
        return Err(Errno::EPROTO.into());
    };
    if joined.len() != incoming.descriptors().len() {
        return Err(Errno::EPROTO.into());
    }
    // Where the kernel cannot keep numbers, the cell has kept none for us.
    let keeps = sys::open(sys::CWD, c"/proc/sys/kernel/ns_last_pid", sys::open::READ, 0).is_ok();
    let enters = joined.iter().any(|kind| kind == namespace::PID) && keeps;
    enter_namespaces(joined, incoming.descriptors())?;
    if joined.iter().any(|kind| kind == namespace::NET) {
        // So nobody takes a template's for one in which nobody is, as long as we are.
        let _ = sys::socket()?.into_number();
    }
    incoming.clear();
    sys::unshare(namespaces)?;
    // The new one waits until the first has ended, and so told of the birth: what it says itself
    // comes after that.
    let (first, new) = sys::socket_pair()?;
    let born = if enters { fork_with_kept_number()? } else { sys::fork_sibling()? };
    if born.is_none() {
        drop(first);
        let _ = sys::wait(&mut [Polled::readable(new.number())], None);
    } else {
        // Open until this process has ended: dropped here, it would let the new one speak first.
        let _ = first.into_number();
    }
    Ok(born)
}

/// With a number that a cell keeps for wardens that enter, so that its commands cannot name this
/// one; if none can be had, with any.
fn fork_with_kept_number() -> Result<Option<(i32, Fd)>, JoinFailure> {
    let lowest = guard::FIRST_ENTRANT as i32;
    for number in lowest..lowest + guard::ENTRANTS_COUNT as i32 {
        match sys::fork_sibling_as(number) {
            Err(Errno::EEXIST) => {}
            Err(_) => break,
            born => return Ok(born?),
        }
    }
    Ok(sys::fork_sibling()?)
}

/// Enters each as soon as it may: before the user namespace where the caller's rights do, after it
/// where those do that it gives (setns(2)).
fn enter_namespaces(kinds: List<'_, u64>, descriptors: &[i32]) -> Result<(), JoinFailure> {
    let each = || kinds.iter().zip(descriptors.iter().copied());
    let mut entered = 0;
    let mut enter_others = || {
        for (kind, descriptor) in each().filter(|(kind, _)| *kind != namespace::USER) {
            if entered & kind == 0 && sys::join_namespace(descriptor, kind).is_ok() {
                entered |= kind;
            }
        }
    };
    if let Some((_, user)) = each().find(|(kind, _)| *kind == namespace::USER) {
        enter_parents(user, &mut enter_others);
        enter_others();
        sys::join_namespace(user, namespace::USER)
            .map_err(|errno| JoinFailure(errno, namespace::USER))?;
        entered |= namespace::USER;
    }
    for (kind, descriptor) in each().filter(|(kind, _)| entered & kind == 0) {
        sys::join_namespace(descriptor, kind).map_err(|errno| JoinFailure(errno, kind))?;
    }
    Ok(())
}

/// Enters the user namespaces around one, as far as they are within the caller's: what others of
/// ours belong to, a template's networks above all, may be one of them.
fn enter_parents(user: i32, enter_others: &mut dyn FnMut()) {
    let Ok(around) = sys::parent_namespace(user) else { return };
    enter_parents(around.number(), enter_others);
    enter_others();
    // The outermost is the caller's own, in which it is.
    let _ = sys::join_namespace(around.number(), namespace::USER);
}
