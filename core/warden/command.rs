//! One command, from its start to the report of its end: held to its limits, its streams passed on,
//! its forbidden calls heard.
//!
//! The one command of a sandbox takes everything inside with it when it ends. One among others
//! takes what it started, if it is ended by force, and nothing if it ends by itself.
//!
//! Nothing here waits. A command that is to end has been sent a signal, and has ended when it, and
//! of the one command of a sandbox all that is inside, has been reaped.

use crate::control::{CommandSocket, RequestBuffer};
use crate::reap;
use crate::relay::Relay;
use crate::setup::Place;
use crate::start::{self, Begun, Refused, Starting};
use crate::state::WardenState;
use crate::sys::{self, Errno, Fd, Polled, RawUsage, Result, SIGCONT, SIGSTOP};
use crate::watch::Watch;
use crate::wire::message::{Limits, Report, Request, end, gauge, meter, seen, stage};
use crate::wire::plan::namespace;

/// How many descriptors of a command's there are to wait for.
pub const POLLED: usize = 8;
const LISTENER: usize = 4;
const SOCKET: usize = 5;
const STARTING: usize = 6;
const PROCESS: usize = 7;

/// Between two looks whether all that is to end has ended.
const CHECK_INTERVAL: u64 = 5_000_000;

/// Whom nobody reads from after an end by force is waited for no longer than this.
const DRAIN_TIMEOUT: u64 = 250_000_000;

/// A command whose end has not been reported.
pub struct Running {
    pid: i32,
    /// Until its program begins.
    starting: Option<Starting>,
    /// Its first process, from when its program begins until that process has been reaped.
    process: Option<Fd>,
    /// That process has ended and could not be reaped: somebody traces it, and is told of its end
    /// first (ptrace(2)).
    held_back: bool,
    /// Its program never began, and the caller has been told.
    failed: bool,
    /// Everything ends with it.
    pub last: bool,
    socket: CommandSocket,
    started: u64,
    limits: Limits,
    /// When the wall time is ended, or after the signal that said so, the grace.
    deadline: Option<u64>,
    /// The wall time is ended and the signal has been sent.
    warned: bool,
    watch: Watch,
    relays: [Option<Relay>; 2],
    /// Where calls that are the command's end are told of.
    listener: Option<Fd>,
    /// It is to end, and this is what its end is called; it, or of the only command something
    /// inside, is not reaped yet.
    killed: Option<(u32, i32)>,
    /// What the first process of the only command left, while the rest is still to end.
    status: Option<i32>,
    /// When to look again whether all has ended.
    next_check: u64,
    ended: Option<Ended>,
    /// As many processes and threads as there may be of all in its cell have been seen while it
    /// ran.
    at_process_limit: bool,
}

/// What is known of a command that has ended, while its last output is passed on.
struct Ended {
    how: (u32, i32),
    status: Option<i32>,
    wall_ns: u64,
    drain_deadline: Option<u64>,
    /// Of one among others: what it and those that it waited for have used.
    usage: Option<RawUsage>,
}

/// Whether what [`Running::polled`] waited for says that the first process has ended.
pub fn process_has_ended(ready: &[Polled]) -> bool {
    ready[PROCESS].is_ready()
}

fn how_it_ended(status: i32) -> (u32, i32) {
    match status & 0x7f {
        0 => (end::EXITED, status >> 8 & 0xff),
        signal => (end::SIGNALED, signal),
    }
}

fn after(start: u64, ns: u64) -> Option<u64> {
    if ns > 0 { Some(start.saturating_add(ns)) } else { None }
}

/// What a command is put together from.
type Parts = (Starting, Watch, Limits, [Option<Relay>; 2]);

impl Running {
    /// Makes the process of a Run request; the caller hears of it ended `socket`.
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

