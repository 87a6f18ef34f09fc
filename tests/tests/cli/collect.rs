//! `--collect`: the files that a program has left, below a directory or as JSON.

use crate::ground::{each, leader, ran, run, seclude, start};
use seclude_tests::scratch;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const IN_WORK: [&str; 5] = ["run", "--tmpfs", "/work,size=256M", "--cwd", "/work"];

/// The words of a shell script in `/work`.
fn words<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&IN_WORK, options, &["--", "sh", "-c", script]].concat()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is text")
}

#[test]
fn files_are_written_below_a_directory() {
    each("files_are_written_below_a_directory", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        let into = place.path().join("into");
        let script = "mkdir out; echo 42 >out/a.txt; ln -s /etc/passwd out/b.txt; exit 3";
        let options = ["--collect", "out/*.txt", "--collect", "no*", "--collect-into", text(&into)];
        let ran = run(words(&options, script));
        assert_eq!((ran.code, &*ran.out), (3, ""), "{}", ran.err);
        assert_eq!(fs::read(into.join("out/a.txt")).expect("it is there"), b"42\n");
        assert!(into.join("out/b.txt").symlink_metadata().is_err());
        assert!(ran.err.contains("--collect no*: nothing matches"), "{}", ran.err);
        assert!(ran.err.contains("out/b.txt: left out"), "{}", ran.err);
        // Now it is not empty, which is told before the program starts.
        let again = run(words(&options, "echo it ran"));
        assert_eq!((again.code, &*again.out), (125, ""));
        assert!(again.err.contains("is not empty"), "{}", again.err);
        let quiet = place.path().join("quiet");
        let options = ["--quiet", "--collect", "no*", "--collect-into", text(&quiet)];
        let ran = run(words(&options, "true"));
        assert_eq!((ran.code, &*ran.err), (0, ""));
    });
}

#[test]
fn what_cannot_be_collected_is_a_failure_of_its_own() {
    each("what_cannot_be_collected_is_a_failure_of_its_own", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        let (into, report) = (place.path().join("into"), place.path().join("report"));
        let options = ["--collect", "*", "--collect-into", text(&into), "--collect-bytes", "2"];
        let ran = run(words(&[&options[..], &["--report", text(&report)]].concat(), "echo 42 >a"));
        assert_eq!(ran.code, 125);
        assert!(ran.err.contains("copy a: there are more than 2 bytes"), "{}", ran.err);
        assert!(!into.exists());
        let told = fs::read_to_string(&report).expect("the outcome is written all the same");
        assert!(told.contains("exited with code 0"), "{told}");
        let ran = run(words(&["--json", "--collect", "*", "--collect-entries", "1"], "touch a b"));
        assert_eq!(ran.code, 125);
        let told: Value = serde_json::from_str(&ran.out).expect("it is JSON");
        assert_eq!(told["collected"]["error"]["kind"], "invalid");
        assert_eq!((&told["ended"], &told["collected"]["files"]), (&json!("exited"), &json!([])));
        let ran = run(words(&["--collect", "*"], "true"));
        assert_eq!(ran.code, 125);
        assert!(ran.err.contains("--collect-into DIRECTORY, or --json"), "{}", ran.err);
        let ran = run(words(&["--json", "--collect", "../x"], "true"));
        assert!(ran.err.contains("must not contain"), "{}", ran.err);
    });
}

#[test]
fn files_are_told_as_json() {
    each("files_are_told_as_json", |_| {
        let script = "printf 1 >a; printf '\\377' >\"$(printf 'b\\377')\"; chmod 600 a";
        let ran = run(words(&["--json", "--collect", "*", "--collect", "none"], script));
        assert_eq!(ran.code, 0, "{}", ran.err);
        let told: Value = serde_json::from_str(&ran.out).expect("it is JSON");
        let wanted = json!({
            "files": [
                {"path": "a", "contents": "1", "permissions": 0o600},
                {"path": {"base64": "Yv8="}, "contents": {"base64": "/w=="}, "permissions": 0o644},
            ],
            "entries": 2, "bytes": 2, "skipped": [], "unmatched": ["none"], "error": null,
        });
        assert_eq!(told["collected"], wanted);
        // Without the option nothing is told of files.
        let ran = run(words(&["--json"], script));
        let told: Value = serde_json::from_str(&ran.out).expect("it is JSON");
        assert_eq!(told.get("collected"), None);
    });
}

/// If the caller is killed meanwhile, a part of the files may be there, and the next run says so.
#[test]
fn a_kill_meanwhile_leaves_a_part_that_is_noticed() {
    each("a_kill_meanwhile_leaves_a_part_that_is_noticed", |caller| {
        const SIZE: u64 = 128 << 20;
        let place = scratch::directory();
        caller.own(place.path());
        let script = "head -c 128M /dev/zero >big";
        for round in 0..50 {
            let into = place.path().join(round.to_string());
            let options =
                ["--collect", "big", "--collect-into", text(&into), "--collect-bytes", "1G"];
            let words = words(&options, script);
            let mut child = start(&mut leader(&words));
            while !into.join("big").exists() {
                assert_eq!(child.try_wait().expect("it is ours"), None, "it copies the file");
                std::thread::yield_now();
            }
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            let length = fs::metadata(into.join("big")).expect("it is there").len();
            if length < SIZE {
                let again = ran(&mut seclude(words));
                assert_eq!(again.code, 125);
                assert!(again.err.contains("is not empty"), "{}", again.err);
                return;
            }
            fs::remove_dir_all(into).expect("it is ours");
        }
        panic!("no kill came during the copy");
    });
}
