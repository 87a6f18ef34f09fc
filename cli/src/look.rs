//! `explain`, `check` and `doctor`: what would be done, whether a policy is sound, and what this
//! host allows.

use crate::status::Result;
use crate::{fix, policy, shown};
use clap::ArgMatches;
use seclude::Sandbox;
use std::path::PathBuf;
use std::process::ExitCode;

/// The seccomp profile for containers in which programs use this library: docs/containers.md.
const SECCOMP_PROFILE: &str = include_str!("../../capi/seccomp/seclude.json");

/// `seclude explain`: the policy, and the steps that would set it up.
pub fn explain(matches: &ArgMatches) -> Result<ExitCode> {
    let sandbox = policy::sandbox(matches, Sandbox::new())?;
    let steps = sandbox.explain()?;
    let mut text = String::new();
    let policy = sandbox.to_toml()?;
    text.push_str(if policy.is_empty() { "the default policy\n" } else { &policy });
    text.push('\n');
    let width = steps.len().to_string().len();
    for (number, step) in (1..).zip(steps) {
        text.push_str(&format!("{number:width$}  {step}\n"));
    }
    shown::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// `seclude check`: silent if the policy is sound.
pub fn check(matches: &ArgMatches) -> Result<ExitCode> {
    let Some(path) = matches.get_one::<PathBuf>("POLICY") else { unreachable!("it is required") };
    let sandbox = policy::read(path)?;
    sandbox.check_text()?;
    if matches.get_flag("json") {
        shown::print_line(&sandbox.to_json()?)?;
    } else if matches.get_flag("toml") {
        shown::print(&sandbox.to_toml()?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `seclude doctor`: exits with 1 if no sandbox can be started.
pub fn doctor(matches: &ArgMatches) -> Result<ExitCode> {
    if matches.get_flag("seccomp-profile") {
        shown::print(SECCOMP_PROFILE)?;
        return Ok(ExitCode::SUCCESS);
    }
    if matches.get_flag("fix") {
        return fix::fix(matches.get_one::<PathBuf>("root").map(PathBuf::as_path));
    }
    let report = seclude::doctor();
    let text = if matches.get_flag("json") { report.to_json() } else { report.to_string() };
    shown::print_line(&text)?;
    Ok(if report.ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
