//! Chooses the host ids to which the ids inside are mapped, and writes the maps of a privileged
//! caller.
//!
//! Unless the policy says `as_caller`, the command never runs as the host's root. It then runs as
//! the caller's own user only if the caller may map no other id.
//!
//! The choice depends on the caller's maps, ids and capabilities. If any of them cannot be read,
//! the start fails. An unreadable map never counts as an empty one.
//!
//! The file is longer than 400 lines because its unit tests are in it.

use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{DEFAULT_HOST_IDS, HOST_IDS, Namespace, Policy};
use crate::wire::plan::{IdRange, protection};
use nix::unistd::{getegid, geteuid};
use std::fs;

/// How a sandbox's ids are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// The caller's own uid and gid, one each. An unprivileged process may map no others.
    Own,
    /// Ranges of ids, in maps that a privileged caller writes.
    Range { uids: IdRange, gids: IdRange },
    /// No map: the sandbox shares the caller's user namespace, and the command changes to this user
    /// and group in it.
    Shared { uid: u32, gid: u32 },
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
        let mapping = Mapping::suitable(policy)?;
        mapping.check_groups(policy)?;
        Ok(mapping)
    }

    fn suitable(policy: &Policy) -> Result<Mapping> {
        if policy.joined.contains(&Namespace::User) {
            return Ok(Mapping::Joined);
        }
        let (privileged, private) = (can_set_ids()?, policy.private(Namespace::User));
        if !privileged && !private {
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
                false => Mapping::Shared { uid: own_uid, gid: own_gid },
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
        Ok(Mapping::Own)
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
            Mapping::Own if groups.is_empty() && no_groups()? => Ok(()),
            Mapping::Own => denied(
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
            Mapping::Own | Mapping::Range { .. } | Mapping::Joined => (policy.uid, policy.gid),
            // In a shared user namespace, ids inside and outside are the same.
            Mapping::Shared { uid, gid } => (uid, gid),
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
            Mapping::Own | Mapping::Range { .. } | Mapping::Shared { .. } => {
                Ok(self.known_owner(policy))
            }
            Mapping::Joined => joined_owner(policy, pid).map(Some),
        }
    }

    /// The same as [`Mapping::owner`] before a process exists. `None` also for a joined user
    /// namespace, where the ids are not yet known.
    pub fn known_owner(self, policy: &Policy) -> Option<(u32, u32)> {
        match self {
            Mapping::Own | Mapping::Joined => None,
            Mapping::Range { uids, gids } => {
                Some((outside(uids, policy.uid), outside(gids, policy.gid)))
            }
            Mapping::Shared { uid, gid } => Some((uid, gid)),
        }
    }

    /// The supplementary groups of the command in the caller's user namespace, as far as the
    /// command names them.
    pub fn known_groups(self, policy: &Policy) -> Vec<u32> {
        let Mapping::Range { gids, .. } = self else { return Vec::new() };
        policy.groups.iter().flatten().map(|group| outside(gids, *group)).collect()
    }

    /// The mapping of a copy of a template. Its user namespace is nested in the template's, so it
    /// maps the template's ids to themselves.
    pub fn of_copy(self) -> Mapping {
        let same = |range: IdRange| IdRange { outside: range.inside, ..range };
        match self {
            Mapping::Range { uids, gids } => Mapping::Range { uids: same(uids), gids: same(gids) },
            Mapping::Own | Mapping::Shared { .. } | Mapping::Joined => self,
        }
    }

    /// Writes the maps of the process `pid`, which waits for them. Only for [`Mapping::Range`].
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if the kernel refuses a map.
    pub fn write(self, pid: i32) -> Result<()> {
        let Mapping::Range { uids, gids } = self else { return Ok(()) };
        // user_namespaces(7) requires no order of the two maps.
        for (kind, IdRange { inside, outside, count }) in
            [(MapKind::Gid, gids), (MapKind::Uid, uids)]
        {
            let path = kind.path(&pid.to_string());
            fs::write(&path, format!("{inside} {outside} {count}\n")).map_err(|error| {
                let last = inside + (count - 1);
                let action = format!(
                    "map the {}s {inside} to {last} to host ids from {outside}",
                    kind.name()
                );
                Error::new(ErrorKind::NamespacesDenied, action)
                    .errno(error.raw_os_error().unwrap_or(libc::EIO))
                    .at(path)
            })?;
        }
        Ok(())
    }
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

/// The two kinds of id map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MapKind {
    Uid,
    Gid,
}

