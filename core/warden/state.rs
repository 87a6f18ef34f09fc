//! What the commands of one sandbox have in common: where they run, and what all of a cell may use
//! together.

use crate::command::Running;
use crate::reap;
use crate::scan::ProcessScan;
use crate::setup::Place;
use crate::sys::{self, Fd, SIGKILL};
use crate::watch::{self, Watch};
use crate::wire::message::{Limits, end};
use crate::wire::plan::namespace;

/// Whoever has entered from outside has a warden of its own, which looks as often and knows what to
/// call an end: that one is first.
const STRAY_GRACE: u64 = 50_000_000;
/// So long is one process that is no command's ended after the other.
const STRAY_KILLS: u64 = 20 * STRAY_GRACE;

pub struct WardenState<'a> {
    pub place: &'a Place,
    pub namespaces: u64,
    /// All has been frozen in a way that lets nobody die: the file that undoes it.
    pub thaw: Option<Fd>,
    /// Of a cell, where no kernel mechanism holds what all may use.
    watch: Option<Watch>,
    /// Until then, who is no command's and has too much may still be ended by somebody else.
    strays_until: Option<u64>,
}

impl<'a> WardenState<'a> {
    pub fn new(place: &'a Place, namespaces: u64) -> WardenState<'a> {
        WardenState { place, namespaces, thaw: None, watch: None, strays_until: None }
    }

    /// Whether the kernel counts the processes inside by themselves.
    pub fn own_tree(&self) -> bool {
        self.namespaces & namespace::PID != 0
    }

    /// Lets everything die, if it stands still.
    pub fn thaw(&self) {
        if let Some(thaw) = &self.thaw {
            let _ = sys::write(thaw, b"THAWED");
        }
    }

    // ---- what all may use together

    /// From now on, these limits. `file` is what `kind` says, the first time; what has been used
    /// since then stays used.
    pub fn set_limits(&mut self, limits: Limits, kind: u32, file: Option<Fd>) {
        match &mut self.watch {
            Some(watch) => watch.set(limits),
            None => self.watch = Some(Watch::new(file, kind, limits, None)),
        }
    }

    /// A command has been started.
    pub fn command_started(&mut self) {
        self.watch.iter_mut().for_each(Watch::restart);
    }

    /// Nanoseconds until the next look, if there is to be one. Who is being ended may still be what
    /// is too much.
    pub fn remaining(&self, now: u64, commands: &[Running]) -> Option<u64> {
        let ending = commands.iter().any(Running::is_killed);
        self.watch.as_ref().filter(|_| !ending)?.remaining(now)
    }

    /// Looks, if it is time to, and ends who is to be ended for all: whoever has the largest; of
    /// processor time, which is gone for everybody, all.
    pub fn enforce_limits(&mut self, commands: &mut [Running]) {
        let now = sys::now();
        if self.remaining(now, commands) != Some(0) {
            return;
        }
        let (scan, Some(watch)) = (self.place.scan.as_ref(), &mut self.watch) else { return };
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
            None => self.end_all(how, commands),
        }
    }

    fn kill_largest(&mut self, how: u32, scan: &ProcessScan, commands: &mut [Running], now: u64) {
        // What commands have left behind, and who has entered.
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
        // Who is just ending had the memory when it was looked at first, and has it no more.
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
            (_, Some((_, command))) => command.end((how, end::TOGETHER), self),
            (_, None) => self.end_all(how, commands),
        }
    }

    /// Whether one of nobody's after the other has not been enough.
    fn strays_exhausted(&self, now: u64) -> bool {
        self.strays_until.is_some_and(|until| until.saturating_add(STRAY_KILLS) <= now)
    }

    /// Every command, and whoever else is there.
    fn end_all(&self, how: u32, commands: &mut [Running]) {
        commands.iter_mut().for_each(|command| command.end((how, end::TOGETHER), self));
        reap::signal_everything(self.namespaces, SIGKILL);
        self.thaw();
    }

    /// Whether there are now, with one that has just ended, as many processes as there may be.
    pub fn at_process_limit(&mut self) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        watch.count_remaining(self.place.scan.as_ref());
        watch.processes_at_limit()
    }
}
