//! A sandbox that is alive: its warden has been started, and waits for commands or runs them. What
//! a one-shot run, a cell and a pool have in common.

mod files;
mod freeze;
mod gate;
mod visit;

pub use freeze::Freezer;
pub use gate::Beginning;
pub use visit::Visit;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes::{self, Process};
use crate::base::sys::Gone;
use crate::host::cgroup::Counters;
use crate::host::enforce::Enforcement;
use crate::plan::idmap::{self, Mapping};
use crate::plan::{Manner, Part, Plan};
use crate::policy::outcome::Enforced;
use crate::policy::seccomp::Filters;
use crate::policy::{Limit, Limits, Namespace};
use crate::run::failure;
use crate::run::ground::Existing;
use crate::run::sandbox::Sandbox;
use crate::run::template;
use crate::run::warden::Warden;
use crate::wire::message::{self, Report, Request};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What it is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One command, which is already known.
    Run,
    /// One command, which is still to come.
    Wait,
    /// Many commands, which the warden must tell apart.
    Cell,
}

/// A sandbox whose warden has been started.
pub struct Alive {
    pub sandbox: Sandbox,
    // Ended, when this is dropped, before its cgroups are removed.
    pub warden: Warden,
    enforcement: Mutex<Enforcement>,
    pub plan: Arc<Plan>,
    pub filters: Arc<Filters>,
    /// Who its commands are outside, where that is not the caller.
    pub owner: Option<(u32, u32)>,
    pub purpose: Purpose,
    started: Instant,
    company: Mutex<visit::Company>,
    gate: gate::Gate,
    closed: AtomicBool,
    forced: AtomicBool,
}

impl Alive {
    /// Starts one: a copy of the policy's template if that has been prepared. It is still being set
    /// up when this returns.
    pub fn start(sandbox: &Sandbox, purpose: Purpose) -> Result<Alive> {
        Alive::start_in(sandbox, purpose, None)
    }

    /// The same in namespaces that exist.
    pub fn start_in(
        sandbox: &Sandbox,
        purpose: Purpose,
        existing: Option<&Existing>,
    ) -> Result<Alive> {
        let policy = sandbox.policy();
        policy.check()?;
        let entered = existing.is_some_and(|existing| existing.cell.is_some());
        // What a template has made stands in namespaces of its own, and in no others.
        let mut template = if existing.is_some() { None } else { template::of(sandbox)? };
        let mut without_scope = None;
        // So often another template takes the place of one that was lost at the very moment: more
        // often is no accident.
        let mut others = 3;
        loop {
            let mapping = match &template {
                Some(template) => template.mapping,
                None if entered && policy.private(Namespace::User) => Mapping::Joined,
                None => Mapping::choose(policy)?,
            };
            let cell = existing.and_then(|existing| existing.cell.as_ref());
            let mut enforcement = match cell {
                Some(cell) => Enforcement::entered(cell),
                None => {
                    Enforcement::prepare(policy, without_scope.as_ref(), purpose == Purpose::Cell)?
                }
            };
            let among = purpose == Purpose::Cell;
            let watches = among || enforcement.watches(&policy.limits);
            let (part, admits) = match &template {
                Some(_) => (Part::Copy, enforcement.doors()?.is_none()),
                None => {
                    (if cell.is_some() { Part::Entered } else { Part::Whole }, enforcement.admits())
                }
            };
            let plan = sandbox
                .compiled()
                .plan(policy, Manner { part, mapping, admits, watches, among })?;
            let tell = purpose != Purpose::Run;
            #[cfg(feature = "stage-clock")]
            crate::host::stage_clock::follow(&plan);
            let started = match &template {
                Some(template) => Warden::copy(template, sandbox, &plan, &mut enforcement, tell),
                None => Warden::start(
                    sandbox,
                    &plan,
                    &mut enforcement,
                    tell,
                    existing.map(|existing| &*existing.namespaces),
                ),
            };
            match started {
                Ok(warden) => {
                    let owner = mapping.owner(policy, warden.pid())?;
                    return Ok(Alive {
                        sandbox: sandbox.clone(),
                        warden,
                        enforcement: Mutex::new(enforcement),
                        filters: sandbox.compiled().filters(policy, plan.manner.tree(policy))?,
                        plan,
                        owner,
                        purpose,
                        started: Instant::now(),
                        company: Mutex::default(),
                        gate: gate::Gate::default(),
                        closed: AtomicBool::new(false),
                        forced: AtomicBool::new(false),
                    });
                }
                // Then without one, but not because the caller was short of something at that
                // moment.
                Err(error) if enforcement.scope_failed && error.kind() != ErrorKind::HostLimit => {
                    without_scope = Some(error)
                }
                // Then from another one.
                Err(error) => match &template {
                    Some(lost)
                        if others > 0
                            && error.kind() == ErrorKind::WardenLost
                            && lost.is_dying() =>
                    {
                        others -= 1;
                        template = template::of(sandbox)?;
                    }
                    _ => {
                        let counters = enforcement.cgroup.counters();
                        return Err(failure::under_memory_limit(
                            error,
                            policy.limits.memory,
                            &counters,
                        ));
                    }
                },
            }
        }
    }

