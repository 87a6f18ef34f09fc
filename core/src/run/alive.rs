//! A sandbox with a launched warden, which waits for commands or runs them. One-shot runs, cells
//! and pools are all built on it.

mod connections;
mod files;
mod freeze;
mod gate;
mod networks;
mod occupancy;

use connections::Connections;
pub use freeze::Freezer;
pub use gate::StartGuard;
pub use occupancy::Stay;

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
use crate::run::changes::Changes;
use crate::run::egress::Ledger;
use crate::run::failure;
use crate::run::ground::Existing;
use crate::run::sandbox::Sandbox;
use crate::run::template;
use crate::run::warden::Warden;
use crate::wire::message::{self, Report, Request};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a sandbox is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One command, which is known already.
    Run,
    /// One command, which is still to come.
    Wait,
    /// Many commands, which the warden must tell apart.
    Cell,
}

/// What the warden reports when the set-up is complete.
pub struct Ready {
    /// The active protections.
    pub protections: u64,
    /// Landlock's ABI version.
    pub landlock: u32,
    /// What the plan gives the caller: the file inside that it writes to, or namespaces.
    pub descriptors: Vec<OwnedFd>,
}

/// A sandbox with a launched warden.
pub struct Alive {
    pub sandbox: Sandbox,
    // Declared before the cgroups: a drop ends the warden first, and only then are its cgroups
    // empty and can be removed.
    pub warden: Warden,
    enforcement: Mutex<Enforcement>,
    /// What connects it with others. Declared after the warden, so that it ends after it.
    connections: Mutex<Connections>,
    ledger: Option<Arc<Ledger>>,
    /// What its overlays have for themselves. Declared after the warden, too.
    changes: Mutex<Changes>,
    pub plan: Arc<Plan>,
    pub filters: Arc<Filters>,
    /// The user and group of its commands on the host, if they differ from the caller's.
    pub owner: Option<(u32, u32)>,
    pub purpose: Purpose,
    started: Instant,
    occupancy: Mutex<occupancy::Occupancy>,
    gate: gate::Gate,
    closed: AtomicBool,
    forced: AtomicBool,
}

impl Alive {
    /// Starts a sandbox. If the policy has a template, the sandbox is a copy of that. The set-up
    /// may still be going on when this returns: see [`Alive::ready`].
    pub fn start(sandbox: &Sandbox, purpose: Purpose) -> Result<Alive> {
        Alive::start_in(sandbox, purpose, None)
    }

    /// Starts a sandbox in `existing` namespaces, where they are given. Otherwise it may start
    /// without namespaces where the host denies them: [`Sandbox::on_this_host`].
    pub fn start_in(
        sandbox: &Sandbox,
        purpose: Purpose,
        existing: Option<&Existing>,
    ) -> Result<Alive> {
        if existing.is_some() || !sandbox.policy().may_be_confined() {
            return Alive::start_as_is(sandbox, purpose, existing);
        }
        sandbox.policy().check()?;
        Alive::start_as_is(&sandbox.on_this_host()?, purpose, None)
    }

    /// Starts a sandbox as its policy says.
    pub fn start_as_is(
        sandbox: &Sandbox,
        purpose: Purpose,
        existing: Option<&Existing>,
    ) -> Result<Alive> {
        sandbox.policy().check()?;
        if purpose == Purpose::Cell && sandbox.policy().as_pid_1 {
            return Err(Error::invalid("as_pid_1", "several commands run in the sandbox")
                .hint("run one command, or use a pool that does not reuse its sandboxes"));
        }
        let sandbox = &sandbox.with_layers()?;
        let connections = Connections::open(sandbox, None)?;
        Alive::start_connected(sandbox, purpose, existing, connections)
    }

