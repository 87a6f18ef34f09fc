//! Whether a command has its sandbox to itself or shares a cell, and what follows from that.
//!
//! Every difference between the two cases is a `match` in this file. The start, the running child
//! and the end call its methods and compare nothing themselves.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes::{self, Process};
use crate::base::sys::Gone;
use crate::host::cgroup::Counters;
use crate::host::enforce::Enforcement;
use crate::host::socket::{self, Socket};
use crate::policy::outcome::Usage;
use crate::policy::{Limit, Limits, Mechanism, Policy, Share};
use crate::run::alive::{Alive, Freezer, Purpose, StartGuard, Stay};
use crate::run::current_usage;
use crate::run::ground::Lease;
use crate::run::watchdog::Watchdog;
use crate::wire::message::{self, Request, run};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a command occupies the sandbox that it runs in.
#[derive(Debug)]
pub enum Tenancy {
    /// The command is the only one that the sandbox ever runs. The sandbox ends with it.
    Alone,
    /// The command is one of many in a cell, or in a pool's sandbox that is used again.
    InCell(Box<InCell>),
}

/// What one command in a cell has to itself.
#[derive(Debug)]
pub struct InCell {
    /// The command's own socket to the warden.
    socket: Arc<Socket>,
    /// The warden's end of that socket, until the warden has it.
    wardens_end: Option<Socket>,
    /// What the cell's cgroup had counted before the command started.
    counters_before: Counters,
    stay: Stay,
    /// What enforces the command's own limits, in addition to those of the cell.
    enforcement: Enforcement,
    /// Enforces the cell's time limits if the warden does not.
    cell_watchdog: Watchdog,
    /// Keeps the cell from being frozen until the command has started.
    start_guard: Option<StartGuard>,
}

impl Tenancy {
    /// Claims a place in `alive` for one command, and sets the limits that the command has of its
    /// own. The lease, if there is one, starts to watch for the command's end.
    ///
    /// Returns the limits that apply to the command by itself.
    pub fn begin(
        alive: &Arc<Alive>,
        lease: Option<&mut Box<dyn Lease>>,
        policy: &Policy,
        share: &Share,
    ) -> Result<(Tenancy, Limits)> {
        if alive.purpose != Purpose::Cell {
            lease.map_or(Ok(()), |lease| lease.watch(None))?;
            let limits = share.over(&policy.limits);
            let tightened = alive.enforcement().tighten(&limits, share);
            tightened.map_err(|error| alive.under_memory_limit(error, &limits, None))?;
            return Ok((Tenancy::Alone, limits));
        }
        let (ours, wardens_end) = socket::pair()?;
        let socket = Arc::new(ours);
        lease.map_or(Ok(()), |lease| lease.watch(Some(&socket)))?;
        let start_guard = StartGuard::new(alive);
        let enforcement = alive.enforcement().within(policy, share)?;
        let in_cell = InCell {
            socket,
            wardens_end: Some(wardens_end),
            counters_before: alive.counters(),
            stay: Stay::begin(alive),
            enforcement,
            cell_watchdog: Watchdog::new(alive.started(), &alive.sandbox.policy().limits),
            start_guard: Some(start_guard),
        };
        Ok((Tenancy::InCell(Box::new(in_cell)), share.alone(&policy.limits)))
    }

