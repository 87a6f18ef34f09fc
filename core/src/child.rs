//! A running command: started, watched, waited for, ended.

use crate::command::{Command, Output, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::failure;
use crate::idmap::Mapping;
use crate::outcome::{Ended, Enforced, Outcome};
use crate::policy::{HOST_IDS, Policy};
use crate::processes::{self, Process};
use crate::profile;
use crate::socket::wait_readable;
use crate::streams::{Streams, read_both};
use crate::warden::{ONLY, Warden};
use crate::wire::codec::ListBuilder;
use crate::wire::message::{Report, Request, Rlimit, run};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

/// A running command.
///
/// Dropping it kills everything inside and waits until it is gone; so does the caller's end, however it comes. In a process
/// forked by the caller, dropping it only closes its descriptors.
#[derive(Debug)]
pub struct Child {
    /// The write end of the command's standard input, if that was piped.
    pub stdin: Option<ChildStdin>,
    /// The read end of the command's standard output, if that was piped.
    pub stdout: Option<ChildStdout>,
    /// The read end of the command's standard error, if that was piped.
    pub stderr: Option<ChildStderr>,
    pidfd: OwnedFd,
    pid: u32,
    inside_pid: u32,
    warden: Warden,
    enforced: Enforced,
    outcome: Option<Result<Outcome>>,
}

impl Child {
    pub(crate) fn spawn(command: &mut Command, stdin: Stream, others: Stream) -> Result<Child> {
        let texts = command.texts()?;
        let streams = Streams::new(command, stdin, others)?;
        let policy = command.sandbox.policy();
        let plan = command.sandbox.compiled().plan(policy, Mapping::choose(policy)?)?;

        if plan.mapping != Mapping::Own {
            let outside = |id: u32| policy.host_ids + id.min(HOST_IDS - 1);
            streams.give_pipes_to(outside(policy.uid), outside(policy.gid));
        }
        let mut arguments = ListBuilder::new(Vec::new());
        texts.arguments.iter().for_each(|argument| arguments.push(&argument.as_c_str()));
        let mut environment = ListBuilder::new(Vec::new());
        texts.environment.iter().for_each(|variable| environment.push(&variable.as_c_str()));
        let mut targets = ListBuilder::new(Vec::new());
        let mut descriptors: Vec<BorrowedFd<'_>> = Vec::with_capacity(3 + command.descriptors.len());
        let given = command.descriptors.iter().map(|(target, fd)| (*target, fd.as_fd()));
        for (target, fd) in streams.inside.iter().enumerate().map(|(target, fd)| (target as i32, fd.as_fd())).chain(given) {
            targets.push(&target);
            descriptors.push(fd);
        }
        let rlimits = rlimits(policy);
        let request = Request::Run {
            id: ONLY,
            flags: run::LAST,
            program: &texts.program,
            search: &texts.search,
            arguments: arguments.list(),
            environment: environment.list(),
            directory: &texts.directory,
            targets: targets.list(),
            rlimits: rlimits.list(),
            umask: profile::UMASK,
            wall_ns: command.wall_time.map_or(0, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)),
        };
        let warden = Warden::start(command, &plan, Some((&request, &descriptors)))?;
        let received = warden.receive(None)?.ok_or_else(|| Error::new(ErrorKind::WardenLost, "start the command"))?;
        match received.report()? {
            Report::Started { id: ONLY, pid, protections } => {
                // What did not arrive beside the message found no free number here.
                let pidfd =
                    received.descriptor.ok_or_else(|| failure::of_descriptors("receive the command's descriptor", libc::EMFILE))?;
                let outside = processes::pid_of(&pidfd).unwrap_or(0);
                let Streams { stdin, stdout, stderr, .. } = streams;
                Ok(Child {
                    stdin: stdin.map(|pipe| ChildStdin::from(OwnedFd::from(pipe))),
                    stdout: stdout.map(|pipe| ChildStdout::from(OwnedFd::from(pipe))),
                    stderr: stderr.map(|pipe| ChildStderr::from(OwnedFd::from(pipe))),
                    pidfd,
                    pid: outside,
                    inside_pid: pid.unsigned_abs(),
                    enforced: Enforced::new(policy.flags(), protections | warden.protections()),
                    warden,
                    outcome: None,
                })
            }
            report => Err(failure::of_report(&report, &plan, command)),
        }
    }

    /// The command's process id, as the caller sees it. 0 if the caller's `/proc` does not tell.
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// The command's process id, as it sees itself.
    pub fn inside_id(&self) -> u32 {
        self.inside_pid
    }

    /// A descriptor of the command's first process: readable once that has ended (`pidfd_open(2)`), for `poll` and event loops.
    /// After that, `wait` and `try_wait` return promptly.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// What is enforced on it.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Waits for its end. The standard input, if piped, is closed first, so that a command that reads it to its end does end.
    /// When this returns, nothing of the sandbox is left. Calling it again gives the same answer.
    pub fn wait(&mut self) -> Result<Outcome> {
        self.stdin = None;
        self.finish(None)?.ok_or_else(|| Error::new(ErrorKind::WardenLost, "wait for the command"))
    }

    /// Waits for its end for at most this long; `None` if it still runs. Does not close the standard input.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Outcome>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.finish(Some(deadline)),
            None => self.finish(None),
        }
    }

    /// Its end, if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<Outcome>> {
        if self.outcome.is_none() && wait_readable(&[self.pidfd.as_fd()], Some(Instant::now()))?.is_some() {
            // The first process has ended: the warden's report is on its way.
            return self.finish(None);
        }
        self.finish(Some(Instant::now()))
    }

    /// Reads both pipes to their ends, at once, so that neither can fill up and block the command; then waits.
    pub fn wait_with_output(mut self) -> Result<Output> {
        self.stdin = None;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        read_both(self.stdout.take(), &mut stdout, self.stderr.take(), &mut stderr)?;
        Ok(Output { outcome: self.wait()?, stdout, stderr })
    }

    /// Kills the command and everything that it started. The end is [`Ended::Killed`], unless it came before.
    /// Does not wait. No error if it has ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.request(&Request::Kill { id: ONLY })
    }

    /// Sends a signal to the command's first process, if it still runs.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid(format!("signal {signal}"), "must be 1 to 64"));
        }
        self.request(&Request::Signal { id: ONLY, signal })
    }

    fn request(&mut self, request: &Request<'_>) -> Result<()> {
        match self.outcome {
            Some(_) => Ok(()),
            None => match self.warden.send(request) {
                // It has ended meanwhile; the report says how.
                Err(error) if error.kind() == ErrorKind::WardenLost => Ok(()),
                result => result,
            },
        }
    }

    /// Every process inside, the warden first: its ids inside and outside, parent, command, user. Empty once it has ended.
    pub fn processes(&self) -> Result<Vec<Process>> {
        if self.outcome.is_some() {
            return Ok(Vec::new());
        }
        let list = processes::below(self.warden.pid())?;
        // The warden's number means the warden only while it has not been reaped, by us or by the caller's own loop.
        Ok(if self.warden.is_alive()? { list } else { Vec::new() })
    }

    fn finish(&mut self, deadline: Option<Instant>) -> Result<Option<Outcome>> {
        if let Some(outcome) = &self.outcome {
            return outcome.clone().map(Some);
        }
        let outcome = match self.warden.receive(deadline) {
            Ok(None) => return Ok(None),
            Ok(Some(received)) => match received.report()? {
                Report::Ended { id: ONLY, how, value, usage } => match Ended::from_report(how, value) {
                    Some(ended) => Ok(Outcome { ended, usage: usage.into(), enforced: self.enforced }),
                    None => Err(Error::new(ErrorKind::WardenLost, "read the warden's report").because("it is malformed")),
                },
                _ => Err(Error::new(ErrorKind::WardenLost, "read the warden's report").because("it is out of turn")),
            },
            Err(error) => Err(error),
        };
        self.warden.end();
        self.outcome = Some(outcome.clone());
        outcome.map(Some)
    }
}

/// The policy's limits over the profile's. The latter are ceilings: where the caller's own hard limit is lower, that stays.
fn rlimits(policy: &Policy) -> ListBuilder<Vec<u8>> {
    let mut list = ListBuilder::new(Vec::new());
    for &(resource, soft, hard) in profile::RLIMITS.iter().filter(|(resource, _, _)| !policy.rlimits.contains_key(resource)) {
        let ceiling = crate::sys::hard_limit(resource.number());
        list.push(&Rlimit { resource: resource.number(), soft: soft.min(ceiling), hard: hard.min(ceiling) });
    }
    for (resource, &(soft, hard)) in &policy.rlimits {
        list.push(&Rlimit { resource: resource.number(), soft, hard });
    }
    list
}
