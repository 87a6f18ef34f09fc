//! A running command: started, watched, waited for, ended.

mod finish;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Mark;
use crate::base::processes::{self, Process};
use crate::base::watched::Watched;
use crate::host::cgroup::Counters;
use crate::host::enforce::Enforcement;
use crate::host::listener::Listener;
use crate::host::socket::{Socket, wait_readable};
use crate::host::terminal::Terminal;
use crate::policy::outcome::{Ended, Enforced, Outcome, Usage};
use crate::policy::{Cores, Limit, Limits};
use crate::run::alive::{Alive, Freezer, Visit};
use crate::run::capture;
use crate::run::command::{Command, Output, Stream};
use crate::run::ground::Lease;
use crate::run::holder::{self, Holder};
use crate::run::start::Prepared;
use crate::run::streams::Streams;
use crate::run::transfer::{Copied, Transfer};
use crate::run::usage_so_far;
use crate::wire::message::{self, Request, end, meter};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A running command.
///
/// Dropping it kills everything inside and waits until it is gone; so does the caller's end,
/// however it comes. In a process forked by the caller, dropping it only closes its descriptors.
///
/// In a [`Cell`](crate::Cell) it is one command among others: what is said here of everything
/// inside is then said of this command and what it has started, and nothing is ended with it when
/// it ends by itself.
#[derive(Debug)]
pub struct Child {
    /// The write end of the command's standard input, if that was piped.
    pub stdin: Option<ChildStdin>,
    /// The read end of the command's standard output, if that was piped.
    pub stdout: Option<ChildStdout>,
    /// The read end of the command's standard error, if that was piped.
    pub stderr: Option<ChildStderr>,
    /// The other side of the command's terminal, if it has one
    /// ([`Stdio::pty`](crate::Stdio::pty)). Dropping it hangs up: the command gets SIGHUP.
    pub terminal: Option<Terminal>,
    /// Its first process.
    process: Watched,
    /// What its pipes were when they were made, in the order of the streams.
    pipes: [Option<Mark>; 3],
    inside_pid: u32,
    started: Instant,
    limits: Limits,
    wall_time: Option<Duration>,
    /// More was written than the caller collects: this much.
    overflow: Option<u64>,
    /// Where it runs: alone, or among others.
    alive: Arc<Alive>,
    /// That is a pool's, until this has ended.
    lease: Option<Box<dyn Lease>>,
    /// What it has to itself as one among others.
    among: Option<Among>,
    enforced: Enforced,
    listener: Option<Listener>,
    outcome: Option<Result<Outcome>>,
    /// The processor time at which the kernel itself ends a process.
    backstop: Option<Duration>,
    /// By when it must have ended.
    holder: Holder,
    /// By when all in its cell must have.
    cell: Option<Holder>,
}

/// What one command among others has to itself.
#[derive(Debug)]
pub(crate) struct Among {
    /// Over which it is spoken of.
    pub socket: Arc<Socket>,
    /// What its cell had counted before.
    pub before: Counters,
    pub visit: Visit,
    /// What holds it beyond what holds all.
    pub within: Enforcement,
}

fn mark(pipe: &Option<impl AsFd>) -> Option<Mark> {
    pipe.as_ref().and_then(Mark::of)
}

fn forget_if_lost<P: AsFd + IntoRawFd>(pipe: &mut Option<P>, mark: &Option<Mark>) {
    if let Some(lost) = pipe.take_if(|pipe| mark.as_ref().is_some_and(|mark| mark.is_lost(pipe))) {
        let _ = lost.into_raw_fd();
    }
}

