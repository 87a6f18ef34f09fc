//! One command, from its start to the report of its end: its limits, streams and seccomp
//! notifications.
//!
//! The only command of a sandbox takes everything inside with it when it ends. A command in a cell
//! takes what it has started with it if it is killed, and nothing if it ends by itself.
//!
//! Nothing here waits. To kill a command is to send SIGKILL and to return. A command in a cell has
//! ended when its first process is reaped; the only command, when everything inside is reaped.

mod finish;

use crate::control::{CommandSocket, RequestBuffer};
use crate::reap;
use crate::relay::Relay;
use crate::scan::ProcessScan;
use crate::start::{self, Begun, Refused, Starting};
use crate::state::WardenState;
use crate::sys::{self, Errno, Fd, Polled, Result, SIGCONT, SIGSTOP};
use crate::watch::Watch;
use crate::wire::message::{Limits, Request, end, gauge, meter, stage};
use crate::wire::plan::namespace;
use finish::CommandEnd;

/// How many descriptors the loop polls for each command. The first four belong to the relays.
pub const POLLED: usize = 8;
const LISTENER: usize = 4;
const SOCKET: usize = 5;
const STARTING: usize = 6;
const PROCESS: usize = 7;

/// Nanoseconds between two checks whether everything killed has ended.
const CHECK_INTERVAL: u64 = 5_000_000;

/// How long to drain a killed command's output when nobody reads it.
const DRAIN_TIMEOUT: u64 = 250_000_000;

/// A command whose end has not been reported yet.
pub struct Running {
    pid: i32,
    /// The new process until it executes its program.
    starting: Option<Starting>,
    /// The pidfd of the first process, from the `execve(2)` until the process is reaped.
    process: Option<Fd>,
    /// The first process has ended but could not be reaped: the kernel first reports its end to
    /// the tracer (ptrace(2)).
    held_back: bool,
    /// The program was never executed, and the caller has the report.
    failed: bool,
    /// The warden ends with this command.
    pub last: bool,
    socket: CommandSocket,
    started: u64,
    limits: Limits,
    /// When the wall time is over, or the grace after its signal.
    deadline: Option<u64>,
    /// The wall time is over, and `grace_signal` has been sent.
    warned: bool,
    watch: Watch,
    relays: [Option<Relay>; 2],
    /// The listener for calls that the filter forbids.
    listener: Option<Fd>,
    /// The listener of its gate, until the loop takes it.
    gate: Option<Fd>,
    /// How the end of a killed command is called. Its processes are not all reaped yet.
    killed: Option<(u32, i32)>,
    /// The wait status of the first process, once it is reaped.
    status: Option<i32>,
    /// When to check again whether everything killed has ended.
    next_check: u64,
    ended: Option<CommandEnd>,
    /// The cell had as many processes and threads as its limit allows while this command ran.
    at_process_limit: bool,
}

/// Whether the polled descriptors show that the first process has ended.
pub fn process_has_ended(ready: &[Polled]) -> bool {
    ready[PROCESS].is_ready()
}

fn after(start: u64, ns: u64) -> Option<u64> {
    if ns > 0 { Some(start.saturating_add(ns)) } else { None }
}

/// The parts of a new command.
type Parts = (Starting, Watch, Limits, [Option<Relay>; 2]);

impl Running {
    /// Starts the process of a Run request. `socket` carries the reports of the command.
    pub fn start(
        socket: CommandSocket,
        last: bool,
        state: &WardenState<'_>,
        incoming: &mut RequestBuffer,
    ) -> core::result::Result<Running, (Refused, CommandSocket)> {
        match Running::take(&socket, state, incoming) {
            Ok((starting, watch, limits, relays)) => Ok(Running {
                pid: starting.pid,
                process: None,
                held_back: false,
                failed: false,
                last,
                socket,
                started: starting.at,
                limits,
                deadline: after(starting.at, limits.wall_ns),
                warned: false,
                watch,
                relays,
                listener: None,
                gate: None,
                killed: None,
                status: None,
                next_check: 0,
                ended: None,
                at_process_limit: false,
                starting: Some(starting),
            }),
            Err(refused) => Err((refused, socket)),
        }
    }

