//! What the commands of one sandbox have in common: where they run, and what all of a cell may use
//! together.

use crate::census::Census;
use crate::command::Running;
use crate::reap;
use crate::setup::Place;
use crate::sys::{self, Fd, SIGKILL};
use crate::watch::{self, Watch};
use crate::wire::message::{Limits, end};
use crate::wire::plan::namespace;

/// Whoever has entered from outside has a warden of its own, which looks as often and knows what to
/// call an end: that one is first.
const PATIENCE: u64 = 50_000_000;
/// So long is one process that is no command's ended after the other.
const EXHAUSTED: u64 = 20 * PATIENCE;

pub struct House<'a> {
    pub place: &'a Place,
    pub namespaces: u64,
    /// All has been frozen in a way that lets nobody die: the file that undoes it.
    pub thaw: Option<Fd>,
    /// Of a cell, where no kernel mechanism holds what all may use.
    watch: Option<Watch>,
    /// Until then, who is no command's and has too much may still be ended by somebody else.
    patience: Option<u64>,
}

impl<'a> House<'a> {
    pub fn new(place: &'a Place, namespaces: u64) -> House<'a> {
        House { place, namespaces, thaw: None, watch: None, patience: None }
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
    pub fn limit(&mut self, limits: Limits, kind: u32, file: Option<Fd>) {
        match &mut self.watch {
            Some(watch) => watch.set(limits),
            None => self.watch = Some(Watch::new(file, kind, limits, None)),
        }
    }

    /// A command has been started.
    pub fn rouse(&mut self) {
        self.watch.iter_mut().for_each(Watch::begin_anew);
    }

    /// Nanoseconds until the next look, if there is to be one. Who is being ended may still be what
    /// is too much.
    pub fn remaining(&self, now: u64, commands: &[Running]) -> Option<u64> {
        let ending = commands.iter().any(Running::is_doomed);
        self.watch.as_ref().filter(|_| !ending)?.remaining(now)
    }

    /// Looks, if it is time to, and ends who is to be ended for all: whoever has the most; of
    /// processor time, which is gone for everybody, all.
    pub fn hold_together(&mut self, commands: &mut [Running]) {
        let now = sys::now();
        if self.remaining(now, commands) != Some(0) {
            return;
        }
        let (census, Some(watch)) = (self.place.census.as_ref(), &mut self.watch) else { return };
        let Some(how) = watch.look(now, census) else {
            self.patience = None;
            if watch.processes_at_limit() {
                commands.iter_mut().for_each(Running::crowd);
            }
            if census.is_some_and(Census::is_empty) {
                watch.rest();
            }
            return;
        };
        watch.pause();
        match census.filter(|_| how != end::CPU_TIME) {
            Some(census) => self.end_who_has_most(how, census, commands, now),
            None => self.end_all(how, commands),
        }
    }

    fn end_who_has_most(&mut self, how: u32, census: &Census, commands: &mut [Running], now: u64) {
        // What commands have left behind, and who has entered.
        let is_nobodys = |pid: u32| {
            !commands
                .iter()
                .any(|command| command.is_running() && census.belongs(pid, command.root()))
        };
        let nobodys = if how == end::MEMORY { watch::heaviest(census, &is_nobodys) } else { None };
        let running = commands.iter_mut().filter(|command| command.is_running());
        let most = running
            .map(|command| (watch::burden(how, census, command.root()), command))
            .max_by_key(|(burden, _)| *burden);
        // Who is just ending had the memory when it was looked at first, and has it no more.
        if how == end::MEMORY && !self.watch.as_ref().is_some_and(|watch| watch.is_too_much(census))
        {
            return;
        }
        match (nobodys, most) {
            (Some((bytes, pid)), most)
                if most.as_ref().is_none_or(|(burden, _)| bytes > *burden)
                    && !self.is_exhausted(now) =>
            {
                match self.patience {
                    None => self.patience = Some(now.saturating_add(PATIENCE)),
                    Some(until) if until <= now => drop(sys::kill(pid as i32, SIGKILL)),
                    Some(_) => {}
                }
            }
            (_, Some((_, command))) => command.end((how, end::TOGETHER), self),
            (_, None) => self.end_all(how, commands),
        }
    }

    /// Whether one of nobody's after the other has not been enough.
    fn is_exhausted(&self, now: u64) -> bool {
        self.patience.is_some_and(|until| until.saturating_add(EXHAUSTED) <= now)
    }

    /// Every command, and whoever else is there.
    fn end_all(&self, how: u32, commands: &mut [Running]) {
        commands.iter_mut().for_each(|command| command.end((how, end::TOGETHER), self));
        reap::signal_everything(self.namespaces, SIGKILL);
        self.thaw();
    }

    /// Whether there are now, with one that has just ended, as many processes as there may be.
    pub fn was_full(&mut self) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        watch.look_back(self.place.census.as_ref());
        watch.processes_at_limit()
    }
}
