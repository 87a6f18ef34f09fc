//! A running command: started, watched, waited for, ended.

use crate::command::{Command, Output, Stdio, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::failure;
use crate::idmap::{self, Mapping};
use crate::launch::{Launched, launch};
use crate::outcome::{Ended, Enforced, Outcome};
use crate::plan::Plan;
use crate::policy::{Policy, Resource};
use crate::processes::{self, Process};
use crate::profile;
use crate::socket::{self, Socket, wait_readable};
use crate::wire::codec::ListBuilder;
use crate::wire::message::{Report, Request, Rlimit, VERSION, run};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::fs::OpenOptions;
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

/// The number of a one-shot sandbox's only command.
const ONLY: u32 = 0;

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
                let Some(pidfd) = received.descriptor else {
                    return Err(Error::new(ErrorKind::WardenLost, "start the command").because("its descriptor did not arrive").hint(failure::DESCRIPTORS_HINT));
                };
                let outside = processes::pid_of(&pidfd).unwrap_or(0);
                let Streams { stdin, stdout, stderr, .. } = streams;
                Ok(Child {
                    stdin: stdin.map(|pipe| ChildStdin::from(OwnedFd::from(pipe))),
                    stdout: stdout.map(|pipe| ChildStdout::from(OwnedFd::from(pipe))),
                    stderr: stderr.map(|pipe| ChildStderr::from(OwnedFd::from(pipe))),
                    pidfd,
                    pid: outside,
                    inside_pid: pid.unsigned_abs(),
                    warden,
                    enforced: Enforced::new(policy.flags(), protections),
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
            None => match self.warden.socket.send(request, &[]) {
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
        let list = processes::below(self.warden.pid)?;
        // The warden's number means the warden only while it has not been reaped, by us or by the caller's own loop.
        let alive = wait_readable(&[self.warden.pidfd.as_fd()], Some(Instant::now()))?.is_none();
        Ok(if alive { list } else { Vec::new() })
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

// ---- the warden as a process ---------------------------------------------------------------------------------------

/// The process that is PID 1 inside, and the socket to it.
#[derive(Debug)]
struct Warden {
    socket: Socket,
    pidfd: OwnedFd,
    pid: i32,
    /// Who started it: a process forked from that one must not end it.
    owner: u32,
    by_namespace: bool,
}

impl Warden {
    /// Starts one, and has it set up the sandbox and, if given, run a command.
    fn start(command: &Command, plan: &Plan, first: Option<(&Request<'_>, &[BorrowedFd<'_>])>) -> Result<Warden> {
        let policy = command.sandbox.policy();
        let image = command.sandbox.compiled().image(policy)?;
        let (ours, theirs) = socket::pair()?;
        let caller = crate::sys::pidfd_open(std::process::id()).map_err(|error| Error::io("open a descriptor of the caller", error))?;
        let (outside_uid, outside_gid) = idmap::callers();
        let setup = Request::Setup { version: VERSION, namespaces: policy.flags(), outside_uid, outside_gid, classic_mounts: policy.classic_mounts, plan: plan.steps.list() };
        // What fits is sent before there is anybody to read it: nobody waits for anybody then. A map must come in between.
        ours.send(&setup, &[caller.as_fd()])?;
        let at_once = plan.mapping != Mapping::Range;
        if let (true, Some((request, descriptors))) = (at_once, first) {
            ours.send(request, descriptors)?;
        }
        let Launched { pidfd, pid } = launch(&image, plan.flags, theirs.as_fd()).map_err(|error| failure::of_launch(error, &image, policy))?;
        drop(theirs);
        let by_namespace = plan.flags & crate::wire::plan::namespace::PID != 0;
        let mut warden = Warden { socket: ours, pidfd, pid, owner: std::process::id(), by_namespace };
        if image.makes_namespaces() {
            warden.meet_founded(policy)?;
        }
        if !at_once {
            Mapping::write(policy, warden.pid)?;
            warden.socket.send(&Request::IdsMapped {}, &[])?;
            if let Some((request, descriptors)) = first {
                warden.socket.send(request, descriptors)?;
            }
        }
        Ok(warden)
    }

    /// A warden at an installed path has made the namespaces and a process in them: that one is ours from now on.
    fn meet_founded(&mut self, policy: &Policy) -> Result<()> {
        let received = self.receive(None)?.ok_or_else(|| Error::new(ErrorKind::WardenLost, "make the namespaces"))?;
        let (errno, pid) = match received.report()? {
            Report::Born { errno, pid } => (errno, pid),
            _ => (libc::EPROTO, 0),
        };
        match (errno, received.descriptor) {
            (0, Some(pidfd)) => {
                let founder = std::mem::replace(&mut self.pidfd, pidfd);
                self.pid = pid;
                reap(&founder);
                Ok(())
            }
            (0 | libc::EPROTO, _) => {
                Err(Error::new(ErrorKind::WardenLost, "make the namespaces").because("the installed warden speaks another language").hint("install the one of this version"))
            }
            (errno, _) => Err(failure::of_clone(errno, policy)),
        }
    }

    fn receive(&self, deadline: Option<Instant>) -> Result<Option<socket::Received>> {
        self.socket.receive(self.pidfd.as_fd(), deadline)
    }

    /// Waits until it is gone, and everything inside with it.
    fn end(&self) {
        reap(&self.pidfd);
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        if std::process::id() != self.owner {
            return;
        }
        if self.by_namespace {
            let _ = crate::sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        } else {
            // Without a namespace of its own it must end what is inside before it ends.
            let _ = self.socket.send(&Request::Kill { id: ONLY }, &[]);
            self.socket.hang_up();
        }
        reap(&self.pidfd);
    }
}

/// Waits for a child's end and takes its status. A caller that ignores SIGCHLD, or reaps everything, leaves none to take.
pub(crate) fn reap(pidfd: &OwnedFd) {
    while let Err(nix::errno::Errno::EINTR) = waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::__WALL) {}
}

// ---- streams -------------------------------------------------------------------------------------------------------

/// The command's ends of its standard streams, and ours.
struct Streams {
    inside: [OwnedFd; 3],
    stdin: Option<PipeWriter>,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
}

impl Streams {
    fn new(command: &Command, stdin: Stream, others: Stream) -> Result<Streams> {
        let failed = |error| match error {
            error if std::io::Error::raw_os_error(&error).is_some_and(|errno| errno == libc::EMFILE || errno == libc::ENFILE) => {
                failure::descriptors(Error::io("make a pipe", error))
            }
            error => Error::io("make a pipe", error),
        };
        let or = |given: &'_ Option<Stdio>, default: &Stream| -> Result<Chosen> {
            match given.as_ref().map_or(default, |stdio| &stdio.0) {
                Stream::Inherit => Ok(Chosen::Inherit),
                Stream::Null => Ok(Chosen::Null),
                Stream::Piped => Ok(Chosen::Piped),
                Stream::Descriptor(fd) => fd.try_clone().map(Chosen::Descriptor).map_err(|error| Error::io("copy a descriptor", error)),
            }
        };
        let (mut our_stdin, mut ours) = (None, [None, None]);
        let input = match or(&command.stdin, &stdin)? {
            Chosen::Piped => {
                let (reader, writer) = std::io::pipe().map_err(failed)?;
                our_stdin = Some(writer);
                reader.into()
            }
            chosen => chosen.open(0)?,
        };
        let mut output = |given, number: i32| -> Result<OwnedFd> {
            match or(given, &others)? {
                Chosen::Piped => {
                    let (reader, writer) = std::io::pipe().map_err(failed)?;
                    ours[number as usize - 1] = Some(reader);
                    Ok(writer.into())
                }
                chosen => chosen.open(number),
            }
        };
        let inside = [input, output(&command.stdout, 1)?, output(&command.stderr, 2)?];
        let [stdout, stderr] = ours;
        Ok(Streams { inside, stdin: our_stdin, stdout, stderr })
    }
}

enum Chosen {
    Inherit,
    Null,
    Piped,
    Descriptor(OwnedFd),
}

impl Chosen {
    fn open(self, number: i32) -> Result<OwnedFd> {
        match self {
            Chosen::Descriptor(fd) => Ok(fd),
            Chosen::Null | Chosen::Piped => {
                let null = OpenOptions::new().read(true).write(true).open("/dev/null");
                null.map(OwnedFd::from).map_err(|error| Error::io("open /dev/null", error))
            }
            Chosen::Inherit => {
                let stream = crate::sys::borrow(number);
                fcntl(stream, FcntlArg::F_DUPFD_CLOEXEC(3)).map(socket::own).map_err(|errno| match errno {
                    nix::errno::Errno::EBADF => Error::invalid(format!("descriptor {number}"), "inherited, but closed in the caller").hint("give the command another stream, or none"),
                    errno => socket::failed("copy a descriptor", errno),
                })
            }
        }
    }
}

/// Reads two pipes to their ends, whichever has something first.
fn read_both(first: Option<ChildStdout>, into_first: &mut Vec<u8>, second: Option<ChildStderr>, into_second: &mut Vec<u8>) -> Result<()> {
    let (mut first, mut second) = (first.map(OwnedFd::from).map(std::fs::File::from), second.map(OwnedFd::from).map(std::fs::File::from));
    let read = |pipe: &mut Option<std::fs::File>, into: &mut Vec<u8>| -> Result<()> {
        let mut piece = [0; 64 << 10];
        let Some(file) = pipe else { return Ok(()) };
        match file.read(&mut piece) {
            Ok(0) => *pipe = None,
            Ok(length) => into.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read what the command writes", error)),
        }
        Ok(())
    };
    loop {
        let ready = match (&first, &second) {
            (Some(one), Some(two)) => wait_readable(&[one.as_fd(), two.as_fd()], None)?.unwrap_or([true, true]),
            (one, two) => [one.is_some(), two.is_some()],
        };
        if ready == [false, false] {
            return Ok(());
        }
        if ready[0] {
            read(&mut first, into_first)?;
        }
        if ready[1] {
            read(&mut second, into_second)?;
        }
    }
}

/// The policy's limits over the profile's.
fn rlimits(policy: &Policy) -> ListBuilder<Vec<u8>> {
    let mut list = ListBuilder::new(Vec::new());
    let default = profile::RLIMITS.iter().filter(|(resource, _, _)| !policy.rlimits.contains_key(resource)).copied();
    let given = policy.rlimits.iter().map(|(resource, (soft, hard))| (*resource, *soft, *hard));
    for (resource, soft, hard) in default.chain(given) {
        list.push(&Rlimit { resource: Resource::number(resource), soft, hard });
    }
    list
}
