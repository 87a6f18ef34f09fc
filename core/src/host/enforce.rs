//! What holds each limit on this host: chosen, put in place and proved before the command starts.
//!
//! First a cgroup, by which the kernel holds it. Without one, `RLIMIT_NPROC` for processes where
//! that counts them alone, and the warden's looks for memory, processor time, and else for
//! processes. What can be held by none of these is an error, unless the policy is content
//! with less.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::cgroup::{self, Cgroup, Controller, Entered};
use crate::policy::outcome::Mechanisms;
use crate::policy::{Demand, Limit, Limits, Mechanism, Namespace, Policy, Share};
use crate::wire::message::{self, gauge, meter};
use crate::wire::plan::protection;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// What else there is to enter of a cell.
#[derive(Debug)]
pub struct EnteredCell {
    pub cgroups: Vec<PathBuf>,
    /// What holds its limits.
    pub mechanisms: Mechanisms,
}

/// What holds one sandbox.
#[derive(Debug, Default)]
pub struct Enforcement {
    pub cgroup: Cgroup,
    pub mechanisms: Mechanisms,
    /// Systemd is to be asked for a cgroup with these, when the warden runs.
    scope: Option<Vec<Controller>>,
    /// The cgroup is in a scope of systemd's.
    pub in_scope: bool,
    /// Systemd has been asked, and it came to nothing.
    pub scope_failed: bool,
    /// Why there is no better cgroup.
    refusal: Option<Error>,
    /// The cgroups of a cell that is entered from outside.
    entered: Vec<PathBuf>,
    /// It is a cell's, or what a pool uses again: single commands have theirs below.
    many: bool,
}

impl Enforcement {
    /// Makes the cgroups and sets the limits, as far as that can be done before there is a process.
    /// `without_scope`: why systemd is not to be asked any more. `many`: single commands will
    /// have theirs below.
    pub fn prepare(
        policy: &Policy,
        without_scope: Option<&Error>,
        many: bool,
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
        let mut enforcement = Enforcement { many, ..Enforcement::default() };
        enforcement.mechanisms[Limit::Output as usize] =
            policy.limits.output.map(|_| Mechanism::Warden);
        // Where the kernel does not end the tree with the warden, a cgroup does.
        let asked =
            !controllers.is_empty() || policy.cgroup.is_some() || !policy.private(Namespace::Pid);
        if !asked {
            return Ok(enforcement);
        }
        let place = cgroup::find(policy, &controllers, without_scope, many)?;
        enforcement.cgroup = place.cgroup;
        enforcement.scope = place.scope;
        enforcement.refusal = place.refusal;
        if enforcement.scope.is_none() {
            enforcement.hold(policy)?;
        }
        Ok(enforcement)
    }

    /// What holds all that runs in a cell, for one who enters it.
    pub fn entered(cell: &EnteredCell) -> Enforcement {
        Enforcement {
            mechanisms: cell.mechanisms,
            entered: cell.cgroups.clone(),
            ..Enforcement::default()
        }
    }

