//! The signals that a person or a supervisor sends to this program, as readable events.
//!
//! They are blocked and read from a descriptor (`signalfd(2)`), so that one `poll(2)` waits for
//! everything. The library resets the signal mask of the commands.

use crate::status::{Failure, Result};
use nix::sys::signal::{SigSet, Signal, killpg, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpgrp;
use std::fs;

/// The signals that are passed on to the program.
pub const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Of these signals, those that this process was started with as ignored, as by `nohup(1)`.
///
/// A blocked signal would arrive although it is ignored, so these are not listened for. The program
/// inside must ignore them, too.
pub fn ignored() -> Vec<Signal> {
    let set = dispositions("self", &["SigIgn:"]);
    let all = FORWARDED.into_iter().chain([Signal::SIGTSTP]);
    all.filter(|signal| contains(set, *signal)).collect()
}

/// Whether a process neither ignores nor handles a signal.
pub fn has_usual_effect(pid: u32, signal: Signal) -> bool {
    !contains(dispositions(&pid.to_string(), &["SigIgn:", "SigCgt:"]), signal)
}

/// The signals in these lines of a process's status (`proc_pid_status(5)`), one bit for each.
fn dispositions(process: &str, lines: &[&str]) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let fields = text.lines().filter_map(|line| line.split_once('\t'));
    let masks = fields.filter(|(name, _)| lines.contains(name));
    let sets = masks.filter_map(|(_, mask)| u64::from_str_radix(mask.trim(), 16).ok());
    sets.fold(0, |all, set| all | set)
}

fn contains(set: u64, signal: Signal) -> bool {
    set >> (signal as u32 - 1) & 1 == 1
}

/// The signals that ask a program to end.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Blocks the signals, and returns the descriptor that they are read from.
pub fn listen() -> Result<SignalFd> {
    let mut set = SigSet::from_iter(FORWARDED);
    for number in [Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH] {
        set.add(number);
    }
    ignored().into_iter().for_each(|number| set.remove(number));
    set.thread_block()
        .and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK))
        .map_err(|errno| Failure::new(format!("listen for signals: {}", errno.desc())))
}

/// The next signal, if one has arrived.
pub fn next(signals: &SignalFd) -> Result<Option<Signal>> {
    match signals.read_signal() {
        Ok(None) => Ok(None),
        Ok(Some(read)) => Ok(Signal::try_from(read.ssi_signo as i32).ok()),
        Err(errno) => Err(Failure::new(format!("read a signal: {}", errno.desc()))),
    }
}

/// The next signal that asks this program to end, if one has arrived.
pub fn next_end(signals: &SignalFd) -> Result<Option<Signal>> {
    Ok(next(signals)?.filter(|signal| ENDING.contains(signal)))
}

/// Ends this process by the signal, so that a shell sees why the program ended. A shell's loop
/// stops only if Ctrl-C has killed what it ran.
pub fn die_by(number: Signal) {
    // A core dump of this program would say nothing about the program that ended.
    if number == Signal::SIGQUIT {
        return;
    }
    unblock(number);
    let _ = raise(number);
}

/// Stops this process, as a shell expects at Ctrl-Z. Returns when it is continued. Where no shell
/// could continue it, the kernel does not stop it (`setpgid(2)`: an orphaned process group).
pub fn stop() {
    let _ = raise(Signal::SIGTSTP);
    await_continuation();
}

/// The same for the whole process group: what Ctrl-Z does in the usual mode of a terminal.
pub fn stop_group() {
    let _ = killpg(getpgrp(), Signal::SIGTSTP);
    await_continuation();
}

/// Lets a pending SIGTSTP act.
fn await_continuation() {
    unblock(Signal::SIGTSTP);
    let mut set = SigSet::empty();
    set.add(Signal::SIGTSTP);
    let _ = set.thread_block();
}

fn unblock(number: Signal) {
    let mut set = SigSet::empty();
    set.add(number);
    let _ = set.thread_unblock();
}
