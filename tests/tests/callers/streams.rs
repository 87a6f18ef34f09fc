//! Unusual standard streams: a caller that has closed its own, and a caller that gives one pipe to
//! several sandboxes.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::fstat;
use nix::unistd::{Uid, close, geteuid};
use seclude::{Ended, Interaction, MiB, Sandbox, Stdio};
use seclude_tests::caller::{Caller, as_each, only};
use seclude_tests::scratch;
use std::fs::{self, File};
use std::io::{self, PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::process::Command;

/// Prints the targets of the three standard streams to descriptor 9.
const LOOK: &str = "for n in 0 1 2; do link=$(readlink /proc/$$/fd/$n); echo $link >&9; done";

const CLOSED: &str = "SECLUDE_TEST_CLOSED";
const RESULT: &str = "SECLUDE_TEST_RESULT";

/// The standard descriptors that this process has open.
fn standard() -> Vec<i32> {
    (0..3)
        .filter(|number| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok())
        .collect()
}

/// The acts of a caller that has closed some of its standard streams. Returns what went wrong as
/// text, because its own streams may be closed.
fn without_streams(closed: &[i32]) -> Vec<String> {
    let mut wrong = Vec::new();
    for &number in closed {
        // The descriptor may be closed already.
        let _ = close(number);
    }
    let open = standard();
    let place = scratch::directory();
    let result = place.path().join("links");
    let sandbox = Sandbox::new().terminals().memory(MiB(256));
    let mut look = |what: &str, change: fn(&mut seclude::Command), expected: [&str; 3]| {
        // The clone gets a number above the standard ones.
        let file = File::create(&result).and_then(|file| file.try_clone()).expect("there is room");
        let mut command = sandbox.command("sh");
        command.args(["-c", LOOK]).fd(9, file);
        change(&mut command);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return wrong.push(format!("{what}: {error}")),
        };
        // What the library opens while a command runs must not take a standard number.
        if standard() != open {
            wrong.push(format!(
                "{what}: the library has {:?} open, the caller {open:?}",
                standard()
            ));
        }
        let ended = child.wait().map(|outcome| outcome.ended);
        if !matches!(ended, Ok(Ended::Exited(0))) {
            wrong.push(format!("{what}: {ended:?}"));
        }
        let links = fs::read_to_string(&result).expect("it is there");
        for (number, (link, expected)) in links.lines().zip(expected).enumerate() {
            let expected = if closed.contains(&(number as i32)) { expected } else { "" };
            if !link.starts_with(expected) {
                wrong.push(format!("{what}: stream {number} is {link}"));
            }
        }
    };
    look("inherited", |_| {}, ["/dev/null"; 3]);
    look(
        "piped output",
        |command| _ = command.stdout(Stdio::piped()),
        ["/dev/null", "pipe:", "/dev/null"],
    );
    let piped =
        |command: &mut seclude::Command| _ = command.stdin(Stdio::piped()).stderr(Stdio::piped());
    look("piped input and errors", piped, ["pipe:", "/dev/null", "pipe:"]);
    look(
        "a terminal",
        |command| _ = command.stdin(Stdio::pty()),
        ["/dev/pts/0", "/dev/null", "/dev/null"],
    );
    // Pools, cells and templates keep more descriptors open.
    let cell = sandbox.cell().expect("it starts");
    let mut command = cell.command("true");
    let child = command.spawn();
    if standard() != open
        || !child.is_ok_and(|mut child| {
            child.wait().is_ok_and(|outcome| outcome.ended == Ended::Exited(0))
        })
    {
        wrong.push(format!("a cell: {:?} open", standard()));
    }
    let copied = sandbox.prepare().and_then(|()| sandbox.command("true").status());
    if standard() != open || !copied.is_ok_and(|outcome| outcome.ended == Ended::Exited(0)) {
        wrong.push(format!("a template: {:?} open", standard()));
    }
    wrong
}

