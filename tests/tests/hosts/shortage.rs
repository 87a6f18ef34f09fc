//! A pool on a machine without free processes, descriptors or namespaces. Each request fails with
//! an error that has a kind, step, error number and remedy, and nothing waits for ever. Once there
//! is room again, the pool fills up, with no more descriptors than before.
//!
//! The caller is another process (`src/bin/pooler.rs`). Each shortage is tried at every depth: with
//! room for nothing more, for one, for two, …

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use seclude::{
    ErrorKind, Interaction, Join, KiB, MiB, NamedCell, Namespace, Profile, Sandbox, Seccomp, Stdio,
    Transfer,
};
use seclude_tests::caller::{Caller, as_each, once_more, only, place, program};
use seclude_tests::cgroups;
use seclude_tests::pooler::Pooler;
use seclude_tests::scratch;
use std::fs::File;
use std::os::fd::OwnedFd;
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
        (0..5).map(look).min().expect("five are some")
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
        return eprintln!("out_of_processes: SKIPPED, for only root may make a cgroup");
    }
    let place = seclude_tests::scratch::directory();
    let executable = seclude_tests::caller::copy(&program("pooler"), place.path(), "pooler");
    for who in [Caller::Root, Caller::User] {
        let Some(few) = Few::make() else {
            return eprintln!("out_of_processes: SKIPPED, for there is no cgroup with pids.max");
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

/// An act of a caller that may find no free descriptor. Each act has a process of its own.
type Act = (&'static str, fn() -> Box<dyn FnMut() -> seclude::Result<()>>);

/// Every other kind of start.
const ACTS: &[Act] = &[
    ("a first run", || Box::new(|| Sandbox::new().command("true").output().map(drop))),
    ("another run", || {
        let sandbox = Sandbox::new();
        Box::new(move || sandbox.command("true").output().map(drop))
    }),
    ("inherited streams", || Box::new(|| Sandbox::new().command("true").status().map(drop))),
    ("a limit on output", || {
        Box::new(|| Sandbox::new().output(KiB(4)).command("true").output().map(drop))
    }),
    ("a limit on output to a pipe of the caller's", || {
        let (mut reader, writer) = std::io::pipe().expect("there is room");
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Box::new(move || {
            let writer = OwnedFd::from(
                writer.try_clone().map_err(|error| seclude::Error::io("copy a pipe", error))?,
            );
            Sandbox::new()
                .output(KiB(4))
                .command("true")
                .stdout(Stdio::from(writer))
                .status()
                .map(drop)
        })
    }),
    ("limits held by cgroups", || {
        let sandbox = Sandbox::new().memory(MiB(256)).pids(32).cpu_time(Duration::from_secs(60));
        Box::new(move || sandbox.command("true").output().map(drop))
    }),
    ("a copy of a template", || {
        let sandbox = Sandbox::new().memory(MiB(256));
        sandbox.prepare().expect("there is room");
        Box::new(move || sandbox.command("true").output().map(drop))
    }),
    ("a template", || Box::new(|| Sandbox::new().prepare())),
    ("a cell", || Box::new(|| Sandbox::new().memory(MiB(256)).cell().map(drop))),
    ("a command in a cell", || {
        let cell = Sandbox::new().memory(MiB(256)).cell().expect("there is room");
        Box::new(move || cell.command("true").memory(MiB(64)).output().map(drop))
    }),
    ("a terminal", || {
        let sandbox = Sandbox::new().terminals();
        Box::new(move || {
            sandbox
                .command("true")
                .stdin(Stdio::pty())
                .stdout(Stdio::pty())
                .stderr(Stdio::pty())
                .output()
                .map(drop)
        })
    }),
    ("a listener", || {
        let sandbox = Sandbox::new().seccomp(Seccomp::profile(Profile::Default).notify("uname"));
        Box::new(move || {
            sandbox.command("true").spawn().and_then(|mut child| child.wait()).map(drop)
        })
    }),
    ("commands joined by pipes", || {
        let command = || Sandbox::new().command("true");
        Box::new(move || Interaction::between(command(), command()).output().map(drop))
    }),
    ("namespaces that are joined", || {
        let child = Sandbox::new().command("sleep").arg("1000").spawn().expect("it starts");
        Box::new(move || {
            let join = Join::new().process(child.id()).only([Namespace::User, Namespace::Net]);
            Sandbox::new().join(&join)?.command("true").status().map(drop)
        })
    }),
    ("learning", || Box::new(|| Sandbox::new().command("true").learn().map(drop))),
    ("a copy into a cell, and out of it", || {
        let cell = Sandbox::new().tmpfs("/tmp", MiB(1)).cell().expect("there is room");
        let place = scratch::directory();
        std::fs::write(place.path().join("file"), "x").expect("there is room");
        let mut number = 0;
        Box::new(move || {
            number += 1;
            let inside = format!("/tmp/{number}");
            cell.copy_in(place.path().join("file"), &inside, &Transfer::new())?;
            cell.copy_out(&inside, place.path().join(number.to_string()), &Transfer::new())
                .map(drop)
        })
    }),
    ("a list of namespaces", || Box::new(|| seclude::namespaces().map(drop))),
];

#[test]
fn whatever_wants_a_descriptor_says_so() {
    const NAME: &str = "whatever_wants_a_descriptor_says_so";
    const ACT: &str = "SECLUDE_TEST_ACT";
    as_each(NAME, |who| {
        let Ok(wanted) = std::env::var(ACT) else {
            let mut failed = Vec::new();
            for (name, _) in ACTS {
                let mut again = Command::new("timeout");
                again
                    .args(["-s", "KILL", "120"])
                    .arg(std::env::current_exe().expect("/proc names it"));
                let output = again.args(only(NAME)).env(ACT, name).output();
                let output = output.expect("timeout (coreutils) is there");
                if !output.status.success() {
                    failed.push(format!(
                        "{name} as {}: {}\n{}",
                        who.name(),
                        output.status,
                        String::from_utf8_lossy(&output.stderr)
                    ));
                }
            }
            assert!(failed.is_empty(), "{}", failed.join("\n"));
            return;
        };
        let (name, make) = ACTS.iter().find(|act| act.0 == wanted).expect("it is one");
        let mut act = make();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is one");
        let mut refused = 0;
        for room in 0..40 {
            setrlimit(Resource::RLIMIT_NOFILE, soft.min(256), hard).expect("it is lower");
            let mut fillers: Vec<File> =
                std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            fillers.truncate(fillers.len() - room);
            let result = act();
            drop(fillers);
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("it was so");
            if let Err(error) = result {
                refused += 1;
                let found = (error.kind(), error.raw_os_error());
                assert_eq!(
                    found,
                    (ErrorKind::HostLimit, Some(libc::EMFILE)),
                    "{name}, with room for {room}: {error}"
                );
                assert!(
                    error.remedy().is_some_and(|remedy| remedy.contains("RLIMIT_NOFILE")),
                    "{name}: {error}"
                );
            }
        }
        assert!(refused > 1, "the control: {name} was refused {refused} times");
        act().unwrap_or_else(|error| panic!("{name}, with room again: {error}"));
        drop(act);
        std::process::exit(0);
    });
}

/// Without a descriptor to inspect a process, the process must not be missing from a list, and a
/// living cell must not count as ended.
#[test]
fn no_list_is_shorter_for_want_of_descriptors() {
    const NAME: &str = "no_list_is_shorter_for_want_of_descriptors";
    let Some(place) = place() else {
        let place = scratch::directory();
        return once_more(NAME, place.path(), |test| {
            let mut command = Command::new(test);
            command.env("SECLUDE_CELLS", place.path().join("cells"));
            command
        });
    };
    let cell = Sandbox::new().cell().expect("a cell starts");
    let mut sleeper = cell.command("sleep").arg("1000").spawn().expect("it starts");
    cell.publish("kept").expect("the name is free");
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is one");
    let (mut refused, mut told) = (0, 0);
    for room in 0..8 {
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(256), hard).expect("it is lower");
        let mut fillers: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        fillers.truncate(fillers.len() - room);
        let (processes, cells) = (cell.processes(), NamedCell::all());
        drop(fillers);
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("it was so");
        match processes {
            Ok(list) => assert!(
                list.iter().any(|process| process.pid == sleeper.id()),
                "with room for {room}: {list:?}"
            ),
            Err(error) => assert_eq!(error.kind(), ErrorKind::HostLimit, "{error}"),
        }
        match cells {
            Ok(list) => {
                assert!(
                    list.iter().any(|cell| cell.name() == "kept"),
                    "with room for {room}: {list:?}"
                );
                told += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::HostLimit, "{error}");
                refused += 1;
            }
        }
        NamedCell::find("kept")
            .unwrap_or_else(|error| panic!("after there was room for {room}: {error}"));
    }
    assert!(
        refused > 1 && told > 1,
        "the control: {refused} were refused, {told} told, in {}",
        place.display()
    );
    sleeper.kill().expect("it is killed");
}

/// A start that produces no process must not cost the warden a page of memory.
#[test]
fn a_refused_start_leaves_no_memory_behind() {
    as_each("a_refused_start_leaves_no_memory_behind", |_| {
        let cell = Sandbox::new().cell().expect("it starts");
        let warden = cell.id().expect("it is open").to_string();
        let limit = |limit: &str| {
            let set = Command::new("prlimit")
                .args(["--pid", &warden, limit])
                .status()
                .expect("prlimit is there");
            assert!(set.success(), "{limit}");
        };
        let pages = || std::fs::read_to_string(format!("/proc/{warden}/statm")).expect("it lives");
        let pages = || {
            pages()
                .split(' ')
                .next()
                .and_then(|number| number.parse::<u64>().ok())
                .expect("a number")
        };
        let start = || cell.command("true").status();
        start().expect("the control: it starts");
        limit("--nproc=0:");
        let refused = || {
            let error = start().expect_err("there may be no process more");
            assert_eq!(
                (error.kind(), error.raw_os_error()),
                (ErrorKind::HostLimit, Some(libc::EAGAIN)),
                "{error}"
            );
        };
        refused();
        let before = pages();
        (0..50).for_each(|_| refused());
        assert_eq!(pages(), before);
        limit("--nproc=1024:");
        start().expect("it starts again");
    });
}