impl MapKind {
    fn name(self) -> &'static str {
        match self {
            MapKind::Uid => "uid",
            MapKind::Gid => "gid",
        }
    }

    fn path(self, process: &str) -> String {
        format!("/proc/{process}/{}_map", self.name())
    }
}

/// An id map of a user namespace.
#[derive(Debug)]
struct Map {
    kind: MapKind,
    /// The lines of the map: (inside, outside, count).
    lines: Vec<(u32, u32, u32)>,
}

impl Map {
    /// Reads the map of the user namespace that `process` is in: a process id or `self`.
    fn of(kind: MapKind, process: &str) -> Result<Map> {
        Map::read(kind, &kind.path(process))
    }

    fn read(kind: MapKind, path: &str) -> Result<Map> {
        let action = || format!("read {path}");
        let text = fs::read_to_string(path).map_err(|error| match error.raw_os_error() {
            Some(errno @ (libc::ENOENT | libc::ENOTDIR)) => Error::new(ErrorKind::Setup, action())
                .errno(errno)
                .at(path)
                .hint("mount a proc file system at /proc: who the command may be is read there (user_namespaces(7))"),
            _ => Error::io(action(), error).at(path),
        })?;
        Map::parse(kind, &text).ok_or_else(|| {
            Error::new(ErrorKind::Setup, action())
                .because("what stands there is no id map")
                .at(path)
        })
    }

    fn parse(kind: MapKind, text: &str) -> Option<Map> {
        let line = |line: &str| {
            let numbers: Vec<u32> =
                line.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
            if let [inside, outside, count] = numbers[..] {
                Some((inside, outside, count))
            } else {
                None
            }
        };
        Some(Map { kind, lines: text.lines().map(line).collect::<Option<_>>()? })
    }

    /// The id outside for `id` inside, if it is mapped.
    fn outside(&self, id: u32) -> Option<u32> {
        self.lines.iter().find_map(|&(inside, outside, count)| {
            let place = id.checked_sub(inside).filter(|place| *place < count)?;
            outside.checked_add(place)
        })
    }

    /// Checks that the caller's `own` id is mapped.
    fn require(&self, own: u32) -> Result<()> {
        if self.outside(own).is_some() {
            return Ok(());
        }
        let (name, path) = (self.kind.name(), self.kind.path("self"));
        Err(Error::new(ErrorKind::NamespacesDenied, format!("map the caller's own {name}"))
            .because(format!(
                "the caller's user namespace does not map the {name} {own} (user_namespaces(7))"
            ))
            .hint(format!("start as a user and a group that {path} has"))
            .at(path))
    }

    /// The number of ids from `first` on that a single line maps. A line of a new map must lie
    /// within one line of the parent namespace's map.
    fn contiguous(&self, first: u32) -> u32 {
        let left = |&(inside, _, count): &(u32, u32, u32)| {
            count.checked_sub(first.checked_sub(inside)?).filter(|left| *left > 0)
        };
        self.lines.iter().find_map(left).unwrap_or(0)
    }

