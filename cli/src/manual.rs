//! `seclude completions` and `seclude manual`: both come from the declaration of the command line.

use crate::status::{Failure, Result};
use crate::{arguments, shown};
use clap::{ArgMatches, Command};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prints the completions of a shell.
pub fn completions(matches: &ArgMatches) -> Result<ExitCode> {
    let Some(shell) = matches.get_one::<Shell>("SHELL") else { unreachable!("it is required") };
    let mut text = Vec::new();
    generate(*shell, &mut arguments::command(), "seclude", &mut text);
    shown::print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes one page for each command: `seclude.1`, `seclude-run.1` and so on.
pub fn write(matches: &ArgMatches) -> Result<ExitCode> {
    let Some(directory) = matches.get_one::<PathBuf>("DIRECTORY") else {
        unreachable!("it is required")
    };
    let mut command = arguments::command();
    command.build();
    write_page(&command, "seclude", directory)?;
    Ok(ExitCode::SUCCESS)
}

fn write_page(command: &Command, name: &str, directory: &Path) -> Result<()> {
    for inner in command.get_subcommands() {
        write_page(inner, &format!("{name}-{}", inner.get_name()), directory)?;
    }
    let path = directory.join(format!("{name}.1"));
    let failed = |error| Failure::at(path.display(), &error);
    let mut page = Vec::new();
    // The date of a build says nothing about the command, and would change the page each time.
    let command = command.clone().name(name.to_owned()).display_name(name.to_owned());
    Man::new(command).date("").render(&mut page).map_err(failed)?;
    fs::write(&path, page).map_err(failed)
}