impl Child {
    /// `None` if it is to run in a pool, and there is no place by the deadline.
    pub(crate) fn spawn(
        command: &Command,
        stdin: Stream,
        others: Stream,
        deadline: Option<Instant>,
    ) -> Result<Option<Child>> {
        let place = || command.ground.place(&command.sandbox, command.asked, deadline);
        let Some(prepared) = Prepared::new(command, stdin, others, Vec::new(), place)? else {
            return Ok(None);
        };
        prepared.run()?;
        prepared.started().map(Some)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "each is one part of a start, and there is one place that has them all"
    )]
    pub(crate) fn new(
        command: &Command,
        streams: Streams,
        (alive, lease, among): (Arc<Alive>, Option<Box<dyn Lease>>, Option<Among>),
        pidfd: OwnedFd,
        (pid, inside_pid): (u32, u32),
        (limits, enforced): (Limits, Enforced),
        (terminal, listener): (Option<Terminal>, Option<Listener>),
    ) -> Child {
        let Streams { stdin, stdout, stderr, .. } = streams;
        let started = Instant::now();
        let pipes = [mark(&stdin), mark(&stdout), mark(&stderr)];
        Child {
            stdin: stdin.map(|pipe| ChildStdin::from(OwnedFd::from(pipe))),
            stdout: stdout.map(|pipe| ChildStdout::from(OwnedFd::from(pipe))),
            stderr: stderr.map(|pipe| ChildStderr::from(OwnedFd::from(pipe))),
            terminal,
            process: Watched::new(pidfd, pid),
            pipes,
            inside_pid,
            started,
            backstop: limits.cpu_time.map(holder::backstop),
            holder: Holder::new(started, &limits),
            cell: among
                .as_ref()
                .map(|_| Holder::new(alive.started(), &alive.sandbox.policy().limits)),
            limits,
            wall_time: command.wall_time,
            overflow: None,
            alive,
            lease,
            among,
            enforced,
            listener,
            outcome: None,
        }
    }

    /// The command's process id, as the caller sees it. 0 if the caller's `/proc` does not tell.
    pub fn id(&self) -> u32 {
        self.process.pid()
    }

    /// The command's process id, as it sees itself.
    pub fn inside_id(&self) -> u32 {
        self.inside_pid
    }

    /// A descriptor of the command's first process: readable once that has ended (`pidfd_open(2)`),
    /// for `poll` and event loops. After that, `wait` and `try_wait` return promptly. Another
    /// one after a caller has closed it, as by `closefrom(3)`.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pollable()
    }

    /// Lets go of its pipes and terminal as far as the caller has closed them without a word: their
    /// numbers may be other files' by now.
    #[doc(hidden)]
    pub fn forget_lost(&mut self) {
        let [stdin, stdout, stderr] = &self.pipes;
        forget_if_lost(&mut self.stdin, stdin);
        forget_if_lost(&mut self.stdout, stdout);
        forget_if_lost(&mut self.stderr, stderr);
        self.terminal.take_if(|terminal| !terminal.is_intact());
    }

    /// Where the calls are heard that its filter leaves to the caller
    /// ([`Action::Notify`](crate::Action::Notify)); `None` if there are none, or if it has been
    /// taken. Somebody must listen: who makes such a call waits for the answer.
    pub fn take_listener(&mut self) -> Option<Listener> {
        self.listener.take()
    }

    /// What is enforced on it.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Waits for its end. The standard input, if piped, is closed first, so that a command that
    /// reads it to its end does end. When this returns, nothing of the sandbox is left; of a
    /// pool's, nothing that ran, and the pool's threads clear away the empty sandbox. Calling it
    /// again gives the same answer.
    pub fn wait(&mut self) -> Result<Outcome> {
        self.forget_lost();
        self.stdin = None;
        self.finish(None)?.ok_or_else(|| Error::new(ErrorKind::WardenLost, "wait for the command"))
    }

    /// Waits for its end for at most this long; `None` if it still runs. Does not close the
    /// standard input.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Outcome>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.finish(Some(deadline)),
            None => self.finish(None),
        }
    }

    /// When to ask again, for a caller that only polls: by then it must have ended by its limits on
    /// time, or by [`Child::kill`], and a [`Child::try_wait`] after that ends it if its warden
    /// has not. `None` if there is no such moment, or it has ended. A caller that
    /// waits ([`Child::wait`], [`Child::wait_timeout`]) need not ask.
    pub fn deadline(&self) -> Option<Instant> {
        if self.outcome.is_none() { self.next_look() } else { None }
    }

    /// Its end, if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<Outcome>> {
        let ended = |process: BorrowedFd<'_>| wait_readable(&[process], Some(Instant::now()));
        if self.outcome.is_none() && self.process.get().map(ended).transpose()?.flatten().is_some()
        {
            // The first process has ended: the warden's report is on its way.
            return self.finish(None);
        }
        self.finish(Some(Instant::now()))
    }

    /// Reads both pipes to their ends, or the terminal in place of a missing first one, at once, so
    /// that neither can fill up and block the command; then waits. Of each, as much as
    /// [`Sandbox::output`](crate::Sandbox::output) allows, or 64 MiB: who writes more is stopped,
    /// and the end is [`Ended::OutputLimit`](crate::Ended::OutputLimit).
    pub fn wait_with_output(mut self) -> Result<Output> {
        self.forget_lost();
        self.stdin = None;
        let [stdout, stderr] =
            capture::collect(std::slice::from_mut(&mut self))?.pop().unwrap_or_default();
        Ok(Output { outcome: self.wait()?, stdout, stderr })
    }

    /// The most bytes of one stream that the caller collects.
    pub(crate) fn bound(&self) -> u64 {
        self.limits.output.unwrap_or(capture::BOUND)
    }

    /// It has written more than this.
    pub(crate) fn overflow(&mut self, bound: u64) -> Result<()> {
        self.overflow = Some(bound);
        self.end(Ended::OutputLimit, end::OUTPUT)
    }

    /// Kills the command and everything that it started. The end is
    /// [`Ended::Killed`](crate::Ended::Killed), unless it came before. Does not wait. No error
    /// if it has ended already.
    ///
    /// If the warden does not do it within a second, the next call that waits does.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Ended::Killed, end::KILLED)
    }

    fn end(&mut self, ended: Ended, how: u32) -> Result<()> {
        if self.outcome.is_none() {
            self.holder.ask(ended);
        }
        match self.request(&Request::Kill { how }) {
            // A warden that reads nothing has no room for more: it is ended all the same.
            Err(error) if error.kind() == ErrorKind::HostLimit => Ok(()),
            result => result,
        }
    }

    /// Sends a signal to the command's first process, if it still runs.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid(format!("signal {signal}"), "must be 1 to 64"));
        }
        self.request(&Request::Signal { signal })
    }

    fn request(&self, request: &Request<'_>) -> Result<()> {
        match self.outcome {
            Some(_) => Ok(()),
            None => self.alive.ask(self.socket(), request, &[]),
        }
    }

    /// Whether its pipes may stay open when it has ended: in a [`Cell`](crate::Cell), by what it
    /// leaves behind, unless a limit on output has them pass through the warden. Who reads them
    /// to their ends had better look at [`Child::pidfd`] too.
    pub fn pipes_may_stay(&self) -> bool {
        self.is_among() && self.limits.output.is_none()
    }

    /// Whether it is one among others.
    fn is_among(&self) -> bool {
        self.among.is_some()
    }

    /// Over which it is spoken of, if not the control socket.
    fn socket(&self) -> Option<&Socket> {
        self.among.as_ref().map(|among| &*among.socket)
    }

    /// Every process inside, the warden first: its ids inside and outside, parent, command, user.
    /// Empty once it has ended.
    pub fn processes(&self) -> Result<Vec<Process>> {
        match &self.outcome {
            Some(_) => Ok(Vec::new()),
            None if self.is_among() => processes::below(i32::try_from(self.id()).unwrap_or(0)),
            None => self.alive.processes(),
        }
    }

    /// What it has used so far; what it used in all, once it has been waited for. What nobody can
    /// tell of a running one, such as the bytes of its streams, is absent, and without a cgroup
    /// the numbers are those of the processes that are there and of those they have waited for.
    pub fn usage(&mut self) -> Result<Usage> {
        match &self.outcome {
            Some(Ok(outcome)) => Ok(outcome.usage),
            Some(Err(error)) => Err(error.clone()),
            None => self.used_so_far(),
        }
    }

    fn used_so_far(&self) -> Result<Usage> {
        match &self.among {
            Some(among) => usage_so_far::of(
                &self.processes()?,
                None,
                self.started,
                &among.within.cgroup.counters(),
            ),
            None => usage_so_far::of(
                &self.processes()?,
                Some(self.alive.warden.pid()),
                self.started,
                &self.alive.counters(),
            ),
        }
    }

    // ---- files

    /// Copies a file or tree out of the running sandbox, from the absolute path `inside` to `to`,
    /// which must not exist yet: as [`Transfer::copy`], with the sandbox's root as the base. A
    /// privileged caller reads there what the sandbox's user may read, and no more. What runs may
    /// change it meanwhile: [`Child::freeze`] keeps it still.
    pub fn copy_out(
        &self,
        inside: impl AsRef<Path>,
        to: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.while_it_runs()?.copy_out(inside, to, transfer)
    }

    /// Copies a file or tree of the caller's into the running sandbox, to the absolute path
    /// `inside`, which must not exist yet, in a place that the command may write to: it is made
    /// with the rights of the sandbox's user. The copies are the command's own.
    pub fn copy_in(
        &self,
        from: impl AsRef<Path>,
        inside: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.while_it_runs()?.copy_in(from, inside, transfer)
    }

    fn while_it_runs(&self) -> Result<&Alive> {
        match self.outcome {
            Some(_) => {
                Err(Error::invalid("files of the sandbox", "it has ended, and they are gone"))
            }
            None => Ok(&self.alive),
        }
    }

    // ---- other limits than it was started with

    /// From now on, at most so many bytes of memory. The policy must set a limit, and it must be
    /// held. Less than is in use: the kernel takes back what it can, and then ends a process
    /// (v2), or the change is refused (v1).
    pub fn set_memory(&mut self, bytes: impl Into<u64>) -> Result<()> {
        let bytes = bytes.into();
        self.change(Limit::Memory, |limits| limits.memory = Some(bytes))
    }

    /// From now on, at most so many processors' worth of time; as for [`Child::set_memory`].
    pub fn set_cpus(&mut self, number: f64) -> Result<()> {
        self.change(Limit::Cpus, |limits| limits.cpus = Some(Cores(number)))
    }

    /// At most so much processor time, counted from the start; as for [`Child::set_memory`].
    ///
    /// At most 60 seconds more than it was started with: there the kernel itself ends each process
    /// (`RLIMIT_CPU`).
    pub fn set_cpu_time(&mut self, limit: Duration) -> Result<()> {
        if self.backstop.is_some_and(|backstop| limit > backstop) {
            return Err(Error::new(ErrorKind::LimitUnavailable, "change the limit cpu_time")
                .because("the kernel ends each process 60 seconds above the limit that it was started with")
                .hint("start with the larger limit, and lower it"));
        }
        self.change(Limit::CpuTime, |limits| limits.cpu_time = Some(limit))
    }

    /// From now on, at most so many processes and threads; as for [`Child::set_memory`]. Takes a
    /// cgroup. Those that are there stay.
    pub fn set_pids(&mut self, number: u64) -> Result<()> {
        self.change(Limit::Pids, |limits| limits.pids = Some(number))
    }

    fn change(&mut self, limit: Limit, change: impl FnOnce(&mut Limits)) -> Result<()> {
        if !self.limits.sets(limit) {
            let error = Error::invalid(
                format!("limit {limit}"),
                "the policy sets none, so there is none to change",
            )
            .hint(format!("set {limit} in the sandbox's policy: it can be changed from there"));
            let cells = self.is_among() && self.alive.sandbox.policy().limits.sets(limit);
            return Err(if cells {
                Error::invalid(format!("limit {limit}"), "it is the cell's").hint("change it there")
            } else {
                error
            });
        }
        let mut limits = self.limits.clone();
        change(&mut limits);
        limits.check()?;
        if self.outcome.is_some() {
            return Ok(());
        }
        let wardens = |enforcement: &Enforcement| -> Result<message::Limits> {
            enforcement.change(limit, &limits)?;
            Ok(enforcement.wardens(&limits, self.wall_time))
        };
        let told = match &self.among {
            Some(among) => wardens(&among.within),
            None => wardens(&self.alive.enforcement()),
        }?;
        self.limits = limits;
        self.holder.look_anew(&self.limits);
        self.request(&Request::Limit { limits: told, meter: meter::NONE })
    }

    // ---- standing still

    /// Stops everything inside, until [`Child::thaw`]; by what. The wall time goes on. No error if
    /// it stands still or has ended already.
    pub fn freeze(&mut self) -> Result<Freezer> {
        match self.socket() {
            _ if self.outcome.is_some() => Ok(Freezer::Signal),
            Some(socket) => self.alive.stop(Some(socket), || self.processes()),
            None => self.alive.freeze(),
        }
    }

    /// Lets everything inside go on. No error if it does already.
    pub fn thaw(&mut self) -> Result<()> {
        if self.outcome.is_some() || !self.is_among() {
            return if self.outcome.is_some() { Ok(()) } else { self.alive.thaw() };
        }
        self.request(&Request::Stop { on: false })
    }
}
