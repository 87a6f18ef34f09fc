//! The signals that a person or a supervisor sends to this program, as readable events.
//!
//! They are blocked and read from a descriptor (`signalfd(2)`), so that one `poll(2)` waits for
//! everything. The library resets the signal mask of the commands.

use crate::status::{Failure, Result};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that are passed on to the program.
pub const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// The signals that ask a program to end.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Blocks the signals, and returns the descriptor that they are read from.
pub fn listen() -> Result<SignalFd> {
    let mut set = SigSet::from_iter(FORWARDED);
    for number in [Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH] {
        set.add(number);
    }
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

/// Stops this process, as a shell expects at Ctrl-Z. Returns when it is continued.
pub fn stop() {
    let _ = raise(Signal::SIGSTOP);
}

fn unblock(number: Signal) {
    let mut set = SigSet::empty();
    set.add(number);
    let _ = set.thread_unblock();
}
