//! A command: what to run in a sandbox, with `std::process::Command`'s names.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::host::terminal::WindowSize;
use crate::policy::outcome::Outcome;
use crate::policy::profile;
use crate::policy::{Share, check_inside};
use crate::run::child::Child;
use crate::run::ground::Ground;
use crate::run::sandbox::Sandbox;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What one of a command's standard streams is connected to.
#[derive(Debug)]
pub struct Stdio(pub(crate) Stream);

#[derive(Debug)]
pub(crate) enum Stream {
    Inherit,
    Null,
    Piped,
    Terminal,
    Descriptor(Kept),
    /// One end of a pipe that this library made for this command alone.
    OwnPipe(Kept),
}

impl Stdio {
    /// The caller's own stream of that number; `/dev/null` if the caller has closed it, or has it
    /// closed on `execve(2)`, as a daemon may.
    pub fn inherit() -> Stdio {
        Stdio(Stream::Inherit)
    }
    /// `/dev/null`.
    pub fn null() -> Stdio {
        Stdio(Stream::Null)
    }
    /// A pipe, whose other end the [`Child`] holds.
    pub fn piped() -> Stdio {
        Stdio(Stream::Piped)
    }
    /// A pseudo-terminal that is the sandbox's own and controls the command's session; one for all
    /// the streams that say so. Its other side is [`Child::terminal`]. Takes
    /// [`Sandbox::terminals`].
    pub fn pty() -> Stdio {
        Stdio(Stream::Terminal)
    }
    /// One end of a pipe that was made for this command alone, as [`Stdio::piped`] makes it: for a
    /// face of this library in another language, which makes its own pipes.
    #[doc(hidden)]
    pub fn own_pipe(end: OwnedFd) -> Stdio {
        Stdio(Stream::OwnPipe(end.into()))
    }
}

impl From<OwnedFd> for Stdio {
    /// A descriptor of the caller's. A privileged caller's pipe stays its owner's: the command uses
    /// it, but cannot open it anew by a name such as `/dev/stdout`.
    fn from(fd: OwnedFd) -> Stdio {
        Stdio(Stream::Descriptor(fd.into()))
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        Stdio::from(OwnedFd::from(file))
    }
}

/// What to run in a sandbox: program, arguments, environment, directory, standard streams, further
/// descriptors.
///
/// One command can be started many times; a descriptor given with `From<OwnedFd>` or
/// [`Command::fd`] is kept open for that.
#[derive(Debug)]
pub struct Command {
    pub(crate) sandbox: Sandbox,
    pub(crate) ground: Ground,
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: BTreeMap<OsString, OsString>,
    pub(crate) directory: PathBuf,
    pub(crate) stdin: Option<Stdio>,
    pub(crate) stdout: Option<Stdio>,
    pub(crate) stderr: Option<Stdio>,
    pub(crate) descriptors: Vec<(i32, Kept)>,
    pub(crate) wall_time: Option<Duration>,
    /// Bit n-1 for signal n.
    pub(crate) ignored: u64,
    /// The first signal given to ignore that cannot be.
    wrong_signal: Option<i32>,
    pub(crate) share: Share,
    pub(crate) window_size: WindowSize,
    /// Since when it has been refused a place in its pool.
    pub(crate) asked: Option<Instant>,
}

/// What a finished command wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended, what it used, what was enforced.
    pub outcome: Outcome,
    /// What it wrote to its standard output, if that was piped; to its terminal, if it had one and
    /// its standard output was no pipe.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error, if that was piped.
    pub stderr: Vec<u8>,
}

impl Sandbox {
    /// A command to run in it. A `program` without a slash is looked for in PATH inside the
    /// sandbox.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.clone(), Ground::Own, program.as_ref())
    }
}

impl Command {
    pub(crate) fn new(sandbox: Sandbox, ground: Ground, program: &OsStr) -> Command {
        let mut environment: BTreeMap<OsString, OsString> =
            profile::ENVIRONMENT.iter().map(|(name, value)| (name.into(), value.into())).collect();
        environment.insert("HOME".into(), sandbox.policy().home.clone().into());
        let wall_time = sandbox.policy().limits.wall_time;
        Command {
            sandbox,
            ground,
            program: program.into(),
            arguments: vec![program.into()],
            environment,
            directory: "/".into(),
            stdin: None,
            stdout: None,
            stderr: None,
            descriptors: Vec::new(),
            wall_time,
            ignored: 0,
            wrong_signal: None,
            share: Share::default(),
            window_size: WindowSize::default(),
            asked: None,
        }
    }

