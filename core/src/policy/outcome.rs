//! The outcome of a command: how it ended, what it used, and which protections were in force.

mod egress;
mod enforced;
mod text;
mod usage;

pub use egress::{Attempt, EgressReport};
pub(crate) use enforced::Mechanisms;
pub use enforced::{Enforced, Protection};
pub use usage::{FIGURES, MemorySource, Pressure, Usage};

use crate::base::declared::Word;
use crate::policy::seccomp::Syscall;
use std::fmt;
use std::time::Duration;

macro_rules! ends {
    ($($(#[doc = $doc:literal])* $variant:ident $(($value:ty))? = $name:literal,)*) => {
        /// How a command ended. Exactly one variant applies.
        ///
        /// A limit that stops the command (processor time, wall time, output) decides the end from
        /// the moment it fires. The memory limit decides the end whenever the kernel killed a
        /// process for it, even if the first process continued. A limit that only refuses requests
        /// (processes, scratch space) decides the end if it refused one and the command did not
        /// exit with code 0. A command that copes with the refusal has succeeded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Ended { $($(#[doc = $doc])* $variant $(($value))?,)* }

        impl Ended {
            #[doc(hidden)]
            pub const WORDS: &[Word] =
                &[$(Word { variant: stringify!($variant), name: $name, doc: concat!($($doc),*) },)*];

            /// The name of the variant: `exited`, `wall-time`, `memory-limit` and so on. It is the
            /// same in every language.
            pub fn name(self) -> &'static str {
                match self { $(Ended::$variant { .. } => $name,)* }
            }
        }
    };
}

ends! {
    /// The command exited by itself. The value is the exit code, 0 to 255.
    Exited(i32) = "exited",
    /// A signal killed the command, and no limit was involved. The value is the signal number.
    Signaled(i32) = "signaled",
    /// The command was still running when its wall time was over. The limit is in nanoseconds.
    WallTime = "wall-time",
    /// All processes together used up their processor time. The limit is in nanoseconds.
    CpuTime = "cpu-time",
    /// The command ran out of memory, even if its first process continued. The limit is in bytes.
    MemoryLimit = "memory-limit",
    /// The command was refused a process or thread, and failed. The limit is a number of processes.
    ProcessLimit = "process-limit",
    /// The command wrote more than its output limit, or more than 64 MiB to a captured stream
    /// without a limit. The limit is in bytes.
    OutputLimit = "output-limit",
    /// The command failed, and a tmpfs with a limited size or number of files is full. The limit is
    /// in bytes or files, whichever ran out.
    ScratchFull = "scratch-full",
    /// The caller killed the command.
    Killed = "killed",
    /// The warden was killed from outside, and all processes inside ended with it. The value is the
    /// signal that killed the warden, or 0 if unknown.
    WardenLost(i32) = "warden-lost",
    /// A process inside made a system call for which the filter has the action `kill`. The value is
    /// the call.
    Syscall(Syscall) = "syscall",
}

impl Ended {
    /// Whether the command exited with code 0.
    pub fn success(self) -> bool {
        self == Ended::Exited(0)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal =
            |f: &mut fmt::Formatter<'_>, signal: i32| match nix::sys::signal::Signal::try_from(
                signal,
            ) {
                Ok(name) => write!(f, "killed by {name}"),
                Err(_) => write!(f, "killed by signal {signal}"),
            };
        match *self {
            Ended::Exited(code) => write!(f, "exited with code {code}"),
            Ended::Signaled(number) => signal(f, number),
            Ended::WallTime => f.write_str("stopped by the wall time limit"),
            Ended::CpuTime => f.write_str("stopped by the processor time limit"),
            Ended::MemoryLimit => f.write_str("stopped by the memory limit"),
            Ended::ProcessLimit => f.write_str("failed at the process limit"),
            Ended::OutputLimit => f.write_str("stopped by the output limit"),
            Ended::ScratchFull => f.write_str("failed with its scratch space full"),
            Ended::Syscall(call) => write!(f, "stopped at the forbidden system call {call}"),
            Ended::Killed => f.write_str("killed by the caller"),
            Ended::WardenLost(0) => f.write_str("lost: its warden ended without a report"),
            Ended::WardenLost(number) => {
                f.write_str("lost: its warden was ")?;
                signal(f, number)
            }
        }
    }
}

