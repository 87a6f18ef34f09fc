//! A template: a warden that has built a file system, kept its privileges, and copies itself on
//! request.
//!
//! No command can reach a template. A copy starts in new namespaces, with the mounts of the
//! template, and then waits for its own set-up request.

use crate::control::{CommandSocket, RequestBuffer};
use crate::copies::Copies;
use crate::networks::LentNetwork;
use crate::sys::{self, Errno, Fd, Polled, Result};
use crate::text::{ShortText, Text};
use crate::wire::codec::List;
use crate::wire::message::{Report, Request};
use crate::wire::plan::{IdRange, namespace};

/// Answers a [`Request::Clone`] on the control socket of the copy. Returns `true` in the copy.
///
/// # Errors
///
/// An error ends the template and all its copies. So a failure that concerns this request alone is
/// reported to the caller and is no error.
// Not inlined: its large frame would become part of the frame of the loop.
#[inline(never)]
pub fn clone(incoming: &mut RequestBuffer, copies: &mut Copies) -> Result<bool> {
    let Request::Clone { namespaces, maps, uids, gids, cgroup_entries } = incoming.request()?
    else {
        return Err(Errno::EPROTO);
    };
    // Without its socket there is no channel for a report. The caller sees that the socket is
    // closed.
    // The request is not there any more when they are written.
    let lines = [lines(gids)?, lines(uids)?];
    let Ok(socket) = incoming.take_descriptor(0) else { return Ok(false) };
    // The copy waits at the gate until its ids are mapped and `Report::Born` is sent, so that its
    // own reports follow. If a process is not dumpable, its files in /proc belong to the host's
    // root (proc(5)). The template could not write its id maps then. The copy inherits the flag, so
    // the template sets it for a moment. No other process is in its process tree to make use of
    // that.
    let prepared =
        sys::gate().and_then(|gate| sys::prctl(sys::process::SET_DUMPABLE, 1).map(|_| gate));
    let gate = match prepared {
        Ok(gate) => gate,
        Err(errno) => return refuse(CommandSocket::own(socket), errno),
    };
    let entered = if namespaces & namespace::NET == 0 {
        Ok(LentNetwork::NONE)
    } else {
        copies.networks.enter()
    };
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
    let mapped = if maps { map(pid, &lines) } else { Ok(()) };
    // A copy that was killed meanwhile has no maps any more. The end of its socket reports the true
    // reason.
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

/// Whether the copy has been killed. It loses its maps a moment before its pidfd becomes readable.
fn has_ended(pidfd: &Fd) -> bool {
    const MOMENT: u64 = 100_000_000;
    let mut polled = [Polled::readable(pidfd.number())];
    sys::wait(&mut polled, Some(MOMENT)).is_ok() && polled[0].is_ready()
}

/// In the copy: enters its cgroups and puts its own control socket in the place of the template's.
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

/// The text of an id map.
type Lines = Text<128>;

/// Lines that map ids to the same ids outside.
fn lines(ranges: List<'_, IdRange>) -> Result<Lines> {
    let mut lines = Lines::empty();
    for IdRange { inside, count, .. } in ranges.iter() {
        lines.push(ShortText::of_numbers([inside, inside, count]).as_bytes())?;
    }
    Ok(lines)
}

/// Writes the maps of groups and users.
fn map(pid: i32, lines: &[Lines; 2]) -> Result<()> {
    for (file, lines) in [&b"/gid_map"[..], b"/uid_map"].into_iter().zip(lines) {
        let path = ShortText::numbered(b"/proc/", pid.unsigned_abs().into(), file);
        sys::write_file(path.as_c_str(), lines.as_bytes())?;
    }
    Ok(())
}
