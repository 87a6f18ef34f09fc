//! The exit status, and the message beside it.

use crate::ground::{Ran, await_asleep, each, leader, ran, ran_with, run, seclude};
use nix::sys::signal::Signal;
use seclude_tests::caller;
use seclude_tests::census::wardens;
use seclude_tests::scratch;
use std::fs;
use std::process::Stdio;

fn shell(options: &[&str], script: &str) -> Ran {
    run(["run"].iter().chain(options).chain(&["--", "sh", "-c", script]))
}

#[test]
fn a_program_that_ends_gives_its_own_status() {
    each("a_program_that_ends_gives_its_own_status", |_| {
        for code in (0..4).chain([63, 64, 77, 100]).chain(123..132).chain([137, 200, 254, 255]) {
            let ran = shell(&[], &format!("exit {code}"));
            assert_eq!((ran.code, &*ran.out, &*ran.err), (code, "", ""));
        }
        for signal in ["INT", "KILL", "SEGV", "TERM", "PIPE", "USR1"] {
            let number: Signal = format!("SIG{signal}").parse().expect("it is one");
            let ran = shell(&[], &format!("kill -{signal} $$"));
            assert_eq!((ran.code, &*ran.err), (128 + number as i32, ""), "{signal}");
        }
    });
}

#[test]
fn limits_and_mistakes_have_a_status_and_a_message() {
    each("limits_and_mistakes_have_a_status_and_a_message", |_| {
        let place = scratch::directory();
        let script = place.path().join("script");
        fs::write(&script, "echo without a first line\n").expect("it is ours");
        let not_executable = format!("{}:/script", script.display());
        let executable = format!("{}:/script,mode=0755", script.display());
        let cases: [(i32, &str, &[&str], &[&str]); 17] = [
            (124, "wall time limit of 100ms", &["--wall-time", "100ms"], &["sleep", "9"]),
            (
                124,
                "processor time limit",
                &["--cpu-time", "0.1"],
                &["sh", "-c", "while :; do :; done"],
            ),
            (137, "output limit of 5 bytes", &["--output", "5"], &["yes"]),
            (
                137,
                "memory limit",
                &["--memory", "30M"],
                &["python3", "-c", "b = []\nwhile True: b.append(b'x' * 100000)"],
            ),
            (126, "permission denied", &["--bind", &not_executable], &["/script"]),
            (126, "", &["--file", &executable], &["/script"]),
            (126, "", &[], &["/usr"]),
            (127, "no such program inside the sandbox", &[], &["no-such-program"]),
            (127, "no such program", &[], &["/no/such/program"]),
            (125, "no such", &["--cwd", "/no/such"], &["true"]),
            (125, "unexpected argument '--no-such-option'", &["--no-such-option"], &["true"]),
            (125, "--bind", &["--bind", "/a:/b:/c"], &["true"]),
            (125, "host name", &["--hostname", ""], &["true"]),
            (125, "/no/such/policy", &["--policy", "/no/such/policy"], &["true"]),
            (125, "KEY=VALUE", &["--set", "hostname"], &["true"]),
            (125, "no_such_key", &["--set", "no_such_key=1"], &["true"]),
            (125, "--fd 99", &["--fd", "99"], &["true"]),
        ];
        for (code, message, options, program) in cases {
            let words = ["run"].iter().chain(options).chain(&["--"]).chain(program);
            let ran = run(words);
            assert_eq!(ran.code, code, "{options:?} {program:?}: {}", ran.err);
            assert!(ran.err.contains(message) && !ran.err.is_empty(), "{}", ran.err);
        }
        for words in [&[][..], &["run"], &["run", "true"], &["no-such-command"]] {
            let ran = run(words);
            assert_eq!((ran.code, &*ran.out), (125, ""), "{words:?}");
            assert!(ran.err.contains("Usage: seclude"), "{words:?}: {}", ran.err);
        }
        assert_eq!(run(["--help"]).code, 0);
        assert_eq!(run(["--version"]).out, format!("seclude {}\n", env!("CARGO_PKG_VERSION")));
    });
}

#[test]
fn a_lost_warden_is_a_failure() {
    each("a_lost_warden_is_a_failure", |_| {
        let mark = crate::ground::mark();
        let mut command = leader(&["run", "--", "sh", "-c", "sleep 1000 $0; :", &mark]);
        let child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        await_asleep(&mark, 1);
        let wardens = wardens().into_iter();
        let warden = wardens.filter(|(parent, _)| *parent == child.id()).map(|(_, pid)| pid).next();
        let warden = warden.expect("the warden is a child of seclude");
        crate::ground::signal(warden as i32, Signal::SIGKILL);
        let output = child.wait_with_output().expect("it ends");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{message}");
        assert!(message.contains("warden"), "{message}");
    });
}

