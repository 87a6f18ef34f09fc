//! A caller with a pool that reads instructions from standard input and answers each with one line.
//! `tests/tests/hosts/shortage.rs` uses it to exhaust a resource for this process alone.
//!
//! - `open SIZE` makes the pool, and `close` drops it.
//! - `run` runs a command in the pool.
//! - `cell` makes a cell, and `inside` runs a command in it, once.
//! - `full` waits until the pool is full.
//! - `descriptors N` leaves this process room for N more descriptors.
//! - `processes N` sets RLIMIT_NPROC.
//! - `namespaces KIND N` sets the limit on namespaces of its user namespace.
//! - `all` restores every limit.
//! - `count` prints the number of open descriptors.
//! - `failed` prints how often the pool could not make a sandbox.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use seclude::{Cell, Command, Ended, Error, MiB, Pool, Sandbox};
use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// A limit that no test reaches.
const PLENTY: &str = "60000";

fn main() {
    let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("every user may");
    let (processes, _) = getrlimit(Resource::RLIMIT_NPROC).expect("every user may");
    let (mut pool, mut cell): (Option<Pool>, Option<Cell>) = (None, None);
    // Standard input is locked, and its buffer allocated, before any shortage.
    let mut lines = std::io::stdin().lock().lines();
    while let Some(Ok(line)) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        let answer = match words[0] {
            "open" => match sandbox().pool(number(1) as usize) {
                Ok(made) => {
                    pool = Some(made);
                    "ok".into()
                }
                Err(error) => tell(&error),
            },
            "close" => {
                pool = None;
                "ok".into()
            }
            "cell" => {
                cell = Some(sandbox().cell().expect("there is room"));
                "ok".into()
            }
            "run" => run(pool.as_ref().expect("it is open").command("sh")),
            "inside" => {
                let cell = cell.as_ref().expect("it is there");
                let answer = run(cell.command("sh"));
                let alone = cell.processes().is_ok_and(|all| all.len() == 1);
                if alone { answer } else { format!("{answer}, and somebody is left") }
            }
            "full" => full(pool.as_ref().expect("it is open")),
            "failed" => pool.as_ref().expect("it is open").statistics().failed.to_string(),
            "descriptors" => set(Resource::RLIMIT_NOFILE, room_for(number(1) as usize)),
            "processes" => set(Resource::RLIMIT_NPROC, number(1)),
            "namespaces" => write(words[1], words[2]),
            "all" => {
                set(Resource::RLIMIT_NOFILE, descriptors);
                set(Resource::RLIMIT_NPROC, processes);
                KINDS.iter().for_each(|kind| drop(write(kind, PLENTY)));
                "ok".into()
            }
            "count" => open_ones().len().to_string(),
            _ => panic!("{line}"),
        };
        println!("{answer}");
        let _ = std::io::stdout().flush();
    }
}

/// Has limits that cgroups enforce where there are any, because cgroups take descriptors and
/// processes too.
fn sandbox() -> Sandbox {
    Sandbox::new().tmpfs("/tmp", MiB(1)).wall_time(PATIENCE).memory(MiB(64)).pids(16)
}

const KINDS: [&str; 6] = ["user", "mnt", "pid", "net", "ipc", "uts"];

/// An error as one line: `error KIND ERRNO STEP; REMEDY`.
fn tell(error: &Error) -> String {
    let (kind, errno) = (error.kind().name(), error.raw_os_error().unwrap_or(0));
    format!("error {kind} {errno} {}; {}", error.step(), error.remedy().unwrap_or_default())
}

fn run(mut command: Command) -> String {
    // Checks that the sandbox is fresh. The shell starts no other process, for which there may be
    // no room.
    let script = "test ! -e /tmp/left && : > /tmp/left && exit 7";
    match command.args(["-c", script]).output() {
        Ok(output) if output.outcome.ended == Ended::Exited(7) => "ok".into(),
        Ok(output) => format!(
            "ended {:?} {}",
            output.outcome.ended,
            String::from_utf8_lossy(&output.stderr).replace('\n', " ")
        ),
        Err(error) => tell(&error),
    }
}

fn full(pool: &Pool) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let told = pool.statistics();
        if told.ready == told.size && told.in_use == 0 {
            return "ok".into();
        }
        if Instant::now() > end {
            return format!("{told:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn set(resource: Resource, soft: u64) -> String {
    let (_, hard) = getrlimit(resource).expect("every user may");
    setrlimit(resource, soft, hard).expect("every user may");
    "ok".into()
}

/// Sets a limit on namespaces. Only root of a user namespace may; on the host nothing is changed.
fn write(kind: &str, number: &str) -> String {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    // The host's own user namespace maps all ids.
    if map.split_whitespace().last() != Some("4294967295") {
        std::fs::write(format!("/proc/sys/user/max_{kind}_namespaces"), number)
            .expect("root may, in a user namespace");
    }
    "ok".into()
}

fn open_ones() -> BTreeSet<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let mut numbers: BTreeSet<usize> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // Leaves out the descriptor of the listing itself.
    numbers.retain(|number| {
        std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|to| !to.ends_with("fd"))
    });
    numbers
}

/// The value of RLIMIT_NOFILE that leaves `more` free numbers.
fn room_for(more: usize) -> u64 {
    let taken = open_ones();
    let free = (0..).filter(|number| !taken.contains(number)).nth(more);
    free.expect("there are many numbers") as u64
}
