//! Chooses the host ids to which the ids inside are mapped, and writes the maps of a privileged
//! caller.
//!
//! Unless the policy says `as_caller`, the command never runs as the host's root. It then runs as
//! the caller's own user only if the caller may map no other id.
//!
//! The choice depends on the caller's maps, ids and capabilities. If any of them cannot be read,
//! the start fails. An unreadable map never counts as an empty one.

mod map;
pub mod subordinate;

use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{Ids, Namespace, Policy};
use crate::wire::plan::{IdRange, protection};
use map::{Map, MapKind};
use nix::unistd::{getegid, geteuid};
use std::fs::File;
use std::io::{self, Write};
use subordinate::Subordinate;

/// How a sandbox's ids are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// The caller's own uid and gid, one each. An unprivileged process may map no others.
    Own,
    /// Ranges of ids, in maps that a privileged caller writes.
    Range { uids: IdRange, gids: IdRange },
    /// The caller's own uid and gid as 0, and its subordinate ids, in maps that newuidmap(1)
    /// writes.
    Subordinate(Subordinate),
    /// Every id of the caller's user namespace, mapped to itself, in maps that a privileged caller
    /// writes. For the user namespace of a private network, in which no command runs.
    Same,
    /// No map: the sandbox shares the caller's user namespace, and the command changes to this user
    /// and group in it.
    Shared { uid: u32, gid: u32 },
    /// No map: the sandbox has no namespaces, and the command stays the caller's user.
    Unchanged { uid: u32, gid: u32 },
    /// No map: the sandbox joins a user namespace, which already has one.
    Joined,
}

impl Mapping {
    /// Chooses the mapping for this policy and caller.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if the caller may not map any suitable ids, `Invalid` if the policy's ids
    /// do not fit, and `Setup` or `Io` if the caller's maps or capabilities cannot be read.
    pub fn choose(policy: &Policy) -> Result<Mapping> {
        let mapping = match (Mapping::suitable(policy)?, policy.ids) {
            (Mapping::Own, Some(Ids::Range)) => Mapping::subordinate(policy)?,
            (Mapping::Own, Some(Ids::Auto)) => match Mapping::subordinate(policy) {
                // It has none, or they do not fit. Not: they cannot be read.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NamespacesDenied | ErrorKind::Invalid) =>
                {
                    Mapping::Own
                }
                mapping => mapping?,
            },
            (Mapping::Range { uids, gids }, Some(Ids::Single)) => {
                Mapping::Range { uids: one_of(uids, policy.uid), gids: one_of(gids, policy.gid) }
            }
            (mapping, _) => mapping,
        };
        mapping.check_groups(policy)?;
        Ok(mapping)
    }

    /// The ids that the caller may have mapped, although it has no privileges.
    fn subordinate(policy: &Policy) -> Result<Mapping> {
        let invalid =
            |what: String, why: &str, hint: &str| Err(Error::invalid(what, why).hint(hint));
        if policy.as_caller {
            let why = "the command is the caller's own user, which has one id alone";
            return invalid(
                "ids range".into(),
                why,
                "leave out as_caller, and set uid and gid to 0",
            );
        }
        if policy.has_given_network() {
            let why = "in a network of the caller's, an unprivileged caller's sandbox has one id";
            return invalid("ids range".into(), why, "leave out the network, or say auto");
        }
        let ids = Subordinate::of_caller()?;
        let checked = [
            ("uid", policy.uid, Subordinate::outside(ids.own.0, ids.uids, policy.uid), ids.uids),
            ("gid", policy.gid, Subordinate::outside(ids.own.1, ids.gids, policy.gid), ids.gids),
        ];
        for (what, id, outside, range) in checked {
            if outside.is_none() {
                let why =
                    format!("the caller's subordinate {what}s are 1 to {} inside", range.count);
                return invalid(format!("{what} {id}"), &why, "choose a lower one");
            }
        }
        Ok(Mapping::Subordinate(ids))
    }

    /// The mapping of the user namespace of a private network. Sandboxes below it can map the ids
    /// that they can map elsewhere.
    ///
    /// # Errors
    ///
    /// The caller's capabilities cannot be read.
    pub fn of_network() -> Result<Mapping> {
        Ok(if can_set_ids()? { Mapping::Same } else { Mapping::Own })
    }

