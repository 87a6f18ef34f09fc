//! What runs in the doctor's sandboxes: the warden's own program, which every host can execute if
//! it can execute a warden.
//!
//! Executed with a socket as its standard input it waits for a request there; with anything else it
//! ends at once, with code 1; with a word as its argument it makes namespaces first. So nothing of
//! the host's is needed, and nothing of the host's is run.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::image;
use crate::host::launch;
use crate::host::socket::{self, Socket};
use crate::policy::Entry;
use crate::policy::outcome::{Ended, Outcome};
use crate::run::child::Child;
use crate::run::command::{Command, Stdio};
use crate::run::sandbox::Sandbox;
use crate::wire::codec::ListBuilder;
use crate::wire::message::Request;
use std::time::{Duration, Instant};

const AT: &str = "/probe";
/// What the program ends with if nobody speaks to it.
const ALONE: Ended = Ended::Exited(1);
/// Longer than any of it takes.
const TIME: Duration = Duration::from_secs(2);

/// The sandbox that asks least of the host: nothing of its files is in it.
pub fn smallest() -> Sandbox {
    within(Sandbox::new().empty_root())
}

/// `sandbox`, with the program in it, bounded in time.
pub fn within(sandbox: Sandbox) -> Sandbox {
    sandbox
        .entry(Entry::File { at: AT.into(), data: image::PROGRAM.to_vec(), mode: 0o755 })
        .wall_time(TIME)
}

/// How the program ends.
pub fn ended(sandbox: &Sandbox) -> Result<Ended> {
    Ok(quiet(sandbox).stdin(Stdio::null()).status()?.ended)
}

/// Runs the program to its end.
pub fn run(sandbox: &Sandbox) -> Result<Outcome> {
    let outcome = quiet(sandbox).stdin(Stdio::null()).status()?;
    if outcome.ended == ALONE { Ok(outcome) } else { Err(unexpected(outcome.ended)) }
}

/// The program, waiting to be spoken to.
pub struct Live {
    pub child: Child,
    /// Our end. The program ends when it is closed.
    socket: Socket,
}

impl Live {
    pub fn start(sandbox: &Sandbox) -> Result<Live> {
        Live::start_with(quiet(sandbox))
    }

    /// One that makes namespaces of these kinds before it waits.
    pub fn start_founder(sandbox: &Sandbox, flags: u64) -> Result<Live> {
        let mut command = quiet(sandbox);
        command.arg(launch::FOUND.to_string_lossy().as_ref());
        let live = Live::start_with(command)?;
        live.socket.send(
            &Request::Found { joined: ListBuilder::new(Vec::new()).list(), namespaces: flags },
            &[],
        )?;
        Ok(live)
    }

    fn start_with(mut command: Command) -> Result<Live> {
        let (ours, theirs) = socket::pair()?;
        let theirs = theirs
            .as_fd()?
            .try_clone_to_owned()
            .map_err(|error| Error::io("copy a descriptor", error))?;
        let child = command.stdin(theirs).spawn()?;
        Ok(Live { child, socket: ours })
    }

    /// What the program reports.
    pub fn hear(&self) -> Result<socket::Received> {
        let heard = self.socket.receive(Some(self.child.pidfd()), Some(Instant::now() + TIME))?;
        heard.ok_or_else(|| {
            Error::new(ErrorKind::Setup, "hear from the probe").because("it says nothing")
        })
    }

    /// Lets the program end.
    pub fn release(self) -> Result<Outcome> {
        let Live { mut child, socket } = self;
        drop(socket);
        let outcome = child.wait()?;
        if outcome.ended == ALONE { Ok(outcome) } else { Err(unexpected(outcome.ended)) }
    }
}

fn quiet(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(AT);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn unexpected(ended: Ended) -> Error {
    Error::new(ErrorKind::Setup, "run the probe to its end").because(ended.to_string())
}
