//! The caller's view of what runs: every process, inside a sandbox or anywhere, by its number there
//! and here.

use crate::base::error::{Error, Result, Shortage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// A process, as the caller sees it. What it calls itself is its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// Its id in the caller's pid namespace.
    pub pid: u32,
    /// Its id in the sandbox's pid namespace; the warden's is 1. Equal to `pid` where that
    /// namespace is shared. From [`namespaces`](crate::namespaces()), its id in the pid
    /// namespace that it is in.
    pub inside_pid: u32,
    /// All its ids, from the caller's namespace inwards: more than two for a process in a sandbox
    /// within.
    pub pids: Vec<u32>,
    /// Its parent's id in the caller's pid namespace.
    pub parent: u32,
    /// Its name, at most 15 bytes (`PR_SET_NAME`).
    pub name: String,
    /// Its command line; the name in brackets where the kernel shows none.
    pub command: Vec<String>,
    /// Its user id, as the caller sees it.
    pub uid: u32,
    /// Its state: `R` running, `S` sleeping, `D` in uninterruptible sleep, `T` stopped, `Z` ended
    /// but not reaped.
    pub state: char,
}

/// The processes below and including `root`, each after its parent.
pub fn below(root: i32) -> Result<Vec<Process>> {
    // Below 0 is the whole machine.
    if root <= 0 {
        return Err(Error::invalid(
            "processes",
            "the caller's /proc does not tell the number of the first one",
        ));
    }
    let mut list = walk(vec![root.unsigned_abs()], &children()?)?;
    // So many ids lead to the sandbox's namespace: the first process is the warden.
    let depth = list.first().map_or(1, |warden| warden.pids.len());
    for process in &mut list {
        process.inside_pid = process.pids.get(depth - 1).copied().unwrap_or(process.pid);
    }
    Ok(list)
}

/// Every process that `/proc` shows, each after its parent.
pub fn all() -> Result<Vec<Process>> {
    let children = children()?;
    let known: BTreeSet<u32> = children.values().flatten().copied().collect();
    // Whose parent is in an outer namespace has none here; whose parent has just ended will have
    // another.
    let roots = children
        .iter()
        .filter(|(parent, _)| !known.contains(parent))
        .flat_map(|(_, orphans)| orphans);
    walk(roots.rev().copied().collect(), &children)
}

/// The processes in `/proc`, by their parents.
fn children() -> Result<BTreeMap<u32, BTreeSet<u32>>> {
    let failed = |error| Error::io("list the processes in /proc", error);
    let mut children: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(parent) = stat(pid)? {
            children.entry(parent).or_default().insert(pid);
        }
    }
    Ok(children)
}

/// The processes of these trees, but for those that have ended meanwhile. The last is walked first.
fn walk(mut pending: Vec<u32>, children: &BTreeMap<u32, BTreeSet<u32>>) -> Result<Vec<Process>> {
    let mut list = Vec::new();
    while let Some(pid) = pending.pop() {
        list.extend(read(pid)?);
        pending.extend(children.get(&pid).into_iter().flatten().rev());
    }
    Ok(list)
}

/// A file of a process's; `None` if the process has ended, or is hidden from the caller (proc(5),
/// hidepid). Any other failure is one: a list that leaves out what could not be read would say that
/// it is not there.
fn file(pid: u32, name: &str) -> Result<Option<Vec<u8>>> {
    let path = format!("/proc/{pid}/{name}");
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            Ok(None)
        }
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(Error::io(format!("read {path}"), error).at(path)),
    }
}

/// The parent of a process.
fn stat(pid: u32) -> Result<Option<u32>> {
    Ok(field(pid, 4)?.and_then(|field| field.parse().ok()))
}

/// When a process that has not ended started, in the kernel's ticks since the boot: with its
/// number, nobody else's.
pub fn started(pid: u32) -> Result<Option<u64>> {
    match field(pid, 3)?.as_deref() {
        None | Some("Z" | "X") => Ok(None),
        Some(_) => Ok(field(pid, 22)?.and_then(|field| field.parse().ok())),
    }
}

/// The state of a process, as one letter; `None` if it is gone, or the caller's `/proc` does not
/// tell.
pub fn state(pid: u32) -> Option<char> {
    field(pid, 3).ok()??.chars().next()
}

/// Whether a process below `root` has not ended; `None` if the caller's `/proc` does not tell.
pub fn lives_below(root: i32) -> Option<bool> {
    Some(below(root).ok()?.iter().skip(1).any(|process| !matches!(process.state, 'Z' | 'X')))
}

