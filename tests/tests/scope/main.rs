//! Limits in systemd scopes. A caller without controllers in its own cgroup, as in a login session,
//! asks systemd for a scope. Its limits hold as exactly as in cgroups of its own, though systemd
//! removes a scope when the last process in it ends.
//!
//! Without systemd these tests are skipped and say so. `make test-vm` boots machines that have it.
//! They are a binary of their own because they count the cgroups of their whole process: each calls
//! [`alone`].
#![deny(unsafe_code)]

use seclude::{Ended, Freezer, Limit, Mechanism, MemorySource};
use seclude_tests::alone::alone;
use seclude_tests::caller::driver;
use seclude_tests::census::{await_marked, survivors};
use seclude_tests::cgroups::{kernel_is_at_least, left, left_after, mounts};
use seclude_tests::job::Job;
use seclude_tests::payload::{PLACE, command, mark, rounds, sandbox};
use seclude_tests::scratch;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const MEMORY: u64 = 64 << 20;
const GRACE: Duration = Duration::from_secs(1);

/// The source of the memory peak. A cgroup reports it since Linux 5.19.
fn source() -> MemorySource {
    if kernel_is_at_least(5, 19) { MemorySource::Cgroup } else { MemorySource::Sampled }
}

/// The limit on processor time, which ends a fork bomb at the latest. The other words stay below it
/// on any machine.
fn time_for(word: &str) -> Duration {
    Duration::from_secs(if word == "fork" { 1 } else { 60 })
}

fn own() -> String {
    fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted")
}

/// Whether the library asks systemd for a scope on this host.
fn applies(test: &str) -> bool {
    let gives = |mount: &Path| {
        let own = own();
        let place =
            own.lines().find_map(|line| line.strip_prefix("0::/")).map(|path| mount.join(path));
        let controllers =
            place.and_then(|place| fs::read_to_string(place.join("cgroup.subtree_control")).ok());
        controllers.is_some_and(|list| list.split_whitespace().any(|name| name == "memory"))
    };
    let v2 = mounts("cgroup").is_empty() && !mounts("cgroup2").iter().any(|mount| gives(mount));
    let applies = Path::new("/run/systemd/system").exists() && v2;
    if !applies {
        println!("SKIPPED: scope: {test}: no systemd, or the caller has a cgroup of its own");
    }
    applies
}

#[test]
fn every_end_is_told_and_no_scope_stays() {
    let _alone = alone();
    if !applies("every_end_is_told_and_no_scope_stays") {
        return;
    }
    let (before, pid) = (own(), std::process::id());
    let limited = sandbox().memory(MEMORY).pids(16).wall_time(Duration::from_secs(60));
    for round in 0..rounds(20) {
        for (word, ended, limit) in [
            ("memory", Ended::MemoryLimit, Some(MEMORY)),
            ("fork", Ended::ProcessLimit, Some(16)),
            ("exit", Ended::Exited(0), None),
        ] {
            let sandbox = limited.clone().cpu_time(time_for(word));
            let outcome = command(&sandbox, word, 0, &mark()).output().expect("it starts").outcome;
            // A fork bomb goes on after its limit until its time is used up.
            let told = (outcome.ended == ended && outcome.limit == limit)
                || (word == "fork" && outcome.ended == Ended::CpuTime);
            assert!(told, "round {round}, {word}: {outcome:?}");
            for limit in [Limit::Memory, Limit::Pids, Limit::CpuTime] {
                assert_eq!(
                    outcome.enforced.mechanism(limit),
                    Some(Mechanism::CgroupV2),
                    "round {round}, {word}: {outcome:?}"
                );
            }
            assert_eq!(outcome.usage.memory_source, source(), "round {round}, {word}: {outcome:?}");
        }
    }
    assert_eq!(own(), before, "the caller is not moved");
    let left = left_after(GRACE, |owner| owner == pid);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_running_command_is_controlled_in_it() {
    let _alone = alone();
    if !applies("a_running_command_is_controlled_in_it") {
        return;
    }
    let mark = mark();
    let limited = sandbox().memory(MEMORY).pids(16);
    let mut child = command(&limited, "sleep", 0, &mark).spawn().expect("it starts");
    await_marked(&mark, 1);
    let place = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).expect("it runs");
    assert!(place.contains(".scope/seclude-"), "{place}");
    assert_eq!(child.freeze().expect("it can be frozen"), Freezer::CgroupV2);
    child.thaw().expect("it can be thawed");
    child.set_memory(MEMORY * 2).expect("it can have more");
    assert_eq!(child.usage().expect("it runs").memory_source, source());
    child.kill().expect("it can be killed");
    assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
    assert_eq!(survivors(&mark, GRACE), [0; 0]);
}

