//! Rules and filter programs of the caller: which rule decides, calls that the caller answers
//! itself, and profiles learned from a run.

use super::{call, number};
use seclude::{Action, Compare, Ended, ErrorKind, Profile, Rule, Sandbox, Seccomp, Syscall, Test};
use seclude_tests::caller::as_each;
use seclude_tests::payload;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

#[test]
fn rules_with_tests_and_the_last_one_that_fits() {
    let mkdir = || Rule::new("umask", Action::Errno(13));
    let filter = Seccomp::profile(Profile::Default)
        .rule(mkdir())
        .rule(Rule::new("umask", Action::Errno(7)).when(Test::new(
            0,
            Compare::GreaterOrEqual,
            0o100,
        )))
        .rule(
            Rule::new("umask", Action::Allow)
                .when(Test::new(0, Compare::Equal, 0).masked(0o70))
                .when(Test::new(0, Compare::Less, 0o100)),
        );
    let sandbox = payload::sandbox().seccomp(filter);
    for (mask, answer) in [("0", "0"), ("7", "0"), ("0o27", "13"), ("0o107", "7")] {
        assert_eq!(call(&sandbox, &[&number("umask"), mask]), answer, "{mask}");
    }
}

#[test]
fn a_filter_without_execve_starts_its_command_and_no_other() {
    let sandbox = payload::sandbox()
        .seccomp(Seccomp::profile(Profile::Default).deny("execve", 13).deny("execveat", 13));
    let output = sandbox
        .command("sh")
        .args(["-c", "echo here; exec /bin/true"])
        .output()
        .expect("it starts");
    assert_eq!((output.outcome.ended, output.stdout), (Ended::Exited(126), b"here\n".to_vec()));
    // An error is reported in full although the filter lets the new process write nothing.
    let nothing = Seccomp::profile(Profile::Unconfined).otherwise(Action::Errno(1));
    let error = payload::sandbox()
        .seccomp(nothing)
        .command("/etc/passwd")
        .output()
        .expect_err("no program");
    assert_eq!(error.kind(), ErrorKind::ProgramNotExecutable, "{error}");
}

#[test]
fn programs_of_the_callers_own_are_loaded_in_turn() {
    // The BPF program loads the number. For umask(2) it returns errno 12 or 11, and otherwise
    // allows the call.
    let umask = Syscall::from_name("umask").expect("Linux has it").number();
    let program = |errno: u8| {
        let mut bytes = vec![0x20, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 1];
        bytes.extend(umask.to_le_bytes());
        bytes.extend([6, 0, 0, 0, errno, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f]);
        bytes
    };
    let sandbox = payload::sandbox().seccomp_bpf(program(12));
    assert_eq!(call(&sandbox, &[&number("umask")]), "12");
    // Of equally strict answers, that of the filter loaded last counts (seccomp(2)).
    assert_eq!(call(&sandbox.clone().seccomp_bpf(program(11)), &[&number("umask")]), "11");
    assert_eq!(
        call(
            &payload::sandbox().seccomp(Profile::Unconfined).seccomp_bpf(program(12)),
            &[&number("umask")]
        ),
        "12"
    );
    let broken =
        payload::sandbox().seccomp_bpf([0xff; 8]).command("true").status().expect_err("no program");
    assert_eq!(broken.kind(), ErrorKind::Invalid, "{broken}");
    let short = payload::sandbox().seccomp_bpf([0; 7]).check().expect_err("no instruction");
    assert_eq!(short.kind(), ErrorKind::Invalid, "{short}");
}

#[test]
fn the_caller_decides_where_it_wants_to() {
    as_each("the_caller_decides_where_it_wants_to", |_| {
        let sandbox = payload::sandbox()
            .seccomp(Seccomp::profile(Profile::Default).notify("uname").notify("openat"));
        let mut child = sandbox
            .command("sh")
            .args(["-c", "cat /secret; cat /none; uname"])
            .stdout(seclude::Stdio::piped())
            .stderr(seclude::Stdio::null())
            .spawn()
            .expect("it starts");
        let listener = child.take_listener().expect("its filter has one");
        assert!(child.take_listener().is_none());
        let secret = tempfile::tempfile().expect("there is room");
        std::os::unix::fs::FileExt::write_all_at(&secret, b"handed over\n", 0)
            .expect("there is room");
        let decided = std::thread::spawn(move || {
            let mut heard = Vec::new();
            while let Some(call) = listener.receive().expect("it listens") {
                let path = call.read_string(call.arguments()[1]).unwrap_or_default();
                match (call.syscall().name(), &*path) {
                    (Some("uname"), _) => {
                        heard.push(call.pid());
                        call.fail(5).expect("it waits");
                    }
                    (_, b"/secret") => {
                        call.succeed_with_descriptor(secret.as_fd(), true).expect("it waits");
                    }
                    (_, b"/none") => drop(call),
                    _ => call.allow().expect("it waits"),
                }
            }
            heard
        });
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.stdout, b"handed over\n");
        assert_eq!(output.outcome.ended, Ended::Exited(1));
        assert_eq!(decided.join().expect("it listens").len(), 1);
    });
}

