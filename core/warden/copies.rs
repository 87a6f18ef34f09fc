//! What a template keeps for its copies: the network namespaces that it lends them, and their mount
//! namespaces until it has time to release them.

use crate::networks::{LentNetwork, Networks};
use crate::sys::{self, Fd};
use crate::wire::message::Report;

/// How many mount namespaces are kept at one time. Further copies release their mounts themselves.
const KEPT: usize = 32;

pub struct Copies {
    pub networks: Networks,
    mounts: [Option<CopyMounts>; KEPT],
}

/// The mount namespace of a copy.
///
/// The last process to leave a mount namespace waits for an RCU grace period when it ends. A caller
/// that waits for this end waits as well. So the template holds on to the namespace and releases it
/// later.
struct CopyMounts {
    _namespace: Fd,
    /// The process id of the copy while it lives.
    user: Option<i32>,
}

impl CopyMounts {
    fn is_left(&self) -> bool {
        self.user.is_none()
    }
}

impl Copies {
    pub const fn new() -> Copies {
        Copies { networks: Networks::new(), mounts: [const { None }; KEPT] }
    }

    /// Records a new copy.
    pub fn born(&mut self, pid: i32, pidfd: &Fd, lent: LentNetwork) {
        self.networks.lend(lent, pid);
        if let Some(place) = self.mounts.iter_mut().find(|place| place.is_none()) {
            // This fails before Linux 6.11, or without a free descriptor. The copy then waits at
            // its end.
            *place = sys::mount_namespace_of(pidfd)
                .ok()
                .map(|namespace| CopyMounts { _namespace: namespace, user: Some(pid) });
        }
    }

    /// Records that a child has been reaped.
    pub fn reaped(&mut self, pid: i32) {
        self.networks.reaped(pid);
        if let Some(mounts) =
            self.mounts.iter_mut().flatten().find(|mounts| mounts.user == Some(pid))
        {
            mounts.user = None;
        }
    }

    /// Whether something of a copy that has ended is still to be released or checked.
    pub fn has_leftover(&self) -> bool {
        self.networks.has_leftover() || self.mounts.iter().flatten().any(CopyMounts::is_left)
    }

    /// Handles one thing that is left: networks first, because the next copy needs one.
    pub fn tidy_one(&mut self) {
        if self.networks.has_leftover() {
            self.networks.tidy_one();
        } else if let Some(place) =
            self.mounts.iter_mut().find(|place| place.as_ref().is_some_and(CopyMounts::is_left))
        {
            *place = None;
        }
    }

    /// The report on the network namespaces.
    pub fn report(&self) -> Report<'static> {
        self.networks.report()
    }
}
