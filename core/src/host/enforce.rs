//! Chooses the mechanism that enforces each limit on this host, sets it up, and verifies it before
//! the command starts.
//!
//! A cgroup comes first: the kernel then enforces the limit. Without a cgroup, `RLIMIT_NPROC`
//! limits processes where the kernel counts them per user namespace. The warden samples memory,
//! processor time, and in the other cases processes. A limit that no mechanism can enforce is an
//! error, unless the policy accepts best effort.
//!
//! The file is longer than 400 lines because its unit tests are in it.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::cgroup::{self, Cgroup, Controller, Entered};
use crate::plan::OwnCgroups;
use crate::policy::outcome::Mechanisms;
use crate::policy::{Demand, Limit, Limits, Mechanism, Namespace, Policy, Share};
use crate::wire::message::{self, gauge, meter};
use crate::wire::plan::protection;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// What a command that enters a cell needs besides its namespaces.
#[derive(Debug)]
pub struct EnteredCell {
    pub cgroups: Vec<PathBuf>,
    /// The mechanisms that enforce the cell's limits.
    pub mechanisms: Mechanisms,
}

/// The mechanisms that enforce one sandbox's limits.
#[derive(Debug, Default)]
pub struct Enforcement {
    pub cgroup: Cgroup,
    pub mechanisms: Mechanisms,
    /// The controllers to request from systemd once the warden runs.
    scope: Option<Vec<Controller>>,
    /// Whether the cgroup is in a systemd scope.
    pub in_scope: bool,
    /// Whether the request to systemd failed.
    pub scope_failed: bool,
    /// Why the host did not provide a better cgroup.
    refusal: Option<Error>,
    /// The cgroups of the cell that the command enters from outside.
    entered: Vec<PathBuf>,
    /// Whether it belongs to a cell or to a sandbox of a reusing pool: single commands then have
    /// cgroups of their own below.
    for_cell: bool,
    /// The group outside of the command, if the policy shows it its cgroups.
    shown_to: Option<u32>,
}

impl Enforcement {
    /// Creates the cgroups and sets the limits, as far as that is possible before there is a
    /// process. `without_scope` is the reason not to ask systemd again. `for_cell`: single commands
    /// will have cgroups of their own below.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitUnavailable`] if a limit cannot be enforced as the policy demands.
    /// [`ErrorKind::HostLimit`] if the caller ran out of a resource.
    pub fn prepare(
        policy: &Policy,
        without_scope: Option<&Error>,
        for_cell: bool,
    ) -> Result<Enforcement> {
        let mut controllers: Vec<Controller> = Vec::new();
        for controller in Limit::ALL
            .iter()
            .filter(|limit| policy.limits.sets(**limit))
            .filter_map(|limit| Controller::of(*limit))
        {
            if !controllers.contains(&controller) {
                controllers.push(controller);
            }
        }
        let mut enforcement = Enforcement { for_cell, ..Enforcement::default() };
        enforcement.mechanisms[Limit::Output as usize] =
            policy.limits.output.map(|_| Mechanism::Warden);
        // Without a pid namespace the kernel does not kill the processes with the warden. A cgroup
        // does.
        let asked =
            !controllers.is_empty() || policy.cgroup.is_some() || !policy.private(Namespace::Pid);
        if !asked {
            return Ok(enforcement);
        }
        let place = cgroup::find(policy, &controllers, without_scope, for_cell)?;
        enforcement.cgroup = place.cgroup;
        enforcement.scope = place.scope;
        enforcement.refusal = place.refusal;
        if enforcement.scope.is_none() {
            enforcement.set_limits(policy)?;
        }
        Ok(enforcement)
    }

    /// The mechanisms of a cell, for a command that enters it.
    pub fn entered(cell: &EnteredCell) -> Enforcement {
        Enforcement {
            mechanisms: cell.mechanisms,
            entered: cell.cgroups.clone(),
            ..Enforcement::default()
        }
    }

