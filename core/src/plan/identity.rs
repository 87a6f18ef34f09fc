//! The steps that set clocks, ids and names.

use super::{Builder, Manner, Sources};
use crate::plan::idmap::Mapping;
use crate::plan::idmap::subordinate::Subordinate;
use crate::policy::seccomp::Tree;
use crate::policy::{Clock, Namespace, Policy, System, profile};
use crate::wire::codec::ListBuilder;
use crate::wire::plan::{IdRange, Step};
use std::path::Path;

impl Builder {
    pub(super) fn admission(&mut self, manner: Manner) {
        if manner.awaits() || !self.trees.is_empty() {
            self.push(
                Step::Await { trees: self.trees.len() as u32 },
                "have the caller map the ids and move the warden into its cgroups",
            );
        }
    }

    pub(super) fn view(&mut self, policy: &Policy, manner: Manner) {
        if manner.watches {
            let own = policy.private(Namespace::Mount) && !policy.share.contains(&Namespace::Pid);
            let alone = policy.private(Namespace::Pid);
            self.push(Step::Watch { own, alone }, "keep a view of the processes inside");
        }
        if manner.tree(policy) == Tree::Cell {
            self.push(
                Step::ReservePids {},
                "keep process ids for the wardens of commands that enter",
            );
        }
    }

    /// Writes the id maps that the warden writes itself, and checks all maps of the sandbox's own
    /// user namespace.
    pub(super) fn maps(&mut self, policy: &Policy, mapping: Mapping) {
        let Policy { uid, gid, .. } = *policy;
        match mapping {
            Mapping::Own => {
                self.push(
                    Step::MapOwnIds { uid, gid },
                    format!("map the caller's ids to uid {uid} and gid {gid}"),
                );
                let line = |inside: u32| [IdRange { inside, outside: 0, count: 1 }];
                self.check_maps(&line(uid), &line(gid), true);
            }
            // The caller or the template wrote these maps while the warden waited.
            Mapping::Range { uids, gids } => {
                self.check_maps(&[uids], &[gids], false);
            }
            Mapping::Subordinate(ids) => self.check_maps(
                &Subordinate::lines(ids.own.0, ids.uids),
                &Subordinate::lines(ids.own.1, ids.gids),
                false,
            ),
            // The caller has already read the map of an existing namespace, to choose or check the
            // command's ids. The warden could not compare it: from inside the namespace, the outer
            // ids in the map are those of the parent namespace, not those of the caller.
            Mapping::Shared { .. } | Mapping::Unchanged { .. } | Mapping::Joined => {}
            // No command runs behind these.
            Mapping::Same => {}
        }
    }

    fn check_maps(&mut self, uids: &[IdRange], gids: &[IdRange], own: bool) {
        let list = |lines: &[IdRange]| {
            let mut list = ListBuilder::new(Vec::new());
            lines.iter().for_each(|line| list.push(line));
            list
        };
        let (uids, gids) = (list(uids), list(gids));
        let step = Step::CheckMaps { uids: uids.list(), gids: gids.list(), own };
        self.push(step, "check the id maps of the sandbox");
    }

    pub(super) fn push_user(&mut self, policy: &Policy, mapping: Mapping) {
        let (uid, gid) = mapping.ids(policy);
        if let Mapping::Unchanged { .. } = mapping {
            return self.push(Step::KeepUser { uid, gid }, "stay the caller's user");
        }
        let mut groups = ListBuilder::new(Vec::new());
        policy.groups.iter().flatten().for_each(|group| groups.push(group));
        // Without a map of the caller's choice, setgroups(2) is denied. `Mapping::choose` has then
        // refused every list that the command's groups would differ from.
        let exact = policy.groups.is_some() && mapping != Mapping::Own;
        self.push(
            Step::BecomeUser { uid, gid, groups: groups.list(), exact },
            format!("become uid {uid} and gid {gid}"),
        );
    }

    pub(super) fn clocks(&mut self, policy: &Policy) {
        if policy.private(Namespace::Time) {
            let nanoseconds = |clock| {
                policy.clock_offsets.get(&clock).map_or(0, |seconds| seconds * 1_000_000_000)
            };
            let step = Step::TimeOffsets {
                monotonic: nanoseconds(Clock::Monotonic),
                boottime: nanoseconds(Clock::Boottime),
            };
            self.push(step, "make a time namespace and set its clocks");
        }
    }

    pub(super) fn identity(&mut self, policy: &Policy, mapping: Mapping, sources: &Sources) {
        self.maps(policy, mapping);
        self.push_user(policy, mapping);
        if mapping != Mapping::Own {
            let root = if let System::Root(root) = &policy.system { root } else { Path::new("/") };
            // A user that may not read the host's network configuration runs without it.
            let dispensable =
                |path: &Path| profile::NETWORK.iter().any(|name| Path::new(name) == path);
            let binds = sources.binds.iter().map(|(number, path)| (*number, path.as_path()));
            let binds = binds.filter(|(_, path)| !dispensable(path));
            for (source, path) in sources.system.iter().map(|number| (*number, root)).chain(binds) {
                self.push(
                    Step::Readable { source },
                    format!("check that the command may read {}", path.display()),
                );
                self.name_source(path);
            }
        }
    }

    pub(super) fn names(&mut self, policy: &Policy) {
        if policy.private(Namespace::Cgroup) {
            self.push(Step::CgroupNamespace {}, "make a cgroup namespace");
        }
        if policy.private(Namespace::Uts) {
            let name = policy.hostname.as_deref().unwrap_or(profile::HOST_NAME);
            self.push(
                Step::HostName { name: name.as_bytes() },
                format!("set the host name {name}"),
            );
            if let Some(name) = &policy.domainname {
                self.push(
                    Step::DomainName { name: name.as_bytes() },
                    format!("set the domain name {name}"),
                );
            }
        }
    }

    pub(super) fn loopback(&mut self, policy: &Policy) {
        if policy.private(Namespace::Net) {
            self.push(Step::Loopback {}, "bring up the loopback device");
        }
    }
}
