//! Reads the process tree from the caller's `/proc`, and kills parts of it.

use crate::base::error::{self, Error, Result, Shortage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// A process, as the caller sees it.
///
/// A process chooses its own `name` and `command`, so they identify nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// The process id in the caller's pid namespace.
    pub pid: u32,
    /// The process id in the sandbox's pid namespace, where the warden is 1. Equal to `pid` if
    /// that namespace is shared. In the result of [`namespaces`](crate::namespaces()), the id
    /// in the process's own pid namespace.
    pub inside_pid: u32,
    /// The ids in all nested pid namespaces, from the caller's inwards. A process in a nested
    /// sandbox has more than two.
    pub pids: Vec<u32>,
    /// The parent's id in the caller's pid namespace.
    pub parent: u32,
    /// The name, at most 15 bytes (`PR_SET_NAME`).
    pub name: String,
    /// The command line, or the name in brackets if the kernel shows none.
    pub command: Vec<String>,
    /// The effective user id, as the caller sees it.
    pub uid: u32,
    /// The state: `R` running, `S` sleeping, `D` in uninterruptible sleep, `T` stopped, `Z` ended
    /// but not reaped. `T` and `Z` mean all threads: the main thread of a process may have ended
    /// while others run.
    pub state: char,
    /// A thread that has not ended, if one is left. `/proc` shows by its id what the process
    /// holds, and by `pid` nothing once the main thread has ended.
    pub(crate) thread: u32,
}

impl Process {
    /// Whether it has ended, but has not been reaped.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Whether it does nothing: stopped, or ended.
    pub(crate) fn is_still(&self) -> bool {
        self.has_ended() || matches!(self.state, 'T' | 't')
    }
}

/// Lists `root` and its descendants, each after its parent.
///
/// # Errors
///
/// `Invalid` if `root` is not positive; `Io` if `/proc` cannot be read.
pub fn below(root: i32) -> Result<Vec<Process>> {
    // Process 0 is the ancestor of every process on the machine.
    if root <= 0 {
        return Err(Error::invalid(
            "processes",
            "the caller's /proc does not tell the number of the first one",
        ));
    }
    let mut list = walk(vec![root.unsigned_abs()], &children()?)?;
    // The first process is the warden. It has one id for each namespace down to the sandbox's.
    let depth = list.first().map_or(1, |warden| warden.pids.len());
    for process in &mut list {
        process.inside_pid = process.pids.get(depth - 1).copied().unwrap_or(process.pid);
    }
    Ok(list)
}

/// Lists every process in `/proc`, each after its parent.
///
/// # Errors
///
/// `Io` if `/proc` cannot be read.
pub fn all() -> Result<Vec<Process>> {
    let children = children()?;
    let known: BTreeSet<u32> = children.values().flatten().copied().collect();
    // A parent is missing if it lives in an outer pid namespace, or ended during the scan.
    let roots = children
        .iter()
        .filter(|(parent, _)| !known.contains(parent))
        .flat_map(|(_, orphans)| orphans);
    walk(roots.rev().copied().collect(), &children)
}

/// The signals that this process ignores, bit n-1 for signal n.
///
/// `sigaction(2)` would tell the same, but libc's refuses the signals that it uses itself.
///
/// # Errors
///
/// `Io` if `/proc/self/status` cannot be read, or does not tell.
pub fn ignored_signals() -> Result<u64> {
    const PATH: &str = "/proc/self/status";
    let action = "read which signals the caller ignores";
    let text = fs::read(PATH).map_err(|error| Error::io(action, error).at(PATH))?;
    text.split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"SigIgn:"))
        .and_then(|mask| u64::from_str_radix(std::str::from_utf8(mask).ok()?.trim(), 16).ok())
        .ok_or_else(|| Error::new(error::ErrorKind::Io, action).because("no SigIgn there").at(PATH))
}

/// The processes in `/proc`, grouped by parent.
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

/// Lists the processes of the given trees, except those that have ended meanwhile. The last tree
/// comes first.
fn walk(mut pending: Vec<u32>, children: &BTreeMap<u32, BTreeSet<u32>>) -> Result<Vec<Process>> {
    let mut list = Vec::new();
    while let Some(pid) = pending.pop() {
        list.extend(read(pid)?);
        pending.extend(children.get(&pid).into_iter().flatten().rev());
    }
    Ok(list)
}

/// Reads a file in `/proc/PID`. `None` if the process has ended, or is hidden from the caller
/// (`hidepid` in proc(5)).
///
/// Every other failure is an error. Leaving the process out would claim that it does not exist.
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

/// The start time of a process in clock ticks since boot, or `None` if it has ended.
///
/// Process id and start time together identify a process, even if the id is reused.
///
/// # Errors
///
/// `Io` if `/proc` cannot be read.
pub fn started(pid: u32) -> Result<Option<u64>> {
    match read(pid)? {
        Some(process) if !process.has_ended() => {
            Ok(field(pid, 22)?.and_then(|field| field.parse().ok()))
        }
        _ => Ok(None),
    }
}

/// The state letter of a process's main thread. `None` if the process is gone, or the caller's
/// `/proc` does not show it.
pub fn state(pid: u32) -> Option<char> {
    field(pid, 3).ok()??.chars().next()
}

/// Whether `root` has a descendant that has not ended. `None` if the caller's `/proc` cannot be
/// read.
pub fn lives_below(root: i32) -> Option<bool> {
    Some(below(root).ok()?.iter().skip(1).any(|process| !process.has_ended()))
}

/// The descendants of `root`.
fn descendants(root: i32) -> Result<Vec<Process>> {
    below(root).map(|list| list.into_iter().skip(1).collect())
}

