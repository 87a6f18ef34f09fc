//! The one error type: what was being done, why it failed, and what to do about it.

use crate::base::declared::named;
use crate::base::step::Step;
use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

named! {
    /// What went wrong, as a closed set to match on.
    #[non_exhaustive]
    ErrorKind {
        /// An argument or a part of the policy is not allowed: nothing was started.
        Invalid = "invalid",
        /// A policy text cannot be read: not JSON or TOML, an unknown key, a value of the wrong kind.
        Policy = "policy",
        /// The source of a bind does not exist.
        SourceMissing = "source-missing",
        /// The source of a bind exists but the command, or the caller, may not read it; or the command
        /// can write nothing in a bind that is to be writable.
        SourceUnreadable = "source-unreadable",
        /// There is no such program inside the sandbox.
        ProgramMissing = "program-missing",
        /// The program exists inside but may not be executed.
        ProgramNotExecutable = "program-not-executable",
        /// The program is not in a format that this machine executes: another architecture, or no
        /// program at all.
        ProgramFormat = "program-format",
        /// The program exists inside, but the interpreter that its first line or its ELF header names
        /// does not.
        InterpreterMissing = "interpreter-missing",
        /// The host does not let this process make a user namespace, or gives it no rights in it.
        NamespacesDenied = "namespaces-denied",
        /// A limit of the host on namespaces, processes, descriptors or memory is reached.
        HostLimit = "host-limit",
        /// This kernel lacks what was asked for.
        Unsupported = "unsupported",
        /// Another step of set-up failed.
        Setup = "setup",
        /// The warden ended without a report: it was killed from outside, or the machine ran out of
        /// memory.
        WardenLost = "warden-lost",
        /// An operation on the caller's own side failed: a pipe, a file, a descriptor.
        Io = "io",
        /// A limit of the policy cannot be held on this host, or not as exactly as is required.
        LimitUnavailable = "limit-unavailable",
    }
}

/// An error: kind, step, errno, path and hint.
///
/// Its text reads `action object: cause (step n of m); hint: remedy`.
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

    /// An argument that is refused: which, and why.
    pub(crate) fn invalid(what: impl Into<String>, why: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, what).because(why)
    }

    /// A failed operation of the caller's own side. Public for the library's other faces, which
    /// have operations of their own.
    #[doc(hidden)]
    pub fn io(action: impl Into<String>, error: impl Into<std::io::Error>) -> Error {
        let error = error.into();
        match error.raw_os_error() {
            Some(errno) => Error::new(ErrorKind::Io, action).errno(errno),
            None => Error::new(ErrorKind::Io, action).because(error.to_string()),
        }
    }

    pub(crate) fn because(mut self, cause: impl Into<String>) -> Error {
        self.0.cause = Some(cause.into());
        self
    }

    /// With the error number of the failed system call. If that says that the host is short of
    /// something, so does the kind: whatever was being done, it can be tried again later.
    pub(crate) fn errno(mut self, errno: i32) -> Error {
        self.0.errno = Some(errno);
        if let Some(shortage) = Shortage::of(errno) {
            self.0.kind = ErrorKind::HostLimit;
            self.0.hint = Some(shortage.remedy().to_owned());
        }
        self
    }

    /// Of another kind than its error number says.
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Error {
        (self.0.kind, self.0.hint) = (kind, None);
        self
    }

    /// In which step of set-up it happened.
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

    /// What went wrong alone, without what to do about it.
    pub(crate) fn without_hint(mut self) -> Error {
        self.0.hint = None;
        self
    }

    /// What to do about it. Of a lack of descriptors that is known already, whatever a step's own
    /// errors take.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        let known = self.0.kind == ErrorKind::HostLimit
            && self.0.errno.and_then(Shortage::of).is_some_and(Shortage::is_certain);
        if !known {
            self.0.hint = Some(hint.into());
        }
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done, with its object: `bind /opt/tool on /opt/tool`.
    pub fn step(&self) -> &str {
        &self.0.action
    }

    /// Which step of set-up or of the start failed; `None` if none had begun, or all were over.
    pub fn step_kind(&self) -> Option<Step> {
        self.0.step
    }

    /// The error number of the failed system call, as in `errno(3)`, if there was one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.errno
    }

    /// The path that the failed step was about, if it was about one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What to do about it, if anything is known.
    pub fn remedy(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// What the host is short of, as far as an error number tells it whatever the call was. EAGAIN and
/// ENOSPC tell it of few calls: those who make these know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// The process has no free number.
    Numbers,
    /// The machine has no more open files.
    Files,
    /// Too many are under way in sockets.
    UnderWay,
    Memory,
}

impl Shortage {
    pub fn of(errno: i32) -> Option<Shortage> {
        match errno {
            libc::EMFILE => Some(Shortage::Numbers),
            libc::ENFILE => Some(Shortage::Files),
            libc::ETOOMANYREFS => Some(Shortage::UnderWay),
            libc::ENOMEM | libc::ENOBUFS | libc::ENOLCK => Some(Shortage::Memory),
            _ => None,
        }
    }

    /// Of memory a limit of the caller's own can be the cause, too.
    fn is_certain(self) -> bool {
        self != Shortage::Memory
    }

    fn remedy(self) -> &'static str {
        match self {
            Shortage::Numbers => {
                "the limit on open descriptors is reached: raise RLIMIT_NOFILE (ulimit -n)"
            }
            Shortage::Files => {
                "the machine's limit on open files, or this user's on memory for pipes, is reached: raise fs.file-max, or fs.pipe-user-pages-hard"
            }
            Shortage::UnderWay => {
                "this user has more descriptors under way in sockets than RLIMIT_NOFILE (ulimit -n): raise that well above what a command may have open, its rlimit nofile"
            }
            Shortage::Memory => {
                "the machine is out of memory, or the caller's own cgroup is at its limit"
            }
        }
    }
}

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

/// The system's own text for an error number, in lower case and without the number.
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
    fn a_shortage_is_one_whatever_was_being_done() {
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
