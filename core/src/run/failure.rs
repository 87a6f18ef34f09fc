//! Turns errno values and the warden's reports into errors that name the cause and a remedy.

mod start;
mod step;
pub mod trees;

use crate::base::error::{Error, ErrorKind};
use crate::base::step::Step;
use crate::host::cgroup::Counters;
use crate::host::image::Image;
use crate::host::launch;
use crate::host::surroundings::{self, Need, of_absent_call, of_filter_around};
use crate::plan::Plan;
use crate::policy::{Namespace, Policy};
use crate::run::command::Command;
use crate::wire::message::Report;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Replaces the error of a start that failed because its cgroup's memory limit is too low. What the
/// kernel reported (a killed process, ENOMEM, E2BIG from execve) is only a symptom.
pub fn under_memory_limit(error: Error, limit: Option<u64>, counters: &Counters) -> Error {
    // EBUSY: the limit cannot be set because more memory is in use already.
    let symptom = match error.raw_os_error() {
        Some(libc::EBUSY) => true,
        Some(libc::ENOMEM | libc::E2BIG) => counters.memory_met,
        _ => false,
    };
    let Some(bytes) = limit.filter(|_| symptom || counters.killed_at_limit()) else { return error };
    Error::new(ErrorKind::HostLimit, format!("start the command in {bytes} bytes of memory"))
        .because("the limit memory leaves too little for it to start")
        .errno(libc::ENOMEM)
        .hint(
            "raise the limit memory: the sandbox itself takes less than 2 MiB, and a program what \
            it takes",
        )
}

/// The warden could not be launched.
pub fn of_launch(failure: launch::LaunchFailure, image: &Image, policy: &Policy) -> Error {
    why_not_launched(failure, image, policy).during(Step::Launch)
}

fn why_not_launched(failure: launch::LaunchFailure, image: &Image, policy: &Policy) -> Error {
    match failure {
        launch::LaunchFailure::Enter(error) => {
            let kind = Namespace::Net.flag();
            of_warden_creation(error.raw_os_error().unwrap_or(libc::EIO), kind, policy)
        }
        launch::LaunchFailure::Clone(error) => {
            of_clone(error.raw_os_error().unwrap_or(libc::EIO), policy)
        }
        launch::LaunchFailure::Execute(error) => {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let (_, path) = image.executable();
            if image.makes_namespaces() {
                let path = Path::new(OsStr::from_bytes(path.to_bytes()));
                return Error::new(
                    ErrorKind::Setup,
                    format!("execute the warden at {}", path.display()),
                )
                .errno(errno)
                .at(path)
                .hint("install it there (make install), or let the library use its own");
            }
            const ACTION: &str = "execute the warden from memory";
            if matches!(errno, libc::EPERM | libc::ENOSYS) {
                return surroundings::of_refused_call(error, ACTION, "execveat");
            }
            let error = Error::new(ErrorKind::Setup, ACTION).errno(errno);
            match sysctl("vm/memfd_noexec").as_deref() {
                Some("2") => error.hint(
                    "vm.memfd_noexec=2 forbids it: install the warden at a path and name that \
                    (Sandbox::warden or SECLUDE_WARDEN)",
                ),
                _ if errno == libc::EACCES || errno == libc::ENOENT => error.hint(
                    "a security module forbids it: install the warden at a path and name that \
                    (Sandbox::warden or SECLUDE_WARDEN)",
                ),
                _ => error,
            }
        }
    }
}

/// No new warden was created: a namespace could not be entered, or the new ones could not be made.
pub fn of_warden_creation(errno: i32, kind: u64, policy: &Policy) -> Error {
    let Some(kind) = Namespace::ALL.iter().find(|known| known.flag() == kind) else {
        return of_clone(errno, policy).during(Step::Launch);
    };
    let error =
        Error::new(ErrorKind::NamespacesDenied, format!("enter the {kind} namespace")).errno(errno);
    let error = error.during(Step::Join);
    match (errno, kind) {
        (libc::EPERM, Namespace::User) => error.hint(
            "setns(2) takes CAP_SYS_ADMIN in it, which root has, and in the user namespace that it \
            was made in the user who made it: start as that user there, or as root",
        ),
        (libc::EPERM, _) => error.hint(
            "it takes CAP_SYS_ADMIN over it and where one comes from: join its user namespace, \
            too, or start as root",
        ),
        (libc::EINVAL, Namespace::Pid) => {
            error.hint("only a process tree within the caller's own can be entered")
        }
        (libc::ENOMEM, Namespace::Pid) => error
            .of_kind(ErrorKind::NamespacesDenied)
            .because("its first process has ended, and no other can be started in it"),
        _ => error,
    }
}

