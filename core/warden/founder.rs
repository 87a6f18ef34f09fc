//! The founder: a warden that was executed outside its namespaces. It enters those that exist,
//! makes the others, and goes on in them as a new process; the one that was executed tells the
//! caller and ends.

use crate::control::{Control, Line, Mail};
use crate::sys::{self, Errno, Fd, Polled};
use crate::wire::codec::List;
use crate::wire::message::{Report, Request};
use crate::wire::plan::{guard, namespace};

/// What could not be done, and which kind of namespace could not be entered, if it was one.
struct Unentered(Errno, u64);

impl From<Errno> for Unentered {
    fn from(errno: Errno) -> Unentered {
        Unentered(errno, 0)
    }
}

/// Returns in the new process only.
// Never inlined: its frame is large, and would lie in that of who waits.
#[inline(never)]
pub fn found() {
    let report = match begin() {
        Ok(None) => return,
        Ok(Some((pid, pidfd))) => {
            Line::control().report(&Report::Born { pid, errno: 0, kind: 0 }, &[&pidfd])
        }
        Err(Unentered(errno, kind)) => {
            Line::control().report(&Report::Born { pid: 0, errno: errno.0, kind }, &[])
        }
    };
    sys::exit(report.is_err().into())
}

fn begin() -> Result<Option<(i32, Fd)>, Unentered> {
    let mut mail = Mail::new();
    Control::new().await_message(&mut mail)?;
    let Request::Found { joined, namespaces } = mail.request()? else {
        return Err(Errno::EPROTO.into());
    };
    if joined.len() != mail.descriptors().len() {
        return Err(Errno::EPROTO.into());
    }
    // Where the kernel cannot keep numbers, the cell has kept none for us.
    let keeps = sys::open(sys::CWD, c"/proc/sys/kernel/ns_last_pid", sys::open::READ, 0).is_ok();
    let enters = joined.iter().any(|kind| kind == namespace::PID) && keeps;
    join(joined, mail.descriptors())?;
    if joined.iter().any(|kind| kind == namespace::NET) {
        // So nobody takes a template's for one in which nobody is, as long as we are.
        let _ = sys::socket()?.into_number();
    }
    mail.clear();
    sys::unshare(namespaces)?;
    // The new one waits until the founder has ended, and so told of the birth: what it says itself
    // comes after that.
    let (founder, new) = sys::socket_pair()?;
    let born = if enters { fork_with_kept_number()? } else { sys::fork_sibling()? };
    if born.is_none() {
        drop(founder);
        let _ = sys::wait(&mut [Polled::readable(new.number())], None);
    } else {
        // Open until this process has ended: dropped here, it would let the new one speak first.
        let _ = founder.into_number();
    }
    Ok(born)
}

/// With a number that a cell keeps for wardens that enter, so that its commands cannot name this
/// one; if none can be had, with any.
fn fork_with_kept_number() -> Result<Option<(i32, Fd)>, Unentered> {
    let first = guard::FIRST_ENTRANT as i32;
    for number in first..first + guard::ENTRANTS_NUMBER as i32 {
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
fn join(kinds: List<'_, u64>, descriptors: &[i32]) -> Result<(), Unentered> {
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
        join_around(user, &mut enter_others);
        enter_others();
        sys::join_namespace(user, namespace::USER)
            .map_err(|errno| Unentered(errno, namespace::USER))?;
        entered |= namespace::USER;
    }
    for (kind, descriptor) in each().filter(|(kind, _)| entered & kind == 0) {
        sys::join_namespace(descriptor, kind).map_err(|errno| Unentered(errno, kind))?;
    }
    Ok(())
}

/// Enters the user namespaces around one, as far as they are within the caller's: what others of
/// ours belong to, a template's networks above all, may be one of them.
fn join_around(user: i32, enter_others: &mut dyn FnMut()) {
    let Ok(around) = sys::parent_namespace(user) else { return };
    join_around(around.number(), enter_others);
    enter_others();
    // The outermost is the caller's own, in which it is.
    let _ = sys::join_namespace(around.number(), namespace::USER);
}
