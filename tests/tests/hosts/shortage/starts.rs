//! Every kind of start and every list when descriptors or processes run out, in a process of its
//! own.

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use seclude::{
    ErrorKind, Interaction, Join, KiB, MiB, NamedCell, Namespace, Profile, Sandbox, Seccomp, Stdio,
    Transfer,
};
use seclude_tests::caller::{as_each, once_more, only, place};
use seclude_tests::scratch;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

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
                    .arg(std::env::current_exe().expect("/proc/self/exe can be read"));
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
        let (name, make) =
            ACTS.iter().find(|act| act.0 == wanted).expect("the name is on the list");
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
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("the old limit is allowed");
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
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("the old limit is allowed");
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
        "the control: {refused} lists were refused, {told} returned, in {}",
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
