//! Waits for a program that has the caller's streams or a terminal, and passes on the signals that
//! a person or a supervisor sends.
//!
//! The program is in a session of its own, so the keys of the caller's terminal do not reach it by
//! themselves. Ctrl-C reaches its whole process group, as it would without a sandbox. Ctrl-Z stops
//! the program and then this one, and both continue together. Signals that the caller ignores, as
//! under `nohup(1)`, stay ignored.

use crate::status::{Failure, Result};
use crate::terminal::Relay;
use crate::{ports, signals};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use seclude::{Child, Collected, Command, Ended, Outcome};
use std::fs;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long to wait for the program to stop after Ctrl-Z.
const PATIENCE: Duration = Duration::from_millis(200);

/// Runs the command to its end, and collects the files that it was to leave. Unless it is to be
/// quiet, it tells the ports that were published.
pub fn run(command: &mut Command, quiet: bool) -> Result<(Outcome, Collected)> {
    // They are blocked before the program can end.
    let signals = signals::listen()?;
    let child = command.spawn()?;
    if !quiet {
        ports::tell(&child);
    }
    attend(child, &signals)
}

/// Waits for the end of a command that has been started, and collects its files.
pub fn attend(mut child: Child, signals: &SignalFd) -> Result<(Outcome, Collected)> {
    let mut relay = child.terminal.take().map(Relay::new).transpose()?;
    let mut sent = None;
    let outcome = loop {
        let ready = wait(&child, relay.as_ref(), signals)?;
        if let Some(relay) = &mut relay {
            let [inside, outside] = ready.terminals;
            if relay.act(inside, outside)? && relay.is_used_by(child.id()) && suspend(&child) {
                relay.pause(signals::stop_group)?;
                pass_on(&child, Signal::SIGCONT);
            }
        }
        while let Some(signal) = signals::next(signals)? {
            match signal {
                Signal::SIGWINCH => relay.iter().for_each(Relay::resize),
                Signal::SIGTSTP => {
                    suspend(&child);
                    signals::stop();
                    pass_on(&child, Signal::SIGCONT);
                }
                Signal::SIGCONT => pass_on(&child, Signal::SIGCONT),
                signal => {
                    pass_on(&child, signal);
                    sent = Some(signal);
                }
            }
        }
        if let Some(outcome) = child.try_wait()? {
            break outcome;
        }
    };
    if let Some(mut relay) = relay {
        relay.drain()?;
    }
    let files = if child.has_files() { child.collect()? } else { Collected::default() };
    if let (Ended::Signaled(number), Some(signal)) = (outcome.ended, sent)
        && number == signal as i32
    {
        signals::die_by(signal);
    }
    Ok((outcome, files))
}

/// What has become ready.
struct Ready {
    /// The program's terminal, and the caller's.
    terminals: [PollFlags; 2],
}

fn wait(child: &Child, relay: Option<&Relay>, signals: &SignalFd) -> Result<Ready> {
    let interests = relay.map(Relay::interests).unwrap_or([(None, PollFlags::empty()); 2]);
    let mut polled = vec![
        PollFd::new(child.pidfd(), PollFlags::POLLIN),
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
    ];
    for (descriptor, flags) in &interests {
        polled.extend(descriptor.map(|descriptor| PollFd::new(descriptor, *flags)));
    }
    let timeout = child.deadline().map_or(PollTimeout::NONE, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(Failure::new(format!("wait: {}", errno.desc()))),
    }
    let mut events =
        polled[2..].iter().map(|polled| polled.revents().unwrap_or(PollFlags::empty()));
    Ok(Ready {
        terminals: interests.map(|(descriptor, _)| {
            descriptor.and_then(|_| events.next()).unwrap_or(PollFlags::empty())
        }),
    })
}

/// Sends a signal to the program's process group. The program leads a group of its own.
fn pass_on(child: &Child, signal: Signal) {
    // The group has the program's process id, which another group can have after the end.
    let mut process = [PollFd::new(child.pidfd(), PollFlags::POLLIN)];
    let lives = matches!(poll(&mut process, PollTimeout::ZERO), Ok(0));
    match i32::try_from(child.id()) {
        Ok(pid) if pid > 1 && lives => drop(killpg(Pid::from_raw(pid), signal)),
        _ => {}
    }
}

/// Stops the program as Ctrl-Z would without a sandbox. Returns whether it has stopped.
///
/// The program leads a session of its own. There the kernel lets SIGTSTP stop nothing, because no
/// shell is there to continue it. So SIGSTOP takes its place, unless the program handles SIGTSTP
/// and decides by itself.
fn suspend(child: &Child) -> bool {
    let is_usual = signals::has_usual_effect(child.id(), Signal::SIGTSTP);
    pass_on(child, if is_usual { Signal::SIGSTOP } else { Signal::SIGTSTP });
    is_stopped(child)
}

/// Whether the program's first process is stopped, or becomes so within a moment.
fn is_stopped(child: &Child) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        // The state follows the name, which is in parentheses and can contain any character.
        if stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
