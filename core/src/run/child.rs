//! A running command: watched, limited, frozen, waited for, killed.

mod collect;
mod control;
mod files;
mod finish;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Mark;
use crate::base::processes::Process;
use crate::base::watched::Watched;
use crate::host::listener::Listener;
use crate::host::socket::wait_readable;
use crate::host::terminal::Terminal;
use crate::policy::Limits;
use crate::policy::outcome::EgressReport;
use crate::policy::outcome::{Ended, Enforced, Outcome, Usage};
use crate::run::alive::Alive;
use crate::run::capture;
use crate::run::collect::held::HeldFiles;
use crate::run::command::{Command, Output, Stream};
use crate::run::ground::Lease;
use crate::run::ports::PublishedPort;
use crate::run::start::Prepared;
use crate::run::streams::Streams;
use crate::run::tenancy::Tenancy;
use crate::run::watchdog::{self, Watchdog};
use crate::wire::message::{Request, end};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A running command.
///
/// Dropping it kills everything in the sandbox and waits until it is gone. The end of the calling
/// process has the same effect, however it comes. In a process that the caller has forked, dropping
/// it only closes its descriptors.
///
/// In a [`Cell`](crate::Cell) several commands share one sandbox. Where this page says "everything
/// in the sandbox", it then means this command and the processes that it has started. When such a
/// command ends by itself, the processes that it has started stay.
#[derive(Debug)]
pub struct Child {
    /// The write end of the command's standard input, if that is a pipe of this library.
    pub stdin: Option<ChildStdin>,
    /// The read end of the command's standard output, if that is a pipe of this library.
    pub stdout: Option<ChildStdout>,
    /// The read end of the command's standard error, if that is a pipe of this library.
    pub stderr: Option<ChildStderr>,
    /// The other side of the command's terminal, if it has one
    /// ([`Stdio::pty`](crate::Stdio::pty)). Dropping it hangs up: the command gets SIGHUP.
    pub terminal: Option<Terminal>,
    /// The command's first process.
    process: Watched,
    /// The identity of each pipe when it was made, in the order of the streams.
    pipes: [Option<Mark>; 3],
    inside_pid: u32,
    started: Instant,
    limits: Limits,
    wall_time: Option<Duration>,
    /// The bound that the command exceeded by writing more than the caller collects.
    overflow: Option<u64>,
    alive: Arc<Alive>,
    /// Present until the command has ended, if the sandbox is a pool's. Until its files have been
    /// collected, if the next command would find them.
    lease: Option<Box<dyn Lease>>,
    /// Present until the files have been collected, if that was asked for.
    files: Option<HeldFiles>,
    tenancy: Tenancy,
    enforced: Enforced,
    listener: Option<Listener>,
    outcome: Option<Result<Outcome>>,
    /// The processor time at which the kernel kills a single process (`RLIMIT_CPU`).
    kernel_cpu_limit: Option<Duration>,
    /// Enforces the command's time limits if the warden does not.
    watchdog: Watchdog,
}

/// What is known of a command that has just started.
pub(crate) struct StartedChild {
    pub wall_time: Option<Duration>,
    pub streams: Streams,
    pub alive: Arc<Alive>,
    pub lease: Option<Box<dyn Lease>>,
    pub files: Option<HeldFiles>,
    pub tenancy: Tenancy,
    pub pidfd: OwnedFd,
    /// 0 if the caller's `/proc` does not tell.
    pub outside_pid: u32,
    pub inside_pid: u32,
    pub limits: Limits,
    pub enforced: Enforced,
    pub terminal: Option<Terminal>,
    pub listener: Option<Listener>,
}

fn mark(pipe: &Option<impl AsFd>) -> Option<Mark> {
    pipe.as_ref().and_then(Mark::of)
}

