//! Signals without a terminal of the program's own: Ctrl-C, Ctrl-Z and a supervisor's signals.

use crate::ground::{
    Started, await_asleep, await_that, code, each, ended, leader, line, mark, ran, signal, start,
    state,
};
use nix::sys::signal::Signal;
use seclude_tests::census::{marked, survivors};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(30);

/// Starts a program of three processes in one group, which have `mark` in their arguments, and
/// waits until it has printed a line.
fn started(options: &[&str], script: &str, mark: &str) -> Started {
    let words: Vec<&str> = [&["run"], options, &["--", "sh", "-c", script, mark]]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let mut child = start(leader(&words).stdout(Stdio::piped()));
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    output.read_line(&mut first).expect("it prints a line");
    assert_eq!(first, "ready\n");
    // The rest goes nowhere, but must be able to.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    child
}

/// A shell with a child of its own in the same group, both of which end by signals in the usual
/// way.
const PAIR: &str = "echo ready; sh -c 'sleep 1000 $0; :' $0; echo not reached";

#[test]
fn an_interrupt_ends_the_whole_group_and_seclude_by_it() {
    each("an_interrupt_ends_the_whole_group_and_seclude_by_it", |_| {
        for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
            let mark = mark();
            let mut child = started(&[], PAIR, &mark);
            await_asleep(&mark, 1);
            signal(-(child.id() as i32), number);
            let status = ended(&mut child);
            assert_eq!(status.signal(), Some(number as i32), "{status}");
            assert_eq!(survivors(&mark, GRACE), [] as [u32; 0], "{number}");
        }
    });
}

#[test]
fn a_loop_of_a_shell_stops_at_an_interrupt() {
    each("a_loop_of_a_shell_stops_at_an_interrupt", |_| {
        let mark = mark();
        let run = format!("seclude run -- sh -c 'sleep 1000 $0; :' {mark}");
        let mut command = line(&format!("while :; do {run}; echo again; done"));
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = start(command.stdout(Stdio::piped()));
        await_asleep(&mark, 1);
        signal(-(child.id() as i32), Signal::SIGINT);
        assert_eq!(ended(&mut child).signal(), Some(Signal::SIGINT as i32));
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
    });
}

#[test]
fn a_program_that_handles_a_signal_decides() {
    each("a_program_that_handles_a_signal_decides", |_| {
        let script = "trap 'exit 7' TERM INT USR2; echo ready; while :; do sleep 0.01; done";
        for number in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR2] {
            let mut child = started(&[], script, "0");
            // To seclude alone, as a supervisor does.
            signal(child.id() as i32, number);
            assert_eq!(code(ended(&mut child)), 7, "{number}");
        }
        // SIGQUIT is told by the status, so that seclude itself dumps no core.
        let mut child = started(&[], "echo ready; exec sleep 1000", "0");
        signal(child.id() as i32, Signal::SIGQUIT);
        assert_eq!(ended(&mut child).code(), Some(128 + Signal::SIGQUIT as i32));
    });
}

#[test]
fn an_ignored_signal_stays_ignored() {
    each("an_ignored_signal_stays_ignored", |_| {
        let script = "seclude run -- sh -c 'kill -HUP $$; echo lives on'; exit 5";
        let ran = ran(&mut line(&format!("trap '' HUP; {script}")));
        assert_eq!((ran.code, &*ran.out), (5, "lives on\n"), "{}", ran.err);
        let mark = mark();
        let text = format!("trap '' HUP; seclude run -- sh -c 'sleep 1000 $0; :' {mark}");
        let mut command = line(&text);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = start(&mut command);
        await_asleep(&mark, 1);
        signal(-(child.id() as i32), Signal::SIGHUP);
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().expect("it is ours").is_none(), "it goes on");
        signal(-(child.id() as i32), Signal::SIGTERM);
        assert_eq!(code(ended(&mut child)), 128 + Signal::SIGTERM as i32);
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
    });
}

#[test]
fn a_stop_stops_the_program_and_both_continue() {
    each("a_stop_stops_the_program_and_both_continue", |_| {
        let mark = mark();
        let mut child = started(&[], PAIR, &mark);
        let inside = || {
            await_asleep(&mark, 1);
            let all = marked(&mark);
            all.into_iter().filter(|pid| *pid != child.id()).collect::<Vec<_>>()
        };
        let before = inside();
        for _ in 0..2 {
            signal(-(child.id() as i32), Signal::SIGTSTP);
            await_that("seclude is stopped", || state(child.id()) == 'T');
            await_that("so is the program", || before.iter().all(|pid| state(*pid) == 'T'));
            signal(-(child.id() as i32), Signal::SIGCONT);
            await_that("seclude continues", || state(child.id()) != 'T');
            await_that("so does the program", || before.iter().all(|pid| state(*pid) != 'T'));
        }
        signal(child.id() as i32, Signal::SIGTERM);
        assert_eq!(ended(&mut child).signal(), Some(Signal::SIGTERM as i32));
    });
}

#[test]
fn nothing_is_left_when_seclude_is_killed() {
    each("nothing_is_left_when_seclude_is_killed", |_| {
        let mark = mark();
        for options in [&[][..], &["--json"], &["--memory", "200M", "--output", "1M"]] {
            let script = format!("setsid sh -c 'sleep 1000 $0; :' $0 & {PAIR}");
            let words: Vec<&str> = [&["run"], options, &["--", "sh", "-c", &script, &mark]]
                .into_iter()
                .flatten()
                .copied()
                .collect();
            let mut child = start(leader(&words).stdout(Stdio::null()));
            await_asleep(&mark, 2);
            signal(child.id() as i32, Signal::SIGKILL);
            ended(&mut child);
            assert_eq!(survivors(&mark, GRACE), [] as [u32; 0], "{options:?}");
        }
    });
}
