//! Learning which system calls a program makes: runs it once, and reports every call to the caller.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::sys::pidfd_send_signal;
use crate::host::listener::{Listener, Notification};
use crate::policy::outcome::Ended;
use crate::policy::seccomp::{Action, Profile, Seccomp, Syscall};
use crate::run::child::Child;
use crate::run::command::{Command, Output, Stream, never_refused};
use crate::run::ground::Ground;
use crate::run::sandbox::Sandbox;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What a program did: the result of [`Command::learn`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Learned {
    /// The program's output, and how it ended.
    pub output: Output,
    /// The system calls that it made, and how often. `execve` is included, because one started the
    /// command itself.
    pub calls: BTreeMap<Syscall, u64>,
    /// The calls that the sandbox's filter refuses. They were refused in this run too.
    pub refused: BTreeSet<Syscall>,
    /// The paths that it named, as seen inside, whether or not they exist.
    pub paths: BTreeSet<PathBuf>,
    sandbox: Sandbox,
}

impl Learned {
    /// A filter that allows only these calls, under the same conditions on arguments as the
    /// sandbox's own filter. Every other call fails with EPERM. One run may not show everything
    /// that a program can do: add what is missing.
    pub fn seccomp(&self) -> Seccomp {
        self.sandbox.policy().filter().narrowed(self.calls.keys().copied())
    }

    /// The sandbox with that filter. [`Sandbox::to_toml`] writes its policy down.
    pub fn sandbox(&self) -> Sandbox {
        self.sandbox.clone().seccomp(self.seccomp())
    }
}

/// The calls seen so far.
#[derive(Default)]
struct Seen {
    calls: BTreeMap<Syscall, u64>,
    refused: BTreeSet<Syscall>,
    paths: BTreeSet<PathBuf>,
    killed: Option<Syscall>,
}

impl Command {
    /// Runs the command as [`Command::output`] does, and records which system calls it makes and
    /// which paths it names. The sandbox's filter applies during the run, but the caller decides
    /// instead of the kernel. Every call waits for the caller, so the command takes many times as
    /// long. Linux 5.5.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the command is not one of a plain sandbox, or if its filter
    /// already has a listener. Otherwise as [`Command::output`].
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// let learned = seclude::Sandbox::new().command("cat").arg("/etc/passwd").learn()?;
    /// assert!(learned.calls.contains_key(&seclude::Syscall::from_name("openat").unwrap()));
    /// assert!(learned.paths.contains(std::path::Path::new("/etc/passwd")));
    /// println!("{}", learned.sandbox().to_toml()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn learn(&mut self) -> Result<Learned> {
        let sandbox = self.sandbox.clone();
        sandbox.check()?;
        if !matches!(self.ground, Ground::Own) {
            return Err(Error::invalid(
                "learning",
                "only a command of the sandbox itself can be learned from, not one in a cell, a \
                pool or what it has joined",
            )
            .hint("the same program in a sandbox of its own: Sandbox::command"));
        }
        let filter = sandbox.policy().filter();
        if filter.notifies() {
            return Err(Error::invalid(
                "learning",
                "the filter leaves calls to a listener, and the learner is one",
            )
            .hint("learn with a filter that allows or denies them"));
        }
        self.sandbox = sandbox
            .clone()
            .seccomp(Seccomp::profile(Profile::Unconfined).otherwise(Action::Notify));
        let learned = self.learn_by(&filter);
        self.sandbox = sandbox.clone();
        let (mut output, seen) = learned?;
        if let Some(call) = seen.killed {
            output.outcome.ended = Ended::Syscall(call);
        }
        let Seen { mut calls, refused, paths, .. } = seen;
        // The start of the command itself, which bypasses the filter.
        calls.extend(
            Syscall::from_name("execve")
                .filter(|call| !calls.contains_key(call))
                .map(|call| (call, 1)),
        );
        // The groups are one command's, and no policy as text has them.
        let sandbox = sandbox.groups(None);
        Ok(Learned { output, calls, refused, paths, sandbox })
    }

    fn learn_by(&mut self, filter: &Seccomp) -> Result<(Output, Seen)> {
        let child = Child::spawn(self, Stream::Null, Stream::Piped, None)?;
        let mut child = child.ok_or_else(never_refused)?;
        let no_listener = || {
            Error::new(ErrorKind::WardenLost, "learn")
                .because("the filter's listener did not arrive")
        };
        let listener = child.take_listener().ok_or_else(no_listener)?;
        let command =
            child.pidfd().try_clone_to_owned().map_err(|error| Error::io("learn", error))?;
        std::thread::scope(|scope| {
            let watcher = std::thread::Builder::new()
                .spawn_scoped(scope, move || watch(listener, filter, command.as_fd()));
            let watcher = watcher.map_err(|error| {
                Error::of_thread("start a thread that watches the command", error)
            })?;
            let output = child.wait_with_output();
            let seen = watcher.join().map_err(|_| {
                Error::new(ErrorKind::WardenLost, "learn").because("the watching thread panicked")
            })?;
            Ok((output?, seen?))
        })
    }
}

