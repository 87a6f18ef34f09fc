//! User namespaces without processes, which the caller holds by descriptors.

use crate::base::error::Result;
use crate::base::kept::Kept;
use crate::host::enforce::Enforcement;
use crate::plan::idmap::{self, Mapping};
use crate::plan::{Manner, Part};
use crate::policy::{Namespace, Policy};
use crate::run::alive::Alive;
use crate::run::failure;
use crate::run::sandbox::Sandbox;
use crate::run::warden::Warden;
use crate::wire::plan::IdRange;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Makes a user namespace with this mapping. Returns it and a network namespace: a new one that
/// belongs to it, if `kinds` has that, and otherwise the caller's.
///
/// A warden makes them, maps the ids and ends.
pub fn make(kinds: &[Namespace], mapping: Mapping) -> Result<[OwnedFd; 2]> {
    let (uid, gid) = idmap::callers();
    let policy = Policy {
        share: Namespace::ALL.iter().copied().filter(|kind| !kinds.contains(kind)).collect(),
        uid,
        gid,
        as_caller: true,
        ..Policy::default()
    };
    let sandbox = Sandbox::from_policy(policy);
    let manner = Manner {
        part: Part::Network,
        mapping,
        admits: false,
        watches: false,
        in_cell: false,
        cgroups: Default::default(),
    };
    let plan = sandbox.compiled().plan(sandbox.policy(), manner)?;
    let warden = Warden::start(&sandbox, &plan, &mut Enforcement::default(), true, None, None)?;
    let lent = Alive::await_ready(&warden, &plan)?.descriptors;
    warden.end();
    lent.try_into().map_err(|_| {
        // The caller has no free number for them (unix(7), MSG_CTRUNC).
        failure::of_descriptors("receive namespaces", libc::EMFILE)
    })
}

/// The user namespace by which the files of the caller belong to a command, in an idmapped mount.
#[derive(Debug)]
pub struct FileOwner {
    users: Kept,
    owner: (u32, u32),
}

impl FileOwner {
    /// `owner`: the user and the group of the command, outside.
    pub fn new(owner: (u32, u32)) -> Result<FileOwner> {
        let (uid, gid) = idmap::callers();
        let one = |inside: u32, outside: u32| IdRange { inside, outside, count: 1 };
        let mapping = Mapping::Range { uids: one(uid, owner.0), gids: one(gid, owner.1) };
        let [users, _] = make(&[Namespace::User], mapping)?;
        Ok(FileOwner { users: users.into(), owner })
    }

    /// Whether it is this owner's, and the caller has left the descriptor open.
    pub fn is_of(&self, owner: (u32, u32)) -> bool {
        self.owner == owner && self.users.intact().is_some()
    }

    pub fn users(&self) -> Result<BorrowedFd<'_>> {
        self.users.get()
    }
}
