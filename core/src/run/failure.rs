//! From what the kernel and the warden say to an error that names cause and remedy.

mod start;

use crate::base::error::{Error, ErrorKind};
use crate::base::step::Step;
use crate::host::cgroup::Counters;
use crate::host::image::Image;
use crate::host::launch;
use crate::plan::idmap::Mapping;
use crate::plan::{Label, Plan};
use crate::policy::seccomp::Syscall;
use crate::policy::{Namespace, Policy};
use crate::run::command::Command;
use crate::wire::message::{Report, reason};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A start that failed for want of memory in a cgroup that holds the limit: the limit is the cause,
/// and whatever the kernel said of it (a killed process, ENOMEM, E2BIG from execve) only a symptom.
pub fn under_memory_limit(error: Error, limit: Option<u64>, counters: &Counters) -> Error {
    // A limit that may not be set, because more is in use, is as good as met.
    let symptom = match error.raw_os_error() {
        Some(libc::EBUSY) => true,
        Some(libc::ENOMEM | libc::E2BIG) => counters.memory_met,
        _ => false,
    };
    let Some(bytes) = limit.filter(|_| symptom || counters.killed_at_limit()) else { return error };
    Error::new(ErrorKind::HostLimit, format!("start the command in {bytes} bytes of memory"))
        .because("the limit memory leaves too little for it to start")
        .errno(libc::ENOMEM)
        .hint("raise the limit memory: the sandbox itself takes less than 2 MiB, and a program what it takes")
}

/// The launch itself failed: nothing of ours runs.
pub fn of_launch(failure: launch::LaunchFailure, image: &Image, policy: &Policy) -> Error {
    why_not_launched(failure, image, policy).during(Step::Launch)
}

fn why_not_launched(failure: launch::LaunchFailure, image: &Image, policy: &Policy) -> Error {
    match failure {
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
            let error = Error::new(ErrorKind::Setup, "execute the warden from memory").errno(errno);
            match sysctl("vm/memfd_noexec").as_deref() {
                Some("2") => error.hint(
                    "vm.memfd_noexec=2 forbids it: install the warden at a path and name that (Sandbox::warden or SECLUDE_WARDEN)",
                ),
                _ if errno == libc::EACCES || errno == libc::ENOENT => error.hint(
                    "a security module forbids it: install the warden at a path and name that (Sandbox::warden or SECLUDE_WARDEN)",
                ),
                _ => error,
            }
        }
    }
}

/// No new warden came of it: a namespace could not be entered, or the others not made.
pub fn of_birth(errno: i32, kind: u64, policy: &Policy) -> Error {
    let Some(kind) = Namespace::ALL.iter().find(|known| known.flag() == kind) else {
        return of_clone(errno, policy).during(Step::Launch);
    };
    let error =
        Error::new(ErrorKind::NamespacesDenied, format!("enter the {kind} namespace")).errno(errno);
    let error = error.during(Step::Join);
    match (errno, kind) {
        (libc::EPERM, Namespace::User) => error.hint(
            "setns(2) takes CAP_SYS_ADMIN in it, which root has, and in the user namespace that it was made in the user who made it: start as that user there, or as root",
        ),
        (libc::EPERM, _) => {
            error.hint("it takes CAP_SYS_ADMIN over it and where one comes from: join its user namespace, too, or start as root")
        }
        (libc::EINVAL, Namespace::Pid) => error.hint("only a process tree within the caller's own can be entered"),
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

/// Why a user namespace is refused to this process.
fn why_denied() -> String {
    if sysctl("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return "kernel.unprivileged_userns_clone is 0: set it to 1 (sysctl)".into();
    }
    if sysctl("user/max_user_namespaces").as_deref() == Some("0") {
        return NO_USER_NAMESPACES.into();
    }
    if sysctl("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return APPARMOR.into();
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("Seccomp:") && !line.ends_with('0')) {
        return "a seccomp filter of the surrounding container forbids it: allow clone with namespace flags there".into();
    }
    "the caller is in a chroot, or its own user or group id is not mapped, or a security module forbids it".into()
}

const NO_USER_NAMESPACES: &str =
    "user.max_user_namespaces is 0: raise it (sysctl), or allow nested sandboxes if this is one";

const PROCESSES: &str = "a limit on processes is reached: RLIMIT_NPROC (ulimit -u), pids.max of the caller's cgroup, or kernel.pid_max";

const APPARMOR: &str = "AppArmor grants user namespaces by executable only (kernel.apparmor_restrict_unprivileged_userns): install the warden with its profile and name its path (Sandbox::warden or SECLUDE_WARDEN)";

fn why_no_space() -> String {
    if sysctl("user/max_user_namespaces").as_deref() == Some("0") {
        return NO_USER_NAMESPACES.into();
    }
    let levels = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        Some(status.lines().find(|line| line.starts_with("NSpid:"))?.split_whitespace().count() - 1)
    });
    match levels {
        Some(levels @ 24..) => format!("namespaces nest at most 32 deep, and this process is {levels} deep"),
        _ => "a limit on namespaces is reached (user.max_*_namespaces), or they are nested 32 deep, the kernel's limit".into(),
    }
}

