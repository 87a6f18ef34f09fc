//! Control of a running command: changing its limits, and freezing it.

use super::Child;
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{Cores, Limit, Limits};
use crate::run::alive::Freezer;
use crate::wire::message::{Request, meter};
use std::time::Duration;

/// # Control
impl Child {
    // ---- changing limits

    /// Changes the memory limit of the running command, in bytes.
    ///
    /// If more is in use, cgroup v2 reclaims what it can and then kills a process. cgroup v1
    /// refuses the change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the policy sets no such limit, if the limit is the cell's, or if
    /// the value is not allowed. [`ErrorKind::LimitUnavailable`] if the limit is not enforced on
    /// this host. Other kinds if the kernel refuses the change.
    pub fn set_memory(&mut self, bytes: impl Into<u64>) -> Result<()> {
        let bytes = bytes.into();
        self.change(Limit::Memory, |limits| limits.memory = Some(bytes))
    }

    /// Changes how many processors' worth of time the command may use.
    ///
    /// # Errors
    ///
    /// The same as for [`Child::set_memory`].
    pub fn set_cpus(&mut self, number: f64) -> Result<()> {
        self.change(Limit::Cpus, |limits| limits.cpus = Some(Cores(number)))
    }

    /// Changes the limit on processor time, counted from the command's start.
    ///
    /// It can be raised by at most 60 seconds above its value at the start: there the kernel kills
    /// each process (`RLIMIT_CPU`).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitUnavailable`] if `limit` is higher than that. Otherwise the same as for
    /// [`Child::set_memory`].
    pub fn set_cpu_time(&mut self, limit: Duration) -> Result<()> {
        if self.kernel_cpu_limit.is_some_and(|highest| limit > highest) {
            return Err(Error::new(ErrorKind::LimitUnavailable, "change the limit cpu_time")
                .because(
                    "the kernel ends each process 60 seconds above the limit that it was started \
                    with",
                )
                .hint("start with the larger limit, and lower it"));
        }
        self.change(Limit::CpuTime, |limits| limits.cpu_time = Some(limit))
    }

    /// Changes the limit on the number of processes and threads. Needs a cgroup. Processes that
    /// exist above a lower limit stay.
    ///
    /// # Errors
    ///
    /// The same as for [`Child::set_memory`].
    pub fn set_pids(&mut self, number: u64) -> Result<()> {
        self.change(Limit::Pids, |limits| limits.pids = Some(number))
    }

    fn change(&mut self, limit: Limit, change: impl FnOnce(&mut Limits)) -> Result<()> {
        if !self.limits.sets(limit) {
            return Err(self.tenancy.no_such_limit(self.alive.sandbox.policy(), limit));
        }
        let mut limits = self.limits.clone();
        change(&mut limits);
        limits.check()?;
        if self.outcome.is_some() {
            return Ok(());
        }
        let wardens = self.tenancy.change(&self.alive, limit, &limits, self.wall_time)?;
        self.limits = limits;
        self.watchdog.limits_changed(&self.limits);
        self.request(&Request::Limit { limits: wardens, meter: meter::NONE })
    }

    // ---- freezing

    /// Stops everything in the sandbox until [`Child::thaw`]. Returns the mechanism that did it.
    ///
    /// The wall time continues to run. Freezing twice has no further effect, and freezing a command
    /// that has ended has none.
    ///
    /// # Errors
    ///
    /// If a process is not frozen within 10 seconds (SIGSTOP: one), or if the request cannot be
    /// sent to the warden. Everything continues then.
    pub fn freeze(&mut self) -> Result<Freezer> {
        match self.outcome {
            Some(_) => Ok(Freezer::Signal),
            None => self.tenancy.freeze(&self.alive, self.id()),
        }
    }

    /// Lets everything in the sandbox continue. Has no effect if nothing is frozen.
    ///
    /// # Errors
    ///
    /// The same as for [`Child::freeze`].
    pub fn thaw(&mut self) -> Result<()> {
        match self.outcome {
            Some(_) => Ok(()),
            None => self.tenancy.thaw(&self.alive),
        }
    }
}