    /// Takes what lies beside the request after the command's own descriptors, the ends of the
    /// relays, the meter and the gauge, and starts it.
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
            start::start(socket, incoming, state.place, state.namespaces & namespace::PID == 0)?;
        if socket.is_own() {
            watch.set_root(starting.pid.unsigned_abs());
        }
        Ok((starting, watch, limits, taken))
    }

    /// Whether it is one among others.
    pub fn is_in_cell(&self) -> bool {
        self.socket.is_own()
    }

    /// Whether it runs, and nobody has ended it.
    pub fn is_running(&self) -> bool {
        self.ended.is_none() && self.killed.is_none()
    }

    /// Whether it is to end, and is not gone yet.
    pub fn is_killed(&self) -> bool {
        self.ended.is_none() && self.killed.is_some()
    }

    /// Whether its end is waited for: it is to end, or has ended and is kept back.
    pub fn is_awaited(&self) -> bool {
        self.is_killed() || self.ended.is_none() && self.held_back
    }

    /// The id of its first process.
    pub fn root(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// It runs where there are as many processes as there may be.
    pub fn set_at_process_limit(&mut self) {
        self.at_process_limit = true;
    }

    /// Whether `pid` is its first process, and still to be reaped.
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

    /// Nanoseconds until something is to be done.
    pub fn remaining(&self, now: u64) -> Option<u64> {
        let left = |deadline: Option<u64>| deadline.map(|deadline| deadline.saturating_sub(now));
        match &self.ended {
            Some(ended) => earlier(left(ended.drain_deadline), left(self.deadline)),
            None if self.killed.is_some() => left(Some(self.next_check)),
            None => {
                let again = if self.held_back { left(Some(self.next_check)) } else { None };
                earlier(again, earlier(left(self.deadline), self.watch.remaining(now)))
            }
        }
    }

    // ---- what happens

    /// Does what is to be done now. `ready`: what [`Running::polled`] waited for.
    pub fn attend(
        &mut self,
        ready: &[Polled],
        state: &WardenState<'_>,
        incoming: &mut RequestBuffer,
    ) -> Result<()> {
        if ready[STARTING].is_ready() {
            self.begin(state)?;
        }
        if process_has_ended(ready) && self.process.is_some() {
            // What could be reaped has been. A tracer may reap it in a moment and let us have it
            // then: a debugger does.
            self.held_back = true;
            self.next_check = sys::now() + CHECK_INTERVAL;
        }
        self.hear(ready, state);
        self.pass_on(ready, state);
        self.enforce_limits(state);
        if ready[SOCKET].is_ready() && self.ended.is_none() {
            match self.socket.receive(incoming) {
                Ok(()) => self.obey(&incoming.request()?, state)?,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // Its caller has let go of it.
                Err(_) => self.end((end::KILLED, 0), state),
            }
            incoming.clear();
        }
        Ok(())
    }

    /// Tells the caller what has become of the process that was made for it, as soon as that is
    /// known.
    fn begin(&mut self, state: &WardenState<'_>) -> Result<()> {
        let Some(departed) = self.starting.as_mut().and_then(Starting::departed) else {
            return Ok(());
        };
        let Some(starting) = self.starting.take() else { return Ok(()) };
        #[cfg(stage_clock)]
        crate::stages::mark(crate::stages::STARTED);
        match starting.report(&departed, &self.socket, state.place)? {
            Begun::Running(process, listener) => {
                (self.process, self.listener) = (Some(process), listener)
            }
            Begun::Failed => self.failed = true,
            Begun::Unreported(errno) => {
                // Too many descriptors of this user's are under way, say. What the caller cannot be
                // told of must not run.
                self.end((end::KILLED, 0), state);
                Refused::because(stage::DESCRIPTORS)(errno).report(&self.socket)?;
                self.failed = true;
            }
        }
        Ok(())
    }

    /// A call that the filter forbids is the end, whoever inside made it.
    fn hear(&mut self, ready: &[Polled], state: &WardenState<'_>) {
        if ready[LISTENER].is_ready() && !ready[LISTENER].has_input() {
            // Nobody is left who could make a call: to ask for one would be to wait for ever.
            self.listener = None;
        }
        let Some(listener) = self.listener.as_ref().filter(|_| ready[LISTENER].has_input()) else {
            return;
        };
        // Who made it may be gone by now: then nobody made it.
        match sys::receive_notification(listener) {
            Ok(call) => {
                let how = if call.native { end::SYSCALL } else { end::FOREIGN_SYSCALL };
                self.end((how, call.number), state);
            }
            Err(Errno::ENOENT | Errno::EINTR) => {}
            Err(_) => self.listener = None,
        }
    }

    fn pass_on(&mut self, ready: &[Polled], state: &WardenState<'_>) {
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
            // Its last words were too many.
            Some(ended) if exceeded && matches!(ended.how.0, end::EXITED | end::SIGNALED) => {
                ended.how = (end::OUTPUT, 0)
            }
            None if exceeded => self.end((end::OUTPUT, 0), state),
            _ => {}
        }
    }

    fn enforce_limits(&mut self, state: &WardenState<'_>) {
        let now = sys::now();
        if let Some(ended) = &self.ended {
            if [ended.drain_deadline, self.deadline]
                .iter()
                .flatten()
                .any(|deadline| *deadline <= now)
            {
                self.relays.iter_mut().flatten().for_each(Relay::abandon);
            }
            return;
        }
        if self.is_awaited() {
            self.kill_rest(state);
        }
        if self.killed.is_some() {
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let Limits { grace_signal, grace_ns, .. } = self.limits;
            if grace_signal == 0 || self.warned {
                self.end((end::WALL_TIME, 0), state);
                return;
            }
            // The command leads a session, and so a process group, of its number; what is stopped
            // hears nothing.
            let _ = sys::kill(-self.pid, grace_signal);
            let _ = sys::kill(-self.pid, SIGCONT);
            self.warned = true;
            self.deadline = Some(now.saturating_add(grace_ns));
        }
        if let Some(how) = self.watch.check(now, state.place.scan.as_ref()) {
            self.end((how, 0), state);
        }
    }

    /// A request about it.
    pub fn obey(&mut self, request: &Request<'_>, state: &WardenState<'_>) -> Result<()> {
        match *request {
            Request::Signal { signal } => {
                if self.ended.is_none() {
                    let _ = sys::kill(self.pid, signal);
                }
            }
            Request::Kill { how } => {
                self.end((how, 0), state);
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
                match &state.place.scan {
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

    // ---- the end

    /// Its first process has been reaped.
    pub fn reaped(
        &mut self,
        status: i32,
        usage: RawUsage,
        state: &mut WardenState<'_>,
    ) -> Result<()> {
        // Whether its program ever began is known by now, and is told first.
        self.begin(state)?;
        if self.failed {
            return Ok(());
        }
        (self.process, self.held_back) = (None, false);
        self.at_process_limit |= state.at_process_limit();
        self.watch.count_remaining(state.place.scan.as_ref());
        self.status = Some(status);
        let by_itself = if self.warned { (end::WALL_TIME, 0) } else { how_it_ended(status) };
        if !self.is_in_cell() {
            // All else inside ends with it.
            self.end(by_itself, state);
            return Ok(());
        }
        let how = self.killed.unwrap_or(by_itself);
        let drain_deadline =
            if self.killed.is_some() { Some(sys::now() + DRAIN_TIMEOUT) } else { None };
        self.conclude(how, drain_deadline, Some(usage));
        self.relays.iter_mut().flatten().for_each(Relay::limit_to_pending);
        Ok(())
    }

    /// There is no process left that the warden could wait for.
    pub fn no_child_left(&mut self) {
        if let (Some(how), false, None) = (self.killed, self.is_in_cell(), &self.ended) {
            let by_itself = matches!(how.0, end::EXITED | end::SIGNALED);
            let drain_deadline = if by_itself { None } else { Some(sys::now() + DRAIN_TIMEOUT) };
            self.conclude(how, drain_deadline, None);
            self.relays.iter_mut().flatten().for_each(Relay::finish);
        }
    }

    fn conclude(&mut self, how: (u32, i32), drain_deadline: Option<u64>, usage: Option<RawUsage>) {
        self.ended = Some(Ended {
            how,
            status: self.status,
            wall_ns: sys::now() - self.started,
            drain_deadline,
            usage,
        });
    }

    /// It is to end, and this is what its end is called.
    pub fn end(&mut self, how: (u32, i32), state: &WardenState<'_>) {
        if self.ended.is_some() || self.killed.is_some() || self.failed {
            return;
        }
        self.killed = Some(how);
        if let (Some(scan), true) = (&state.place.scan, self.is_in_cell()) {
            // What is killed before it has been waited for takes its account along.
            self.watch.record_cpu_time(scan);
        }
        self.kill_rest(state);
    }

    /// Ends what is left of it, if it is time to: of the only command, all that is inside; of one
    /// among others that has ended by itself, nothing but who keeps its end from us.
    fn kill_rest(&mut self, state: &WardenState<'_>) {
        let now = sys::now();
        if now < self.next_check {
            return;
        }
        let first = self.next_check == 0;
        self.next_check = now + CHECK_INTERVAL;
        match &state.place.scan {
            _ if !self.is_in_cell() && first => {
                reap::signal_everything(state.namespaces, sys::SIGKILL)
            }
            _ if !self.is_in_cell() => reap::end_stubborn(state.namespaces),
            _ if self.killed.is_none() => {}
            Some(scan) => reap::end_tree(scan, self.pid),
            None => drop(
                sys::kill(-self.pid, sys::SIGKILL).or_else(|_| sys::kill(self.pid, sys::SIGKILL)),
            ),
        }
        if self.held_back {
            reap::end_tracer(state.place.scan.as_ref(), self.pid);
        }
        state.thaw();
    }

    pub fn is_finished(&self) -> bool {
        self.failed || self.ended.is_some() && self.relays.iter().flatten().all(Relay::is_done)
    }

    pub fn report(&self, place: &Place) -> Result<()> {
        let Some(Ended { how: (how, value), status, wall_ns, usage, .. }) =
            self.ended.as_ref().filter(|_| !self.failed)
        else {
            return Ok(());
        };
        let (how, value, status, wall_ns, usage) = (*how, *value, *status, *wall_ns, *usage);
        let mut usage = self
            .watch
            .complete(reap::usage(wall_ns, usage.unwrap_or_else(|| sys::usage_of(sys::CHILDREN))));
        if let [Some(first), second] = &self.relays {
            usage.stdout_bytes = first.passed;
            usage.stderr_bytes = second.as_ref().map_or(0, |second| second.passed);
        }
        let scratch = place.scratch.full();
        let bit = |condition: bool, bit: u32| if condition { bit } else { 0 };
        let seen = bit(status.is_some(), seen::STATUS)
            | bit(scratch.is_some(), seen::SCRATCH)
            | bit(self.watch.processes_at_limit(), seen::PROCESSES)
            | bit(self.at_process_limit, seen::CELL_PROCESSES);
        let report = Report::Ended {
            how,
            value,
            status: status.unwrap_or(0),
            seen,
            scratch: scratch.unwrap_or(0),
            usage,
        };
        self.socket.report(&report, &[])
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