/// The outcome of a command: how it ended, what it used, and which protections and limits were in
/// force while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How the command ended.
    pub ended: Ended,
    /// How the first process itself ended, independently of `ended`: its exit code, or minus the
    /// signal that killed it, which the library may have sent. `None` if unknown.
    pub status: Option<i32>,
    /// The value of the limit that decided the end: bytes, nanoseconds, processes, or the bytes or
    /// files of a tmpfs, whichever ran out. `None` if no limit did.
    pub limit: Option<u64>,
    /// The resources that the command used.
    pub usage: Usage,
    /// The protections and limits in force, as the warden and the kernel reported them after
    /// applying them.
    pub enforced: Enforced,
    /// Whether the caller's process killed the command, because the warden had not done so within
    /// a second. The warden was then stopped from outside, or got no processor time. `ended`
    /// is still the limit, or the caller's [`kill`](crate::Child::kill).
    pub by_caller: bool,
    /// What the command has reached outside, if its policy lets it out
    /// ([`Sandbox::egress`](crate::Sandbox::egress)). For a command in a cell: what all its
    /// commands have since it was started.
    pub egress: Option<EgressReport>,
}

impl Outcome {
    /// Whether the command exited with code 0.
    pub fn success(&self) -> bool {
        self.ended.success()
    }

    /// The end as one number, in the format of Python's `subprocess`: the exit code, or minus the
    /// signal.
    ///
    /// A process limit and full scratch space kill nothing, so they give the command's own
    /// [`status`](Outcome::status). Every other end, by a limit or by the caller, gives -9 for
    /// SIGKILL. Only a command that exited with code 0 by itself gives 0.
    pub fn returncode(&self) -> i32 {
        // If the process limit is sampled, the warden kills processes, so even a status of 0 is not
        // a success.
        let own = self.status.filter(|status| *status != 0);
        match self.ended {
            Ended::Exited(code) => code,
            Ended::Signaled(signal) => -signal,
            Ended::ProcessLimit | Ended::ScratchFull => own.unwrap_or(-libc::SIGKILL),
            Ended::WallTime
            | Ended::CpuTime
            | Ended::MemoryLimit
            | Ended::OutputLimit
            | Ended::Syscall(_)
            | Ended::Killed
            | Ended::WardenLost(_) => -libc::SIGKILL,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ended.fmt(f)?;
        match (self.ended, self.limit) {
            (Ended::WallTime | Ended::CpuTime, Some(limit)) => {
                write!(f, " of {:?}", Duration::from_nanos(limit))
            }
            (Ended::MemoryLimit | Ended::OutputLimit, Some(limit)) => {
                write!(f, " of {limit} bytes")
            }
            (Ended::ProcessLimit, Some(limit)) => write!(f, " of {limit}"),
            (Ended::ScratchFull, Some(limit)) => write!(f, " at {limit} bytes or files"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_the_returncode_of_subprocess() {
        let returncode = |ended, status| {
            let outcome = Outcome {
                ended,
                status,
                limit: None,
                usage: Usage::NONE,
                enforced: Enforced::new(0, 0, 0, Mechanisms::default()),
                by_caller: false,
                egress: None,
            };
            outcome.returncode()
        };
        assert_eq!(returncode(Ended::Exited(3), Some(3)), 3);
        assert_eq!(returncode(Ended::Signaled(15), Some(-15)), -15);
        // With a grace period, the command's own exit code is not the end.
        assert_eq!(returncode(Ended::WallTime, Some(5)), -9);
        assert_eq!(returncode(Ended::MemoryLimit, Some(1)), -9);
        for ended in [Ended::ProcessLimit, Ended::ScratchFull] {
            assert_eq!(returncode(ended, Some(7)), 7);
            assert_eq!(returncode(ended, Some(-11)), -11);
            assert_eq!(returncode(ended, Some(0)), -9);
            assert_eq!(returncode(ended, None), -9);
        }
        assert_eq!(Ended::Signaled(11).to_string(), "killed by SIGSEGV");
        assert_eq!(Ended::WardenLost(9).to_string(), "lost: its warden was killed by SIGKILL");
    }
}
