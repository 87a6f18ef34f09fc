//! What a command line of isolate asks for, in its own words.

use super::rules::Rules;
use super::{Refusal, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Help,
    Version,
    Init,
    Run,
    Cleanup,
}

/// The number of boxes.
const BOXES: u32 = 1000;

/// The whole command line.
#[derive(Debug)]
pub struct Asked {
    pub work: Option<Work>,
    pub box_id: u32,
    pub wait: bool,
    pub verbose: bool,
    pub silent: bool,
    pub cgroup: bool,
    pub cgroup_memory: Option<u64>,
    pub meta: Option<PathBuf>,
    pub address_space: Option<u64>,
    pub time: Option<Duration>,
    pub wall_time: Option<Duration>,
    pub extra_time: Duration,
    pub stack: Option<u64>,
    pub file_size: Option<u64>,
    pub core: u64,
    /// The highest number of open files; 0 is the caller's own limit.
    pub open_files: Option<u64>,
    /// The highest number of processes; `None` is any number.
    pub processes: Option<u64>,
    pub stdin: Option<PathBuf>,
    pub stdout: Option<PathBuf>,
    pub stderr: Option<PathBuf>,
    pub stderr_to_stdout: bool,
    pub chdir: Option<PathBuf>,
    pub full_environment: bool,
    /// Variables of the environment: inherited, or with a value. An empty value removes it.
    pub environment: Vec<(OsString, Option<OsString>)>,
    pub inherit_descriptors: bool,
    pub share_net: bool,
    pub keep_special_files: bool,
    pub no_default_rules: bool,
    /// The rules as they are written, in their order.
    pub rules: Vec<OsString>,
    pub command: Vec<OsString>,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked {
            work: None,
            box_id: 0,
            wait: false,
            verbose: false,
            silent: false,
            cgroup: false,
            cgroup_memory: None,
            meta: None,
            address_space: None,
            time: None,
            wall_time: None,
            extra_time: Duration::ZERO,
            stack: None,
            file_size: None,
            core: 0,
            open_files: None,
            processes: Some(1),
            stdin: None,
            stdout: None,
            stderr: None,
            stderr_to_stdout: false,
            chdir: None,
            full_environment: false,
            environment: vec![("LIBC_FATAL_STDERR_".into(), Some("1".into()))],
            inherit_descriptors: false,
            share_net: false,
            keep_special_files: false,
            no_default_rules: false,
            rules: Vec::new(),
            command: Vec::new(),
        }
    }
}

impl Asked {
    /// Notes the one thing to do.
    pub fn set_work(&mut self, work: Work) -> Result<()> {
        match self.work.replace(work) {
            Some(other) if other != work => {
                Err(Refusal::new("only one of --init, --run and --cleanup can be done at a time"))
            }
            _ => Ok(()),
        }
    }

    /// Checks what belongs together, after the whole command line has been read.
    pub fn check(&self) -> Result<Work> {
        let work = self.work.ok_or_else(|| {
            Refusal::new("give one of --init, --run and --cleanup; --help lists the options")
        })?;
        if work == Work::Run && self.command.is_empty() {
            return Err(Refusal::new("--run needs a program"));
        }
        if matches!(work, Work::Init | Work::Cleanup) && !self.command.is_empty() {
            return Err(Refusal::new("only --run takes a program"));
        }
        if self.stderr_to_stdout && self.stderr.is_some() {
            return Err(Refusal::new("--stderr and --stderr-to-stdout exclude each other"));
        }
        if self.cgroup_memory.is_some() && !self.cgroup {
            return Err(Refusal::new("--cg-mem needs --cg"));
        }
        self.rules().map(|_| work)
    }

    /// What is visible inside.
    pub fn rules(&self) -> Result<Rules> {
        let mut rules = if self.no_default_rules { Rules::default() } else { Rules::usual() };
        self.rules.iter().try_for_each(|rule| rules.apply(rule))?;
        Ok(rules)
    }
}

/// The number of a box.
pub fn box_id(value: &OsStr) -> Result<u32> {
    match number(value)?.try_into() {
        Ok(id) if id < BOXES => Ok(id),
        _ => Err(Refusal::new(format!("the number of a box is below {BOXES}"))),
    }
}

pub fn number(value: &OsStr) -> Result<u64> {
    let text = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Refusal::new(format!("{} is not a number", value.to_string_lossy())))
}

pub fn above_zero(value: &OsStr) -> Result<u64> {
    let number = number(value)?;
    if number == 0 { Err(Refusal::new("must be above 0")) } else { Ok(number) }
}

/// A size above 0 in kilobytes, as bytes.
pub fn size(value: &OsStr) -> Result<u64> {
    kilobytes(above_zero(value)?)
}

pub fn kilobytes(number: u64) -> Result<u64> {
    number.checked_mul(1024).ok_or_else(|| Refusal::new(format!("{number} is too large")))
}

/// A time in seconds, with a fraction.
pub fn time(value: &OsStr) -> Result<Duration> {
    let bad = || Refusal::new(format!("{} is no time in seconds", value.to_string_lossy()));
    let text = value.to_str().ok_or_else(bad)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| plain).ok_or_else(bad)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

pub fn time_above_zero(value: &OsStr) -> Result<Duration> {
    let time = time(value)?;
    if time.is_zero() { Err(Refusal::new("must be above 0")) } else { Ok(time) }
}

/// A rule of the environment: `VAR` or `VAR=VALUE`.
pub fn variable(value: &OsStr) -> Result<(OsString, Option<OsString>)> {
    let bytes = value.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=');
    let name = OsStr::from_bytes(&bytes[..at.unwrap_or(bytes.len())]);
    if name.is_empty() {
        return Err(Refusal::new("a variable needs a name"));
    }
    Ok((name.to_owned(), at.map(|at| OsStr::from_bytes(&bytes[at + 1..]).to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions_and_nothing_else() {
        let read = |text: &str| time(OsStr::new(text));
        assert_eq!(read("1.5").unwrap(), Duration::from_millis(1500));
        assert_eq!(read("0").unwrap(), Duration::ZERO);
        for text in ["", "-1", "1e3", "inf", "1s", "1.2.3", "99999999999999999999999"] {
            read(text).unwrap_err();
        }
        time_above_zero(OsStr::new("0.0")).unwrap_err();
    }

    #[test]
    fn numbers_are_plain() {
        assert_eq!(size(OsStr::new("2")).unwrap(), 2048);
        for text in ["", "-1", "+1", "1k", "0", "18446744073709551615"] {
            size(OsStr::new(text)).unwrap_err();
        }
        assert_eq!(box_id(OsStr::new("999")).unwrap(), 999);
        box_id(OsStr::new("1000")).unwrap_err();
    }
}
