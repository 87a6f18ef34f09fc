//! The settings of each engine, as commands to paste.

use super::Surroundings::{self, Docker, Kubernetes, Lxc, Nspawn, Podman, Service};

/// Something that the surroundings do not grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A seccomp filter that allows the set-up.
    Filter,
    /// A `/proc` without masks, so that a sandbox gets one of its own.
    Proc,
    /// A security module that allows mounts.
    Mounts,
    /// Cgroups that the caller may write to.
    Cgroups,
}

/// Writes the profile where the engine reads it.
const PROFILE: &str = "seclude doctor --seccomp-profile";

impl Surroundings {
    /// The smallest change of the surroundings that grants all of these, as a command. None if
    /// there is no such setting, or none that is known.
    pub fn change(&self, needs: &[Need]) -> Option<String> {
        match self {
            Docker => self.start("docker", needs),
            Podman => self.start("podman", needs),
            Kubernetes => pod(needs),
            // One setting covers all that LXC's own filter and AppArmor's profile refuse.
            Lxc if !needs.contains(&Need::Cgroups) => Some(
                "incus config set NAME security.nesting=true (lxc config set, with LXD)".into(),
            ),
            Lxc | Nspawn => None,
            Service(unit) => Some(drop_in(unit, needs)),
        }
    }

    /// A command that starts the container with further options.
    fn start(&self, engine: &str, needs: &[Need]) -> Option<String> {
        let options: Vec<&str> = needs.iter().map(|need| self.option(*need)).collect();
        let profile = if needs.contains(&Need::Filter) {
            format!("{PROFILE} >seclude.json; ")
        } else {
            String::new()
        };
        Some(format!("{profile}{engine} run {} IMAGE", options.join(" ")))
    }

    fn option(&self, need: Need) -> &'static str {
        match (need, *self == Podman) {
            (Need::Filter, _) => "--security-opt seccomp=seclude.json",
            (Need::Proc, false) => "--security-opt systempaths=unconfined",
            (Need::Proc, true) => "--security-opt unmask=ALL",
            (Need::Mounts, _) => "--security-opt apparmor=unconfined",
            (Need::Cgroups, false) => "--cgroupns private --security-opt writable-cgroups=true",
            (Need::Cgroups, true) => "--cgroupns private --security-opt unmask=/sys/fs/cgroup",
        }
    }
}

/// A patch of the pods of a deployment. The profile must lie on each node.
fn pod(needs: &[Need]) -> Option<String> {
    let mut pod = Vec::new();
    let mut context = Vec::new();
    for need in needs {
        match need {
            Need::Filter => context
                .push(r#""seccompProfile":{"type":"Localhost","localhostProfile":"seclude.json"}"#),
            Need::Proc => {
                // The API server takes `Unmasked` only with a user namespace of the pod's own.
                pod.push(r#""hostUsers":false"#);
                context.push(r#""procMount":"Unmasked""#);
            }
            Need::Mounts => context.push(r#""appArmorProfile":{"type":"Unconfined"}"#),
            // The node's container runtime decides.
            Need::Cgroups => return None,
        }
    }
    let profile = if needs.contains(&Need::Filter) {
        format!("{PROFILE} >/var/lib/kubelet/seccomp/seclude.json on each node; ")
    } else {
        String::new()
    };
    pod.push(r#""containers":[{"name":"CONTAINER","securityContext":{"#);
    let (pod, context) = (pod.join(","), context.join(","));
    Some(format!(
        r#"{profile}kubectl patch deployment NAME -p '{{"spec":{{"template":{{"spec":{{{pod}{context}}}}}]}}}}}}}}'"#
    ))
}

/// A command that writes settings of a service.
fn drop_in(unit: &str, needs: &[Need]) -> String {
    let lines: Vec<&str> = needs
        .iter()
        .map(|need| match need {
            Need::Filter => r"SystemCallFilter=\nRestrictNamespaces=no",
            Need::Proc => {
                r"ProtectKernelTunables=no\nProtectKernelLogs=no\nProtectControlGroups=no\nProcSubset=all"
            }
            Need::Mounts => "AppArmorProfile=",
            Need::Cgroups => "Delegate=yes",
        })
        .collect();
    let lines = lines.join(r"\n");
    format!(
        r"mkdir -p /etc/systemd/system/{unit}.d && printf '[Service]\n{lines}\n' >/etc/systemd/system/{unit}.d/seclude.conf && systemctl daemon-reload && systemctl restart {unit}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [Need; 2] = [Need::Filter, Need::Proc];

    #[test]
    fn an_engine_gets_its_own_options_and_no_more() {
        let change = |needs: &[Need]| [Docker, Podman].map(|engine| engine.change(needs).unwrap());
        assert_eq!(
            change(&[Need::Proc]),
            [
                "docker run --security-opt systempaths=unconfined IMAGE",
                "podman run --security-opt unmask=ALL IMAGE",
            ]
        );
        assert_eq!(
            change(&START)[0],
            "seclude doctor --seccomp-profile >seclude.json; docker run --security-opt \
            seccomp=seclude.json --security-opt systempaths=unconfined IMAGE"
        );
    }

    #[test]
    fn the_patch_of_a_pod_is_json() {
        for needs in [&START[..], &[Need::Proc], &[Need::Filter], &[Need::Mounts]] {
            let change = Kubernetes.change(needs).unwrap();
            let patch = change.split('\'').nth(1).unwrap_or_else(|| panic!("{change}"));
            let patch: serde_json::Value =
                serde_json::from_str(patch).unwrap_or_else(|error| panic!("{error}: {patch}"));
            let pod = &patch["spec"]["template"]["spec"];
            let context = &pod["containers"][0]["securityContext"];
            assert_eq!(pod["hostUsers"] == false, needs.contains(&Need::Proc), "{change}");
            assert_eq!(context["procMount"] == "Unmasked", needs.contains(&Need::Proc), "{change}");
            let localhost = context["seccompProfile"]["type"] == "Localhost";
            assert_eq!(localhost, needs.contains(&Need::Filter), "{change}");
        }
    }

    #[test]
    fn what_no_setting_is_known_for_is_not_guessed() {
        assert_eq!(Nspawn.change(&START), None);
        assert_eq!(Lxc.change(&[Need::Cgroups]), None);
        assert_eq!(Kubernetes.change(&[Need::Cgroups]), None);
        let service = Service("judge.service".into()).change(&[Need::Cgroups]).unwrap();
        assert!(service.contains("judge.service.d/seclude.conf"), "{service}");
    }
}