#[test]
fn a_test_that_cannot_be_isolated_is_skipped() {
    each("a_test_that_cannot_be_isolated_is_skipped", |_| {
        let program = caller::seclude();
        let bind = format!("{}:/seclude", program.display());
        let inside = |outer: &[&str], inner: &[&str]| {
            let words = ["run", "--bind", &bind].into_iter().chain(outer.iter().copied());
            run(words.chain(["--", "/seclude", "run"]).chain(inner.iter().copied()))
        };
        let ran = inside(&[], &["--test", "--", "true"]);
        assert_eq!(ran.code, 77, "{}", ran.err);
        assert!(ran.err.starts_with("seclude: skipped: "), "{}", ran.err);
        // Without --test it is a failure, and where sandboxes nest it is neither.
        assert_eq!(inside(&[], &["--", "true"]).code, 125);
        let ran = inside(&["--nested"], &["--test", "--", "sh", "-c", "exit 3"]);
        assert_eq!(ran.code, 3, "{}", ran.err);
        // A mistake of the caller is no reason to skip.
        let mut command = seclude(["run", "--test", "--", "no-such-program"]);
        assert_eq!(crate::ground::ran(command.env("PATH", "/usr/bin")).code, 127);
        assert_eq!(run(["run", "--test", "--hostname", "", "--", "true"]).code, 125);
    });
}

#[test]
fn a_sandbox_for_tests_is_the_host_without_its_other_processes() {
    each("a_sandbox_for_tests_is_the_host_without_its_other_processes", |_| {
        let look = "pwd; echo $GIVEN $TMPDIR; ls /tmp; ls -d /proc/[0-9]* | wc -l; id -u";
        let mut command = seclude(["run", "--test", "--env", "GIVEN=more", "--", "sh", "-c", look]);
        command.current_dir("/usr/share").env("GIVEN", "one").env("TMPDIR", "/tmp/of-the-host");
        let ran = ran(&mut command);
        let lines: Vec<&str> = ran.out.lines().collect();
        assert_eq!(
            (ran.code, lines.first(), lines.get(1)),
            (0, Some(&"/usr/share"), Some(&"more /tmp")),
            "{ran:?}"
        );
        let processes: usize =
            lines[2].trim().parse().unwrap_or_else(|_| panic!("/tmp: {lines:?}"));
        assert!(processes < 10, "{processes}");
    });
}

#[test]
fn a_report_says_the_same() {
    each("a_report_says_the_same", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        let report = place.path().join("report");
        let path = report.to_str().expect("it is text");
        assert_eq!(shell(&["--report", path, "--quiet"], "exit 9").code, 9);
        let told = crate::ground::json(&report);
        assert_eq!((&told["ended"], &told["value"]), (&"exited".into(), &9.into()));
        // What the program wrote is in the object alone, as text or in base64.
        let told = shell(&["--json"], "echo 'a\u{e4}'; printf '\\033\\377' >&2; exit 4");
        assert_eq!((told.code, &*told.err), (4, ""));
        assert!(told.out.is_ascii() && told.out.lines().count() == 1, "{:?}", told.out);
        let told: serde_json::Value = serde_json::from_str(&told.out).expect("it is JSON");
        assert_eq!(told["stdout"], "a\u{e4}\n");
        assert_eq!(told["stderr"]["base64"], "G/8=");
        let told = run(["run", "--json", "--", "no-such-program"]);
        assert_eq!(told.code, 127);
        let told: serde_json::Value = serde_json::from_str(&told.out).expect("it is JSON");
        assert_eq!(told["error"]["kind"], "program-missing");
        // A report that cannot be written is a failure.
        let lost = shell(&["--report", "/no/such/report"], "exit 9");
        assert_eq!(lost.code, 125);
        assert!(lost.err.contains("/no/such/report"), "{}", lost.err);
    });
}

#[test]
fn a_policy_can_come_from_the_standard_input() {
    each("a_policy_can_come_from_the_standard_input", |_| {
        let ran = ran_with(
            &mut seclude(["run", "--policy", "-", "--", "uname", "-n"]),
            b"hostname = \"piped\"\n",
        );
        assert_eq!(ran.out, "piped\n", "{}", ran.err);
    });
}
