//! Process scans: what exists on the machine according to `/proc`. Tests find the processes of a
//! run by a mark in their arguments.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The processes that have `mark` in their arguments, in this pid namespace and all below it.
pub fn marked(mark: &str) -> Vec<u32> {
    let holds = |text: &[u8]| text.windows(mark.len()).any(|part| part == mark.as_bytes());
    processes().into_iter().filter(|pid| arguments(*pid).is_some_and(|text| holds(&text))).collect()
}

/// The arguments of a process. A main thread that has ended has none: then of one of the others.
fn arguments(pid: u32) -> Option<Vec<u8>> {
    let of = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).ok();
    of(pid).filter(|text| !text.is_empty()).or_else(|| threads(pid).into_iter().find_map(of))
}

/// The threads of a process, without the main one.
fn threads(pid: u32) -> Vec<u32> {
    let listed = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let numbers = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|thread| *thread != pid).collect()
}

/// Waits until at least `count` processes have `mark` in their arguments, and returns them.
pub fn await_marked(mark: &str, count: usize) -> Vec<u32> {
    let late = Instant::now() + Duration::from_secs(30);
    loop {
        let found = marked(mark);
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < late, "{} processes marked {mark}, not {count}", found.len());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Multiplies `time` by SECLUDE_TEST_SLOWNESS, for machines slower than usual.
pub fn here(time: Duration) -> Duration {
    let slowness = std::env::var("SECLUDE_TEST_SLOWNESS").ok().and_then(|text| text.parse().ok());
    time * slowness.unwrap_or(1)
}

/// The marked processes that still exist after `grace`. Returns early when two scans in a row find
/// none: a process inside execve(2) shows no arguments for a moment.
pub fn survivors(mark: &str, grace: Duration) -> Vec<u32> {
    survivors_beside(&[], mark, grace)
}

/// The same, without the processes that are meant to live on.
pub fn survivors_beside(spared: &[u32], mark: &str, grace: Duration) -> Vec<u32> {
    let end = Instant::now() + here(grace);
    let mut absent = 0;
    loop {
        let found: Vec<u32> =
            marked(mark).into_iter().filter(|pid| !spared.contains(pid)).collect();
        absent = if found.is_empty() { absent + 1 } else { 0 };
        if absent == 2 || absent == 0 && Instant::now() > end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every process in this process's `/proc`.
pub fn processes() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The descendants of this process, zombies included.
pub fn descendants() -> Vec<u32> {
    descendants_of(std::process::id())
}

/// The descendants of process `pid`, zombies included.
pub fn descendants_of(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        processes().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&ancestor) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == ancestor).map(|(pid, _)| *pid));
        next += 1;
    }
    found.remove(0);
    found
}

fn parent(pid: u32) -> Option<u32> {
    field_of_stat(pid, 1)?.parse().ok()
}

/// A field of `/proc/PID/stat` after the command name: 0 is the state, 1 the parent. The name comes
/// before them in parentheses and may contain any character.
fn field_of_stat(pid: u32, index: usize) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    String::from_utf8_lossy(&text[end + 1..]).split_whitespace().nth(index).map(str::to_owned)
}

/// Whether `pid` is a living warden. A process that has ended shows no arguments.
pub fn is_warden(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.starts_with(b"seclude-warden"))
}

/// The wardens among the descendants of this process, each as (parent, pid). A template is a child
/// of this process and the parent of its copies.
pub fn wardens() -> Vec<(u32, u32)> {
    let living = descendants().into_iter().filter(|pid| is_warden(*pid));
    living.filter_map(|pid| Some((parent(pid)?, pid))).collect()
}

/// Whether a process has ended: it is a zombie with all its threads, or no process has this id.
pub fn has_ended(pid: u32) -> bool {
    let ended = |pid| field_of_stat(pid, 0).is_none_or(|state| state == "Z" || state == "X");
    ended(pid) && threads(pid).into_iter().all(ended)
}

/// The descriptors of this process: number and target.
pub fn descriptors() -> BTreeSet<(u32, PathBuf)> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    // The descriptor of the directory listing itself is left out.
    entries
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, fs::read_link(entry.path()).ok()?))
        })
        .filter(|(_, target)| !target.ends_with("fd"))
        .collect()
}

/// The mounts of this process's mount namespace.
pub fn mounts() -> Vec<String> {
    fs::read_to_string("/proc/self/mountinfo")
        .expect("/proc is mounted")
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The namespaces, of all kinds, of the processes in this process's `/proc`.
pub fn namespaces() -> BTreeSet<PathBuf> {
    let of = |pid: u32| {
        fs::read_dir(format!("/proc/{pid}/ns"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
    };
    processes().into_iter().flat_map(of).collect()
}
