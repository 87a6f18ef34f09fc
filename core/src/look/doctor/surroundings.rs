//! Checks the container or service around the caller: which it is, what it does not grant, and the
//! smallest change of it that lets sandboxes start.

use super::{Check, probe};
use crate::base::error::{Error, ErrorKind};
use crate::base::step::Step;
use crate::host::surroundings::{self, Need, Surroundings};
use crate::policy::{Limit, MiB};
use crate::run::sandbox::Sandbox;

pub fn check() -> Check {
    const NAME: &str = "surroundings";
    let found = Surroundings::recognised();
    let detail = found.as_ref().map_or("none that is known", Surroundings::name).to_owned();
    let (needs, cause) = match probe::run(&probe::within(Sandbox::new())) {
        Err(error) => needs_of_start(&error),
        Ok(_) => needs_of_limits(),
    };
    // The other checks tell what is missing elsewhere.
    let Some(found) = found.filter(|_| !needs.is_empty()) else {
        return Check::works(NAME, detail);
    };
    let check = Check::weaker(NAME, detail, cause);
    match found.change(&needs) {
        Some(change) => check.or_remedy(&change),
        None => check,
    }
}

/// What the default sandbox needs, after this error of its start.
///
/// Each obstacle hides the next: a sandbox that cannot have a `/proc` of its own does not come to
/// the calls after that. So the masks of `/proc` are read, and another sandbox does without it.
fn needs_of_start(error: &Error) -> (Vec<Need>, String) {
    let mut needs = Vec::new();
    let mut causes = Vec::new();
    let masked = surroundings::proc_is_masked();
    let other = match error.step_kind() {
        Some(Step::Proc) if masked => {
            let without = Sandbox::new().nested().tmpfs("/proc", MiB(1));
            probe::run(&probe::within(without)).err()
        }
        _ => Some(error.clone()),
    };
    if let Some(other) = other {
        let by_filter =
            other.step_kind() == Some(Step::Launch) || other.kind() == ErrorKind::Unsupported;
        if surroundings::is_filtered() && by_filter {
            needs.push(Need::Filter);
            causes.push("its seccomp filter refuses calls of the set-up");
        }
        if surroundings::is_confined_by_apparmor() && other.kind() != ErrorKind::HostLimit {
            needs.push(Need::Mounts);
            causes.push("its AppArmor profile may refuse mounts");
        }
    }
    if masked {
        needs.push(Need::Proc);
        causes.push("it masks parts of /proc");
    }
    (needs, causes.join(", and "))
}

/// What exact limits need, where sandboxes start.
fn needs_of_limits() -> (Vec<Need>, String) {
    let limited = probe::smallest().memory(MiB(256)).require(Limit::Memory);
    match probe::run(&limited) {
        // For another user than root the engine's setting does not open the cgroups.
        Err(error)
            if error.raw_os_error() == Some(libc::EROFS) && nix::unistd::geteuid().is_root() =>
        {
            (vec![Need::Cgroups], "limits are sampled: its cgroups are read-only".to_owned())
        }
        _ => (Vec::new(), String::new()),
    }
}
