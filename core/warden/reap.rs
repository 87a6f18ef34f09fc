//! The ends of processes: every child and every orphan inside is reaped here, and here everything
//! is ended.

use crate::scan::ProcessScan;
use crate::sys::{self, Errno, RawUsage, Result, SIGKILL, SIGSTOP};
use crate::wire::plan::namespace;
use crate::wire::usage::Usage;

/// Ends every process inside and reaps it, until there is none: the last thing that a warden does
/// without a namespace that the kernel would end with it.
pub fn end_everything(namespaces: u64) {
    const PAUSE: u64 = 2_000_000;
    signal_everything(namespaces, SIGKILL);
    loop {
        loop {
            match sys::reap() {
                Ok(Some(_)) | Err(Errno::EINTR) => {}
                // In a shared namespace orphans reach us one by one (PR_SET_CHILD_SUBREAPER), and
                // may have forked meanwhile.
                Ok(None) => break,
                Err(_) => return,
            }
        }
        let _ = sys::wait(&mut [], Some(PAUSE));
        end_stubborn(namespaces);
    }
}

/// Sends a signal to every process inside but us. As PID 1 that is one call, which no fork escapes:
/// one under way sees the signal and begins again.
pub fn signal_everything(namespaces: u64, signal: i32) {
    if namespaces & namespace::PID != 0 {
        let _ = sys::kill(-1, signal);
    } else if let Ok(scan) = ProcessScan::shared() {
        scan.each(&mut |pid| {
            let _ = sys::kill(pid as i32, signal);
        });
    }
}

/// Ends every process inside, once that has been asked of them in vain: without a namespace of its
/// own, a command can make processes faster than they are found.
pub fn end_stubborn(namespaces: u64) {
    if namespaces & namespace::PID != 0 {
        let _ = sys::kill(-1, SIGKILL);
    } else if let Ok(scan) = ProcessScan::shared() {
        end_members(&scan, None);
    }
}

/// Ends what a command that leads the session `root` has started, and its first process. What has
/// left both the session and its parents is nobody's.
pub fn end_tree(scan: &ProcessScan, root: i32) {
    end_members(scan, Some(root.unsigned_abs()));
    let _ = sys::kill(root, SIGKILL);
}

/// Ends the tracer of a process that has ended: until it has heard of the end, or has ended itself,
/// nobody else can.
pub fn end_tracer(scan: Option<&ProcessScan>, pid: i32) {
    let tracer = match scan {
        Some(scan) => scan.tracer(pid.unsigned_abs()),
        None => ProcessScan::shared().ok().and_then(|scan| scan.tracer(pid.unsigned_abs())),
    };
    if let Some(tracer) = tracer {
        let _ = sys::kill(tracer as i32, SIGKILL);
    }
}

fn end_members(scan: &ProcessScan, root: Option<u32>) {
    if stop_and_end(scan, root).is_err() {
        // No memory for a look at all of them at once: one by one, which a chain of forks can
        // outrun.
        scan.each_of(root, &mut |pid| {
            let _ = sys::kill(pid as i32, SIGKILL);
        });
    }
}

/// First all of them are stopped, until none is found that runs: so none forks, and none loses the
/// parent by which it is known.
fn stop_and_end(scan: &ProcessScan, root: Option<u32>) -> Result<()> {
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
    // All are known before the first is killed: with it, its children lose the parent by which they
    // are.
    scan.each_member(root, &mut |pid, _| {
        let _ = sys::kill(pid as i32, SIGKILL);
    })
}

/// What processes have used, over so many nanoseconds: `getrusage(2)` of all that were waited for.
pub fn usage(wall: u64, raw: RawUsage) -> Usage {
    /// `ru_inblock` and `ru_oublock` count in blocks of this size.
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
