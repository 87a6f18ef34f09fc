//! The program that runs in the doctor's sandboxes: the warden's own. A host that can run a warden
//! can run it.
//!
//! If its standard input is a socket, it waits there for a request. Otherwise it ends at once with
//! code 1. With an argument it creates namespaces first. So the checks neither need nor run any
//! program of the host.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::image;
use crate::host::launch;
use crate::host::socket::{self, Socket};
use crate::policy::File;
use crate::policy::outcome::{Ended, Outcome};
use crate::run::child::Child;
use crate::run::command::{Command, Stdio};
use crate::run::sandbox::Sandbox;
use crate::wire::codec::ListBuilder;
use crate::wire::message::Request;
use std::time::{Duration, Instant};

const PROGRAM_PATH: &str = "/probe";
/// How the program ends if no request comes.
const WITHOUT_REQUEST: Ended = Ended::Exited(1);
/// The time limit, longer than any check takes.
const TIME: Duration = Duration::from_secs(2);

/// The sandbox that needs least from the host: it has none of the host's files.
pub fn smallest() -> Sandbox {
    within(Sandbox::new().empty_root())
}

/// `sandbox` with the program in it and a time limit.
pub fn within(sandbox: Sandbox) -> Sandbox {
    sandbox.entry(File::new(PROGRAM_PATH, image::PROGRAM).mode(0o755)).wall_time(TIME)
}

/// Runs the program and returns how it ended.
pub fn ended(sandbox: &Sandbox) -> Result<Ended> {
    Ok(quiet(sandbox).stdin(Stdio::null()).status()?.ended)
}

/// Runs the program to its end. An error if it did not end as it does without a request.
pub fn run(sandbox: &Sandbox) -> Result<Outcome> {
    let outcome = quiet(sandbox).stdin(Stdio::null()).status()?;
    if outcome.ended == WITHOUT_REQUEST { Ok(outcome) } else { Err(unexpected(outcome.ended)) }
}

/// The running program, which waits for a request.
pub struct RunningProbe {
    pub child: Child,
    /// The caller's end of its standard input. The program ends when it is closed.
    socket: Socket,
}

impl RunningProbe {
    pub fn start(sandbox: &Sandbox) -> Result<RunningProbe> {
        RunningProbe::start_with(quiet(sandbox))
    }

    /// Starts the program with a request to create namespaces of these kinds.
    pub fn start_founder(sandbox: &Sandbox, flags: u64) -> Result<RunningProbe> {
        let mut command = quiet(sandbox);
        command.arg(launch::FOUND.to_string_lossy().as_ref());
        let running = RunningProbe::start_with(command)?;
        running.socket.send(
            &Request::Join {
                joined: ListBuilder::new(Vec::new()).list(),
                namespaces: flags,
                member: false,
            },
            &[],
        )?;
        Ok(running)
    }

    fn start_with(mut command: Command) -> Result<RunningProbe> {
        let (ours, theirs) = socket::pair()?;
        let theirs = theirs
            .as_fd()?
            .try_clone_to_owned()
            .map_err(|error| Error::io("copy a descriptor", error))?;
        let child = command.stdin(theirs).spawn()?;
        Ok(RunningProbe { child, socket: ours })
    }

    /// Receives the program's report.
    pub fn receive(&self) -> Result<socket::Received> {
        let received =
            self.socket.receive(Some(self.child.pidfd()), Some(Instant::now() + TIME))?;
        received.ok_or_else(|| {
            Error::new(ErrorKind::Setup, "receive the probe's report").because("it sent none")
        })
    }

    /// Ends the program and waits for it.
    pub fn release(self) -> Result<Outcome> {
        let RunningProbe { mut child, socket } = self;
        drop(socket);
        let outcome = child.wait()?;
        if outcome.ended == WITHOUT_REQUEST { Ok(outcome) } else { Err(unexpected(outcome.ended)) }
    }
}

fn quiet(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(PROGRAM_PATH);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn unexpected(ended: Ended) -> Error {
    Error::new(ErrorKind::Setup, "run the probe to its end").because(ended.to_string())
}
