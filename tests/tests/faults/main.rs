//! Each system call that sets up a sandbox fails once, with each error that an overloaded machine
//! may return. This covers the calls of the caller, of the warden, and of the process that becomes
//! the command. A tracer skips the call and replaces its result, one fault per run.
//!
//! The same is done while a template is made and copied: to the calls of the caller and of a pool's
//! threads, of the template, and of the copy.
//!
//! Each run must end in an error that names a step, or in a command with every protection active,
//! as the command itself sees them. Nothing may hang, no descriptor may stay open, and the next run
//! must be normal.
//!
//! A second series makes faults last: from one call on, every call of that number by that role
//! fails, or every call that names the same file. It covers every file of the caller, and every
//! ninth of the other calls. Errors that mean "try again" are left out there.
//!
//! SECLUDE_FAULTS=all tries every call with every error and writes the tables of `docs/faults.md`.
//! SECLUDE_FAULTS=NAME tries one call. Without the variable every fourth call gets one error, a
//! different one each time, and every seventeenth call from a template.
//!
//! This is a binary of its own because each run traces all of its processes, and because the runs
//! take long.
#![deny(unsafe_code)]
#![cfg(target_arch = "x86_64")]

mod trace;

use nix::errno::Errno;
use seclude::Syscall;
use seclude_tests::alone::alone;
use seclude_tests::caller::{Caller, as_each};
use std::collections::{BTreeMap, BTreeSet};
use trace::{CALLER, Extent, Fault, ROLES, Run, TEMPLATE, WARDEN, run};

const ERRORS: &[Errno] = &[
    Errno::EPERM,
    Errno::ENOSPC,
    Errno::EMFILE,
    Errno::ENOMEM,
    Errno::EAGAIN,
    Errno::EINTR,
    Errno::ENOSYS,
];

/// The manners of `src/bin/starter.rs` that use a template.
const FROM_A_TEMPLATE: [&str; 4] = ["prepare", "copy", "cell", "pool"];
/// For each extent, role, call and error: the results and how often each occurred.
type Table = BTreeMap<(Extent, usize, String), BTreeMap<i32, BTreeMap<String, u32>>>;

/// The starter's first result, or an error if the second result or the number of descriptors is
/// wrong.
fn sound<'a>(said: &'a str, kept: i32, baseline: Option<&str>) -> Result<&'a str, String> {
    let mut lines = said.trim_end().lines();
    let (Some(told), Some(again), Some(more), None) =
        (lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return Err(format!("it said {said:?}"));
    };
    let more: i32 = more
        .strip_prefix("more ")
        .and_then(|more| more.parse().ok())
        .ok_or_else(|| format!("it said {said:?}"))?;
    if more > kept {
        return Err(format!("{more} more descriptors are open: {told}"));
    }
    if baseline.is_some_and(|baseline| baseline != again) {
        return Err(format!("the next run was not normal: {told}\n{again}"));
    }
    Ok(told)
}

/// Splits a result into the protections that the outcome lists and the rest of the fingerprint.
fn parts(told: &str) -> Option<(BTreeSet<&str>, &str)> {
    let (enforced, seen) = told.strip_prefix("ok {")?.split_once('}')?;
    Some((enforced.split(", ").collect(), seen))
}

/// The result of a fault in one word, or an error if the result is not allowed.
fn judge(baseline: &str, run: &Run, (name, errno): (&str, Errno)) -> Result<String, String> {
    if run.hung {
        return Err("it hung".into());
    }
    // Without random numbers from the kernel, the library opens a device, which stays open.
    let told = sound(&run.said, if name == "getrandom" { 1 } else { 0 }, Some(baseline))?;
    if let Some(error) = told.strip_prefix("error ") {
        let mut words = error.splitn(3, ' ');
        let (kind, step) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        if step.is_empty() || kind == "command" {
            return Err(format!("an error without a step: {error}"));
        }
        return Ok(kind.to_owned());
    }
    let (expected, found) = (parts(baseline).ok_or(baseline)?, parts(told).ok_or(told)?);
    let lost: Vec<&str> = expected.0.difference(&found.0).copied().collect();
    // A best-effort protection may be missing where the kernel lacks it or a filter refuses it. The
    // outcome then does not list it as enforced.
    let dispensable = |name: &&str| name.contains("landlock") || name.contains("own-keyring");
    match (found.1 == expected.1, lost.is_empty()) {
        (true, true) => Ok("as usual".into()),
        (true, false)
            if matches!(errno, Errno::ENOSYS | Errno::EPERM) && lost.iter().all(dispensable) =>
        {
            Ok("without".into())
        }
        _ => Err(format!("it started with less: lost {lost:?}\n{}\n{}", expected.1, found.1)),
    }
}

