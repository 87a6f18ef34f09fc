//! Which ids inside are which outside. The command is never the host's root.

use crate::error::{Error, ErrorKind, Result};
use crate::policy::{HOST_IDS, Namespace, Policy};
use nix::unistd::{getegid, geteuid};
use std::fs;

/// How a sandbox's ids are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// The caller's own uid and gid, one each: all that an unprivileged process may map.
    Own,
    /// A range of host ids that are nobody's, written by a privileged caller.
    Range,
    /// None: the user namespace is the caller's.
    Shared,
    /// None: the user namespace exists, and has its map.
    Joined,
}

impl Mapping {
    /// What this caller can do for this policy.
    pub fn choose(policy: &Policy) -> Result<Mapping> {
        if policy.joined.contains(&Namespace::User) {
            return Ok(Mapping::Joined);
        }
        let privileged = may_set_ids();
        if !policy.private(Namespace::User) {
            if !privileged {
                return Err(Error::new(ErrorKind::NamespacesDenied, "share the user namespace").because(
                    "only a caller with CAP_SYS_ADMIN can make the other namespaces without a user namespace of their own",
                ));
            }
            return Ok(Mapping::Shared);
        }
        if privileged && maps_range(policy.host_ids) {
            let too_high = |id: u32| id >= HOST_IDS;
            for (what, id) in [("uid", policy.uid), ("gid", policy.gid)] {
                if too_high(id) {
                    return Err(Error::invalid(
                        format!("{what} {id}"),
                        format!("a privileged caller's sandbox maps the ids 0 to {}", HOST_IDS - 1),
                    ));
                }
            }
            return Ok(Mapping::Range);
        }
        if geteuid().is_root() && own_map().is_some_and(|map| map.stands_for_root(0)) {
            return Err(Error::new(ErrorKind::NamespacesDenied, format!("map the host ids from {}", policy.host_ids))
                .because("they are not mapped in the caller's user namespace, and the caller's own id is root outside")
                .hint("run as an unprivileged user, or choose host ids that /proc/self/uid_map covers"));
        }
        Ok(Mapping::Own)
    }

    /// The numbers by which the command's user and group are called inside.
    pub fn ids(self, policy: &Policy) -> (u32, u32) {
        match self {
            Mapping::Own | Mapping::Range | Mapping::Joined => (policy.uid, policy.gid),
            // Inside and outside are the same here; the number that would stand outside is the safe one.
            Mapping::Shared => (policy.outside(policy.uid), policy.outside(policy.gid)),
        }
    }

    /// Writes the maps of the process `pid`, which waits for it.
    pub fn write(policy: &Policy, pid: i32) -> Result<()> {
        for file in ["gid_map", "uid_map"] {
            let path = format!("/proc/{pid}/{file}");
            let line = format!("0 {} {HOST_IDS}\n", policy.host_ids);
            fs::write(&path, line).map_err(|error| {
                Error::new(
                    ErrorKind::NamespacesDenied,
                    format!("map the ids 0 to {} to host ids from {}", HOST_IDS - 1, policy.host_ids),
                )
                .errno(error.raw_os_error().unwrap_or(libc::EIO))
                .at(path)
            })?;
        }
        Ok(())
    }
}

/// Who a command of this policy is outside, in a user namespace that has been joined, as the map of the process `pid` in it says. Never the host's root.
pub fn outside(policy: &Policy, pid: i32) -> Result<(u32, u32)> {
    let of = |what: &str, id: u32| {
        let path = format!("/proc/{pid}/{what}_map");
        let map = Map::read(&path).ok_or_else(|| Error::new(ErrorKind::WardenLost, format!("read {path}")))?;
        map.outside(id.into()).ok_or_else(|| {
            Error::new(ErrorKind::Setup, format!("become {what} {id}"))
                .because("the joined user namespace does not map it")
                .at(path)
                .hint("choose an id that it maps: Sandbox::uid, Sandbox::gid")
        })
    };
    let (uid, gid) = (of("uid", policy.uid)?, of("gid", policy.gid)?);
    if uid == 0 && own_map().is_none_or(|map| map.stands_for_root(0)) {
        return Err(Error::new(ErrorKind::NamespacesDenied, format!("become uid {}", policy.uid))
            .because("in the joined user namespace that is the host's root")
            .hint("choose another user: Sandbox::uid"));
    }
    Ok((uid, gid))
}

/// The caller's ids, as its own user namespace calls them.
pub fn callers() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// Whether CAP_SETUID and CAP_SETGID are effective.
fn may_set_ids() -> bool {
    const CAP_SETGID: u32 = 6;
    const CAP_SETUID: u32 = 7;
    let bits = crate::sys::effective_capabilities();
    bits & (1 << CAP_SETUID) != 0 && bits & (1 << CAP_SETGID) != 0
}

/// A user namespace's map of user ids: (inside, outside, count), line by line.
struct Map(Vec<(u64, u64, u64)>);

impl Map {
    fn read(path: &str) -> Option<Map> {
        let text = fs::read_to_string(path).ok()?;
        let line = |line: &str| {
            let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
            Some((numbers.next()??, numbers.next()??, numbers.next()??))
        };
        Some(Map(text.lines().filter_map(line).collect()))
    }

    /// What `id` inside is outside.
    fn outside(&self, id: u64) -> Option<u32> {
        let (inside, outside, _) = self.0.iter().find(|(inside, _, length)| (*inside..inside + length).contains(&id))?;
        u32::try_from(outside + (id - inside)).ok()
    }

    fn covers(&self, first: u64, count: u64) -> bool {
        self.0.iter().any(|&(inside, _, length)| inside <= first && first + count <= inside + length)
    }
    /// Whether `id` inside is 0 outside.
    fn stands_for_root(&self, id: u64) -> bool {
        self.0.iter().any(|&(inside, outside, length)| inside <= id && id < inside + length && outside + (id - inside) == 0)
    }
}

fn own_map() -> Option<Map> {
    Map::read("/proc/self/uid_map")
}

fn maps_range(first: u32) -> bool {
    own_map().is_some_and(|map| map.covers(first.into(), HOST_IDS.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_knows_what_it_covers_and_who_is_root() {
        let map = Map(vec![(0, 1000, 1), (1, 100_000, 65536)]);
        assert!(map.covers(1, 65536) && !map.covers(0, 2));
        assert_eq!([0, 1, 65536, 65537].map(|id| map.outside(id)), [Some(1000), Some(100_000), Some(165_535), None]);
        assert!(!map.stands_for_root(0));
        assert!(Map(vec![(0, 0, u64::from(u32::MAX))]).stands_for_root(0));
    }
}
