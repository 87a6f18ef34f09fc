//! Reaps children and orphans, and kills processes.

use crate::scan::{Groups, ProcessScan};
use crate::sys::{self, Errno, RawUsage, Result, SIGKILL, SIGSTOP};
use crate::wire::plan::namespace;
use crate::wire::usage::Usage;

/// Kills and reaps every process inside until none is left. A warden without a pid namespace of its
/// own does this before it ends.
pub fn kill_everything(namespaces: u64) {
    const PAUSE: u64 = 2_000_000;
    signal_everything(namespaces, SIGKILL);
    loop {
        loop {
            match sys::reap() {
                Ok(Some(_)) | Err(Errno::EINTR) => {}
                // Without a pid namespace, orphans become children of the warden one by one
                // (PR_SET_CHILD_SUBREAPER). They may have forked meanwhile.
                Ok(None) => break,
                Err(_) => return,
            }
        }
        let _ = sys::wait(&mut [], Some(PAUSE));
        kill_survivors(namespaces);
    }
}

/// Sends a signal to every process inside but the warden.
///
/// For PID 1 that is one call, and no fork escapes it: a fork in progress sees the signal and
/// starts over.
pub fn signal_everything(namespaces: u64, signal: i32) {
    if namespaces & namespace::PID != 0 {
        let _ = sys::kill(-1, signal);
    } else if let Ok(scan) = ProcessScan::shared() {
        if signal == SIGKILL {
            kill_groups(&scan, None);
        }
        scan.each(&mut |pid| {
            let _ = sys::kill(pid as i32, signal);
        });
    }
}

/// Kills every process that is left after a first signal. Without a pid namespace, a command can
/// make processes faster than a scan finds them.
pub fn kill_survivors(namespaces: u64) {
    if namespaces & namespace::PID != 0 {
        let _ = sys::kill(-1, SIGKILL);
    } else if let Ok(scan) = ProcessScan::shared() {
        kill_members(&scan, None);
    }
}

/// Kills what the command with the session `root` has started, and its first process. A process
/// that has left the session and lost its parents cannot be found.
pub fn kill_tree(scan: &ProcessScan, root: i32) {
    kill_members(scan, Some(root.unsigned_abs()));
    let _ = sys::kill(root, SIGKILL);
}

/// Kills the tracer of a process that has ended. Until the tracer has waited for the process or has
/// ended itself, nothing else can reap it.
pub fn kill_tracer(scan: Option<&ProcessScan>, pid: i32) {
    let tracer = match scan {
        Some(scan) => scan.tracer(pid.unsigned_abs()),
        None => ProcessScan::shared().ok().and_then(|scan| scan.tracer(pid.unsigned_abs())),
    };
    if let Some(tracer) = tracer {
        let _ = sys::kill(tracer as i32, SIGKILL);
    }
}

/// Kills the process groups of all members, each at the first process that is found in it. A group
/// dies at once, as does a fork in progress: it sees the signal and starts over. All processes of a
/// group are in one session, so they belong to one command.
///
/// A scan of all processes comes later: while a fork bomb goes on, the scan would not end either.
fn kill_groups(scan: &ProcessScan, root: Option<u32>) {
    /// Orphans become children of the warden, where the next walk finds them.
    const WALKS: u32 = 8;
    let Ok(mut groups) = Groups::of(scan) else { return };
    for _ in 0..WALKS {
        let mut found = false;
        scan.each_of(root, &mut |pid| {
            if let Some(group) = groups.new_one(pid) {
                found = true;
                let _ = sys::kill(-(group as i32), SIGKILL);
            }
        });
        if !found {
            break;
        }
    }
}

fn kill_members(scan: &ProcessScan, root: Option<u32>) {
    kill_groups(scan, root);
    if stop_and_kill(scan, root).is_err() {
        // There is no memory for a scan of all processes at once. Killing one by one can lose
        // against a chain of forks.
        scan.each_of(root, &mut |pid| {
            let _ = sys::kill(pid as i32, SIGKILL);
        });
    }
}

/// Stops all processes, until a scan finds none that runs, and then kills them. A stopped process
/// cannot fork, and its parent is still there, by which the scan finds it.
fn stop_and_kill(scan: &ProcessScan, root: Option<u32>) -> Result<()> {
    const ROUNDS: u32 = 64;
    for _ in 0..ROUNDS {
        let mut running = false;
        scan.each_member(root, &mut |pid, is_stopped| {
            if !is_stopped {
                running = true;
                let _ = sys::kill(pid as i32, SIGSTOP);
            }
        })?;
        if !running {
            break;
        }
    }
    // The scan lists all of them before the first is killed. Children of a killed process get
    // another parent and could not be found by a later scan.
    scan.each_member(root, &mut |pid, _| {
        let _ = sys::kill(pid as i32, SIGKILL);
    })
}

/// Converts `getrusage(2)` of the reaped processes. `wall` is the wall time in nanoseconds.
pub fn usage(wall: u64, raw: RawUsage) -> Usage {
    /// The unit of `ru_inblock` and `ru_oublock` in bytes.
    const BLOCK: u64 = 512;
    let raw = raw.map(|value| value as u64);
    let time = |seconds: u64, microseconds: u64| seconds * 1_000_000_000 + microseconds * 1000;
    Usage {
        wall,
        user: time(raw[0], raw[1]),
        system: time(raw[2], raw[3]),
        max_rss: raw[4] * 1024,
        minor_faults: raw[8],
        major_faults: raw[9],
        bytes_read: raw[11] * BLOCK,
        bytes_written: raw[12] * BLOCK,
        voluntary_switches: raw[16],
        involuntary_switches: raw[17],
        ..Usage::NONE
    }
}
