//! Checks the namespaces, one kind at a time; shared namespaces that need privileges or weaken a
//! guarantee; and nested sandboxes.

use super::Check;
use super::probe::{self, RunningProbe};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::outcome::Protection;
use crate::policy::{Clock, Namespace};
use crate::run::failure;
use crate::run::sandbox::Sandbox;
use crate::wire::message::Report;

pub fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = Namespace::ALL.iter().map(|kind| namespace(*kind)).collect();
    checks.extend([clocks(), shared_user(), shared_pid(), nested()]);
    checks
}

/// Checks a namespace of this kind. Beside it there are only the namespaces that a sandbox with its
/// own files needs: a mount namespace, and a user namespace in which to create it.
fn namespace(kind: Namespace) -> Check {
    let name = format!("namespace.{kind}");
    let own = [Namespace::User, Namespace::Mount, kind];
    let result = match probe::run(&only(&own, probe::smallest())) {
        // The mount namespace may be the cause. Without one there is nowhere to put the probe. But
        // a failed search for a program also proves that the set-up succeeded.
        Err(error) if kind == Namespace::User => {
            match only(&[kind], Sandbox::new()).command("/seclude-doctor/none").status() {
                Err(vain) if vain.kind() == ErrorKind::ProgramMissing => Ok(()),
                _ => Err(error),
            }
        }
        result => result.map(drop),
    };
    match result {
        Ok(()) => Check::works(name, ""),
        // A kernel that lacks the kind fails with EINVAL, which says nothing about the cause.
        Err(error) if matches!(error.kind(), ErrorKind::Setup | ErrorKind::Unsupported) => {
            Check::missing(name, &error).or_remedy(match kind {
                Namespace::Time => {
                    "Linux 5.6 has time namespaces (CONFIG_TIME_NS); without one the clocks are \
                    the caller's"
                }
                _ => "a kernel with namespaces of this kind, or share the caller's",
            })
        }
        Err(error) => Check::missing(name, &error),
    }
}

/// `sandbox` with only these namespaces of its own.
fn only(own: &[Namespace], sandbox: Sandbox) -> Sandbox {
    let shared =
        Namespace::ALL.iter().filter(|kind| !own.contains(kind) && **kind != Namespace::Time);
    let sandbox = shared.fold(sandbox, |sandbox, kind| sandbox.share(*kind));
    if own.contains(&Namespace::Time) { sandbox.unshare(Namespace::Time) } else { sandbox }
}

fn clocks() -> Check {
    const NAME: &str = "clock.offsets";
    let sandbox = Clock::ALL
        .iter()
        .fold(probe::smallest(), |sandbox, clock| sandbox.clock_offset(*clock, 3600));
    match probe::run(&sandbox) {
        Ok(_) => Check::works(NAME, "monotonic, boottime"),
        Err(error) if error.kind() == ErrorKind::Setup => {
            Check::missing(NAME, &error).or_remedy("Linux 5.6 has time namespaces (CONFIG_TIME_NS)")
        }
        Err(error) => Check::missing(NAME, &error),
    }
}

fn shared_user() -> Check {
    const NAME: &str = "share.user";
    match probe::run(&probe::smallest().share(Namespace::User).nested()) {
        Ok(_) => Check::works(NAME, "a sandbox without a user namespace of its own"),
        Err(error) if error.kind() == ErrorKind::NamespacesDenied => Check::missing(NAME, &error)
            .or_remedy("start as root, or leave the user namespace private"),
        Err(error) => Check::missing(NAME, &error),
    }
}

/// Checks what ends the processes of a sandbox without a pid namespace of its own.
fn shared_pid() -> Check {
    const NAME: &str = "share.pid";
    match probe::run(&probe::smallest().share(Namespace::Pid)) {
        Ok(outcome) if outcome.enforced.contains(Protection::KillByCgroup) => {
            Check::works(NAME, "a cgroup kills the processes inside")
        }
        Ok(_) => Check::weaker(
            NAME,
            "the warden ends what is inside",
            "no cgroup with cgroup.kill contains it: if the warden is killed from outside, the \
            processes inside go on",
        )
        .or_remedy(
            "leave the pid namespace private, or give the caller a delegated cgroup v2 (Linux \
            5.14): docs/limits.md",
        ),
        Err(error) => Check::missing(NAME, &error),
    }
}

fn nested() -> Check {
    const NAME: &str = "nested";
    match create_namespaces_inside() {
        Ok(()) => Check::works(NAME, "a sandbox starts within a sandbox"),
        Err(error) => Check::missing(NAME, &error),
    }
}

/// Has the program in a sandbox create the namespaces that a nested sandbox needs.
fn create_namespaces_inside() -> Result<()> {
    let sandbox = probe::smallest().nested();
    let kinds = [
        Namespace::User,
        Namespace::Mount,
        Namespace::Pid,
        Namespace::Net,
        Namespace::Ipc,
        Namespace::Uts,
    ];
    let flags = kinds.iter().fold(0, |flags, kind| flags | kind.flag());
    let running = RunningProbe::start_founder(&sandbox, flags)?;
    match running.receive()?.report()? {
        Report::Born { errno: 0, .. } => Ok(()),
        Report::Born { errno, kind, .. } => {
            Err(failure::of_warden_creation(errno, kind, sandbox.policy()))
        }
        _ => Err(Error::new(ErrorKind::WardenLost, "make namespaces within a sandbox")
            .because("it is not the expected report")),
    }
}