/// Gives up a pipe that the caller has closed, without closing its descriptor number again.
fn forget_if_lost<P: AsFd + IntoRawFd>(pipe: &mut Option<P>, mark: &Option<Mark>) {
    if let Some(lost) = pipe.take_if(|pipe| mark.as_ref().is_some_and(|mark| mark.is_lost(pipe))) {
        let _ = lost.into_raw_fd();
    }
}

impl Child {
    /// Starts a command. `None` if its pool has no place for it by the deadline.
    pub(crate) fn spawn(
        command: &Command,
        stdin: Stream,
        others: Stream,
        deadline: Option<Instant>,
    ) -> Result<Option<Child>> {
        let place = || command.ground.place(command, deadline);
        let Some(mut prepared) = Prepared::new(command, stdin, others, Vec::new(), place)? else {
            return Ok(None);
        };
        prepared.complete()?;
        prepared.run()?;
        prepared.started().map(Some)
    }

    pub(crate) fn new(started: StartedChild) -> Child {
        let StartedChild { streams, limits, .. } = started;
        let Streams { stdin, stdout, stderr, .. } = streams;
        let now = Instant::now();
        let pipes = [mark(&stdin), mark(&stdout), mark(&stderr)];
        Child {
            stdin: stdin.map(|pipe| ChildStdin::from(OwnedFd::from(pipe))),
            stdout: stdout.map(|pipe| ChildStdout::from(OwnedFd::from(pipe))),
            stderr: stderr.map(|pipe| ChildStderr::from(OwnedFd::from(pipe))),
            terminal: started.terminal,
            process: Watched::new(started.pidfd, started.outside_pid),
            pipes,
            inside_pid: started.inside_pid,
            started: now,
            kernel_cpu_limit: limits.cpu_time.map(watchdog::kernel_cpu_limit),
            watchdog: Watchdog::new(now, &limits),
            limits,
            wall_time: started.wall_time,
            overflow: None,
            alive: started.alive,
            lease: started.lease,
            files: started.files,
            tenancy: started.tenancy,
            enforced: started.enforced,
            listener: started.listener,
            outcome: None,
        }
    }