/// Kills every descendant of `root`.
pub fn kill_below(root: i32) {
    // The kernel or the cgroup ends what a failed scan leaves.
    let _ = kill(|| descendants(root));
}

const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);

/// Kills every process that `list` finds. Returns whether a scan has found none alive.
///
/// All of them are stopped first, because a process that keeps forking would outrun the scan. The
/// number of rounds is bounded, because a process in uninterruptible sleep does not stop.
///
/// # Errors
///
/// The error of `list`.
pub fn kill(list: impl Fn() -> Result<Vec<Process>>) -> Result<bool> {
    stop(&list)?;
    for _ in 0..ROUNDS {
        let found = list()?;
        let living: Vec<&Process> = found.iter().filter(|process| !process.has_ended()).collect();
        if living.is_empty() {
            return Ok(true);
        }
        living.into_iter().for_each(|process| signal(process, libc::SIGKILL));
        std::thread::sleep(PAUSE);
    }
    Ok(false)
}

/// Stops every process that `list` finds (SIGSTOP). Returns whether a scan has seen all of them
/// stopped.
///
/// # Errors
///
/// The error of `list`.
pub fn stop(list: impl Fn() -> Result<Vec<Process>>) -> Result<bool> {
    for _ in 0..ROUNDS {
        let found = list()?;
        let running: Vec<&Process> = found.iter().filter(|process| !process.is_still()).collect();
        if running.is_empty() {
            return Ok(true);
        }
        running.into_iter().for_each(|process| signal(process, libc::SIGSTOP));
    }
    Ok(false)
}

/// Continues these processes (SIGCONT).
pub fn resume(list: &[Process]) {
    list.iter().for_each(|process| signal(process, libc::SIGCONT));
}

/// Sends a signal to a process that a scan has found.
///
/// Its id may have been reused since the scan. So the signal goes to a pidfd, and only if the
/// process still has the same parent.
fn signal(process: &Process, signal: i32) {
    if let Ok(pidfd) = crate::base::sys::pidfd_open(process.pid)
        && matches!(stat(process.pid), Ok(Some(parent)) if parent == process.parent)
    {
        let _ = crate::base::sys::pidfd_send_signal(pidfd.as_fd(), signal);
    }
}

/// A field of `/proc/PID/stat`, numbered from 1 as in proc_pid_stat(5). Only fields after the name
/// are supported.
///
/// The name in parentheses may itself contain parentheses and spaces, so the last `)` ends it.
fn field(pid: u32, number: usize) -> Result<Option<String>> {
    Ok(field_of(&file(pid, "stat")?.unwrap_or_default(), number))
}

fn field_of(stat: &[u8], number: usize) -> Option<String> {
    const FIRST: usize = 3;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    String::from_utf8_lossy(&stat[end + 1..])
        .split_whitespace()
        .nth(number.checked_sub(FIRST)?)
        .map(str::to_owned)
}

/// Reads one process. Its `inside_pid` is the id in its own pid namespace.
fn read(pid: u32) -> Result<Option<Process>> {
    let Some(status) = file(pid, "status")? else { return Ok(None) };
    let command = file(pid, "cmdline")?.unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let Some(mut process) = process(pid, &status, &command) else { return Ok(None) };
    if process.is_still()
        && status_field(&status, "Threads") != Some("1")
        && let Some(busiest) = busiest_thread(pid)?
    {
        (process.state, process.thread) = busiest;
    }
    Ok(Some(process))
}

/// The state and id of the thread that does the most. `None` if the process has ended.
fn busiest_thread(pid: u32) -> Result<Option<(char, u32)>> {
    let path = format!("/proc/{pid}/task");
    let threads = match fs::read_dir(&path) {
        Ok(threads) => threads,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("list {path}"), error).at(path)),
    };
    let rank = |(state, _): &(char, u32)| match state {
        'Z' | 'X' => 0,
        'T' | 't' => 1,
        _ => 2,
    };
    let mut found = Vec::new();
    for thread in threads {
        // An error here is the end of the process.
        let Ok(thread) = thread else { break };
        let Some(id) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = file(pid, &format!("task/{id}/stat"))?;
        let state = stat.as_deref().and_then(|text| field_of(text, 3)?.chars().next());
        found.extend(state.map(|state| (state, id)));
    }
    Ok(found.into_iter().max_by_key(rank))
}

fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Parses `/proc/PID/status` and `/proc/PID/cmdline`.
fn process(pid: u32, status: &str, command: &[u8]) -> Option<Process> {
    let field = |name| status_field(status, name);
    let mut pids: Vec<u32> =
        field("NSpid")?.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    // The mounted procfs may belong to an outer pid namespace, whose ids come first in the list.
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
        thread: pid,
    })
}

/// Unescapes a name. The kernel escapes newlines and backslashes in `status` as `\n` and `\\`.
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

/// The process id behind a pidfd, as the caller sees it. `None` if the caller's `/proc` does not
/// show it.
///
/// Before Linux 6.13 (PIDFD_GET_INFO) the id comes from `/proc/self/fdinfo`.
///
/// # Errors
///
/// `HostLimit` if no descriptor is free to read that file, or memory is short.
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
    fn an_unreadable_file_is_an_error_and_a_missing_one_is_not() {
        let own = std::process::id();
        assert!(file(own, "stat").unwrap().is_some());
        assert!(file(own, "nothing").unwrap().is_none());
        // Reading the unmapped address 0 fails with EIO.
        assert!(file(own, "mem").is_err());
    }

    #[test]
    fn process_0_has_no_descendants_to_list() {
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
