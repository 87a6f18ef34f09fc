//! Many jobs through one pool, a third of them hostile, each kind in turn. Each must have the right
//! end and leave nothing that the kernel counts. SECLUDE_POOL_JOBS sets the number of jobs; `make
//! soak` runs 20,000. The test prints how long the last thousand jobs took compared with the first.
//! It does not judge that time.

use seclude::{Command, Ended, MiB, Outcome, Pool, Sandbox, Stdio};
use seclude_tests::account::{Account, settled};
use seclude_tests::alone::alone;
use seclude_tests::caller::{Caller, as_each, program};
use seclude_tests::census::namespaces;
use seclude_tests::payload::PLACE;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SIZE: usize = 8;
const THREADS: usize = 8;

/// A job's limit on processor time. On a slow processor it is a multiple of the time of an honest
/// job, because the job that takes all memory needs dozens of times as much, and more on a machine
/// whose host has to find the memory first.
const CPU_TIME: Duration = Duration::from_millis(1500);
const HONEST_TIMES: u32 = 100;
const WALL_TIME: Duration = Duration::from_millis(150);

/// The limits end the hostile jobs. The honest ones stay far below them.
fn sandbox(cpu_time: Duration) -> Sandbox {
    let sandbox = Sandbox::new()
        .bind_ro(program("payload"), PLACE)
        .tmpfs("/tmp", MiB(1))
        .wall_time(Duration::from_secs(120));
    sandbox.memory(MiB(48)).pids(24).output(MiB(1)).cpu_time(cpu_time)
}

/// A job: its program, its own wall time if it has one, and the expected end.
struct Job {
    words: &'static [&'static str],
    wall_time: Option<Duration>,
    ended: Ended,
}

const fn job(words: &'static [&'static str], ended: Ended) -> Job {
    Job { words, wall_time: None, ended }
}

const fn until(words: &'static [&'static str]) -> Job {
    Job { words, wall_time: Some(WALL_TIME), ended: Ended::WallTime }
}

/// Checks that nothing of other jobs is there, leaves something behind, and ends.
const HONEST: Job = job(
    &[
        "sh",
        "-c",
        "test ! -e /tmp/left && test ! -e /dev/shm/left && : > /tmp/left && : > /dev/shm/left && exit 7",
    ],
    Ended::Exited(7),
);

/// All hostile kinds.
const HOSTILE: &[Job] = &[
    job(&["sh", "-c", "kill -9 $$"], Ended::Signaled(9)),
    job(&["sh", "-c", "while :; do :; done"], Ended::CpuTime),
    until(&["sh", "-c", "(setsid sleep 1000 &); sleep 1000"]),
    job(&[PLACE, "fork", "0", "/tmp"], Ended::CpuTime),
    job(&[PLACE, "spawn", "1000", "/tmp"], Ended::ProcessLimit),
    job(&[PLACE, "memory", "0", "/tmp"], Ended::MemoryLimit),
    job(&[PLACE, "disk", "5", "/tmp"], Ended::ScratchFull),
    job(&[PLACE, "write", "3", "/tmp"], Ended::OutputLimit),
    // Signals to the warden, which is PID 1, and to all processes but the sender.
    job(
        &["sh", "-c", "kill -9 1; kill -TERM 1; kill -9 -1; kill -STOP 1; exit 7"],
        Ended::Exited(7),
    ),
    job(&["sh", "-c", "for i in 1 2 3; do (setsid sleep 1000 &); done; exit 7"], Ended::Exited(7)),
    job(&[PLACE, "descriptors", "0", "/tmp"], Ended::Exited(4)),
    until(&[PLACE, "stop", "0", "/tmp"]),
    until(&[PLACE, "deaf", "0", "/tmp"]),
    until(&[PLACE, "daemon", "0", "/tmp"]),
    job(&["sh", "-c", "kill -SEGV $$"], Ended::Signaled(11)),
];

fn run(pool: &Pool, job: &Job) -> Outcome {
    let mut command: Command = pool.command(job.words[0]);
    command.args(&job.words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(limit) = job.wall_time {
        command.wall_time(limit);
    }
    let outcome = command.status().unwrap_or_else(|error| panic!("{:?}: {error}", job.words));
    assert_eq!(outcome.ended, job.ended, "{:?}: {outcome:?}", job.words);
    outcome
}

/// The median and the 99th percentile.
fn percentiles(times: &[Duration]) -> (Duration, Duration) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100])
}

/// Prints how long the honest jobs among the first and the last thousand took, from asking for a
/// sandbox to the outcome.
fn compare(who: Caller, times: &[Duration]) {
    let part = (times.len() / 2).min(1000 * 2 / 3);
    let ((p50, p99), (last_p50, last_p99)) =
        (percentiles(&times[..part]), percentiles(&times[times.len() - part..]));
    let ratio = |last: Duration, first: Duration| last.as_secs_f64() / first.as_secs_f64();
    println!(
        "as {}: the first {part} honest jobs took {p50:.1?}, p99 {p99:.1?}; the last {part} {last_p50:.1?}, p99 {last_p99:.1?}: {:.2} and, p99, {:.2} times",
        who.name(),
        ratio(last_p50, p50),
        ratio(last_p99, p99)
    );
}

#[test]
fn a_third_of_a_pools_jobs_is_hostile_and_nothing_stays() {
    let _alone = alone();
    as_each("a_third_of_a_pools_jobs_is_hostile_and_nothing_stays", |who| {
        let jobs: usize = std::env::var("SECLUDE_POOL_JOBS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(300);
        let cpu_time = {
            // Makes what is made once for each process.
            let pool = sandbox(Duration::from_secs(60)).pool(1).expect("it starts");
            let usage = run(&pool, &HONEST).usage;
            CPU_TIME.max((usage.user + usage.system) * HONEST_TIMES)
        };
        let (before, kinds) = (settled(&Account::of_now()), namespaces().len());
        let start = Instant::now();
        let times = Mutex::new(Vec::with_capacity(jobs));
        {
            let pool = sandbox(cpu_time).pool(SIZE).expect("it starts");
            let next = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= jobs {
                                return;
                            }
                            let begun = Instant::now();
                            if number.is_multiple_of(3) {
                                run(&pool, &HOSTILE[number / 3 % HOSTILE.len()]);
                            } else {
                                run(&pool, &HONEST);
                                times
                                    .lock()
                                    .expect("no thread panics while it holds this")
                                    .push(begun.elapsed());
                            }
                        }
                    });
                }
            });
            let told = pool.statistics();
            assert_eq!(
                (told.handed_out, told.in_use, told.lost, told.failed),
                (jobs as u64, 0, 0, 0),
                "{told:?}"
            );
            assert!(told.most_in_use <= SIZE);
            println!(
                "{jobs} jobs as {} in {:.0?}, each with {cpu_time:.0?} of processor time; {told:?}",
                who.name(),
                start.elapsed()
            );
        }
        compare(who, &times.into_inner().expect("no thread panicked while it held this"));
        assert_eq!(settled(&before), before);
        // Other programs may have created some. Leaked ones would be as many as the jobs.
        assert!(namespaces().len() < kinds + 100, "namespaces");

        // The control: a pool that still exists is noticed.
        let pool = sandbox(cpu_time).pool(1).expect("it starts");
        let with = Account::of_now();
        assert!(with.processes != before.processes && with.descriptors != before.descriptors);
        drop(pool);
        assert_eq!(settled(&before), before);
    });
}