#[test]
fn who_does_not_listen_lets_the_call_fail() {
    let sandbox = payload::sandbox().seccomp(Seccomp::profile(Profile::Default).notify("chroot"));
    let mut command = sandbox.command(payload::PLACE);
    let mut child = command
        .args(["call", &number("chroot")])
        .stdout(seclude::Stdio::piped())
        .spawn()
        .expect("it starts");
    let listener = child.take_listener().expect("its filter has one");
    assert!(
        listener
            .receive_within(Duration::from_secs(20))
            .expect("it listens")
            .is_some_and(|call| call.fail(33).is_ok())
    );
    drop(listener);
    assert_eq!(child.wait_with_output().expect("it ends").stdout, b"33\n");
    // The caller never takes the listener. Killing the command while its call waits still works.
    let mut child = sandbox
        .command(payload::PLACE)
        .args(["call", &number("chroot")])
        .spawn()
        .expect("it starts");
    child.kill().expect("it is killed");
    assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
}

#[test]
fn two_who_would_listen_are_a_mistake() {
    let error = Sandbox::new()
        .seccomp(Seccomp::profile(Profile::Strict).notify("ptrace"))
        .check()
        .expect_err("one listener only");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = Sandbox::new()
        .seccomp(Seccomp::profile(Profile::Default).allow("opennat"))
        .check()
        .expect_err("no such call");
    assert_eq!(error.remedy(), Some("did you mean openat?"));
}

#[test]
fn a_program_is_learned_and_then_runs_under_what_was_learned() {
    as_each("a_program_is_learned_and_then_runs_under_what_was_learned", |_| {
        let script = "cat /etc/passwd > /dev/null; cd /usr; ls lib > /dev/null; umask 077";
        let learned =
            payload::sandbox().command("sh").args(["-c", script]).learn().expect("it is watched");
        assert_eq!(learned.output.outcome.ended, Ended::Exited(0));
        for name in ["execve", "openat", "umask", "exit_group"] {
            assert!(
                learned.calls.contains_key(&Syscall::from_name(name).expect("Linux has it")),
                "{name}"
            );
        }
        for path in ["/etc/passwd", "/usr/lib", "/dev/null"] {
            assert!(learned.paths.contains(Path::new(path)), "{path} in {:?}", learned.paths);
        }
        let text = learned.sandbox().to_toml().expect("it can be written");
        let pasted = Sandbox::from_toml(&text).expect("it can be read");
        let again = pasted.command("sh").args(["-c", script]).output().expect("it starts");
        assert_eq!(
            again.outcome.ended,
            Ended::Exited(0),
            "{}",
            String::from_utf8_lossy(&again.stderr)
        );
        // A call that it did not make while learning is now refused.
        let other =
            pasted.command("sh").args(["-c", "mkdir /dev/shm/d"]).output().expect("it starts");
        assert_ne!(other.outcome.ended, Ended::Exited(0));
        // A call that the filter refuses is refused while learning, too.
        let learned = payload::sandbox()
            .command(payload::PLACE)
            .args(["call", &number("chroot")])
            .learn()
            .expect("it is watched");
        assert_eq!(learned.output.stdout, b"1\n");
        assert_eq!(
            learned.refused.into_iter().collect::<Vec<_>>(),
            [Syscall::from_name("chroot").expect("Linux has it")]
        );
        let killed = payload::sandbox().seccomp(Seccomp::profile(Profile::Default).kill("chroot"));
        let learned = killed
            .command(payload::PLACE)
            .args(["call", &number("chroot")])
            .learn()
            .expect("it is watched");
        assert_eq!(learned.output.outcome.ended.name(), "syscall");
    });
}