    /// Takes the relays, the meter and the gauge, which lie beside the request after the command's
    /// own descriptors, and starts the process.
    fn take(
        socket: &CommandSocket,
        state: &WardenState<'_>,
        incoming: &mut RequestBuffer,
    ) -> core::result::Result<Parts, Refused> {
        let refused = || Refused::because(stage::REQUEST);
        let Request::Run { targets, relays, meter, gauge, limits, .. } =
            incoming.request().map_err(refused())?
        else {
            return Err(refused()(Errno::EPROTO));
        };
        let mut bounds = [None; 2];
        for (bound, relay) in bounds.iter_mut().zip(relays.iter()) {
            *bound = Some(relay.limit);
        }
        let mut next = targets.len();
        let mut taken = [None, None];
        for (relay, bound) in taken.iter_mut().zip(bounds) {
            if let Some(limit) = bound {
                let mut end = |index: usize| incoming.take_descriptor(index).map_err(refused());
                *relay = Some(Relay::new(end(next)?, end(next + 1)?, limit).map_err(refused())?);
                next += 2;
            }
        }
        let mut file = |is_there: bool| {
            let taken = if is_there {
                Some(incoming.take_descriptor(next).map_err(refused())?)
            } else {
                None
            };
            next += usize::from(is_there);
            Ok::<_, Refused>(taken)
        };
        let (meter_file, gauge_file) = (file(meter != meter::NONE)?, file(gauge != gauge::NONE)?);
        let mut watch = Watch::new(meter_file, meter, limits, socket.is_own().then_some(0));
        if let Some(file) = gauge_file {
            watch.set_gauge(file, gauge);
        }
        let starting =
            start::start(socket, incoming, state.setup, state.namespaces & namespace::PID == 0)?;
        if socket.is_own() {
            watch.set_root(starting.pid.unsigned_abs());
        }
        Ok((starting, watch, limits, taken))
    }

    /// Whether the command runs in a cell.
    pub fn is_in_cell(&self) -> bool {
        self.socket.is_own()
    }

    /// Whether the command runs and nothing has killed it.
    pub fn is_running(&self) -> bool {
        self.ended.is_none() && self.killed.is_none()
    }

    /// Whether the command is killed but has not ended yet.
    pub fn is_killed(&self) -> bool {
        self.ended.is_none() && self.killed.is_some()
    }

    /// Whether the loop must check for its end: it is killed, or a tracer holds its end back.
    pub fn is_awaited(&self) -> bool {
        self.is_killed() || self.ended.is_none() && self.held_back
    }

