//! The owner that a file of the host has in an image.

use crate::plan::idmap::subordinate::Subordinate;
use crate::wire::plan::IdRange;
use std::ffi::CStr;

/// The attribute with the owner in the image, where the file cannot have it: `UID:GID`.
pub const OWNER: &CStr = c"user.seclude.owner";

/// Where files come from, which says what the owners that they have on the host mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The ids are those of the host, but this user's and group's are root's.
    Host { user: u32, group: u32 },
    /// The ids of a sandbox, which the host has in these ranges.
    Sandbox { uids: IdRange, gids: IdRange },
    /// The ids are those of the image.
    Image,
    /// The caller's own ids are root's, and its subordinate ids those from 1 on.
    Subordinate(Subordinate),
    /// All files belong to one user, and have their owners in an attribute.
    One,
}

impl Origin {
    /// The user and group in the image of a file that has these on the host. `noted` is the
    /// attribute [`OWNER`], if the file has it. `None` if the image has no such user or group.
    pub fn owner(self, host: (u32, u32), noted: Option<&[u8]>) -> Option<(u32, u32)> {
        let (uid, gid) = host;
        match self {
            Origin::Host { user, group } => {
                let own = |id, own| if id == own { 0 } else { id };
                Some((own(uid, user), own(gid, group)))
            }
            Origin::Sandbox { uids, gids } => Some((inside(uids, uid)?, inside(gids, gid)?)),
            Origin::Image => Some((uid, gid)),
            Origin::Subordinate(ids) => {
                let of = |id, own, range| if id == own { Some(0) } else { inside(range, id) };
                Some((of(uid, ids.own.0, ids.uids)?, of(gid, ids.own.1, ids.gids)?))
            }
            // Programs inside can write the attribute, too.
            Origin::One => Some(noted.and_then(parsed).unwrap_or((0, 0))),
        }
    }
}

fn inside(range: IdRange, outside: u32) -> Option<u32> {
    let place = outside.checked_sub(range.outside).filter(|place| *place < range.count)?;
    range.inside.checked_add(place)
}

fn parsed(noted: &[u8]) -> Option<(u32, u32)> {
    let (uid, gid) = std::str::from_utf8(noted).ok()?.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: IdRange = IdRange { inside: 0, outside: 100_000, count: 10 };

    #[test]
    fn owners_on_the_host_are_those_of_the_image() {
        let sandbox = Origin::Sandbox { uids: RANGE, gids: RANGE };
        assert_eq!(sandbox.owner((100_003, 100_009), None), Some((3, 9)));
        assert_eq!(sandbox.owner((100_010, 100_000), None), None);
        assert_eq!(sandbox.owner((0, 0), None), None);
        assert_eq!(Origin::Image.owner((7, 8), Some(b"1:2")), Some((7, 8)));
        let host = Origin::Host { user: 1000, group: 100 };
        assert_eq!(host.owner((1000, 5), None), Some((0, 5)));
        let range = IdRange { inside: 1, ..RANGE };
        let own = Subordinate { own: (1000, 100), uids: range, gids: range };
        let subordinate = Origin::Subordinate(own);
        assert_eq!(subordinate.owner((1000, 100_000), None), Some((0, 1)));
        assert_eq!(subordinate.owner((100_009, 100), None), Some((10, 0)));
        assert_eq!(subordinate.owner((0, 100), None), None);
    }

    #[test]
    fn an_owner_that_cannot_be_on_the_disk_is_noted() {
        assert_eq!(Origin::One.owner((1000, 1000), Some(b"5:6")), Some((5, 6)));
        for strange in [None, Some(&b"5"[..]), Some(b"5:x"), Some(b"-1:0"), Some(b"\xff:0")] {
            assert_eq!(Origin::One.owner((1000, 1000), strange), Some((0, 0)), "{strange:?}");
        }
    }
}