    /// Waits until it has been set up. Of one that has been started to wait, or for many; once.
    pub fn ready(&self) -> Result<Enforced> {
        match Alive::await_ready(&self.warden, &self.plan) {
            Ok((protections, landlock)) => {
                if self.purpose == Purpose::Cell {
                    self.hold_together(&self.sandbox.policy().limits)?;
                }
                Ok(self.enforced(protections, landlock, None, None))
            }
            Err(error) => Err(self.under_memory_limit(
                self.give_up(error),
                &self.sandbox.policy().limits,
                None,
            )),
        }
    }

    /// What its warden was to do came to nothing. If that is so because it has been stopped, all
    /// that is inside is ended.
    pub fn give_up(&self, error: Error) -> Error {
        if self.warden.is_stopped() == Some(true) {
            self.force();
        }
        error
    }

    /// Waits for a warden that was asked to tell; what it says of protections and Landlock.
    pub fn await_ready(warden: &Warden, plan: &Plan) -> Result<(u64, u32)> {
        let received = warden.await_report(None, "set up the sandbox")?;
        match received.report()? {
            Report::Ready { protections, landlock } => Ok((protections, landlock)),
            report => Err(failure::of_refusal(&report, plan)),
        }
    }

    /// What is enforced, as the warden reports it and as the caller knows it. `within`: what holds
    /// one command of many.
    pub fn enforced(
        &self,
        protections: u64,
        landlock: u32,
        within: Option<&Enforcement>,
        wall_time: Option<Duration>,
    ) -> Enforced {
        let (policy, enforcement) = (self.sandbox.policy(), self.enforcement());
        let protections =
            protections | enforcement.protections(policy) | idmap::protections(self.owner);
        Enforced::new(
            policy.flags(),
            protections,
            landlock,
            enforcement.mechanisms(within, wall_time),
        )
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    pub fn enforcement(&self) -> MutexGuard<'_, Enforcement> {
        self.enforcement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counters(&self) -> Counters {
        self.enforcement().cgroup.counters()
    }

    /// The same error, unless the limit on memory is the cause of it. `limits`: those of one
    /// command, if it has any of its own; `before`: what had been counted before that one.
    pub fn under_memory_limit(
        &self,
        error: Error,
        limits: &Limits,
        before: Option<&Counters>,
    ) -> Error {
        let counters = self.counters();
        let counters = before.map_or(counters.clone(), |before| counters.since(before));
        failure::under_memory_limit(
            error,
            limits.memory.or(self.sandbox.policy().limits.memory),
            &counters,
        )
    }

    /// Every process inside, the warden first; none once it has ended.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let list = processes::below(self.warden.pid())?;
        // The warden's number means the warden only while it has not been reaped, by us or by the
        // caller's own loop.
        Ok(if self.warden.is_alive()? { list } else { Vec::new() })
    }

    /// Other limits from now on: those that a cgroup holds are set there. `limit` is the one that
    /// has changed.
    pub fn change(&self, limit: Limit, limits: &Limits) -> Result<()> {
        limits.check()?;
        self.enforcement().change(limit, limits)
    }

    /// Has a cell's warden hold all commands together to what no kernel mechanism holds, from now
    /// on.
    pub fn hold_together(&self, limits: &Limits) -> Result<()> {
        let (limits, (meter, file)) = {
            let enforcement = self.enforcement();
            (enforcement.together(limits), enforcement.meter()?)
        };
        if limits == message::Limits::default() {
            return Ok(());
        }
        self.ask(None, &Request::Limit { limits, meter }, file.as_ref().map(AsFd::as_fd).as_slice())
    }

    /// Lets the warden go and waits until it is gone, and everything inside and its cgroups with
    /// it.
    pub fn end(&self) -> Gone {
        let gone = self.warden.end();
        self.enforcement().cgroup = Default::default();
        gone
    }

    /// Ends everything inside without the warden, which has not done so.
    pub fn force(&self) -> Gone {
        self.forced.store(true, Ordering::Release);
        let _ = self.enforcement().cgroup.thaw();
        self.enforcement().cgroup.kill();
        self.warden.force()
    }

    /// Whether the caller's side has had to end it.
    pub fn was_forced(&self) -> bool {
        self.forced.load(Ordering::Acquire)
    }

    /// Ends everything inside, for good.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if self.warden.is_ours() {
            let _ = self.enforcement().cgroup.thaw();
            self.warden.kill();
            self.enforcement().cgroup = Default::default();
        }
    }

    /// Whether the caller has ended it.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // Who is frozen by a cgroup of version 1 does not die.
        if self.warden.is_ours() {
            let _ = self.enforcement().cgroup.thaw();
        }
    }
}

impl std::fmt::Debug for Alive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alive")
            .field("warden", &self.warden)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}
