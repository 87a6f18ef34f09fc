//! `seclude cells`: from opening a cell to its end.

use crate::ground::{
    Ran, Started, await_asleep, await_that, code, each, ended, leader, mark, ran, seclude, signal,
    start, state,
};
use nix::sys::signal::Signal;
use seclude_tests::caller::Caller;
use seclude_tests::census::survivors;
use seclude_tests::scratch;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(30);

/// Published cells, in a directory of the test's own.
struct Cells<'a>(&'a Path);

impl Cells<'_> {
    fn run(&self, words: &[&str]) -> Ran {
        ran(seclude(["cells"].iter().chain(words)).env("SECLUDE_CELLS", self.0))
    }

    /// Opens a cell, and waits until it is there.
    fn open(&self, name: &str, options: &[&str]) -> Started {
        let words: Vec<&str> =
            [&["cells", "open", name], options].into_iter().flatten().copied().collect();
        let mut command = leader(&words);
        command.env("SECLUDE_CELLS", self.0).stdout(Stdio::piped());
        let mut child = start(&mut command);
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it prints a line");
        line.trim().parse::<u32>().expect("the line is a process id");
        child
    }
}

#[test]
fn a_cell_lives_until_it_is_closed() {
    each("a_cell_lives_until_it_is_closed", |_| {
        let place = scratch::directory();
        let path = place.path().join("cells");
        let cells = Cells(&path);
        assert_eq!(cells.run(&["list"]).out, "");
        let mut one = cells.open("one", &["--hostname", "of-one"]);
        let mut two = cells.open("two", &[]);
        let list = cells.run(&["list"]).out;
        let names: Vec<_> =
            list.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["one", "two"], "{list}");
        for line in cells.run(&["list", "--json"]).out.lines() {
            let told: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            assert!(
                names.contains(&told["name"].as_str().expect("a name")) && told["pid"].is_u64()
            );
        }
        // Commands share the cell, and exit as they do elsewhere.
        let exec = |script: &str| cells.run(&["exec", "one", "--", "sh", "-c", script]);
        assert_eq!(exec("uname -n; echo kept > /tmp/file; exit 5").code, 5);
        assert_eq!(exec("cat /tmp/file; uname -n").out, "kept\nof-one\n");
        assert_eq!(
            cells.run(&["exec", "one", "-e", "A=b", "--", "sh", "-c", "echo $A"]).out,
            "b\n"
        );
        assert_eq!(cells.run(&["exec", "one", "--", "no-such-program"]).code, 127);
        assert_eq!(exec("kill -TERM $$").code, 128 + Signal::SIGTERM as i32);
        // An end of one is not an end of the other.
        assert_eq!(cells.run(&["close", "one"]).code, 0);
        assert_eq!(code(ended(&mut one)), 0);
        assert_eq!(cells.run(&["exec", "two", "--", "true"]).code, 0);
        let gone = cells.run(&["exec", "one", "--", "true"]);
        assert_eq!(gone.code, 125);
        assert!(gone.err.contains("one"), "{}", gone.err);
        // A signal closes the cell, and ends seclude by itself.
        signal(two.id() as i32, Signal::SIGTERM);
        assert_eq!(code(ended(&mut two)), 128 + Signal::SIGTERM as i32);
        assert_eq!(cells.run(&["list"]).out, "");
    });
}

#[test]
fn closing_a_cell_ends_what_runs_in_it() {
    each("closing_a_cell_ends_what_runs_in_it", |caller| {
        let place = scratch::directory();
        let path = place.path().join("cells");
        let cells = Cells(&path);
        let mut cell = cells.open("it", &[]);
        let mark = mark();
        let mut command = leader(&["cells", "exec", "it", "--", "sleep", "1000", &mark]);
        let mut running = start(command.env("SECLUDE_CELLS", &path));
        await_asleep(&mark, 2);
        // The cell's warden, the command, and for root that of the command.
        let count = if caller == Caller::Root { " 3" } else { " 2" };
        // Those that have started the command may still be about to end.
        await_that("only these are left", || cells.run(&["list"]).out.trim_end().ends_with(count));
        let act = |verb: &str| {
            let ran = cells.run(&[verb, "it"]);
            assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "", ""), "{verb}");
            // The cell itself goes on.
            assert!(cells.run(&["list"]).out.starts_with("it "));
        };
        // `cells exec` has the same words among its arguments.
        let is_sleep = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
        };
        let program = *await_asleep(&mark, 2).iter().find(|pid| is_sleep(pid)).expect("it runs");
        act("freeze");
        assert_eq!(state(program), 'T');
        act("thaw");
        await_that("it goes on", || state(program) != 'T');
        act("kill");
        assert_eq!(code(ended(&mut running)), 128 + Signal::SIGKILL as i32);
        assert_eq!(cells.run(&["exec", "it", "--", "true"]).code, 0);
        let mut again = start(command.env("SECLUDE_CELLS", &path));
        await_asleep(&mark, 2);
        assert_eq!(cells.run(&["close", "it"]).code, 0);
        assert_eq!(code(ended(&mut cell)), 0);
        assert_ne!(code(ended(&mut again)), 0);
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
        for verb in ["freeze", "thaw", "kill", "close"] {
            assert_eq!(cells.run(&[verb, "it"]).code, 125, "{verb}");
        }
    });
}

#[test]
fn a_killed_owner_takes_its_cell_along() {
    each("a_killed_owner_takes_its_cell_along", |_| {
        let place = scratch::directory();
        let path = place.path().join("cells");
        let cells = Cells(&path);
        let mut cell = cells.open("lost", &[]);
        let mark = mark();
        let mut command = leader(&["cells", "exec", "lost", "--", "sleep", "1000", &mark]);
        let mut running = start(command.env("SECLUDE_CELLS", &path));
        await_asleep(&mark, 1);
        signal(cell.id() as i32, Signal::SIGKILL);
        ended(&mut cell);
        assert_ne!(code(ended(&mut running)), 0);
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
        await_that("it is no longer listed", || cells.run(&["list"]).out.is_empty());
        // Its name is free.
        let mut cell = cells.open("lost", &[]);
        let twice = cells.run(&["open", "lost"]);
        assert_eq!(twice.code, 125, "{twice:?}");
        assert_eq!(cells.run(&["close", "lost"]).code, 0);
        assert_eq!(code(ended(&mut cell)), 0);
    });
}
