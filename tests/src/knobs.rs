//! The settings of a process that other processes can change, as the kernel reports them. The tests
//! compare them to detect that something was changed.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;

/// The size of the kernel's pages in bytes.
pub fn page_size() -> u64 {
    // SAFETY: takes a number only.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.try_into().expect("every kernel has one")
}

/// All settings of a process that this caller can read, by name.
pub fn of(pid: u32) -> BTreeMap<String, String> {
    let files = [
        "limits",
        "oom_score_adj",
        "coredump_filter",
        "timerslack_ns",
        "autogroup",
        "comm",
        "personality",
    ];
    let read = |file: &&str| {
        Some(((*file).to_owned(), fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?))
    };
    let mut knobs: BTreeMap<String, String> = files.iter().filter_map(read).collect();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    for name in ["Cpus_allowed_list", "Mems_allowed_list", "Uid", "Gid", "NoNewPrivs", "Seccomp"] {
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_default();
        knobs.insert(name.into(), value.trim().into());
    }
    // Fields of proc_pid_stat(5) after the command name: process group, nice value, real-time
    // priority and scheduling policy.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    for (name, index) in [("group", 2), ("nice", 16), ("real-time priority", 37), ("policy", 38)] {
        knobs.insert(name.into(), fields.get(index).copied().unwrap_or_default().into());
    }
    const IOPRIO_PROCESS: i32 = 1;
    // SAFETY: the call takes two numbers and changes nothing.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_PROCESS, pid) };
    knobs.insert("io priority".into(), priority.to_string());
    knobs
}

/// The settings that differ, each with its new value.
pub fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    // A setting that is now unreadable or empty belongs to a process that is ending.
    let differs = |(name, value): (&String, &String)| {
        let now = after.get(name).filter(|now| !now.is_empty())?;
        (now != value).then(|| format!("{name} {}", differing_lines(value, now)))
    };
    before.iter().filter_map(differs).collect()
}

/// The lines that differ, in their new form.
fn differing_lines(before: &str, now: &str) -> String {
    let lines = before.lines().zip(now.lines()).filter(|(before, now)| before != now);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    lines.map(|(_, now)| words(now)).collect::<Vec<_>>().join(", ")
}

/// The version and the patch level of the kernel.
pub fn kernel_version() -> (u32, u32) {
    let name = nix::sys::utsname::uname().expect("every kernel has a name");
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|digit: char| !digit.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).expect("a release begins with numbers");
    (next(), next())
}
