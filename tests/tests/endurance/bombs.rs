//! Hostile programs, each many times, as root and as an unprivileged user. Each run must end as
//! expected. Within a second none of its processes and no cgroup of the library may be left.
//! SECLUDE_ROUNDS sets another number of rounds.

use seclude::{Ended, ErrorKind, MiB, Output, Resource, Sandbox, Tmpfs};
use seclude_tests::alone::alone;
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::census::survivors;
use seclude_tests::cgroups::{Cgroups, left_after};
use seclude_tests::payload::{command, mark, rounds, sandbox};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(1);

/// Ends a bomb that no limit stops, so that the tests continue. No test expects this end.
const LAST_RESORT: Duration = Duration::from_secs(60);

const MEMORY: u64 = 64 << 20;

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Runs the payload's bomb `word` and checks each run.
fn bomb(
    name: &str,
    word: &str,
    number: u64,
    times: u32,
    policy: impl Fn(Sandbox) -> Sandbox,
    judge: impl Fn(Caller, &Output),
) {
    let _alone = alone();
    as_each(name, |caller| {
        let sandbox = policy(sandbox().wall_time(LAST_RESORT));
        for round in 0..rounds(times) {
            let mark = mark();
            let output = command(&sandbox, word, number, &mark)
                .output()
                .unwrap_or_else(|error| panic!("round {round}: {error}"));
            judge(caller, &output);
            assert_eq!(survivors(&mark, GRACE), [0; 0], "round {round}: processes that are left");
            let own = std::process::id();
            let left = left_after(GRACE, |pid| pid == own);
            assert!(left.is_empty(), "round {round}: cgroups that are left: {left:?}");
        }
    });
}

fn ends(ended: Ended, limit: u64) -> impl Fn(Caller, &Output) {
    move |_, output| {
        let outcome = &output.outcome;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (outcome.ended, outcome.limit),
            (ended, Some(limit)),
            "{outcome:?} {}",
            &stderr[..stderr.len().min(500)]
        );
    }
}

#[test]
fn forks() {
    let judge = |caller: Caller, output: &Output| {
        ends(Ended::WallTime, 200_000_000)(caller, output);
        // A mechanism that counts must not report more than the limit.
        assert!(
            output.outcome.usage.processes_peak.is_none_or(|peak| (2..=32).contains(&peak)),
            "{:?}",
            output.outcome
        );
    };
    bomb("forks", "fork", 0, 20, |sandbox| sandbox.pids(32).wall_time(millis(200)), judge);
}

#[test]
fn forks_that_use_up_their_time() {
    let judge = ends(Ended::CpuTime, 200_000_000);
    bomb(
        "forks_that_use_up_their_time",
        "fork",
        0,
        20,
        |sandbox| sandbox.pids(32).cpu_time(millis(200)),
        judge,
    );
}

#[test]
fn forks_until_refused() {
    let judge = |caller: Caller, output: &Output| {
        ends(Ended::ProcessLimit, 32)(caller, output);
        assert_eq!(output.outcome.status, Some(3));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "refused after 31\n");
    };
    bomb("forks_until_refused", "spawn", 1000, 20, |sandbox| sandbox.pids(32), judge);
}

#[test]
fn threads() {
    let judge = ends(Ended::WallTime, 200_000_000);
    bomb("threads", "threads", 0, 20, |sandbox| sandbox.pids(32).wall_time(millis(200)), judge);
}

#[test]
fn memory() {
    let judge = |caller: Caller, output: &Output| {
        ends(Ended::MemoryLimit, MEMORY)(caller, output);
        assert!(output.outcome.usage.memory_peak >= MEMORY / 2, "{:?}", output.outcome);
        if Cgroups::of(caller) != Cgroups::None {
            assert!(output.outcome.usage.memory_peak <= MEMORY, "{:?}", output.outcome);
        }
    };
    bomb("memory", "memory", 0, 20, |sandbox| sandbox.memory(MEMORY), judge);
}

/// `/proc` shows no memory of a process by its main thread once that has ended.
#[test]
fn memory_of_a_process_without_its_main_thread() {
    bomb(
        "memory_of_a_process_without_its_main_thread",
        "headless-memory",
        0,
        5,
        |sandbox| sandbox.memory(MEMORY),
        ends(Ended::MemoryLimit, MEMORY),
    );
}

/// The kernel kills a grandchild. The first process goes on and exits normally.
#[test]
fn memory_of_a_grandchild() {
    let judge = |caller: Caller, output: &Output| {
        ends(Ended::MemoryLimit, MEMORY)(caller, output);
        if Cgroups::of(caller) != Cgroups::None {
            assert_eq!(output.outcome.status, Some(7));
        }
    };
    bomb("memory_of_a_grandchild", "grandchild", 7, 20, |sandbox| sandbox.memory(MEMORY), judge);
}

/// Takes all address space without touching it, which uses no memory and does no harm.
#[test]
fn mappings() {
    let judge = |_: Caller, output: &Output| {
        assert_eq!(output.outcome.ended, Ended::Exited(0), "{:?}", output.outcome);
        assert!(output.outcome.usage.memory_peak < MEMORY / 2, "{:?}", output.outcome);
        let text = String::from_utf8_lossy(&output.stdout);
        let gib: u64 = text
            .trim()
            .strip_prefix("mapped ")
            .and_then(|number| number.parse().ok())
            .expect("a number");
        assert!(gib > 1000, "the control: it did map, {gib} GiB");
    };
    bomb("mappings", "mapping", 0, 20, |sandbox| sandbox.memory(MEMORY), judge);
}

