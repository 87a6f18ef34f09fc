//! Commands that are joined by pipes and start together, such as a solution and its judge, a client
//! and a server, or a pipeline.

use crate::base::error::{Error, Result};
use crate::run::capture;
use crate::run::child::Child;
use crate::run::command::{Command, Output, Stream, never_refused};
use crate::run::ground::{Ground, Keeper, Place};
use crate::run::start::Prepared;
use crate::run::streams;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A command's index in the interaction, and a descriptor number of that command.
type PipeEnd = (usize, i32);

/// Two or more commands joined by pipes. Each runs in its own sandbox, with its own limits, outcome
/// and usage.
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// use seclude::{Ended, Interaction, Sandbox};
///
/// let sandbox = Sandbox::new().wall_time(std::time::Duration::from_secs(5));
/// let mut asks = sandbox.command("sh");
/// asks.args(["-c", "echo 6 7; read answer; test $answer = 42"]);
/// let mut answers = sandbox.command("sh");
/// answers.args(["-c", "read a b; echo $((a * b))"]);
/// let outputs = Interaction::between(asks, answers).output()?;
/// assert!(outputs.iter().all(|output| output.outcome.ended == Ended::Exited(0)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Interaction {
    commands: Vec<Command>,
    pipes: Vec<(PipeEnd, PipeEnd)>,
}

impl Interaction {
    /// Creates an interaction without commands.
    pub fn new() -> Interaction {
        Interaction::default()
    }

    /// Joins two commands: the standard output of each is the standard input of the other.
    pub fn between(first: Command, second: Command) -> Interaction {
        let mut interaction = Interaction::new();
        let (first, second) = (interaction.add(first), interaction.add(second));
        interaction.pipe((first, 1), (second, 0)).pipe((second, 1), (first, 0));
        interaction
    }

    /// Adds a command. Returns its index, which starts at 0.
    pub fn add(&mut self, command: Command) -> usize {
        self.commands.push(command);
        self.commands.len() - 1
    }

    /// Joins a descriptor that one command writes to with a descriptor that another one reads from.
    /// `pipe((0, 1), (1, 0))` is the shell's `|`.
    ///
    /// Each descriptor of a command can be joined once. When the writer has ended, the reader sees
    /// end-of-file. When the reader has ended, the writer gets SIGPIPE or EPIPE.
    pub fn pipe(&mut self, from: (usize, i32), to: (usize, i32)) -> &mut Interaction {
        self.pipes.push((from, to));
        self
    }

    /// Sets up all sandboxes in parallel, then starts the commands together. Streams that are not
    /// joined are as for [`Command::spawn`].
    ///
    /// Commands of one [`Pool`](crate::Pool) take their places together, and wait until there are
    /// enough.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`]. Also if the interaction is empty, if a pipe names a command
    /// that is not in it, if a descriptor is joined twice, or if a pool has fewer places than
    /// commands. After an error no command is left running.
    pub fn spawn(&mut self) -> Result<Vec<Child>> {
        self.start(|| Stream::Inherit, || Stream::Inherit, None)?.ok_or_else(never_refused)
    }

    /// Like [`Interaction::spawn`], but waits at most `timeout` for places in a
    /// [`Pool`](crate::Pool). With [`Duration::ZERO`] it does not wait. Returns `None` if there
    /// were not enough places, and has started nothing then.
    ///
    /// # Errors
    ///
    /// The same as for [`Interaction::spawn`].
    pub fn spawn_timeout(&mut self, timeout: Duration) -> Result<Option<Vec<Child>>> {
        self.start(|| Stream::Inherit, || Stream::Inherit, Instant::now().checked_add(timeout))
    }

