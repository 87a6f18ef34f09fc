//! What exists on the machine, as `/proc` tells: processes by a mark in their arguments, and what
//! this process holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The processes that have `mark` in their arguments, in every pid namespace below ours.
pub fn marked(mark: &str) -> Vec<u32> {
    let holds = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|text| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
    };
    processes().into_iter().filter(holds).collect()
}

/// Waits until at least `count` processes have `mark` in their arguments; those that have it.
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

/// How long what takes `time` on a usual machine may take on this one: so many times as long as
/// SECLUDE_TEST_SLOWNESS says.
pub fn here(time: Duration) -> Duration {
    let slowness = std::env::var("SECLUDE_TEST_SLOWNESS").ok().and_then(|text| text.parse().ok());
    time * slowness.unwrap_or(1)
}

/// Those marked processes that are still there after `grace`; returns as soon as there are none,
/// seen twice: a process inside execve(2) shows no arguments for a moment.
pub fn survivors(mark: &str, grace: Duration) -> Vec<u32> {
    let end = Instant::now() + here(grace);
    let mut absent = 0;
    loop {
        let found = marked(mark);
        absent = if found.is_empty() { absent + 1 } else { 0 };
        if absent == 2 || absent == 0 && Instant::now() > end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every process that our `/proc` shows.
pub fn processes() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The processes below this one, zombies among them.
pub fn descendants() -> Vec<u32> {
    descendants_of(std::process::id())
}

/// The processes below that one, zombies among them.
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

/// A field of those behind the name, which may hold anything: 0 is the state, 1 the parent.
fn field_of_stat(pid: u32, index: usize) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    String::from_utf8_lossy(&text[end + 1..]).split_whitespace().nth(index).map(str::to_owned)
}

/// Whether a living process of this number is a warden: one that has ended shows no arguments.
pub fn is_warden(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.starts_with(b"seclude-warden"))
}

/// The wardens below this process, by the one that made them: of this process's own children, those
/// that are templates have others below them.
pub fn wardens() -> Vec<(u32, u32)> {
    let living = descendants().into_iter().filter(|pid| is_warden(*pid));
    living.filter_map(|pid| Some((parent(pid)?, pid))).collect()
}

/// Whether a process has ended: it is a zombie, or nobody has this number any more.
pub fn has_ended(pid: u32) -> bool {
    field_of_stat(pid, 0).is_none_or(|state| state == "Z" || state == "X")
}

/// What this process's descriptors refer to: number and target.
pub fn descriptors() -> BTreeSet<(u32, PathBuf)> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    // The descriptor of the listing itself is gone by the time it is looked up.
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

/// The namespaces, all kinds, in which there is a process that our `/proc` shows.
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
