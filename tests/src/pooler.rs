//! Controls the program `pooler` (`src/bin/pooler.rs`): a caller with a pool in another process,
//! which takes one instruction per line.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How long an answer may take before the test fails.
const PATIENCE_MS: u16 = 60_000;

/// The running program. Dropping it kills the process.
pub struct Pooler {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pooler {
    /// Starts `command`, which must execute the program.
    pub fn start(mut command: Command) -> Pooler {
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is there");
        let (input, output) =
            (process.stdin.take().expect("piped"), process.stdout.take().expect("piped"));
        Pooler { process, input, output: BufReader::new(output) }
    }

    /// Sends a line and returns the answer.
    ///
    /// # Panics
    ///
    /// If no answer comes within a minute, or if the program ends.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").expect("it reads");
        if self.output.buffer().is_empty() {
            let mut polled = [PollFd::new(self.output.get_ref().as_fd(), PollFlags::POLLIN)];
            let ready =
                poll(&mut polled, PollTimeout::from(PATIENCE_MS)).expect("it can be waited for");
            assert_eq!(ready, 1, "no answer to {line:?}: it hangs");
        }
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("it answers");
        assert!(answer.ends_with('\n'), "it ended at {line:?}: {:?}", self.process.try_wait());
        answer.trim_end().to_owned()
    }

    /// Sends a line. The answer must be `ok`.
    pub fn does(&mut self, line: &str) {
        assert_eq!(self.ask(line), "ok", "{line}");
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
