//! A warden that was executed outside the namespaces of its sandbox.
//!
//! It enters the namespaces that exist and makes the others. Then it forks, because a process
//! enters a pid namespace only at its birth. The first process reports the new one to the caller
//! and ends.

use crate::control::{CommandSocket, Control, RequestBuffer};
use crate::sys::{self, Errno, Fd, Polled};
use crate::wire::codec::List;
use crate::wire::message::{Report, Request};
use crate::wire::plan::{guard, namespace};

/// The errno, and the kind of namespace that could not be entered; 0 if something else failed.
struct JoinFailure(Errno, u64);

impl From<Errno> for JoinFailure {
    fn from(errno: Errno) -> JoinFailure {
        JoinFailure(errno, 0)
    }
}

/// Enters the namespaces and forks. Returns in the new process only.
// Not inlined: its large frame would become part of the frame of the loop.
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
    let Request::Join { joined, namespaces, member } = incoming.request()? else {
        return Err(Errno::EPROTO.into());
    };
    if joined.len() != incoming.descriptors().len() {
        return Err(Errno::EPROTO.into());
    }
    // Without this file, the kernel cannot reserve process ids, and the cell has reserved none.
    let reserves = sys::open(sys::CWD, c"/proc/sys/kernel/ns_last_pid", sys::open::READ, 0).is_ok();
    let enters = joined.iter().any(|kind| kind == namespace::PID) && reserves;
    enter_namespaces(joined, incoming.descriptors(), member)?;
    if joined.iter().any(|kind| kind == namespace::NET) {
        // An open socket shows in the counters of the network namespace. If the namespace belongs
        // to a template, the template does not take it for unused as long as this process lives.
        let _ = sys::socket()?.into_number();
    }
    incoming.clear();
    sys::unshare(namespaces)?;
    // The new process waits until the first one has ended. Its own reports then follow
    // `Report::Born`.
    let (first, new) = sys::socket_pair()?;
    let born = if enters { fork_with_reserved_pid()? } else { sys::fork_sibling()? };
    if born.is_none() {
        drop(first);
        let _ = sys::wait(&mut [Polled::readable(new.number())], None);
    } else {
        // The end of this process closes it. If it were dropped here, the new process could report
        // first.
        let _ = first.into_number();
    }
    Ok(born)
}

/// Forks with one of the process ids that a cell reserves for entering wardens, so that the filters
/// of its commands guard the new warden. Forks with any id if all are taken.
fn fork_with_reserved_pid() -> Result<Option<(i32, Fd)>, JoinFailure> {
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

/// Enters each namespace as soon as the kernel permits: with the rights of the caller before
/// entering the user namespace, or with the rights that the user namespace gives afterwards
/// (setns(2)).
fn enter_namespaces(
    kinds: List<'_, u64>,
    descriptors: &[i32],
    member: bool,
) -> Result<(), JoinFailure> {
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
        let joined = sys::join_namespace(descriptor, kind).or_else(|errno| {
            if !member || kind != namespace::NET {
                return Err(errno);
            }
            let owner = sys::owner_namespace(descriptor)?;
            sys::join_namespace(owner.number(), namespace::USER)?;
            sys::join_namespace(descriptor, kind)
        });
        joined.map_err(|errno| JoinFailure(errno, kind))?;
    }
    Ok(())
}

/// Enters the parents of a user namespace, outermost first, as far as they are within the caller's.
/// Other namespaces may belong to a parent: the networks of a template belong to the template's.
fn enter_parents(user: i32, enter_others: &mut dyn FnMut()) {
    let Ok(around) = sys::parent_namespace(user) else { return };
    enter_parents(around.number(), enter_others);
    enter_others();
    // This fails for the outermost, which is the caller's own: the process is in it already.
    let _ = sys::join_namespace(around.number(), namespace::USER);
}
