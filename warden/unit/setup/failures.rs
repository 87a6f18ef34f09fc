//! Tests what follows when a call of set-up fails: a refusal that names the step, or one of the
//! fallbacks that are listed here. No protection is reported that is not in force.
//!
//! Each call fails with EPERM and with ENOSYS, once and from then on. A call that fails from then
//! on is how an old kernel answers, or a filter around the caller.

use super::super::std;
use super::{ALL, Outcome, USER, apply, in_force, kernel, parts, plan};
use crate::sys::Errno;
use crate::sys::fake_kernel::{Answer, Fault};
use crate::wire::message::reason;
use crate::wire::plan::protection;
use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;

/// A call without which set-up goes on.
struct Fallback {
    /// How the line of the call begins.
    call: &'static str,
    /// The failures after which it goes on: `P` is EPERM and `S` is ENOSYS at this call alone, `p`
    /// and `s` are the same from this call on.
    after: &'static str,
    /// The protections that are then left out, all or some.
    without: u64,
}

const fn fallback(call: &'static str, after: &'static str, without: u64) -> Fallback {
    Fallback { call, after, without }
}

const BY_LANDLOCK: u64 =
    protection::LANDLOCK_FILES | protection::LANDLOCK_SIGNALS | protection::LANDLOCK_SOCKETS;

/// Both ways to mount.
const FALLBACKS: &[Fallback] = &[
    // Nothing can be done about a descriptor or memory that cannot be given back.
    fallback("close ", "PSps", 0),
    fallback("munmap", "PSps", 0),
    fallback("madvise", "PSps", 0),
    // Without /proc, the caller cannot have set oom_score_adj there. A later open(2) fails too.
    fallback("openat cwd \"/proc/self/oom_score_adj\" read", "PS", 0),
    // A parent user namespace denies setgroups(2) already.
    fallback("openat cwd \"/proc/self/setgroups\" write", "P", 0),
    fallback("write proc:/self/setgroups \"deny\"", "P", 0),
    // The caller's supplementary groups stay where setgroups(2) is denied.
    fallback("setgroups 0", "Pp", protection::GROUPS),
    // Without openat2(2), paths are walked. Only an EPERM that a test call gets too is a filter's.
    fallback("openat2 ", "Sps", 0),
    fallback("statx ", "Sps", 0),
    fallback("faccessat2 ", "Sps", 0),
    // An automount point that cannot be mounted is shown as it is.
    fallback("openat host:/ \"usr\" path|directory|no_follow", "PS", 0),
    // The limit on the size of files is not raised. A write beyond it fails.
    fallback("prlimit64 1", "PSps", 0),
    // Landlock repeats what mounts and namespaces enforce. The test calls find out whether a
    // filter refuses one of its calls.
    fallback("landlock_create_ruleset 0 0x1", "Sps", BY_LANDLOCK),
    fallback("landlock_create_ruleset 0 0xffffffff", "PSps", BY_LANDLOCK),
    fallback("landlock_add_rule -1", "PSps", BY_LANDLOCK),
    fallback("landlock_restrict_self -1", "PSps", BY_LANDLOCK),
    // The filter of the commands refuses every call on keys.
    fallback("keyctl 1", "Sps", protection::KEYRING),
];

/// The newer way only. The test calls find out whether one of its calls is missing, which leads to
/// the classic way.
const OF_MODERN_MOUNTS: &[Fallback] = &[
    fallback("mount_setattr -1", "PSps", 0),
    fallback("fsopen \"\"", "PSps", 0),
    fallback("fsconfig -1", "PSps", 0),
    fallback("fsmount -1", "PSps", 0),
    fallback("open_tree -1", "PSps", 0),
    fallback("move_mount -1", "PSps", 0),
];

const NO_SPACE: Errno = Errno(28);

/// One call of the trace that is made to fail.
struct Call {
    number: usize,
    name: &'static str,
    line: String,
    index: usize,
    /// The step that makes it; `u32::MAX` before the first step.
    step: u32,
}

/// The calls of set-up. Of a long series, such as one for each signal, the first two and the last
/// one.
fn calls(classic: bool) -> Vec<Call> {
    let (plan, mut steps) = (plan(), Vec::new());
    for (part, lines) in parts(&plan, classic).iter().enumerate() {
        steps.extend(lines.iter().map(|_| (part as u32).wrapping_sub(1)));
    }
    let (_, kernel) = apply(kernel(&plan, classic).with_lines());
    let all: Vec<Call> = kernel
        .calls()
        .zip(steps)
        .enumerate()
        .map(|(index, ((number, name, line), step))| Call {
            number,
            name,
            line: line.into(),
            index,
            step,
        })
        .collect();
    let series = |index: usize| {
        let kind = |call: &Call| call.line.rsplit_once(' ').map(|(start, _)| String::from(start));
        let own = all.get(index).and_then(kind);
        own.is_some()
            && [index.wrapping_sub(2), index.wrapping_sub(1), index + 1]
                .iter()
                .all(|near| all.get(*near).and_then(kind) == own)
    };
    let within: BTreeSet<usize> = (0..all.len()).filter(|index| series(*index)).collect();
    all.into_iter().filter(|call| !within.contains(&call.index)).collect()
}

