//! A command to run in a sandbox. The names are those of `std::process::Command`.
//!
//! The file is longer than 400 lines because half of it is the documentation of public methods.

mod process;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::host::terminal::WindowSize;
use crate::policy::outcome::Outcome;
use crate::policy::profile;
use crate::policy::{Share, check_inside};
use crate::run::child::Child;
use crate::run::collect::{Collected, Wanted};
use crate::run::ground::Ground;
use crate::run::sandbox::Sandbox;
use process::Attributes;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The connection of one of a command's standard streams.
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
    /// The caller's own stream. It becomes `/dev/null` if the caller has closed that stream or
    /// marked it close-on-exec, as a daemon may.
    pub fn inherit() -> Stdio {
        Stdio(Stream::Inherit)
    }
    /// `/dev/null`.
    pub fn null() -> Stdio {
        Stdio(Stream::Null)
    }
    /// A pipe. The [`Child`] holds the other end.
    pub fn piped() -> Stdio {
        Stdio(Stream::Piped)
    }
    /// A pseudo-terminal of the sandbox, which becomes the controlling terminal of the command's
    /// session. All streams that are set to this share one terminal. Its other side is
    /// [`Child::terminal`]. The policy must allow terminals: see [`Sandbox::terminals`].
    pub fn pty() -> Stdio {
        Stdio(Stream::Terminal)
    }
    /// One end of a pipe that was made for this command alone, as [`Stdio::piped`] makes it. For
    /// bindings to other languages, which make their own pipes.
    #[doc(hidden)]
    pub fn own_pipe(end: OwnedFd) -> Stdio {
        Stdio(Stream::OwnPipe(end.into()))
    }
}

impl From<OwnedFd> for Stdio {
    /// A descriptor of the caller's. If a privileged caller passes a pipe, the pipe's owner does
    /// not change. The command can then use the descriptor, but cannot reopen it by a name such as
    /// `/dev/stdout`.
    fn from(fd: OwnedFd) -> Stdio {
        Stdio(Stream::Descriptor(fd.into()))
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        Stdio::from(OwnedFd::from(file))
    }
}

/// A command to run in a sandbox: program, arguments, environment, working directory, standard
/// streams and further descriptors.
///
/// One command can be started many times. For that, a descriptor given with `From<OwnedFd>` or
/// [`Command::fd`] stays open until the command is dropped.
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
    pub(crate) attributes: Attributes,
    pub(crate) share: Share,
    pub(crate) window_size: WindowSize,
    pub(crate) collect: Wanted,
    /// When the command's pool first refused it a place, if it has.
    pub(crate) refused_since: Option<Instant>,
}

/// The output of a finished command, and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended, what it used and which protections were active.
    pub outcome: Outcome,
    /// The bytes written to standard output, if that was piped. If the command had a terminal and
    /// no pipe for standard output, the bytes written to the terminal.
    pub stdout: Vec<u8>,
    /// The bytes written to standard error, if that was piped.
    pub stderr: Vec<u8>,
    /// The files that the command has left, if it was to ([`Command::collect`]).
    pub files: Collected,
}

impl Sandbox {
    /// Returns a command to run in this sandbox. A `program` without a slash is looked up in PATH
    /// inside the sandbox.
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
            attributes: Attributes::default(),
            share: Share::default(),
            window_size: WindowSize::default(),
            collect: Wanted::default(),
            refused_since: None,
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