    /// Chooses the range to which the sandbox's ids are mapped, starting with id 0 inside. `None`
    /// if the map contains no other id than the caller's `own`.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if the requested host ids are not mapped, or the command would be root
    /// outside; `Invalid` if the range is too small for the policy's uid or gid.
    fn choose(&self, policy: &Policy, own: u32) -> Result<Option<IdRange>> {
        let groups = policy.groups.as_deref().unwrap_or_default();
        let ids = [("uid", policy.uid), ("gid", policy.gid)].into_iter();
        let ids = ids.chain(groups.iter().map(|group| ("group", *group)));
        let highest = ids.clone().map(|(_, id)| id).max().unwrap_or_default();
        let (first, count) = match policy.host_ids {
            Some(first) => {
                let count = self.contiguous(first).min(HOST_IDS);
                if count == 0 {
                    return Err(Error::new(ErrorKind::NamespacesDenied, format!("map the host ids from {first}"))
                        .because(format!("the caller's user namespace has no {} {first}", self.kind.name()))
                        .at(self.kind.path("self"))
                        .hint("choose host ids that the caller's uid_map and gid_map have, or leave host_ids out"));
                }
                (first, count)
            }
            None if self.contiguous(DEFAULT_HOST_IDS) >= HOST_IDS => (DEFAULT_HOST_IDS, HOST_IDS),
            None => match self.free(highest, own) {
                (first, count) if count > 0 => (first, count),
                _ => return Ok(None),
            },
        };
        for (what, id) in ids {
            if id >= count {
                let why = format!(
                    "the {}s that this caller can map are 0 to {} inside",
                    self.kind.name(),
                    count - 1
                );
                return Err(Error::invalid(format!("{what} {id}"), why).hint(
                    "choose a lower one (Sandbox::uid, Sandbox::gid), or give the caller's user namespace more ids in one piece",
                ));
            }
        }
        let range = IdRange { inside: 0, outside: first, count };
        let of_kind = match self.kind {
            MapKind::Uid => &[policy.uid][..],
            MapKind::Gid => &[&[policy.gid], groups].concat(),
        };
        let roots = of_kind.iter().map(|id| outside(range, *id));
        if let Some(id) = roots.into_iter().find(|id| self.outside(*id) == Some(0)) {
            return Err(Error::new(
                ErrorKind::NamespacesDenied,
                format!("map the host ids from {first}"),
            )
            .because(format!(
                "the command's {} would be {id}, which is root outside the caller's user namespace",
                self.kind.name()
            ))
            .hint("choose other host ids, or leave host_ids out"));
        }
        Ok(Some(range))
    }

    /// Finds ids that are unlikely to be in use, for the ids 0 to `highest` inside. Returns the
    /// first id and the count. If no free range is large enough, the result is the largest one, or
    /// (0, 0) if there is none.
    ///
    /// The range ends at the highest free id, because users and services are numbered upwards from
    /// low ids. In a container with 65536 ids that is 65533: systemd's list of ids names 65520 to
    /// 65533 as unused, 65534 is nobody, and 65535 means "no id" in 16-bit interfaces.
    ///
    /// Three ids are never free: 0, which is root in the caller's user namespace, the caller's own
    /// id, and the id that is root outside.
    fn free(&self, highest: u32, own: u32) -> (u32, u32) {
        const RESERVED: [u32; 2] = [65534, 65535];
        let root =
            self.lines.iter().filter(|(_, outside, _)| *outside == 0).map(|(inside, _, _)| *inside);
        let mut taken: Vec<u32> = root.chain([0, own]).collect();
        let acceptable = self.free_ranges(&taken);
        taken.extend(RESERVED);
        let preferred = self.free_ranges(&taken);
        let fits = |ranges: &[(u32, u32)]| {
            ranges.iter().copied().filter(|(_, count)| *count > highest).max()
        };
        match fits(&preferred).or_else(|| fits(&acceptable)) {
            Some((first, count)) => (first + (count - 1 - highest), highest + 1),
            None => acceptable.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default(),
        }
    }

