//! `seclude run` and `seclude shell`: run a program, and exit as it does.

use crate::status::{self, Failure, Result};
use crate::{networks, policy, ports, report, session, shown, signals};
use clap::ArgMatches;
use seclude::{Collected, Command, Outcome, Sandbox, Stdio, Transfer, WindowSize};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, stdin, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `seclude run`.
pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let test = matches.get_flag("test");
    let base = if test { Sandbox::for_tests()? } else { Sandbox::new() };
    let sandbox = networks::given(policy::sandbox(matches, base)?)?;
    let mut denied = Ok(());
    let mut command = command(matches, |program| {
        if !test {
            return sandbox.command(program);
        }
        let shown = seclude::testing::showing(sandbox.clone(), Path::new(program));
        let mut command = shown.command(program);
        denied = seclude::testing::like_the_caller(&mut command);
        command
    })?;
    denied?;
    collect_files(matches, &mut command)?;
    let has_terminal = match matches.get_one::<String>("tty").map(String::as_str) {
        Some("always") => true,
        Some("never") => false,
        _ => stdin().is_terminal() && stdout().is_terminal() && !matches.get_flag("json"),
    };
    if has_terminal {
        use_terminal(&mut command)?;
    }
    let ended = if matches.get_flag("json") {
        collect(&mut command)
    } else {
        session::run(&mut command, matches.get_flag("quiet")).map(Some)
    };
    let outcome = match ended {
        Err(failure) if test && failure.is_denied() => return Err(failure.skipped()),
        ended => ended?,
    };
    let Some((outcome, files)) = outcome else { return Ok(status::usage()) };
    if let Some(path) = matches.get_one::<PathBuf>("report") {
        report::write(&outcome, path)?;
    }
    if report::is_worth_saying(&outcome) && !matches.get_flag("quiet") {
        shown::say(&outcome.to_string());
    }
    if !matches.get_flag("json") && !matches.get_flag("quiet") {
        ports::tell_denials(&outcome);
        say_what_is_missing(&files);
    }
    files.error.map_or(Ok(()), Err)?;
    Ok(ExitCode::from(status::of(&outcome)))
}

fn say_what_is_missing(files: &Collected) {
    for pattern in &files.unmatched {
        shown::say(&format!("--collect {}: nothing matches", pattern.display()));
    }
    for path in &files.skipped {
        let path = path.display();
        shown::say(&format!("{path}: left out, because it is neither a file nor a directory"));
    }
}

/// Has the command leave the files that the options name.
fn collect_files(matches: &ArgMatches, command: &mut Command) -> Result<()> {
    let Some(patterns) = matches.get_many::<OsString>("collect") else { return Ok(()) };
    for pattern in patterns {
        command.collect(pattern);
    }
    match matches.get_one::<PathBuf>("collect-into") {
        Some(directory) => {
            command.collect_into(directory);
        }
        None if matches.get_flag("json") => {}
        None => {
            return Err(Failure::new(
                "--collect: where to is not said; hint: --collect-into DIRECTORY, or --json",
            ));
        }
    }
    let (mut bytes, mut entries) = (64 << 20, 1000);
    if let Some(text) = matches.get_one::<String>("collect-bytes") {
        bytes = seclude::size_of_text("--collect-bytes", text)?;
    }
    if let Some(number) = matches.get_one::<u64>("collect-entries") {
        entries = *number;
    }
    command.collect_within(Transfer::new().max_bytes(bytes).max_entries(entries).skip_special());
    Ok(())
}

/// `seclude shell`.
pub fn shell(matches: &ArgMatches) -> Result<ExitCode> {
    let sandbox = networks::given(policy::sandbox(matches, Sandbox::new())?)?;
    let mut command = command(matches, |program| sandbox.command(program))?;
    use_terminal(&mut command)?;
    let (outcome, _) = session::run(&mut command, false)?;
    if report::is_worth_saying(&outcome) {
        shown::say(&outcome.to_string());
    }
    Ok(ExitCode::from(status::of(&outcome)))
}

/// Runs the command, and prints its outcome and output as one JSON object, or the error.
fn collect(command: &mut Command) -> Result<Option<(Outcome, Collected)>> {
    match command.output() {
        Ok(output) => {
            shown::print_line(&report::whole(&output))?;
            Ok(Some((output.outcome, output.files)))
        }
        Err(error) => {
            shown::print_line(&report::error(&error))?;
            Err(error.into())
        }
    }
}

/// The command of the options, in the sandbox or cell that makes it.
pub fn command(matches: &ArgMatches, make: impl FnOnce(&OsStr) -> Command) -> Result<Command> {
    let mut words = matches.get_many::<OsString>("COMMAND").unwrap_or_default();
    let shell = OsString::from("sh");
    let mut command = make(words.next().unwrap_or(&shell));
    command.args(words);
    if let Some(name) = matches.get_one::<OsString>("arg0") {
        command.arg0(name);
    }
    if let Some(image) = policy::image(matches)? {
        image.describe(&mut command);
    }
    if matches.get_flag("clear-env") {
        command.env_clear();
    }
    if matches.get_flag("inherit-env") {
        command.envs(env::vars_os());
    }
    for given in matches.get_many::<OsString>("env").unwrap_or_default() {
        let bytes = given.as_bytes();
        match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                let (name, value) = (&bytes[..at], &bytes[at + 1..]);
                command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
            }
            None => {
                if let Some(value) = env::var_os(given) {
                    command.env(given, value);
                }
            }
        }
    }
    if let Some(directory) = matches.get_one::<OsString>("cwd") {
        command.current_dir(Path::new(directory));
    }
    if let Some(mask) = matches.get_one::<u32>("umask") {
        command.umask(*mask);
    }
    if let Some(groups) = matches.get_many::<u32>("groups") {
        command.groups(groups.copied());
    }
    for text in matches.get_many::<String>("ignore-signal").unwrap_or_default() {
        let number = policy::number_of_signal(text)
            .ok_or_else(|| Failure::new(format!("--ignore-signal {text}: no such signal")))?;
        command.ignore_signal(number);
    }
    // Not all that this process ignores: Rust programs ignore SIGPIPE.
    for signal in signals::ignored() {
        command.ignore_signal(signal as i32);
    }
    for number in matches.get_many::<i32>("fd").unwrap_or_default() {
        command.fd(*number, seclude::copy_of_number(&format!("--fd {number}"), *number)?);
    }
    Ok(command)
}

/// Gives the command a terminal of its own, of the size and kind of the caller's.
pub fn use_terminal(command: &mut Command) -> Result<()> {
    if !stdin().is_terminal() {
        return Err(Failure::new("a terminal of the program's own: the standard input is none"));
    }
    command.stdin(Stdio::pty()).stdout(Stdio::pty()).stderr(Stdio::pty());
    command.window_size(WindowSize::of(stdin())?);
    if let Some(kind) = env::var_os("TERM") {
        command.env("TERM", kind);
    }
    Ok(())
}
