//! Running commands: from the request to the report of the end, with all that may happen in between.

use crate::control::{Control, Mail, OTHERS};
use crate::reap;
use crate::relay::Relay;
use crate::setup::Place;
use crate::start::{Started, start};
use crate::sys::{self, Errno, Fd, Polled, Result, SIGCONT, SIGSTOP};
use crate::watch::Watch;
use crate::wire::message::{Limits, Report, Request, end, meter, run, seen};
use crate::wire::plan::namespace;

/// A command whose end has not been reported.
struct Running {
    id: u32,
    pid: i32,
    last: bool,
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
    /// It has been frozen in a way that lets nobody die: the file that undoes it.
    thaw: Option<Fd>,
    over: Option<Over>,
}

/// What is known of a command that has ended, while its last output is passed on.
struct Over {
    how: (u32, i32),
    status: Option<i32>,
    wall_ns: u64,
    /// Whom nobody reads from after an end by force is waited for no longer than this.
    patience: Option<u64>,
}

/// Runs commands until the caller is gone or the last one has ended. An error is the caller's absence, and whatever the error, the
/// kernel ends a namespace with its PID 1; without one, that is ours to do.
pub fn serve(control: &Control, place: &Place, namespaces: u64) -> Result<()> {
    let mut running = None;
    let served = converse(control, place, namespaces, &mut running);
    let frozen = running.is_some_and(|command: Running| command.thaw.is_some_and(|thaw| sys::write(&thaw, b"THAWED").is_ok()));
    if served.is_err() && (namespaces & namespace::PID == 0 || frozen) {
        reap::end_everything(namespaces, 0, None);
    }
    served
}

fn converse(control: &Control, place: &Place, namespaces: u64, running: &mut Option<Running>) -> Result<()> {
    let children = sys::child_signal()?;
    let mut mail = Mail::new()?;
    loop {
        let mut others = running.as_ref().map_or([Polled::NOTHING; OTHERS], Running::polled);
        let remaining = running.as_ref().and_then(|command| command.remaining(sys::now()));
        let event = match control.wait(Some(&children), &mut others, remaining) {
            Ok(event) => event,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        };
        if event.caller_gone {
            // How its last act is undone may still lie here.
            while control.receive_left(&mut mail).is_ok() {
                if let (Some(command), Ok(Request::Frozen { .. })) = (running.as_mut(), mail.request()) {
                    command.thaw = mail.take_descriptor(0).ok();
                }
            }
            return Err(Errno::EPROTO);
        }
        if event.child {
            drain(&children);
            let status = reap::reap_ended(running.as_ref().map_or(0, |command| command.pid));
            if let (Some(command), Some(status)) = (running.as_mut(), status) {
                command.watch.look_back(place.census.as_ref());
                command.end(how_it_ended(status), Some(status), namespaces);
            }
        }
        if let Some(command) = running.as_mut() {
            command.hear(&others, namespaces);
            command.pass_on(&others, namespaces);
            command.hold_to_limits(place, namespaces);
        }
        if event.request {
            control.receive(&mut mail)?;
            let descriptor = if let Request::Frozen { .. } = mail.request()? { mail.take_descriptor(0).ok() } else { None };
            match mail.request()? {
                Request::Run { id, flags, limits, .. } if running.is_none() => {
                    let last = flags & run::LAST != 0;
                    match start(control, &mail, place, namespaces)? {
                        Some(started) => *running = Some(Running::new(id, last, started, limits, &mut mail)?),
                        None if last => return Ok(()),
                        None => {}
                    }
                }
                request => {
                    if let Some(command) = running.as_mut() {
                        command.obey(&request, descriptor, namespaces)?;
                    }
                }
            }
            mail.clear();
        }
        if let Some(command) = running.as_ref().filter(|command| command.is_over()) {
            command.report(control, place)?;
            if command.last {
                return Ok(());
            }
            *running = None;
        }
    }
}

