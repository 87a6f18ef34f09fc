//! The host's cgroups: which of them a caller can use, and whether the library left any. Nothing
//! here calls the library.

use crate::caller::{Caller, NOBODY};
use crate::census::here;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The cgroups that a caller can use for limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cgroups {
    /// The memory controller is in a version 1 hierarchy, and the caller is root.
    V1,
    /// The memory controller is in the version 2 hierarchy, in a part that the caller may write.
    V2,
    /// None.
    None,
}

impl Cgroups {
    /// The cgroups of `caller`. SECLUDE_CGROUP names a part of the hierarchy, as it does for the
    /// library.
    pub fn of(caller: Caller) -> Cgroups {
        if caller == Caller::Root
            && mounts("cgroup").iter().any(|mount| {
                mount.join("memory.limit_in_bytes").exists()
                    || mount.join("memory.usage_in_bytes").exists()
            })
        {
            return Cgroups::V1;
        }
        let has_memory = |directory: &PathBuf| {
            fs::read_to_string(directory.join("cgroup.controllers"))
                .is_ok_and(|list| list.split_whitespace().any(|name| name == "memory"))
        };
        let usable = |directory: &PathBuf| has_memory(directory) && may_write(caller, directory);
        let named = std::env::var_os("SECLUDE_CGROUP").map(PathBuf::from);
        let own = mounts("cgroup2").into_iter().filter_map(|mount| {
            let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
            Some(mount.join(membership.lines().find_map(|line| line.strip_prefix("0::/"))?))
        });
        let beside = own.flat_map(|own| [own.parent().map(Path::to_owned), Some(own)]).flatten();
        if named.into_iter().chain(beside).any(|directory| usable(&directory)) {
            Cgroups::V2
        } else {
            Cgroups::None
        }
    }

    /// Whether the kernel refuses a process above the limit. Without a cgroup it does so since
    /// Linux 5.14, which counts processes by user namespace.
    pub fn refuses_processes(self) -> bool {
        self != Cgroups::None || kernel_is_at_least(5, 14)
    }

    /// The mechanisms that a row's `expected` stands for on this host.
    pub fn wanted(self, expected: &str) -> Vec<&str> {
        let (with, without) = expected.split_once('|').unwrap_or((expected, expected));
        match (self, with.trim(), without.trim()) {
            (Cgroups::None, _, "rlimit") if !self.refuses_processes() => vec!["sampled"],
            (Cgroups::None, _, without) => vec![without],
            (Cgroups::V2, "cgroup", _) => vec!["cgroup-v2"],
            // On a host with both versions, some controllers are in one and some in the other.
            (Cgroups::V1, "cgroup", _) => vec!["cgroup-v1", "cgroup-v2"],
            (Cgroups::V1 | Cgroups::V2, with, _) => vec![with],
        }
    }
}

/// Whether the running kernel is of this version or later.
pub fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

fn may_write(caller: Caller, directory: &Path) -> bool {
    match fs::metadata(directory.join("cgroup.procs")) {
        Err(_) => false,
        Ok(_) if caller == Caller::Root => true,
        Ok(file) if caller != Caller::present() => {
            file.uid() == NOBODY || file.permissions().mode() & 0o002 != 0
        }
        Ok(file) => file.uid() == caller.uid() || file.permissions().mode() & 0o002 != 0,
    }
}

/// The mount points of this file system type.
pub fn mounts(kind: &str) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let of_kind = |line: &&str| {
        line.split_once(" - ").is_some_and(|(_, rest)| rest.split(' ').next() == Some(kind))
    };
    table
        .lines()
        .filter(of_kind)
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .collect()
}

/// All cgroups that the library made for a caller with a process id that satisfies `is_ours`, in
/// every hierarchy.
pub fn left(is_ours: impl Fn(u32) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> =
        ["cgroup", "cgroup2"].iter().flat_map(|kind| mounts(kind)).collect();
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if owner(&entry.path()).is_some_and(&is_ours) {
                found.push(entry.path());
            }
            open.push(entry.path());
        }
    }
    found
}

/// The cgroups that the library made for process `pid`, in every hierarchy.
pub fn of(pid: u32) -> Vec<PathBuf> {
    let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    let paths: Vec<&str> =
        membership.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
    let everywhere = ["cgroup", "cgroup2"].iter().flat_map(|kind| mounts(kind));
    let found = everywhere.flat_map(|mount| {
        paths.iter().map(move |path| mount.join(path.trim_start_matches('/'))).collect::<Vec<_>>()
    });
    let mut found: Vec<PathBuf> = found
        .filter_map(|path| Some(path.ancestors().find(|path| owner(path).is_some())?.to_owned()))
        .collect();
    found.retain(|path| path.exists());
    found.sort();
    found.dedup();
    found
}

/// The process id of the caller, from the name of a cgroup of the library: `seclude-PID-…`.
pub fn owner(directory: &Path) -> Option<u32> {
    directory.file_name()?.to_str()?.strip_prefix("seclude-")?.split('-').next()?.parse().ok()
}

/// Waits until no such cgroup is left, for at most `grace`, and returns those that are.
pub fn left_after(grace: Duration, is_ours: impl Fn(u32) -> bool) -> Vec<PathBuf> {
    let end = Instant::now() + here(grace);
    loop {
        let found = left(&is_ours);
        if found.is_empty() || Instant::now() > end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
