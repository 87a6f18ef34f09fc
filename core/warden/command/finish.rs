//! The end of a command: the limits that end it, how it is killed, and what is reported of it.

use super::{CHECK_INTERVAL, DRAIN_TIMEOUT, Running};
use crate::reap;
use crate::relay::Relay;
use crate::setup::FinishedSetup;
use crate::state::WardenState;
use crate::sys::{self, RawUsage, Result, SIGCONT};
use crate::wire::message::{Limits, Report, end, seen};

/// The result of a command that has ended, while the rest of its output is forwarded.
pub struct CommandEnd {
    pub how: (u32, i32),
    pub status: Option<i32>,
    pub wall_ns: u64,
    pub drain_deadline: Option<u64>,
    /// Resource usage of a command in a cell: of its first process and of the children that this
    /// process waited for.
    pub usage: Option<RawUsage>,
}

fn how_it_ended(status: i32) -> (u32, i32) {
    match status & 0x7f {
        0 => (end::EXITED, status >> 8 & 0xff),
        signal => (end::SIGNALED, signal),
    }
}

impl Running {
    pub(super) fn enforce_limits(&mut self, state: &WardenState<'_>) {
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
                self.kill((end::WALL_TIME, 0), state);
                return;
            }
            // The command leads a session, and so a process group with its process id. SIGCONT
            // follows because a stopped process does not receive the signal.
            let _ = sys::kill(-self.pid, grace_signal);
            let _ = sys::kill(-self.pid, SIGCONT);
            self.warned = true;
            self.deadline = Some(now.saturating_add(grace_ns));
        }
        if let Some(how) = self.watch.check(now, state.setup.scan.as_ref()) {
            self.kill((how, 0), state);
        }
    }

    /// Handles the end of the first process, which has just been reaped.
    pub fn reaped(
        &mut self,
        status: i32,
        usage: RawUsage,
        state: &mut WardenState<'_>,
    ) -> Result<()> {
        // By now it is known whether the program was executed, and that report goes first.
        self.report_start(state)?;
        if self.failed {
            return Ok(());
        }
        (self.process, self.held_back) = (None, false);
        self.status = Some(status);
        let by_itself = if self.warned { (end::WALL_TIME, 0) } else { how_it_ended(status) };
        if !self.is_in_cell() {
            // Everything else inside ends with the only command.
            self.kill(by_itself, state);
            return Ok(());
        }
        let how = self.killed.unwrap_or(by_itself);
        let drain_deadline =
            if self.killed.is_some() { Some(sys::now() + DRAIN_TIMEOUT) } else { None };
        self.conclude(how, drain_deadline, Some(usage));
        self.relays.iter_mut().flatten().for_each(Relay::limit_to_pending);
        Ok(())
    }

    /// Concludes a killed command, because the warden has no child left.
    pub fn no_child_left(&mut self) {
        if let (Some(how), false, None) = (self.killed, self.is_in_cell(), &self.ended) {
            let by_itself = matches!(how.0, end::EXITED | end::SIGNALED);
            let drain_deadline = if by_itself { None } else { Some(sys::now() + DRAIN_TIMEOUT) };
            self.conclude(how, drain_deadline, None);
            self.relays.iter_mut().flatten().for_each(Relay::finish);
        }
    }

    pub(super) fn conclude(
        &mut self,
        how: (u32, i32),
        drain_deadline: Option<u64>,
        usage: Option<RawUsage>,
    ) {
        self.ended = Some(CommandEnd {
            how,
            status: self.status,
            wall_ns: sys::now() - self.started,
            drain_deadline,
            usage,
        });
    }

    /// Kills the command. `how` becomes the reported end.
    pub fn kill(&mut self, how: (u32, i32), state: &WardenState<'_>) {
        if self.ended.is_some() || self.killed.is_some() || self.failed {
            return;
        }
        self.killed = Some(how);
        // The usage of a process is lost if its parent dies before it waits. Orphans whose parent
        // is the warden are not lost.
        let loses_usage = self.is_in_cell() || state.setup.first.is_some();
        if let Some(scan) = state.setup.scan.as_ref().filter(|_| loses_usage) {
            self.watch.record_cpu_time(scan);
        }
        self.kill_rest(state);
    }

    /// Kills what is left, if it is time to.
    ///
    /// For the only command, that is everything inside. For a killed command in a cell, it is its
    /// process tree. For one in a cell that has ended by itself, it is only the tracer that holds
    /// its end back.
    pub(super) fn kill_rest(&mut self, state: &WardenState<'_>) {
        let now = sys::now();
        if now < self.next_check {
            return;
        }
        let first = self.next_check == 0;
        self.next_check = now + CHECK_INTERVAL;
        match &state.setup.scan {
            _ if !self.is_in_cell() && first => {
                reap::signal_everything(state.namespaces, sys::SIGKILL)
            }
            _ if !self.is_in_cell() => reap::kill_survivors(state.namespaces),
            _ if self.killed.is_none() => {}
            Some(scan) => reap::kill_tree(scan, self.pid),
            None => drop(
                sys::kill(-self.pid, sys::SIGKILL).or_else(|_| sys::kill(self.pid, sys::SIGKILL)),
            ),
        }
        if self.held_back {
            reap::kill_tracer(state.setup.scan.as_ref(), self.pid);
        }
        state.thaw();
    }

    pub fn is_finished(&self) -> bool {
        self.failed || self.ended.is_some() && self.relays.iter().flatten().all(Relay::is_done)
    }

    pub fn report(&self, setup: &FinishedSetup) -> Result<()> {
        let Some(CommandEnd { how: (how, value), status, wall_ns, usage, .. }) =
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
        let scratch = setup.scratch.full();
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