/// Makes calls fail, all of them or every `stride`th, and adds the results to the table. Returns
/// the results that are not allowed, and the number of runs.
fn sweep(
    manner: &str,
    extent: Extent,
    stride: Option<usize>,
    table: &mut Table,
) -> (Vec<String>, usize) {
    let first = run(manner, None);
    let baseline = sound(&first.said, 0, None).expect("without a fault it runs").to_owned();
    assert!(baseline.starts_with("ok {"), "{baseline}");
    assert!(first.calls.len() > 200, "{manner}: only {} calls were seen", first.calls.len());
    let again = run(manner, None);
    assert_eq!(
        sound(&again.said, 0, Some(&baseline)),
        Ok(&*baseline),
        "two runs without a fault are alike"
    );
    let (mut wrong, mut runs) = (Vec::new(), 0);
    let mut files = BTreeSet::new();
    for (index, (place, number, file)) in first.calls.iter().enumerate() {
        let name = Syscall::new(*number as i32).to_string();
        // A process that exits has ended, by this call or by the next instruction. A close(2) has
        // closed the descriptor even if it returns an error.
        if matches!(&*name, "exit" | "exit_group" | "close") || !is_chosen(&name) {
            continue;
        }
        // A pool's copies are made like a cell, which has its own runs. A changed result of
        // getpid(2) would mean a fork, and a forked process takes no part in a pool or template of
        // its parent.
        let skipped = |stride: usize| {
            index % stride != 0 && !(extent == Extent::SameFile && place.0 == CALLER)
        };
        let forked = name == "getpid" && FROM_A_TEMPLATE.contains(&manner);
        if manner == "pool" && place.0 > TEMPLATE || forked || stride.is_some_and(skipped) {
            continue;
        }
        // A file that fails from its first use on covers later uses too. But the caller may read
        // facts about itself more than once, and one answer must not make up for the other.
        if extent == Extent::SameFile
            && !file.as_ref().is_some_and(|file| files.insert((place.0, *number, file.clone())))
        {
            continue;
        }
        let errors: Vec<Errno> =
            ERRORS.iter().copied().filter(|errno| extent.can_be(*errno)).collect();
        let tried = if stride.is_none() {
            &errors[..]
        } else {
            &errors[index % errors.len()..=index % errors.len()]
        };
        for errno in tried {
            runs += 1;
            let fault = Fault { place: *place, number: *number, errno: *errno, extent };
            match judge(&baseline, &run(manner, Some(fault)), (&name, *errno)) {
                Ok(word) => {
                    let words = table
                        .entry((extent, place.0, name.clone()))
                        .or_default()
                        .entry(*errno as i32)
                        .or_default();
                    *words.entry(word).or_default() += 1;
                }
                Err(why) => {
                    let file =
                        file.as_ref().map(|file| String::from_utf8_lossy(file)).unwrap_or_default();
                    let call =
                        format!("{} {} {name} (call {}) {file}", ROLES[place.0], place.1, place.2);
                    wrong
                        .push(format!("{manner}: {call} with {errno:?}, {}: {why}", extent.name()));
                }
            }
        }
    }
    // The control: the check notices a run with fewer protections.
    for less in [
        baseline.replace("\"no-capabilities\"", "\"\""),
        baseline.replace("NoNewPrivs: 1", "NoNewPrivs: 0"),
    ] {
        assert_ne!(less, baseline);
        let run =
            Run { said: format!("{less}\n{baseline}\nmore 0\n"), calls: Vec::new(), hung: false };
        assert!(judge(&baseline, &run, ("mount", Errno::EPERM)).is_err());
    }
    (wrong, runs)
}

