//! A template: a warden that has built a file system and stands in it, unsealed and out of every
//! command's reach, and on request copies itself into new namespaces. The copy finds the mounts as
//! they are and begins as a warden that has just been born.

use crate::control::{CommandSocket, RequestBuffer};
use crate::copies::Copies;
use crate::networks::Lent;
use crate::sys::{self, Errno, Fd, Polled, Result};
use crate::text::ShortText;
use crate::wire::message::{Report, Request};
use crate::wire::plan::{IdRange, namespace};

/// Answers a Clone request over the new one's own socket. `true`: this is the new one. An error is
/// the template's end, and that of all its copies: whatever only this request lacks is sent, and is
/// none.
// Never inlined: its frame is large, and would lie in that of who waits.
#[inline(never)]
pub fn clone(incoming: &mut RequestBuffer, copies: &mut Copies) -> Result<bool> {
    let Request::Clone { namespaces, maps, uids, gids, cgroup_entries } = incoming.request()?
    else {
        return Err(Errno::EPROTO);
    };
    // Without its socket there is nobody to tell; the caller hears that it has been closed.
    let Ok(socket) = incoming.take_descriptor(0) else { return Ok(false) };
    // The new one waits until its ids are mapped and its birth is sent: what it says itself comes
    // after that. Who cannot be traced has files in /proc that belong to the host's root, and
    // nobody here could write its maps (proc(5)). We are the new one's pattern; nobody is in
    // our process tree to use the moment.
    let prepared =
        sys::gate().and_then(|gate| sys::prctl(sys::process::SET_DUMPABLE, 1).map(|_| gate));
    let gate = match prepared {
        Ok(gate) => gate,
        Err(errno) => return refuse(CommandSocket::own(socket), errno),
    };
    let entered =
        if namespaces & namespace::NET == 0 { Ok(Lent::NONE) } else { copies.networks.enter() };
    let born = entered.and_then(|lent| Ok((lent, sys::fork_into(namespaces & !namespace::NET)?)));
    if let Ok((_, None)) = born {
        return begin(socket, &incoming.descriptors()[1..], cgroup_entries, &gate).map(|()| true);
    }
    copies.networks.leave();
    sys::prctl(sys::process::SET_DUMPABLE, 0)?;
    let (lent, pid, pidfd) = match born {
        Ok((lent, Some((pid, pidfd)))) => (lent, pid, pidfd),
        Ok((_, None)) => return Ok(false),
        Err(errno) => return refuse(CommandSocket::own(socket), errno),
    };
    copies.born(pid, &pidfd, lent);
    let mapped = if maps { map(pid, uids, gids) } else { Ok(()) };
    // Who has been killed meanwhile has no maps any more: the end of its socket tells that, and is
    // the true reason.
    if mapped.is_err() && has_ended(&pidfd) {
        return Ok(false);
    }
    let channel = CommandSocket::own(socket);
    let sent =
        mapped.and_then(|()| channel.report(&Report::Born { pid, errno: 0, kind: 0 }, &[&pidfd]));
    if let Err(errno) = sent.and_then(|()| sys::write(&gate, &1u64.to_ne_bytes())) {
        let _ = sys::kill(pid, sys::SIGKILL);
        return refuse(channel, errno);
    }
    Ok(false)
}

fn refuse(channel: CommandSocket, errno: Errno) -> Result<bool> {
    let _ = channel.report(&Report::Born { pid: 0, errno: errno.0, kind: 0 }, &[]);
    Ok(false)
}

/// Whether a new one has been killed. It loses its maps a moment before that can be seen.
fn has_ended(pidfd: &Fd) -> bool {
    const MOMENT: u64 = 100_000_000;
    let mut polled = [Polled::readable(pidfd.number())];
    sys::wait(&mut polled, Some(MOMENT)).is_ok() && polled[0].is_ready()
}

/// The new one: it enters its cgroups, and its own control socket takes the place of the
/// template's.
fn begin(socket: Fd, cgroup_entries: &[i32], expected: u32, gate: &Fd) -> Result<()> {
    if cgroup_entries.len() != expected as usize {
        return Err(Errno::EPROTO);
    }
    sys::read(gate, &mut [0; 8])?;
    for (number, &entry) in cgroup_entries.iter().enumerate() {
        if let Err(errno) = sys::write_number(entry, b"0") {
            let report = Report::CgroupRefused { entry: number as u32, errno: errno.0 };
            CommandSocket::own(socket).report(&report, &[])?;
            sys::exit(1);
        }
    }
    sys::duplicate_to(socket.number(), crate::control::SOCKET)
}

/// The same ids inside as here.
fn map(pid: i32, uids: IdRange, gids: IdRange) -> Result<()> {
    for (file, IdRange { inside, count, .. }) in [(&b"/gid_map"[..], gids), (b"/uid_map", uids)] {
        let line = ShortText::of_numbers([inside, inside, count]);
        let path = ShortText::numbered(b"/proc/", pid.unsigned_abs().into(), file);
        sys::write_file(path.as_c_str(), line.as_bytes())?;
    }
    Ok(())
}
