//! A template: a warden that has built a file system and stands in it, unsealed and out of every command's reach, and on request copies
//! itself into new namespaces. The copy finds the mounts as they are and begins as a warden that has just been born.

use crate::control::{Line, Mail};
use crate::sys::{self, Errno, Fd, Result};
use crate::text::Line as Text;
use crate::wire::message::{Report, Request};

/// Answers a Clone request over the new one's own socket. `true`: this is the new one.
// Never inlined: its frame is large, and would lie in that of who waits.
#[inline(never)]
pub fn clone(mail: &mut Mail) -> Result<bool> {
    let Request::Clone { namespaces, ids, doors } = mail.request()? else { return Err(Errno::EPROTO) };
    let socket = mail.take_descriptor(0)?;
    // The new one waits until its ids are mapped and its birth is told: what it says itself comes after that.
    let gate = sys::gate()?;
    // Who cannot be traced has files in /proc that belong to the host's root, and nobody here could write its maps (proc(5)). We are the new one's
    // pattern; nobody is in our process tree to use the moment.
    sys::prctl(sys::process::SET_DUMPABLE, 1)?;
    let born = sys::fork_into(namespaces);
    if let Ok(None) = born {
        return begin(socket, &mail.descriptors()[1..], doors, &gate).map(|()| true);
    }
    sys::prctl(sys::process::SET_DUMPABLE, 0)?;
    let line = Line::own(socket);
    let failed = |errno: Errno| line.report(&Report::Born { pid: 0, errno: errno.0, kind: 0 }, &[]);
    match born {
        Ok(Some((pid, pidfd))) => match if ids > 0 { map(pid, ids) } else { Ok(()) } {
            Ok(()) => {
                line.report(&Report::Born { pid, errno: 0, kind: 0 }, &[&pidfd])?;
                sys::write(&gate, &1u64.to_ne_bytes())?;
            }
            Err(errno) => {
                let _ = sys::kill(pid, sys::SIGKILL);
                failed(errno)?;
            }
        },
        Ok(None) => {}
        Err(errno) => failed(errno)?,
    }
    Ok(false)
}

/// The new one: it enters its cgroups, and its own control socket takes the place of the template's.
fn begin(socket: Fd, doors: &[i32], expected: u32, gate: &Fd) -> Result<()> {
    if doors.len() != expected as usize {
        return Err(Errno::EPROTO);
    }
    sys::read(gate, &mut [0; 8])?;
    for (number, &door) in doors.iter().enumerate() {
        if let Err(errno) = sys::write_number(door, b"0") {
            let report = Report::Locked { door: number as u32, errno: errno.0 };
            Line::own(socket).report(&report, &[])?;
            sys::exit(1);
        }
    }
    sys::duplicate_to(socket.number(), crate::control::SOCKET)
}

/// The same ids, from 0 on, inside as here.
fn map(pid: i32, ids: u32) -> Result<()> {
    let line = Text::numbered(b"0 0 ", ids.into(), b"\n");
    for file in [&b"/gid_map"[..], b"/uid_map"] {
        let path = Text::numbered(b"/proc/", pid.unsigned_abs().into(), file);
        sys::write_file(path.as_c_str(), line.as_bytes())?;
    }
    Ok(())
}
