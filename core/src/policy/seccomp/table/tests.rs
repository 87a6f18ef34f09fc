//! The table against the kernel's own headers, and what each profile leaves out on each
//! architecture.

use super::*;
use crate::policy::seccomp::{Action, Profile, Rule, Seccomp};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::process::{Command, Stdio};

const ALL: [Architecture; 3] = [X86_64, Aarch64, Riscv64];

/// The calls of an architecture in the kernel's header, as a compiler for it sees them. `None`
/// without such a compiler.
fn header(architecture: Architecture) -> Option<BTreeMap<String, u32>> {
    let compiler = match architecture {
        native if native == Architecture::NATIVE => "cc".to_owned(),
        other => format!("{}-linux-gnu-gcc", other.name()),
    };
    let run = Command::new(&compiler)
        .args(["-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"])
        .stderr(Stdio::inherit())
        .output();
    let output = match run {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.expect("the compiler starts"),
    };
    assert!(output.status.success(), "{compiler} fails");
    let text = String::from_utf8(output.stdout).expect("macros are text");
    let macros: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .filter(|(name, _)| name.starts_with("__NR"))
        .collect();
    // Some numbers of the generic header stand behind a second name, such as __NR3264_lseek, or are
    // a sum: (__NR_arch_specific_syscall + 15).
    let term = |word: &str| macros.get(word).copied().unwrap_or(word).parse::<u32>().ok();
    let number =
        |value: &str| value.trim_matches(['(', ')']).split(" + ").map(term).sum::<Option<u32>>();
    // These two are bounds, not calls.
    let bounds = ["syscalls", "arch_specific_syscall"];
    let calls = macros.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("__NR_").filter(|name| !bounds.contains(name))?;
        Some((name.to_owned(), number(value)?))
    });
    Some(calls.collect())
}

#[test]
fn the_table_is_that_of_the_kernels_headers() {
    for architecture in ALL {
        let name = architecture.name();
        let Some(header) = header(architecture) else {
            eprintln!("SKIPPED: the calls of {name}: there is no compiler for it");
            continue;
        };
        assert!(header.len() > 280, "{name}: the header has {} calls", header.len());
        let newest = header.values().max().copied().expect("there are calls");
        let mine: BTreeMap<String, u32> = ROWS
            .iter()
            .filter_map(|row| Some((row.name.to_owned(), row.number(architecture)?)))
            .collect();
        for (call, number) in &header {
            if *number <= 471 {
                assert_eq!(mine.get(call), Some(number), "{call} of {name}");
            }
        }
        for (call, number) in &mine {
            // These got numbers in the middle, in Linux 6.4, 6.11 and 6.17.
            let in_the_middle = ["riscv_hwprobe", "uretprobe", "uprobe"];
            let is_later = *number > newest || in_the_middle.contains(&&**call);
            assert!(header.contains_key(call) || is_later, "{name} has no {call}");
        }
    }
}

#[test]
fn the_table_is_sorted_and_no_number_has_two_names() {
    assert!(ROWS.is_sorted_by(|one, next| one.name < next.name));
    for architecture in ALL {
        let numbers: Vec<u32> = ROWS.iter().filter_map(|row| row.number(architecture)).collect();
        let distinct: BTreeSet<u32> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len(), "{architecture:?}");
    }
}

/// The calls that profiles name and x86_64 alone has.
const OLDER: &[&str] = &[
    "access",
    "alarm",
    "arch_prctl",
    "chmod",
    "chown",
    "creat",
    "dup2",
    "epoll_create",
    "epoll_wait",
    "eventfd",
    "fork",
    "futimesat",
    "getdents",
    "getpgrp",
    "inotify_init",
    "lchown",
    "link",
    "lstat",
    "mkdir",
    "mknod",
    "open",
    "pause",
    "pipe",
    "poll",
    "readlink",
    "rename",
    "rmdir",
    "select",
    "signalfd",
    "stat",
    "symlink",
    "time",
    "unlink",
    "utime",
    "utimes",
    "vfork",
];
/// Those that are not in the profile `strict`, which starts no processes.
const STARTING: &[&str] = &["fork", "vfork"];

