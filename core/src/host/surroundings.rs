//! The container or service around the caller, and its settings that let sandboxes start.
//!
//! Errors and the doctor name these settings. A container is recognised by what its engine leaves
//! for this purpose. Nothing else depends on it, so a caller that pretends to be in another
//! container gets the wrong hint and no other right. If nothing is recognised, or two engines at a
//! time, no setting is named.

mod change;

pub use change::Need;

use crate::base::error::{Error, ErrorKind};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What surrounds the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surroundings {
    Docker,
    Podman,
    Kubernetes,
    /// A container of LXC, LXD or Incus.
    Lxc,
    Nspawn,
    /// A service of systemd, outside of containers: the name of its unit.
    Service(String),
}
use Surroundings::{Docker, Kubernetes, Lxc, Nspawn, Podman, Service};

impl Surroundings {
    /// What surrounds this process, if it is known for certain.
    pub fn recognised() -> Option<Surroundings> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Surroundings::of(&Evidence {
            variable: &|name| std::env::var(name).ok(),
            exists: &|path| Path::new(path).exists(),
            manager: read("/run/systemd/container"),
            cgroups: read("/proc/self/cgroup"),
            initial: INITIAL.iter().all(|(kind, inode)| {
                fs::metadata(format!("/proc/self/ns/{kind}"))
                    .is_ok_and(|namespace| namespace.ino() == *inode)
            }),
        })
    }

    fn of(evidence: &Evidence<'_>) -> Option<Surroundings> {
        let variable = |name: &str| (evidence.variable)(name).unwrap_or_default();
        let paths = || evidence.cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let within = |part: &str| paths().any(|path| path.contains(part));
        let service = || {
            // systemd sets the variable for each service, whose processes are in the unit's cgroup.
            let unit = paths().find_map(|path| path.split('/').find(|part| is_service(part)))?;
            (!variable("INVOCATION_ID").is_empty()).then(|| Service(unit.to_owned()))
        };
        // A host may be made of a container's image, and then has its marker.
        if evidence.initial {
            return service();
        }
        if !variable("KUBERNETES_SERVICE_HOST").is_empty() || within("/kubepods") {
            return Some(Kubernetes);
        }
        let mut found = Vec::new();
        for name in [variable("container"), evidence.manager.trim().to_owned()] {
            found.push(match name.as_str() {
                "docker" => Docker,
                "podman" => Podman,
                "lxc" => Lxc,
                "systemd-nspawn" => Nspawn,
                // `oci` and others are said by several engines.
                _ => continue,
            });
        }
        for (engine, signs) in [
            (Docker, [(evidence.exists)("/.dockerenv"), within("/docker/"), within("/docker-")]),
            (Podman, [(evidence.exists)("/run/.containerenv"), within("/libpod-"), false]),
            (Lxc, [within("/lxc.payload"), within("/lxc/"), false]),
        ] {
            if signs.contains(&true) {
                found.push(engine);
            }
        }
        found.dedup();
        match found.as_slice() {
            [one] => Some(one.clone()),
            [] if evidence.manager.trim().is_empty() && variable("container").is_empty() => {
                service()
            }
            _ => None,
        }
    }

    /// A name for people and programs.
    pub fn name(&self) -> &str {
        match self {
            Docker => "docker",
            Podman => "podman",
            Kubernetes => "kubernetes",
            Lxc => "lxc",
            Nspawn => "systemd-nspawn",
            Service(unit) => unit,
        }
    }
}

/// A unit of the system's manager. Sessions and the manager of a user are not confined.
fn is_service(part: &str) -> bool {
    part.ends_with(".service") && !part.starts_with("user@")
}

/// What [`Surroundings::of`] judges by.
struct Evidence<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    exists: &'a dyn Fn(&str) -> bool,
    /// What systemd, as the container's first process, was told about its container.
    manager: String,
    /// The caller's cgroups, as `/proc/self/cgroup` has them.
    cgroups: String,
    /// Whether the caller is in the namespaces in which the kernel starts.
    initial: bool,
}

/// Kinds of namespaces of which each container has at least one, and the fixed inodes of those in
/// which the kernel starts (linux/nsfs.h).
const INITIAL: [(&str, u64); 3] =
    [("pid", 0xefff_fffc), ("ipc", 0xefff_ffff), ("uts", 0xefff_fffe)];

/// The text for a hint: how the recognised surroundings grant this. Empty if they are unknown.
pub fn advice(needs: &[Need]) -> String {
    let change = Surroundings::recognised().and_then(|found| found.change(needs));
    change.map_or_else(String::new, |change| format!(": {change}"))
}

/// A seccomp filter around the caller refuses a call that has no replacement.
pub fn of_filter_around(error: Error, call: &str) -> Error {
    let advice = advice(&[Need::Filter]);
    let hint = match call {
        "keyctl" => format!(
            "have the sandbox's own filter refuse add_key, keyctl and request_key, as all profiles \
            but nested and unconfined do: then no keyring of its own is needed. Or allow keyctl in \
            that container's seccomp profile{advice}"
        ),
        call => format!("allow {call} in that container's seccomp profile{advice}"),
    };
    error
        .because(format!("the seccomp filter of a surrounding container refuses {call}(2)"))
        .hint(hint)
}

