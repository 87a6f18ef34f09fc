//! Commands that join existing namespaces: of a sandbox, of any process, or kept by a mount; all of
//! them or some; by process id, descriptor and path.

use seclude::{Cell, Ended, ErrorKind, Join, Joined, Namespace, Protection, Sandbox, namespaces};
use seclude_tests::caller::{Caller, as_each, in_own_mounts};
use seclude_tests::scratch;
use std::fs;
use std::os::fd::OwnedFd;

const KINDS: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

/// The ids of the namespaces that a command is in, as it sees them itself.
fn seen_in(joined: &Joined) -> Vec<String> {
    let mut command = joined.command("sh");
    let output = command
        .args([
            "-c",
            "for kind in user mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$kind; done",
        ])
        .output();
    let output = output.expect("it runs");
    assert_eq!(
        output.outcome.ended,
        Ended::Exited(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn of_process(pid: u32) -> Vec<String> {
    let link = |kind: &&str| {
        fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("the caller may look into it")
    };
    KINDS.iter().map(|kind| link(kind).to_string_lossy().into_owned()).collect()
}

/// A cell and a process that stays in it.
fn inhabited() -> (Cell, u32) {
    inhabit(&Sandbox::new().tmpfs("/tmp", 1u64 << 20).hostname("inhabited"))
}

fn inhabit(sandbox: &Sandbox) -> (Cell, u32) {
    let cell = sandbox.cell().expect("a cell starts");
    let output = cell
        .command("sh")
        .args(["-c", "sleep 1000 >/dev/null 2>&1 & echo kept > /tmp/file"])
        .output()
        .expect("it runs");
    assert_eq!(output.outcome.ended, Ended::Exited(0));
    loop {
        // The process has been forked but may not have called execve(2) yet.
        let sleeper = cell
            .processes()
            .expect("they are reported")
            .into_iter()
            .find(|process| process.name == "sleep");
        if let Some(sleeper) = sleeper {
            return (cell, sleeper.pid);
        }
        std::thread::yield_now();
    }
}

#[test]
fn all_of_a_process_by_number_and_by_descriptor() {
    as_each("all_of_a_process_by_number_and_by_descriptor", |_| {
        let (cell, pid) = inhabited();
        let mut child = cell.command("sleep").arg("1000").spawn().expect("it starts");
        let pidfd: OwnedFd = child.pidfd().try_clone_to_owned().expect("a copy");
        for join in [Join::new().process(pid), Join::new().pidfd(pidfd)] {
            let joined = Sandbox::new().join(&join).expect("they are found");
            assert_eq!(joined.kinds().len(), 7, "{joined:?}");
            assert_eq!(seen_in(&joined), of_process(pid));
            let output = joined
                .command("sh")
                .args(["-c", "cat /tmp/file; hostname; ps -e | grep -c sleep"])
                .output()
                .expect("it runs");
            let shown = String::from_utf8_lossy(&output.stdout);
            assert_eq!(
                shown,
                "kept\ninhabited\n2\n",
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let enforced = output.outcome.enforced;
            for protection in [
                Protection::NoCapabilities,
                Protection::NoNewPrivileges,
                Protection::SeccompFilter,
                Protection::KillByWarden,
                Protection::HiddenWarden,
            ] {
                assert!(enforced.contains(protection), "{protection:?} in {enforced:?}");
            }
            assert!(!enforced.contains(Protection::UserNamespace), "it is somebody else's");
        }
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
    });
}

#[test]
fn all_of_a_process_in_a_copy_of_a_template() {
    as_each("all_of_a_process_in_a_copy_of_a_template", |_| {
        let sandbox = Sandbox::new().tmpfs("/tmp", 1u64 << 20);
        sandbox.prepare().expect("it can have a template");
        let (_cell, pid) = inhabit(&sandbox);
        // The network namespace belongs to the user namespace around the sandbox's own.
        let joined = Sandbox::new().join(&Join::new().process(pid)).expect("they are found");
        assert_eq!(seen_in(&joined), of_process(pid));
    });
}

#[test]
fn what_a_command_has_started_ends_with_it_and_the_rest_stays() {
    as_each("what_a_command_has_started_ends_with_it_and_the_rest_stays", |_| {
        let (cell, pid) = inhabited();
        let joined = Sandbox::new().join(&Join::new().process(pid)).expect("they are found");
        let outcome = joined
            .command("sh")
            .args(["-c", "setsid -f sleep 2000; setsid -f sleep 2000"])
            .status()
            .expect("it runs");
        assert_eq!(outcome.ended, Ended::Exited(0));
        let mut lost = joined.command("sleep").arg("3000").spawn().expect("it starts");
        lost.kill().expect("it is killed");
        assert_eq!(lost.wait().expect("it ends").ended, Ended::Killed);
        let left: Vec<_> = cell
            .processes()
            .expect("they are reported")
            .into_iter()
            .filter(|one| one.name == "sleep")
            .collect();
        assert_eq!(left.iter().map(|process| process.pid).collect::<Vec<_>>(), [pid], "{left:?}");
    });
}

#[test]
fn only_some_kinds() {
    as_each("only_some_kinds", |caller| {
        let (_cell, pid) = inhabited();
        let join = Join::new().process(pid).only([Namespace::User, Namespace::Uts, Namespace::Net]);
        let joined = Sandbox::new().tmpfs("/tmp", 1u64 << 20).join(&join).expect("they are found");
        let (seen, there) = (seen_in(&joined), of_process(pid));
        for (index, kind) in KINDS.iter().enumerate() {
            assert_eq!(
                seen[index] == there[index],
                ["user", "net", "uts"].contains(kind),
                "{kind}: {} {}",
                seen[index],
                there[index]
            );
        }
        let output = joined
            .command("sh")
            .args(["-c", "hostname; ls /tmp; ps -e | wc -l"])
            .output()
            .expect("it runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().next(), Some("inhabited"));
        // Without joining the user namespace only root has the right to join the others.
        let joined = Sandbox::new()
            .join(&Join::new().process(pid).only([Namespace::Uts]))
            .expect("it is found");
        match (caller, joined.command("hostname").output()) {
            (Caller::Root, Ok(output)) => assert_eq!(output.stdout, b"inhabited\n"),
            (Caller::User, Err(error)) => {
                assert_eq!(
                    (error.kind(), error.step()),
                    (ErrorKind::NamespacesDenied, "enter the uts namespace")
                );
                assert!(
                    error.remedy().is_some_and(|hint| hint.contains("user namespace")),
                    "{error}"
                );
            }
            (caller, result) => panic!("{caller:?}: {result:?}"),
        }
    });
}

#[test]
fn a_process_tree_joined_from_another_file_system() {
    as_each("a_process_tree_joined_from_another_file_system", |_| {
        let (_cell, pid) = inhabited();
        let join = Join::new().process(pid).only([Namespace::User, Namespace::Pid]);
        let joined = Sandbox::new().memory(256u64 << 20).join(&join).expect("they are found");
        let script = "setsid -f sleep 1000; until [ $(ps -e -o comm | grep -c sleep) = 2 ]; do :; done; echo both";
        let output =
            joined.command("timeout").args(["60", "sh", "-c", script]).output().expect("it runs");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "both\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

#[test]
fn a_network_by_path_and_by_descriptor() {
    as_each("a_network_by_path_and_by_descriptor", |caller| {
        let (_cell, pid) = inhabited();
        let path = format!("/proc/{pid}/ns/net");
        let file = fs::File::open(&path).expect("the caller may look into it");
        for join in [Join::new().path(&path), Join::new().descriptor(file)] {
            let join = if caller == Caller::User {
                join.process(pid).only([Namespace::User])
            } else {
                join
            };
            let joined = Sandbox::new().join(&join).expect("it is found");
            assert_eq!(seen_in(&joined)[3], of_process(pid)[3]);
        }
    });
}

#[test]
fn a_namespace_kept_by_a_mount() {
    // As root in a mount namespace that the test made.
    in_own_mounts("a_namespace_kept_by_a_mount", || {
        let scratch = scratch::directory();
        let place = scratch.path().join("kept");
        let (cell, pid) = inhabited();
        let number = of_process(pid)[3].clone();
        Join::new().process(pid).persist(Namespace::Net, &place).expect("it is kept");
        assert_eq!(
            Join::new()
                .process(pid)
                .persist(Namespace::Net, &place)
                .expect_err("once")
                .raw_os_error(),
            Some(libc::EEXIST)
        );
        cell.close();
        let known = namespaces().expect("they are reported");
        let kept = known
            .list
            .iter()
            .find(|namespace| namespace.held_by.contains(&place))
            .expect("it is seen");
        assert_eq!((kept.kind, format!("net:[{}]", kept.id)), (Namespace::Net, number.clone()));
        let joined = Sandbox::new().join(&Join::new().path(&place)).expect("it is found");
        assert_eq!(seen_in(&joined)[3], number);
        seclude::release(&place).expect("it is let go");
        assert!(!place.exists());
        let error = seclude::release(scratch.path()).expect_err("no namespace");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(Sandbox::new().join(&Join::new().path(&place)).is_err());
        // The open descriptor still keeps the namespace alive.
        assert_eq!(seen_in(&joined)[3], number);
    });
}

#[test]
fn keeping_one_takes_rights_over_the_mounts() {
    as_each("keeping_one_takes_rights_over_the_mounts", |caller| {
        if caller == Caller::User {
            let (_cell, pid) = inhabited();
            let directory = scratch::directory();
            let error = Join::new()
                .process(pid)
                .persist(Namespace::Net, directory.path().join("kept"))
                .expect_err("it takes root");
            assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{error}");
            assert!(!directory.path().join("kept").exists());
        }
    });
}

#[test]
fn what_cannot_be_joined_is_told() {
    as_each("what_cannot_be_joined_is_told", |_| {
        let sandbox = Sandbox::new();
        let error = |join: Join| sandbox.join(&join).map(drop).expect_err("it cannot be joined");
        assert_eq!(error(Join::new()).kind(), ErrorKind::Invalid);
        assert_eq!(error(Join::new().process(u32::MAX / 3)).raw_os_error(), Some(libc::ESRCH));
        assert_eq!(error(Join::new().path("/")).kind(), ErrorKind::Invalid);
        assert_eq!(error(Join::new().path("/no/such/place")).raw_os_error(), Some(libc::ENOENT));
        assert_eq!(
            error(Join::new().descriptor(fs::File::open("/dev/null").expect("it is there"))).kind(),
            ErrorKind::Invalid
        );
        let (_cell, pid) = inhabited();
        let everything = Join::new().process(pid);
        let error = Sandbox::new()
            .tmpfs("/tmp", 1u64 << 20)
            .join(&everything)
            .map(drop)
            .expect_err("its files are not ours to change");
        assert_eq!(error.step(), "files");
        let error = Sandbox::new()
            .hostname("other")
            .join(&everything)
            .map(drop)
            .expect_err("its name is not ours to change");
        assert!(error.to_string().contains("joined"), "{error}");
        let error = Sandbox::new()
            .uid(70_000)
            .join(&everything)
            .expect("that is seen later")
            .command("true")
            .status();
        let error = error.expect_err("there is no such user there");
        assert!(error.step().contains("70000"), "{error}");
    });
}