    /// The process id of the first process.
    pub fn root(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Records that the cell has as many processes as its limit allows.
    pub fn set_at_process_limit(&mut self) {
        self.at_process_limit |= self.ended.is_none();
    }

    /// Whether it is killed, though it may have ended since.
    pub fn is_doomed(&self) -> bool {
        self.killed.is_some()
    }

    /// Takes the listener of its gate, once.
    pub fn take_gate(&mut self) -> Option<Fd> {
        self.gate.take()
    }

    /// Counts its processes, before those that have ended are reaped. How a killed command ends is
    /// known.
    pub fn count_unreaped(&mut self, scan: Option<&ProcessScan>) {
        if self.ended.is_none() && self.killed.is_none() {
            self.watch.count_unreaped(scan);
        }
    }

    /// Whether `pid` is its first process, which is not reaped yet.
    pub fn awaits(&self, pid: i32) -> bool {
        self.pid == pid && self.ended.is_none()
    }

    // ---- what to wait for

    pub fn polled(&self) -> [Polled; POLLED] {
        let mut polled = [Polled::NOTHING; POLLED];
        for (pair, relay) in polled.chunks_exact_mut(2).zip(&self.relays) {
            if let Some(relay) = relay {
                pair.copy_from_slice(&relay.polled());
            }
        }
        if let (Some(listener), None) = (&self.listener, &self.ended) {
            polled[LISTENER] = Polled::readable(listener.number());
        }
        if self.ended.is_none() {
            polled[SOCKET] = self.socket.polled();
        }
        if let Some(starting) = &self.starting {
            polled[STARTING] = starting.polled();
        }
        if let (Some(process), false) = (&self.process, self.held_back) {
            polled[PROCESS] = Polled::readable(process.number());
        }
        polled
    }

    /// Nanoseconds until this command needs attention; `None` for no time limit.
    pub fn remaining(&self, now: u64) -> Option<u64> {
        let left = |deadline: Option<u64>| deadline.map(|deadline| deadline.saturating_sub(now));
        match &self.ended {
            Some(ended) => earlier(left(ended.drain_deadline), left(self.deadline)),
            None if self.killed.is_some() => left(Some(self.next_check)),
            None => {
                let recheck = if self.held_back { left(Some(self.next_check)) } else { None };
                earlier(recheck, earlier(left(self.deadline), self.watch.remaining(now)))
            }
        }
    }

    // ---- events

    /// Handles what is due. `ready` is the result of polling [`Running::polled`].
    pub fn handle_events(
        &mut self,
        ready: &[Polled],
        state: &WardenState<'_>,
        incoming: &mut RequestBuffer,
    ) -> Result<()> {
        if ready[STARTING].is_ready() {
            self.report_start(state)?;
        }
        if process_has_ended(ready) && self.process.is_some() {
            // The loop has reaped all it could. A tracer such as a debugger may reap the process in
            // a moment, and the warden can reap it afterwards.
            self.held_back = true;
            self.next_check = sys::now() + CHECK_INTERVAL;
        }
        self.receive_notification(ready, state);
        self.forward_output(ready, state);
        self.enforce_limits(state);
        if ready[SOCKET].is_ready() && self.ended.is_none() {
            match self.socket.receive(incoming) {
                Ok(()) => self.handle_request(&incoming.request()?, state)?,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // The caller has closed its end of the command socket.
                Err(_) => self.kill((end::KILLED, 0), state),
            }
            incoming.clear();
        }
        Ok(())
    }

    /// Reports to the caller whether the program was executed, as soon as that is known.
    fn report_start(&mut self, state: &WardenState<'_>) -> Result<()> {
        let Some(departed) = self.starting.as_mut().and_then(Starting::departed) else {
            return Ok(());
        };
        let Some(starting) = self.starting.take() else { return Ok(()) };
        #[cfg(stage_clock)]
        crate::stages::mark(crate::stages::STARTED);
        match starting.report(&departed, &self.socket, state.setup)? {
            Begun::Running { process, listener, gate } => {
                (self.process, self.listener, self.gate) = (Some(process), listener, gate)
            }
            Begun::Failed => self.failed = true,
            Begun::Unreported(errno) => {
                // This happens when too many descriptors of this user are in flight, for example. A
                // command of which the caller has no report must not run.
                self.kill((end::KILLED, 0), state);
                Refused::because(stage::DESCRIPTORS)(errno).report(&self.socket)?;
                self.failed = true;
            }
        }
        Ok(())
    }

    /// Kills the command at the first call that its filter forbids, whichever process inside made
    /// it.
    fn receive_notification(&mut self, ready: &[Polled], state: &WardenState<'_>) {
        if ready[LISTENER].is_ready() && !ready[LISTENER].has_input() {
            // No process with this filter is left. Asking for a notification would block for ever.
            self.listener = None;
        }
        let Some(listener) = self.listener.as_ref().filter(|_| ready[LISTENER].has_input()) else {
            return;
        };
        // ENOENT: the process that made the call has ended, and its call counts as never made.
        match sys::receive_notification(listener) {
            Ok(call) => {
                let how = if call.native { end::SYSCALL } else { end::FOREIGN_SYSCALL };
                self.kill((how, call.number), state);
            }
            Err(Errno::ENOENT | Errno::EINTR) => {}
            Err(_) => self.listener = None,
        }
    }

    fn forward_output(&mut self, ready: &[Polled], state: &WardenState<'_>) {
        let mut exceeded = false;
        for (pair, relay) in ready.chunks_exact(2).zip(&mut self.relays) {
            let Some(relay) = relay else { continue };
            let moved = pair.iter().any(Polled::is_ready);
            exceeded |= relay.advance([pair[0], pair[1]]);
            if let Some(ended) = &mut self.ended {
                relay.finish();
                if moved && ended.drain_deadline.is_some() {
                    ended.drain_deadline = Some(sys::now() + DRAIN_TIMEOUT);
                }
            }
        }
        match &mut self.ended {
            // The output that it wrote before its end exceeds the limit.
            Some(ended) if exceeded && matches!(ended.how.0, end::EXITED | end::SIGNALED) => {
                ended.how = (end::OUTPUT, 0)
            }
            None if exceeded => self.kill((end::OUTPUT, 0), state),
            _ => {}
        }
    }

    /// Handles a request about this command.
    pub fn handle_request(&mut self, request: &Request<'_>, state: &WardenState<'_>) -> Result<()> {
        match *request {
            Request::Signal { signal } => {
                if self.ended.is_none() {
                    let _ = sys::kill(self.pid, signal);
                }
            }
            Request::Kill { how } => {
                self.kill((how, 0), state);
                self.relays.iter_mut().flatten().for_each(Relay::abandon);
            }
            Request::Limit { limits, .. } => {
                if !self.warned {
                    self.deadline = after(self.started, limits.wall_ns);
                }
                self.limits = limits;
                self.watch.set(limits);
            }
            Request::Stop { on } if self.ended.is_none() => {
                let signal = if on { SIGSTOP } else { SIGCONT };
                match &state.setup.scan {
                    Some(scan) if self.is_in_cell() => {
                        scan.each_of(Some(self.pid.unsigned_abs()), &mut |pid| {
                            let _ = sys::kill(pid as i32, signal);
                        })
                    }
                    _ => reap::signal_everything(state.namespaces, signal),
                }
            }
            Request::Stop { .. } | Request::Frozen {} => {}
            _ => return Err(Errno::EPROTO),
        }
        Ok(())
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