    /// The addresses in the private network that the command is a member of, IPv4 first. Empty
    /// without a network, and once the outcome is known.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.alive.addresses()
    }

    /// The ports that are published on the host ([`Sandbox::ports`](crate::Sandbox::ports)), in the
    /// order of the policy. Empty once the outcome is known.
    pub fn ports(&self) -> Vec<PublishedPort> {
        self.alive.ports()
    }

    /// What the command has reached outside by the rules of its policy
    /// ([`Sandbox::egress`](crate::Sandbox::egress)), and what it has tried in vain. In a cell:
    /// what all commands have.
    pub fn egress(&self) -> EgressReport {
        self.alive.egress()
    }

    /// Waits until a TCP socket listens on `port` in the command's network. Returns whether one
    /// does: `false` if the command has ended or `timeout` is over. Makes no connection.
    ///
    /// In a network that the command shares, another program may be the one that listens.
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// use std::time::Duration;
    /// let mut server = seclude::Sandbox::new()
    ///     .command("python3")
    ///     .args(["-m", "http.server", "8000"])
    /// #   .stdout(seclude::Stdio::null()).stderr(seclude::Stdio::null())
    ///     .spawn()?;
    /// assert!(server.wait_ready(8000, Duration::from_secs(60))?);
    /// # server.kill()
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error if `/proc` cannot be read.
    pub fn wait_ready(&self, port: u16, timeout: Duration) -> Result<bool> {
        self.alive.wait_ready(self.process.get(), port, timeout)
    }

    /// Returns the command's process id in the caller's pid namespace, or 0 if the caller's `/proc`
    /// does not show it.
    pub fn id(&self) -> u32 {
        self.process.pid()
    }

    /// Returns the command's process id in its own pid namespace.
    pub fn inside_id(&self) -> u32 {
        self.inside_pid
    }

    /// Returns a pidfd of the command's first process, for `poll` and event loops
    /// (`pidfd_open(2)`).
    ///
    /// It becomes readable once that process has ended. After that, `wait` and `try_wait` return
    /// promptly. If the caller has closed the descriptor, as by `closefrom(3)`, this returns a new
    /// one.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pollable()
    }

    /// Gives up each pipe and terminal that the caller has closed behind this library's back. The
    /// descriptor number may be another file's by now, and must not be closed here.
    #[doc(hidden)]
    pub fn forget_lost(&mut self) {
        let [stdin, stdout, stderr] = &self.pipes;
        forget_if_lost(&mut self.stdin, stdin);
        forget_if_lost(&mut self.stdout, stdout);
        forget_if_lost(&mut self.stderr, stderr);
        self.terminal.take_if(|terminal| !terminal.is_intact());
    }

    /// Takes the listener for the system calls that the command's filter leaves to the caller
    /// ([`Action::Notify`](crate::Action::Notify)). `None` if the filter has no such rule, or if
    /// the listener has been taken before.
    ///
    /// The caller must serve it: a process that makes such a call blocks until it is answered.
    pub fn take_listener(&mut self) -> Option<Listener> {
        self.listener.take()
    }

    /// Returns which protections and limits are active for the command.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Waits for the command's end.
    ///
    /// If the standard input is piped, it is closed first, so that a command that reads until
    /// end-of-file ends. When this returns, nothing of the sandbox is left, except for files that
    /// are [to be collected](Child::collect). In a
    /// [`Pool`](crate::Pool), no process of the command is left, and the pool's threads remove the
    /// empty sandbox. Further calls return the same outcome.
    ///
    /// # Errors
    ///
    /// How the command ends is no error, not even [`Ended::WardenLost`](crate::Ended::WardenLost).
    /// Errors come from the caller's side: its descriptor of the warden was closed, `poll` failed,
    /// or the warden's report is malformed.
    pub fn wait(&mut self) -> Result<Outcome> {
        self.forget_lost();
        self.stdin = None;
        self.finish(None)?.ok_or_else(|| Error::new(ErrorKind::WardenLost, "wait for the command"))
    }

    /// Waits at most `timeout` for the command's end. Returns `None` if the command still runs.
    /// Leaves the standard input open.
    ///
    /// # Errors
    ///
    /// The same as for [`Child::wait`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Outcome>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.finish(Some(deadline)),
            None => self.finish(None),
        }
    }

    /// Returns when to call [`Child::try_wait`] next, for a caller that only polls.
    ///
    /// By this moment the command must have ended by a time limit or by [`Child::kill`]. If the
    /// warden has not ended it, a [`Child::try_wait`] after this moment does. `None` if there is no
    /// such moment, or if the command has ended. A caller of [`Child::wait`] or
    /// [`Child::wait_timeout`] need not call this.
    pub fn deadline(&self) -> Option<Instant> {
        if self.outcome.is_none() { self.next_check() } else { None }
    }

    /// Returns the outcome if the command has ended, or `None` if it still runs. Does not block
    /// while the command runs.
    ///
    /// # Errors
    ///
    /// The same as for [`Child::wait`].
    pub fn try_wait(&mut self) -> Result<Option<Outcome>> {
        let ended = |process: BorrowedFd<'_>| wait_readable(&[process], Some(Instant::now()));
        if self.outcome.is_none() && self.process.get().map(ended).transpose()?.flatten().is_some()
        {
            // The first process has ended: the warden's report is on its way.
            return self.finish(None);
        }
        self.finish(Some(Instant::now()))
    }

    /// Collects what the command writes to its pipes, then waits for its end.
    ///
    /// Both pipes are read at the same time, so that neither can fill up and block the command. If
    /// the standard output is no pipe, the terminal is read in its place. Each stream is collected
    /// up to [`Sandbox::output`](crate::Sandbox::output) bytes, or 64 MiB. A command that writes
    /// more is stopped, and ends as [`Ended::OutputLimit`](crate::Ended::OutputLimit).
    ///
    /// # Errors
    ///
    /// Those of [`Child::wait`], and those of reading a pipe. An error of collecting the files is
    /// [`Collected::error`](crate::Collected::error).
    pub fn wait_with_output(mut self) -> Result<Output> {
        self.forget_lost();
        self.stdin = None;
        let [stdout, stderr] =
            capture::collect(std::slice::from_mut(&mut self))?.pop().unwrap_or_default();
        let outcome = self.wait()?;
        Ok(Output { outcome, stdout, stderr, files: self.collect_if_asked()? })
    }

    /// The most bytes of one stream that the caller collects.
    pub(crate) fn bound(&self) -> u64 {
        self.limits.output.unwrap_or(capture::BOUND)
    }

    /// Ends the command because it has written more than `bound` bytes to one stream.
    pub(crate) fn overflow(&mut self, bound: u64) -> Result<()> {
        self.overflow = Some(bound);
        self.end(Ended::OutputLimit, end::OUTPUT)
    }

    /// Kills everything in the sandbox, without waiting for its end.
    ///
    /// The command ends as [`Ended::Killed`](crate::Ended::Killed), unless it has ended before. If
    /// the warden does not kill it within a second, the next call that waits does.
    ///
    /// # Errors
    ///
    /// If the request cannot be sent to the warden. A command that has ended is no error.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Ended::Killed, end::KILLED)
    }

    fn end(&mut self, ended: Ended, how: u32) -> Result<()> {
        if self.outcome.is_none() {
            self.watchdog.ask(ended);
        }
        match self.request(&Request::Kill { how }) {
            // A warden that has been stopped reads nothing, and its socket fills up. The watchdog
            // ends the command then.
            Err(error) if error.kind() == ErrorKind::HostLimit => Ok(()),
            result => result,
        }
    }

    /// Sends a signal to the command's first process. Does nothing if the command has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] unless `signal` is 1 to 64. Other kinds if the request cannot be sent
    /// to the warden.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid(format!("signal {signal}"), "must be 1 to 64"));
        }
        self.request(&Request::Signal { signal })
    }

    fn request(&self, request: &Request<'_>) -> Result<()> {
        match self.outcome {
            Some(_) => Ok(()),
            None => self.alive.ask(self.tenancy.socket(), request, &[]),
        }
    }

    /// Returns whether the pipes may stay open after the command's end.
    ///
    /// In a [`Cell`](crate::Cell), processes that the command has left behind can keep them open.
    /// With a limit on output they cannot, because the pipes then pass through the warden. A caller
    /// that reads the pipes until end-of-file should watch [`Child::pidfd`] too.
    pub fn pipes_may_stay(&self) -> bool {
        self.tenancy.may_leave_processes() && self.limits.output.is_none()
    }

    /// Returns every process in the sandbox, the warden first: its ids inside and outside, parent,
    /// command and user. Empty once the command has ended.
    ///
    /// # Errors
    ///
    /// If the caller's `/proc` cannot be read.
    pub fn processes(&self) -> Result<Vec<Process>> {
        match &self.outcome {
            Some(_) => Ok(Vec::new()),
            None => self.tenancy.processes(&self.alive, self.id()),
        }
    }

    /// Returns what the command has used so far, or in total once it has been waited for.
    ///
    /// While the command runs, values that only the warden knows are absent, such as the bytes of
    /// its streams. Without a cgroup the values are sums over the processes that are present and
    /// over those that they have waited for.
    ///
    /// # Errors
    ///
    /// If the caller's `/proc` cannot be read, or the error that [`Child::wait`] has returned.
    pub fn usage(&mut self) -> Result<Usage> {
        match &self.outcome {
            Some(Ok(outcome)) => Ok(outcome.usage),
            Some(Err(error)) => Err(error.clone()),
            None => self.current_usage(),
        }
    }

    fn current_usage(&self) -> Result<Usage> {
        self.tenancy.usage(&self.alive, self.id(), self.started)
    }
}
