//! One command, from its start to the report of its end: held to its limits, its streams passed on,
//! its forbidden calls heard.
//!
//! The one command of a sandbox takes everything inside with it when it ends. One among others
//! takes what it started, if it is ended by force, and nothing if it ends by itself.
//!
//! Nothing here waits. A command that is to end has been sent a signal, and has ended when it, and
//! of the one command of a sandbox all that is inside, has been reaped.

use crate::control::{Line, Mail};
use crate::house::House;
use crate::reap;
use crate::relay::Relay;
use crate::setup::Place;
use crate::start::{self, Begun, Refused, Starting};
use crate::sys::{self, Errno, Fd, Polled, RawUsage, Result, SIGCONT, SIGSTOP};
use crate::watch::Watch;
use crate::wire::message::{Limits, Report, Request, end, gauge, meter, seen, stage};
use crate::wire::plan::namespace;

/// How many descriptors of a command's there are to wait for.
pub const POLLED: usize = 8;
const LISTENER: usize = 4;
const LINE: usize = 5;
const STARTING: usize = 6;
const PROCESS: usize = 7;

/// Between two looks whether all that is to end has ended.
const AGAIN: u64 = 5_000_000;

/// Whom nobody reads from after an end by force is waited for no longer than this.
const PATIENCE: u64 = 250_000_000;

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
    line: Line,
    started: u64,
    limits: Limits,
    /// When the wall time is over, or after the signal that said so, the grace.
    deadline: Option<u64>,
    /// The wall time is over and the signal has been sent.
    warned: bool,
    watch: Watch,
    relays: [Option<Relay>; 2],
    /// Where calls that are the command's end are told of.
    listener: Option<Fd>,
    /// It is to end, and this is what its end is called; it, or of the only command something
    /// inside, is not reaped yet.
    doomed: Option<(u32, i32)>,
    /// What the first process of the only command left, while the rest is still to end.
    status: Option<i32>,
    /// When to look again whether all has ended.
    again: u64,
    over: Option<Over>,
    /// As many processes and threads as there may be of all in its cell have been seen while it
    /// ran.
    crowded: bool,
}

/// What is known of a command that has ended, while its last output is passed on.
struct Over {
    how: (u32, i32),
    status: Option<i32>,
    wall_ns: u64,
    patience: Option<u64>,
    /// Of one among others: what it and those that it waited for have used.
    usage: Option<RawUsage>,
}

