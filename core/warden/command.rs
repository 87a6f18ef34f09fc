//! One command, from its start to the report of its end: held to its limits, its streams passed on, its forbidden calls heard.
//!
//! The one command of a sandbox takes everything inside with it when it ends. One among others takes what it started, if it is ended by force,
//! and nothing if it ends by itself.

use crate::control::{Line, Mail};
use crate::house::House;
use crate::reap;
use crate::relay::Relay;
use crate::setup::Place;
use crate::start::Started;
use crate::sys::{self, Errno, Fd, Polled, RawUsage, Result, SIGCONT, SIGSTOP};
use crate::watch::Watch;
use crate::wire::message::{Limits, Report, Request, end, meter, seen};

/// How many descriptors of a command's there are to wait for.
pub const POLLED: usize = 6;
const LISTENER: usize = 4;
const LINE: usize = 5;

/// Whom nobody reads from after an end by force is waited for no longer than this.
const PATIENCE: u64 = 250_000_000;

/// A command whose end has not been reported.
pub struct Running {
    pid: i32,
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
    /// It has been ended by force, and is not reaped yet: one among others.
    doomed: Option<(u32, i32)>,
    over: Option<Over>,
    /// As many processes and threads as there may be of all in its cell have been seen while it ran.
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

fn how_it_ended(status: i32) -> (u32, i32) {
    match status & 0x7f {
        0 => (end::EXITED, status >> 8 & 0xff),
        signal => (end::SIGNALED, signal),
    }
}

fn after(start: u64, ns: u64) -> Option<u64> {
    if ns > 0 { Some(start.saturating_add(ns)) } else { None }
}

impl Running {
    /// Takes what lies beside the request after the command's own descriptors: the ends of the relays, and the meter.
    pub fn new(started: Started, line: Line, last: bool, mail: &mut Mail) -> Result<Running> {
        let Request::Run { targets, relays, meter, limits, .. } = mail.request()? else { return Err(Errno::EPROTO) };
        let mut bounds = [None; 2];
        for (bound, relay) in bounds.iter_mut().zip(relays.iter()) {
            *bound = Some(relay.limit);
        }
        let mut next = targets.len();
        let mut taken = [None, None];
        for (relay, bound) in taken.iter_mut().zip(bounds) {
            if let Some(limit) = bound {
                *relay = Some(Relay::new(mail.take_descriptor(next)?, mail.take_descriptor(next + 1)?, limit)?);
                next += 2;
            }
        }
        let file = if meter == meter::NONE { None } else { Some(mail.take_descriptor(next)?) };
        let Started { pid, at, listener } = started;
        let root = if line.is_own() { Some(pid.unsigned_abs()) } else { None };
        Ok(Running {
            pid,
            last,
            line,
            started: at,
            limits,
            deadline: after(at, limits.wall_ns),
            warned: false,
            watch: Watch::new(file, meter, limits, root),
            relays: taken,
            listener,
            doomed: None,
            over: None,
            crowded: false,
        })
    }

    /// Whether it is one among others.
    pub fn is_among(&self) -> bool {
        self.line.is_own()
    }

    /// Whether it runs, and nobody has ended it.
    pub fn is_running(&self) -> bool {
        self.over.is_none() && self.doomed.is_none()
    }

    /// Whether it has been ended by force, and is not gone yet.
    pub fn is_doomed(&self) -> bool {
        self.over.is_none() && self.doomed.is_some()
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
        polled
    }

    /// Nanoseconds until something is to be done.
    pub fn remaining(&self, now: u64) -> Option<u64> {
        let left = |deadline: Option<u64>| deadline.map(|deadline| deadline.saturating_sub(now));
        match &self.over {
            Some(over) => earlier(left(over.patience), left(self.deadline)),
            None if self.doomed.is_some() => None,
            None => earlier(left(self.deadline), self.watch.remaining(now)),
        }
    }

    // ---- what happens

    /// Does what is to be done now. `ready`: what [`Running::polled`] waited for.
    pub fn attend(&mut self, ready: &[Polled], house: &House<'_>, mail: &mut Mail) -> Result<()> {
        self.hear(ready, house);
        self.pass_on(ready, house);
        self.hold_to_limits(house);
        if ready[LINE].is_ready() && self.over.is_none() {
            match self.line.receive(mail) {
                Ok(()) => self.obey(&mail.request()?, house)?,
                // Its caller has let go of it.
                Err(_) => self.end((end::KILLED, 0), house),
            }
            mail.clear();
        }
        Ok(())
    }