/// The namespaces could not be made.
pub fn of_clone(errno: i32, policy: &Policy) -> Error {
    let kinds: Vec<_> = Namespace::ALL
        .iter()
        .filter(|kind| {
            policy.private(**kind) && !matches!(**kind, Namespace::Time | Namespace::Cgroup)
        })
        .map(|kind| kind.name())
        .collect();
    let action = format!("make namespaces ({})", kinds.join(", "));
    let (kind, hint) = match errno {
        libc::EMFILE | libc::ENFILE | libc::ETOOMANYREFS => return of_descriptors(action, errno),
        libc::EPERM => (ErrorKind::NamespacesDenied, Some(why_denied())),
        libc::ENOSYS => {
            return of_absent_call(
                Error::new(ErrorKind::Unsupported, action).errno(errno),
                "clone",
            );
        }
        libc::ENOSPC | libc::EUSERS => (ErrorKind::HostLimit, Some(why_no_space())),
        libc::EAGAIN => (ErrorKind::HostLimit, Some(PROCESSES.into())),
        libc::ENOMEM => (
            ErrorKind::HostLimit,
            Some(
                "the kernel has no memory for it, or the caller's pid namespace has lost its init"
                    .into(),
            ),
        ),
        libc::EINVAL => (
            ErrorKind::Unsupported,
            Some("this kernel lacks one of these kinds, or the caller is in a chroot".into()),
        ),
        _ => (ErrorKind::Setup, None),
    };
    let error = Error::new(kind, action).errno(errno);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Why this process may not make a user namespace.
fn why_denied() -> String {
    if sysctl("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return "kernel.unprivileged_userns_clone is 0: set it to 1 (sysctl)".into();
    }
    if are_banned() {
        return NO_USER_NAMESPACES.into();
    }
    if sysctl("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return APPARMOR.into();
    }
    if surroundings::is_filtered() {
        return format!(
            "a seccomp filter of the surrounding container forbids it: allow clone with namespace \
            flags there{}",
            surroundings::advice(&[Need::Filter])
        );
    }
    "the caller is in a chroot, or its own user or group id is not mapped, or a security module \
    forbids it"
        .into()
}

const NO_USER_NAMESPACES: &str =
    "user.max_user_namespaces is 0: raise it (sysctl), or allow nested sandboxes if this is one";

const PROCESSES: &str = "a limit on processes is reached: RLIMIT_NPROC (ulimit -u), pids.max of \
the caller's cgroup, or kernel.pid_max";

const APPARMOR: &str = "AppArmor grants user namespaces by executable only \
(kernel.apparmor_restrict_unprivileged_userns): install the warden with its profile (sudo seclude \
doctor --fix) and name its path (Sandbox::warden or SECLUDE_WARDEN)";

/// Whether a sandbox could not be started because the host denies namespaces. A limit of 0 denies
/// them, where any other may have room again.
pub fn is_denial(error: &Error) -> bool {
    let banned = || {
        matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EUSERS))
            && error.step_kind() == Some(Step::Launch)
            && are_banned()
    };
    error.kind() == ErrorKind::NamespacesDenied || banned()
}

fn are_banned() -> bool {
    sysctl("user/max_user_namespaces").as_deref() == Some("0")
}

fn why_no_space() -> String {
    if are_banned() {
        return NO_USER_NAMESPACES.into();
    }
    let levels = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        Some(status.lines().find(|line| line.starts_with("NSpid:"))?.split_whitespace().count() - 1)
    });
    match levels {
        Some(levels @ 24..) => {
            format!("namespaces nest at most 32 deep, and this process is {levels} deep")
        }
        _ => "a limit on namespaces is reached (user.max_*_namespaces), or they are nested 32 \
        deep, the kernel's limit"
            .into(),
    }
}

fn sysctl(name: &str) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}

/// There is no free descriptor.
pub fn of_descriptors(action: impl Into<String>, errno: i32) -> Error {
    Error::io(action, std::io::Error::from_raw_os_error(errno))
}

/// The error for what the warden reports in place of a start. `filters`: how many filters of the
/// sandbox's own are loaded before those of [`Sandbox::seccomp_bpf`](crate::Sandbox::seccomp_bpf).
pub fn of_report(report: &Report<'_>, plan: &Plan, command: &Command, filters: u32) -> Error {
    match *report {
        Report::Failed { stage, errno, detail, path, head } => {
            let error = start::of_start(stage, errno, detail, path, head, command, filters);
            let error = error.during(Step::Start);
            if plan.confined && error.kind() == ErrorKind::ProgramNotExecutable {
                return error.hint(OUT_OF_REACH);
            }
            error
        }
        _ => of_refusal(report, plan),
    }
}

const OUT_OF_REACH: &str = "set its execute bit; without namespaces Landlock lets a command execute \
the host's programs alone, and what the policy binds at the host's own path";

/// The error for what the warden reports in place of being ready.
pub fn of_refusal(report: &Report<'_>, plan: &Plan) -> Error {
    match *report {
        Report::Refused { step, errno, path, reason, call } => {
            step::of_step(step as usize, errno, path, (reason, call), plan)
        }
        Report::CgroupRefused { errno, .. } => {
            Error::new(ErrorKind::LimitUnavailable, "enter the sandbox's cgroup").errno(errno)
        }
        _ => Error::new(ErrorKind::WardenLost, "read the warden's report")
            .because("it is out of turn"),
    }
}

/// The caller could not open a pidfd of its own process.
pub fn of_own_descriptor(error: std::io::Error) -> Error {
    let action = "open a descriptor of the caller";
    match error.raw_os_error() {
        // pidfd_open(2) itself returns neither error, so a filter does.
        Some(errno @ (libc::EPERM | libc::ENOSYS)) => {
            of_filter_around(Error::new(ErrorKind::Unsupported, action).errno(errno), "pidfd_open")
        }
        _ => Error::io(action, error),
    }
}