    /// Sets argument 0, the program's own name. By default it is the name by which the program is
    /// started.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.arguments[0] = name.as_ref().into();
        self
    }

    /// Sets an environment variable. A new command has PATH, HOME, LANG and TMPDIR, and no variable
    /// of the caller's.
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

    /// Removes every environment variable. A program without a slash is then looked up in the
    /// default PATH.
    pub fn env_clear(&mut self) -> &mut Command {
        self.environment.clear();
        self
    }

    /// Sets the working directory, an absolute path inside. The default is `/`. Links in `/proc` to
    /// open files are not followed.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.directory = directory.as_ref().into();
        self
    }

    /// Sets the standard input. The default is to inherit it for `spawn` and `status`, and
    /// `/dev/null` for `output`.
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.stdin = Some(stream.into());
        self
    }

    /// Sets the standard output. The default is to inherit it for `spawn` and `status`, and a pipe
    /// for `output`.
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.stdout = Some(stream.into());
        self
    }

    /// Sets the standard error, with the same defaults as the standard output.
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.stderr = Some(stream.into());
        self
    }

    /// Passes a descriptor of the caller's to the command as number `target`, 3 or higher. The
    /// order of calls and the caller's own numbers do not matter. At most 249 descriptors. To pass
    /// one under its own number, give that number as `target`.
    pub fn fd(&mut self, target: i32, fd: impl Into<OwnedFd>) -> &mut Command {
        self.descriptors.push((target, fd.into().into()));
        self
    }

    /// Limits the wall time of this command, in place of the sandbox's limit.
    pub fn wall_time(&mut self, limit: Duration) -> &mut Command {
        self.wall_time = Some(limit);
        self
    }

    /// Limits the memory of this command and its processes, in bytes.
    ///
    /// The sandbox must set [`Sandbox::memory`], which limits all its commands together. The lower
    /// of both limits applies. In a [`Cell`](crate::Cell) the kernel enforces this limit with a
    /// cgroup of the command's own if it also enforces the cell's limit; else the limit is
    /// [sampled](crate::Mechanism::Sampled). Processes that the command leaves behind in a cell
    /// stay in its cgroup.
    pub fn memory(&mut self, bytes: impl Into<u64>) -> &mut Command {
        self.share.memory = Some(bytes.into());
        self
    }

    /// Limits the processor time of this command and its processes. The sandbox must set
    /// [`Sandbox::cpu_time`]; otherwise like [`Command::memory`].
    pub fn cpu_time(&mut self, limit: Duration) -> &mut Command {
        self.share.cpu_time = Some(limit);
        self
    }

    /// Limits the number of processes and threads of this command. The sandbox must set
    /// [`Sandbox::pids`]; otherwise like [`Command::memory`].
    pub fn pids(&mut self, number: u64) -> &mut Command {
        self.share.pids = Some(number);
        self
    }

    /// Sets the initial window size of the command's terminal, if it has one ([`Stdio::pty`]). The
    /// default is 24 rows of 80 columns.
    pub fn window_size(&mut self, size: WindowSize) -> &mut Command {
        self.window_size = size;
        self
    }

    /// Starts the command, and returns once the program runs.
    ///
    /// In a [`Pool`](crate::Pool) this waits until there is a place.
    ///
    /// # Errors
    ///
    /// A mistake in the command or the policy ([`ErrorKind::Invalid`]), each failed step of the
    /// set-up, and a program that cannot be executed, such as [`ErrorKind::ProgramMissing`]. After
    /// an error nothing is left running.
    pub fn spawn(&mut self) -> Result<Child> {
        self.start(Stream::Inherit, Stream::Inherit, None)?.ok_or_else(never_refused)
    }

    /// Starts the command if its [`Pool`](crate::Pool) has a free place and a sandbox ready now.
    /// Otherwise returns `None`, and has started nothing. [`Pool::fd`](crate::Pool::fd) becomes
    /// readable when it is worth trying again.
    ///
    /// A command that is not a pool's needs no place, and is started as by [`Command::spawn`].
    ///
    /// # Errors
    ///
    /// The same as for [`Command::spawn`].
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

    /// Starts the command, and waits at most `timeout` for a place in its [`Pool`](crate::Pool).
    /// Returns `None` if there was none. The timeout does not limit the running command: that is
    /// [`Command::wall_time`].
    ///
    /// # Errors
    ///
    /// The same as for [`Command::spawn`].
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
        self.refused_since =
            if matches!(child, Ok(None)) { self.refused_since.or(Some(now)) } else { None };
        child
    }

    /// Notes that a pool has refused the command a place since then. For bindings to other
    /// languages, which wait by themselves.
    #[doc(hidden)]
    pub fn refused_since(&mut self, since: Instant) -> &mut Command {
        self.refused_since = Some(since);
        self
    }

    /// Starts the command, collects its output, and waits for its end.
    ///
    /// Each stream is collected up to [`Sandbox::output`] bytes, or 64 MiB. A command that writes
    /// more is stopped, and ends as [`Ended::OutputLimit`](crate::Ended::OutputLimit).
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`] and of [`Child::wait_with_output`]. How the command ends is no
    /// error.
    pub fn output(&mut self) -> Result<Output> {
        self.start(Stream::Null, Stream::Piped, None)?.ok_or_else(never_refused)?.wait_with_output()
    }

    /// Starts the command and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`] and of [`Child::wait`]. How the command ends is no error.
    /// [`ErrorKind::Invalid`] if the command is to leave files ([`Command::collect`]), which would
    /// be lost.
    pub fn status(&mut self) -> Result<Outcome> {
        if self.collect.is_wanted() {
            return Err(Error::invalid("files to collect", "a run for its outcome alone has none")
                .hint("take the output, or start the command and collect when it has ended"));
        }
        self.spawn()?.wait()
    }

    /// Checks the command, and converts its texts to NUL-terminated strings.
    pub(crate) fn texts(&self) -> Result<Texts> {
        if self.program.is_empty() {
            return Err(
                Error::invalid("program", "empty").hint("name a program inside, such as sh")
            );
        }
        check_inside("working directory", &self.directory)?;
        if self.wall_time == Some(Duration::ZERO) {
            return Err(Error::invalid(
                "limit wall_time",
                "a limit of zero would end the command at once",
            ));
        }
        self.attributes.check()?;
        self.collect.check()?;
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

/// A text for the kernel, which ends in NUL.
fn text(what: &str, text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| Error::invalid(format!("{what} {text:?}"), "contains a NUL byte"))
}

/// The error for a start without a deadline that returned no child, which a pool must never cause.
pub(crate) fn never_refused() -> Error {
    Error::new(ErrorKind::Setup, "start the command")
        .because("its pool has refused a place without a deadline")
}

impl Texts {
    /// Those of these variables that the command does not have itself.
    pub fn others(&self, variables: &[(String, String)]) -> Result<Vec<CString>> {
        let has = |name: &str| {
            let value = |pair: &CString| {
                let rest = pair.as_bytes().strip_prefix(name.as_bytes());
                rest.is_some_and(|rest| rest.starts_with(b"="))
            };
            self.environment.iter().any(value)
        };
        let others = variables.iter().filter(|(name, _)| !has(name));
        others
            .map(|(name, value)| {
                text("environment variable", OsStr::new(&format!("{name}={value}")))
            })
            .collect()
    }
}

/// The command's strings, NUL-terminated.
pub(crate) struct Texts {
    pub program: CString,
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
    pub directory: CString,
    pub search: Vec<u8>,
}
