//! Why a step of the set-up failed.

use super::trees;
use super::{APPARMOR, PROCESSES, of_absent_call, of_descriptors, of_filter_around, sysctl};
use crate::base::error::{Error, ErrorKind};
use crate::base::step::Step;
use crate::host::surroundings::{self, Need};
use crate::plan::idmap::Mapping;
use crate::plan::{Label, Plan};
use crate::policy::seccomp::Syscall;
use crate::wire::message::reason;
use std::fs;
use std::path::{Path, PathBuf};

/// A step of the plan failed.
pub fn of_step(
    step: usize,
    errno: i32,
    path: &[u8],
    (reason, call): (u32, i32),
    plan: &Plan,
) -> Error {
    let Some(label) = plan.labels.get(step) else {
        let error = Error::new(ErrorKind::Setup, "begin the set-up").errno(errno);
        return match errno {
            libc::EPERM | libc::ENOSYS | libc::EACCES => error
                .because(
                    "a seccomp filter or security module around the caller refuses kill(2), by \
                    which limits are held",
                )
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
    let hint = hint.or_else(|| type_mismatch(label, plan).filter(|_| errno == libc::EINVAL));
    let error = at(Error::new(kind, action).errno(errno));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Why a bind cannot be mounted at its place. The kernel mounts no file on a directory and no
/// directory on a file (move_mount(2)). The caller cannot see what is at that place inside, but it
/// can see which of the two the source is.
fn type_mismatch(label: &Label, plan: &Plan) -> Option<String> {
    let at = label.at.as_deref()?.display();
    // The step that opened the source has the same action text, and knows the source's path.
    let opened =
        plan.labels.iter().find(|other| other.action == label.action && other.source.is_some())?;
    let source = opened.source.as_deref()?;
    let (one, other) = if source.is_dir() { ("directory", "file") } else { ("file", "directory") };
    Some(format!(
        "{} is a {one}, and a {other} may stand at {at}: bind a {other} there, or the {one} \
        elsewhere",
        source.display()
    ))
}

/// The first dangling symbolic link on the way to `path`, and its target. The source of a bind is a
/// path of the caller's, so the caller sees the same link.
fn dangling(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parents: Vec<&Path> = path.ancestors().collect();
    parents.reverse();
    let link = parents.into_iter().find(|part| part.is_symlink() && !part.exists())?;
    Some((link.to_owned(), fs::read_link(link).ok()?))
}

/// The error if the warden has found out more than the errno says.
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
        reason::ABSENT => Some(of_absent_call(error(ErrorKind::Unsupported), &call.to_string())),
        reason::NO_MOUNTS => Some(
            error(ErrorKind::NamespacesDenied)
                .because("a Landlock domain or an LSM policy around the caller forbids mounts")
                .hint(format!(
                    "start the caller outside that Landlock sandbox (Landlock lets nobody mount \
                    who is held to files), or change the security module's profile for it{}",
                    if surroundings::is_confined_by_apparmor() {
                        surroundings::advice(&[Need::Mounts])
                    } else {
                        String::new()
                    }
                )),
        ),
        reason::AUTOMOUNT => {
            let source =
                place.map_or_else(|| "the source".into(), |path| path.display().to_string());
            Some(
                error(ErrorKind::SourceUnreadable)
                    .because(
                        "an automount point, and what is mounted there does not reach the \
                        sandbox's mount namespace",
                    )
                    .hint(format!(
                        "mount it before the start (list {source}/), or make the mount it lies on \
                        shared (mount --make-shared)"
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

/// The kind of error, and a hint, for what the kernel returned. `source` is a path of the caller's,
/// `at` a path inside. The first arm that matches decides, so the special cases come first.
fn explain(
    errno: i32,
    source: Option<&Path>,
    at: Option<&Path>,
    step: Step,
    mapping: Mapping,
) -> (ErrorKind, Option<String>) {
    let readable = step == Step::CheckReadable;
    match (errno, source, at) {
        (libc::ENOMEM | libc::ENOSPC, _, _) => (
            ErrorKind::HostLimit,
            Some(
                "out of memory, or a limit is reached (fs.mount-max, user.max_mnt_namespaces, \
                kernel.keys.maxkeys)"
                    .into(),
            ),
        ),
        (libc::EFBIG, _, _) => (
            ErrorKind::HostLimit,
            Some(
                "the caller's hard limit on the size of files holds for this one too: raise \
                RLIMIT_FSIZE (ulimit -H -f) there"
                    .into(),
            ),
        ),
        (libc::EAGAIN, _, _) => (ErrorKind::HostLimit, Some(PROCESSES.into())),
        _ if step == Step::Overlay => trees::explain(errno),
        (libc::EBADE, _, _) => (
            ErrorKind::Setup,
            Some(
                "the kernel tells other ids, privileges or filters than were set: a filter around \
                the caller answers calls that it does not make"
                    .into(),
            ),
        ),
        (libc::EDQUOT, _, _) => (
            ErrorKind::HostLimit,
            Some(
                "the user's quota of keys is used up: raise kernel.keys.maxkeys \
                (kernel.keys.root_maxkeys for root), or have the sandbox's filter refuse add_key, \
                keyctl and request_key: then no keyring of its own is needed"
                    .into(),
            ),
        ),
        (libc::ENOTDIR, Some(source), _) if step == Step::ShowEntries => (
            ErrorKind::Invalid,
            Some(format!(
                "{} is a file; a root is a directory that holds a system",
                source.display()
            )),
        ),
        (libc::ENOENT | libc::ENOTDIR, Some(source), _) => (
            ErrorKind::SourceMissing,
            Some(format!(
                "{} does not exist, as the caller sees it; make it, or bind it as optional",
                source.display()
            )),
        ),
        (libc::ENODEV, _, _) if step == Step::OpenDevice => (
            ErrorKind::Setup,
            Some("the host's /dev does not hold that device there".into()),
        ),
        (libc::ELOOP, Some(source), _) => (
            ErrorKind::SourceMissing,
            Some(format!(
                "a part of {} is a symbolic link, and is not to be followed (nofollow), or they \
                lead in a circle",
                source.display()
            )),
        ),
        (libc::EACCES, Some(source), _) if readable => {
            (ErrorKind::SourceUnreadable, Some(why_unreadable(source, mapping)))
        }
        (libc::EACCES, Some(source), _) => (
            ErrorKind::SourceUnreadable,
            Some(format!("the caller may not reach {}", source.display())),
        ),
        (libc::ELOOP, None, Some(at)) => (
            ErrorKind::Setup,
            Some(format!(
                "links at {} lead into /proc, where each process finds another file (as /etc/mtab \
                does), or in a circle: name another place, or make the directory of that link anew",
                at.display()
            )),
        ),
        (libc::ENOENT | libc::EROFS, None, Some(at)) => (
            ErrorKind::Setup,
            Some(format!(
                "{} lies in a directory of the caller's, or a link there leads to what does not \
                exist, and nothing is made in the caller's directories: make it there, or bind a \
                directory that has it",
                at.display()
            )),
        ),
        (libc::ENOTDIR, None, Some(at)) => (
            ErrorKind::Setup,
            Some(format!(
                "a part of {} is a file, or a file is bound where a directory is",
                at.display()
            )),
        ),
        (libc::EISDIR, None, Some(at)) => {
            (ErrorKind::Setup, Some(format!("{} is a directory", at.display())))
        }
        (libc::EPERM, _, Some(at)) if at == Path::new("/proc") => {
            (ErrorKind::NamespacesDenied, Some(masked_proc()))
        }
        (libc::EPERM, _, _) if step == Step::ProcessView && surroundings::proc_is_masked() => {
            (ErrorKind::NamespacesDenied, Some(masked_proc()))
        }
        (libc::EPERM | libc::EACCES, _, _)
            if sysctl("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") =>
        {
            (ErrorKind::NamespacesDenied, Some(APPARMOR.into()))
        }
        (libc::EPERM, _, _) if step == Step::MapIds && nix::unistd::geteuid().is_root() => (
            ErrorKind::NamespacesDenied,
            Some(
                "since Linux 5.12 only a process with CAP_SETFCAP maps its user id 0: start as \
                another user, or outside of a surrounding sandbox"
                    .into(),
            ),
        ),
        (libc::EINVAL, _, _) if step == Step::CgroupNamespace => (
            ErrorKind::Unsupported,
            Some("this kernel has none: share the caller's (Namespace::Cgroup)".into()),
        ),
        (libc::EINVAL, _, _) if step == Step::Proc => (
            ErrorKind::Unsupported,
            Some("proc_subset needs Linux 5.8: leave it out".into()),
        ),
        (libc::ENOENT, _, _) if step == Step::OpenDevice => (
            ErrorKind::Setup,
            Some(
                "the caller's /dev lacks it, as in a bare chroot: make it there, or mount a /dev"
                    .into(),
            ),
        ),
        (libc::EINVAL, _, _) if step == Step::BecomeUser => {
            (ErrorKind::Setup, Some(why_not_mapped(mapping).into()))
        }
        (libc::EBADMSG, _, _) => (
            ErrorKind::Setup,
            Some(
                "other ids are mapped than were written, or /proc is not the kernel's own: mount a \
                proc file system at /proc"
                    .into(),
            ),
        ),
        (libc::EINVAL, _, _) if step == Step::PivotRoot => (
            ErrorKind::Unsupported,
            Some(
                "the caller's root is no mount point: it is in a chroot, or on the kernel's \
                initial ramfs"
                    .into(),
            ),
        ),
        (libc::EOPNOTSUPP, _, _) if step == Step::Landlock => (
            ErrorKind::Unsupported,
            Some(
                "TCP ports are held by Landlock's ABI 4: Linux 6.7, with landlock among the \
                security modules chosen at boot (lsm=), and no filter around the caller that hides \
                it"
                    .into(),
            ),
        ),
        (libc::EINVAL, _, _) if step == Step::SeccompFilter => (
            ErrorKind::Unsupported,
            Some("this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)".into()),
        ),
        (libc::ENOSYS, _, _) => (
            ErrorKind::Unsupported,
            Some("this kernel, or the filter of a surrounding container, lacks the call".into()),
        ),
        _ => (ErrorKind::Setup, None),
    }
}

/// A fresh proc cannot be mounted, for a sandbox or to sample its processes.
fn masked_proc() -> String {
    format!(
        "a surrounding container masks parts of /proc, and the kernel then mounts no fresh one: \
        start that container with an unmasked /proc, or that sandbox with nesting allowed{}",
        surroundings::advice(&[Need::Proc])
    )
}

/// Why the command may not read a file that the caller could open.
fn why_unreadable(source: &Path, mapping: Mapping) -> String {
    let source = source.display();
    match mapping {
        Mapping::Own | Mapping::Same | Mapping::Unchanged { .. } => {
            format!("the caller may not read it: let its user read {source}")
        }
        Mapping::Subordinate(_) => format!(
            "the command is a subordinate user of the caller's: let others read {source} (chmod \
            o+rX), or make the command the caller's own user, by the uid and gid 0"
        ),
        Mapping::Range { .. } | Mapping::Shared { .. } => format!(
            "the caller is privileged, so the command is another user outside: let others read \
            {source} (chmod o+rX), or start as an unprivileged user"
        ),
        Mapping::Joined => format!(
            "outside, the command is the user that the joined user namespace maps its uid to: let \
            that user read {source} (chmod o+rX), or choose the id that is the caller's own there \
            (Sandbox::uid, Sandbox::gid)"
        ),
    }
}

/// Why the command cannot become its user.
fn why_not_mapped(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::Own
        | Mapping::Same
        | Mapping::Unchanged { .. }
        | Mapping::Range { .. }
        | Mapping::Subordinate(_)
        | Mapping::Shared { .. } => {
            "that id is not mapped in the caller's own user namespace: choose others \
            (Sandbox::host_ids)"
        }
        Mapping::Joined => {
            "the joined user namespace does not map that id: choose one that it maps \
            (Sandbox::uid, Sandbox::gid)"
        }
    }
}
