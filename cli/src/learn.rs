//! `seclude learn`: run a program once, and write the policy that allows just its system calls.

use crate::status::{self, Failure, Result};
use crate::{networks, policy, run, shown};
use clap::ArgMatches;
use seclude::Sandbox;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the program, shows what it wrote, and writes the policy.
pub fn learn(matches: &ArgMatches) -> Result<ExitCode> {
    let sandbox = networks::given(policy::sandbox(matches, Sandbox::new())?)?;
    let learned = run::command(matches, |program| sandbox.command(program))?.learn()?;
    // A reader of the program's output that has gone is no reason not to write the policy.
    let _ = stdout().write_all(&learned.output.stdout);
    let _ = stderr().write_all(&learned.output.stderr);
    let mut text = String::new();
    for call in &learned.refused {
        text.push_str(&format!("# refused, and not in this policy: {call}\n"));
    }
    if matches.get_flag("paths") {
        for path in &learned.paths {
            // A name can contain a line end, which must not end the comment.
            text.push_str(&format!("# path: {}\n", format!("{path:?}").trim_matches('"')));
        }
    }
    text.push_str(&learned.sandbox().to_toml()?);
    match matches.get_one::<PathBuf>("write") {
        Some(path) => {
            fs::write(path, &text).map_err(|error| Failure::at(path.display(), &error))?;
        }
        None => drop(stderr().write_all(text.as_bytes())),
    }
    let outcome = learned.output.outcome;
    if crate::report::is_worth_saying(&outcome) {
        shown::say(&outcome.to_string());
    }
    Ok(ExitCode::from(status::of(&outcome)))
}