/// Swap counts as memory if some is granted. Where nothing counts swap, the start is refused.
#[test]
fn swap() {
    const SWAP: u64 = 16 << 20;
    let _alone = alone();
    as_each("swap", |caller| {
        let sandbox = sandbox().wall_time(LAST_RESORT).memory(MEMORY).swap(SWAP);
        for _ in 0..rounds(20) {
            let mark = mark();
            match command(&sandbox, "memory", 0, &mark).output() {
                Ok(output) => {
                    ends(Ended::MemoryLimit, MEMORY)(caller, &output);
                    assert!(
                        output.outcome.usage.memory_peak <= MEMORY + SWAP,
                        "{:?}",
                        output.outcome
                    );
                }
                Err(error) => {
                    assert!(
                        error.kind() == ErrorKind::LimitUnavailable && !counts_swap(caller),
                        "{error}"
                    );
                    return eprintln!("swap: SKIPPED as {}: {error}", caller.name());
                }
            }
            assert_eq!(survivors(&mark, GRACE), [0; 0], "processes that are left");
        }
    });
}

/// Whether a limit on swap must work here.
fn counts_swap(caller: Caller) -> bool {
    let v1 = || {
        seclude_tests::cgroups::mounts("cgroup")
            .iter()
            .any(|mount| mount.join("memory.memsw.limit_in_bytes").exists())
    };
    match Cgroups::of(caller) {
        Cgroups::V1 => v1(),
        // Only a cgroup below the root has memory.swap.max, and a kernel without swap accounting
        // has none at all.
        Cgroups::V2 | Cgroups::None => false,
    }
}

#[test]
fn disk() {
    let judge = |caller: Caller, output: &Output| {
        ends(Ended::ScratchFull, 16 << 20)(caller, output);
        assert_eq!(output.outcome.status, Some(5));
    };
    bomb("disk", "disk", 5, 20, |sandbox| sandbox.tmpfs("/tmp", MiB(16)), judge);
}

#[test]
fn inodes() {
    let judge = ends(Ended::ScratchFull, 1000);
    let policy = |sandbox: Sandbox| sandbox.entry(Tmpfs::new("/tmp").size(MiB(16)).inodes(1000));
    bomb("inodes", "inodes", 0, 20, policy, judge);
}

const OUTPUT: usize = 1 << 20;

/// Checks that exactly this much output arrived.
fn written(stdout: usize, stderr: usize) -> impl Fn(Caller, &Output) {
    move |caller, output| {
        ends(Ended::OutputLimit, OUTPUT as u64)(caller, output);
        assert_eq!((output.stdout.len(), output.stderr.len()), (stdout, stderr));
    }
}

#[test]
fn output() {
    bomb("output", "write", 1, 20, |sandbox| sandbox.output(OUTPUT as u64), written(OUTPUT, 0));
}

#[test]
fn errors() {
    bomb("errors", "write", 2, 20, |sandbox| sandbox.output(OUTPUT as u64), written(0, OUTPUT));
}

#[test]
fn output_and_errors() {
    let judge = |caller: Caller, output: &Output| {
        ends(Ended::OutputLimit, OUTPUT as u64)(caller, output);
        let lengths = [output.stdout.len(), output.stderr.len()];
        assert!(
            lengths.contains(&OUTPUT) && lengths.iter().all(|length| *length <= OUTPUT),
            "{lengths:?}"
        );
    };
    bomb("output_and_errors", "write", 3, 20, |sandbox| sandbox.output(OUTPUT as u64), judge);
}

#[test]
fn descriptors() {
    let judge = |_: Caller, output: &Output| {
        assert_eq!(output.outcome.ended, Ended::Exited(4));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "last 63\n");
    };
    bomb(
        "descriptors",
        "descriptors",
        0,
        20,
        |sandbox| sandbox.rlimit(Resource::Nofile, 64, 64),
        judge,
    );
}

#[test]
fn all_processors() {
    let judge = |caller: Caller, output: &Output| {
        ends(Ended::CpuTime, 200_000_000)(caller, output);
        let used = output.outcome.usage.cpu();
        assert!((millis(195)..millis(500)).contains(&used), "{used:?}");
    };
    bomb("all_processors", "spin", 4, 20, |sandbox| sandbox.cpu_time(millis(200)), judge);
}

#[test]
fn sleep_for_ever() {
    bomb(
        "sleep_for_ever",
        "sleep",
        0,
        20,
        |sandbox| sandbox.wall_time(millis(100)),
        ends(Ended::WallTime, 100_000_000),
    );
}

#[test]
fn deaf_to_signals() {
    let policy = |sandbox: Sandbox| sandbox.wall_time(millis(150)).wall_time_grace(15, millis(50));
    bomb("deaf_to_signals", "deaf", 0, 20, policy, ends(Ended::WallTime, 150_000_000));
}

#[test]
fn stops_itself() {
    bomb(
        "stops_itself",
        "stop",
        0,
        20,
        |sandbox| sandbox.wall_time(millis(100)),
        ends(Ended::WallTime, 100_000_000),
    );
}

#[test]
fn daemons() {
    bomb(
        "daemons",
        "daemon",
        0,
        20,
        |sandbox| sandbox.wall_time(millis(100)),
        ends(Ended::WallTime, 100_000_000),
    );
}
