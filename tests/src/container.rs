//! Containers, imitated: a process with its own root, namespaces, masked `/proc`, read-only `/sys`,
//! few capabilities and a filter, as engines start them. Only root can do this, in namespaces of
//! the container's own. Nothing of the host changes.
//!
//! [`Container::command`] chains programs: `nsenter` enters a user namespace, `unshare` makes the
//! others, the program `container` of this crate makes the mounts and loads the filter, and
//! `setpriv` gives up what the container does not have.

pub mod engines;
pub mod filter;
pub mod mounts;

use crate::caller::Holder;
use filter::Filter;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;

/// The capabilities that engines leave to the root of a container.
const CAPABILITIES: &str = "-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,\
+setuid,+setfcap,+setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write";

/// The user of a container that is not its root.
pub const USER: u32 = 1000;

/// What a container has and lacks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Container {
    /// The filter around all its processes.
    pub filter: Option<Filter>,
    /// Whether parts of `/proc` are masked and others read-only.
    pub masked_proc: bool,
    /// Whether `/sys` is read-only.
    pub read_only_sys: bool,
    /// Whether the cgroups are read-only.
    pub read_only_cgroups: bool,
    /// Whether its root has CAP_SYS_ADMIN.
    pub admin: bool,
    /// Whether its processes have no_new_privs.
    pub no_new_privs: bool,
    /// The map of its user namespace: inside, outside, count. None: the host's user namespace.
    pub map: Option<(u32, u32, u32)>,
    /// An empty file that marks the container, such as `/.dockerenv`.
    pub marker: Option<String>,
    /// A variable of its environment.
    pub variable: Option<(String, String)>,
}

impl Container {
    /// A container without restrictions but its own root and namespaces.
    pub fn open() -> Container {
        Container {
            filter: None,
            masked_proc: false,
            read_only_sys: false,
            read_only_cgroups: false,
            admin: true,
            no_new_privs: false,
            map: None,
            marker: None,
            variable: None,
        }
    }

    /// A container as Docker starts it by default.
    pub fn docker() -> Container {
        Container {
            filter: Some(engines::docker(false)),
            masked_proc: true,
            read_only_sys: true,
            read_only_cgroups: true,
            admin: false,
            marker: Some("/.dockerenv".into()),
            ..Container::open()
        }
    }

    /// A container as Podman starts it by default for root.
    pub fn podman() -> Container {
        Container {
            filter: Some(engines::podman(false)),
            marker: Some("/run/.containerenv".into()),
            variable: Some(("container".into(), "podman".into())),
            ..Container::docker()
        }
    }

    /// Runs `then` with a command that runs the program `inside` in the container, as its root or
    /// as a user. The program `container` must lie beside it.
    pub fn command<T>(&self, as_root: bool, inside: &Path, then: impl FnOnce(Command) -> T) -> T {
        let enter = inside.with_file_name("container");
        let holder = self.map.map(|map| Holder::start(0, &[map]));
        let mut command = match &holder {
            Some(holder) => holder.as_root("unshare"),
            None => Command::new("unshare"),
        };
        command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]);
        command.args(["--ipc", "--uts", "--net", "--cgroup", "--"]).arg(enter);
        command.arg(serde_json::to_string(self).expect("plain data")).arg("setpriv");
        if !self.admin {
            command.args(["--bounding-set", CAPABILITIES]);
        }
        command.arg("--inh-caps=-all");
        if !as_root {
            let id = USER.to_string();
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        }
        if self.no_new_privs {
            command.arg("--no-new-privs");
        }
        command.arg("--").arg(inside).current_dir("/").env("HOME", "/tmp");
        if let Some((name, value)) = &self.variable {
            command.env(name, value);
        }
        then(command)
    }
}
