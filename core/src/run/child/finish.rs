//! How a command ends: the warden reports it, or the caller's side sees to it.

use super::Child;
use crate::base::error::{ErrorKind, Result};
use crate::base::sys::Gone;
use crate::host::cgroup::Counters;
use crate::host::socket::{Received, wait_readable};
use crate::policy::outcome::{Ended, Outcome, Usage};
use crate::run::ending::{self, Counted, Held, Verdict};
use crate::run::holder::MARGIN;
use crate::run::usage_so_far;
use std::time::Instant;

impl Child {
    pub(super) fn finish(&mut self, deadline: Option<Instant>) -> Result<Option<Outcome>> {
        let mut silent = 0;
        loop {
            if let Some(outcome) = &self.outcome {
                return outcome.clone().map(Some);
            }
            let now = Instant::now();
            let look = [now.checked_add(MARGIN), self.next_look()].into_iter().flatten().min();
            let until = deadline.into_iter().chain(look).min();
            let received = match self.alive.warden.receive_over(self.socket(), until) {
                Ok(None) => {
                    silent = if self.is_silent()? { silent + 1 } else { 0 };
                    self.hold(silent > 1)?;
                    if self.outcome.is_none()
                        && deadline.is_some_and(|deadline| deadline <= Instant::now())
                    {
                        return Ok(None);
                    }
                    continue;
                }
                Ok(Some(received)) => Ok(received),
                Err(error) => Err(error),
            };
            self.conclude(received);
        }
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        let cell = self
            .cell
            .as_ref()
            .and_then(|cell| cell.next(&self.alive.sandbox.policy().limits, None));
        [self.holder.next(&self.limits, self.wall_time), cell].into_iter().flatten().min()
    }

    /// Whether its first process has ended, and its warden is stopped and so cannot tell. Where the
    /// caller's `/proc` tells nothing of it, a warden that has no output to pass on should have
    /// told.
    fn is_silent(&self) -> Result<bool> {
        let Some(process) = self.process.get() else { return Ok(false) };
        let ended = wait_readable(&[process], Some(Instant::now()))?.is_some();
        Ok(ended && self.alive.warden.is_stopped().unwrap_or(self.limits.output.is_none()))
    }

    /// Ends it if it is to have ended by now and its warden has not seen to that, or `silent`ly
    /// knows no more.
    pub(crate) fn hold(&mut self, silent: bool) -> Result<()> {
        if self.outcome.is_some() {
            return Ok(());
        }
        let mut holder = self.holder;
        let overdue = holder.overdue(&self.limits, self.wall_time, || {
            self.used_so_far().ok().map(|usage| usage.cpu())
        });
        let overdue = overdue.or_else(|| {
            let whole = &self.alive.sandbox.policy().limits;
            let all = || {
                usage_so_far::of(
                    &self.alive.processes().ok()?,
                    None,
                    self.alive.started(),
                    &self.alive.counters(),
                )
                .ok()
            };
            self.cell.as_mut()?.overdue(whole, None, || all().map(|usage| usage.cpu()))
        });
        self.holder = holder;
        let lost = silent.then(|| self.holder.asked().unwrap_or(Ended::WardenLost(0)));
        let Some(ended) = overdue.or(lost) else { return Ok(()) };
        let seen = self.used_so_far().unwrap_or(Usage::NONE);
        // A report may have come meanwhile: it is the better answer. It is looked for last, because
        // a warden that has ended since is seen to use nothing, and has reported before it
        // ended.
        if !self.alive.warden.has_report(self.socket()) {
            self.force(ended, &seen);
        }
        Ok(())
    }

    /// Ends it, and all that is in its sandbox or cell, without the warden.
    /// `seen`: what it had used just before.
    fn force(&mut self, ended: Ended, seen: &Usage) {
        let gone = self.alive.force();
        let wall = self.started.elapsed();
        let (own, whole) = self.counters();
        let counters = Counted { own: own.as_ref().unwrap_or(&whole), whole: &whole };
        let end = ending::forced(ended, seen, gone, wall, &counters, &self.held(false));
        self.settle(Ok(end));
    }

    /// What has been counted of it alone, if it is one among others, and of all while it ran.
    fn counters(&self) -> (Option<Counters>, Counters) {
        let all = self.alive.counters();
        match &self.among {
            // What happened while no other command ran in the cell happened to this one.
            Some(among) => (Some(among.within.cgroup.counters()), all.since(&among.before)),
            None => (None, all),
        }
    }

    fn held(&self, in_company: bool) -> Held<'_> {
        let whole = self.among.as_ref().map(|_| &self.alive.sandbox.policy().limits);
        Held {
            limits: &self.limits,
            whole: whole.unwrap_or(&self.limits),
            wall_time: self.wall_time,
            overflow: self.overflow,
            in_company,
        }
    }

    /// The warden has reported, or is no more.
    fn conclude(&mut self, received: Result<Received>) {
        let wall = self.started.elapsed();
        if !self.is_among() {
            // A process that is frozen by a cgroup of version 1 does not die.
            let _ = self.alive.enforcement().cgroup.thaw();
        }
        // While the warden is in it: systemd removes a scope, and what has been counted there, with
        // the last process.
        let (own, whole) = self.counters();
        let (gone, in_company) = match &self.among {
            Some(among) => (Gone::default(), !among.visit.was_alone()),
            None => match self.lease.as_mut().filter(|_| received.is_ok()) {
                Some(lease) => {
                    lease.leave();
                    (Gone::default(), false)
                }
                None => (self.alive.end(), false),
            },
        };
        let held = self.held(in_company);
        let counters = Counted { own: own.as_ref().unwrap_or(&whole), whole: &whole };
        let end = match received {
            Ok(received) => {
                received.report().and_then(|report| ending::reported(&report, &counters, &held))
            }
            Err(error) if error.kind() == ErrorKind::WardenLost => {
                let (ended, status, limit, usage) = ending::lost(gone, wall, &counters, &held);
                // Its cell has been closed, or reset.
                Ok((
                    if self.alive.is_closed() { Ended::Killed } else { ended },
                    status,
                    limit,
                    usage,
                ))
            }
            Err(error) => Err(error),
        };
        self.settle(end);
    }

    fn settle(&mut self, end: Result<Verdict>) {
        let (enforced, by_caller) = (self.enforced, self.alive.was_forced());
        let outcome = end.map(|(ended, status, limit, usage)| Outcome {
            ended,
            status,
            limit,
            usage,
            enforced,
            by_caller,
        });
        if let Some(among) = &mut self.among {
            among.visit.end();
        }
        self.outcome = Some(outcome);
        self.lease = None;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.forget_lost();
        // Before its pipes are closed: a command can keep that waiting, for as long as it lives (it
        // splices into one).
        if !self.is_among() && self.outcome.is_none() && self.alive.warden.is_ours() {
            self.alive.close();
        }
        if let Some(socket) = self.socket().filter(|_| self.alive.warden.is_ours()) {
            socket.hang_up();
            // It hears of that, unless it has been stopped.
            if self.outcome.is_none() && self.alive.warden.is_stopped() == Some(true) {
                self.alive.force();
            }
        }
    }
}
