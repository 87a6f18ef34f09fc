//! A snapshot of everything that the kernel keeps for this process and that a sandbox could leave
//! behind. Tests compare one taken before many runs with one taken after them.

use crate::caller::Caller;
use crate::census::{descendants, descriptors, mounts};
use crate::cgroups;
use nix::unistd::geteuid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// The snapshot. Other programs create and end namespaces meanwhile, so those are not part of it.
#[derive(Debug, PartialEq)]
pub struct Account {
    /// The descriptors of this process.
    pub descriptors: BTreeSet<(u32, PathBuf)>,
    mounts: Vec<String>,
    /// The descendants of this process, zombies included.
    pub processes: Vec<u32>,
    cgroups: Vec<PathBuf>,
    links: BTreeSet<String>,
    keys: BTreeMap<String, u32>,
    system_v: Vec<usize>,
    /// Files in temporary directories that belong to this user and have the library's name in
    /// theirs.
    pub temporary: BTreeSet<PathBuf>,
}

impl Account {
    /// Takes a snapshot.
    pub fn of_now() -> Account {
        let listed = |directory: &str| fs::read_dir(directory).into_iter().flatten().flatten();
        // Leaves out the files of other users: several users may run tests on one machine.
        let ours = |entry: &fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = entry.metadata().is_ok_and(|status| status.uid() == geteuid().as_raw());
            own && name.contains("seclude") && !name.starts_with("seclude-test-")
        };
        let temporary = ["/tmp", "/var/tmp", "/dev/shm"].into_iter().flat_map(listed);
        let lines = |path: &str| fs::read_to_string(path).unwrap_or_default().lines().count();
        // Each line has a user id and the number of keys of that user (keyrings(7)).
        let users = fs::read_to_string("/proc/key-users").unwrap_or_default();
        let key_line = |line: &str| {
            let (user, rest) = line.trim().split_once(':')?;
            // The field is `nkeys/nikeys`: all keys, and those that are instantiated.
            let count = rest.split_whitespace().nth(1)?.split('/').next()?.parse().ok()?;
            Some((user.to_owned(), count))
        };
        Account {
            descriptors: descriptors(),
            mounts: mounts(),
            processes: descendants(),
            cgroups: cgroups::left(|owner| owner == std::process::id()),
            links: listed("/sys/class/net")
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect(),
            keys: users.lines().filter_map(key_line).filter(|(user, _)| is_behind(user)).collect(),
            system_v: ["shm", "sem", "msg"]
                .map(|kind| lines(&format!("/proc/sysvipc/{kind}")))
                .to_vec(),
            temporary: temporary.filter(ours).map(|entry| entry.path()).collect(),
        }
    }
}

/// Whether `user` is in the id range of root's sandboxes. The kernel counts their keys under it.
fn is_behind(user: &str) -> bool {
    Caller::present() == Caller::Root
        && user.parse::<u32>().is_ok_and(|user| (0x7000_0000..0x7001_0000).contains(&user))
}

/// Takes snapshots until one equals `before`, for at most four seconds, and returns the last one.
///
/// The kernel destroys released objects in the background. It may by then also have destroyed keys
/// that earlier tests left, so fewer keys than before count as equal.
pub fn settled(before: &Account) -> Account {
    let mut now = Account::of_now();
    for _ in 0..200 {
        if now
            .keys
            .iter()
            .all(|(user, count)| before.keys.get(user).is_some_and(|before| count <= before))
        {
            now.keys = before.keys.clone();
        }
        if now == *before {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        now = Account::of_now();
    }
    now
}
