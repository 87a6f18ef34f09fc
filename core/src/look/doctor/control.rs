//! Checks what can be done to a running command and what can be measured: its cgroup, freezing,
//! killing, usage.

use super::probe::{self, RunningProbe};
use super::{Check, State, limits};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::outcome::{Ended, MemorySource, Usage};
use crate::policy::{Limit, MiB};
use crate::run::alive::Freezer;
use crate::run::sandbox::Sandbox;
use std::fs;
use std::time::Duration;

/// Runs the checks. `limits` are the checks of the limits, one of which says why there is no
/// cgroup.
pub fn checks(limits: &[Check]) -> Vec<Check> {
    let mut checks = vec![cgroup(limits), freeze(limits), kill()];
    checks.extend(usage(limits));
    checks
}

/// A sandbox that gets a cgroup if the host allows one.
fn sandbox() -> Sandbox {
    probe::smallest().memory(MiB(256)).best_effort(Limit::Memory).pids(64).best_effort(Limit::Pids)
}

/// Explains a missing cgroup: copies the cause and the remedy of a limit that needs one, unless the
/// check has its own.
fn without_cgroup(mut check: Check, limits: &[Check]) -> Check {
    if let Some(limit) = limits.iter().find(|check| check.name == limits::name(Limit::Cpus)) {
        check.cause = check.cause.or_else(|| limit.cause.clone());
        check.remedy = check.remedy.or_else(|| limit.remedy.clone());
    }
    check.or_remedy("start as root, or give the caller a delegated cgroup: docs/limits.md")
}

fn cgroup(limits: &[Check]) -> Check {
    const NAME: &str = "cgroup";
    match cgroups() {
        Ok(places) if !places.is_empty() => Check::works(NAME, places.join(", ")),
        Ok(_) => without_cgroup(Check { state: State::Missing, ..Check::works(NAME, "") }, limits),
        Err(error) => Check::missing(NAME, &error),
    }
}

/// The cgroups that a running command is in and its caller is not: `v2 /path`, `v1 memory /path`.
fn cgroups() -> Result<Vec<String>> {
    let read = |path: String| {
        fs::read_to_string(&path).map_err(|error| Error::io(format!("read {path}"), error))
    };
    let running = RunningProbe::start(&sandbox())?;
    let inside = read(format!("/proc/{}/cgroup", running.child.id()))?;
    running.release()?;
    let callers = read("/proc/self/cgroup".into())?;
    let place = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(if controllers.is_empty() {
            format!("v2 {path}")
        } else {
            format!("v1 {controllers} {path}")
        })
    };
    Ok(inside
        .lines()
        .filter(|line| !callers.lines().any(|callers| callers == *line))
        .filter_map(place)
        .collect())
}

fn freeze(limits: &[Check]) -> Check {
    const NAME: &str = "freeze";
    let frozen = || -> Result<Freezer> {
        let mut running = RunningProbe::start(&sandbox())?;
        let freezer = running.child.freeze()?;
        running.child.thaw()?;
        running.release()?;
        Ok(freezer)
    };
    match frozen() {
        Ok(freezer @ (Freezer::CgroupV2 | Freezer::CgroupV1)) => Check::works(NAME, freezer.name()),
        Ok(freezer @ Freezer::Signal) => without_cgroup(
            Check::weaker(
                NAME,
                freezer.name(),
                "there is no cgroup that freezes: a process inside can be made to go on by another",
            ),
            limits,
        ),
        Err(error) => Check::missing(NAME, &error),
    }
}

fn kill() -> Check {
    const NAME: &str = "kill";
    const PROMPTLY: Duration = Duration::from_secs(1);
    let killed = || -> Result<()> {
        let mut running = RunningProbe::start(&sandbox())?;
        running.child.kill()?;
        match running.child.wait_timeout(PROMPTLY)?.map(|outcome| outcome.ended) {
            Some(Ended::Killed) => Ok(()),
            Some(ended) => {
                Err(Error::new(ErrorKind::Setup, "kill a command").because(ended.to_string()))
            }
            None => Err(Error::new(ErrorKind::Setup, "kill a command")
                .because("it still ran a second later")),
        }
    };
    match killed() {
        Ok(()) => Check::works(NAME, "everything inside is gone with it"),
        Err(error) => Check::missing(NAME, &error),
    }
}

/// What can be measured of a command while it runs, and how precisely.
fn usage(limits: &[Check]) -> [Check; 3] {
    const LIVE: &str = "usage.live";
    const MEMORY: &str = "usage.memory";
    const PRESSURE: &str = "usage.pressure";
    let used = || -> Result<Usage> {
        let mut running = RunningProbe::start(&sandbox())?;
        running.child.usage()?;
        Ok(running.release()?.usage)
    };
    let usage = match used() {
        Ok(usage) => usage,
        Err(error) => return [LIVE, MEMORY, PRESSURE].map(|name| Check::missing(name, &error)),
    };
    let memory = match usage.memory_source {
        source @ MemorySource::Cgroup => Check::works(MEMORY, source.name()),
        source @ (MemorySource::Sampled | MemorySource::LargestProcess) => without_cgroup(
            Check::weaker(MEMORY, source.name(), "there is no cgroup that counts memory"),
            limits,
        ),
    };
    let pressure = match usage.pressure {
        Some(_) => Check::works(PRESSURE, "processor, memory, input and output"),
        None => Check::missing(
            PRESSURE,
            &Error::new(ErrorKind::Unsupported, "read the pressure")
                .because("the command's cgroup reports none"),
        )
        .or_remedy("it takes a cgroup v2 and a kernel that counts it: boot with psi=1"),
    };
    [Check::works(LIVE, "while the command runs"), memory, pressure]
}