fn each_failure(classic: bool, fallbacks: &[&Fallback]) {
    let (plan, calls) = (plan(), calls(classic));
    let mut taken = BTreeSet::new();
    for call in &calls {
        let lasting = Fault::From(call.index, call.number);
        for (letter, fault, errno) in [
            ('P', Fault::Once(call.index), Errno::EPERM),
            ('S', Fault::Once(call.index), Errno::ENOSYS),
            ('p', lasting.clone(), Errno::EPERM),
            ('s', lasting, Errno::ENOSYS),
        ] {
            let kernel = kernel(&plan, classic).with_fault(fault, Answer::Fail(errno));
            let (outcome, kernel) = apply(kernel);
            let told = std::format!("{letter} at step {} {}: {outcome:?}", call.step, call.line);
            let fallback = fallbacks.iter().position(|fallback| {
                call.line.starts_with(fallback.call) && fallback.after.contains(letter)
            });
            match outcome {
                Outcome::Finished { protections, .. } => {
                    let fallback = fallback.unwrap_or_else(|| panic!("no fallback: {told}"));
                    taken.insert((fallback, letter));
                    let (without, lost) = (fallbacks[fallback].without, ALL & !protections);
                    assert_eq!(lost & !without, 0, "more is left out: {told}");
                    assert_eq!(lost == 0, without == 0, "a protection is reported: {told}");
                    assert_eq!(protections & !in_force(&kernel), 0, "not in force: {told}");
                    assert!(kernel.is_read_only("/proc/sys"), "{told}");
                    assert!(kernel.mounts_are_private(), "{told}");
                    assert_eq!(kernel.user(), (USER, USER), "{told}");
                }
                Outcome::Refused { step, errno: given, reason, call: number, .. } => {
                    assert!(fallback.is_none(), "this has a fallback: {told}");
                    // A lasting failure may spare this call, by a fallback, and meet a later one.
                    let once =
                        fallbacks.iter().any(|fallback| call.line.starts_with(fallback.call));
                    let later = letter.is_lowercase() && once && step > call.step;
                    assert!(step == call.step || later, "another step: {told}");
                    assert_eq!(given, errno.0, "another error: {told}");
                    // Before the first step, the warden does not look for a reason.
                    let known = (reason, number)
                        == match letter {
                            _ if step == u32::MAX => (reason::ERRNO, -1),
                            'P' => (reason::ERRNO, -1),
                            'p' if may_be_tested(call.name) => (reason::FILTER, call.number as i32),
                            'p' => (reason::ERRNO, -1),
                            _ => (reason::ABSENT, call.number as i32),
                        };
                    assert!(known, "another reason: {told}");
                }
            }
        }
    }
    let stale: Vec<_> = fallbacks
        .iter()
        .enumerate()
        .flat_map(|(index, fallback)| fallback.after.chars().map(move |letter| (index, letter)))
        .filter(|which| !taken.contains(which))
        .map(|(index, letter)| (fallbacks[index].call, letter))
        .collect();
    assert!(stale.is_empty(), "fallbacks that nothing takes: {stale:?}");
}

/// Whether the warden can try the call without an effect, and so knows a filter's EPERM.
fn may_be_tested(name: &str) -> bool {
    const NOT: [&str; 22] = [
        "kill",
        "rt_sigaction",
        "umask",
        "read",
        "write",
        "ppoll",
        "recvmsg",
        "setgroups",
        "getgroups",
        "socket",
        "mmap",
        "getdents64",
        "readlinkat",
        "fstatfs",
        "chdir",
        "getresuid",
        "getresgid",
        "capget",
        "unlinkat",
        "newfstatat",
        "close",
        "munmap",
    ];
    !NOT.contains(&name)
}

#[test]
#[cfg_attr(miri, ignore = "it takes hours")]
fn a_failed_call_refuses_its_step_or_has_a_fallback() {
    let fallbacks: Vec<&Fallback> = FALLBACKS.iter().chain(OF_MODERN_MOUNTS).collect();
    each_failure(false, &fallbacks);
}

#[test]
#[cfg_attr(miri, ignore = "it takes hours")]
fn a_failed_call_refuses_its_step_or_has_a_fallback_with_classic_mounts() {
    // mount(2) does not look at the status of some files, but there is nothing else to it.
    let fallbacks: Vec<&Fallback> = FALLBACKS.iter().collect();
    each_failure(true, &fallbacks);
}

#[test]
fn a_failure_at_one_of_several_paths_names_it() {
    for (call, path) in [
        ("open_tree proc3:/sys", "/proc/sys"),
        ("move_mount host:/dev/null \"\" proc3:/kcore", "/proc/kcore"),
        ("move_mount tmpfs3:/ \"\" proc3:/acpi", "/proc/acpi"),
        ("move_mount host:/usr", "usr"),
    ]
    .into_iter()
    // One of them shows Miri what it can.
    .take(if cfg!(miri) { 1 } else { usize::MAX })
    {
        let fault = Fault::Lines([call.into()].into());
        let (outcome, _) = apply(kernel(&plan(), false).with_fault(fault, Answer::Fail(NO_SPACE)));
        let Outcome::Refused { errno, path: named, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((errno, named.as_str()), (NO_SPACE.0, path));
    }
}
