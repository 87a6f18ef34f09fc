//! Many runs, in one thread and in sixteen, leave nothing that the kernel counts. SECLUDE_SOAK_RUNS
//! sets the number of runs; `make soak` makes 10,000 of each.

use seclude::{Ended, Limit, MiB, Sandbox};
use seclude_tests::account::{Account, settled};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::census::namespaces;
use std::fs;
use std::path::PathBuf;

/// How much the memory of the caller may grow, in bytes.
const GROWTH: u64 = 1 << 20;

/// The resident memory of this process alone, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .expect("the kernel reports it");
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number")
        * 1024
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new().tmpfs("/tmp", MiB(1)).memory(MiB(64)).pids(8);
    sandbox.best_effort(Limit::Memory).best_effort(Limit::Pids)
}

fn run(sandbox: &Sandbox) {
    assert_eq!(sandbox.command("/bin/true").status().expect("it starts").ended, Ended::Exited(0));
}

fn in_threads(threads: usize, runs: usize) {
    let sandbox = sandbox();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..runs / threads).for_each(|_| run(&sandbox)));
        }
    });
}

#[test]
fn many_runs_leave_no_trace() {
    let _alone = alone();
    as_each("many_runs_leave_no_trace", |who| {
        let runs = std::env::var("SECLUDE_SOAK_RUNS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(320);
        // Makes what is made once and kept, and what the allocator keeps for each thread.
        in_threads(1, 32);
        in_threads(16, 160);
        let (before, kinds) = (settled(&Account::of_now()), namespaces().len());
        for threads in [1, 16] {
            let memory = resident();
            in_threads(threads, runs);
            assert_eq!(settled(&before), before, "{threads} threads");
            let grown = resident().saturating_sub(memory);
            assert!(grown < GROWTH, "{threads} threads: {grown} bytes more after {runs} runs");
        }
        // Other programs may have created some. Leaked ones would be as many as the runs.
        assert!(namespaces().len() < kinds + 100, "namespaces");
        println!("{runs} runs in 1 and in 16 threads as {}", who.name());

        // The control: one object of each kind that any user can make is noticed.
        let held = fs::File::open("/etc/passwd").expect("every user may");
        assert_ne!(Account::of_now(), before, "a descriptor");
        drop(held);
        let kept = sandbox().command("sleep").arg("1000").spawn().expect("it starts");
        let with = Account::of_now();
        assert!(
            with.processes != before.processes && with.descriptors != before.descriptors,
            "a run that goes on"
        );
        drop(kept);
        let left = PathBuf::from(format!("/var/tmp/seclude-soak-{}", std::process::id()));
        fs::write(&left, "").expect("there is room");
        assert_ne!(Account::of_now().temporary, before.temporary, "a file");
        fs::remove_file(left).expect("it is ours");
        assert_eq!(settled(&before), before);
    });
}
