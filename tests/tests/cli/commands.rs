//! The commands that run nothing, or run a program to look at it: `explain`, `check`, `doctor`,
//! `learn`, `completions` and `manual`.

use crate::ground::{each, ran, ran_with, run, seclude};
use seclude_tests::caller::Caller;
use seclude_tests::scratch;
use std::fs;
use std::process::Command;

#[test]
fn explain_starts_nothing() {
    each("explain_starts_nothing", |_| {
        let place = scratch::directory();
        let bind = format!("{}:/made,writable", place.path().join("missing").display());
        // Neither the host nor the source of a bind is looked at.
        let options = ["explain", "--hostname", "planned", "--memory", "64M", "--bind", &bind];
        let ran = run(options);
        assert_eq!((ran.code, &*ran.err), (0, ""));
        for part in ["hostname = \"planned\"", "memory = 67108864", "/made"] {
            assert!(ran.out.contains(part), "{part}: {}", ran.out);
        }
        let steps: Vec<_> =
            ran.out.lines().filter(|line| line.trim_start().starts_with("1 ")).collect();
        assert_eq!(steps.len(), 1, "{}", ran.out);
        assert!(run(["explain"]).out.starts_with("the default policy\n\n"));
        // The warden would be the first thing to start.
        let ran = run(["explain", "--warden", "/no/such/warden"]);
        assert_eq!((ran.code, &*ran.err), (0, ""));
        let ran = run(["explain", "--hostname", ""]);
        assert_eq!((ran.code, &*ran.out), (125, ""));
        assert!(ran.err.starts_with("seclude: host name"), "{}", ran.err);
    });
}

#[test]
fn check_names_a_mistake() {
    each("check_names_a_mistake", |_| {
        let place = scratch::directory();
        let path = place.path().join("policy");
        let checked = |text: &str, option: &[&str]| {
            fs::write(&path, text).expect("it is ours");
            let path = path.to_str().expect("it is text");
            run(["check", path].iter().chain(option))
        };
        let ran = checked("hostname = \"x\"\n[rlimits]\nnofile = 10\n", &[]);
        assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "", ""));
        let ran = checked("{\"hostname\": \"x\"}", &["--toml"]);
        assert_eq!((ran.code, &*ran.out), (0, "hostname = \"x\"\n"));
        let ran = checked("hostname = \"x\"\n", &["--json"]);
        assert_eq!((ran.code, &*ran.out), (0, "{\"hostname\":\"x\"}\n"));
        for (text, part) in [
            ("hostnam = \"x\"", "hostnam"),
            ("hostname = \"\"", "host name"),
            ("hostname = 7", "hostname"),
            ("hostname = \"x", "policy"),
            ("{\"hostname\": ", "policy"),
        ] {
            let ran = checked(text, &[]);
            assert_eq!((ran.code, &*ran.out), (125, ""), "{text}");
            assert!(ran.err.starts_with("seclude: ") && ran.err.contains(part), "{}", ran.err);
        }
        assert!(run(["check", "/no/such/file"]).err.contains("/no/such/file"));
        assert_eq!(run(["check", "/no/such/file"]).code, 125);
        assert_eq!(ran_with(&mut seclude(["check", "-"]), b"uid = 7\n").code, 0);
        assert_eq!(ran_with(&mut seclude(["check", "-"]), b"\xff\n").code, 125);
    });
}

