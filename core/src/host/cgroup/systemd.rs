//! Gets a cgroup from systemd, for a caller whose own cgroup cannot be used. That is the usual case
//! in a session on a desktop or a server.
//!
//! Only systemd may move processes between the cgroups that it created. This module asks it over
//! D-Bus for a transient scope with `Delegate=yes`: the caller manages everything below the scope's
//! cgroup (org.freedesktop.systemd1(5), systemd.scope(5), systemd's CGROUP_DELEGATION). The
//! exchange starts no thread and keeps no connection. It ends within a fixed time whatever the bus
//! does, so a spawn never hangs on it.

use std::path::PathBuf;

#[cfg(feature = "systemd")]
mod bus;
#[cfg(feature = "systemd")]
mod message;
#[cfg(feature = "systemd")]
mod request;
#[cfg(all(test, feature = "systemd"))]
mod tests;

/// Why there is no scope, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemdRefusal {
    pub cause: String,
    pub hint: Option<String>,
    /// The error number, if the caller ran out of a resource.
    pub shortage: Option<i32>,
}

impl SystemdRefusal {
    fn new(cause: impl Into<String>) -> SystemdRefusal {
        SystemdRefusal { cause: cause.into(), hint: None, shortage: None }
    }

    #[cfg(feature = "systemd")]
    fn short(what: &str, errno: i32) -> SystemdRefusal {
        SystemdRefusal {
            shortage: Some(errno),
            ..SystemdRefusal::new(format!("{what}: {}", crate::base::error::describe(errno)))
        }
    }

    fn hint(self, hint: impl Into<String>) -> SystemdRefusal {
        SystemdRefusal { hint: Some(hint.into()), ..self }
    }
}

/// Asks the manager (the system's for uid 0, else the user's) for the scope `NAME.scope` that holds
/// the process `pid`. The process must have the caller's uid and pid namespace. Returns the scope's
/// cgroup relative to the root of the v2 hierarchy, as the caller sees it:
/// `/user.slice/…/NAME.scope`.
///
/// systemd removes the scope when its last process ends. A name consists of letters, digits and
/// `:-_.` (systemd.unit(5)).
///
/// # Errors
///
/// A [`SystemdRefusal`] if there is no manager, or if it does not create the scope in time.
#[cfg(feature = "systemd")]
pub fn scope(pid: u32, name: &str) -> Result<PathBuf, SystemdRefusal> {
    request::scope(pid, name)
}

/// Always refuses: this build does not include D-Bus.
#[cfg(not(feature = "systemd"))]
pub fn scope(_pid: u32, _name: &str) -> Result<PathBuf, SystemdRefusal> {
    Err(SystemdRefusal::new("asking systemd is not built in")
        .hint("build seclude with its feature `systemd`"))
}