    fn suitable(policy: &Policy) -> Result<Mapping> {
        if policy.joined.contains(&Namespace::User) {
            return Ok(Mapping::Joined);
        }
        let (privileged, private) = (can_set_ids()?, policy.private(Namespace::User));
        if !privileged && !private && policy.confined.is_none() {
            return Err(Error::new(ErrorKind::NamespacesDenied, "share the user namespace")
                .because("only a caller with CAP_SYS_ADMIN can make the other namespaces without a user namespace of their own"));
        }
        let (own_uid, own_gid) = callers();
        let (uid_map, gid_map) = (Map::of(MapKind::Uid, "self")?, Map::of(MapKind::Gid, "self")?);
        if private {
            // The kernel refuses to create a user namespace if the caller's ids are unmapped. An
            // empty map would otherwise look like a map without other ids.
            uid_map.require(own_uid)?;
            gid_map.require(own_gid)?;
        }
        if policy.as_caller {
            return Ok(match private {
                true => Mapping::Own,
                false if privileged => Mapping::Shared { uid: own_uid, gid: own_gid },
                false => Mapping::Unchanged { uid: own_uid, gid: own_gid },
            });
        }
        if privileged {
            let uids = uid_map.choose(policy, own_uid)?;
            let gids = gid_map.choose(policy, own_gid)?;
            match (uids, gids, private) {
                (Some(uids), Some(gids), true) => return Ok(Mapping::Range { uids, gids }),
                (Some(uids), Some(gids), false) => {
                    let (uid, gid) = (outside(uids, policy.uid), outside(gids, policy.gid));
                    return Ok(Mapping::Shared { uid, gid });
                }
                // Other users can be mapped, but the only group is the caller's own.
                (Some(uids), None, true) => {
                    return Ok(Mapping::Range {
                        uids,
                        gids: IdRange { inside: policy.gid, outside: own_gid, count: 1 },
                    });
                }
                (None, _, true) => {}
                (None, _, false) | (Some(_), None, false) if policy.confined.is_some() => {}
                (None, _, false) | (Some(_), None, false) => {
                    return Err(Error::new(ErrorKind::NamespacesDenied, "share the user namespace")
                        .because("it maps no other user and group than the caller's own, which the command must not be")
                        .hint("let the sandbox have a user namespace of its own, or map more ids in the caller's"));
                }
            }
        }
        if uid_map.outside(own_uid) == Some(0) {
            return Err(Error::new(ErrorKind::NamespacesDenied, "map the caller's own id")
                .because("it is root outside the caller's user namespace, and the caller may map no other id")
                .hint("start as an unprivileged user, or with CAP_SETUID and CAP_SETGID where /proc/self/uid_map has more ids"));
        }
        Ok(match policy.confined {
            Some(_) => Mapping::Unchanged { uid: own_uid, gid: own_gid },
            None => Mapping::Own,
        })
    }

    /// Checks that the command can have exactly the supplementary groups that it names.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if it cannot.
    fn check_groups(self, policy: &Policy) -> Result<()> {
        let Some(groups) = &policy.groups else { return Ok(()) };
        let denied = |why: &str, hint: &str| {
            let action = format!("set the supplementary groups {groups:?}");
            let error = Error::new(ErrorKind::NamespacesDenied, action).errno(libc::EPERM);
            Err(error.because(why).hint(hint))
        };
        match self {
            Mapping::Range { gids, .. } => {
                let is_mapped = |group: &u32| {
                    group.checked_sub(gids.inside).is_some_and(|place| place < gids.count)
                };
                if groups.iter().all(is_mapped) {
                    return Ok(());
                }
                denied(
                    "the caller's user namespace can map no group but the caller's own",
                    "name the command's own group alone, or map more groups in the caller's user \
                    namespace",
                )
            }
            Mapping::Same | Mapping::Subordinate(_) => Ok(()),
            Mapping::Own | Mapping::Unchanged { .. } if groups.is_empty() && no_groups()? => Ok(()),
            Mapping::Own | Mapping::Unchanged { .. } => denied(
                "the caller may map no other ids than its own, and the kernel then lets no \
                process change its groups (user_namespaces(7))",
                "leave them out, or start as a caller with CAP_SETUID and CAP_SETGID",
            ),
            Mapping::Shared { .. } | Mapping::Joined if groups.is_empty() => Ok(()),
            Mapping::Shared { .. } | Mapping::Joined => denied(
                "the sandbox has no user namespace of its own to map them in",
                "leave them out, or let the sandbox have a user namespace of its own",
            ),
        }
    }