/// Receives every call and answers it as the filter would. When the command's first process ends,
/// so does everything inside.
fn watch(listener: Listener, filter: &Seccomp, command: BorrowedFd<'_>) -> Result<Seen> {
    let mut seen = Seen::default();
    while let Some(call) = listener.receive()? {
        let name = call.syscall();
        *seen.calls.entry(name).or_default() += 1;
        seen.paths.extend(path_of(&call));
        // The calling thread may have ended, and then needs no answer.
        let _ = match filter.decide(name, &call.arguments()) {
            Action::Allow | Action::Log | Action::Notify => call.allow(),
            Action::Errno(number) => {
                seen.refused.insert(name);
                call.fail(number)
            }
            Action::Kill => {
                seen.refused.insert(name);
                seen.killed.get_or_insert(name);
                let _ = pidfd_send_signal(command, libc::SIGKILL);
                call.fail(libc::EPERM)
            }
        };
    }
    Ok(seen)
}

/// The path that a call names, made absolute. The tables say which argument it is, and what it is
/// relative to.
fn path_of(call: &Notification) -> Option<PathBuf> {
    /// Calls with the path in the first argument, relative to the working directory.
    const PLAIN: &[&str] = &[
        "access",
        "chdir",
        "chmod",
        "chown",
        "chroot",
        "creat",
        "execve",
        "getxattr",
        "lchown",
        "lgetxattr",
        "link",
        "listxattr",
        "llistxattr",
        "lremovexattr",
        "lsetxattr",
        "lstat",
        "mkdir",
        "mknod",
        "open",
        "readlink",
        "removexattr",
        "rename",
        "rmdir",
        "setxattr",
        "stat",
        "statfs",
        "truncate",
        "unlink",
        "utime",
        "utimes",
    ];
    /// Calls with the path in the second argument, relative to the directory of the first, a
    /// descriptor.
    const RELATIVE: &[&str] = &[
        "execveat",
        "faccessat",
        "faccessat2",
        "fchmodat",
        "fchmodat2",
        "fchownat",
        "futimesat",
        "linkat",
        "mkdirat",
        "mknodat",
        "newfstatat",
        "openat",
        "openat2",
        "readlinkat",
        "renameat",
        "renameat2",
        "statx",
        "unlinkat",
        "utimensat",
    ];
    let name = call.syscall().name()?;
    let [first, second, ..] = call.arguments();
    let (base, address) = match (PLAIN.contains(&name), RELATIVE.contains(&name)) {
        (true, _) => ("cwd".to_owned(), first),
        (_, true) if first as i32 == libc::AT_FDCWD => ("cwd".to_owned(), second),
        (_, true) => (format!("fd/{}", first as i32), second),
        _ => return None,
    };
    let path = PathBuf::from(OsString::from_vec(call.read_string(address).ok()?));
    match (path.as_os_str().is_empty(), path.is_absolute()) {
        (true, _) => None,
        (_, true) => Some(path),
        _ => Some(
            std::fs::read_link(Path::new("/proc").join(call.pid().to_string()).join(base))
                .ok()?
                .join(path),
        ),
    }
}
