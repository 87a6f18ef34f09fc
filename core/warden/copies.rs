//! What a template keeps of its copies: the networks that it lends them, and their mount
//! namespaces, until it has time to let go of those.

use crate::networks::{Lent, Networks};
use crate::sys::{self, Fd};
use crate::wire::message::Report;

/// Of so many at a time. Who comes then takes its mounts along when it ends.
const KEPT: usize = 32;

pub struct Copies {
    pub networks: Networks,
    mounts: [Option<Mounts>; KEPT],
}

/// A copy's mount namespace. Who is the last in one waits, when it ends, until every processor has
/// passed a quiet moment (RCU), and a caller that waits for that end, too. So the template is the
/// last.
struct Mounts {
    _namespace: Fd,
    /// The copy's number while it lives.
    user: Option<i32>,
}

impl Mounts {
    fn is_left(&self) -> bool {
        self.user.is_none()
    }
}

impl Copies {
    pub const fn new() -> Copies {
        Copies { networks: Networks::new(), mounts: [const { None }; KEPT] }
    }

    /// One has been made.
    pub fn born(&mut self, pid: i32, pidfd: &Fd, lent: Lent) {
        self.networks.lend(lent, pid);
        if let Some(place) = self.mounts.iter_mut().find(|place| place.is_none()) {
            // Before Linux 6.11, or without a number left for the descriptor, it ends as it would
            // without us.
            *place = sys::mount_namespace_of(pidfd)
                .ok()
                .map(|namespace| Mounts { _namespace: namespace, user: Some(pid) });
        }
    }

    /// A child has been reaped.
    pub fn reaped(&mut self, pid: i32) {
        self.networks.reaped(pid);
        if let Some(mounts) =
            self.mounts.iter_mut().flatten().find(|mounts| mounts.user == Some(pid))
        {
            mounts.user = None;
        }
    }

    /// Whether something of one that has ended is still to be looked after.
    pub fn has_leftover(&self) -> bool {
        self.networks.has_leftover() || self.mounts.iter().flatten().any(Mounts::is_left)
    }

    /// Looks after one thing: a network first, which the next copy needs.
    pub fn tidy_one(&mut self) {
        if self.networks.has_leftover() {
            self.networks.tidy_one();
        } else if let Some(place) =
            self.mounts.iter_mut().find(|place| place.as_ref().is_some_and(Mounts::is_left))
        {
            *place = None;
        }
    }

    /// What has become of the networks.
    pub fn report(&self) -> Report<'static> {
        self.networks.report()
    }
}
