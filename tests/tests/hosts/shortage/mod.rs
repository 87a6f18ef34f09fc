//! A pool on a machine without free processes, descriptors or namespaces. Each request fails with
//! an error that has a kind, step, error number and remedy, and nothing waits for ever. Once there
//! is room again, the pool fills up, with no more descriptors than before.
//!
//! The caller is another process (`src/bin/pooler.rs`). Each shortage is tried at every depth: with
//! room for nothing more, for one, for two, …

mod starts;

use nix::libc;
use seclude_tests::caller::{Caller, as_each, program};
use seclude_tests::cgroups;
use seclude_tests::pooler::Pooler;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SIZE: usize = 3;

/// Runs commands while there is room for each of `depths` more of a resource, which `squeeze`
/// arranges, and again afterwards. `may` checks that an error number and a remedy are right.
/// Returns how many commands were refused.
fn starve(
    pooler: &mut Pooler,
    depths: std::ops::RangeInclusive<usize>,
    mut squeeze: impl FnMut(&mut Pooler, Option<usize>),
    may: impl Fn(i32, &str) -> bool,
) -> usize {
    pooler.does("full");
    let before = pooler.ask("count");
    let mut refused = 0;
    for depth in depths {
        squeeze(pooler, Some(depth));
        // More than are ready, so that replacements are made while there is no room.
        for _ in 0..2 * SIZE {
            let answer = pooler.ask("run");
            if answer == "ok" {
                continue;
            }
            refused += 1;
            let (words, remedy) =
                answer.split_once("; ").unwrap_or_else(|| panic!("room for {depth}: {answer:?}"));
            let fields: Vec<&str> = words.splitn(4, ' ').collect();
            let [_, kind, errno, step] = fields[..] else { panic!("room for {depth}: {answer:?}") };
            let errno = errno.parse().expect("a number");
            assert!(
                kind == "host-limit" && !step.is_empty() && may(errno, remedy),
                "room for {depth}: {answer:?}"
            );
        }
        squeeze(pooler, None);
        pooler.does("full");
        for _ in 0..2 {
            pooler.does("run");
        }
        pooler.does("full");
        // The pool's threads release what the last command left.
        let deadline = Instant::now() + Duration::from_secs(10);
        while pooler.ask("count") != before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(pooler.ask("count"), before, "descriptors, after there was room for {depth}");
    }
    refused
}

#[test]
fn out_of_descriptors() {
    as_each("out_of_descriptors", |who| {
        let mut pooler = Pooler::start(Command::new(program("pooler")));
        pooler.does(&format!("open {SIZE}"));
        let squeeze = |pooler: &mut Pooler, room: Option<usize>| match room {
            Some(room) => pooler.does(&format!("descriptors {room}")),
            None => pooler.does("all"),
        };
        let truth = |errno, remedy: &str| errno == libc::EMFILE && remedy.contains("RLIMIT_NOFILE");
        let refused = starve(&mut pooler, 0..=24, squeeze, truth);
        println!("{refused} commands refused as {}", who.name());
        assert!(refused > 24, "the control: there was too little, {refused}");

        // The same without a pool.
        pooler.does("close");
        let mut refused = 0;
        for room in 0..=40 {
            pooler.does(&format!("descriptors {room}"));
            let answer = pooler.ask(&format!("open {SIZE}"));
            pooler.does("all");
            if answer != "ok" {
                refused += 1;
                assert!(
                    answer.starts_with(&format!("error host-limit {} ", libc::EMFILE)),
                    "room for {room}: {answer}"
                );
            }
            pooler.does("close");
            pooler.does(&format!("open {SIZE}"));
            pooler.does("run");
            pooler.does("close");
        }
        assert!(refused > 5, "the control: there was too little, {refused}");
    });
}

/// A cgroup of this test with a limit on processes.
struct Few(PathBuf);

