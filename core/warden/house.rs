//! What the commands of one sandbox have in common: where they run, and what all of a cell may use together.

use crate::census::Census;
use crate::command::Running;
use crate::reap;
use crate::setup::Place;
use crate::sys::{self, Fd, SIGKILL};
use crate::watch::{self, Watch};
use crate::wire::message::{Limits, end, meter};
use crate::wire::plan::namespace;

pub struct House<'a> {
    pub place: &'a Place,
    pub namespaces: u64,
    /// All has been frozen in a way that lets nobody die: the file that undoes it.
    pub thaw: Option<Fd>,
    /// Of a cell, where no kernel mechanism holds what all may use.
    watch: Option<Watch>,
}

impl<'a> House<'a> {
    pub fn new(place: &'a Place, namespaces: u64) -> House<'a> {
        House { place, namespaces, thaw: None, watch: None }
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

    /// From now on, these limits. `file` is what `kind` says.
    pub fn limit(&mut self, limits: Limits, kind: u32, file: Option<Fd>) {
        match &mut self.watch {
            Some(watch) if kind == meter::NONE => watch.set(limits),
            _ => self.watch = Some(Watch::new(file, kind, limits, None)),
        }
    }

    /// A command has been started.
    pub fn rouse(&mut self) {
        self.watch.iter_mut().for_each(Watch::begin_anew);
    }

    /// Nanoseconds until the next look, if there is to be one. Who is being ended may still be what is too much.
    pub fn remaining(&self, now: u64, commands: &[Running]) -> Option<u64> {
        let ending = commands.iter().any(Running::is_doomed);
        self.watch.as_ref().filter(|_| !ending)?.remaining(now)
    }

    /// Looks, if it is time to, and ends who is to be ended for all: whoever has the most; of processor time, which is gone for everybody, all.
    pub fn hold_together(&mut self, commands: &mut [Running]) {
        let now = sys::now();
        if self.remaining(now, commands) != Some(0) {
            return;
        }
        let (census, Some(watch)) = (self.place.census.as_ref(), &mut self.watch) else { return };
        let Some(how) = watch.look(now, census) else {
            if watch.processes_at_limit() {
                commands.iter_mut().for_each(Running::crowd);
            }
            if census.is_some_and(Census::is_empty) {
                watch.rest();
            }
            return;
        };
        watch.pause();
        let most = census.filter(|_| how != end::CPU_TIME).and_then(|census| {
            let running = commands.iter_mut().filter(|command| command.is_running());
            running.max_by_key(|command| watch::burden(how, census, command.root()))
        });
        match most {
            Some(command) => command.end((how, end::TOGETHER), self),
            None => {
                commands.iter_mut().for_each(|command| command.end((how, end::TOGETHER), self));
                // Whoever else is there: what commands have left behind.
                reap::signal_everything(self.namespaces, SIGKILL);
                self.thaw();
            }
        }
    }

    /// Whether there are now, with one that has just ended, as many processes as there may be.
    pub fn was_full(&mut self) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        watch.look_back(self.place.census.as_ref());
        watch.processes_at_limit()
    }
}
