//! The user that a program runs as: a different one for each box, as far as the caller may choose.

use super::{Refusal, Result};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid, setgroups};
use std::fs;

/// The user and group inside, for box 0. Each box has its own.
const FIRST: u32 = 60_000;
/// The number of ids that the boxes need, from 0 inside.
const COUNT: u64 = FIRST as u64 + 1000;
/// The first host id of sandboxes, where the caller has it (docs/policy.md).
const USUAL: u64 = 0x7000_0000;

/// The user of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user and group id inside.
    pub inside: u32,
    /// Where a privileged caller's sandbox begins in the caller's ids. `None` if the program is
    /// the caller's own user outside.
    pub base: Option<u32>,
}

impl Owner {
    pub fn of(box_id: u32) -> Result<Owner> {
        let inside = FIRST + box_id;
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|error| Refusal::at("read", path.as_ref(), error))
        };
        if !may_choose(&read("/proc/self/status")?) {
            return Ok(Owner { inside, base: None });
        }
        let (uids, gids) = (read("/proc/self/uid_map")?, read("/proc/self/gid_map")?);
        let base = base(&uids)?;
        if base != self::base(&gids)? {
            return Err(Refusal::new("the users and groups of this user namespace differ"));
        }
        Ok(Owner { inside, base })
    }

    /// The user and group id outside. `None` if they are the caller's own.
    pub fn outside(&self) -> Option<u32> {
        self.base.map(|base| base + self.inside)
    }

    /// Does something with files as the program's user would do it.
    pub fn act<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(id) = self.outside() else { return act() };
        setgroups(&[])
            .map_err(|errno| Refusal::new(format!("drop the groups: {}", errno.desc())))?;
        let (group, user) = (setfsgid(Gid::from_raw(id)), setfsuid(Uid::from_raw(id)));
        // Neither call tells whether it had an effect, but the next one tells the id before it.
        let changed = setfsuid(Uid::from_raw(id)).as_raw() == id
            && setfsgid(Gid::from_raw(id)).as_raw() == id;
        let done =
            if changed { act() } else { Err(Refusal::new("open files as the program's user")) };
        setfsuid(user);
        setfsgid(group);
        done
    }
}

/// Whether the caller may map other ids than its own (CAP_SETUID and CAP_SETGID).
fn may_choose(status: &str) -> bool {
    const BOTH: u64 = 1 << 6 | 1 << 7;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    effective & BOTH == BOTH
}

/// The first id for sandboxes, from the lines of a map (user_namespaces(7)).
fn base(map: &str) -> Result<Option<u32>> {
    let numbers = |line: &str| -> Option<(u64, u64)> {
        let mut words = line.split_whitespace().map(|word| word.parse().ok());
        let (first, _, count) = (words.next()??, words.next()??, words.next()??);
        Some((first, first + count))
    };
    let ranges: Vec<(u64, u64)> = map.lines().filter_map(numbers).collect();
    if ranges.iter().any(|(first, end)| *first <= USUAL && USUAL + 0x1_0000 <= *end) {
        return Ok(Some(USUAL as u32));
    }
    // Id 0 is never a program's, and neither is the first of a range, which can be the caller's.
    let highest = ranges.iter().filter(|(first, end)| first + 1 + COUNT <= *end).max();
    match highest {
        Some((_, end)) => Ok(Some((end - COUNT) as u32)),
        None if ranges.iter().map(|(first, end)| end - first).sum::<u64>() <= 1 => Ok(None),
        None => Err(Refusal::new(format!(
            "this user namespace has no {COUNT} ids in a row, which the boxes need"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_boxes_are_chosen_where_there_are_any() {
        assert_eq!(base("0 0 4294967295\n").unwrap(), Some(0x7000_0000));
        assert_eq!(base("0 1000 1\n1 100000 65536\n").unwrap(), Some(65_537 - 61_000));
        assert_eq!(base("0 1000 1\n").unwrap(), None);
        base("0 1000 1000\n").unwrap_err();
    }

    #[test]
    fn both_capabilities_are_needed() {
        assert!(may_choose("Name:\tx\nCapEff:\t00000000000000c0\n"));
        assert!(!may_choose("CapEff:\t0000000000000080\n") && !may_choose(""));
    }
}
