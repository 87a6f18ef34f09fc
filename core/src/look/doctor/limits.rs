//! Checks the limits, one at a time: first with exact enforcement demanded, then with best effort.

use super::Check;
use super::probe;
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{Io, Limit, Mechanism, MiB};
use crate::run::sandbox::Sandbox;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn checks() -> Vec<Check> {
    Limit::ALL.iter().map(|limit| check(*limit)).collect()
}

pub fn name(limit: Limit) -> String {
    format!("limit.{limit}")
}

fn check(limit: Limit) -> Check {
    let mut refused = None;
    for sandbox in settings(limit) {
        match held(&sandbox.clone().require(limit), limit) {
            Ok(mechanism) => return Check::works(name(limit), mechanism.name()),
            // Among several devices, prefer the error of one that could be limited.
            Err(error) if refused.is_none() || error.kind() == ErrorKind::LimitUnavailable => {
                refused = Some((sandbox, error))
            }
            Err(_) => {}
        }
    }
    let Some((sandbox, error)) = refused else {
        return Check::missing(name(limit), &lost(limit, "there is nothing that it could limit"));
    };
    match held(&sandbox, limit) {
        Ok(mechanism) => Check::weaker(name(limit), mechanism.name(), "").blame(&error),
        Err(error) => Check::missing(name(limit), &error),
    }
}

/// The mechanism that enforces the limit in a sandbox that sets it.
fn held(sandbox: &Sandbox, limit: Limit) -> Result<Mechanism> {
    let outcome = probe::run(sandbox)?;
    outcome.enforced.mechanism(limit).ok_or_else(|| lost(limit, "the command ran without it"))
}

fn lost(limit: Limit, why: &str) -> Error {
    Error::new(ErrorKind::LimitUnavailable, format!("limit {limit}")).because(why)
}

/// Sandboxes that set only this limit, far above what the probe needs. There are several if the
/// result depends on the host's devices.
fn settings(limit: Limit) -> Vec<Sandbox> {
    let sandbox = probe::smallest();
    let set = match limit {
        Limit::Memory => sandbox.memory(MiB(256)),
        // The swap limit is added to the memory limit, and means nothing without it.
        Limit::Swap => sandbox.memory(MiB(256)).swap(MiB(16)),
        Limit::CpuTime => sandbox.cpu_time(Duration::from_secs(1)),
        Limit::Cpus => sandbox.cpus(0.5),
        Limit::CpuWeight => sandbox.cpu_weight(50),
        Limit::CpuSet => sandbox.cpu_set([processor()]),
        Limit::Pids => sandbox.pids(64),
        Limit::Io => {
            return devices()
                .into_iter()
                .map(|path| sandbox.clone().io(Io::new(path).read_bytes(MiB(64))))
                .collect();
        }
        Limit::WallTime => sandbox.wall_time(Duration::from_secs(2)),
        Limit::Output => sandbox.output(MiB(1)),
        // A burst means nothing without a quota.
        Limit::CpuBurst => sandbox.cpus(0.5).cpu_burst(Duration::from_millis(10)),
    };
    vec![set]
}

/// A processor that the caller may run on.
fn processor() -> u32 {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok();
    let first = allowed
        .and_then(|set| (0..CpuSet::count()).find(|number| set.is_set(*number).unwrap_or(false)));
    first.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// The devices on which input and output may be limited: the one of the root, and the first whole
/// disks.
fn devices() -> Vec<PathBuf> {
    const ENOUGH: usize = 3;
    let disks =
        fs::read_dir("/sys/class/block").into_iter().flatten().flatten().filter_map(|disk| {
            let (node, about) = (Path::new("/dev").join(disk.file_name()), disk.path());
            let empty =
                fs::read_to_string(about.join("size")).is_ok_and(|sectors| sectors.trim() == "0");
            (node.exists() && !empty && !about.join("partition").exists()).then_some(node)
        });
    let mut disks: Vec<PathBuf> = disks.collect();
    disks.sort();
    disks.truncate(ENOUGH);
    disks.insert(0, "/".into());
    disks
}