fn judged(who: Caller, table: &Table, (wrong, runs): (Vec<String>, usize)) {
    println!("{runs} faults as {}", who.name());
    if all() {
        write_table(who, table);
    }
    assert!(wrong.is_empty(), "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
}

fn all() -> bool {
    std::env::var_os("SECLUDE_FAULTS").is_some()
}

fn is_chosen(name: &str) -> bool {
    std::env::var_os("SECLUDE_FAULTS").is_none_or(|word| word == "all" || word == name)
}

#[test]
fn every_call_of_the_set_up_may_fail() {
    let _alone = alone();
    as_each("every_call_of_the_set_up_may_fail", |who| {
        let mut table = Table::new();
        let found = sweep("own", Extent::Once, if all() { None } else { Some(4) }, &mut table);
        judged(who, &table, found);
    });
}

/// A resource is missing for a while: a call fails, and so do all later calls of that number by
/// that role, or all that name the same file.
#[test]
fn every_call_of_the_set_up_may_fail_from_then_on() {
    let _alone = alone();
    as_each("every_call_of_the_set_up_may_fail_from_then_on", |who| {
        let (mut table, mut found) = (Table::new(), (Vec::new(), 0));
        for extent in [Extent::Always, Extent::SameFile] {
            let (wrong, runs) =
                sweep("own", extent, if all() { None } else { Some(9) }, &mut table);
            found.0.extend(wrong);
            found.1 += runs;
        }
        judged(who, &table, found);
    });
}

/// The facts that the caller reads about itself determine the user of its command. The tracer must
/// see these calls and make them fail.
#[test]
fn the_callers_reading_of_its_own_ids_is_among_the_calls() {
    let _alone = alone();
    as_each("the_callers_reading_of_its_own_ids_is_among_the_calls", |who| {
        let first = run("own", None);
        let baseline = sound(&first.said, 0, None).expect("without a fault it runs").to_owned();
        let map = first.calls.iter().find(|(place, _, file)| {
            place.0 == CALLER && file.as_ref().is_some_and(|file| file.ends_with(b"/uid_map"))
        });
        let Some((place, number, _)) = map else {
            assert_eq!(who, Caller::User, "who may map ids must see whether they are there");
            return;
        };
        for extent in [Extent::Once, Extent::SameFile] {
            for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EACCES] {
                let fault = Fault { place: *place, number: *number, errno, extent };
                let told = judge(&baseline, &run("own", Some(fault)), ("openat", errno));
                // A command that ran without knowledge of the id maps could be another user.
                let word = told.unwrap_or_else(|why| panic!("{errno:?}, {}: {why}", extent.name()));
                let seen = word != "as usual" || extent == Extent::Once || who == Caller::User;
                assert!(seen, "{errno:?}, {}: the fault has not been noticed", extent.name());
            }
        }
    });
}

/// Making a template, and copying it for a command, a cell and a pool. Whatever fails, the next run
/// must succeed.
#[test]
fn every_call_of_a_template_and_its_copies_may_fail() {
    let _alone = alone();
    as_each("every_call_of_a_template_and_its_copies_may_fail", |who| {
        let (mut table, mut found) = (Table::new(), (Vec::new(), 0));
        for manner in FROM_A_TEMPLATE {
            // Making a template makes most of the calls that making a sandbox does.
            let stride = match (manner, all()) {
                ("prepare", true) => Some(5),
                ("prepare", false) => Some(53),
                (_, true) => None,
                (_, false) => Some(17),
            };
            let (wrong, runs) = sweep(manner, Extent::Once, stride, &mut table);
            found.0.extend(wrong);
            found.1 += runs;
        }
        judged(who, &table, found);
    });
}

