//! The mechanisms that count resources outside of the pages of a process. The tests follow the
//! table "What is counted by what" in docs/limits.md row by row.

use seclude::{Ended, ErrorKind, Limit, Mechanism, Outcome, Profile, Sandbox, Seccomp, Syscall};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::cgroups::Cgroups;
use seclude_tests::payload;
use std::time::Duration;

const MEMORY: u64 = 16 << 20;
const MOST: &str = "100000";

/// How many units a program got, the KiB of data in them, and the error number that refused more.
type Hoard = Option<[u64; 3]>;

fn hoard(sandbox: &Sandbox, kind: &str, most: &str) -> (Outcome, Hoard) {
    let sandbox = sandbox.clone().wall_time(Duration::from_secs(30));
    let output =
        sandbox.command(payload::PLACE).args(["hoard", most, kind]).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> =
        text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    println!(
        "{} {kind}: {}, {text:?} {}",
        Caller::present().name(),
        output.outcome,
        String::from_utf8_lossy(&output.stderr)
    );
    (output.outcome, numbers.try_into().ok())
}

fn limited() -> Sandbox {
    payload::sandbox().memory(MEMORY)
}

/// The kernel charges these to the cgroup. A command that takes too much is ended.
#[test]
fn a_cgroup_counts_them() {
    as_each("a_cgroup_counts_them", |who| {
        if Cgroups::of(who) == Cgroups::None {
            return eprintln!(
                "a_cgroup_counts_them: SKIPPED as {}, which has no cgroup",
                who.name()
            );
        }
        for kind in ["unix", "pipe", "epoll", "message", "semaphore", "memfd", "segment"] {
            let (outcome, _) = hoard(&limited(), kind, MOST);
            assert_eq!(outcome.ended, Ended::MemoryLimit, "{kind}: {outcome:?}");
        }
    });
}

/// Version 1 counts TCP buffers separately.
#[test]
fn buffers_of_tcp_are_limited() {
    as_each("buffers_of_tcp_are_limited", |who| {
        if Cgroups::of(who) == Cgroups::None {
            return eprintln!(
                "buffers_of_tcp_are_limited: SKIPPED as {}, which has no cgroup",
                who.name()
            );
        }
        // Fewer than fill this machine's memory where nothing limits them.
        let (outcome, got) = hoard(&limited(), "tcp", "3000");
        let held = got.map_or(0, |[_, kib, _]| kib << 10);
        assert!(
            outcome.ended == Ended::MemoryLimit || held <= 2 * MEMORY,
            "{held} bytes, {outcome:?}"
        );
        // The control: without the limit the program gets more.
        let (_, got) = hoard(&payload::sandbox(), "tcp", "3000");
        assert!(got.is_some_and(|[_, kib, _]| kib << 10 > 4 * MEMORY), "{got:?}");
        // For one command in a cell.
        let cell = payload::sandbox()
            .memory(64u64 << 20)
            .wall_time(Duration::from_secs(30))
            .cell()
            .expect("it starts");
        let output = cell
            .command(payload::PLACE)
            .args(["hoard", "3000", "tcp"])
            .memory(MEMORY)
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let held = text
            .split_whitespace()
            .nth(1)
            .map_or(0, |kib| kib.parse::<u64>().expect("a number") << 10);
        assert!(
            output.outcome.ended == Ended::MemoryLimit || held <= 2 * MEMORY,
            "{text} {:?}",
            output.outcome
        );
    });
}

/// Limits of the sandbox itself, with or without a cgroup.
#[test]
fn what_the_callers_user_shares_is_limited() {
    as_each("what_the_callers_user_shares_is_limited", |_| {
        for (kind, most) in [("timer", 4096), ("signal", 4096), ("inotify", 32), ("queue", 10)] {
            let (outcome, got) = hoard(&payload::sandbox(), kind, MOST);
            let got = got.unwrap_or_else(|| panic!("{kind}: {outcome:?}"));
            assert!(got[0] <= most && got[0] >= most / 2, "{kind}: {got:?}");
        }
    });
}

fn number(name: &str) -> String {
    Syscall::from_name(name).expect("a call of this architecture").number().to_string()
}

fn call(sandbox: &Sandbox, words: &[&str]) -> i32 {
    let output =
        sandbox.command(payload::PLACE).arg("call").args(words).output().expect("it starts");
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{words:?}: {:?}", output.outcome))
}