    /// What holds one command of many to limits of its own, beyond what holds them all: what the
    /// kernel holds all to, it holds one to in a cgroup below.
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
                        "of one command among others it could only be sampled: ",
                    ));
                }
                Err(_) => Mechanism::Sampled,
            });
        }
        Ok(inner)
    }

    /// Holds the only command that there will be to limits that are tighter than the sandbox's.
    pub fn tighten(&mut self, limits: &Limits, share: &Share) -> Result<()> {
        for limit in share.limits() {
            let held = &mut self.mechanisms[limit as usize];
            if let Some(Mechanism::CgroupV2 | Mechanism::CgroupV1) = held {
                *held = Some(match self.cgroup.set(limit, limits) {
                    Ok(mechanism) => mechanism,
                    Err(error) if error.kind() == ErrorKind::HostLimit => return Err(error),
                    // The cell's cgroups are everybody's there.
                    Err(_) if !self.entered.is_empty() => Mechanism::Sampled,
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(())
    }

    /// Sets another limit where a cgroup holds it; one that is sampled is the warden's to be told.
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

    /// What holds this limit.
    pub fn mechanism(&self, limit: Limit) -> Option<Mechanism> {
        self.mechanisms[limit as usize]
    }

    /// What holds a command that may take so long, `within` it all if it is one of many.
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

    /// Whether the caller is to move the warden into cgroups.
    pub fn admits(&self) -> bool {
        self.scope.is_some() || !self.cgroup.is_empty() || !self.entered.is_empty()
    }

    /// By what a copy of a template enters all its cgroups by itself; `None` if the caller has to
    /// move it into some.
    pub fn doors(&self) -> Result<Option<Vec<File>>> {
        if self.scope.is_some() { Ok(None) } else { self.cgroup.all_doors() }
    }

    /// Whether the warden is to look at the processes inside.
    pub fn watches(&self, limits: &Limits) -> bool {
        let looked_for =
            |mechanism: &Mechanism| matches!(mechanism, Mechanism::Sampled | Mechanism::Rlimit);
        // Before there is a cgroup to look into.
        let untold = self.scope.is_some() && limits.memory.is_some() && !kernel_is_at_least(5, 19);
        self.mechanisms.iter().flatten().any(looked_for) || self.samples_peak(limits) || untold
    }

    /// Whether the peak of memory is to be sampled, for want of a cgroup's: before Linux 5.19.
    fn samples_peak(&self, limits: &Limits) -> bool {
        let by_cgroup = matches!(
            self.mechanisms[Limit::Memory as usize],
            Some(Mechanism::CgroupV2 | Mechanism::CgroupV1)
        );
        limits.memory.is_some() && by_cgroup && !self.cgroup.tells_peak()
    }

    /// Moves the warden into its cgroups, or into one that systemd makes for it.
    pub fn admit(&mut self, policy: &Policy, pid: i32, entered: Entered) -> Result<()> {
        // In a cgroup's file, and to systemd, 0 is who writes it: the caller.
        if pid <= 0 {
            return Err(Error::new(ErrorKind::WardenLost, "find the warden's process id")
                .because("it has ended, or the caller's /proc does not tell"));
        }
        self.entered.iter().try_for_each(|directory| cgroup::move_into(directory, pid))?;
        let Some(needed) = self.scope.take() else { return self.cgroup.admit(pid, entered) };
        let result = self.cgroup.enter_scope(pid, &needed, self.many).and_then(|()| {
            self.cgroup.admit(pid, Entered { v2: true, ..entered })?;
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

    /// Sets every limit that takes one in the cgroups; what cannot be set is held another way, or
    /// is an error.
    fn hold(&mut self, policy: &Policy) -> Result<()> {
        for limit in by_cgroup(policy) {
            self.mechanisms[*limit as usize] = match self.cgroup.set(*limit, &policy.limits) {
                Ok(mechanism) => Some(mechanism),
                // A shortage of the moment is no reason for another mechanism.
                Err(error) if error.kind() == ErrorKind::HostLimit => return Err(error),
                Err(error) => self.do_without(*limit, policy, error)?,
            };
        }
        Ok(())
    }

    /// What holds a limit for which there is no cgroup, for this reason.
    fn do_without(&self, limit: Limit, policy: &Policy, error: Error) -> Result<Option<Mechanism>> {
        let other = match limit {
            // Before Linux 5.14 it counts all processes of that user outside, not those of a user
            // namespace by themselves.
            Limit::Pids if policy.private(Namespace::User) && kernel_is_at_least(5, 14) => {
                Some(Mechanism::Rlimit)
            }
            Limit::Memory | Limit::CpuTime | Limit::Pids => Some(Mechanism::Sampled),
            Limit::Swap
            | Limit::Cpus
            | Limit::CpuWeight
            | Limit::CpuSet
            | Limit::Io
            | Limit::WallTime
            | Limit::Output => None,
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
        // What kept a cgroup from being made is the cause of all that follows from it.
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

    /// What the caller's side adds to the warden's protections.
    pub fn protections(&self, policy: &Policy) -> u64 {
        let kills = !policy.private(Namespace::Pid) && self.cgroup.kills();
        if kills { protection::KILL_BY_CGROUP } else { 0 }
    }

    /// The file by which the warden measures processor time, and what it is.
    pub fn meter(&self) -> Result<(u32, Option<File>)> {
        Ok(self.cgroup.meter()?.map_or((meter::NONE, None), |(_, kind, file)| (kind, Some(file))))
    }

    /// The file by which the warden sees the anonymous memory, and what it is: where a cgroup
    /// limits the memory.
    pub fn gauge(&self, limits: &Limits) -> Result<(u32, Option<File>)> {
        let gauge = if limits.memory.is_some() { self.cgroup.gauge()? } else { None };
        Ok(gauge.map_or((gauge::NONE, None), |(kind, file)| (kind, Some(file))))
    }

    /// `RLIMIT_NPROC` of every process inside, if that holds the limit: the warden is counted too.
    pub fn process_limit(&self, limits: &Limits) -> Option<u64> {
        let by_rlimit = self.mechanisms[Limit::Pids as usize] == Some(Mechanism::Rlimit);
        limits.pids.filter(|_| by_rlimit).map(|number| number + 1)
    }

    /// What a cell's warden itself holds all commands together to.
    pub fn together(&self, limits: &Limits) -> message::Limits {
        let message::Limits { cpu_ns, pace, processes, .. } = self.wardens(limits, None);
        let memory = limits
            .memory
            .filter(|_| self.mechanism(Limit::Memory) == Some(Mechanism::Sampled))
            .unwrap_or(0);
        message::Limits { cpu_ns, pace, memory, processes, ..message::Limits::default() }
    }

    /// What the warden itself holds the command to.
    pub fn wardens(&self, limits: &Limits, wall_time: Option<Duration>) -> message::Limits {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mechanism = |limit: Limit| self.mechanism(limit);
        let (grace_signal, grace) = limits.grace.unwrap_or_default();
        let cpu_time = limits.cpu_time.filter(|_| mechanism(Limit::CpuTime).is_some());
        // Asked for only where somebody looks at the time: it reads the caller's cgroup, which
        // every run would pay for.
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

/// Whether nothing but a cgroup can hold it, and the policy can do without.
fn dispensable(limit: Limit, policy: &Policy) -> bool {
    let held_otherwise = matches!(limit, Limit::Memory | Limit::CpuTime | Limit::Pids);
    !held_otherwise && policy.limits.demand(limit) == Some(Demand::BestEffort)
}

/// The limits of a policy that a cgroup would hold.
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
    fn a_warden_without_a_number_is_never_taken_for_the_caller() {
        let admit = |pid| Enforcement::default().admit(&Policy::default(), pid, Entered::default());
        assert_eq!(admit(0).unwrap_err().kind(), ErrorKind::WardenLost);
        admit(1).unwrap();
    }
}
