//! The streams of the program are those of `seclude`, and no other descriptor comes along.

use crate::ground::{each, line, ran, ran_with, seclude};
use std::io::Read;
use std::process::Stdio;

#[test]
fn the_streams_are_the_callers_own() {
    each("the_streams_are_the_callers_own", |_| {
        let script = "cat; echo to the other >&2";
        let input: Vec<u8> = (0..200_000_u32).map(|number| b'a' + (number % 26) as u8).collect();
        let ran = ran_with(&mut seclude(["run", "--", "sh", "-c", script]), &input);
        assert_eq!((ran.code, &*ran.err), (0, "to the other\n"));
        assert!(ran.out.as_bytes() == input, "{} bytes", ran.out.len());
        // Not copies: the program has the very same pipe.
        let (mut reader, writer) = crate::ground::pipe();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", {
            use std::os::fd::AsRawFd;
            writer.as_raw_fd()
        }));
        let mut command = seclude(["run", "--", "sh", "-c", "readlink /proc/self/fd/3 3>&1 >&2"]);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(command);
        let output = child.wait_with_output().expect("it ends");
        let inside = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(inside.trim(), link.expect("it is open").to_string_lossy());
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).expect("nobody holds the pipe any more");
    });
}

#[test]
fn what_the_program_does_not_read_stays() {
    each("what_the_program_does_not_read_stays", |_| {
        // As for any program in a loop that reads lines.
        let mut command = line("seclude run -- head -c 6; seclude run -- cat");
        let ran = ran_with(&mut command, b"first\nsecond\n");
        assert_eq!(ran.out, "first\nsecond\n", "{}", ran.err);
    });
}

#[test]
fn closed_streams_are_no_obstacle() {
    each("closed_streams_are_no_obstacle", |_| {
        let ran_line = |text: &str| ran(&mut line(text));
        let script = "sh -c 'cat; echo out; echo err >&2; exit 3'";
        for (closed, out, err) in [
            ("<&-", "out\n", "err\n"),
            (">&-", "", "err\n"),
            ("2>&-", "out\n", ""),
            ("<&- >&- 2>&-", "", ""),
        ] {
            let ran = ran_line(&format!("seclude run -- {script} {closed}"));
            assert_eq!((ran.code, &*ran.out, &*ran.err), (3, out, err), "{closed}");
        }
        // Messages have nowhere to go, and the status remains.
        let ran = ran_line("seclude run -- no-such-program 2>&-");
        assert_eq!((ran.code, &*ran.out), (127, ""));
    });
}

#[test]
fn no_descriptor_comes_along() {
    each("no_descriptor_comes_along", |_| {
        let ran = ran(&mut line("seclude run -- ls /proc/self/fd 5</dev/null 9</dev/null"));
        // The last one is that of the directory.
        assert_eq!(ran.out, "0\n1\n2\n3\n", "{}", ran.err);
        let ran = crate::ground::ran(&mut line(
            "seclude run --fd 9 -- sh -c 'ls -l /proc/$$/fd | grep -c /dev/null' \
             5</dev/null 9</dev/null",
        ));
        assert_eq!(ran.out, "2\n", "0 and 9: {}", ran.err);
    });
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    each("a_reader_that_goes_away_is_no_failure", |_| {
        for text in [
            "seclude run -- yes | head -1",
            "seclude run --output 1G -- yes | head -1",
            "seclude run --json --output 1M -- yes | head -c 1 >/dev/null; echo y",
            "seclude explain | head -1 >/dev/null; echo y",
            "seclude doctor | head -1 >/dev/null; echo y",
            "seclude run --help | head -1 >/dev/null; echo y",
            "seclude completions bash | head -1 >/dev/null; echo y",
            "seclude check --json - <<'P' | true; echo y\nhostname = \"x\"\nP",
        ] {
            let ran = ran(&mut line(text));
            let is_quiet = ran.err.is_empty() || text.contains("--output 1M -- yes");
            assert!(is_quiet && ran.out == "y\n", "{text}: {ran:?}");
        }
        // The program is killed by SIGPIPE, as outside.
        let ran = ran(&mut line("{ seclude run -- yes; echo $? >&2; } | head -1"));
        assert_eq!((&*ran.out, &*ran.err), ("y\n", "141\n"));
    });
}