/// Each read of the caller's ids and capabilities, and of the warden's id maps, fails once. The
/// command must be the usual user, or must not start.
#[test]
fn no_failed_read_makes_the_command_another_user() {
    let _alone = alone();
    as_each("no_failed_read_makes_the_command_another_user", |who| {
        const READS: [&str; 5] = ["open", "openat", "read", "capget", "geteuid"];
        let first = run("own", None);
        let baseline = sound(&first.said, 0, None).expect("without a fault it runs").to_owned();
        let (mut wrong, mut runs, mut unread, mut unchecked) = (Vec::new(), 0, 0, 0);
        for (place, number, _) in &first.calls {
            let name = Syscall::new(*number as i32).to_string();
            if !READS.contains(&&*name) || place.0 != CALLER && place.0 != WARDEN {
                continue;
            }
            // An empty file is not a file with less content. getuid(2) cannot fail.
            let empty = (name == "read").then_some(Errno::UnknownErrno);
            let refused = (name != "geteuid").then_some([Errno::EMFILE, Errno::EPERM]);
            for errno in refused.into_iter().flatten().chain(empty) {
                runs += 1;
                let run = run(
                    "own",
                    Some(Fault { place: *place, number: *number, errno, extent: Extent::Once }),
                );
                unread += usize::from(run.said.starts_with("error") && run.said.contains("_map"));
                unchecked += usize::from(run.said.contains("check the id maps"));
                if let Err(why) = judge(&baseline, &run, (&name, errno)) {
                    wrong.push(format!(
                        "{} {name} (call {}) with {errno:?}: {why}",
                        ROLES[place.0], place.2
                    ));
                }
            }
        }
        println!(
            "{runs} faults as {}: {unread} maps not read by the caller, {unchecked} by the warden",
            who.name()
        );
        assert!(wrong.is_empty(), "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
        // There are two maps each. Opening one fails in two ways, reading one in three.
        assert!(unread >= 10 && unchecked >= 10, "too few faults hit a map");
    });
}

/// The caller is short of descriptors for a moment while it looks for the mechanisms that enforce
/// limits. The limits must be enforced as usual, or the command must not start.
#[test]
fn no_shortage_of_a_moment_makes_a_limit_weaker() {
    let _alone = alone();
    as_each("no_shortage_of_a_moment_makes_a_limit_weaker", |who| {
        let first = run("limited", None);
        let baseline = sound(&first.said, 0, None).expect("without a fault it runs").to_owned();
        assert!(baseline.contains("memory by ") && baseline.contains("cpu_time by "), "{baseline}");
        let (mut wrong, mut runs) = (Vec::new(), 0);
        for (place, number, _) in first.calls.iter().filter(|(place, _, _)| place.0 == CALLER) {
            let name = Syscall::new(*number as i32).to_string();
            if matches!(&*name, "open" | "openat" | "openat2") {
                runs += 1;
                if let Err(why) = judge(
                    &baseline,
                    &run(
                        "limited",
                        Some(Fault {
                            place: *place,
                            number: *number,
                            errno: Errno::EMFILE,
                            extent: Extent::Once,
                        }),
                    ),
                    (&name, Errno::EMFILE),
                ) {
                    wrong.push(format!("{name} (call {}): {why}", place.2));
                }
            }
        }
        println!("{runs} faults as {}", who.name());
        assert!(wrong.is_empty() && runs > 4, "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
    });
}

fn write_table(who: Caller, table: &Table) {
    let names: Vec<String> = ERRORS.iter().map(|errno| format!("{errno:?}")).collect();
    let mut last = None;
    for ((extent, role, name), results) in table {
        if last.replace(*extent) != Some(*extent) {
            let heads = (names.join(" | "), "---|".repeat(ERRORS.len()));
            println!(
                "\n## As {}, {}\n\n| who | call | {} |\n|---|---|{}",
                who.name(),
                extent.name(),
                heads.0,
                heads.1
            );
        }
        let cell = |errno: &Errno| {
            let words = results.get(&(*errno as i32)).map(|words| {
                words.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>()
            });
            words.unwrap_or_default().join(", ")
        };
        println!(
            "| {} | `{name}` | {} |",
            ROLES[*role],
            ERRORS.iter().map(cell).collect::<Vec<_>>().join(" | ")
        );
    }
}