#[test]
fn a_caller_without_standard_streams_starts_commands() {
    const NAME: &str = "a_caller_without_standard_streams_starts_commands";
    as_each(NAME, |_| {
        if let (Ok(closed), Some(result)) = (std::env::var(CLOSED), std::env::var_os(RESULT)) {
            let closed: Vec<i32> =
                closed.split(' ').map(|number| number.parse().expect("a number")).collect();
            let found = std::panic::catch_unwind(|| without_streams(&closed))
                .unwrap_or_else(|_| vec!["it panicked".into()]);
            fs::write(result, found.join("\n")).expect("there is room");
            std::process::exit(0);
        }
        let place = scratch::directory();
        for closed in ["0", "1", "2", "1 2", "0 1 2"] {
            let result = place.path().join("result");
            let status = Command::new(std::env::current_exe().expect("/proc/self/exe can be read"))
                .args(only(NAME))
                .env(CLOSED, closed)
                .env(RESULT, &result)
                .stdin(std::process::Stdio::piped())
                .status();
            assert!(status.expect("it starts").success(), "closed {closed}");
            assert_eq!(fs::read_to_string(&result).expect("it is there"), "", "closed {closed}");
        }
    });
}

/// A close-on-exec descriptor under the number of a closed stream, such as the library opens for a
/// moment, is not a stream that programs inherit.
#[test]
fn what_is_closed_on_exec_is_not_inherited() {
    let close_on_exec = |on: bool| {
        let flags = if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() };
        fcntl(io::stdin(), FcntlArg::F_SETFD(flags)).expect("it is open");
    };
    let place = scratch::directory();
    let look = || {
        let result = place.path().join("links");
        let file = File::create(&result).expect("there is room");
        let status = Sandbox::new()
            .command("sh")
            .args(["-c", LOOK])
            .fd(9, file)
            .status()
            .expect("it starts");
        assert_eq!(status.ended, Ended::Exited(0));
        fs::read_to_string(result)
            .expect("it is there")
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    // A file, which differs from `/dev/null` whatever the input of this test is.
    let (saved, file) = (io::stdin().lock(), File::open("/etc/hostname").expect("it is there"));
    let before = nix::unistd::dup(io::stdin()).expect("it is open");
    nix::unistd::dup2_stdin(&file).expect("it is open");
    let inherited = look();
    close_on_exec(true);
    let closed = look();
    nix::unistd::dup2_stdin(&before).expect("it is open");
    drop(saved);
    assert_ne!(inherited, "/dev/null");
    assert_eq!(closed, "/dev/null");
}

fn owner(pipe: &PipeWriter) -> Uid {
    Uid::from_raw(fstat(pipe).expect("it is open").st_uid)
}

#[test]
fn a_pipe_that_the_caller_made_stays_its_owners() {
    as_each("a_pipe_that_the_caller_made_stays_its_owners", |who| {
        let open = "if true </proc/self/fd/1; then echo opened >&2; else echo refused >&2; fi";
        let (mut reader, writer) = io::pipe().expect("there is room");
        let copy = || OwnedFd::from(writer.try_clone().expect("there is room"));
        for sandbox in [Sandbox::new(), Sandbox::new(), Sandbox::new().output(4096u64)] {
            let mut command = sandbox.command("sh");
            command
                .args(["-c", &format!("echo line; {open}")])
                .stdout(Stdio::from(copy()))
                .stderr(Stdio::piped())
                .fd(7, copy());
            let output = command.output().expect("it starts");
            assert_eq!(output.outcome.ended, Ended::Exited(0));
            assert_eq!(owner(&writer), geteuid(), "a pipe of the caller's was given away");
            // With a limit on output the library gives the command a pipe of its own instead.
            if who == Caller::Root && sandbox == Sandbox::new() {
                assert!(
                    String::from_utf8_lossy(&output.stderr).ends_with("refused\n"),
                    "{output:?}"
                );
            }
        }
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("all have ended");
        assert_eq!(text, "line\n".repeat(3));
    });
}

#[test]
fn a_pipe_that_the_library_made_can_be_opened_anew() {
    as_each("a_pipe_that_the_library_made_can_be_opened_anew", |_| {
        let anew = |sandbox: Sandbox| {
            let mut command = sandbox.command("sh");
            command.args(["-c", "echo out >/dev/stdout; echo err >/dev/stderr"]);
            let output = command.output().expect("it starts");
            assert_eq!(
                (&*output.stdout, &*output.stderr),
                (&b"out\n"[..], &b"err\n"[..]),
                "{:?}",
                output.outcome
            );
        };
        anew(Sandbox::new());
        anew(Sandbox::new().output(4096u64));
        let command = |script: &str| {
            let mut command = Sandbox::new().command("sh");
            command.args(["-c", script]);
            command
        };
        let mut joined = Interaction::between(
            command("echo 6 >/dev/stdout"),
            command("read x </dev/stdin; test $x = 6"),
        );
        assert!(
            joined
                .output()
                .expect("they start")
                .iter()
                .all(|output| output.outcome.ended == Ended::Exited(0))
        );
    });
}
