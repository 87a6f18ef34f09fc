//! What the kernel keeps account of and a sandbox could leave: taken before and after many of them,
//! it is the same.

use crate::caller::Caller;
use crate::census::{descendants, descriptors, mounts};
use crate::cgroups;
use nix::unistd::geteuid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// All that is counted. Namespaces of others come and go: only those that this process's
/// descendants are in are ours.
#[derive(Debug, PartialEq)]
pub struct Account {
    /// This process's.
    pub descriptors: BTreeSet<(u32, PathBuf)>,
    mounts: Vec<String>,
    /// Below this process, zombies among them.
    pub processes: Vec<u32>,
    cgroups: Vec<PathBuf>,
    links: BTreeSet<String>,
    keys: BTreeMap<String, u32>,
    system_v: Vec<usize>,
    /// Files of ours in temporary directories.
    pub temporary: BTreeSet<PathBuf>,
}

impl Account {
    /// What there is now.
    pub fn of_now() -> Account {
        let listed = |directory: &str| fs::read_dir(directory).into_iter().flatten().flatten();
        // What another user has is none of ours: a machine may have more than one who tests.
        let ours = |entry: &fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = entry.metadata().is_ok_and(|status| status.uid() == geteuid().as_raw());
            own && name.contains("seclude") && !name.starts_with("seclude-test-")
        };
        let temporary = ["/tmp", "/var/tmp", "/dev/shm"].into_iter().flat_map(listed);
        let lines = |path: &str| fs::read_to_string(path).unwrap_or_default().lines().count();
        // A line: the user's id, then how many keys that user has.
        let users = fs::read_to_string("/proc/key-users").unwrap_or_default();
        let key_line = |line: &str| {
            let (user, rest) = line.trim().split_once(':')?;
            // How many there are, and how many of them are whole.
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

/// Whether the keys of root's sandboxes are counted under this user.
fn is_behind(user: &str) -> bool {
    Caller::present() == Caller::Root
        && user.parse::<u32>().is_ok_and(|user| (0x7000_0000..0x7001_0000).contains(&user))
}

/// The kernel takes apart behind the scenes what has been let go of: it is waited for, but not for
/// long. Of what runs before this left to it, less may be there by now: then the account is the
/// same.
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
