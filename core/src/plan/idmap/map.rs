//! The id maps of user namespaces, and which of their ids suit a sandbox.

use super::outside;
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{DEFAULT_HOST_IDS, HOST_IDS, Policy};
use crate::wire::plan::IdRange;
use std::fs;

/// The two kinds of id map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    Uid,
    Gid,
}

impl MapKind {
    pub fn name(self) -> &'static str {
        match self {
            MapKind::Uid => "uid",
            MapKind::Gid => "gid",
        }
    }

    pub fn path(self, process: &str) -> String {
        format!("/proc/{process}/{}_map", self.name())
    }
}

/// An id map of a user namespace.
#[derive(Debug)]
pub struct Map {
    pub kind: MapKind,
    /// The lines of the map: (inside, outside, count).
    pub lines: Vec<(u32, u32, u32)>,
}

impl Map {
    /// Reads the map of the user namespace that `process` is in: a process id or `self`.
    pub fn of(kind: MapKind, process: &str) -> Result<Map> {
        Map::read(kind, &kind.path(process))
    }

    pub fn read(kind: MapKind, path: &str) -> Result<Map> {
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

    pub fn parse(kind: MapKind, text: &str) -> Option<Map> {
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
    pub fn outside(&self, id: u32) -> Option<u32> {
        self.lines.iter().find_map(|&(inside, outside, count)| {
            let place = id.checked_sub(inside).filter(|place| *place < count)?;
            outside.checked_add(place)
        })
    }

    /// Checks that the caller's `own` id is mapped.
    pub fn require(&self, own: u32) -> Result<()> {
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
    pub fn contiguous(&self, first: u32) -> u32 {
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
    pub fn choose(&self, policy: &Policy, own: u32) -> Result<Option<IdRange>> {
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
    pub fn free(&self, highest: u32, own: u32) -> (u32, u32) {
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
    pub fn free_ranges(&self, taken: &[u32]) -> Vec<(u32, u32)> {
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