/// Resources that the kernel counts for the whole host only: contexts of asynchronous I/O, and huge
/// pages.
#[test]
fn what_is_counted_for_the_host_alone_is_refused() {
    use nix::libc::{EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM};
    as_each("what_is_counted_for_the_host_alone_is_refused", |_| {
        let open = payload::sandbox().seccomp(Profile::Unconfined);
        for profile in [Profile::Default, Profile::Nested, Profile::Debug, Profile::Strict] {
            let sandbox = payload::sandbox().seccomp(profile);
            assert_eq!(call(&sandbox, &[&number("io_setup"), "1", "0"]), ENOSYS, "{profile}");
            // A private anonymous mapping with the usual page size, then the same with huge pages.
            let map = number("mmap");
            assert_eq!(
                call(&sandbox, &[&map, "0", "0x200000", "3", "0x22", "0xffffffffffffffff", "0"]),
                0,
                "{profile}"
            );
            assert_eq!(
                call(&sandbox, &[&map, "0", "0x200000", "3", "0x40022", "0xffffffffffffffff", "0"]),
                ENOMEM,
                "{profile}"
            );
            assert_eq!(call(&sandbox, &[&number("memfd_create"), "0", "4"]), ENOSYS, "{profile}");
            if profile != Profile::Strict {
                assert_eq!(
                    call(&sandbox, &[&number("shmget"), "0", "0x200000", "0x800"]),
                    EPERM,
                    "{profile}"
                );
            }
        }
        // The controls: without the filter the kernel checks the arguments, and a rule allows the
        // call again.
        assert_eq!(call(&open, &[&number("io_setup"), "1", "0"]), EFAULT);
        assert!(
            [EFAULT, EINVAL, ENOSYS].contains(&call(&open, &[&number("memfd_create"), "0", "4"]))
        );
        let allowing =
            payload::sandbox().seccomp(Seccomp::profile(Profile::Default).allow("io_setup"));
        assert_eq!(call(&allowing, &[&number("io_setup"), "1", "0"]), EFAULT);
    });
}

/// Where only process scans enforce the limit on memory, calls that take memory unseen by them are
/// refused, unless a rule names the call.
#[test]
fn what_no_look_sees_is_refused_where_memory_is_sampled() {
    use nix::libc::ENOSYS;
    as_each("what_no_look_sees_is_refused_where_memory_is_sampled", |_| {
        let limits = |sandbox: Sandbox| sandbox.memory(64u64 << 20);
        let names = ["memfd_create", "shmget", "msgget", "semget"];
        let arguments: [&[&str]; 4] =
            [&["0", "0"], &["0", "4096", "0"], &["0", "0"], &["0", "1", "0"]];
        for (name, rest) in names.into_iter().zip(arguments) {
            let number = number(name);
            let words: Vec<&str> =
                [number.as_str()].into_iter().chain(rest.iter().copied()).collect();
            let limited = limits(payload::sandbox());
            let output = limited
                .command(payload::PLACE)
                .arg("call")
                .args(&words)
                .output()
                .expect("it starts");
            let sampled =
                output.outcome.enforced.mechanism(Limit::Memory) == Some(Mechanism::Sampled);
            let errno: i32 =
                String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
            assert_eq!(errno == ENOSYS, sampled, "{name}: {errno}");
            // The same in a cell and from a template. The controls are a sandbox without a limit,
            // and a rule.
            let cell = limited.cell().expect("it starts");
            let output =
                cell.command(payload::PLACE).arg("call").args(&words).output().expect("it starts");
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim() == "38", sampled, "{name}");
            assert_ne!(call(&payload::sandbox(), &words), ENOSYS, "{name}");
            let allowing =
                limits(payload::sandbox()).seccomp(Seccomp::profile(Profile::Default).allow(name));
            assert_ne!(call(&allowing, &words), ENOSYS, "{name}");
        }
        // An error in a filter program of the policy still names the program by its own index.
        let broken = limits(payload::sandbox()).seccomp_bpf(vec![0; 8]);
        if let Err(error) = broken.command(payload::PLACE).args(["exit", "0"]).output() {
            assert!(error.to_string().contains("seccomp_bpf program 0"), "{error}");
        }
    });
}

/// A program that waits and then works is throttled less if it may use what it has saved.
#[test]
fn a_burst_is_saved_time() {
    const WAITS: &str = "
import time
for _ in range(6):
    time.sleep(0.2)
    end = time.process_time() + 0.034
    while time.process_time() < end: pass
";
    as_each("a_burst_is_saved_time", |who| {
        if Cgroups::of(who) == Cgroups::None {
            let name = who.name();
            return eprintln!("a_burst_is_saved_time: SKIPPED as {name}, which has no cgroup");
        }
        // 20 ms in each 100 ms, and as much again.
        let plain = Sandbox::new().cpus(0.2);
        let burst = plain.clone().cpu_burst(Duration::from_millis(20));
        let throttled = |sandbox: &Sandbox| {
            let status = sandbox.command("python3").args(["-c", WAITS]).status()?;
            assert_eq!(status.ended, Ended::Exited(0));
            Ok::<_, seclude::Error>(status.usage.throttled)
        };
        let (mut without, mut with) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..3 {
            without += throttled(&plain).expect("it starts");
            with += match throttled(&burst) {
                Err(error) if error.kind() == ErrorKind::LimitUnavailable => {
                    return eprintln!("a_burst_is_saved_time: SKIPPED: {error}");
                }
                result => result.expect("it starts"),
            };
        }
        println!("throttled for {without:?}, with a burst for {with:?}");
        let mut child = burst.command("sleep").arg("1000").spawn().expect("it starts");
        child.set_cpus(0.5).expect("the quota gives the burst");
        let error = child.set_cpus(0.1).expect_err("the quota gives less than the burst");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(with * 3 < without * 2, "throttled for {without:?}, with a burst for {with:?}");
    });
}
