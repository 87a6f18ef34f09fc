//! Rejects invalid limits.

use super::check_text;
use crate::base::error::{Error, Result};
use crate::policy::{Cores, Io, Limits, QUOTA_PERIOD as PERIOD, Share};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

/// The kernel counts bytes in signed 64-bit integers.
const BYTES_MAX: u64 = i64::MAX as u64;
/// PID_MAX_LIMIT, the largest number of processes of any kernel.
const PIDS_MAX: u64 = 1 << 22;
/// The largest number of processors (NR_CPUS) that a kernel is built for.
const PROCESSORS_MAX: u32 = 8192;
const TIME_MAX: Duration = Duration::from_secs(u32::MAX as u64);

impl Limits {
    /// Checks all limits.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the limit and the value that are not allowed.
    pub fn check(&self) -> Result<()> {
        within("memory", self.memory, 1, BYTES_MAX)?;
        within("swap", self.swap, 0, BYTES_MAX)?;
        if self.swap.is_some() && self.memory.is_none() {
            return Err(Error::invalid(
                "limit swap",
                "it comes on top of a limit on memory, and there is none",
            )
            .hint("set memory too"));
        }
        time("cpu_time", self.cpu_time)?;
        if let Some(cores) = self.cpus.map(|cores| cores.0)
            && !(0.01..=f64::from(PROCESSORS_MAX)).contains(&cores)
        {
            return Err(Error::invalid(
                format!("limit cpus {cores}"),
                format!("must be from 0.01 to {PROCESSORS_MAX}"),
            ));
        }
        self.check_burst()?;
        within("cpu_weight", self.cpu_weight, 1, 10_000)?;
        if let Some(set) = &self.cpu_set {
            let (Some(_), Some(last)) = (set.first(), set.last()) else {
                return Err(Error::invalid("limit cpu_set", "names no processor"));
            };
            if *last >= PROCESSORS_MAX {
                return Err(Error::invalid(
                    format!("limit cpu_set {last}"),
                    format!("must be below {PROCESSORS_MAX}"),
                ));
            }
        }
        within("pids", self.pids, 1, PIDS_MAX)?;
        self.io.iter().try_for_each(check_io)?;
        let mut paths = BTreeSet::new();
        if let Some(io) = self.io.iter().find(|io| !paths.insert(&io.path)) {
            return Err(Error::invalid(
                format!("limit io on {}", io.path.display()),
                "given twice",
            )
            .at(&io.path));
        }
        time("wall_time", self.wall_time)?;
        self.check_grace()?;
        within("output", self.output, 1, BYTES_MAX)?;
        match self.demands.keys().find(|limit| !self.sets(**limit)) {
            Some(limit) => Err(Error::invalid(
                format!("demand on the limit {limit}"),
                "the policy sets no such limit",
            )
            .hint(format!("set {limit} too, or leave out the demand"))),
            None => Ok(()),
        }
    }

    fn check_burst(&self) -> Result<()> {
        let Some(burst) = self.cpu_burst else { return Ok(()) };
        let Some(Cores(number)) = self.cpus else {
            return Err(Error::invalid("limit cpu_burst", "there is no limit on the processors")
                .hint("set cpus too"));
        };
        let most = PERIOD.mul_f64(number);
        if burst.as_micros() == 0 || burst > most {
            return Err(Error::invalid(
                format!("limit cpu_burst {burst:?}"),
                format!(
                    "must be from 1 us to {most:?}, what {number} processors give in {PERIOD:?}"
                ),
            ));
        }
        Ok(())
    }

    fn check_grace(&self) -> Result<()> {
        let Some((signal, grace)) = self.grace else { return Ok(()) };
        if self.wall_time.is_none() {
            return Err(Error::invalid("wall_time_grace", "there is no limit on the wall time")
                .hint("set wall_time too"));
        }
        if !(1..=64).contains(&signal) {
            return Err(Error::invalid(
                format!("wall_time_grace with signal {signal}"),
                "must be 1 to 64",
            ));
        }
        time("wall_time_grace", Some(grace))
    }
}

impl Share {
    /// Checks the limits of one command in the sandbox with the limits `whole`. A command may only
    /// have limits that its sandbox sets too.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the limit that is not allowed.
    pub fn check(&self, whole: &Limits) -> Result<()> {
        match self.limits().find(|limit| !whole.sets(*limit)) {
            Some(limit) => Err(Error::invalid(
                format!("limit {limit} of one command"),
                "its sandbox sets none",
            )
            .hint(
                "set the sandbox's: it bounds all commands together, and one may have less of it",
            )),
            None => self.alone(whole).check(),
        }
    }
}

fn within<T: PartialOrd + Display + Default>(
    name: &str,
    value: Option<T>,
    least: T,
    most: T,
) -> Result<()> {
    match value {
        Some(value) if value < least && value == T::default() => {
            Err(Error::invalid(format!("limit {name} 0"), "a limit of zero allows nothing"))
        }
        Some(value) if value < least || value > most => Err(Error::invalid(
            format!("limit {name} {value}"),
            format!("must be from {least} to {most}"),
        )),
        _ => Ok(()),
    }
}

fn time(name: &str, value: Option<Duration>) -> Result<()> {
    match value {
        Some(Duration::ZERO) => Err(Error::invalid(
            format!("limit {name}"),
            "a limit of zero would end every command at once",
        )),
        Some(value) if value > TIME_MAX => Err(Error::invalid(
            format!("limit {name}"),
            format!("{} s is above {} s", value.as_secs(), TIME_MAX.as_secs()),
        )),
        _ => Ok(()),
    }
}

fn check_io(io: &Io) -> Result<()> {
    check_text("limit io on", &io.path)?;
    let what = |name: &str| {
        Error::invalid(format!("limit io on {}", io.path.display()), name).at(&io.path)
    };
    match io.rates().iter().find(|(_, rate)| *rate == Some(0)) {
        Some((name, _)) => Err(what(&format!("{name} must not be 0"))),
        None if io.rates().iter().all(|(_, rate)| rate.is_none()) => {
            Err(what("limits nothing: it has no rate")
                .hint("set read_bytes, write_bytes, read_operations or write_operations"))
        }
        None => Ok(()),
    }
}