impl Few {
    fn make() -> Option<Few> {
        let v1 = cgroups::mounts("cgroup")
            .into_iter()
            .find(|mount| mount.join("pids.max").exists() || mount.ends_with("pids"));
        let v2 = || {
            cgroups::mounts("cgroup2")
                .into_iter()
                .find(|mount| holds(&mount.join("cgroup.subtree_control"), "pids"))
        };
        let path = v1.or_else(v2)?.join(format!("test-of-seclude-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Few(path))
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text)
            .unwrap_or_else(|error| panic!("{file} {text}: {error}"));
    }

    /// The number of processes in it: the minimum of several counts, so that ended ones have been
    /// reaped.
    fn number(&self) -> usize {
        let look = |_| {
            std::thread::sleep(Duration::from_millis(4));
            let text = std::fs::read_to_string(self.0.join("pids.current")).expect("it is there");
            text.trim().parse::<usize>().expect("a number")
        };
        (0..5).map(look).min().expect("five counts have a minimum")
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        for _ in 0..500 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn holds(file: &Path, word: &str) -> bool {
    std::fs::read_to_string(file)
        .is_ok_and(|text| text.split_whitespace().any(|found| found == word))
}

/// Runs the caller and all of its processes in a cgroup, which only root can make: first as root,
/// then as a user.
#[test]
fn out_of_processes() {
    if Caller::present() == Caller::User {
        return eprintln!("out_of_processes: SKIPPED: only root may make a cgroup");
    }
    let place = seclude_tests::scratch::directory();
    let executable = seclude_tests::caller::copy(&program("pooler"), place.path(), "pooler");
    for who in [Caller::Root, Caller::User] {
        let Some(few) = Few::make() else {
            return eprintln!("out_of_processes: SKIPPED: there is no cgroup with pids.max");
        };
        let mut command = Command::new("sh");
        let inner = who.command(&executable);
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(few.0.join("cgroup.procs"));
        command.arg(inner.get_program()).args(inner.get_args()).current_dir("/");
        let mut pooler = Pooler::start(command);
        pooler.does(&format!("open {SIZE}"));
        pooler.does("full");
        let squeeze = |_: &mut Pooler, room: Option<usize>| match room {
            Some(room) => few.write("pids.max", &(few.number() + room).to_string()),
            None => few.write("pids.max", "max"),
        };
        let truth = |errno, remedy: &str| errno == libc::EAGAIN && remedy.contains("pids.max");
        let refused = starve(&mut pooler, 0..=4, squeeze, truth);
        println!("{refused} commands refused as {}", who.name());
        assert!(refused > 0, "the control: there was too little");

        // The same without a pool: for the template, the first sandbox, and the pool's threads.
        pooler.does("close");
        let mut refused = 0;
        for room in 0..=6 {
            few.write("pids.max", &(few.number() + room).to_string());
            let answer = pooler.ask(&format!("open {SIZE}"));
            few.write("pids.max", "max");
            if answer != "ok" {
                refused += 1;
                assert!(
                    answer.starts_with(&format!("error host-limit {} ", libc::EAGAIN)),
                    "room for {room}: {answer}"
                );
                assert!(answer.contains("pids.max"), "room for {room}: {answer}");
            }
            pooler.does("close");
            pooler.does(&format!("open {SIZE}"));
            pooler.does("run");
            pooler.does("close");
        }
        assert!((2..=6).contains(&refused), "the control: {refused} of 7 had too little");
    }
}

/// RLIMIT_NPROC, which the kernel does not apply to root.
#[test]
fn more_processes_than_the_user_may_have() {
    as_each("more_processes_than_the_user_may_have", |who| {
        if who == Caller::Root {
            return;
        }
        let mut pooler = Pooler::start(Command::new(program("pooler")));
        pooler.does("processes 1");
        let answer = pooler.ask(&format!("open {SIZE}"));
        assert!(
            answer.starts_with(&format!("error host-limit {} ", libc::EAGAIN))
                && answer.contains("RLIMIT_NPROC"),
            "{answer}"
        );
        pooler.does("all");
        pooler.does(&format!("open {SIZE}"));
        pooler.does("run");
    });
}

/// Runs in a user namespace of this test, whose limits apply to nothing else.
#[test]
fn out_of_namespaces() {
    as_each("out_of_namespaces", |who| {
        // Root of a user namespace that root created is root outside, and the library refuses to
        // run commands as that.
        if who == Caller::Root {
            return;
        }
        let mut command = Command::new("unshare");
        command.arg("-Ur").arg(program("pooler"));
        let mut pooler = Pooler::start(command);
        pooler.does(&format!("open {SIZE}"));
        for kind in ["user", "mnt", "pid", "net", "ipc", "uts"] {
            let squeeze = |pooler: &mut Pooler, room: Option<usize>| match room {
                Some(number) => pooler.does(&format!("namespaces {kind} {number}")),
                None => pooler.does("all"),
            };
            let truth = |errno, remedy: &str| errno == libc::ENOSPC && remedy.contains("max_");
            // The template and the three ready sandboxes need one each. Of one kind the user
            // namespace around them needs one too.
            let refused = starve(&mut pooler, 0..=SIZE + 2, squeeze, truth);
            // Network namespaces are used again, so only the beginning needs one.
            assert!(
                refused > SIZE || kind == "net",
                "the control: there were too few of kind {kind}, {refused}"
            );
            println!("{kind}: {refused} commands refused");
        }
        pooler.does("close");
        pooler.does("namespaces net 0");
        let answer = pooler.ask(&format!("open {SIZE}"));
        assert!(answer.starts_with(&format!("error host-limit {} ", libc::ENOSPC)), "{answer}");
        pooler.does("all");
        pooler.does(&format!("open {SIZE}"));
        // They are released, though not at once: many more sandboxes run than may exist at one
        // time.
        for kind in ["user", "mnt", "pid", "net", "ipc", "uts"] {
            pooler.does(&format!("namespaces {kind} {}", 10 * SIZE));
        }
        for _ in 0..100 * SIZE {
            let end = Instant::now() + Duration::from_secs(30);
            while pooler.ask("run") != "ok" {
                assert!(Instant::now() < end, "none is given back");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
}

/// While there is no room, a pool keeps trying, with a pause between two attempts.
#[test]
fn a_pool_that_can_make_none_rests_between_its_attempts() {
    as_each("a_pool_that_can_make_none_rests_between_its_attempts", |_| {
        let mut pooler = Pooler::start(Command::new(program("pooler")));
        pooler.does(&format!("open {SIZE}"));
        let (mut elapsed, mut refused) = (Duration::ZERO, 0);
        // At some of these depths there is room for a command but not for the sandbox that replaces
        // its own.
        for room in 5..=20 {
            pooler.does("full");
            pooler.does(&format!("descriptors {room}"));
            let start = Instant::now();
            let mut asked = 0;
            // More than are ready, however long each takes here.
            while asked < 2 * SIZE || start.elapsed() < Duration::from_millis(100) {
                refused += usize::from(pooler.ask("run") != "ok");
                asked += 1;
            }
            elapsed += start.elapsed();
            pooler.does("all");
        }
        let tries: u128 = pooler.ask("failed").parse().expect("a number");
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(SIZE) as u128;
        // The first attempt at each depth, then one after each pause.
        let most = threads * (elapsed.as_millis() / 20 + 16);
        println!("{tries} attempts, {refused} commands refused");
        assert!(tries > 0 && refused > 0, "the control: there was too little");
        assert!(
            tries <= most,
            "{tries} attempts, of which each should be 20 ms after the last of its thread: {most}"
        );
    });
}