    /// Appends an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Command {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Appends arguments.
    pub fn args<A: AsRef<OsStr>>(
        &mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> &mut Command {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().into()));
        self
    }

    /// What the program sees as its own name, instead of the name it is started by.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.arguments[0] = name.as_ref().into();
        self
    }

    /// Sets an environment variable. At first there are PATH, HOME, LANG and TMPDIR, and nothing of
    /// the caller's.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.environment.insert(name.as_ref().into(), value.as_ref().into());
        self
    }

    /// Sets environment variables.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Command {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.environment.remove(name.as_ref());
        self
    }

    /// Removes every environment variable. A program without a slash is then looked for in the
    /// default PATH.
    pub fn env_clear(&mut self) -> &mut Command {
        self.environment.clear();
        self
    }

    /// The working directory, an absolute path inside, on which no link of `/proc` to an open file
    /// is followed. `/` if nothing is said.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.directory = directory.as_ref().into();
        self
    }

    /// The standard input: inherited for `spawn` and `status`, `/dev/null` for `output`, if nothing
    /// is said.
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.stdin = Some(stream.into());
        self
    }

    /// The standard output: inherited for `spawn` and `status`, piped for `output`, if nothing is
    /// said.
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.stdout = Some(stream.into());
        self
    }

    /// The standard error: as for the standard output.
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.stderr = Some(stream.into());
        self
    }

    /// Gives the command a descriptor of the caller's under the number `target`, 3 or higher. Order
    /// and collisions with the caller's own numbers do not matter. At most 249 descriptors.
    pub fn fd(&mut self, target: i32, fd: impl Into<OwnedFd>) -> &mut Command {
        self.descriptors.push((target, fd.into().into()));
        self
    }

    /// Starts it with this signal ignored (`signal(7)`), as `nohup` does with SIGHUP: programs that
    /// set no action of their own, and what they start, ignore it too. If nothing is said no
    /// signal is, whatever the caller ignores. Not SIGKILL or SIGSTOP.
    pub fn ignore_signal(&mut self, signal: i32) -> &mut Command {
        if matches!(signal, 1..=64) && !matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            self.ignored |= 1 << (signal - 1);
        } else {
            self.wrong_signal = self.wrong_signal.or(Some(signal));
        }
        self
    }

    /// How long this command may take, instead of what the sandbox says.
    pub fn wall_time(&mut self, limit: Duration) -> &mut Command {
        self.wall_time = Some(limit);
        self
    }

    /// At most so many bytes of memory for this command and what it starts. The sandbox must set
    /// [`Sandbox::memory`], which bounds all its commands together; of both, the tighter holds.
    /// In a [`Cell`](crate::Cell) the kernel holds it in a cgroup of the command's own if it so holds the cell's
    /// limit; else it is [sampled](crate::Mechanism::Sampled). What the command leaves behind
    /// in a cell stays in its cgroup.
    pub fn memory(&mut self, bytes: impl Into<u64>) -> &mut Command {
        self.share.memory = Some(bytes.into());
        self
    }

    /// At most so much processor time for this command and what it starts: as for
    /// [`Command::memory`].
    pub fn cpu_time(&mut self, limit: Duration) -> &mut Command {
        self.share.cpu_time = Some(limit);
        self
    }

    /// At most so many processes and threads for this command and what it starts: as for
    /// [`Command::memory`].
    pub fn pids(&mut self, number: u64) -> &mut Command {
        self.share.pids = Some(number);
        self
    }

    /// The size of its terminal's window at first, if it has one ([`Stdio::pty`]): 24 rows of 80
    /// columns if nothing is said.
    pub fn window_size(&mut self, size: WindowSize) -> &mut Command {
        self.window_size = size;
        self
    }

    /// Starts it. When this returns, the program runs; a program that cannot be executed is an
    /// error here.
    ///
    /// In a [`Pool`](crate::Pool) this waits for a place, as long as that takes.
    pub fn spawn(&mut self) -> Result<Child> {
        self.start(Stream::Inherit, Stream::Inherit, None)?.ok_or_else(never_refused)
    }

    /// Starts it without waiting for a place in its [`Pool`](crate::Pool): `None` if there is none now, or if no
    /// sandbox is ready. Nothing has been started then; [`Pool::fd`](crate::Pool::fd) becomes readable when there is
    /// reason to try again.
    ///
    /// A command that runs elsewhere needs no place, and is started as by [`Command::spawn`].
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// # use seclude::{Sandbox, Stdio};
    /// let pool = Sandbox::new().pool(1)?;
    /// let mut first = pool.command("cat").stdin(Stdio::piped()).spawn()?;
    /// assert!(pool.command("true").try_spawn()?.is_none());
    /// first.wait()?;
    /// assert!(pool.command("true").spawn()?.wait()?.success());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_spawn(&mut self) -> Result<Option<Child>> {
        self.start(Stream::Inherit, Stream::Inherit, Some(Instant::now()))
    }

    /// Starts it, and waits for a place in its [`Pool`](crate::Pool) for at most this long: `None` if there was
    /// none. The time is not the command's: what it may take once it runs is its
    /// [`Command::wall_time`].
    pub fn spawn_timeout(&mut self, timeout: Duration) -> Result<Option<Child>> {
        self.start(Stream::Inherit, Stream::Inherit, Instant::now().checked_add(timeout))
    }

    fn start(
        &mut self,
        stdin: Stream,
        others: Stream,
        deadline: Option<Instant>,
    ) -> Result<Option<Child>> {
        let now = Instant::now();
        let child = Child::spawn(self, stdin, others, deadline);
        self.asked = if matches!(child, Ok(None)) { self.asked.or(Some(now)) } else { None };
        child
    }

    /// It has been refused a place since then: for a face of this library in another language,
    /// which waits by itself.
    #[doc(hidden)]
    pub fn refused_since(&mut self, since: Instant) -> &mut Command {
        self.asked = Some(since);
        self
    }

    /// Starts it, collects what it writes, and waits for its end.
    ///
    /// Of each stream, as much as [`Sandbox::output`] allows, or 64 MiB: who writes more is
    /// stopped, and the end is [`Ended::OutputLimit`](crate::Ended::OutputLimit).
    pub fn output(&mut self) -> Result<Output> {
        self.start(Stream::Null, Stream::Piped, None)?.ok_or_else(never_refused)?.wait_with_output()
    }

    /// Starts it and waits for its end.
    pub fn status(&mut self) -> Result<Outcome> {
        self.spawn()?.wait()
    }

    /// Refuses what makes no sense, and turns the texts into what the warden takes.
    pub(crate) fn texts(&self) -> Result<Texts> {
        if self.program.is_empty() {
            return Err(
                Error::invalid("program", "empty").hint("name a program inside, such as sh")
            );
        }
        let text = |what: &str, text: &OsStr| {
            CString::new(text.as_bytes())
                .map_err(|_| Error::invalid(format!("{what} {text:?}"), "contains a NUL byte"))
        };
        check_inside("working directory", &self.directory)?;
        if self.wall_time == Some(Duration::ZERO) {
            return Err(Error::invalid(
                "limit wall_time",
                "a limit of zero would end the command at once",
            ));
        }
        if let Some(signal) = self.wrong_signal {
            let why = "only 1 to 64 can be ignored, and not SIGKILL or SIGSTOP";
            return Err(Error::invalid(format!("ignore signal {signal}"), why));
        }
        let mut targets: Vec<i32> = self.descriptors.iter().map(|(target, _)| *target).collect();
        targets.sort_unstable();
        if let Some(target) = targets.first().filter(|target| **target < 3) {
            return Err(Error::invalid(format!("descriptor {target}"), "must be 3 or higher")
                .hint("the first three are set as stdin, stdout and stderr"));
        }
        if let Some(pair) = targets.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid(format!("descriptor {}", pair[0]), "given twice"));
        }
        let mut environment = Vec::with_capacity(self.environment.len());
        for (name, value) in &self.environment {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(Error::invalid(
                    format!("environment variable {name:?}"),
                    "a name is not empty and has no \"=\"",
                ));
            }
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            environment.push(text("environment variable", &pair)?);
        }
        let search = self
            .environment
            .get(OsStr::new("PATH"))
            .map_or_else(|| profile::PATH.into(), |path| path.as_bytes().to_vec());
        Ok(Texts {
            program: text("program", &self.program)?,
            arguments: self
                .arguments
                .iter()
                .map(|argument| text("argument", argument))
                .collect::<Result<_>>()?,
            environment,
            directory: text("working directory", self.directory.as_os_str())?,
            search,
        })
    }
}

/// A start without a deadline has come back without a child.
pub(crate) fn never_refused() -> Error {
    Error::new(ErrorKind::Setup, "start the command")
        .because("its pool has refused a place without a deadline")
}

/// A command's texts, NUL-terminated.
pub(crate) struct Texts {
    pub program: CString,
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
    pub directory: CString,
    pub search: Vec<u8>,
}