#[test]
fn each_profile_leaves_out_these_calls_on_each_architecture() {
    for profile in Profile::ALL {
        for architecture in ALL {
            let left_out: BTreeSet<String> = named(*profile)
                .into_iter()
                .filter(|call| {
                    let row = row(call).unwrap_or_else(|| panic!("Linux has no call {call}"));
                    row.number(architecture).is_none()
                })
                .collect();
            let mut expected: BTreeSet<&str> = match architecture {
                _ if *profile == Profile::Unconfined => BTreeSet::new(),
                X86_64 => BTreeSet::new(),
                Aarch64 | Riscv64 => OLDER.iter().copied().collect(),
            };
            if *profile == Profile::Strict {
                expected.retain(|call| !STARTING.contains(call));
            }
            // riscv64 alone lacks this older form of renameat2, and the others lack its own two.
            match (architecture, *profile) {
                (_, Profile::Unconfined) => {}
                (Riscv64, _) => {
                    expected.insert("renameat");
                }
                (X86_64 | Aarch64, _) => {
                    expected.extend(["riscv_flush_icache", "riscv_hwprobe"]);
                }
            }
            let left_out: BTreeSet<&str> = left_out.iter().map(String::as_str).collect();
            assert_eq!(left_out, expected, "{profile} on {}", architecture.name());
        }
    }
}

#[test]
fn a_profile_names_what_takes_the_place_of_a_call_that_it_leaves_out() {
    for profile in Profile::ALL {
        let names = named(*profile);
        for architecture in ALL {
            let lacks = |call: &&String| row(call).unwrap().number(architecture).is_none();
            for call in names.iter().filter(lacks) {
                match successor(call, architecture) {
                    Some(next) => assert!(names.contains(next), "{next} for {call} in {profile}"),
                    // Nothing but segments of x86 and the calls of riscv64 itself.
                    None => assert!(
                        call == "arch_prctl" || call.starts_with("riscv_"),
                        "{call} on {architecture:?}"
                    ),
                }
            }
        }
    }
}

/// The calls that the rules of a profile name.
fn named(profile: Profile) -> BTreeSet<String> {
    profile.rules().into_iter().map(|rule| rule.call.into_owned()).collect()
}

#[test]
fn a_successor_is_a_call_of_each_architecture_that_lacks_the_call() {
    for (call, candidates) in SUCCESSORS {
        let old = row(call).unwrap_or_else(|| panic!("{call} is in the table"));
        assert!(candidates.iter().all(|name| row(name).is_some()), "{call}");
        assert!(ALL.iter().any(|one| old.number(*one).is_none()), "{call} is everywhere");
        for architecture in ALL {
            assert!(successor(call, architecture).is_some(), "{call} on {architecture:?}");
        }
    }
}

#[test]
fn a_rule_that_would_do_nothing_is_refused_unless_the_successor_has_one() {
    let check = |filter: &Seccomp, architecture| {
        let first = &filter.rules[0];
        filter.check_successor(first, architecture).map_err(|error| error.to_string())
    };
    let old = Seccomp::profile(Profile::Default).deny("mkdir", 1);
    assert_eq!(check(&old, X86_64), Ok(()));
    for architecture in [Aarch64, Riscv64] {
        let error = check(&old, architecture).unwrap_err();
        assert!(error.contains("mkdirat") && error.contains(architecture.name()), "{error}");
        let number = row("mkdirat").unwrap().number(architecture).unwrap().to_string();
        for both in [old.clone().deny("mkdirat", 1), old.clone().deny(&*number, 1)] {
            assert_eq!(check(&both, architecture), Ok(()), "{both:?}");
        }
        // Nothing takes the place of these.
        for call in ["arch_prctl", "iopl", "modify_ldt"] {
            assert_eq!(check(&Seccomp::profile(Profile::Default).kill(call), architecture), Ok(()));
        }
    }
    let rename = Seccomp::profile(Profile::Default).kill("rename");
    assert!(check(&rename, Aarch64).unwrap_err().contains("call renameat;"));
    assert!(check(&rename, Riscv64).unwrap_err().contains("call renameat2;"));
}

#[test]
fn names_of_32_bit_kernels_are_refused_everywhere() {
    for call in ["fstatat", "fstatat64", "clock_gettime64", "futex_time64", "mmap2", "socketcall"] {
        assert!(row(call).is_none(), "{call}");
        let rule = Seccomp::profile(Profile::Default).rule(Rule::new(call, Action::Allow));
        let error = rule.check().unwrap_err().to_string();
        assert!(error.contains("no such system call"), "{error}");
    }
}
