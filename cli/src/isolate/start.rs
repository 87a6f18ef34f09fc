//! Runs the program in its box, waits for its end, and tells how it ended.

use super::asked::Asked;
use super::boxes::Place;
use super::rules::{Rules, Shown};
use super::streams::{self, Direction};
use super::verdict::{self, Verdict};
use super::{FAILED, Refusal, Result, policy, tree};
use crate::bwrap::inherited;
use crate::signals;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use seclude::{Child, Command, Ended, Outcome, Sandbox};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs the program to its end. Returns the exit status.
pub fn run(asked: &Asked) -> Result<u8> {
    let mut meta = asked.meta.as_ref().map(|path| Meta::open(path)).transpose()?;
    let ended = in_box(asked);
    let text = match &ended {
        Ok(verdict) => verdict.meta.clone(),
        Err(Refusal(message)) => verdict::internal(message),
    };
    if let Some(meta) = &mut meta {
        meta.write(&text)?;
    }
    let verdict = ended?;
    if !asked.silent {
        // Without a standard error there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{}", verdict.message);
    }
    Ok(if verdict.success { 0 } else { FAILED })
}

/// The meta file. `-` is the standard output.
enum Meta {
    Output,
    File(File),
}

impl Meta {
    fn open(path: &Path) -> Result<Meta> {
        if path == Path::new("-") {
            return Ok(Meta::Output);
        }
        File::create(path).map(Meta::File).map_err(|error| Refusal::at("write", path, error))
    }

    fn write(&mut self, text: &str) -> Result<()> {
        match self {
            Meta::Output => Ok(crate::shown::print(text)?),
            Meta::File(file) => file
                .write_all(text.as_bytes())
                .map_err(|error| Refusal::new(format!("write the meta file: {error}"))),
        }
    }
}

fn in_box(asked: &Asked) -> Result<Verdict> {
    let place = Place::open(asked)?;
    place.require()?;
    let rules = asked.rules()?;
    let inner = place.inner();
    let failed = |error: std::io::Error| Refusal::at("prepare", &inner, error);
    let top = tree::open(&inner).map_err(failed)?;
    if let Some(id) = place.owner.outside() {
        tell(asked, &format!("giving the files of the box to user {id}"));
        tree::change(&top, tree::Change::Give(id)).map_err(failed)?;
    }
    let temporary = rules.iter().filter_map(|(_, shown)| match shown {
        Shown::Temporary(name) => Some(name.as_str()),
        _ => None,
    });
    let temporary: Vec<&str> = temporary.collect();
    for name in &temporary {
        place.directory(name)?;
    }
    let ended = attend(asked, &place, &rules);
    for name in &temporary {
        place.remove(name)?;
    }
    if !asked.keep_special_files {
        tree::change(&top, tree::Change::Plain).map_err(failed)?;
    }
    let outcome = ended?;
    tell(asked, &format!("the sandbox has ended: {outcome}"));
    match outcome.ended {
        Ended::WardenLost(_) => Err(Refusal::new(outcome.to_string())),
        _ => Ok(Verdict::of(&outcome, asked)),
    }
}

fn tell(asked: &Asked, message: &str) {
    if asked.verbose {
        crate::shown::say_as("isolate", message);
    }
}

fn attend(asked: &Asked, place: &Place, rules: &Rules) -> Result<Outcome> {
    let sandbox = policy::sandbox(asked, place, rules)?;
    let mut command = command(asked, &sandbox)?;
    direct_streams(&mut command, asked, place, rules)?;
    let signals = signals::listen()?;
    tell(asked, &format!("running {:?} in {}", asked.command, place.path().display()));
    let child = command.spawn()?;
    drop(command);
    wait(child, &signals)
}

/// The program in its directory, with its environment.
fn command(asked: &Asked, sandbox: &Sandbox) -> Result<Command> {
    let Some((name, arguments)) = asked.command.split_first() else {
        return Err(Refusal::new("--run needs a program"));
    };
    // No PATH is searched: a name is a file in the directory where the program starts.
    let program = if name.as_bytes().contains(&b'/') {
        name.clone()
    } else {
        Path::new(".").join(name).into_os_string()
    };
    let mut command = sandbox.command(program);
    command.arg0(name).args(arguments).env_clear().envs(environment(asked));
    command.current_dir(asked.chdir.as_deref().unwrap_or(Path::new("/box")));
    if asked.inherit_descriptors {
        for (number, descriptor) in inherited()? {
            command.fd(number, descriptor);
        }
    }
    Ok(command)
}

fn environment(asked: &Asked) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> =
        if asked.full_environment { std::env::vars_os().collect() } else { BTreeMap::new() };
    for (name, value) in &asked.environment {
        match value.clone().or_else(|| std::env::var_os(name)) {
            Some(value) if value != OsStr::new("") => drop(environment.insert(name.clone(), value)),
            _ => drop(environment.remove(name)),
        }
    }
    environment
}

fn direct_streams(
    command: &mut Command,
    asked: &Asked,
    place: &Place,
    rules: &Rules,
) -> Result<()> {
    let open = |path: &Path, direction| streams::open(place, rules, path, direction);
    if let Some(path) = &asked.stdin {
        command.stdin(open(path, Direction::In)?);
    }
    let output = asked.stdout.as_ref().map(|path| open(path, Direction::Out)).transpose()?;
    if let Some(path) = &asked.stderr {
        command.stderr(open(path, Direction::Out)?);
    } else if asked.stderr_to_stdout {
        match &output {
            Some(file) => {
                let copy = file.try_clone();
                command.stderr(copy.map_err(|error| {
                    Refusal::new(format!("--stderr-to-stdout: copy the descriptor: {error}"))
                })?);
            }
            None => drop(command.stderr(seclude::copy_of_number("--stderr-to-stdout", 1)?)),
        }
    }
    if let Some(file) = output {
        command.stdout(file);
    }
    Ok(())
}

/// Waits for the end of the program. A signal that asks this command to end makes it an error.
fn wait(mut child: Child, signals: &SignalFd) -> Result<Outcome> {
    loop {
        let timeout = child.deadline().map_or(PollTimeout::NONE, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut polled = [
            PollFd::new(child.pidfd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Refusal::new(format!("wait: {}", errno.desc()))),
        }
        if let Some(signal) = signals::next_end(signals)? {
            child.kill()?;
            child.wait()?;
            return Err(Refusal::new(format!("interrupted by {signal}")));
        }
        if let Some(outcome) = child.try_wait()? {
            return Ok(outcome);
        }
    }
}
