//! Tests the order of the calls of set-up: all of them as a text, and what the order is for.

use super::super::std;
use super::{ALL, LOADED, Outcome, USER, apply, in_force, kernel, parts, plan};
use crate::wire::plan::Step;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// The name of a step, as in the plan.
fn name(step: &Step<'_>) -> String {
    let shown = format!("{step:?}");
    shown.split([' ', '{']).next().unwrap_or_default().into()
}

/// The calls of each step, one a line. Of a series that differs in a last number only, one line has
/// the first number and the last one.
fn described(classic: bool) -> String {
    let plan = plan();
    let titles =
        core::iter::once("before".into()).chain(plan.iter().map(name)).chain(["afterwards".into()]);
    let mut text = String::new();
    for (title, lines) in titles.zip(parts(&plan, classic)) {
        text += &format!("{title}\n");
        let mut rest = &lines[..];
        while let Some(first) = rest.first() {
            let start = |line: &str| match line.rsplit_once(' ') {
                Some((start, last)) if last.starts_with(|digit: char| digit.is_ascii_digit()) => {
                    Some(start.to_string())
                }
                _ => None,
            };
            let same = |line: &&String| start(line).is_some() && start(line) == start(first);
            let count = rest.iter().take_while(same).count().max(1);
            let last = rest[count - 1].rsplit(' ').next().unwrap_or_default();
            match count {
                1..4 => (text += &format!("    {first}\n"), rest = &rest[1..]).1,
                _ => (text += &format!("    {first} to {last}\n"), rest = &rest[count..]).1,
            }
        }
    }
    text
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn set_up_makes_exactly_these_calls() {
    for (classic, expected) in
        [(false, include_str!("modern.txt")), (true, include_str!("classic.txt"))]
    {
        let calls = described(classic);
        let differs = calls.lines().zip(expected.lines()).position(|(call, line)| call != line);
        assert!(calls == expected, "line {differs:?} differs in what is now:\n{calls}");
    }
}

#[test]
fn every_protection_of_the_plan_is_in_force_and_nothing_stays_open() {
    for classic in [false, true] {
        let (outcome, kernel) = apply(kernel(&plan(), classic));
        assert_eq!(outcome, Outcome::Finished { protections: ALL, landlock: 7 });
        assert_eq!(in_force(&kernel) & ALL, ALL);
        assert_eq!(kernel.user(), (USER, USER));
        assert!(kernel.is_read_only("/proc/sys") && kernel.mounts_are_private());
        assert!(!kernel.is_read_only("/tmp"), "the control: not everything is read-only");
        assert_eq!(kernel.held(), (0, 0), "descriptors and pages");
        assert_eq!(kernel.filters(), [LOADED]);
    }
}

/// The indexes of the calls that begin with this text.
fn indexes(lines: &[String], start: &str) -> Vec<usize> {
    let found: Vec<usize> =
        (0..lines.len()).filter(|index| lines[*index].starts_with(start)).collect();
    assert!(!found.is_empty(), "no call {start:?}");
    found
}

/// The first call of `later` comes after the last call of each of `earlier`.
fn assert_after(lines: &[String], later: &str, earlier: &[&str]) {
    let first = indexes(lines, later)[0];
    for start in earlier {
        let last = indexes(lines, start).pop();
        assert!(last < Some(first), "{later} comes before {start}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn each_step_finds_what_the_earlier_ones_have_done() {
    let lines: Vec<String> = parts(&plan(), false).concat();
    let after = |later, earlier: &[&str]| assert_after(&lines, later, earlier);
    // Sources are opened with the caller's rights, so before the ids change.
    after("setresuid", &["openat2 cwd", "setgroups", "prctl SET_SECUREBITS 0x4"]);
    // An unprivileged process may map groups only after it has given up setgroups(2).
    after("write proc:/self/gid_map", &["write proc:/self/setgroups"]);
    // Nothing that is mounted reaches the caller's mount namespace.
    after("move_mount tmpfs:/", &["mount null \"/\" null 0x44000"]);
    // Every mount of the tree is made before it becomes the root. Afterwards there is only the one
    // that holds the message queues, which no process can reach.
    let mounts = |from: usize| {
        let made =
            |line: &&String| line.starts_with("move_mount") && !line.starts_with("move_mount -1");
        lines[from..].iter().filter(made).cloned().collect::<Vec<String>>()
    };
    let pivot = indexes(&lines, "pivot_root")[0];
    assert_eq!(mounts(pivot), ["move_mount mqueue:/ \"\" proc3:/ \"\" 0x244"]);
    assert!(mounts(0).len() > 10, "the control: there are mounts before");
    // The old root goes at once, and only then the root is closed for writing: nothing is made in
    // it afterwards.
    assert_eq!(lines[pivot + 1], "umount2 \".\" 2");
    let read_only = "mount_setattr tmpfs:/ ";
    after(read_only, &["pivot_root", "umount2", "mkdirat", "symlinkat", "write tmpfs:/etc/passwd"]);
    // The knob is written before /proc/sys is read-only.
    after("open_tree proc3:/sys", &["write proc3:/sys/user/max_user_namespaces"]);
    // The ruleset shows the file system as it is at the end. Its own domain forbids mounts.
    after("landlock_create_ruleset 24", &[read_only, "pivot_root", "umount2"]);
    after(
        "landlock_restrict_self (ruleset)",
        &["move_mount ", "mount ", "mount_setattr", "fsopen"],
    );
    // Dropping from the bounding set and setting securebits take CAP_SETPCAP (capabilities(7)).
    after("capset", &["prctl CAPBSET_DROP", "prctl SET_SECUREBITS", "prctl CAP_AMBIENT"]);
    after("capset", &["setresuid", "sethostname", "mount", "landlock_restrict_self", "unshare"]);
    // Without privileges, a filter takes no_new_privs (seccomp(2)).
    after("seccomp", &["capset", "prctl SET_NO_NEW_PRIVS"]);
    // What is set is read back, at the end.
    after("getresuid", &["prctl SET_NO_NEW_PRIVS", "prctl SET_DUMPABLE", "capset", "keyctl"]);
    after("prctl GET_SECCOMP", &["seccomp"]);
}
