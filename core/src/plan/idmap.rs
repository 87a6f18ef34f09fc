//! Chooses which of the caller's ids stand behind the ids inside, and writes the maps of a
//! privileged caller.
//!
//! The command is never the host's root. It is the caller itself only where the caller may map no
//! other id. Each fact this depends on (the caller's maps, its ids, its capabilities) is read or
//! the start fails: a map that cannot be read never counts as "not mapped".

use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{DEFAULT_HOST_IDS, HOST_IDS, Namespace, Policy};
use crate::wire::plan::{IdRange, protection};
use nix::unistd::{getegid, geteuid};
use std::fs;

/// How a sandbox's ids are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// The caller's own uid and gid, one each: all that an unprivileged process may map.
    Own,
    /// Ranges of the caller's ids, written by a privileged caller.
    Range { uids: IdRange, gids: IdRange },
    /// None: the user namespace is the caller's, and the command becomes this user and group of it.
    Shared { uid: u32, gid: u32 },
    /// None: the user namespace exists, and has its map.
    Joined,
}

impl Mapping {
    /// What this caller can do for this policy.
    pub fn choose(policy: &Policy) -> Result<Mapping> {
        if policy.joined.contains(&Namespace::User) {
            return Ok(Mapping::Joined);
        }
        let (privileged, private) = (may_set_ids()?, policy.private(Namespace::User));
        if !privileged && !private {
            return Err(Error::new(ErrorKind::NamespacesDenied, "share the user namespace")
                .because("only a caller with CAP_SYS_ADMIN can make the other namespaces without a user namespace of their own"));
        }
        let (own_uid, own_gid) = callers();
        let (uid_map, gid_map) = (Map::of(Kind::Uid, "self")?, Map::of(Kind::Gid, "self")?);
        if private {
            // The kernel lets nobody else make a user namespace. An empty map would otherwise read
            // as "there are no other ids".
            uid_map.must_have(own_uid)?;
            gid_map.must_have(own_gid)?;
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
                // The caller's own group is the only one.
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

    /// The numbers by which the command's user and group are called inside.
    pub fn ids(self, policy: &Policy) -> (u32, u32) {
        match self {
            Mapping::Own | Mapping::Range { .. } | Mapping::Joined => (policy.uid, policy.gid),
            // Inside and outside are the same here.
            Mapping::Shared { uid, gid } => (uid, gid),
        }
    }

    /// The command's user and group as the caller counts; `None` if they are the caller's own.
    /// `pid` is a process in the sandbox's user namespace.
    pub fn owner(self, policy: &Policy, pid: i32) -> Result<Option<(u32, u32)>> {
        match self {
            Mapping::Own | Mapping::Range { .. } | Mapping::Shared { .. } => {
                Ok(self.known_owner(policy))
            }
            Mapping::Joined => in_joined(policy, pid).map(Some),
        }
    }

    /// The same before there is a process. `None`, too, for a user namespace that is joined.
    pub fn known_owner(self, policy: &Policy) -> Option<(u32, u32)> {
        match self {
            Mapping::Own | Mapping::Joined => None,
            Mapping::Range { uids, gids } => {
                Some((outside(uids, policy.uid), outside(gids, policy.gid)))
            }
            Mapping::Shared { uid, gid } => Some((uid, gid)),
        }
    }

    /// The same for a copy of a template, for which the ids outside are the template's.
    pub fn of_copy(self) -> Mapping {
        let same = |range: IdRange| IdRange { outside: range.inside, ..range };
        match self {
            Mapping::Range { uids, gids } => Mapping::Range { uids: same(uids), gids: same(gids) },
            Mapping::Own | Mapping::Shared { .. } | Mapping::Joined => self,
        }
    }

    /// Writes the maps of the process `pid`, which waits for it.
    pub fn write(self, pid: i32) -> Result<()> {
        let Mapping::Range { uids, gids } = self else { return Ok(()) };
        // The group first: user_namespaces(7) has no rule for the order, but one process writes
        // both.
        for (kind, IdRange { inside, outside, count }) in [(Kind::Gid, gids), (Kind::Uid, uids)] {
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

/// The protection that a command has which is this user and group outside, with regard to the
/// caller as it is now.
pub fn protections(owner: Option<(u32, u32)>) -> u64 {
    let (own_uid, own_gid) = callers();
    match owner {
        Some((uid, gid)) if uid != own_uid && gid != own_gid => protection::OTHER_USER,
        Some(_) | None => 0,
    }
}

/// What a command of this policy is outside in a user namespace that has been joined, as the map of
/// the process `pid` in it says. Never the host's root.
fn in_joined(policy: &Policy, pid: i32) -> Result<(u32, u32)> {
    let of = |kind: Kind, id: u32| {
        Map::of(kind, &pid.to_string())?.outside(id).ok_or_else(|| {
            Error::new(ErrorKind::Setup, format!("become {} {id}", kind.name()))
                .because("the joined user namespace does not map it")
                .at(kind.path(&pid.to_string()))
                .hint("choose an id that it maps: Sandbox::uid, Sandbox::gid")
        })
    };
    let (uid, gid) = (of(Kind::Uid, policy.uid)?, of(Kind::Gid, policy.gid)?);
    if Map::of(Kind::Uid, "self")?.outside(uid) == Some(0) {
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

/// What an id inside is outside.
fn outside(range: IdRange, id: u32) -> u32 {
    range.outside + (id - range.inside)
}

/// Whether CAP_SETUID and CAP_SETGID are effective.
fn may_set_ids() -> Result<bool> {
    const CAP_SETGID: u32 = 6;
    const CAP_SETUID: u32 = 7;
    let bits = crate::base::sys::effective_capabilities().map_err(|error| {
        Error::io("read the caller's capabilities", error)
            .hint("the filter of a surrounding container must let capget(2) through")
    })?;
    Ok(bits & (1 << CAP_SETUID) != 0 && bits & (1 << CAP_SETGID) != 0)
}

/// Which of the two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Uid,
    Gid,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Uid => "uid",
            Kind::Gid => "gid",
        }
    }

    fn path(self, process: &str) -> String {
        format!("/proc/{process}/{}_map", self.name())
    }
}

/// A user namespace's map of user or group ids: (inside, outside, count), line by line.
#[derive(Debug)]
struct Map {
    kind: Kind,
    lines: Vec<(u32, u32, u32)>,
}

impl Map {
    /// The map of the user namespace that `process` is in.
    fn of(kind: Kind, process: &str) -> Result<Map> {
        Map::read(kind, &kind.path(process))
    }

    fn read(kind: Kind, path: &str) -> Result<Map> {
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

    fn parse(kind: Kind, text: &str) -> Option<Map> {
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

    /// What `id` inside is outside.
    fn outside(&self, id: u32) -> Option<u32> {
        self.lines.iter().find_map(|&(inside, outside, count)| {
            let place = id.checked_sub(inside).filter(|place| *place < count)?;
            outside.checked_add(place)
        })
    }

    /// Checks that the caller's `own` id is mapped.
    fn must_have(&self, own: u32) -> Result<()> {
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

    /// How many ids from `first` on one line maps: a new map's line must lie within one line of the
    /// map around it.
    fn run(&self, first: u32) -> u32 {
        let left = |&(inside, _, count): &(u32, u32, u32)| {
            count.checked_sub(first.checked_sub(inside)?).filter(|left| *left > 0)
        };
        self.lines.iter().find_map(left).unwrap_or(0)
    }

    /// The ids that stand behind those of a sandbox from 0 on. `None`: there is no other than the
    /// caller's `own`.
    fn choose(&self, policy: &Policy, own: u32) -> Result<Option<IdRange>> {
        let (first, count) = match policy.host_ids {
            Some(first) => {
                let count = self.run(first).min(HOST_IDS);
                if count == 0 {
                    return Err(Error::new(ErrorKind::NamespacesDenied, format!("map the host ids from {first}"))
                        .because(format!("the caller's user namespace has no {} {first}", self.kind.name()))
                        .at(self.kind.path("self"))
                        .hint("choose host ids that the caller's uid_map and gid_map have, or leave host_ids out"));
                }
                (first, count)
            }
            None if self.run(DEFAULT_HOST_IDS) >= HOST_IDS => (DEFAULT_HOST_IDS, HOST_IDS),
            None => match self.free(policy.uid.max(policy.gid), own) {
                (first, count) if count > 0 => (first, count),
                _ => return Ok(None),
            },
        };
        for (what, id) in [("uid", policy.uid), ("gid", policy.gid)] {
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
        let id = outside(range, if self.kind == Kind::Uid { policy.uid } else { policy.gid });
        if self.outside(id) == Some(0) {
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

    /// Ids that nobody is likely to be, up to and including the id `highest` inside: first and
    /// count; the longest piece if none is long enough, nothing if there is no piece.
    ///
    /// The range ends at the highest id that is free, so that the command itself is as far as can
    /// be from the ids that are given to people and services from below. In a container with
    /// 65536 ids that is 65533, where systemd's list of ids names 65520 to 65533 as unused;
    /// 65534 is nobody, 65535 means no id to 16-bit interfaces. Taken are 0, which is
    /// the caller's root whatever its own id is, the caller's own id, and what is root outside.
    fn free(&self, highest: u32, own: u32) -> (u32, u32) {
        const RESERVED: [u32; 2] = [65534, 65535];
        let root =
            self.lines.iter().filter(|(_, outside, _)| *outside == 0).map(|(inside, _, _)| *inside);
        let mut taken: Vec<u32> = root.chain([0, own]).collect();
        let least = self.pieces(&taken);
        taken.extend(RESERVED);
        let best = self.pieces(&taken);
        let fits = |pieces: &[(u32, u32)]| {
            pieces.iter().copied().filter(|(_, count)| *count > highest).max()
        };
        match fits(&best).or_else(|| fits(&least)) {
            Some((first, count)) => (first + (count - 1 - highest), highest + 1),
            None => least.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default(),
        }
    }

    /// What is left of each line without the ids that are taken: first and count.
    fn pieces(&self, taken: &[u32]) -> Vec<(u32, u32)> {
        let mut taken = taken.to_vec();
        taken.sort_unstable();
        let mut pieces = Vec::new();
        for &(inside, _, count) in &self.lines {
            let end = inside.saturating_add(count);
            let mut first = inside;
            for &id in taken.iter().filter(|id| (inside..end).contains(*id)) {
                pieces.push((first, id.saturating_sub(first)));
                first = id + 1;
            }
            pieces.push((first, end.saturating_sub(first)));
        }
        pieces.retain(|(_, count)| *count > 0);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(u32, u32, u32)]) -> Map {
        Map { kind: Kind::Uid, lines: lines.to_vec() }
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
        assert_eq!([0, 1, 65536, 65537].map(|id| map.run(id)), [1, 65536, 1, 0]);
    }

    #[test]
    fn a_map_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
        let error = Map::read(Kind::Uid, "/proc/self/no_such_map").unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Setup, "read /proc/self/no_such_map"));
        assert_eq!(Map::read(Kind::Uid, "/proc/self/stat").unwrap_err().kind(), ErrorKind::Setup);
        assert!(
            Map::parse(Kind::Uid, "0 0\n").is_none()
                && Map::parse(Kind::Uid, "0 0 1 2\n").is_none()
        );
        assert!(Map::parse(Kind::Uid, "").is_some_and(|map| map.lines.is_empty()));
        assert!(Map::of(Kind::Gid, "self").unwrap().outside(getegid().as_raw()).is_some());
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
        // The caller's own id, and where it is nearly all that is needed, nobody's.
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
    fn ids_that_were_asked_for_are_had_or_refused() {
        let container = map(CONTAINER);
        assert_eq!(chosen(&container, Some(1000), 1000, 0), Some((1000, 64536)));
        assert_eq!(container.choose(&policy(Some(65000), 1000), 0).unwrap_err().step(), "uid 1000");
        for first in [65536, DEFAULT_HOST_IDS] {
            let error = container.choose(&policy(Some(first), 1000), 0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{error}");
        }
    }

    #[test]
    fn neither_root_outside_nor_the_callers_own_id_is_given() {
        for own_alone in [map(&[(0, 1000, 1)]), map(&[(0, 0, 1)]), map(&[(7, 1000, 1)]), map(&[])] {
            let own = own_alone.lines.first().map_or(65534, |line| line.0);
            assert_eq!(chosen(&own_alone, None, 0, own), None, "{own_alone:?}");
        }
        // 5 is root outside: neither chosen by itself nor on request.
        let hidden = map(&[(0, 100_000, 5), (5, 0, 1), (6, 100_006, 2000)]);
        assert_eq!(chosen(&hidden, None, 1000, 0), Some((2005 - 1000, 1001)));
        let error = map(&[(0, 1000, 5), (5, 0, 2000)]).choose(&policy(Some(5), 0), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{error}");
    }
}
