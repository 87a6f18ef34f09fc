//! A running command: started, watched, waited for, ended.

mod files;

use crate::capture;
use crate::cgroup::Froze;
use crate::command::{Command, Output, Stream};
use crate::ending::{self, Held};
use crate::enforce::Enforcement;
use crate::error::{Error, ErrorKind, Result};
use crate::listener::Listener;
use crate::live;
use crate::outcome::{Enforced, Outcome, Usage};
use crate::policy::{Cores, Limit, Limits, Mechanism, named};
use crate::processes::{self, Process};
use crate::socket::wait_readable;
use crate::start::Prepared;
use crate::streams::Streams;
use crate::warden::{ONLY, Warden};
use crate::wire::message::{Request, end};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

named! {
    /// By what a command was frozen.
    Freezer {
        /// `cgroup.freeze` of cgroup v2: the kernel, all at once.
        CgroupV2 = "cgroup-v2",
        /// The freezer of cgroup v1: the kernel, all at once.
        CgroupV1 = "cgroup-v1",
        /// SIGSTOP to every process. Weaker: a parent inside sees its child stopped, and who is sent SIGCONT goes on.
        Signal = "sigstop",
    }
}

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
    started: Instant,
    limits: Limits,
    wall_time: Option<Duration>,
    /// More was written than the caller collects: this much.
    overflow: Option<u64>,
    // Ended, when this is dropped, before its cgroups are removed.
    warden: Warden,
    enforcement: Enforcement,
    enforced: Enforced,
    listener: Option<Listener>,
    /// Who the command is outside, where that is not the caller.
    owner: Option<(u32, u32)>,
    outcome: Option<Result<Outcome>>,
}

impl Child {
    pub(crate) fn spawn(command: &Command, stdin: Stream, others: Stream) -> Result<Child> {
        let prepared = Prepared::new(command, stdin, others, Vec::new())?;
        prepared.run()?;
        prepared.started()
    }

    #[allow(clippy::too_many_arguments, reason = "each is one part of a start, and there is one place that has them all")]
    pub(crate) fn new(
        command: &Command,
        streams: Streams,
        warden: Warden,
        pidfd: OwnedFd,
        (pid, inside_pid): (u32, u32),
        enforcement: Enforcement,
        enforced: Enforced,
        listener: Option<Listener>,
        owner: Option<(u32, u32)>,
    ) -> Child {
        let Streams { stdin, stdout, stderr, .. } = streams;
        Child {
            stdin: stdin.map(|pipe| ChildStdin::from(OwnedFd::from(pipe))),
            stdout: stdout.map(|pipe| ChildStdout::from(OwnedFd::from(pipe))),
            stderr: stderr.map(|pipe| ChildStderr::from(OwnedFd::from(pipe))),
            pidfd,
            pid,
            inside_pid,
            started: Instant::now(),
            limits: command.sandbox.policy().limits.clone(),
            wall_time: command.wall_time,
            overflow: None,
            warden,
            enforcement,
            enforced,
            listener,
            owner,
            outcome: None,
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

    /// Where the calls are heard that its filter leaves to the caller ([`Action::Notify`](crate::Action::Notify)); `None` if there are none, or if it has been taken.
    /// Somebody must listen: who makes such a call waits for the answer.
    pub fn take_listener(&mut self) -> Option<Listener> {
        self.listener.take()
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

    /// Reads both pipes to their ends, at once, so that neither can fill up and block the command; then waits. Of each, as much as
    /// [`Sandbox::output`](crate::Sandbox::output) allows, or 64 MiB: who writes more is stopped, and the end is
    /// [`Ended::OutputLimit`](crate::Ended::OutputLimit).
    pub fn wait_with_output(mut self) -> Result<Output> {
        self.stdin = None;
        let [stdout, stderr] = capture::collect(std::slice::from_mut(&mut self))?.pop().unwrap_or_default();
        Ok(Output { outcome: self.wait()?, stdout, stderr })
    }

    /// The most bytes of one stream that the caller collects.
    pub(crate) fn bound(&self) -> u64 {
        self.limits.output.unwrap_or(capture::BOUND)
    }

    /// It has written more than this.
    pub(crate) fn overflow(&mut self, bound: u64) -> Result<()> {
        self.overflow = Some(bound);
        self.request(&Request::Kill { id: ONLY, how: end::OUTPUT }, None)
    }

    /// Kills the command and everything that it started. The end is [`Ended::Killed`](crate::Ended::Killed), unless it came before.
    /// Does not wait. No error if it has ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.request(&Request::Kill { id: ONLY, how: end::KILLED }, None)
    }

    /// Sends a signal to the command's first process, if it still runs.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid(format!("signal {signal}"), "must be 1 to 64"));
        }
        self.request(&Request::Signal { id: ONLY, signal }, None)
    }

