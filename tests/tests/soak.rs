//! Many runs, in one thread and in sixteen, and then nothing is there that was not there before: whatever a kernel keeps account of. SECLUDE_SOAK_RUNS: how many
//! (`make soak`: 10,000 each).
#![deny(unsafe_code)]

use seclude::{Ended, Limit, MiB, Sandbox};
use seclude_tests::caller::as_each;
use seclude_tests::census::{descendants, descriptors, mounts, namespaces};
use seclude_tests::cgroups;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// How much the caller's memory may grow, in bytes.
const GROWTH: u64 = 1 << 20;

/// All that is counted. Namespaces of others come and go: only those that this process's descendants are in are ours.
#[derive(Debug, PartialEq)]
struct Account {
    descriptors: BTreeSet<(u32, PathBuf)>,
    mounts: Vec<String>,
    processes: Vec<u32>,
    cgroups: Vec<PathBuf>,
    links: BTreeSet<String>,
    keys: BTreeMap<String, u32>,
    system_v: Vec<usize>,
    temporary: BTreeSet<PathBuf>,
}

impl Account {
    fn of_now() -> Account {
        let listed = |directory: &str| fs::read_dir(directory).into_iter().flatten().flatten();
        let ours = |name: &str| name.contains("seclude") && !name.starts_with("seclude-test-");
        let temporary = ["/tmp", "/var/tmp", "/dev/shm"].into_iter().flat_map(listed);
        let lines = |path: &str| fs::read_to_string(path).unwrap_or_default().lines().count();
        // A line: the user's id, then how many keys that user has.
        let users = fs::read_to_string("/proc/key-users").unwrap_or_default();
        let key_line = |line: &str| {
            let (user, rest) = line.trim().split_once(':')?;
            // How many there are, and how many of them are whole.
            let count = rest.split_whitespace().nth(1)?.split('/').next()?.parse().ok()?;
            Some((user.to_owned(), count))
        };
        Account {
            descriptors: descriptors(),
            mounts: mounts(),
            processes: descendants(),
            cgroups: cgroups::left(|owner| owner == std::process::id()),
            links: listed("/sys/class/net").filter_map(|entry| entry.file_name().into_string().ok()).collect(),
            keys: users.lines().filter_map(key_line).filter(|(user, _)| is_behind(user)).collect(),
            system_v: ["shm", "sem", "msg"].map(|kind| lines(&format!("/proc/sysvipc/{kind}"))).to_vec(),
            temporary: temporary.filter(|entry| entry.file_name().to_str().is_some_and(ours)).map(|entry| entry.path()).collect(),
        }
    }
}

/// Whether a sandbox's keys are counted under this user.
fn is_behind(user: &str) -> bool {
    user.parse::<u32>().is_ok_and(|user| (0x7000_0000..0x7001_0000).contains(&user))
}

/// Bytes of memory that are this process's own.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel tells it");
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number") * 1024
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

/// The kernel takes apart behind the scenes what has been let go of: it is waited for, but not for long. Of what runs before this left to it, less may
/// be there by now: then the account is the same.
fn settled(before: &Account) -> Account {
    let mut now = Account::of_now();
    for _ in 0..200 {
        if now.keys.iter().all(|(user, count)| before.keys.get(user).is_some_and(|before| count <= before)) {
            now.keys = before.keys.clone();
        }
        if now == *before {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        now = Account::of_now();
    }
    now
}

#[test]
fn many_runs_leave_no_trace() {
    as_each("many_runs_leave_no_trace", |who| {
        let runs = std::env::var("SECLUDE_SOAK_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(320);
        // What is made once and kept, and what an allocator keeps for each of its threads.
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
        // Others' may have come; ours would be as many as the runs.
        assert!(namespaces().len() < kinds + 100, "namespaces");
        println!("{runs} runs in 1 and in 16 threads as {}", who.name());

        // The control: one thing of each kind that can be made by anybody is seen.
        let held = fs::File::open("/etc/passwd").expect("everybody may");
        assert_ne!(Account::of_now(), before, "a descriptor");
        drop(held);
        let kept = sandbox().command("sleep").arg("1000").spawn().expect("it starts");
        let with = Account::of_now();
        assert!(with.processes != before.processes && with.descriptors != before.descriptors, "a run that goes on");
        drop(kept);
        let left = PathBuf::from(format!("/var/tmp/seclude-soak-{}", std::process::id()));
        fs::write(&left, "").expect("there is room");
        assert_ne!(Account::of_now().temporary, before.temporary, "a file");
        fs::remove_file(left).expect("it is ours");
        assert_eq!(settled(&before), before);
    });
}