    /// The command's user and group id inside.
    pub fn ids(self, policy: &Policy) -> (u32, u32) {
        match self {
            Mapping::Own
            | Mapping::Range { .. }
            | Mapping::Subordinate(_)
            | Mapping::Same
            | Mapping::Joined => (policy.uid, policy.gid),
            // In a shared user namespace, ids inside and outside are the same.
            Mapping::Shared { uid, gid } | Mapping::Unchanged { uid, gid } => (uid, gid),
        }
    }

    /// The command's user and group id in the caller's user namespace. `None` if they are the
    /// caller's own. `pid` is a process in the sandbox's user namespace.
    ///
    /// # Errors
    ///
    /// For a joined user namespace: its map cannot be read, does not map the ids of the policy, or
    /// maps the user to the host's root.
    pub fn owner(self, policy: &Policy, pid: i32) -> Result<Option<(u32, u32)>> {
        match self {
            Mapping::Own
            | Mapping::Unchanged { .. }
            | Mapping::Range { .. }
            | Mapping::Subordinate(_)
            | Mapping::Same
            | Mapping::Shared { .. } => Ok(self.known_owner(policy)),
            Mapping::Joined => joined_owner(policy, pid).map(Some),
        }
    }

    /// The same as [`Mapping::owner`] before a process exists. `None` also for a joined user
    /// namespace, where the ids are not yet known.
    pub fn known_owner(self, policy: &Policy) -> Option<(u32, u32)> {
        match self {
            Mapping::Own | Mapping::Same | Mapping::Unchanged { .. } | Mapping::Joined => None,
            Mapping::Range { uids, gids } => {
                Some((outside(uids, policy.uid), outside(gids, policy.gid)))
            }
            Mapping::Subordinate(ids) => {
                let uid = Subordinate::outside(ids.own.0, ids.uids, policy.uid)?;
                let gid = Subordinate::outside(ids.own.1, ids.gids, policy.gid)?;
                Some((uid, gid)).filter(|owner| *owner != ids.own)
            }
            Mapping::Shared { uid, gid } => Some((uid, gid)),
        }
    }