/// A call has failed that the kernel makes for everybody, if it has it. With EPERM or ENOSYS, a
/// filter refuses it or the kernel lacks it.
pub fn of_refused_call(error: std::io::Error, action: &str, call: &str) -> Error {
    match error.raw_os_error() {
        Some(errno @ libc::EPERM) => {
            of_filter_around(Error::new(ErrorKind::Unsupported, action).errno(errno), call)
        }
        Some(errno @ libc::ENOSYS) => {
            of_absent_call(Error::new(ErrorKind::Unsupported, action).errno(errno), call)
        }
        _ => Error::io(action, error),
    }
}

/// The answer to a call is ENOSYS, by the kernel or by a filter.
pub fn of_absent_call(error: Error, call: &str) -> Error {
    let advice = advice(&[Need::Filter]);
    error
        .because(format!(
            "this kernel, or the seccomp filter of a surrounding container, lacks {call}(2)"
        ))
        .hint(format!(
            "allow {call} in that container's seccomp profile, or use a newer kernel{advice}"
        ))
}

/// Whether a seccomp filter is around this thread.
pub fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Seccomp:") && !line.ends_with('0'))
}

/// Whether something is mounted upon a part of `/proc`. The kernel then lets no user namespace
/// mount another one (mount_namespaces(7)).
pub fn proc_is_masked() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(4).is_some_and(|place| place.starts_with("/proc/")))
}

/// Whether AppArmor confines this process.
pub fn is_confined_by_apparmor() -> bool {
    let label = fs::read_to_string("/proc/self/attr/apparmor/current")
        .or_else(|_| fs::read_to_string("/proc/self/attr/current"))
        .unwrap_or_default();
    label.trim_end().ends_with("(enforce)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], files: &[&str], manager: &str, cgroups: &str) -> String {
        judged(variables, files, manager, cgroups, false)
    }

    fn judged(
        variables: &[(&str, &str)],
        files: &[&str],
        manager: &str,
        cgroups: &str,
        initial: bool,
    ) -> String {
        let evidence = Evidence {
            variable: &|name| {
                let mut known = variables.iter();
                known.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            },
            exists: &|path| files.contains(&path),
            manager: manager.into(),
            cgroups: cgroups.into(),
            initial,
        };
        Surroundings::of(&evidence).map_or("none".into(), |found| found.name().to_owned())
    }

    #[test]
    fn each_engine_is_recognised_by_what_it_leaves() {
        let of_files = |files: &[&str]| found(&[], files, "", "0::/\n");
        assert_eq!(of_files(&[]), "none");
        assert_eq!(of_files(&["/.dockerenv"]), "docker");
        assert_eq!(of_files(&["/run/.containerenv"]), "podman");
        let of_cgroups = |cgroups: &str| found(&[], &[], "", cgroups);
        assert_eq!(of_cgroups("12:pids:/docker/0123\n0::/docker/0123\n"), "docker");
        assert_eq!(of_cgroups("0::/system.slice/docker-0123.scope\n"), "docker");
        assert_eq!(of_cgroups("0::/machine.slice/libpod-0123.scope\n"), "podman");
        assert_eq!(of_cgroups("0::/lxc.payload.box/init.scope\n"), "lxc");
        assert_eq!(
            of_cgroups("0::/kubepods.slice/kubepods-pod1.slice/cri-x.scope\n"),
            "kubernetes"
        );
        let of_variables = |variables: &[(&str, &str)]| found(variables, &[], "", "0::/\n");
        assert_eq!(of_variables(&[("container", "podman")]), "podman");
        assert_eq!(of_variables(&[("container", "lxc")]), "lxc");
        assert_eq!(of_variables(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]), "kubernetes");
        assert_eq!(found(&[], &[], "systemd-nspawn\n", ""), "systemd-nspawn");
        let service = "0::/system.slice/judge.service/main\n";
        assert_eq!(found(&[("INVOCATION_ID", "1")], &[], "", service), "judge.service");
    }

    #[test]
    fn doubt_names_nobody() {
        // Two engines, another one, a session, and a service without its variable.
        assert_eq!(found(&[], &["/.dockerenv", "/run/.containerenv"], "", ""), "none");
        assert_eq!(found(&[("container", "lxc")], &["/.dockerenv"], "", ""), "none");
        assert_eq!(found(&[("container", "oci")], &[], "", "0::/system.slice/x.service"), "none");
        assert_eq!(found(&[("INVOCATION_ID", "1")], &[], "wsl", "0::/a.slice/x.service"), "none");
        let session = "0::/user.slice/user-0.slice/user@0.service/app.slice\n";
        assert_eq!(found(&[("INVOCATION_ID", "1")], &[], "", session), "none");
        assert_eq!(found(&[], &[], "", "0::/system.slice/judge.service\n"), "none");
        // A virtual machine that was made of an image.
        assert_eq!(judged(&[("container", "docker")], &["/.dockerenv"], "", "0::/", true), "none");
        let service = "0::/system.slice/judge.service\n";
        assert_eq!(
            judged(&[("INVOCATION_ID", "1")], &["/.dockerenv"], "", service, true),
            "judge.service"
        );
    }
}