/// Whether what [`Running::polled`] waited for says that the first process has ended.
pub fn has_ended(ready: &[Polled]) -> bool {
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
    /// Makes the process of a Run request; the caller hears of it over `line`.
    pub fn start(
        line: Line,
        last: bool,
        house: &House<'_>,
        mail: &mut Mail,
    ) -> core::result::Result<Running, (Refused, Line)> {
        match Running::take(&line, house, mail) {
            Ok((starting, watch, limits, relays)) => Ok(Running {
                pid: starting.pid,
                process: None,
                held_back: false,
                failed: false,
                last,
                line,
                started: starting.at,
                limits,
                deadline: after(starting.at, limits.wall_ns),
                warned: false,
                watch,
                relays,
                listener: None,
                doomed: None,
                status: None,
                again: 0,
                over: None,
                crowded: false,
                starting: Some(starting),
            }),
            Err(refused) => Err((refused, line)),
        }
    }

    /// Takes what lies beside the request after the command's own descriptors, the ends of the
    /// relays, the meter and the gauge, and starts it.
    fn take(
        line: &Line,
        house: &House<'_>,
        mail: &mut Mail,
    ) -> core::result::Result<Parts, Refused> {
        let refused = || Refused::because(stage::REQUEST);
        let Request::Run { targets, relays, meter, gauge, limits, .. } =
            mail.request().map_err(refused())?
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
                let mut end = |index: usize| mail.take_descriptor(index).map_err(refused());
                *relay = Some(Relay::new(end(next)?, end(next + 1)?, limit).map_err(refused())?);
                next += 2;
            }
        }
        let mut file = |is_there: bool| {
            let taken =
                if is_there { Some(mail.take_descriptor(next).map_err(refused())?) } else { None };
            next += usize::from(is_there);
            Ok::<_, Refused>(taken)
        };
        let (meter_file, gauge_file) = (file(meter != meter::NONE)?, file(gauge != gauge::NONE)?);
        let mut watch = Watch::new(meter_file, meter, limits, line.is_own().then_some(0));
        if let Some(file) = gauge_file {
            watch.gauge_by(file, gauge);
        }
        let starting =
            start::start(line, mail, house.place, house.namespaces & namespace::PID == 0)?;
        if line.is_own() {
            watch.look_only_at(starting.pid.unsigned_abs());
        }
        Ok((starting, watch, limits, taken))
    }

    /// Whether it is one among others.
    pub fn is_among(&self) -> bool {
        self.line.is_own()
    }

    /// Whether it runs, and nobody has ended it.
    pub fn is_running(&self) -> bool {
        self.over.is_none() && self.doomed.is_none()
    }

    /// Whether it is to end, and is not gone yet.
    pub fn is_doomed(&self) -> bool {
        self.over.is_none() && self.doomed.is_some()
    }

    /// Whether its end is waited for: it is to end, or has ended and is kept back.
    pub fn is_awaited(&self) -> bool {
        self.is_doomed() || self.over.is_none() && self.held_back
    }

    /// The id of its first process.
    pub fn root(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// It runs where there are as many processes as there may be.
    pub fn crowd(&mut self) {
        self.crowded = true;
    }

    /// Whether `pid` is its first process, and still to be reaped.
    pub fn awaits(&self, pid: i32) -> bool {
        self.pid == pid && self.over.is_none()
    }

    // ---- what to wait for

    pub fn polled(&self) -> [Polled; POLLED] {
        let mut polled = [Polled::NOTHING; POLLED];
        for (pair, relay) in polled.chunks_exact_mut(2).zip(&self.relays) {
            if let Some(relay) = relay {
                pair.copy_from_slice(&relay.polled());
            }
        }
        if let (Some(listener), None) = (&self.listener, &self.over) {
            polled[LISTENER] = Polled::readable(listener.number());
        }
        if self.over.is_none() {
            polled[LINE] = self.line.polled();
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
        match &self.over {
            Some(over) => earlier(left(over.patience), left(self.deadline)),
            None if self.doomed.is_some() => left(Some(self.again)),
            None => {
                let again = if self.held_back { left(Some(self.again)) } else { None };
                earlier(again, earlier(left(self.deadline), self.watch.remaining(now)))
            }
        }
    }

    // ---- what happens

    /// Does what is to be done now. `ready`: what [`Running::polled`] waited for.
    pub fn attend(&mut self, ready: &[Polled], house: &House<'_>, mail: &mut Mail) -> Result<()> {
        if ready[STARTING].is_ready() {
            self.begin(house)?;
        }
        if has_ended(ready) && self.process.is_some() {
            // What could be reaped has been. A tracer may reap it in a moment and let us have it
            // then: a debugger does.
            self.held_back = true;
            self.again = sys::now() + AGAIN;
        }
        self.hear(ready, house);
        self.pass_on(ready, house);
        self.hold_to_limits(house);
        if ready[LINE].is_ready() && self.over.is_none() {
            match self.line.receive(mail) {
                Ok(()) => self.obey(&mail.request()?, house)?,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // Its caller has let go of it.
                Err(_) => self.end((end::KILLED, 0), house),
            }
            mail.clear();
        }
        Ok(())
    }

    /// Tells the caller what has become of the process that was made for it, as soon as that is
    /// known.
    fn begin(&mut self, house: &House<'_>) -> Result<()> {
        let Some(departed) = self.starting.as_mut().and_then(Starting::departed) else {
            return Ok(());
        };
        let Some(starting) = self.starting.take() else { return Ok(()) };
        #[cfg(stage_clock)]
        crate::stages::mark(crate::stages::STARTED);
        match starting.tell(&departed, &self.line, house.place)? {
            Begun::Running(process, listener) => {
                (self.process, self.listener) = (Some(process), listener)
            }
            Begun::Failed => self.failed = true,
            Begun::Untold(errno) => {
                // Too many descriptors of this user's are under way, say. What the caller cannot be
                // told of must not run.
                self.end((end::KILLED, 0), house);
                Refused::because(stage::DESCRIPTORS)(errno).tell(&self.line)?;
                self.failed = true;
            }
        }
        Ok(())
    }

    /// A call that the filter forbids is the end, whoever inside made it.
    fn hear(&mut self, ready: &[Polled], house: &House<'_>) {
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
                self.end((how, call.number), house);
            }
            Err(Errno::ENOENT | Errno::EINTR) => {}
            Err(_) => self.listener = None,
        }
    }

    fn pass_on(&mut self, ready: &[Polled], house: &House<'_>) {
        let mut exceeded = false;
        for (pair, relay) in ready.chunks_exact(2).zip(&mut self.relays) {
            let Some(relay) = relay else { continue };
            let moved = pair.iter().any(Polled::is_ready);
            exceeded |= relay.advance([pair[0], pair[1]]);
            if let Some(over) = &mut self.over {
                relay.finish();
                if moved && over.patience.is_some() {
                    over.patience = Some(sys::now() + PATIENCE);
                }
            }
        }
        match &mut self.over {
            // Its last words were too many.
            Some(over) if exceeded && matches!(over.how.0, end::EXITED | end::SIGNALED) => {
                over.how = (end::OUTPUT, 0)
            }
            None if exceeded => self.end((end::OUTPUT, 0), house),
            _ => {}
        }
    }

    fn hold_to_limits(&mut self, house: &House<'_>) {
        let now = sys::now();
        if let Some(over) = &self.over {
            if [over.patience, self.deadline].iter().flatten().any(|deadline| *deadline <= now) {
                self.relays.iter_mut().flatten().for_each(Relay::abandon);
            }
            return;
        }
        if self.is_awaited() {
            self.end_rest(house);
        }
        if self.doomed.is_some() {
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let Limits { grace_signal, grace_ns, .. } = self.limits;
            if grace_signal == 0 || self.warned {
                self.end((end::WALL_TIME, 0), house);
                return;
            }
            // The command leads a session, and so a process group, of its number; what is stopped
            // hears nothing.
            let _ = sys::kill(-self.pid, grace_signal);
            let _ = sys::kill(-self.pid, SIGCONT);
            self.warned = true;
            self.deadline = Some(now.saturating_add(grace_ns));
        }
        if let Some(how) = self.watch.look(now, house.place.census.as_ref()) {
            self.end((how, 0), house);
        }
    }

    /// A request about it.
    pub fn obey(&mut self, request: &Request<'_>, house: &House<'_>) -> Result<()> {
        match *request {
            Request::Signal { signal } => {
                if self.over.is_none() {
                    let _ = sys::kill(self.pid, signal);
                }
            }
            Request::Kill { how } => {
                self.end((how, 0), house);
                self.relays.iter_mut().flatten().for_each(Relay::abandon);
            }
            Request::Limit { limits, .. } => {
                if !self.warned {
                    self.deadline = after(self.started, limits.wall_ns);
                }
                self.limits = limits;
                self.watch.set(limits);
            }
            Request::Stop { on } if self.over.is_none() => {
                let signal = if on { SIGSTOP } else { SIGCONT };
                match &house.place.census {
                    Some(census) if self.is_among() => {
                        census.each_of(Some(self.pid.unsigned_abs()), &mut |pid| {
                            let _ = sys::kill(pid as i32, signal);
                        })
                    }
                    _ => reap::signal_everything(house.namespaces, signal),
                }
            }
            Request::Stop { .. } | Request::Frozen {} => {}
            _ => return Err(Errno::EPROTO),
        }
        Ok(())
    }

    // ---- the end

    /// Its first process has been reaped.
    pub fn reaped(&mut self, status: i32, usage: RawUsage, house: &mut House<'_>) -> Result<()> {
        // Whether its program ever began is known by now, and is told first.
        self.begin(house)?;
        if self.failed {
            return Ok(());
        }
        (self.process, self.held_back) = (None, false);
        self.crowded |= house.was_full();
        self.watch.look_back(house.place.census.as_ref());
        self.status = Some(status);
        let by_itself = if self.warned { (end::WALL_TIME, 0) } else { how_it_ended(status) };
        if !self.is_among() {
            // All else inside ends with it.
            self.end(by_itself, house);
            return Ok(());
        }
        let how = self.doomed.unwrap_or(by_itself);
        let patience = if self.doomed.is_some() { Some(sys::now() + PATIENCE) } else { None };
        self.conclude(how, patience, Some(usage));
        self.relays.iter_mut().flatten().for_each(Relay::last);
        Ok(())
    }

    /// There is no process left that the warden could wait for.
    pub fn nobody_is_left(&mut self) {
        if let (Some(how), false, None) = (self.doomed, self.is_among(), &self.over) {
            let by_itself = matches!(how.0, end::EXITED | end::SIGNALED);
            let patience = if by_itself { None } else { Some(sys::now() + PATIENCE) };
            self.conclude(how, patience, None);
            self.relays.iter_mut().flatten().for_each(Relay::finish);
        }
    }

    fn conclude(&mut self, how: (u32, i32), patience: Option<u64>, usage: Option<RawUsage>) {
        self.over = Some(Over {
            how,
            status: self.status,
            wall_ns: sys::now() - self.started,
            patience,
            usage,
        });
    }

    /// It is to end, and this is what its end is called.
    pub fn end(&mut self, how: (u32, i32), house: &House<'_>) {
        if self.over.is_some() || self.doomed.is_some() || self.failed {
            return;
        }
        self.doomed = Some(how);
        if let (Some(census), true) = (&house.place.census, self.is_among()) {
            // What is killed before it has been waited for takes its account along.
            self.watch.settle(census);
        }
        self.end_rest(house);
    }

    /// Ends what is left of it, if it is time to: of the only command, all that is inside; of one
    /// among others that has ended by itself, nothing but who keeps its end from us.
    fn end_rest(&mut self, house: &House<'_>) {
        let now = sys::now();
        if now < self.again {
            return;
        }
        let first = self.again == 0;
        self.again = now + AGAIN;
        match &house.place.census {
            _ if !self.is_among() && first => {
                reap::signal_everything(house.namespaces, sys::SIGKILL)
            }
            _ if !self.is_among() => reap::end_stubborn(house.namespaces),
            _ if self.doomed.is_none() => {}
            Some(census) => reap::end_tree(census, self.pid),
            None => drop(
                sys::kill(-self.pid, sys::SIGKILL).or_else(|_| sys::kill(self.pid, sys::SIGKILL)),
            ),
        }
        if self.held_back {
            reap::end_tracer(house.place.census.as_ref(), self.pid);
        }
        house.thaw();
    }

    pub fn is_over(&self) -> bool {
        self.failed || self.over.is_some() && self.relays.iter().flatten().all(Relay::is_done)
    }

    pub fn report(&self, place: &Place) -> Result<()> {
        let Some(Over { how: (how, value), status, wall_ns, usage, .. }) =
            self.over.as_ref().filter(|_| !self.failed)
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
            | bit(self.crowded, seen::CROWDED);
        let report = Report::Ended {
            how,
            value,
            status: status.unwrap_or(0),
            seen,
            scratch: scratch.unwrap_or(0),
            usage,
        };
        self.line.report(&report, &[])
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