#[test]
fn doctor_reports_for_people_and_programs() {
    each("doctor_reports_for_people_and_programs", |_| {
        let ran = run(["doctor"]);
        assert_eq!((ran.code, &*ran.err), (0, ""), "the tests need sandboxes");
        assert!(ran.out.lines().count() > 5 && !ran.out.contains('\x1b'), "{}", ran.out);
        let ran = run(["doctor", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&ran.out).expect("it is JSON");
        assert!(told.is_object() || told.is_array(), "{told}");
    });
}

#[test]
fn doctor_says_where_nothing_can_start() {
    each("doctor_says_where_nothing_can_start", |_| {
        let bind = format!("{}:/seclude", seclude_tests::caller::seclude().display());
        let ran = run(["run", "--bind", &bind, "--", "/seclude", "doctor"]);
        assert_eq!(ran.code, 1, "{} {}", ran.out, ran.err);
        assert!(ran.out.contains("missing"), "{}", ran.out);
    });
}

#[test]
fn what_is_learned_is_enough() {
    each("what_is_learned_is_enough", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        let policy = place.path().join("policy.toml");
        let path = policy.to_str().expect("it is text");
        let program = ["--", "sh", "-c", "echo $(uname -n) $MARK; sleep 0; exit 2"];
        let learn =
            ["learn", "--hostname", "learned", "--env", "MARK=m", "--paths", "--write", path];
        let ran = run(learn.iter().chain(&program));
        assert_eq!((ran.code, &*ran.out, &*ran.err), (2, "learned m\n", ""));
        let text = fs::read_to_string(&policy).expect("it is written");
        assert!(text.contains("# path: ") && text.contains("hostname = \"learned\""), "{text}");
        // The same program runs with it, and another one does not.
        let again = ["run", "--env", "MARK=m", "--policy", path];
        let ran = run(again.iter().chain(&program));
        assert_eq!((ran.code, &*ran.out), (2, "learned m\n"), "{}", ran.err);
        let ran =
            run(again.iter().chain(&["--", "python3", "-c", "import socket; socket.socket()"]));
        assert_ne!(ran.code, 0, "{text}");
        // Without a file the policy goes to the standard error, beside the program's.
        let ran = run(["learn", "--", "sh", "-c", "echo out; echo err >&2"]);
        assert_eq!((ran.code, &*ran.out), (0, "out\n"));
        assert!(ran.err.starts_with("err\n") && ran.err.contains("[seccomp]"), "{}", ran.err);
        assert_eq!(run(["learn", "--", "no-such-program"]).code, 127);
    });
}

#[test]
fn completions_are_programs_of_their_shells() {
    each("completions_are_programs_of_their_shells", |_| {
        for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
            let completions = run(["completions", shell]);
            assert_eq!((completions.code, &*completions.err), (0, ""));
            assert!(completions.out.contains("wall-time"), "{shell}");
            let mut command = Command::new(shell);
            if command.arg("--version").output().is_err() {
                eprintln!("completions for {shell}: SKIPPED: there is no {shell}");
                continue;
            }
            let place = scratch::directory();
            let path = place.path().join("completions");
            fs::write(&path, &completions.out).expect("it is ours");
            let ran = ran(Command::new(shell).arg(check).arg(&path));
            assert_eq!((ran.code, &*ran.err), (0, ""), "{shell}");
        }
        assert_eq!(run(["completions", "no-such-shell"]).code, 125);
    });
}

#[test]
fn every_command_has_a_manual_page() {
    each("every_command_has_a_manual_page", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        let ran = run(["manual".as_ref(), place.path().as_os_str()]);
        assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "", ""));
        for (name, part) in
            [("seclude", "doctor"), ("seclude-run", "wall\\-time"), ("seclude-cells-exec", "NAME")]
        {
            let text = fs::read_to_string(place.path().join(format!("{name}.1")));
            assert!(text.expect("it is written").contains(part), "{name}");
        }
        if caller == Caller::User || Command::new("man").arg("--version").output().is_err() {
            eprintln!("manual pages: SKIPPED to render: no man(1), or not for this user");
        } else {
            for entry in fs::read_dir(place.path()).expect("it is ours").flatten() {
                let mut man = Command::new("man");
                man.args(["--warnings", "-l", "-P", "cat"]).arg(entry.path());
                let ran = crate::ground::ran(man.env("MANWIDTH", "90"));
                let title = entry.file_name().to_string_lossy().to_lowercase();
                assert_eq!((ran.code, &*ran.err), (0, ""), "{title}");
                assert!(ran.out.contains("SYNOPSIS"), "{title}: {}", ran.out);
            }
        }
        assert_eq!(run(["manual", "/no/such/directory"]).code, 125);
    });
}