    /// Enforces the limits of a single command in a cell, which apply in addition to the cell's. If
    /// a cgroup enforces a limit on the cell, the command gets a cgroup below that one. The warden
    /// samples the other limits.
    ///
    /// # Errors
    ///
    /// An error if the policy demands exact enforcement and the limit could only be sampled, or if
    /// the caller ran out of a resource.
    pub fn within(&self, policy: &Policy, share: &Share) -> Result<Enforcement> {
        let by_cgroup = |limit: &Limit| {
            matches!(self.mechanism(*limit), Some(Mechanism::CgroupV2 | Mechanism::CgroupV1))
        };
        let mut inner = Enforcement::default();
        let controllers: Vec<Controller> =
            share.limits().filter(by_cgroup).filter_map(Controller::of).collect();
        if !controllers.is_empty() {
            inner.cgroup = self.cgroup.within(&controllers)?;
        }
        let own = share.alone(&policy.limits);
        for limit in share.limits() {
            inner.mechanisms[limit as usize] = Some(match inner.cgroup.set(limit, &own) {
                Ok(mechanism) => mechanism,
                Err(error) if error.kind() == ErrorKind::HostLimit => return Err(error),
                Err(error) if policy.limits.demand(limit) == Some(Demand::Exact) => {
                    return Err(self.unavailable(
                        limit,
                        error,
                        "for a single command in a cell it could only be sampled: ",
                    ));
                }
                Err(_) => Mechanism::Sampled,
            });
        }
        Ok(inner)
    }

