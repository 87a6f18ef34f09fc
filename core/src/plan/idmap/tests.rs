//! The choice of host ids, on maps of hosts and containers.

use super::*;
use crate::policy::{DEFAULT_HOST_IDS, HOST_IDS};

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
    assert_eq!(Map::read(MapKind::Uid, "/proc/self/stat").unwrap_err().kind(), ErrorKind::Setup);
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
    let gids = Map { kind: MapKind::Gid, lines: vec![(0, 1000, 5), (5, 0, 1), (6, 2000, 3000)] };
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