    /// The supplementary groups of the command in the caller's user namespace, as far as the
    /// command names them.
    pub fn known_groups(self, policy: &Policy) -> Vec<u32> {
        let groups = policy.groups.iter().flatten().copied();
        match self {
            Mapping::Range { gids, .. } => groups.map(|group| outside(gids, group)).collect(),
            Mapping::Subordinate(ids) => groups
                .filter_map(|group| Subordinate::outside(ids.own.1, ids.gids, group))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The mapping of a copy of a template. Its user namespace is nested in the template's, so it
    /// maps the template's ids to themselves.
    pub fn of_copy(self) -> Mapping {
        let same = |range: IdRange| IdRange { outside: range.inside, ..range };
        match self {
            Mapping::Range { uids, gids } => Mapping::Range { uids: same(uids), gids: same(gids) },
            Mapping::Subordinate(Subordinate { uids, gids, .. }) => {
                let (uids, gids) = (same(uids), same(gids));
                Mapping::Subordinate(Subordinate { own: (0, 0), uids, gids })
            }
            Mapping::Own
            | Mapping::Same
            | Mapping::Unchanged { .. }
            | Mapping::Shared { .. }
            | Mapping::Joined => self,
        }
    }

    /// The lines of the maps of users and groups, if the caller or a template writes them.
    pub fn lines(self) -> Option<(Vec<IdRange>, Vec<IdRange>)> {
        match self {
            Mapping::Range { uids, gids } => Some((vec![uids], vec![gids])),
            Mapping::Subordinate(ids) => Some((
                Subordinate::lines(ids.own.0, ids.uids).to_vec(),
                Subordinate::lines(ids.own.1, ids.gids).to_vec(),
            )),
            Mapping::Own
            | Mapping::Same
            | Mapping::Unchanged { .. }
            | Mapping::Shared { .. }
            | Mapping::Joined => None,
        }
    }

    /// Whether a range of ids is mapped, all of which may own files.
    pub fn is_range(self) -> bool {
        matches!(self, Mapping::Range { .. })
    }

    /// Whether the caller writes the maps.
    pub fn is_written_by_caller(self) -> bool {
        match self {
            Mapping::Range { .. } | Mapping::Subordinate(_) | Mapping::Same => true,
            Mapping::Own | Mapping::Unchanged { .. } | Mapping::Shared { .. } | Mapping::Joined => {
                false
            }
        }
    }

    /// Writes the maps of the process `pid`, which waits for them, if the caller is to write them.
    /// `open` opens a file for writing.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if the kernel refuses a map.
    pub fn write(self, pid: i32, open: impl Fn(&str) -> io::Result<File>) -> Result<()> {
        // user_namespaces(7) requires no order of the two maps.
        match self {
            Mapping::Range { uids, gids } => {
                for (kind, range) in [(MapKind::Gid, gids), (MapKind::Uid, uids)] {
                    let IdRange { inside, outside, count } = range;
                    let last = inside + (count - 1);
                    let what = format!("{inside} to {last} to host ids from {outside}");
                    write_map(&open, pid, kind, &what, &format!("{inside} {outside} {count}\n"))?;
                }
                Ok(())
            }
            Mapping::Subordinate(ids) => ids.write(pid),
            Mapping::Same => [MapKind::Gid, MapKind::Uid].into_iter().try_for_each(|kind| {
                let lines = Map::of(kind, "self")?.lines;
                let line =
                    |(first, _, count): &(u32, u32, u32)| format!("{first} {first} {count}\n");
                let text: String = lines.iter().map(line).collect();
                write_map(&open, pid, kind, "of the caller to themselves", &text)
            }),
            Mapping::Own | Mapping::Unchanged { .. } | Mapping::Shared { .. } | Mapping::Joined => {
                Ok(())
            }
        }
    }
}

fn write_map(
    open: impl Fn(&str) -> io::Result<File>,
    pid: i32,
    kind: MapKind,
    what: &str,
    text: &str,
) -> Result<()> {
    let path = kind.path(&pid.to_string());
    open(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Error::new(ErrorKind::NamespacesDenied, format!("map the {}s {what}", kind.name()))
            .errno(error.raw_os_error().unwrap_or(libc::EIO))
            .at(path)
    })
}

/// The protection `OTHER_USER`, if a command with this user and group outside differs from the
/// caller in both. The caller's current ids count.
pub fn protections(owner: Option<(u32, u32)>) -> u64 {
    let (own_uid, own_gid) = callers();
    match owner {
        Some((uid, gid)) if uid != own_uid && gid != own_gid => protection::OTHER_USER,
        Some(_) | None => 0,
    }
}

/// The host user and group of a command in a joined user namespace, from the id map of the process
/// `pid` in that namespace.
///
/// # Errors
///
/// `Setup` if the map lacks the policy's ids; `NamespacesDenied` if the user is the host's root.
fn joined_owner(policy: &Policy, pid: i32) -> Result<(u32, u32)> {
    let of = |kind: MapKind, id: u32| {
        Map::of(kind, &pid.to_string())?.outside(id).ok_or_else(|| {
            Error::new(ErrorKind::Setup, format!("become {} {id}", kind.name()))
                .because("the joined user namespace does not map it")
                .at(kind.path(&pid.to_string()))
                .hint("choose an id that it maps: Sandbox::uid, Sandbox::gid")
        })
    };
    let (uid, gid) = (of(MapKind::Uid, policy.uid)?, of(MapKind::Gid, policy.gid)?);
    if !policy.as_caller && Map::of(MapKind::Uid, "self")?.outside(uid) == Some(0) {
        return Err(Error::new(ErrorKind::NamespacesDenied, format!("become uid {}", policy.uid))
            .because("in the joined user namespace that is the host's root")
            .hint("choose another user: Sandbox::uid"));
    }
    Ok((uid, gid))
}

/// The caller's effective user and group id, in its own user namespace.
pub fn callers() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// Whether the caller has no supplementary groups.
fn no_groups() -> Result<bool> {
    let groups = nix::unistd::getgroups()
        .map_err(|errno| Error::io("read the caller's groups", std::io::Error::from(errno)))?;
    Ok(groups.is_empty())
}

/// One id of a range.
fn one_of(range: IdRange, id: u32) -> IdRange {
    IdRange { inside: id, outside: outside(range, id), count: 1 }
}

/// The id outside for an id inside.
fn outside(range: IdRange, id: u32) -> u32 {
    range.outside + (id - range.inside)
}

/// Whether CAP_SETUID and CAP_SETGID are effective.
fn can_set_ids() -> Result<bool> {
    const CAP_SETGID: u32 = 6;
    const CAP_SETUID: u32 = 7;
    let bits = crate::base::sys::effective_capabilities().map_err(|error| {
        Error::io("read the caller's capabilities", error)
            .hint("the filter of a surrounding container must let capget(2) through")
    })?;
    Ok(bits & (1 << CAP_SETUID) != 0 && bits & (1 << CAP_SETGID) != 0)
}

#[cfg(test)]
mod tests;
