//! The error type of this crate. An error holds the failed action, the cause, and a remedy.

use crate::base::declared::named;
use crate::base::step::Step;
use std::fmt;
use std::path::{Path, PathBuf};

/// The result type of every fallible function in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

named! {
    /// The category of an error, as a closed set to match on.
    #[non_exhaustive]
    ErrorKind {
        /// An argument or a part of the policy is not allowed. Nothing was started.
        Invalid = "invalid",
        /// A policy text, or a CDI specification, cannot be read: it is not JSON or TOML, has an
        /// unknown key, or has a value of the wrong type.
        Policy = "policy",
        /// The source of a bind does not exist.
        SourceMissing = "source-missing",
        /// The source of a bind exists, but the command or the caller may not read it. Also: a bind
        /// is writable, but the command can write to nothing in it.
        SourceUnreadable = "source-unreadable",
        /// The program does not exist inside the sandbox.
        ProgramMissing = "program-missing",
        /// The program exists inside the sandbox but may not be executed.
        ProgramNotExecutable = "program-not-executable",
        /// This machine cannot execute the program: it is for another architecture, or the file is
        /// not a program.
        ProgramFormat = "program-format",
        /// The program exists inside the sandbox, but the interpreter named by its first line or
        /// its ELF header does not.
        InterpreterMissing = "interpreter-missing",
        /// The host does not let this process create a user namespace, or grants it no privileges
        /// there.
        NamespacesDenied = "namespaces-denied",
        /// A limit of the host on namespaces, processes, descriptors or memory is reached.
        HostLimit = "host-limit",
        /// The running kernel lacks a required feature.
        Unsupported = "unsupported",
        /// Another step of the set-up failed.
        Setup = "setup",
        /// The warden ended without a report: it was killed from outside, or the machine ran out of
        /// memory.
        WardenLost = "warden-lost",
        /// An operation in the caller's own process failed: on a pipe, a file or a descriptor.
        Io = "io",
        /// This host cannot enforce a limit of the policy, or not as exactly as required.
        LimitUnavailable = "limit-unavailable",
    }
}

/// An error, with its kind, step, errno, path and hint.
///
/// The text has the form `action object: cause (step n of m); hint: remedy`.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    step: Option<Step>,
    action: String,
    cause: Option<String>,
    errno: Option<i32>,
    path: Option<PathBuf>,
    position: Option<(usize, usize)>,
    hint: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, action: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            step: None,
            action: action.into(),
            cause: None,
            errno: None,
            path: None,
            position: None,
            hint: None,
        }))
    }

    /// An error of kind `Invalid`: the refused argument, and the reason.
    pub(crate) fn invalid(what: impl Into<String>, why: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, what).because(why)
    }

    /// An error of kind `Io`: an operation in the caller's process failed. Public because the C and
    /// Python bindings report failed operations of their own.
    #[doc(hidden)]
    pub fn io(action: impl Into<String>, error: impl Into<std::io::Error>) -> Error {
        let error = error.into();
        match error.raw_os_error() {
            Some(errno) => Error::new(ErrorKind::Io, action).errno(errno),
            None => Error::new(ErrorKind::Io, action).because(error.to_string()),
        }
    }

    /// The caller could not start a thread.
    pub(crate) fn of_thread(action: &str, error: std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(errno @ (libc::EAGAIN | libc::ENOMEM)) => {
                Error::new(ErrorKind::HostLimit, action).errno(errno).hint(
                    "a limit on processes and threads is reached: RLIMIT_NPROC (ulimit -u), \
                    pids.max of the caller's cgroup, or kernel.threads-max",
                )
            }
            _ => Error::io(action, error),
        }
    }

    pub(crate) fn because(mut self, cause: impl Into<String>) -> Error {
        self.0.cause = Some(cause.into());
        self
    }

    /// Sets the error number of the failed system call. If it means that the host lacks a resource,
    /// the kind becomes `HostLimit`: the action can be retried later, whatever it was.
    pub(crate) fn errno(mut self, errno: i32) -> Error {
        self.0.errno = Some(errno);
        if let Some(shortage) = Shortage::of(errno) {
            self.0.kind = ErrorKind::HostLimit;
            self.0.hint = Some(shortage.remedy().to_owned());
        }
        self
    }

    /// Overrides the kind that `errno` chose, and drops its hint.
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Error {
        (self.0.kind, self.0.hint) = (kind, None);
        self
    }

    /// Sets the step in which the error happened.
    pub(crate) fn during(mut self, step: Step) -> Error {
        self.0.step = Some(step);
        self
    }

    pub(crate) fn at(mut self, path: impl Into<PathBuf>) -> Error {
        self.0.path = Some(path.into());
        self
    }

    pub(crate) fn position(mut self, step: usize, of: usize) -> Error {
        self.0.position = Some((step, of));
        self
    }

    /// Removes the hint.
    pub(crate) fn without_hint(mut self) -> Error {
        self.0.hint = None;
        self
    }

    /// Sets the hint. A lack of descriptors keeps the hint that `errno` chose, because it is the
    /// right one whatever the step was.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        let hint_is_final = self.0.kind == ErrorKind::HostLimit
            && self.0.errno.and_then(Shortage::of).is_some_and(Shortage::is_certain);
        if !hint_is_final {
            self.0.hint = Some(hint.into());
        }
        self
    }

    /// The category of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The failed action with its object: `bind /opt/tool on /opt/tool`.
    pub fn step(&self) -> &str {
        &self.0.action
    }

    /// The step of the set-up or of the start that failed. `None` if the error happened before the
    /// first step or after the last one.
    pub fn step_kind(&self) -> Option<Step> {
        self.0.step
    }

    /// The error number of the failed system call (`errno(3)`), if a system call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.errno
    }

    /// The path that the failed action was about, if any.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The hint: how to fix the error, if the library knows.
    pub fn remedy(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// A resource that the host lacks, as far as the error number alone reveals it.
///
/// EAGAIN and ENOSPC mean a shortage for only a few system calls, so the callers of these decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Descriptor numbers of this process (RLIMIT_NOFILE).
    Descriptors,
    /// Open files of the whole machine.
    OpenFiles,
    /// Descriptors in flight in Unix sockets.
    InFlight,
    Memory,
}