fn drain(signals: &Fd) {
    let mut buffer = [0u8; 128 * 4];
    while let Ok(1..) = sys::read(signals, &mut buffer) {}
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
    fn new(id: u32, last: bool, started: Started, limits: Limits, mail: &mut Mail) -> Result<Running> {
        let Request::Run { targets, relays, meter, .. } = mail.request()? else { return Err(Errno::EPROTO) };
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
        Ok(Running {
            id,
            pid,
            last,
            started: at,
            limits,
            deadline: after(at, limits.wall_ns),
            warned: false,
            watch: Watch::new(file, meter, limits),
            relays: taken,
            listener,
            thaw: None,
            over: None,
        })
    }

    // ---- what to wait for

    fn polled(&self) -> [Polled; OTHERS] {
        let mut polled = [Polled::NOTHING; OTHERS];
        for (pair, relay) in polled.chunks_exact_mut(2).zip(&self.relays) {
            if let Some(relay) = relay {
                pair.copy_from_slice(&relay.polled());
            }
        }
        if let (Some(listener), None) = (&self.listener, &self.over) {
            polled[OTHERS - 1] = Polled::readable(listener.number());
        }
        polled
    }

    /// Nanoseconds until something is to be done.
    fn remaining(&self, now: u64) -> Option<u64> {
        let left = |deadline: Option<u64>| deadline.map(|deadline| deadline.saturating_sub(now));
        match &self.over {
            Some(over) => earlier(left(over.patience), left(self.deadline)),
            None => earlier(left(self.deadline), self.watch.remaining(now)),
        }
    }

    // ---- what happens

    /// A call that the filter forbids is the end, whoever inside made it.
    fn hear(&mut self, ready: &[Polled; OTHERS], namespaces: u64) {
        if ready[OTHERS - 1].is_ready() && !ready[OTHERS - 1].has_input() {
            // Nobody is left who could make a call: to ask for one would be to wait for ever.
            self.listener = None;
        }
        let Some(listener) = self.listener.as_ref().filter(|_| ready[OTHERS - 1].has_input()) else { return };
        // Who made it may be gone by now: then nobody made it.
        match sys::receive_notification(listener) {
            Ok(call) => {
                let how = if call.native { end::SYSCALL } else { end::FOREIGN_SYSCALL };
                self.end((how, call.number), None, namespaces);
            }
            Err(Errno::ENOENT | Errno::EINTR) => {}
            Err(_) => self.listener = None,
        }
    }

    fn pass_on(&mut self, ready: &[Polled; OTHERS], namespaces: u64) {
        const PATIENCE: u64 = 250_000_000;
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
            None if exceeded => self.end((end::OUTPUT, 0), None, namespaces),
            _ => {}
        }
    }

    fn hold_to_limits(&mut self, place: &Place, namespaces: u64) {
        let now = sys::now();
        if let Some(over) = &self.over {
            if [over.patience, self.deadline].iter().flatten().any(|deadline| *deadline <= now) {
                self.relays.iter_mut().flatten().for_each(Relay::abandon);
            }
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let Limits { grace_signal, grace_ns, .. } = self.limits;
            if grace_signal == 0 || self.warned {
                self.end((end::WALL_TIME, 0), None, namespaces);
                return;
            }
            // The command leads a session, and so a process group, of its number; what is stopped hears nothing.
            let _ = sys::kill(-self.pid, grace_signal);
            let _ = sys::kill(-self.pid, SIGCONT);
            self.warned = true;
            self.deadline = Some(now.saturating_add(grace_ns));
        }
        if let Some(how) = self.watch.look(now, place.census.as_ref()) {
            self.end((how, 0), None, namespaces);
        }
    }

    fn obey(&mut self, request: &Request<'_>, descriptor: Option<Fd>, namespaces: u64) -> Result<()> {
        match *request {
            Request::Signal { id, signal } if id == self.id => {
                if self.over.is_none() {
                    let _ = sys::kill(self.pid, signal);
                }
            }
            Request::Kill { id, how } if id == self.id => {
                self.end((how, 0), None, namespaces);
                self.relays.iter_mut().flatten().for_each(Relay::abandon);
            }
            Request::Limit { id, limits } if id == self.id => {
                if !self.warned {
                    self.deadline = after(self.started, limits.wall_ns);
                }
                self.limits = limits;
                self.watch.set(limits);
            }
            Request::Stop { id, on } if id == self.id && self.over.is_none() => {
                let signal = if on { SIGSTOP } else { SIGCONT };
                reap::signal_everything(namespaces, signal);
            }
            Request::Frozen { id } if id == self.id => self.thaw = descriptor,
            Request::Signal { .. }
            | Request::Kill { .. }
            | Request::Limit { .. }
            | Request::Stop { .. }
            | Request::Frozen { .. } => {}
            _ => return Err(Errno::EPROTO),
        }
        Ok(())
    }

    /// The command has ended, or is to: `status` is what its first process left, if that has been reaped.
    fn end(&mut self, how: (u32, i32), status: Option<i32>, namespaces: u64) {
        const PATIENCE: u64 = 250_000_000;
        if self.over.is_some() {
            return;
        }
        let killed = reap::end_everything(namespaces, self.pid, self.thaw.as_ref());
        let by_itself = status.is_some() && !self.warned;
        let how = if status.is_some() && self.warned { (end::WALL_TIME, 0) } else { how };
        let now = sys::now();
        let patience = if by_itself { None } else { Some(now + PATIENCE) };
        self.over = Some(Over { how, status: status.or(killed), wall_ns: now - self.started, patience });
        self.relays.iter_mut().flatten().for_each(Relay::finish);
        self.thaw = None;
    }

    // ---- the end

    fn is_over(&self) -> bool {
        self.over.is_some() && self.relays.iter().flatten().all(Relay::is_done)
    }

    fn report(&self, control: &Control, place: &Place) -> Result<()> {
        let Some(Over { how: (how, value), status, wall_ns, .. }) = self.over else { return Ok(()) };
        let usage = self.watch.complete(reap::usage(wall_ns));
        let scratch = place.scratch.full();
        let bit = |condition: bool, bit: u32| if condition { bit } else { 0 };
        let seen = bit(status.is_some(), seen::STATUS)
            | bit(scratch.is_some(), seen::SCRATCH)
            | bit(self.watch.processes_at_limit(), seen::PROCESSES)
            | bit(self.relays[0].is_some(), seen::STREAMS);
        let passed = |relay: &Option<Relay>| relay.as_ref().map_or(0, |relay| relay.passed);
        let report = Report::Ended {
            id: self.id,
            how,
            value,
            status: status.unwrap_or(0),
            seen,
            scratch: scratch.unwrap_or(0),
            first_bytes: passed(&self.relays[0]),
            second_bytes: passed(&self.relays[1]),
            usage,
        };
        control.report(&report, &[])
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