/// Kills every process below `root`. First all of them are stopped, until none is found that runs:
/// what still forks would always be ahead. Not for ever, for one that waits for a disk stops only
/// afterwards.
pub fn kill_below(root: i32) {
    const ROUNDS: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(2);
    for _ in 0..ROUNDS {
        let Ok(list) = below(root) else { return };
        let running: Vec<&Process> = list
            .iter()
            .skip(1)
            .filter(|process| !matches!(process.state, 'T' | 't' | 'Z' | 'X'))
            .collect();
        if running.is_empty() {
            break;
        }
        running.into_iter().for_each(|process| signal(process, libc::SIGSTOP));
    }
    for _ in 0..ROUNDS {
        let Ok(list) = below(root) else { return };
        let living: Vec<&Process> =
            list.iter().skip(1).filter(|process| !matches!(process.state, 'Z' | 'X')).collect();
        if living.is_empty() {
            return;
        }
        living.into_iter().for_each(|process| signal(process, libc::SIGKILL));
        std::thread::sleep(PAUSE);
    }
}

/// By a descriptor, and only if its parent is still the one that was seen: a number can have become
/// another process's.
fn signal(process: &Process, signal: i32) {
    if let Ok(pidfd) = crate::base::sys::pidfd_open(process.pid)
        && matches!(stat(process.pid), Ok(Some(parent)) if parent == process.parent)
    {
        let _ = crate::base::sys::pidfd_send_signal(pidfd.as_fd(), signal);
    }
}

/// A field of `/proc/PID/stat` after the name, counted from 1: proc_pid_stat(5). The name in
/// parentheses may hold anything: what follows the last one counts.
fn field(pid: u32, number: usize) -> Result<Option<String>> {
    const FIRST: usize = 3;
    let text = file(pid, "stat")?.unwrap_or_default();
    let end = text.iter().rposition(|byte| *byte == b')');
    Ok(end.and_then(|end| {
        String::from_utf8_lossy(&text[end + 1..])
            .split_whitespace()
            .nth(number - FIRST)
            .map(str::to_owned)
    }))
}

/// One process, with its id in its own pid namespace as the inner one.
fn read(pid: u32) -> Result<Option<Process>> {
    let Some(status) = file(pid, "status")? else { return Ok(None) };
    let command = file(pid, "cmdline")?.unwrap_or_default();
    Ok(process(pid, &String::from_utf8_lossy(&status), &command))
}

/// What the kernel says of a process in `status` and `cmdline`.
fn process(pid: u32, status: &str, command: &[u8]) -> Option<Process> {
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let mut pids: Vec<u32> =
        field("NSpid")?.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    // Our own procfs may be that of an outer namespace: the list starts at ours.
    if let Some(start) = pids.iter().position(|number| *number == pid) {
        pids.drain(..start);
    }
    let name = name(field("Name")?);
    let mut command: Vec<String> = command
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    command.pop();
    if command.is_empty() {
        command.push(format!("[{name}]"));
    }
    Some(Process {
        pid,
        inside_pid: pids.last().copied().unwrap_or(pid),
        parent: field("PPid")?.parse().ok()?,
        uid: field("Uid")?.split_whitespace().nth(1)?.parse().ok()?,
        state: field("State")?.chars().next()?,
        pids,
        name,
        command,
    })
}

/// A name as it is: the kernel has written newlines and backslashes as `\n` and `\\`, lest a name
/// look like another line.
fn name(written: &str) -> String {
    let mut letters = written.chars();
    let mut name = String::new();
    while let Some(letter) = letters.next() {
        name.push(match (letter, letters.as_str().chars().next()) {
            ('\\', Some(escaped @ ('n' | '\\'))) => {
                letters.next();
                if escaped == 'n' { '\n' } else { '\\' }
            }
            _ => letter,
        });
    }
    name
}

/// The process id behind a pidfd, as the caller sees it; before Linux 6.13 by `/proc/self/fdinfo`.
/// `None`: the caller's `/proc` does not tell.
pub fn pid_of(pidfd: &OwnedFd) -> Result<Option<u32>> {
    if let Ok(pid) = crate::base::sys::pidfd_pid(pidfd.as_fd()) {
        return Ok(Some(pid));
    }
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    match fs::read_to_string(&path) {
        Ok(text) => {
            Ok(text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()))
        }
        Err(error) if error.raw_os_error().and_then(Shortage::of).is_some() => {
            Err(Error::io(format!("read {path}"), error).at(path))
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{below, file, name};

    #[test]
    fn what_cannot_be_read_is_not_what_is_gone() {
        let own = std::process::id();
        assert!(file(own, "stat").unwrap().is_some());
        assert!(file(own, "nothing").unwrap().is_none());
        // Nothing is mapped at its first address: EIO.
        assert!(file(own, "mem").is_err());
    }

    #[test]
    fn below_nobody_is_not_everybody() {
        assert!(below(0).is_err());
        let own = std::process::id();
        assert_eq!(below(own.cast_signed()).unwrap()[0].pid, own);
    }

    #[test]
    fn a_name_is_read_as_it_was_set() {
        for (written, set) in [
            ("sh", "sh"),
            (r"a\\nb\\", r"a\nb\"),
            (r"a\nb", "a\nb"),
            (r"a\", r"a\"),
            (r"\\\n", "\\\n"),
        ] {
            assert_eq!(name(written), set, "{written}");
        }
    }
}
