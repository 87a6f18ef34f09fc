//! How a command ends: the warden reports the end, or the caller's side enforces it.

use super::Child;
use crate::base::error::{ErrorKind, Result};
use crate::host::socket::{Received, wait_readable};
use crate::policy::outcome::{Ended, Outcome, Usage};
use crate::run::current_usage;
use crate::run::ending::{self, CgroupCounts, LimitsInForce, Verdict};
use crate::run::watchdog::MARGIN;
use std::time::Instant;

impl Child {
    /// Waits for the end until `deadline`, or without one for as long as it takes.
    pub(super) fn finish(&mut self, deadline: Option<Instant>) -> Result<Option<Outcome>> {
        // How many times in a row the warden should have reported and has not.
        let mut silent = 0;
        loop {
            if let Some(outcome) = &self.outcome {
                return outcome.clone().map(Some);
            }
            let now = Instant::now();
            let check = [now.checked_add(MARGIN), self.next_check()].into_iter().flatten().min();
            let until = deadline.into_iter().chain(check).min();
            let received = match self.alive.warden.receive_over(self.tenancy.socket(), until) {
                Ok(None) => {
                    silent = if self.warden_is_silent()? { silent + 1 } else { 0 };
                    self.enforce_deadlines(silent > 1)?;
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

    /// When to check the time limits next, those of the cell included.
    pub(super) fn next_check(&self) -> Option<Instant> {
        let cell = self
            .tenancy
            .cell_watchdog()
            .and_then(|cell| cell.next_check(&self.alive.sandbox.policy().limits, None));
        [self.watchdog.next_check(&self.limits, self.wall_time), cell].into_iter().flatten().min()
    }

    /// Whether the command's first process has ended, but its warden has been stopped and so cannot
    /// report. If the caller's `/proc` does not tell whether it has been stopped, a warden without
    /// output to relay counts as silent: it should have reported by now.
    fn warden_is_silent(&self) -> Result<bool> {
        let Some(process) = self.process.get() else { return Ok(false) };
        let ended = wait_readable(&[process], Some(Instant::now()))?.is_some();
        Ok(ended && self.alive.warden.is_stopped().unwrap_or(self.limits.output.is_none()))
    }

    /// Ends the command if it should have ended by now and its warden has not seen to that.
    /// `silent`: the warden will not report any more.
    pub(crate) fn enforce_deadlines(&mut self, silent: bool) -> Result<()> {
        if self.outcome.is_some() {
            return Ok(());
        }
        let mut watchdog = self.watchdog;
        let overdue = watchdog.overdue(&self.limits, self.wall_time, || {
            self.current_usage().ok().map(|usage| usage.cpu())
        });
        let overdue = overdue.or_else(|| {
            let alive = &self.alive;
            let cell_cpu = || {
                let list = alive.processes().ok()?;
                let usage = current_usage::read(&list, None, alive.started(), &alive.counters());
                usage.ok().map(|usage| usage.cpu())
            };
            let limits = &alive.sandbox.policy().limits;
            self.tenancy.cell_watchdog_mut()?.overdue(limits, None, cell_cpu)
        });
        self.watchdog = watchdog;
        let lost = silent.then(|| self.watchdog.asked().unwrap_or(Ended::WardenLost(0)));
        let Some(ended) = overdue.or(lost) else { return Ok(()) };
        let seen = self.current_usage().unwrap_or(Usage::NONE);
        // A report may have come meanwhile, and is more accurate. Look for it last: a warden that
        // has ended shows no usage, but it has sent its report before.
        if !self.alive.warden.has_report(self.tenancy.socket()) {
            self.force(ended, &seen);
        }
        Ok(())
    }

    /// Ends the command and its whole sandbox or cell without the warden. `seen`: what the command
    /// had used just before.
    fn force(&mut self, ended: Ended, seen: &Usage) {
        let gone = self.alive.force();
        let wall = self.started.elapsed();
        let (own, whole) = self.tenancy.counters(&self.alive);
        let counts = CgroupCounts { own: own.as_ref().unwrap_or(&whole), whole: &whole };
        let end = ending::forced(ended, seen, gone, wall, &counts, &self.limits_in_force(false));
        self.settle(Ok(end));
    }

    fn limits_in_force(&self, beside_others: bool) -> LimitsInForce<'_> {
        LimitsInForce {
            own: &self.limits,
            whole: self.tenancy.whole_limits(self.alive.sandbox.policy(), &self.limits),
            wall_time: self.wall_time,
            overflow: self.overflow,
            beside_others,
        }
    }

    /// Works out the outcome: the warden has reported, or is gone.
    fn conclude(&mut self, received: Result<Received>) {
        let wall = self.started.elapsed();
        self.tenancy.thaw_to_end(&self.alive);
        // Read the counters while the warden is still in the cgroup: systemd removes a scope, and
        // its counters, with the last process.
        let (own, whole) = self.tenancy.counters(&self.alive);
        let (gone, beside_others) =
            self.tenancy.conclude(&self.alive, self.lease.as_mut(), received.is_err());
        let limits = self.limits_in_force(beside_others);
        let counts = CgroupCounts { own: own.as_ref().unwrap_or(&whole), whole: &whole };
        let end = match received {
            Ok(received) => {
                received.report().and_then(|report| ending::reported(&report, &counts, &limits))
            }
            Err(error) if error.kind() == ErrorKind::WardenLost => {
                let (ended, status, limit, usage) = ending::lost(gone, wall, &counts, &limits);
                // The caller has closed or reset the cell.
                let ended = if self.alive.is_closed() { Ended::Killed } else { ended };
                Ok((ended, status, limit, usage))
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
            egress: self.alive.egress_if_any(),
        });
        self.tenancy.end();
        self.outcome = Some(outcome);
        if !self.lease.as_ref().is_some_and(|lease| lease.is_kept()) {
            self.lease = None;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.forget_lost();
        // End the command before the pipes are closed: it can keep a close waiting for as long as
        // it lives, by a splice(2) into the pipe.
        self.tenancy.abandon(&self.alive, self.outcome.is_some());
    }
}