    /// Tightens the sandbox's limits for the only command that will run in it.
    ///
    /// # Errors
    ///
    /// An error if a cgroup does not accept a value.
    pub fn tighten(&mut self, limits: &Limits, share: &Share) -> Result<()> {
        for limit in share.limits() {
            let held = &mut self.mechanisms[limit as usize];
            if let Some(Mechanism::CgroupV2 | Mechanism::CgroupV1) = held {
                *held = Some(match self.cgroup.set(limit, limits) {
                    Ok(mechanism) => mechanism,
                    Err(error) if error.kind() == ErrorKind::HostLimit => return Err(error),
                    // The command entered a cell, whose cgroups belong to all its commands.
                    Err(_) if !self.entered.is_empty() => Mechanism::Sampled,
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(())
    }

    /// Changes a limit that a cgroup enforces. A sampled limit needs no change here: the caller
    /// sends it to the warden.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitUnavailable`] if neither a cgroup nor sampling enforces the limit, or if
    /// the cgroup does not accept the value.
    pub fn change(&self, limit: Limit, limits: &Limits) -> Result<()> {
        match self.mechanism(limit) {
            Some(Mechanism::CgroupV2 | Mechanism::CgroupV1) => {
                self.cgroup.set(limit, limits).map(drop)
            }
            Some(Mechanism::Sampled) => Ok(()),
            Some(Mechanism::Rlimit | Mechanism::Warden) | None => {
                Err(Error::new(ErrorKind::LimitUnavailable, format!("change the limit {limit}"))
                    .because("no cgroup holds it")
                    .hint("start as root, or with a delegated cgroup (docs/limits.md)"))
            }
        }
    }

    /// The mechanism that enforces this limit.
    pub fn mechanism(&self, limit: Limit) -> Option<Mechanism> {
        self.mechanisms[limit as usize]
    }

    /// The mechanisms that enforce a command's limits. `within` holds its own limits if it is in a
    /// cell. `wall_time` is its time limit, if it has one.
    pub fn mechanisms(
        &self,
        within: Option<&Enforcement>,
        wall_time: Option<Duration>,
    ) -> Mechanisms {
        let mut mechanisms = self.mechanisms;
        for (held, own) in
            mechanisms.iter_mut().zip(within.iter().flat_map(|within| within.mechanisms))
        {
            *held = own.or(*held);
        }
        mechanisms[Limit::WallTime as usize] = wall_time.map(|_| Mechanism::Warden);
        mechanisms
    }

    /// Whether the caller has to move the warden into cgroups.
    pub fn admits(&self) -> bool {
        self.scope.is_some() || !self.cgroup.is_empty() || !self.entered.is_empty()
    }

    /// The sandbox's own cgroups, if the policy shows them.
    pub fn own_cgroups(&self, policy: &Policy) -> OwnCgroups {
        if !policy.shows_cgroups() {
            return OwnCgroups::default();
        }
        let own = OwnCgroups::with_v2(self.scope.is_some() || self.cgroup.has_v2());
        self.cgroup.v1_controllers().fold(own, OwnCgroups::with_v1)
    }

    /// Lets a command with this group outside read its cgroups, if the policy shows them.
    ///
    /// # Errors
    ///
    /// An error if the group of a directory cannot be changed.
    pub fn show_cgroups(&mut self, policy: &Policy, group: Option<u32>) -> Result<()> {
        self.shown_to = group.filter(|_| policy.shows_cgroups());
        self.shown_to.map_or(Ok(()), |group| self.cgroup.show_to(group))
    }

    /// Opens the descriptors through which a copy of a template enters all its cgroups by itself.
    /// Returns `None` if the caller has to move it into some of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::HostLimit`] if the caller ran out of descriptors or memory.
    pub fn entry_descriptors(&self) -> Result<Option<Vec<File>>> {
        if self.scope.is_some() { Ok(None) } else { self.cgroup.all_entry_descriptors() }
    }

    /// Whether the warden has to sample the processes inside.
    pub fn watches(&self, limits: &Limits) -> bool {
        let looked_for =
            |mechanism: &Mechanism| matches!(mechanism, Mechanism::Sampled | Mechanism::Rlimit);
        // The scope does not exist yet, so whether it has `memory.peak` follows from the version.
        let untold = self.scope.is_some() && limits.memory.is_some() && !kernel_is_at_least(5, 19);
        self.mechanisms.iter().flatten().any(looked_for) || self.samples_peak(limits) || untold
    }

    /// Whether the peak memory has to be sampled because the cgroup does not report it: in v2
    /// before Linux 5.19.
    fn samples_peak(&self, limits: &Limits) -> bool {
        let by_cgroup = matches!(
            self.mechanisms[Limit::Memory as usize],
            Some(Mechanism::CgroupV2 | Mechanism::CgroupV1)
        );
        limits.memory.is_some() && by_cgroup && !self.cgroup.has_memory_peak()
    }

    /// Moves the warden into its cgroups, or into one that systemd creates for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WardenLost`] if `pid` is not positive. Otherwise an error if the warden cannot
    /// be moved, or if a limit cannot be set in the new cgroup.
    pub fn admit(&mut self, policy: &Policy, pid: i32, entered: Entered) -> Result<()> {
        // Both a cgroup file and systemd take 0 for the process that writes it: the caller.
        if pid <= 0 {
            return Err(Error::new(ErrorKind::WardenLost, "find the warden's process id")
                .because("it has ended, or the caller's /proc does not show it"));
        }
        self.entered.iter().try_for_each(|directory| cgroup::move_into(directory, pid))?;
        let Some(needed) = self.scope.take() else { return self.cgroup.admit(pid, entered) };
        let result = self.cgroup.enter_scope(pid, &needed, self.for_cell).and_then(|()| {
            self.cgroup.admit(pid, Entered { v2: true, ..entered })?;
            if let Some(group) = self.shown_to {
                self.cgroup.show_to(group)?;
            }
            for limit in by_cgroup(policy) {
                self.mechanisms[*limit as usize] = match self.cgroup.set(*limit, &policy.limits) {
                    Err(error)
                        if error.kind() != ErrorKind::HostLimit && dispensable(*limit, policy) =>
                    {
                        None
                    }
                    result => Some(result?),
                };
            }
            Ok(())
        });
        (self.in_scope, self.scope_failed) = (result.is_ok(), result.is_err());
        result
    }

    /// Sets every limit that a cgroup can enforce. A limit that cannot be set falls back to another
    /// mechanism, or is an error.
    fn set_limits(&mut self, policy: &Policy) -> Result<()> {
        for limit in by_cgroup(policy) {
            self.mechanisms[*limit as usize] = match self.cgroup.set(*limit, &policy.limits) {
                Ok(mechanism) => Some(mechanism),
                // A momentary shortage is no reason for another mechanism.
                Err(error) if error.kind() == ErrorKind::HostLimit => return Err(error),
                Err(error) => self.fall_back(*limit, policy, error)?,
            };
        }
        Ok(())
    }

    /// The mechanism for a limit that no cgroup enforces. `error` is the reason.
    fn fall_back(&self, limit: Limit, policy: &Policy, error: Error) -> Result<Option<Mechanism>> {
        let other = match limit {
            // Before Linux 5.14 RLIMIT_NPROC counts all processes of the user on the host, not
            // those of each user namespace.
            Limit::Pids if policy.private(Namespace::User) && kernel_is_at_least(5, 14) => {
                Some(Mechanism::Rlimit)
            }
            limit => limit.can_be_sampled().then_some(Mechanism::Sampled),
        };
        match (other, policy.limits.demand(limit)) {
            (Some(Mechanism::Sampled), Some(Demand::Exact)) => {
                Err(self.unavailable(limit, error, "it could only be sampled: "))
            }
            (Some(mechanism), _) => Ok(Some(mechanism)),
            (None, Some(Demand::BestEffort)) => Ok(None),
            (None, _) => Err(self.unavailable(limit, error, "")),
        }
    }

    fn unavailable(&self, limit: Limit, error: Error, prefix: &str) -> Error {
        // If no cgroup could be created, that is the cause of every error that follows.
        let cause = self.refusal.clone().filter(|_| !self.cgroup.controls(limit)).unwrap_or(error);
        let plain = cause.clone().without_hint();
        let step = format!("limit {limit}");
        let text = if plain.step() == step {
            plain.to_string().replacen(&format!("{step}: "), "", 1)
        } else {
            plain.to_string()
        };
        let mut error =
            Error::new(ErrorKind::LimitUnavailable, step).because(format!("{prefix}{text}"));
        if let Some(errno) = cause.raw_os_error() {
            error = error.errno(errno);
        }
        if let Some(path) = cause.path() {
            error = error.at(path);
        }
        let content = "or be content with less: best_effort";
        match cause.remedy() {
            Some(remedy) => error.hint(format!("{remedy}; {content}")),
            None => error.hint(format!(
                "start as root, or with a delegated cgroup (docs/limits.md); {content}"
            )),
        }
    }

    /// The protections that the caller's side adds to the warden's.
    pub fn protections(&self, policy: &Policy) -> u64 {
        let kills = !policy.private(Namespace::Pid) && self.cgroup.kills();
        if kills { protection::KILL_BY_CGROUP } else { 0 }
    }

    /// Whether processes are to pass the warden's gate in a process tree that is not the sandbox's
    /// own: nothing kills them all at once, and a gate can be had. From Linux 5.9 it tells
    /// when no process is left that could ask.
    pub fn gates(&self) -> bool {
        !self.cgroup.kills() && kernel_is_at_least(5, 9)
    }

    /// Opens the file from which the warden reads the processor time, and says which kind of file
    /// it is.
    ///
    /// # Errors
    ///
    /// An error if the file exists and cannot be opened.
    pub fn meter(&self) -> Result<(u32, Option<File>)> {
        Ok(self.cgroup.meter()?.map_or((meter::NONE, None), |(_, kind, file)| (kind, Some(file))))
    }

    /// Opens the file from which the warden reads the anonymous memory, and says which kind of file
    /// it is. There is one where a cgroup limits the memory.
    ///
    /// # Errors
    ///
    /// An error if the file cannot be opened.
    pub fn gauge(&self, limits: &Limits) -> Result<(u32, Option<File>)> {
        let gauge = if limits.memory.is_some() { self.cgroup.gauge()? } else { None };
        Ok(gauge.map_or((gauge::NONE, None), |(kind, file)| (kind, Some(file))))
    }

    /// `RLIMIT_NPROC` of every process inside, if that enforces the limit. It includes one for the
    /// warden.
    pub fn process_limit(&self, limits: &Limits) -> Option<u64> {
        let by_rlimit = self.mechanisms[Limit::Pids as usize] == Some(Mechanism::Rlimit);
        limits.pids.filter(|_| by_rlimit).map(|number| number + 1)
    }

    /// The limits that a cell's warden itself enforces on all commands together.
    pub fn together(&self, limits: &Limits) -> message::Limits {
        let message::Limits { cpu_ns, pace, processes, .. } = self.wardens(limits, None);
        let memory = limits
            .memory
            .filter(|_| self.mechanism(Limit::Memory) == Some(Mechanism::Sampled))
            .unwrap_or(0);
        message::Limits { cpu_ns, pace, memory, processes, ..message::Limits::default() }
    }

    /// The limits that the warden itself enforces on the command.
    pub fn wardens(&self, limits: &Limits, wall_time: Option<Duration>) -> message::Limits {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mechanism = |limit: Limit| self.mechanism(limit);
        let (grace_signal, grace) = limits.grace.unwrap_or_default();
        let cpu_time = limits.cpu_time.filter(|_| mechanism(Limit::CpuTime).is_some());
        // Queried only if there is a limit on processor time: `available_parallelism` reads the
        // caller's cgroup files, which would slow down every run.
        let pace = cpu_time.map_or(0.0, |_| {
            let processors =
                std::thread::available_parallelism().map_or(1.0, |number| number.get() as f64);
            limits
                .cpus
                .filter(|_| mechanism(Limit::Cpus).is_some())
                .map_or(processors, |cores| cores.0.min(processors))
        });
        let sampled =
            limits.memory.filter(|_| mechanism(Limit::Memory) == Some(Mechanism::Sampled));
        message::Limits {
            wall_ns: wall_time.map_or(0, nanoseconds),
            grace_signal,
            grace_ns: nanoseconds(grace),
            cpu_ns: cpu_time.map_or(0, nanoseconds),
            pace: (pace * 100.0).ceil() as u32,
            memory: sampled.or(self.samples_peak(limits).then_some(u64::MAX)).unwrap_or(0),
            processes: limits
                .pids
                .filter(|_| {
                    matches!(mechanism(Limit::Pids), Some(Mechanism::Rlimit | Mechanism::Sampled))
                })
                .unwrap_or(0),
        }
    }
}

/// Whether only a cgroup can enforce the limit, and the policy accepts to go without it.
fn dispensable(limit: Limit, policy: &Policy) -> bool {
    let held_otherwise = matches!(limit, Limit::Memory | Limit::CpuTime | Limit::Pids);
    !held_otherwise && policy.limits.demand(limit) == Some(Demand::BestEffort)
}

/// The limits of a policy that a cgroup can enforce.
fn by_cgroup(policy: &Policy) -> impl Iterator<Item = &'static Limit> + '_ {
    Limit::ALL
        .iter()
        .filter(|limit| policy.limits.sets(**limit) && Controller::of(**limit).is_some())
}

fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let Ok(system) = nix::sys::utsname::uname() else { return false };
    let release = system.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admit_rejects_process_id_zero() {
        let admit = |pid| Enforcement::default().admit(&Policy::default(), pid, Entered::default());
        assert_eq!(admit(0).unwrap_err().kind(), ErrorKind::WardenLost);
        admit(1).unwrap();
    }
}
