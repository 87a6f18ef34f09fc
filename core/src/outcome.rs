//! How a command ended, what it used, and what held it.

mod enforced;
mod usage;

pub(crate) use enforced::Mechanisms;
pub use enforced::{Enforced, Protection};
pub use usage::{MemorySource, Pressure, Usage};

use crate::seccomp::Syscall;
use std::fmt;
use std::time::Duration;

/// How a command ended. The cases never overlap.
///
/// A limit that stops the command (processor time, wall time, output) is its end from the moment it fires. The memory limit is the end whenever the
/// kernel killed a process for it, even if the first process went on. A limit that only refuses (processes, scratch space) is the end if it did
/// refuse and the command did not exit with code 0 then: who copes has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// It ended by itself with this exit code, 0 to 255.
    Exited(i32),
    /// This signal killed it, and no limit had a part in it.
    Signaled(i32),
    /// It was still running when its wall time was over: [`Sandbox::wall_time`](crate::Sandbox::wall_time).
    WallTime,
    /// It used up its processor time: [`Sandbox::cpu_time`](crate::Sandbox::cpu_time).
    CpuTime,
    /// There was no more memory for it: [`Sandbox::memory`](crate::Sandbox::memory).
    MemoryLimit,
    /// It was refused a process or thread, and failed: [`Sandbox::pids`](crate::Sandbox::pids).
    ProcessLimit,
    /// It wrote more than it may: [`Sandbox::output`](crate::Sandbox::output).
    OutputLimit,
    /// It failed, and a tmpfs whose size or number of files the policy limits is full.
    ScratchFull,
    /// It made a system call that its filter answers with [`Action::Kill`](crate::Action::Kill), somewhere inside.
    Syscall(Syscall),
    /// The caller killed it: [`Child::kill`](crate::Child::kill).
    Killed,
    /// The warden was killed from outside, and with it all that ran inside. The signal that killed the warden; 0 if nobody can tell.
    WardenLost(i32),
}

impl Ended {
    /// Whether the command exited with code 0.
    pub fn success(self) -> bool {
        self == Ended::Exited(0)
    }

    /// The name of the case: `exited`, `signaled`, `wall-time`, `cpu-time`, `memory-limit`, `process-limit`, `output-limit`,
    /// `scratch-full`, `syscall`, `killed`, `warden-lost`.
    pub fn name(self) -> &'static str {
        match self {
            Ended::Exited(_) => "exited",
            Ended::Signaled(_) => "signaled",
            Ended::WallTime => "wall-time",
            Ended::CpuTime => "cpu-time",
            Ended::MemoryLimit => "memory-limit",
            Ended::ProcessLimit => "process-limit",
            Ended::OutputLimit => "output-limit",
            Ended::ScratchFull => "scratch-full",
            Ended::Syscall(_) => "syscall",
            Ended::Killed => "killed",
            Ended::WardenLost(_) => "warden-lost",
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = |f: &mut fmt::Formatter<'_>, signal: i32| match nix::sys::signal::Signal::try_from(signal) {
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
    /// How its first process itself ended, whatever the end of the whole is called: its exit code, or minus the signal that killed it,
    /// which may be ours. `None` if nobody saw it.
    pub status: Option<i32>,
    /// The value of the limit that is the end: bytes, nanoseconds, processes, or the tmpfs's bytes or files, whichever ran out. `None` where the end is no limit.
    pub limit: Option<u64>,
    /// What it used.
    pub usage: Usage,
    /// What was really enforced, as the warden and the kernel reported it after it had been done.
    pub enforced: Enforced,
    /// The caller's side ended it, because the warden had not a second after it should have: it was stopped from outside, or got
    /// no processor. What ended it is still the limit, or the caller's [`kill`](crate::Child::kill).
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
    /// [`status`](Outcome::status). Every other end, by a limit or by the caller, reads -9, as if by
    /// SIGKILL. Only a command that exited with code 0 by itself reads 0.
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
            (Ended::WallTime | Ended::CpuTime, Some(limit)) => write!(f, " of {:?}", Duration::from_nanos(limit)),
            (Ended::MemoryLimit | Ended::OutputLimit, Some(limit)) => write!(f, " of {limit} bytes"),
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
