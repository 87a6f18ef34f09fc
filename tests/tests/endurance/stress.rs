//! stress-ng's stressors inside, under limits. Whatever they do to the kernel, each run ends by
//! itself or by a limit that is reported, and leaves nothing. SECLUDE_STRESS_SECONDS sets the time
//! for each; `make stress` uses 20.

use seclude::{Ended, Limit, MiB, Profile, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::census::{descendants, mounts, survivors};
use seclude_tests::cgroups;
use seclude_tests::payload::mark;
use std::path::Path;
use std::time::{Duration, Instant};

/// Stressors by stress-ng's names: processes, memory, pipes, queues, shared memory, sockets,
/// procfs, signals.
const STRESSORS: &[&str] = &[
    "fork", "vfork", "clone", "exec", "zombie", "vm", "bigheap", "brk", "mmap", "pipe", "mq",
    "shm", "shm-sysv", "sem", "sem-sysv", "msg", "sock", "sockpair", "procfs", "sigq", "kill",
    "fault", "futex", "memfd", "dir", "seccomp",
];

fn sandbox(seconds: u64) -> Sandbox {
    let limits = Sandbox::new()
        .tmpfs("/tmp", MiB(16))
        .memory(MiB(256))
        .pids(64)
        .cpu_time(Duration::from_secs(4 * seconds + 4));
    let limits = limits.output(MiB(1)).wall_time(Duration::from_secs(5 * seconds + 10));
    // Without cgroups some limits can only be sampled, and swap cannot be limited at all.
    limits.best_effort(Limit::Memory).best_effort(Limit::Pids)
}

#[test]
fn every_stressor_ends_and_nothing_of_it_stays() {
    let _alone = alone();
    if !Path::new("/usr/bin/stress-ng").exists() {
        eprintln!(
            "every_stressor_ends_and_nothing_of_it_stays: SKIPPED: stress-ng is not installed"
        );
        return;
    }
    let seconds = std::env::var("SECLUDE_STRESS_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    as_each("every_stressor_ends_and_nothing_of_it_stays", |who| {
        let before = (descendants(), mounts());
        let mut told = Vec::new();
        for stressor in STRESSORS {
            // Given enough time, also runs each with every system call allowed.
            for profile in
                &[Profile::Default, Profile::Unconfined][..if seconds > 1 { 2 } else { 1 }]
            {
                let (mark, started) = (mark(), Instant::now());
                let mut command = sandbox(seconds).seccomp(*profile).command("stress-ng");
                let words = [
                    &format!("--{stressor}"),
                    "2",
                    "--timeout",
                    &seconds.to_string(),
                    "--temp-path",
                    "/tmp",
                    "--no-rand-seed",
                    "--quiet",
                ];
                command
                    .args(words)
                    .env("SECLUDE_MARK", &mark)
                    .current_dir("/tmp")
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                command.arg("--log-file").arg(format!("/tmp/{mark}"));
                let outcome = command.status().expect("it starts");
                let limit = matches!(
                    outcome.ended,
                    Ended::MemoryLimit
                        | Ended::ProcessLimit
                        | Ended::CpuTime
                        | Ended::WallTime
                        | Ended::ScratchFull
                        | Ended::OutputLimit
                );
                let itself = matches!(outcome.ended, Ended::Exited(_) | Ended::Signaled(_));
                assert!(limit || itself, "{stressor}, {profile}: {}", outcome.ended);
                assert!(
                    started.elapsed() < Duration::from_secs(5 * seconds + 40),
                    "{stressor}, {profile}"
                );
                assert_eq!(
                    survivors(&mark, Duration::from_secs(1)),
                    Vec::<u32>::new(),
                    "{stressor}, {profile}"
                );
                told.push(format!("{stressor}: {}", outcome.ended));
            }
        }
        // Processes that existed before are not this test's.
        let left: Vec<u32> =
            descendants().into_iter().filter(|pid| !before.0.contains(pid)).collect();
        assert_eq!((left, mounts()), (Vec::new(), before.1));
        assert_eq!(
            cgroups::left_after(Duration::from_secs(2), |owner| owner == std::process::id()),
            Vec::<std::path::PathBuf>::new()
        );
        println!("as {}: {}", who.name(), told.join(", "));
        // Most stressors must run to their own end. Otherwise the sandbox refuses so much that the
        // test shows nothing.
        let ended = told.iter().filter(|line| line.ends_with("exited with code 0")).count();
        assert!(ended > told.len() / 2, "{ended} of {}", told.len());
    });
}

/// The control: a process that is left on purpose is found.
#[test]
fn what_stays_is_found() {
    let _alone = alone();
    let mark = mark();
    let kept =
        sandbox(1).command("sh").args(["-c", "sleep 1000; :", &mark]).spawn().expect("it starts");
    assert_ne!(survivors(&mark, Duration::from_millis(300)), Vec::<u32>::new());
    assert!(!descendants().is_empty());
    drop(kept);
    assert_eq!(survivors(&mark, Duration::from_secs(1)), Vec::<u32>::new());
}
