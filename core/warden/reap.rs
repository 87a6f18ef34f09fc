//! The ends of processes: every child and every orphan inside is reaped here, and here everything is ended.

use crate::sys::{self, Errno, SIGKILL};
use crate::wire::message::Usage;
use crate::wire::plan::namespace;

/// Reaps whatever has ended; the raw wait status of `pid` if it was among them.
pub fn reap_ended(pid: i32) -> Option<i32> {
    let mut status = None;
    loop {
        match sys::reap(false) {
            Ok(Some((ended, raw))) if ended == pid => status = Some(raw),
            Ok(Some(_)) => {}
            Ok(None) => return status,
            Err(Errno::EINTR) => {}
            Err(_) => return status,
        }
    }
}

/// Ends every process inside and reaps it; the raw wait status of `pid` if it was still among them.
pub fn end_everything(namespaces: u64, pid: i32) -> Option<i32> {
    let own_tree = namespaces & namespace::PID != 0;
    let mut status = None;
    loop {
        // As PID 1 of a namespace, -1 is everything inside. A fork under way is undone by the kernel: its parent has a signal pending.
        let nobody = if own_tree { sys::kill(-1, SIGKILL).is_err() } else { !tree::kill_descendants() };
        loop {
            match sys::reap(true) {
                Ok(Some((ended, raw))) if ended == pid => status = Some(raw),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break,
            }
            if !own_tree {
                // In a shared namespace orphans reach us one by one (PR_SET_CHILD_SUBREAPER), and may have forked meanwhile.
                tree::kill_descendants();
            }
        }
        if nobody || !own_tree {
            return status;
        }
    }
}

/// What all reaped processes have used.
pub fn usage(wall_ns: u64) -> Usage {
    let raw = sys::usage_of_children().map(|value| value as u64);
    Usage {
        wall_ns,
        user_us: raw[0] * 1_000_000 + raw[1],
        system_us: raw[2] * 1_000_000 + raw[3],
        max_rss_kib: raw[4],
        minor_faults: raw[8],
        major_faults: raw[9],
        blocks_in: raw[11],
        blocks_out: raw[12],
        voluntary_switches: raw[16],
        involuntary_switches: raw[17],
    }
}

/// Where the pid namespace is shared, the tree is found through `/proc/…/children`: weaker, since a new process can appear
/// between reading and killing, so it is repeated until none is left.
mod tree {
    use crate::sys::{self, CWD, SIGKILL, open};
    use crate::text::Line;
    use core::ffi::CStr;

    /// Kills every descendant that can be found; whether there was one.
    pub fn kill_descendants() -> bool {
        kill_children(c"/proc/thread-self/children", 0)
    }

    fn kill_children(path: &CStr, depth: u32) -> bool {
        // Deeper ones become our own children, one level a round, as their parents die.
        const DEPTH_MAX: u32 = 16;
        let Ok(file) = sys::open(CWD, path, open::READ, 0) else { return false };
        let mut found = false;
        let mut buffer = [0u8; 512];
        let mut pid = 0u32;
        while let Ok(length @ 1..) = sys::read(&file, &mut buffer) {
            for &byte in &buffer[..length] {
                if let Some(digit) = (byte as char).to_digit(10) {
                    pid = pid.wrapping_mul(10).wrapping_add(digit);
                } else if pid > 1 {
                    found = true;
                    if depth < DEPTH_MAX {
                        let mut path = Line::numbered(b"/proc/", pid.into(), b"/task/");
                        let _ = path.push_number(pid.into(), 10).and_then(|()| path.push(b"/children"));
                        kill_children(path.as_c_str(), depth + 1);
                    }
                    let _ = sys::kill(pid as i32, SIGKILL);
                    pid = 0;
                }
            }
        }
        found
    }
}