    /// Starts the commands, collects what they write to streams that are not joined, and waits
    /// until all have ended.
    ///
    /// # Errors
    ///
    /// Those of [`Interaction::spawn`] and of [`Child::wait_with_output`].
    pub fn output(&mut self) -> Result<Vec<Output>> {
        let mut children =
            self.start(|| Stream::Null, || Stream::Piped, None)?.ok_or_else(never_refused)?;
        children.iter_mut().for_each(|child| child.stdin = None);
        let collected = capture::collect(&mut children)?;
        let ended = children.iter_mut().zip(collected);
        ended
            .map(|(child, [stdout, stderr])| {
                let outcome = child.wait()?;
                Ok(Output { outcome, stdout, stderr, files: child.collect_if_asked()? })
            })
            .collect()
    }

    fn start(
        &self,
        stdin: fn() -> Stream,
        others: fn() -> Stream,
        deadline: Option<Instant>,
    ) -> Result<Option<Vec<Child>>> {
        let joined = self.join()?;
        let Some(places) = self.places(deadline)? else { return Ok(None) };
        let mut prepared = Vec::with_capacity(self.commands.len());
        for ((command, joined), place) in self.commands.iter().zip(joined).zip(places) {
            let take = || match place {
                Some(place) => Ok(Some(place)),
                None => command.ground.place(command, deadline),
            };
            prepared.extend(Prepared::new(command, stdin(), others(), joined, take)?);
        }
        prepared.iter_mut().try_for_each(Prepared::complete)?;
        prepared.iter().try_for_each(Prepared::run)?;
        prepared.into_iter().map(Prepared::started).collect::<Result<_>>().map(Some)
    }

    /// Takes the commands out, in order. For bindings to other languages, which try again with
    /// them.
    #[doc(hidden)]
    pub fn into_commands(self) -> Vec<Command> {
        self.commands
    }

    /// Takes a place for each command that a keeper has a sandbox for. `None` if there are not
    /// enough by the deadline.
    fn places(&self, deadline: Option<Instant>) -> Result<Option<Vec<Option<Place>>>> {
        let mut keepers: BTreeMap<usize, (&Arc<dyn Keeper>, Vec<usize>)> = BTreeMap::new();
        for (number, command) in self.commands.iter().enumerate() {
            if let Ground::Kept(keeper) = &command.ground {
                let address = Arc::as_ptr(keeper).cast::<()>().addr();
                keepers.entry(address).or_insert_with(|| (keeper, Vec::new())).1.push(number);
            }
        }
        let mut places: Vec<Option<Place>> = self.commands.iter().map(|_| None).collect();
        // Ask the keepers in the same order everywhere, the order of their addresses. Otherwise two
        // interactions could each hold the places that the other waits for.
        for (keeper, numbers) in keepers.into_values() {
            let Some(taken) = keeper.take(numbers.len(), None, deadline)? else { return Ok(None) };
            for (number, one) in numbers.into_iter().zip(taken) {
                places[number] = Some(one);
            }
        }
        Ok(Some(places))
    }

    /// Makes the pipes. Returns the pipe ends of each command, with their descriptor numbers.
    fn join(&self) -> Result<Vec<Vec<(i32, OwnedFd)>>> {
        if self.commands.is_empty() {
            return Err(Error::invalid("interaction", "there is no command in it"));
        }
        let mut taken: BTreeSet<PipeEnd> = BTreeSet::new();
        let mut joined: Vec<Vec<(i32, OwnedFd)>> =
            self.commands.iter().map(|_| Vec::new()).collect();
        for &(from, to) in &self.pipes {
            for (command, descriptor) in [from, to] {
                let Some(known) = self.commands.get(command) else {
                    return Err(Error::invalid(
                        format!("command {command}"),
                        "no command has this number",
                    ));
                };
                let given = known.descriptors.iter().any(|(target, _)| *target == descriptor);
                if descriptor < 0 {
                    return Err(Error::invalid(
                        format!("descriptor {descriptor}"),
                        "must not be negative",
                    ));
                }
                if given || !taken.insert((command, descriptor)) {
                    return Err(Error::invalid(
                        format!("descriptor {descriptor} of command {command}"),
                        "given twice",
                    ));
                }
            }
            let (reader, writer) = streams::pipe()?;
            joined[from.0].push((from.1, writer.into()));
            joined[to.0].push((to.1, reader.into()));
        }
        Ok(joined)
    }
}
