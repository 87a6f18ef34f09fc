//! A cgroup from systemd, for a caller whose own cgroup cannot be used: the usual session on a
//! desktop or a server.
//!
//! Only systemd may move processes between the cgroups it made. It is asked over D-Bus for a
//! transient scope with `Delegate=yes`: what lies below the scope's cgroup is ours
//! (org.freedesktop.systemd1(5), systemd.scope(5), systemd's CGROUP_DELEGATION). The conversation
//! starts no thread, keeps no connection, and ends within a fixed time whatever the bus does: a
//! spawn never hangs on it.

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
pub struct Refusal {
    pub cause: String,
    pub hint: Option<String>,
    /// The caller was short of something: the error number.
    pub shortage: Option<i32>,
}

impl Refusal {
    fn new(cause: impl Into<String>) -> Refusal {
        Refusal { cause: cause.into(), hint: None, shortage: None }
    }

    #[cfg(feature = "systemd")]
    fn short(what: &str, errno: i32) -> Refusal {
        Refusal {
            shortage: Some(errno),
            ..Refusal::new(format!("{what}: {}", crate::base::error::describe(errno)))
        }
    }

    fn hint(self, hint: impl Into<String>) -> Refusal {
        Refusal { hint: Some(hint.into()), ..self }
    }
}

/// Asks the manager (the system's for uid 0, else the user's) for the scope `NAME.scope` that holds
/// the process `pid`, which must be of the caller's uid and pid namespace. Returns its cgroup from
/// the root of the v2 hierarchy as the caller sees it: `/user.slice/…/NAME.scope`.
///
/// systemd removes the scope when no process is left in it. Names are of the letters, digits and
/// `:-_.` (systemd.unit(5)).
#[cfg(feature = "systemd")]
pub fn scope(pid: u32, name: &str) -> Result<PathBuf, Refusal> {
    request::scope(pid, name)
}

/// This build has no D-Bus.
#[cfg(not(feature = "systemd"))]
pub fn scope(_pid: u32, _name: &str) -> Result<PathBuf, Refusal> {
    Err(Refusal::new("asking systemd is not built in")
        .hint("build seclude with its feature `systemd`"))
}