#[test]
fn each_of_many_in_one_is_held_to_its_own() {
    let _alone = alone();
    if !applies("each_of_many_in_one_is_held_to_its_own") {
        return;
    }
    let pid = std::process::id();
    let cell = sandbox()
        .memory(MEMORY * 4)
        .pids(100)
        .cpu_time(Duration::from_secs(100))
        .cell()
        .expect("a cell");
    // The second round runs in the scope of a copy.
    for round in 0..2 {
        let place = fs::read_to_string(format!("/proc/{}/cgroup", cell.id().expect("it lives")))
            .expect("it lives");
        assert!(place.contains(".scope/seclude-"), "{place}");
        let start = |word: &str| {
            let mut command = cell.command(PLACE);
            command
                .args([word, "0", "/tmp", &mark()])
                .memory(MEMORY)
                .pids(16)
                .cpu_time(time_for(word));
            command.spawn().expect("it starts")
        };
        let mut beside = start("sleep");
        for (word, ended, limit) in [
            ("memory", Ended::MemoryLimit, Some(MEMORY)),
            ("fork", Ended::ProcessLimit, Some(16)),
            ("exit", Ended::Exited(0), None),
        ] {
            let outcome = start(word).wait().expect("it ends");
            // A fork bomb goes on after its limit until its time is used up.
            let told = (outcome.ended == ended && outcome.limit == limit)
                || (word == "fork" && outcome.ended == Ended::CpuTime);
            assert!(told, "round {round}, {word}: {outcome:?}");
            for limit in [Limit::Memory, Limit::Pids, Limit::CpuTime] {
                assert_eq!(
                    outcome.enforced.mechanism(limit),
                    Some(Mechanism::CgroupV2),
                    "round {round}, {word}: {outcome:?}"
                );
            }
            assert_eq!(outcome.usage.memory_source, source(), "round {round}, {word}: {outcome:?}");
        }
        assert_eq!(cell.freeze().expect("it can be frozen"), Freezer::CgroupV2);
        cell.thaw().expect("it can be thawed");
        assert_eq!(beside.try_wait().expect("it runs"), None);
        cell.reset().expect("it can be");
        assert_eq!(beside.wait().expect("it has ended").ended, Ended::Killed);
    }
    cell.close();
    let left = left_after(GRACE, |owner| owner == pid);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_killed_callers_scope_goes_with_it() {
    let _alone = alone();
    if !applies("a_killed_callers_scope_goes_with_it") {
        return;
    }
    let (mark, place) = (mark(), scratch::directory());
    let (job, result) = (place.path().join("job"), place.path().join("result"));
    let text = Job {
        policy: r#"{"memory": "64M", "pids": 20}"#.into(),
        program: "sh".into(),
        arguments: ["-c", "while :; do sleep 0.2; done", &mark].map(Into::into).to_vec(),
        ..Job::default()
    };
    fs::write(&job, text.write()).expect("a file of our own");
    let mut caller =
        Command::new(driver()).args([&job, &result]).spawn().expect("the driver is there");
    await_marked(&mark, 1);
    let pid = caller.id();
    assert!(!left(|owner| owner == pid).is_empty(), "the control: it has a scope");
    caller.kill().expect("it is ours");
    caller.wait().expect("it is ours");
    assert_eq!(survivors(&mark, GRACE), [0; 0]);
    let left = left_after(GRACE * 5, |owner| owner == pid);
    assert!(left.is_empty(), "{left:?}");
}
