//! How a command ended, what it used, and what held it.

mod enforced;
mod usage;

pub(crate) use enforced::Mechanisms;
pub use enforced::{Enforced, Protection};
pub use usage::{FIGURES, MemorySource, Pressure, Usage};

use crate::base::declared::Word;
use crate::policy::seccomp::Syscall;
use std::fmt;
use std::time::Duration;

macro_rules! ends {
    ($($(#[doc = $doc:literal])* $variant:ident $(($value:ty))? = $name:literal,)*) => {
        /// How a command ended. The cases never overlap.
        ///
        /// A limit that stops the command (processor time, wall time, output) is its end from the
        /// moment it fires. The memory limit is the end whenever the kernel killed a process for
        /// it, even if the first process went on. A limit that only refuses (processes, scratch
        /// space) is the end if it did refuse and the command did not exit with code 0 then: a
        /// command that copes has succeeded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Ended { $($(#[doc = $doc])* $variant $(($value))?,)* }

        impl Ended {
            #[doc(hidden)]
            pub const WORDS: &[Word] =
                &[$(Word { variant: stringify!($variant), name: $name, doc: concat!($($doc),*) },)*];

            /// The name of the case: `exited`, `wall-time`, `memory-limit` and so on, the same in
            /// every language.
            pub fn name(self) -> &'static str {
                match self { $(Ended::$variant { .. } => $name,)* }
            }
        }
    };
}

ends! {
    /// It ended by itself. The value is the exit code, 0 to 255.
    Exited(i32) = "exited",
    /// A signal killed it, and no limit had a part in it. The value is the signal's number.
    Signaled(i32) = "signaled",
    /// It was still running when its wall time was over. The limit is told in nanoseconds.
    WallTime = "wall-time",
    /// All processes together used up their processor time. The limit is told in nanoseconds.
    CpuTime = "cpu-time",
    /// There was no more memory for it, even if its first process went on. The limit is told in
    /// bytes.
    MemoryLimit = "memory-limit",
    /// It was refused a process or thread, and failed. The limit is told as their number.
    ProcessLimit = "process-limit",
    /// It wrote more than it may, or, captured without a limit, more than 64 MiB to a stream. The
    /// limit is told in bytes.
    OutputLimit = "output-limit",
    /// It failed, and a tmpfs is full whose size or number of files the policy limits. The limit is
    /// told in bytes or files, whichever ran out.
    ScratchFull = "scratch-full",
    /// The caller killed it.
    Killed = "killed",
    /// The warden was killed from outside, and with it all that ran inside. The value is the signal
    /// that killed the warden, 0 if nobody can tell.
    WardenLost(i32) = "warden-lost",
    /// It made a system call that its filter answers with `kill`, somewhere inside. The value is
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

/// How a command ended, what it used, and which protections and limits were in force while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// How its first process itself ended, whatever the end of the whole is called: its exit code,
    /// or minus the signal that killed it, which may be ours. `None` if nobody saw it.
    pub status: Option<i32>,
    /// The value of the limit that is the end: bytes, nanoseconds, processes, or the tmpfs's bytes
    /// or files, whichever ran out. `None` where the end is no limit.
    pub limit: Option<u64>,
    /// What it used.
    pub usage: Usage,
    /// What was really enforced, as the warden and the kernel reported it after it had been done.
    pub enforced: Enforced,
    /// The caller's side ended it, because the warden had not a second after it should have: it
    /// was stopped from outside, or got no processor. What ended it is still the limit, or the
    /// caller's [`kill`](crate::Child::kill).
    pub by_caller: bool,
}

impl Outcome {
    /// Whether the command exited with code 0.
    pub fn success(&self) -> bool {
        self.ended.success()
    }

    /// The end as one number, as Python's `subprocess` has it: the exit code, or minus the signal.
    ///
    /// A process limit and full scratch space kill nothing: they read as the command's own
    /// [`status`](Outcome::status). Every other end, by a limit or by the caller, reads -9, as if
    /// by SIGKILL. Only a command that exited with code 0 by itself reads 0.
    pub fn returncode(&self) -> i32 {
        // Where the process limit is sampled, the warden kills: a code of 0 is then no success.
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
    fn every_end_reads_as_subprocess_would_tell_it() {
        let returncode = |ended, status| {
            let outcome = Outcome {
                ended,
                status,
                limit: None,
                usage: Usage::NONE,
                enforced: Enforced::new(0, 0, 0, Mechanisms::default()),
                by_caller: false,
            };
            outcome.returncode()
        };
        assert_eq!(returncode(Ended::Exited(3), Some(3)), 3);
        assert_eq!(returncode(Ended::Signaled(15), Some(-15)), -15);
        // A grace period: the command's own code is not how the whole ended.
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
