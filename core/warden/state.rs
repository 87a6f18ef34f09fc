//! What all commands of one sandbox share: the finished set-up, and the limits of a cell.

use crate::command::Running;
use crate::gate::Gate;
use crate::reap;
use crate::scan::ProcessScan;
use crate::setup::FinishedSetup;
use crate::sys::{self, Fd, SIGKILL, Table};
use crate::watch::{self, Watch};
use crate::wire::message::{Limits, end};
use crate::wire::plan::namespace;

/// How long a stray process may keep too much memory before this warden kills it.
///
/// A stray belongs to no command of this warden: a command left it behind, or it entered from
/// outside. A process that entered has a warden of its own, which checks as often and can report
/// the right end. That warden goes first.
const STRAY_GRACE: u64 = 50_000_000;
/// How long the warden kills strays one at a time before it kills commands too.
const STRAY_KILLS: u64 = 20 * STRAY_GRACE;

pub struct WardenState<'a> {
    pub setup: &'a FinishedSetup,
    pub namespaces: u64,
    /// The `freezer.state` file of a frozen cgroup v1, by which the warden thaws what it has
    /// killed.
    pub thaw: Option<Fd>,
    /// The gates of commands, also of those that have left processes behind.
    pub gates: Table<Gate>,
    /// The usage of a whole cell, where no kernel mechanism enforces its limits.
    watch: Option<Watch>,
    /// When the grace of strays ends; `None` while no stray has too much.
    strays_until: Option<u64>,
}

impl<'a> WardenState<'a> {
    pub fn new(setup: &'a FinishedSetup, namespaces: u64) -> WardenState<'a> {
        let gates = Table::new();
        WardenState { setup, namespaces, thaw: None, gates, watch: None, strays_until: None }
    }

    /// Whether the sandbox has a pid namespace of its own.
    pub fn own_tree(&self) -> bool {
        self.namespaces & namespace::PID != 0
    }

    /// Thaws frozen processes. A process frozen by cgroup v1 does not die of SIGKILL.
    pub fn thaw(&self) {
        if let Some(thaw) = &self.thaw {
            let _ = sys::write(thaw, b"THAWED");
        }
    }

    // ---- the limits of a cell

    /// Sets the limits of the cell. The first call also sets the meter: `file` is of the kind
    /// `kind`. Usage since the first call keeps counting.
    pub fn set_limits(&mut self, limits: Limits, kind: u32, file: Option<Fd>) {
        match &mut self.watch {
            Some(watch) => watch.set(limits),
            None => self.watch = Some(Watch::new(file, kind, limits, None)),
        }
    }

    /// Starts new checks, because a command has started.
    pub fn command_started(&mut self) {
        self.watch.iter_mut().for_each(Watch::restart);
    }

    /// Nanoseconds until the next check; `None` for none. There is none while a killed command is
    /// not reaped yet: its processes may be what exceeds a limit.
    pub fn remaining(&self, now: u64, commands: &[Running]) -> Option<u64> {
        let ending = commands.iter().any(Running::is_killed);
        self.watch.as_ref().filter(|_| !ending)?.remaining(now)
    }

    /// Checks the limits of the cell if it is time to, and kills what exceeds them.
    ///
    /// For memory and processes, that is the command or stray with the most. Processor time is used
    /// up for all, so everything is killed.
    pub fn enforce_limits(&mut self, commands: &mut [Running]) {
        let now = sys::now();
        if self.remaining(now, commands) != Some(0) {
            return;
        }
        let (scan, Some(watch)) = (self.setup.scan.as_ref(), &mut self.watch) else { return };
        let Some(how) = watch.check(now, scan) else {
            self.strays_until = None;
            if watch.processes_at_limit() {
                commands.iter_mut().for_each(Running::set_at_process_limit);
            }
            if scan.is_some_and(ProcessScan::is_empty) {
                watch.stop();
            }
            return;
        };
        watch.postpone();
        match scan.filter(|_| how != end::CPU_TIME) {
            Some(scan) => self.kill_largest(how, scan, commands, now),
            None => self.kill_all((how, end::TOGETHER), commands),
        }
    }

    fn kill_largest(&mut self, how: u32, scan: &ProcessScan, commands: &mut [Running], now: u64) {
        // Processes that a command has left behind, and processes that entered from outside.
        let is_stray = |pid: u32| {
            !commands
                .iter()
                .any(|command| command.is_running() && scan.belongs(pid, command.root()))
        };
        let stray = if how == end::MEMORY { watch::largest_process(scan, &is_stray) } else { None };
        let running = commands.iter_mut().filter(|command| command.is_running());
        let largest = running
            .map(|command| (watch::share(how, scan, command.root()), command))
            .max_by_key(|(share, _)| *share);
        // A process that is just ending may have freed its memory since the first sum.
        if how == end::MEMORY
            && !self.watch.as_ref().is_some_and(|watch| watch.exceeds_memory(scan))
        {
            return;
        }
        match (stray, largest) {
            (Some((bytes, pid)), largest)
                if largest.as_ref().is_none_or(|(share, _)| bytes > *share)
                    && !self.strays_exhausted(now) =>
            {
                match self.strays_until {
                    None => self.strays_until = Some(now.saturating_add(STRAY_GRACE)),
                    Some(until) if until <= now => drop(sys::kill(pid as i32, SIGKILL)),
                    Some(_) => {}
                }
            }
            (_, Some((_, command))) => command.kill((how, end::TOGETHER), self),
            (_, None) => self.kill_all((how, end::TOGETHER), commands),
        }
    }

    /// Whether the warden has killed strays for long enough and still finds too much.
    fn strays_exhausted(&self, now: u64) -> bool {
        self.strays_until.is_some_and(|until| until.saturating_add(STRAY_KILLS) <= now)
    }

    /// Kills every command and every other process inside.
    pub fn kill_all(&mut self, how: (u32, i32), commands: &mut [Running]) {
        self.gates.iter_mut().for_each(Gate::close);
        commands.iter_mut().for_each(|command| command.kill(how, self));
        reap::signal_everything(self.namespaces, SIGKILL);
        self.thaw();
    }

    /// Counts the processes of the cell and of each command, before those that have ended are
    /// reaped.
    pub fn count_unreaped(&mut self, commands: &mut [Running]) {
        let scan = self.setup.scan.as_ref();
        if let Some(watch) = &mut self.watch {
            watch.count_unreaped(scan);
            if watch.processes_at_limit() {
                commands.iter_mut().for_each(Running::set_at_process_limit);
            }
        }
        commands.iter_mut().for_each(|command| command.count_unreaped(scan));
    }
}