fn sysctl(name: &str) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}

/// There is no room for a descriptor.
pub fn of_descriptors(action: impl Into<String>, errno: i32) -> Error {
    Error::io(action, std::io::Error::from_raw_os_error(errno))
}

/// What the warden reports instead of a start.
/// `filters`: how many filters of the sandbox's own are loaded before those that the policy
/// brought.
pub fn of_report(report: &Report<'_>, plan: &Plan, command: &Command, filters: u32) -> Error {
    match *report {
        Report::Failed { stage, errno, detail, path, head } => {
            start::of_start(stage, errno, detail, path, head, command, filters).during(Step::Start)
        }
        _ => of_refusal(report, plan),
    }
}

/// What the warden reports instead of being ready.
pub fn of_refusal(report: &Report<'_>, plan: &Plan) -> Error {
    match *report {
        Report::Refused { step, errno, path, reason, call } => {
            of_step(step as usize, errno, path, (reason, call), plan)
        }
        Report::Locked { errno, .. } => {
            Error::new(ErrorKind::LimitUnavailable, "enter the sandbox's cgroup").errno(errno)
        }
        _ => Error::new(ErrorKind::WardenLost, "read the warden's report")
            .because("it is out of turn"),
    }
}

/// A step of the plan failed.
fn of_step(step: usize, errno: i32, path: &[u8], (reason, call): (u32, i32), plan: &Plan) -> Error {
    let Some(label) = plan.labels.get(step) else {
        let error = Error::new(ErrorKind::Setup, "begin the set-up").errno(errno);
        return match errno {
            libc::EPERM | libc::ENOSYS | libc::EACCES => error
                .because("a seccomp filter or security module around the caller refuses kill(2), by which limits are held")
                .hint("allow kill(2) there"),
            _ => error,
        };
    };
    let action = match path {
        [] => label.action.clone(),
        path => format!("{} ({})", label.action, String::from_utf8_lossy(path)),
    };
    if matches!(errno, libc::EMFILE | libc::ENFILE) {
        let error = of_descriptors(action, errno).during(label.step);
        return error.position(step + 1, plan.labels.len());
    }
    let place = label.source.as_ref().or(label.at.as_ref());
    let at = |error: Error| {
        let error = error.during(label.step).position(step + 1, plan.labels.len());
        place.map_or(error.clone(), |path| error.at(path))
    };
    if let Some(error) = of_reason(reason, call, errno, &action, place.map(PathBuf::as_path)) {
        return at(error);
    }
    if errno == libc::ENOENT
        && let Some((link, target)) = label.source.as_deref().and_then(dangling)
    {
        let (link, target) = (link.display(), target.display());
        return at(Error::new(ErrorKind::SourceMissing, action)
            .errno(errno)
            .because(format!("{link} is a symbolic link to {target}, which does not exist"))
            .hint("make what the link names, or bind it as optional"));
    }
    let (kind, hint) = explain(
        errno,
        label.source.as_deref(),
        label.at.as_deref(),
        label.step,
        plan.manner.mapping,
    );
    let hint = hint.or_else(|| unlike(label, plan).filter(|_| errno == libc::EINVAL));
    let error = at(Error::new(kind, action).errno(errno));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Why a bind may not be mounted at its place: the kernel puts no file on a directory, and no
/// directory on a file (move_mount(2)). What stands there, inside, the caller cannot see.
fn unlike(label: &Label, plan: &Plan) -> Option<String> {
    let at = label.at.as_deref()?.display();
    // The step that opened the source goes by the same name.
    let opened =
        plan.labels.iter().find(|other| other.action == label.action && other.source.is_some())?;
    let source = opened.source.as_deref()?;
    let (one, other) = if source.is_dir() { ("directory", "file") } else { ("file", "directory") };
    Some(format!(
        "{} is a {one}, and a {other} may stand at {at}: bind a {other} there, or the {one} elsewhere",
        source.display()
    ))
}

/// The first symbolic link on the way to `path` that leads to nothing, and its target. The source
/// of a bind is the caller's path, so the caller sees the same link.
fn dangling(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parents: Vec<&Path> = path.ancestors().collect();
    parents.reverse();
    let link = parents.into_iter().find(|part| part.is_symlink() && !part.exists())?;
    Some((link.to_owned(), fs::read_link(link).ok()?))
}

/// The warden has found out more than an error number.
fn of_reason(
    reason: u32,
    call: i32,
    errno: i32,
    action: &str,
    place: Option<&Path>,
) -> Option<Error> {
    let error = |kind: ErrorKind| Error::new(kind, action).errno(errno);
    let call = Syscall::new(call);
    match reason {
        reason::FILTER => Some(of_filter_around(error(ErrorKind::Unsupported), &call.to_string())),
        reason::ABSENT => Some(
            error(ErrorKind::Unsupported)
                .because(format!("this kernel, or the seccomp filter of a surrounding container, lacks {call}(2)"))
                .hint(format!("allow {call} in that container's seccomp profile, or use a newer kernel")),
        ),
        reason::NO_MOUNTS => Some(
            error(ErrorKind::NamespacesDenied).because("a Landlock domain or an LSM policy around the caller forbids mounts").hint(
                "start the caller outside that Landlock sandbox (Landlock lets nobody mount who is held to files), or change \
                     the security module's profile for it",
            ),
        ),
        reason::AUTOMOUNT => {
            let source = place.map_or_else(|| "the source".into(), |path| path.display().to_string());
            Some(
                error(ErrorKind::SourceUnreadable)
                    .because("an automount point, and what is mounted there does not reach the sandbox's mount namespace")
                    .hint(format!(
                        "mount it before the start (list {source}/), or make the mount it lies on shared (mount --make-shared)"
                    )),
            )
        }
        reason::NO_PROC => Some(
            error(ErrorKind::NamespacesDenied)
                .because("the caller's /proc cannot be written to, and no fresh one can be mounted")
                .hint("allow nested user namespaces (nested), or put nothing at /proc"),
        ),
        _ => None,
    }
}

/// A filter around the caller refuses a call for which there is no other way.
fn of_filter_around(error: Error, call: &str) -> Error {
    let hint = match call {
        "keyctl" => "allow keyctl in that container's seccomp profile, or have the sandbox's own filter refuse add_key, keyctl and request_key: then no keyring of its own is needed".to_owned(),
        call => format!("allow {call} in that container's seccomp profile"),
    };
    error
        .because(format!("the seccomp filter of a surrounding container refuses {call}(2)"))
        .hint(hint)
}

/// No descriptor of the caller's own process could be had.
pub fn of_own_descriptor(error: std::io::Error) -> Error {
    let action = "open a descriptor of the caller";
    match error.raw_os_error() {
        // The call itself knows neither error.
        Some(errno @ (libc::EPERM | libc::ENOSYS)) => {
            of_filter_around(Error::new(ErrorKind::Unsupported, action).errno(errno), "pidfd_open")
        }
        _ => Error::io(action, error),
    }
}

fn explain(
    errno: i32,
    source: Option<&Path>,
    at: Option<&Path>,
    step: Step,
    mapping: Mapping,
) -> (ErrorKind, Option<String>) {
    let readable = step == Step::CheckReadable;
    match (errno, source, at) {
        (libc::ENOMEM | libc::ENOSPC, _, _) => (ErrorKind::HostLimit, Some("out of memory, or a limit is reached (fs.mount-max, user.max_mnt_namespaces, kernel.keys.maxkeys)".into())),
        (libc::EFBIG, _, _) => (
            ErrorKind::HostLimit,
            Some("the caller's hard limit on the size of files holds for this one too: raise RLIMIT_FSIZE (ulimit -H -f) there".into()),
        ),
        (libc::EAGAIN, _, _) => (ErrorKind::HostLimit, Some(PROCESSES.into())),
        (libc::EBADE, _, _) => (
            ErrorKind::Setup,
            Some("the kernel tells other ids, privileges or filters than were set: a filter around the caller answers calls that it does not make".into()),
        ),
        (libc::EDQUOT, _, _) => (ErrorKind::HostLimit, Some("the user's quota of keys is used up: raise kernel.keys.maxkeys (kernel.keys.root_maxkeys for root), or have the sandbox's filter refuse add_key, keyctl and request_key: then no keyring of its own is needed".into())),
        (libc::ENOTDIR, Some(source), _) if step == Step::ShowEntries => {
            (ErrorKind::Invalid, Some(format!("{} is a file; a root is a directory that holds a system", source.display())))
        }
        (libc::ENOENT | libc::ENOTDIR, Some(source), _) => (ErrorKind::SourceMissing, Some(format!("{} does not exist, as the caller sees it; make it, or bind it as optional", source.display()))),
        (libc::ENODEV, _, _) if step == Step::OpenDevice => (ErrorKind::Setup, Some("the host's /dev does not hold that device there".into())),
        (libc::ELOOP, Some(source), _) => (ErrorKind::SourceMissing, Some(format!("a part of {} is a symbolic link, and is not to be followed (nofollow), or they lead in a circle", source.display()))),
        (libc::EACCES, Some(source), _) if readable => (ErrorKind::SourceUnreadable, Some(why_unreadable(source, mapping))),
        (libc::EACCES, Some(source), _) => (ErrorKind::SourceUnreadable, Some(format!("the caller may not reach {}", source.display()))),
        (libc::ELOOP, None, Some(at)) => (
            ErrorKind::Setup,
            Some(format!("links at {} lead into /proc, where each process finds another file (as /etc/mtab does), or in a circle: name another place, or make the directory of that link anew", at.display())),
        ),
        (libc::ENOENT | libc::EROFS, None, Some(at)) => {
            (ErrorKind::Setup, Some(format!("{} lies in a directory of the caller's, or a link there leads to what does not exist, and nothing is made in the caller's directories: make it there, or bind a directory that has it", at.display())))
        }
        (libc::ENOTDIR, None, Some(at)) => (ErrorKind::Setup, Some(format!("a part of {} is a file, or a file is bound where a directory is", at.display()))),
        (libc::EISDIR, None, Some(at)) => (ErrorKind::Setup, Some(format!("{} is a directory", at.display()))),
        (libc::EPERM, _, Some(at)) if at == Path::new("/proc") => (
            ErrorKind::NamespacesDenied,
            Some("a surrounding container masks parts of /proc, and the kernel then mounts no fresh one: start that container with an unmasked /proc, or that sandbox with nesting allowed".into()),
        ),
        (libc::EPERM | libc::EACCES, _, _) if sysctl("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") => (ErrorKind::NamespacesDenied, Some(APPARMOR.into())),
        (libc::EINVAL, _, _) if step == Step::CgroupNamespace => (ErrorKind::Unsupported, Some("this kernel has none: share the caller's (Namespace::Cgroup)".into())),
        (libc::ENOENT, _, _) if step == Step::OpenDevice => (ErrorKind::Setup, Some("the caller's /dev lacks it, as in a bare chroot: make it there, or mount a /dev".into())),
        (libc::EINVAL, _, _) if step == Step::BecomeUser => (ErrorKind::Setup, Some(why_not_mapped(mapping).into())),
        (libc::EBADMSG, _, _) => (ErrorKind::Setup, Some("other ids are mapped than were written, or /proc is not the kernel's own: mount a proc file system at /proc".into())),
        (libc::EINVAL, _, _) if step == Step::PivotRoot => (ErrorKind::Unsupported, Some("the caller's root is no mount point: it is in a chroot, or on the kernel's initial ramfs".into())),
        (libc::EOPNOTSUPP, _, _) if step == Step::Landlock => {
            (ErrorKind::Unsupported, Some("TCP ports are held by Landlock's ABI 4: Linux 6.7, with landlock among the security modules chosen at boot (lsm=), and no filter around the caller that hides it".into()))
        }
        (libc::EINVAL, _, _) if step == Step::SeccompFilter => {
            (ErrorKind::Unsupported, Some("this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)".into()))
        }
        (libc::ENOSYS, _, _) => (ErrorKind::Unsupported, Some("this kernel, or the filter of a surrounding container, lacks the call".into())),
        _ => (ErrorKind::Setup, None),
    }
}

/// Why the command may not read a file that the caller could open.
fn why_unreadable(source: &Path, mapping: Mapping) -> String {
    let source = source.display();
    match mapping {
        Mapping::Own => format!("the caller may not read it: let its user read {source}"),
        Mapping::Range { .. } | Mapping::Shared { .. } => format!(
            "the caller is privileged, so the command is another user outside: let others read {source} (chmod o+rX), or start as an unprivileged user"
        ),
        Mapping::Joined => format!(
            "outside, the command is the user that the joined user namespace maps its uid to: let that user read {source} (chmod o+rX), or choose the id that is the caller's own there (Sandbox::uid, Sandbox::gid)"
        ),
    }
}

/// Why the command cannot become its user.
fn why_not_mapped(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::Own | Mapping::Range { .. } | Mapping::Shared { .. } => {
            "that id is not mapped in the caller's own user namespace: choose others (Sandbox::host_ids)"
        }
        Mapping::Joined => {
            "the joined user namespace does not map that id: choose one that it maps (Sandbox::uid, Sandbox::gid)"
        }
    }
}

/// A thread of the caller's could not be started.
pub fn of_thread(action: &str, error: std::io::Error) -> Error {
    match error.raw_os_error() {
        Some(errno @ (libc::EAGAIN | libc::ENOMEM)) => Error::new(ErrorKind::HostLimit, action).errno(errno).hint(
            "a limit on processes and threads is reached: RLIMIT_NPROC (ulimit -u), pids.max of the caller's cgroup, or kernel.threads-max",
        ),
        _ => Error::io(action, error),
    }
}