    /// The ranges of each line without the ids in `taken`, each as first id and count.
    fn free_ranges(&self, taken: &[u32]) -> Vec<(u32, u32)> {
        let mut taken = taken.to_vec();
        taken.sort_unstable();
        let mut free_ranges = Vec::new();
        for &(inside, _, count) in &self.lines {
            let end = inside.saturating_add(count);
            let mut first = inside;
            for &id in taken.iter().filter(|id| (inside..end).contains(*id)) {
                free_ranges.push((first, id.saturating_sub(first)));
                first = id + 1;
            }
            free_ranges.push((first, end.saturating_sub(first)));
        }
        free_ranges.retain(|(_, count)| *count > 0);
        free_ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(u32, u32, u32)]) -> Map {
        Map { kind: MapKind::Uid, lines: lines.to_vec() }
    }

    fn policy(host_ids: Option<u32>, uid: u32) -> Policy {
        Policy { host_ids, uid, ..Policy::default() }
    }

    fn chosen(map: &Map, host_ids: Option<u32>, uid: u32, own: u32) -> Option<(u32, u32)> {
        map.choose(&policy(host_ids, uid), own).unwrap().map(|range| (range.outside, range.count))
    }

    const HOST: &[(u32, u32, u32)] = &[(0, 0, u32::MAX)];
    const CONTAINER: &[(u32, u32, u32)] = &[(0, 100_000, 65536)];

    #[test]
    fn a_map_knows_what_an_id_is_outside() {
        let map = map(&[(0, 1000, 1), (1, 100_000, 65536)]);
        assert_eq!(
            [0, 1, 65536, 65537].map(|id| map.outside(id)),
            [Some(1000), Some(100_000), Some(165_535), None]
        );
        assert_eq!([0, 1, 65536, 65537].map(|id| map.contiguous(id)), [1, 65536, 1, 0]);
    }

    #[test]
    fn a_map_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
        let error = Map::read(MapKind::Uid, "/proc/self/no_such_map").unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Setup, "read /proc/self/no_such_map"));
        assert_eq!(
            Map::read(MapKind::Uid, "/proc/self/stat").unwrap_err().kind(),
            ErrorKind::Setup
        );
        assert!(
            Map::parse(MapKind::Uid, "0 0\n").is_none()
                && Map::parse(MapKind::Uid, "0 0 1 2\n").is_none()
        );
        assert!(Map::parse(MapKind::Uid, "").is_some_and(|map| map.lines.is_empty()));
        assert!(Map::of(MapKind::Gid, "self").unwrap().outside(getegid().as_raw()).is_some());
    }

    #[test]
    fn the_host_gives_the_range_that_distributions_leave_unused() {
        assert_eq!(chosen(&map(HOST), None, 1000, 0), Some((DEFAULT_HOST_IDS, HOST_IDS)));
        assert_eq!(chosen(&map(HOST), Some(300_000), 1000, 0), Some((300_000, HOST_IDS)));
        assert_eq!(map(HOST).choose(&policy(None, 65536), 0).unwrap_err().step(), "uid 65536");
    }

    #[test]
    fn a_container_gives_its_highest_ids() {
        let container = map(CONTAINER);
        assert_eq!(chosen(&container, None, 1000, 0), Some((65533 - 1000, 1001)));
        // The group of the default policy is 1000.
        assert_eq!(chosen(&container, None, 0, 0), Some((65533 - 1000, 1001)));
        // Avoids the caller's own id. Uses 65534 (nobody) only if nearly all ids are needed.
        assert_eq!(chosen(&container, None, 1000, 65533), Some((65532 - 1000, 1001)));
        assert_eq!(chosen(&container, None, 65534, 0), Some((1, 65535)));
        assert_eq!(container.choose(&policy(None, 65535), 0).unwrap_err().step(), "uid 65535");
        assert_eq!(chosen(&map(&[(0, 100_000, 2000)]), None, 1000, 0), Some((999, 1001)));
        assert_eq!(
            chosen(&map(&[(0, 1000, 1), (1, 100_000, 65536)]), None, 1000, 0),
            Some((65533 - 1000, 1001))
        );
        let error = map(&[(0, 100_000, 500)]).choose(&policy(None, 1000), 0).unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Invalid, "uid 1000"));
        assert!(error.to_string().contains("0 to 498 inside"), "{error}");
    }

    #[test]
    fn requested_ids_are_used_or_refused() {
        let container = map(CONTAINER);
        assert_eq!(chosen(&container, Some(1000), 1000, 0), Some((1000, 64536)));
        assert_eq!(container.choose(&policy(Some(65000), 1000), 0).unwrap_err().step(), "uid 1000");
        for first in [65536, DEFAULT_HOST_IDS] {
            let error = container.choose(&policy(Some(first), 1000), 0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{error}");
        }
    }

    #[test]
    fn groups_are_mapped_like_the_other_ids() {
        let with = |groups: &[u32], host_ids| Policy {
            groups: Some(groups.to_vec()),
            ..policy(host_ids, 1000)
        };
        let host = map(HOST).choose(&with(&[65535], None), 0).unwrap().unwrap();
        assert_eq!((host.outside, host.count), (DEFAULT_HOST_IDS, HOST_IDS));
        assert_eq!(map(HOST).choose(&with(&[65536], None), 0).unwrap_err().step(), "group 65536");
        // A container gives as many ids as the highest group needs.
        let highest = map(CONTAINER).choose(&with(&[7, 3000], None), 0).unwrap().unwrap();
        assert_eq!((highest.outside, highest.count), (65533 - 3000, 3001));
        // Group 5 would be root outside.
        let gids =
            Map { kind: MapKind::Gid, lines: vec![(0, 1000, 5), (5, 0, 1), (6, 2000, 3000)] };
        assert!(gids.choose(&with(&[3], Some(1)), 1).is_err(), "the range ends before 1000");
        let whole = Map { kind: MapKind::Gid, lines: vec![(0, u32::MAX - 4, 5), (5, 0, 3000)] };
        for (groups, fits) in [(&[1][..], true), (&[0, 1], false)] {
            let policy = Policy { uid: 1, gid: 1, ..with(groups, Some(5)) };
            assert_eq!(whole.choose(&policy, 1).is_ok(), fits, "{groups:?}");
        }
        let one = IdRange { inside: 1000, outside: 7, count: 1 };
        let one = Mapping::Range { uids: one, gids: one };
        assert!(one.check_groups(&with(&[1000], None)).is_ok());
        for (mapping, groups, fits) in [
            (one, &[1001][..], false),
            (one, &[0], false),
            (Mapping::Own, &[1000], false),
            (Mapping::Joined, &[1000], false),
            (Mapping::Joined, &[], true),
            (Mapping::Shared { uid: 5, gid: 5 }, &[5], false),
            (Mapping::Shared { uid: 5, gid: 5 }, &[], true),
        ] {
            let checked = mapping.check_groups(&with(groups, None));
            assert_eq!(checked.is_ok(), fits, "{mapping:?} {groups:?}");
            if let Err(error) = checked {
                assert_eq!(error.kind(), ErrorKind::NamespacesDenied);
                assert!(error.remedy().is_some());
            }
        }
        assert_eq!(one.known_groups(&with(&[1000], None)), [7]);
        assert!(Mapping::Own.known_groups(&with(&[], None)).is_empty());
    }

    #[test]
    fn neither_root_outside_nor_the_callers_own_id_is_chosen() {
        for own_alone in [map(&[(0, 1000, 1)]), map(&[(0, 0, 1)]), map(&[(7, 1000, 1)]), map(&[])] {
            let own = own_alone.lines.first().map_or(65534, |line| line.0);
            assert_eq!(chosen(&own_alone, None, 0, own), None, "{own_alone:?}");
        }
        // The id 5 is root outside. It is neither chosen automatically nor allowed on request.
        let hidden = map(&[(0, 100_000, 5), (5, 0, 1), (6, 100_006, 2000)]);
        assert_eq!(chosen(&hidden, None, 1000, 0), Some((2005 - 1000, 1001)));
        let error = map(&[(0, 1000, 5), (5, 0, 2000)]).choose(&policy(Some(5), 0), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{error}");
    }
}