    fn start_connected(
        sandbox: &Sandbox,
        purpose: Purpose,
        existing: Option<&Existing>,
        connections: Connections,
    ) -> Result<Alive> {
        let policy = sandbox.policy();
        let entered = existing.is_some_and(|existing| existing.cell.is_some());
        let changes = if entered { Changes::default() } else { Changes::lock(policy)? };
        let birthplace = connections.birthplace()?;
        let joined = existing.map(Existing::descriptors).transpose()?;
        // A template has namespaces of its own, so a copy of it cannot be made in existing ones.
        let alone = joined.is_none() && birthplace.is_none();
        let mut template = if alone { template::of(sandbox)? } else { None };
        let mut without_scope = None;
        // How many times to take another template when one is lost during the copy. A template may
        // be killed just then, but more losses in a row are no coincidence.
        let mut retries = 3;
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
                Some(_) => (Part::Copy, enforcement.entry_descriptors()?.is_none()),
                None => {
                    (if cell.is_some() { Part::Entered } else { Part::Whole }, enforcement.admits())
                }
            };
            let group = mapping.known_owner(policy).map(|(_, group)| group);
            enforcement.show_cgroups(policy, group)?;
            let cgroups = enforcement.own_cgroups(policy);
            let plan = sandbox
                .compiled()
                .plan(policy, Manner { part, mapping, admits, watches, in_cell: among, cgroups })?;
            let report_ready = purpose != Purpose::Run;
            #[cfg(feature = "stage-clock")]
            crate::host::stage_clock::follow(&plan);
            let started = match &template {
                Some(template) => {
                    Warden::copy(template, sandbox, &plan, &mut enforcement, report_ready)
                }
                None => Warden::start(
                    sandbox,
                    &plan,
                    &mut enforcement,
                    report_ready,
                    joined.as_deref(),
                    birthplace,
                ),
            };
            match started {
                Ok(warden) => {
                    let owner = mapping.owner(policy, warden.pid())?;
                    return Ok(Alive {
                        sandbox: sandbox.clone(),
                        warden,
                        ledger: connections.ledger(),
                        changes: Mutex::new(changes),
                        connections: Mutex::new(connections),
                        enforcement: Mutex::new(enforcement),
                        filters: sandbox.compiled().filters(policy, plan.manner.tree(policy))?,
                        plan,
                        owner,
                        purpose,
                        started: Instant::now(),
                        occupancy: Mutex::default(),
                        gate: gate::Gate::default(),
                        closed: AtomicBool::new(false),
                        forced: AtomicBool::new(false),
                    });
                }
                // systemd could not make a scope: try again without one. If the caller lacks a
                // resource, another way would only hide that.
                Err(error) if enforcement.scope_failed && error.kind() != ErrorKind::HostLimit => {
                    without_scope = Some(error)
                }
                // The template is gone: try again with another one.
                Err(error) => match &template {
                    Some(lost)
                        if retries > 0
                            && error.kind() == ErrorKind::WardenLost
                            && lost.is_dying() =>
                    {
                        retries -= 1;
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

    /// Waits until the sandbox is set up. To be called once, and not for [`Purpose::Run`].
    pub fn ready(&self) -> Result<Enforced> {
        let ready = Alive::await_ready(&self.warden, &self.plan);
        let met = ready.and_then(|Ready { protections, landlock, descriptors }| {
            let mut given = descriptors.into_iter();
            // Without an overlay that is lent, the only descriptor is that of the hosts file.
            if self.plan.upper
                && let Some(upper) = given.next_back()
            {
                self.changes().lend(upper);
            }
            self.meet_members(given.next()).map(|()| (protections, landlock))
        });
        match met {
            Ok((protections, landlock)) => {
                if self.purpose == Purpose::Cell {
                    self.hold_together(&self.sandbox.policy().limits)?;
                }
                Ok(self.enforced(protections, landlock, None, None))
            }
            Err(error) => Err(self.under_memory_limit(
                self.force_if_stopped(error),
                &self.sandbox.policy().limits,
                None,
            )),
        }
    }

    /// Ends everything in the sandbox if its warden has been stopped from outside, and passes on
    /// `error`.
    pub fn force_if_stopped(&self, error: Error) -> Error {
        if self.warden.is_stopped() == Some(true) {
            self.force();
        }
        error
    }

    /// Waits for the report that the set-up is complete.
    pub fn await_ready(warden: &Warden, plan: &Plan) -> Result<Ready> {
        let received = warden.await_report(None, "set up the sandbox")?;
        match received.report()? {
            Report::Ready { protections, landlock } => {
                let descriptors = received.descriptor.into_iter().chain(received.others).collect();
                Ok(Ready { protections, landlock, descriptors })
            }
            report => Err(failure::of_refusal(&report, plan)),
        }
    }

    /// Combines what the warden reports as active with what the caller's side knows. `within`
    /// enforces the own limits of one command in a cell.
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
        let network = if policy.has_given_network() { Namespace::Net.flag() } else { 0 };
        Enforced::new(
            policy.flags() | network,
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

    /// Returns `error`, or a clearer one if the memory limit is its cause. `limits` are the
    /// command's own, if it has any. `before` is what had been counted before the command started.
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

    /// Returns every process in the sandbox, the warden first. Empty once the warden has ended.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let list = processes::below(self.warden.pid())?;
        // Check after reading: the pid is the warden's only until it is reaped, by this library or
        // by a `wait` loop of the caller.
        Ok(if self.warden.is_alive()? { list } else { Vec::new() })
    }

    /// Changes `limit` to its value in `limits`, where a cgroup enforces it.
    pub fn change(&self, limit: Limit, limits: &Limits) -> Result<()> {
        limits.check()?;
        self.enforcement().change(limit, limits)
    }

    /// Makes a cell's warden enforce the limits on all commands together that no kernel mechanism
    /// enforces.
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

    /// Ends the sandbox normally: hangs up, waits until the warden and everything inside is gone,
    /// and removes the cgroups.
    pub fn end(&self) -> Gone {
        let gone = self.warden.end();
        self.leave_networks();
        self.changes().release();
        self.enforcement().cgroup = Default::default();
        gone
    }

    /// Kills everything in the sandbox without the warden's help.
    pub fn force(&self) -> Gone {
        self.forced.store(true, Ordering::Release);
        let _ = self.enforcement().cgroup.thaw();
        self.enforcement().cgroup.kill();
        self.warden.force()
    }

    /// Whether the caller's side had to end the sandbox because the warden did not.
    pub fn was_forced(&self) -> bool {
        self.forced.load(Ordering::Acquire)
    }

    /// Kills everything in the sandbox, for good.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if self.warden.is_ours() {
            let _ = self.enforcement().cgroup.thaw();
            self.warden.kill();
            self.leave_networks();
            self.changes().release();
            self.enforcement().cgroup = Default::default();
        }
    }

    /// The directory with the changes to the policy's first overlay. `None` if it has none, or the
    /// sandbox is no cell.
    pub fn upper(&self) -> Result<Option<OwnedFd>> {
        self.changes().upper()
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it must have ended before another one of its policy can start.
    pub fn is_exclusive(&self) -> bool {
        !self.changes().is_empty()
    }

    /// Whether the caller has closed the sandbox.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // Thaw first: a process that the freezer of cgroup v1 holds does not die of SIGKILL.
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