    /// A call that the filter forbids is the end, whoever inside made it.
    fn hear(&mut self, ready: &[Polled], house: &House<'_>) {
        if ready[LISTENER].is_ready() && !ready[LISTENER].has_input() {
            // Nobody is left who could make a call: to ask for one would be to wait for ever.
            self.listener = None;
        }
        let Some(listener) = self.listener.as_ref().filter(|_| ready[LISTENER].has_input()) else { return };
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
            Some(over) if exceeded && matches!(over.how.0, end::EXITED | end::SIGNALED) => over.how = (end::OUTPUT, 0),
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
        if self.doomed.is_some() {
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let Limits { grace_signal, grace_ns, .. } = self.limits;
            if grace_signal == 0 || self.warned {
                self.end((end::WALL_TIME, 0), house);
                return;
            }
            // The command leads a session, and so a process group, of its number; what is stopped hears nothing.
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
                    Some(census) if self.is_among() => census.each_of(Some(self.pid.unsigned_abs()), &mut |pid| {
                        let _ = sys::kill(pid as i32, signal);
                    }),
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
    pub fn reaped(&mut self, status: i32, usage: RawUsage, house: &mut House<'_>) {
        self.crowded |= house.was_full();
        self.watch.look_back(house.place.census.as_ref());
        if !self.is_among() {
            self.conclude(how_it_ended(status), Some(status), house);
            return;
        }
        let how = self.doomed.unwrap_or(if self.warned { (end::WALL_TIME, 0) } else { how_it_ended(status) });
        let now = sys::now();
        let patience = if self.doomed.is_some() { Some(now + PATIENCE) } else { None };
        self.over = Some(Over { how, status: Some(status), wall_ns: now - self.started, patience, usage: Some(usage) });
        self.relays.iter_mut().flatten().for_each(Relay::last);
    }

    /// It is to end, and this is what its end is called.
    pub fn end(&mut self, how: (u32, i32), house: &House<'_>) {
        if self.over.is_some() || self.doomed.is_some() {
            return;
        }
        if !self.is_among() {
            self.conclude(how, None, house);
            return;
        }
        self.doomed = Some(how);
        match &house.place.census {
            Some(census) => {
                // Who is killed before it has been waited for takes its account along.
                self.watch.settle(census);
                reap::end_tree(census, self.pid);
            }
            None => drop(sys::kill(-self.pid, sys::SIGKILL)),
        }
        house.thaw();
    }

    /// The only command has ended, or is to, and everything with it: `status` is what its first process left, if that has been reaped.
    fn conclude(&mut self, how: (u32, i32), status: Option<i32>, house: &House<'_>) {
        if self.over.is_some() {
            return;
        }
        let killed = reap::end_everything(house.namespaces, self.pid, house.thaw.as_ref());
        let by_itself = status.is_some() && !self.warned;
        let how = if status.is_some() && self.warned { (end::WALL_TIME, 0) } else { how };
        let now = sys::now();
        let patience = if by_itself { None } else { Some(now + PATIENCE) };
        self.over = Some(Over { how, status: status.or(killed), wall_ns: now - self.started, patience, usage: None });
        self.relays.iter_mut().flatten().for_each(Relay::finish);
    }

    pub fn is_over(&self) -> bool {
        self.over.is_some() && self.relays.iter().flatten().all(Relay::is_done)
    }

    pub fn report(&self, place: &Place) -> Result<()> {
        let Some(Over { how: (how, value), status, wall_ns, usage, .. }) = self.over else { return Ok(()) };
        let usage = self.watch.complete(reap::usage(wall_ns, usage.unwrap_or_else(|| sys::usage_of(sys::CHILDREN))));
        let scratch = place.scratch.full();
        let bit = |condition: bool, bit: u32| if condition { bit } else { 0 };
        let seen = bit(status.is_some(), seen::STATUS)
            | bit(scratch.is_some(), seen::SCRATCH)
            | bit(self.watch.processes_at_limit(), seen::PROCESSES)
            | bit(self.crowded, seen::CROWDED)
            | bit(self.relays[0].is_some(), seen::STREAMS);
        let passed = |relay: &Option<Relay>| relay.as_ref().map_or(0, |relay| relay.passed);
        let report = Report::Ended {
            how,
            value,
            status: status.unwrap_or(0),
            seen,
            scratch: scratch.unwrap_or(0),
            first_bytes: passed(&self.relays[0]),
            second_bytes: passed(&self.relays[1]),
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