impl Shortage {
    pub fn of(errno: i32) -> Option<Shortage> {
        match errno {
            libc::EMFILE => Some(Shortage::Descriptors),
            libc::ENFILE => Some(Shortage::OpenFiles),
            libc::ETOOMANYREFS => Some(Shortage::InFlight),
            libc::ENOMEM | libc::ENOBUFS | libc::ENOLCK => Some(Shortage::Memory),
            _ => None,
        }
    }

    /// Whether the error number leaves no other cause. A lack of memory can also come from a limit
    /// that the caller has set, so a more specific hint may replace the general one.
    fn is_certain(self) -> bool {
        self != Shortage::Memory
    }

    fn remedy(self) -> &'static str {
        match self {
            Shortage::Descriptors => {
                "the limit on open descriptors is reached: raise RLIMIT_NOFILE (ulimit -n)"
            }
            Shortage::OpenFiles => {
                "the machine's limit on open files, or this user's on memory for pipes, is reached: raise fs.file-max, or fs.pipe-user-pages-hard"
            }
            Shortage::InFlight => {
                "this user has more descriptors under way in sockets than RLIMIT_NOFILE (ulimit -n): raise that well above what a command may have open, its rlimit nofile"
            }
            Shortage::Memory => {
                "the machine is out of memory, or the caller's own cgroup is at its limit"
            }
        }
    }
}

impl Eq for Error {}

impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        self.0 == other.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.action)?;
        match (&inner.cause, inner.errno) {
            (Some(cause), _) => write!(f, ": {cause}")?,
            (None, Some(errno)) => write!(f, ": {}", describe(errno))?,
            (None, None) => {}
        }
        if let Some((step, of)) = inner.position {
            write!(f, " (step {step} of {of})")?;
        }
        match &inner.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self})", self.kind())
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::Invalid | ErrorKind::Policy => Io::InvalidInput,
            ErrorKind::SourceMissing
            | ErrorKind::ProgramMissing
            | ErrorKind::InterpreterMissing => Io::NotFound,
            ErrorKind::SourceUnreadable
            | ErrorKind::ProgramNotExecutable
            | ErrorKind::NamespacesDenied => Io::PermissionDenied,
            ErrorKind::Unsupported | ErrorKind::LimitUnavailable => Io::Unsupported,
            ErrorKind::ProgramFormat
            | ErrorKind::HostLimit
            | ErrorKind::Setup
            | ErrorKind::WardenLost
            | ErrorKind::Io => error
                .raw_os_error()
                .map_or(Io::Other, |errno| std::io::Error::from_raw_os_error(errno).kind()),
        };
        std::io::Error::new(kind, error)
    }
}

/// The system's text for an error number. The first letter is lower case, unless the word is an
/// acronym.
pub(crate) fn describe(errno: i32) -> String {
    let text = nix::errno::Errno::from_raw(errno).desc();
    let mut letters = text.chars();
    match (letters.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_action_cause_position_hint() {
        let error = Error::new(ErrorKind::SourceMissing, "bind /opt/tool on /opt/tool")
            .errno(libc::ENOENT)
            .position(7, 19)
            .hint("create it");
        assert_eq!(
            error.to_string(),
            "bind /opt/tool on /opt/tool: no such file or directory (step 7 of 19); hint: create it"
        );
    }

    #[test]
    fn a_shortage_has_the_kind_host_limit_for_every_action() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ETOOMANYREFS, libc::ENOMEM] {
            for &kind in ErrorKind::ALL {
                let error = Error::new(kind, "do it").errno(errno);
                assert_eq!(
                    (error.kind(), error.raw_os_error()),
                    (ErrorKind::HostLimit, Some(errno)),
                    "{error}"
                );
                assert!(error.remedy().is_some());
            }
        }
        let error =
            Error::new(ErrorKind::Setup, "do it").errno(libc::EMFILE).hint("do something else");
        assert!(error.to_string().ends_with("raise RLIMIT_NOFILE (ulimit -n)"), "{error}");
        let error = Error::new(ErrorKind::Setup, "do it")
            .errno(libc::ENOMEM)
            .hint("raise the limit memory");
        assert_eq!(error.to_string(), "do it: out of memory; hint: raise the limit memory");
        assert_eq!(
            Error::new(ErrorKind::Setup, "do it").errno(libc::EPERM).kind(),
            ErrorKind::Setup
        );
    }
}
