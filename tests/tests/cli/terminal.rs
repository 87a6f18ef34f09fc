//! A terminal of the program's own, connected to the person's.

use crate::ground::{
    Person, await_asleep, await_that, code, each, ended, mark, ran, seclude, signal,
};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use seclude::{Terminal, WindowSize};
use seclude_tests::caller;
use seclude_tests::census::survivors;
use std::process::Command;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(30);

/// A shell with job control, in which `seclude` is the command.
fn shell() -> Command {
    let mut command = Command::new("env");
    let program = caller::seclude();
    let path =
        format!("PATH={}:/usr/bin:/bin", program.parent().expect("in a directory").display());
    command.args(["--default-signal=INT,QUIT,HUP,TERM,TSTP,TTIN,TTOU", &path, "PS1=ask> "]);
    command.args(["TERM=xterm", "HISTFILE=", "bash", "--norc", "--noprofile", "--noediting", "-i"]);
    command
}

#[test]
fn the_program_has_a_terminal_of_its_own() {
    each("the_program_has_a_terminal_of_its_own", |_| {
        let script = "tty; stty size; echo $TERM; test -t 2 && echo all; read line; echo got $line";
        let mut command = seclude(["run", "--", "sh", "-c", script]);
        let (mut person, mut child) = Person::at(command.env("TERM", "vt220"), 33, 99);
        person.sees("/dev/pts/0\r\n33 99\r\nvt220\r\nall\r\n");
        person.types("a line\r");
        person.sees("got a line");
        assert_eq!(code(ended(&mut child)), 0);
        // Whether it has one is the person's choice.
        let (person, mut child) =
            Person::at(&seclude(["run", "--tty", "never", "--", "tty"]), 9, 9);
        ended(&mut child);
        assert!(!person.sees_the_rest().contains("pts/0\r\n"), "it is the caller's");
        for given in [&["run", "--tty", "always", "--", "true"][..], &["shell"]] {
            let ran = ran(&mut seclude(given));
            assert_eq!(ran.code, 125);
            assert!(ran.err.contains("terminal"), "{}", ran.err);
        }
    });
}

#[test]
fn all_output_arrives() {
    each("all_output_arrives", |_| {
        for bytes in [0, 7, 4000, 100_000] {
            let script = format!("yes 123456 | head -c {bytes}; printf the-end");
            let (person, mut child) =
                Person::at(&seclude(["run", "--", "sh", "-c", &script]), 24, 80);
            let seen = person.sees_the_rest();
            assert_eq!(ended(&mut child).code(), Some(0));
            // A line end has two characters on a terminal.
            assert_eq!(seen.replace('\r', "").len(), bytes + "the-end".len());
            assert!(seen.ends_with("the-end"), "{bytes}");
        }
    });
}

#[test]
fn keys_and_sizes_are_passed_on() {
    each("keys_and_sizes_are_passed_on", |_| {
        let script = "trap 'stty size; echo resized' WINCH; trap 'echo caught' INT; echo ready; \
            while :; do sleep 0.01; read -t 0 && read line && exit 4; done";
        let (mut person, mut child) =
            Person::at(&seclude(["run", "--", "bash", "-c", script]), 24, 80);
        person.sees("ready");
        let size = WindowSize { rows: 50, columns: 132 };
        let terminal = person.terminal().try_clone().expect("a descriptor can be copied");
        Terminal::from(std::os::fd::OwnedFd::from(terminal)).resize(size).expect("it has a window");
        person.sees("50 132\r\nresized");
        person.types("\x03");
        person.sees("caught");
        person.types("\r");
        assert_eq!(code(ended(&mut child)), 4);
    });
}

#[test]
fn an_interrupt_ends_the_program_and_the_terminal_is_as_before() {
    each("an_interrupt_ends_the_program_and_the_terminal_is_as_before", |_| {
        let mark = mark();
        let (mut person, mut child) = Person::at(&shell(), 24, 80);
        person.sees("ask> ");
        let usual = tcgetattr(person.terminal()).expect("a terminal").local_flags;
        person.types(&format!("seclude run -- sh -c 'sleep 1000 $0; :' {mark}; echo status $?\r"));
        await_asleep(&mark, 1);
        // The program may be quicker than the mode of the person's terminal.
        await_that("keys go to the program alone", || {
            let mode = tcgetattr(person.terminal()).expect("a terminal").local_flags;
            !mode.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
        });
        person.types("\x03");
        person.sees("status 130");
        person.sees("ask> ");
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
        assert_eq!(tcgetattr(person.terminal()).expect("a terminal").local_flags, usual);
        person.types("exit 3\r");
        assert_eq!(code(ended(&mut child)), 3);
    });
}

#[test]
fn a_suspended_program_continues_in_the_foreground() {
    each("a_suspended_program_continues_in_the_foreground", |_| {
        let (mut person, mut child) = Person::at(&shell(), 24, 80);
        person.sees("ask> ");
        // With a terminal of the program's own, and without.
        for program in ["seclude run -- cat", "seclude run --tty never -- cat"] {
            person.types(&format!("{program}\r"));
            person.types("first\r");
            person.sees("first\r\nfirst\r\n");
            for word in ["second", "third"] {
                person.types("\x1a");
                person.sees("Stopped");
                person.sees("ask> ");
                person.types("echo $((40 + 2))\r");
                person.sees("42\r\n");
                person.types("fg\r");
                person.sees(program);
                person.types(&format!("{word}\r"));
                person.sees(&format!("{word}\r\n{word}\r\n"));
            }
            person.types("\x04");
            person.sees("ask> ");
        }
        person.types("exit 6\r");
        assert_eq!(code(ended(&mut child)), 6);
    });
}

#[test]
fn jobs_of_a_shell_inside_are_its_own() {
    each("jobs_of_a_shell_inside_are_its_own", |_| {
        let command = seclude([
            "shell",
            "-e",
            "PS1=in> ",
            "--",
            "bash",
            "--norc",
            "--noprofile",
            "--noediting",
            "-i",
        ]);
        let (mut person, mut child) = Person::at(&command, 24, 80);
        person.sees("in> ");
        person.types("cat\r");
        person.sees("cat\r\n");
        person.types("line\r");
        person.sees("line\r\nline\r\n");
        person.types("\x1a");
        person.sees("Stopped");
        person.sees("in> ");
        person.types("fg\r");
        person.sees("cat\r\n");
        // The shell shows the name before it gives the terminal away.
        person.types("more\r");
        person.sees("more\r\nmore\r\n");
        person.types("\x03");
        person.sees("in> ");
        person.types("echo pid $$; exit 8\r");
        person.sees("pid 2\r\n");
        assert_eq!(code(ended(&mut child)), 8);
    });
}

#[test]
fn hanging_up_leaves_nothing() {
    each("hanging_up_leaves_nothing", |_| {
        let mark = mark();
        let script = "sleep 1000 $0; :";
        let (person, mut child) =
            Person::at(&seclude(["run", "--", "sh", "-c", script, &mark]), 24, 80);
        await_asleep(&mark, 1);
        drop(person);
        ended(&mut child);
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
        // The same if seclude itself is killed.
        let (_person, mut child) =
            Person::at(&seclude(["run", "--", "sh", "-c", script, &mark]), 24, 80);
        await_asleep(&mark, 1);
        signal(child.id() as i32, Signal::SIGKILL);
        ended(&mut child);
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
    });
}
