//! What the tests of the command line share: starting `seclude`, waiting for it with a time limit,
//! and a terminal of which the test is the person.

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seclude::{Terminal, WindowSize};
use seclude_tests::caller::{self, Caller, as_each_at_the_command_line};
use seclude_tests::census::{await_marked, here};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the test `name` as root and as an unprivileged user.
pub fn each(name: &str, body: impl FnOnce(Caller)) {
    as_each_at_the_command_line(name, body);
}

/// What a run of `seclude` has left behind.
#[derive(Debug)]
pub struct Ran {
    /// The exit status, or 128 and the number of the signal, as a shell counts.
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The usual effect of signals, which a harness in the background does not inherit.
const USUAL: &str = "--default-signal=INT,QUIT,HUP,TERM,TSTP";

/// A command that runs `seclude` with these arguments. Its standard input is empty, and signals
/// have their usual effect.
pub fn seclude<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new("env");
    command.arg(USUAL).arg(caller::seclude()).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end and collects its output.
pub fn ran(command: &mut Command) -> Ran {
    ran_with(command, b"")
}

/// The same, with this standard input.
pub fn ran_with(command: &mut Command, input: &[u8]) -> Ran {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = start(command);
    let stdin = child.stdin.take();
    let mut streams: (Vec<u8>, Vec<u8>) = Default::default();
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let status = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A program may end before it has read everything.
            let _ = stdin.map(|mut stdin| stdin.write_all(input));
        });
        scope.spawn(|| out.as_mut().map(|out| out.read_to_end(&mut streams.0)));
        scope.spawn(|| err.as_mut().map(|err| err.read_to_end(&mut streams.1)));
        ended(&mut child)
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: code(status), out: text(&streams.0), err: text(&streams.1) }
}

/// Runs `seclude` with these arguments.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    ran(&mut seclude(arguments))
}

/// Runs a line of a shell in which `seclude` is the command. Signals have their usual effect.
pub fn line(text: &str) -> Command {
    let mut command = Command::new("env");
    let program = caller::seclude();
    command.args([USUAL, "PS1=$ ", "sh", "-c"]);
    command.arg(format!("seclude() {{ '{}' \"$@\"; }}\n{text}", program.display()));
    command.stdin(Stdio::null());
    command
}

/// `seclude` with these arguments as the leader of a process group.
pub fn leader(arguments: &[&str]) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = seclude(arguments);
    command.process_group(0);
    command
}

/// A process that ends with its owner, so that a failed test leaves nothing behind.
pub struct Started(Child);

impl Deref for Started {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // The id of a process that has been waited for may be another's.
        if matches!(self.0.try_wait(), Ok(None)) {
            // It may lead a group.
            let _ = kill(Pid::from_raw(-(self.0.id() as i32)), Signal::SIGKILL);
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Starts a command.
pub fn start(command: &mut Command) -> Started {
    Started(command.spawn().expect("it starts"))
}

/// Waits for the end of a process. One that takes too long fails the test.
pub fn ended(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + here(PATIENCE);
    loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status;
        }
        assert!(Instant::now() < end, "process {} did not end", child.id());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A status as a shell counts.
pub fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).expect("it has ended")
}

/// Sends a signal to a process, or to the group of the process -`pid`.
pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it is ours");
}

/// The state of a process: `T` if it is stopped.
pub fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.trim_start().chars().next().unwrap_or('X')
}

/// Waits until something is so.
pub fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + here(PATIENCE);
    while !is_so() {
        assert!(Instant::now() < end, "not so in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a file of JSON.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("it is there");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A mark for the arguments of processes, which finds those of one test. It is a number, so that
/// sleep(1) can have it as a second time.
pub fn mark() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("0.{:08}{:03}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}

/// Waits until so many `sleep 1000 MARK` run. A process that has not executed its program yet has
/// the arguments of its parent, so its mark alone says nothing.
pub fn await_asleep(mark: &str, count: usize) -> Vec<u32> {
    await_marked(&format!("sleep\x001000\0{mark}"), count)
}

/// A terminal, seen from the side of the person.
pub struct Person {
    keyboard: File,
    seen: String,
}

impl Person {
    /// Starts `command` in a session of its own on a new terminal of this size.
    pub fn at(command: &Command, rows: u16, columns: u16) -> (Person, Started) {
        // A descriptor of this side in a program would keep the terminal from hanging up.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let keyboard = posix_openpt(flags).expect("a terminal");
        grantpt(&keyboard).expect("it is ours");
        unlockpt(&keyboard).expect("it is ours");
        let path = ptsname_r(&keyboard).expect("it has a name");
        let keyboard = File::from(OwnedFd::from(keyboard));
        let copy = keyboard.try_clone().expect("a descriptor can be copied");
        let resized = Terminal::from(OwnedFd::from(copy)).resize(WindowSize { rows, columns });
        resized.expect("it has a window");
        let open = || {
            let mut options = File::options();
            options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
            options.open(&path).expect("it is ours")
        };
        let mut starter = Command::new("setsid");
        starter.arg("--ctty").arg(command.get_program()).args(command.get_args());
        starter.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        starter.stdin(open()).stdout(open()).stderr(open());
        let child = start(&mut starter);
        (Person { keyboard, seen: String::new() }, child)
    }

    /// The terminal.
    pub fn terminal(&self) -> &File {
        &self.keyboard
    }

    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    /// Waits until the terminal shows a text, and forgets all up to its end.
    pub fn sees(&mut self, text: &str) {
        let end = Instant::now() + here(PATIENCE);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            assert!(
                Instant::now() < end && self.looks(Duration::from_millis(100)),
                "{text:?} is not shown, but {:?}",
                self.seen
            );
        }
    }

    /// All that is shown from now to the end of the session.
    pub fn sees_the_rest(mut self) -> String {
        let end = Instant::now() + here(PATIENCE);
        while self.looks(Duration::from_millis(100)) {
            assert!(Instant::now() < end, "it goes on: {:?}", self.seen);
        }
        self.seen
    }

    /// Reads what is shown within a time. Returns false when nobody has the terminal open.
    fn looks(&mut self, time: Duration) -> bool {
        let timeout = PollTimeout::try_from(time).expect("it is short");
        let mut polled = [PollFd::new(self.keyboard.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, timeout).expect("it can be polled") == 0 {
            return true;
        }
        let mut piece = [0; 65536];
        match self.keyboard.read(&mut piece) {
            Ok(length) if length > 0 => {
                self.seen.push_str(&String::from_utf8_lossy(&piece[..length]));
                true
            }
            _ => false,
        }
    }
}

/// A pipe, for streams that a test gives to several processes.
pub fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (File::from(OwnedFd::from(reader)), writer.into())
}