    /// The command's own socket to the warden. `None`: the sandbox's command socket serves.
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            Tenancy::Alone => None,
            Tenancy::InCell(in_cell) => Some(&in_cell.socket),
        }
    }

    /// What enforces the command's own limits, where that is not what enforces the sandbox's.
    pub fn own_enforcement(&self) -> Option<&Enforcement> {
        match self {
            Tenancy::Alone => None,
            Tenancy::InCell(in_cell) => Some(&in_cell.enforcement),
        }
    }

    /// What the cell's cgroup had counted before the command started.
    pub fn counters_before(&self) -> Option<&Counters> {
        match self {
            Tenancy::Alone => None,
            Tenancy::InCell(in_cell) => Some(&in_cell.counters_before),
        }
    }

    // ---- starting

    /// Whether a cgroup counts the command's memory, where that is limited at all.
    pub fn memory_in_cgroup(&self, alive: &Alive) -> bool {
        let sampled = |enforcement: &Enforcement| {
            enforcement.mechanism(Limit::Memory) == Some(Mechanism::Sampled)
        };
        !sampled(&alive.enforcement()) && !self.own_enforcement().is_some_and(sampled)
    }

    /// The limits that the warden enforces on the command. `whole` enforces the sandbox's.
    pub fn wardens_limits(
        &self,
        whole: &Enforcement,
        limits: &Limits,
        wall_time: Option<Duration>,
    ) -> message::Limits {
        match self {
            Tenancy::Alone => whole.wardens(limits, wall_time),
            Tenancy::InCell(in_cell) => {
                let mut wardens = in_cell.enforcement.wardens(limits, wall_time);
                let sampled = whole.mechanism(Limit::Memory) == Some(Mechanism::Sampled);
                if wardens.memory == 0 && sampled {
                    // No limit, but the warden samples the memory and so can report the peak.
                    wardens.memory = u64::MAX;
                }
                wardens
            }
        }
    }

    /// The entry descriptors of the command's own cgroups.
    pub fn cgroup_entries(&self) -> Result<Vec<File>> {
        match self {
            Tenancy::Alone => Ok(Vec::new()),
            Tenancy::InCell(in_cell) => in_cell.enforcement.entry_descriptors()?.ok_or_else(|| {
                Error::new(ErrorKind::LimitUnavailable, "open the command's own cgroup")
            }),
        }
    }

    /// The `RLIMIT_NPROC` of the command. The kernel counts the processes of a user, and all
    /// commands of a cell are one user: there the limit of the whole cell applies.
    pub fn process_limit(
        &self,
        whole: &Enforcement,
        limits: &Limits,
        policy: &Policy,
    ) -> Option<u64> {
        match self {
            Tenancy::Alone => whole.process_limit(limits),
            Tenancy::InCell(_) => whole.process_limit(&policy.limits),
        }
    }

    /// The warden's end of the command's socket, to be sent with the request to start.
    pub fn wardens_end(&self) -> Result<Option<BorrowedFd<'_>>> {
        match self {
            Tenancy::Alone => Ok(None),
            Tenancy::InCell(in_cell) => in_cell.wardens_end.as_ref().map(Socket::as_fd).transpose(),
        }
    }

    /// The flags of the request to start.
    pub fn flags(&self, whole: &Enforcement) -> u32 {
        match self {
            Tenancy::InCell(_) => run::IN_CELL,
            // systemd removes a scope with its last process. The warden stays until the caller has
            // read the scope's cgroup.
            Tenancy::Alone if whole.in_scope => 0,
            Tenancy::Alone => run::LAST,
        }
    }

    /// Closes the warden's end of the command's socket, which the warden has by now. While it is
    /// open here, the end of the warden does not hang up the socket.
    pub fn requested(&mut self) {
        match self {
            Tenancy::Alone => {}
            Tenancy::InCell(in_cell) => in_cell.wardens_end = None,
        }
    }

    /// Lets the cell be frozen again: the command has started.
    pub fn started(&mut self) {
        match self {
            Tenancy::Alone => {}
            Tenancy::InCell(in_cell) => in_cell.start_guard = None,
        }
    }

    // ---- running

    /// The processes of the command. `pid` is its first one. The sandbox's warden comes first where
    /// the command is alone.
    pub fn processes(&self, alive: &Alive, pid: u32) -> Result<Vec<Process>> {
        match self {
            Tenancy::Alone => alive.processes(),
            Tenancy::InCell(_) => processes::below(i32::try_from(pid).unwrap_or(0)),
        }
    }

    /// What the command has used since `started`. `pid` is its first process.
    pub fn usage(&self, alive: &Alive, pid: u32, started: Instant) -> Result<Usage> {
        let list = self.processes(alive, pid)?;
        match self {
            Tenancy::Alone => {
                current_usage::read(&list, Some(alive.warden.pid()), started, &alive.counters())
            }
            Tenancy::InCell(in_cell) => {
                current_usage::read(&list, None, started, &in_cell.enforcement.cgroup.counters())
            }
        }
    }

    /// Changes a limit where a cgroup enforces it. Returns the limits that the warden is to enforce
    /// from now on.
    pub fn change(
        &self,
        alive: &Alive,
        limit: Limit,
        limits: &Limits,
        wall_time: Option<Duration>,
    ) -> Result<message::Limits> {
        let change = |enforcement: &Enforcement| -> Result<message::Limits> {
            enforcement.change(limit, limits)?;
            Ok(enforcement.wardens(limits, wall_time))
        };
        match self {
            Tenancy::Alone => change(&alive.enforcement()),
            Tenancy::InCell(in_cell) => change(&in_cell.enforcement),
        }
    }

    /// The error for a limit that the command does not have, and that so cannot be changed.
    pub fn no_such_limit(&self, policy: &Policy, limit: Limit) -> Error {
        let what = format!("limit {limit}");
        match self {
            Tenancy::InCell(_) if policy.limits.sets(limit) => {
                Error::invalid(what, "it is the cell's").hint("change it there")
            }
            Tenancy::Alone | Tenancy::InCell(_) => {
                Error::invalid(what, "the policy sets none, so there is none to change").hint(
                    format!("set {limit} in the sandbox's policy: it can be changed from there"),
                )
            }
        }
    }

    /// Stops the command's processes. `pid` is its first one.
    pub fn freeze(&self, alive: &Alive, pid: u32) -> Result<Freezer> {
        match self {
            Tenancy::Alone => alive.freeze(),
            Tenancy::InCell(in_cell) => {
                alive.stop(Some(&in_cell.socket), || self.processes(alive, pid))
            }
        }
    }

    /// Lets the command's processes continue.
    pub fn thaw(&self, alive: &Alive) -> Result<()> {
        match self {
            Tenancy::Alone => alive.thaw(),
            Tenancy::InCell(in_cell) => {
                alive.ask(Some(&in_cell.socket), &Request::Stop { on: false }, &[])
            }
        }
    }

    /// Whether processes that outlive the command may keep its pipes open.
    pub fn may_leave_processes(&self) -> bool {
        match self {
            Tenancy::Alone => false,
            Tenancy::InCell(_) => true,
        }
    }

    /// The cell's watchdog, which ends the cell, and the command with it.
    pub fn cell_watchdog(&self) -> Option<&Watchdog> {
        match self {
            Tenancy::Alone => None,
            Tenancy::InCell(in_cell) => Some(&in_cell.cell_watchdog),
        }
    }

    /// The same, to be asked whether a limit has been exceeded.
    pub fn cell_watchdog_mut(&mut self) -> Option<&mut Watchdog> {
        match self {
            Tenancy::Alone => None,
            Tenancy::InCell(in_cell) => Some(&mut in_cell.cell_watchdog),
        }
    }

    // ---- ending

    /// What cgroups have counted of the command alone, if it has one of its own, and of the whole
    /// sandbox while the command ran.
    pub fn counters(&self, alive: &Alive) -> (Option<Counters>, Counters) {
        let whole = alive.counters();
        match self {
            Tenancy::Alone => (None, whole),
            // Events are this command's for certain only while no other one ran in the cell.
            Tenancy::InCell(in_cell) => {
                (Some(in_cell.enforcement.cgroup.counters()), whole.since(&in_cell.counters_before))
            }
        }
    }

    /// The limits of the whole sandbox. The command's own are `limits`.
    pub fn whole_limits<'a>(&self, policy: &'a Policy, limits: &'a Limits) -> &'a Limits {
        match self {
            Tenancy::Alone => limits,
            Tenancy::InCell(_) => &policy.limits,
        }
    }

    /// Ends the sandbox after its only command: the warden has reported, or is `lost`. A lease
    /// leaves that to the pool, unless the warden is lost. A cell stays.
    ///
    /// Returns how the warden ended, and whether other commands ran beside this one.
    pub fn conclude(
        &self,
        alive: &Alive,
        lease: Option<&mut Box<dyn Lease>>,
        lost: bool,
    ) -> (Gone, bool) {
        match self {
            Tenancy::InCell(in_cell) => (Gone::default(), !in_cell.stay.was_alone()),
            Tenancy::Alone => match lease.filter(|_| !lost) {
                Some(lease) => {
                    alive.leave_networks();
                    lease.leave();
                    (Gone::default(), false)
                }
                None => (alive.end(), false),
            },
        }
    }

    /// Wakes the processes of a sandbox that has no use any more: a process that the freezer of
    /// cgroup v1 holds does not die of SIGKILL. A frozen cell stays frozen.
    pub fn thaw_to_end(&self, alive: &Alive) {
        match self {
            Tenancy::Alone => {
                let _ = alive.enforcement().cgroup.thaw();
            }
            Tenancy::InCell(_) => {}
        }
    }

    /// The command has ended.
    pub fn end(&mut self) {
        match self {
            Tenancy::Alone => {}
            Tenancy::InCell(in_cell) => in_cell.stay.end(),
        }
    }

    /// The caller drops the command, which may still run: everything of it ends.
    pub fn abandon(&self, alive: &Alive, ended: bool) {
        if !alive.warden.is_ours() {
            return;
        }
        match self {
            Tenancy::Alone if !ended => alive.close(),
            Tenancy::Alone => {}
            Tenancy::InCell(in_cell) => {
                in_cell.socket.hang_up();
                // The warden then ends the command, unless the warden has been stopped.
                if !ended && alive.warden.is_stopped() == Some(true) {
                    alive.force();
                }
            }
        }
    }
}