    fn request(&self, request: &Request<'_>, descriptor: Option<BorrowedFd<'_>>) -> Result<()> {
        match self.outcome {
            Some(_) => Ok(()),
            None => match self.warden.send(request, descriptor.as_slice()) {
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

    /// What it has used so far; what it used in all, once it has been waited for. What nobody can tell of a running one, such as the bytes of
    /// its streams, is absent, and without a cgroup the numbers are those of the processes that are there and of those they have waited for.
    pub fn usage(&mut self) -> Result<Usage> {
        match &self.outcome {
            Some(Ok(outcome)) => Ok(outcome.usage),
            Some(Err(error)) => Err(error.clone()),
            None => live::usage(self.warden.pid(), self.started, &self.enforcement.cgroup),
        }
    }

    // ---- other limits than it was started with

    /// From now on, at most so many bytes of memory. The policy must set a limit, and it must be held. Less than is in use: the kernel takes
    /// back what it can, and then ends a process (v2), or the change is refused (v1).
    pub fn set_memory(&mut self, bytes: impl Into<u64>) -> Result<()> {
        let bytes = bytes.into();
        self.change(Limit::Memory, |limits| limits.memory = Some(bytes))
    }

    /// From now on, at most so many processors' worth of time; as for [`Child::set_memory`].
    pub fn set_cpus(&mut self, number: f64) -> Result<()> {
        self.change(Limit::Cpus, |limits| limits.cpus = Some(Cores(number)))
    }

    /// At most so much processor time, counted from the start; as for [`Child::set_memory`].
    pub fn set_cpu_time(&mut self, limit: Duration) -> Result<()> {
        self.change(Limit::CpuTime, |limits| limits.cpu_time = Some(limit))
    }

    /// From now on, at most so many processes and threads; as for [`Child::set_memory`]. Takes a cgroup. Those that are there stay.
    pub fn set_pids(&mut self, number: u64) -> Result<()> {
        self.change(Limit::Pids, |limits| limits.pids = Some(number))
    }

    fn change(&mut self, limit: Limit, change: impl FnOnce(&mut Limits)) -> Result<()> {
        if !self.limits.sets(limit) {
            return Err(Error::invalid(format!("limit {limit}"), "the policy sets none, so there is none to change"));
        }
        let mut limits = self.limits.clone();
        change(&mut limits);
        limits.check()?;
        if self.outcome.is_some() {
            return Ok(());
        }
        match self.enforced.mechanism(limit) {
            Some(Mechanism::CgroupV2 | Mechanism::CgroupV1) => {
                self.enforcement.cgroup.set(limit, &limits)?;
            }
            Some(Mechanism::Sampled) => {}
            _ => {
                return Err(Error::new(ErrorKind::LimitUnavailable, format!("change the limit {limit}"))
                    .because("no cgroup holds it")
                    .hint("start as root, or with a delegated cgroup (docs/limits.md)"));
            }
        }
        self.limits = limits;
        let limits = self.enforcement.wardens(&self.limits, self.wall_time);
        self.request(&Request::Limit { id: ONLY, limits }, None)
    }

    // ---- standing still

    /// Stops everything inside, until [`Child::thaw`]; by what. The wall time goes on. No error if it stands still or has ended already.
    pub fn freeze(&mut self) -> Result<Freezer> {
        if self.outcome.is_some() {
            return Ok(Freezer::Signal);
        }
        let warden = self.warden.pid();
        let inside = || -> Result<Vec<i32>> {
            let all = processes::below(warden)?.into_iter().filter_map(|process| i32::try_from(process.pid).ok());
            Ok(all.filter(|pid| *pid != warden).collect())
        };
        match self.enforcement.cgroup.freeze(warden, inside)? {
            Some(Froze::V2) => Ok(Freezer::CgroupV2),
            Some(Froze::V1(state)) => {
                self.request(&Request::Frozen { id: ONLY }, Some(state.as_fd()))?;
                Ok(Freezer::CgroupV1)
            }
            None => {
                self.request(&Request::Stop { id: ONLY, on: true }, None)?;
                self.await_stop()?;
                Ok(Freezer::Signal)
            }
        }
    }

    /// Waits until everything inside stands still by signal: who waits for a disk does so only afterwards, and is not waited for long.
    fn await_stop(&self) -> Result<()> {
        const ROUNDS: u32 = 200;
        const PAUSE: Duration = Duration::from_millis(2);
        for _ in 0..ROUNDS {
            let still = |process: &Process| matches!(process.state, 'T' | 't' | 'Z' | 'X');
            // The first is the warden.
            if self.processes()?.iter().skip(1).all(still) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Lets everything inside go on. No error if it does already.
    pub fn thaw(&mut self) -> Result<()> {
        if self.outcome.is_some() || self.enforcement.cgroup.thaw()? {
            return Ok(());
        }
        self.request(&Request::Stop { id: ONLY, on: false }, None)
    }

    fn finish(&mut self, deadline: Option<Instant>) -> Result<Option<Outcome>> {
        if let Some(outcome) = &self.outcome {
            return outcome.clone().map(Some);
        }
        let received = match self.warden.receive(deadline) {
            Ok(None) => return Ok(None),
            Ok(Some(received)) => Ok(received),
            Err(error) => Err(error),
        };
        let wall = self.started.elapsed();
        // Who is frozen by a cgroup of version 1 does not die.
        let _ = self.enforcement.cgroup.thaw();
        // While the warden is in it: systemd removes a scope, and what has been counted there, with the last process.
        let counters = self.enforcement.cgroup.counters();
        let signal = self.warden.end();
        let held = Held { limits: &self.limits, wall_time: self.wall_time, overflow: self.overflow };
        let end = match received {
            Ok(received) => received.report().and_then(|report| ending::reported(&report, &counters, &held)),
            Err(error) if error.kind() == ErrorKind::WardenLost => Ok(ending::lost(signal, wall, &counters, &held)),
            Err(error) => Err(error),
        };
        let outcome = end.map(|(ended, status, limit, usage)| Outcome { ended, status, limit, usage, enforced: self.enforced });
        self.enforcement.cgroup = Default::default();
        self.outcome = Some(outcome.clone());
        outcome.map(Some)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.warden.is_ours() {
            let _ = self.enforcement.cgroup.thaw();
        }
    }
}
