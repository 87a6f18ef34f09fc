//! `seclude tree`: draw the processes in their pid namespaces, each a frame in the one around it,
//! and each process by its ids outside and inside.

mod grow;
mod lines;
mod networks;
mod svg;

use crate::shown;
use crate::status::{Failure, Result};
use clap::ArgMatches;
use seclude::WindowSize;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

/// Draws the picture on the standard output, or into a file.
pub fn tree(matches: &ArgMatches) -> Result<ExitCode> {
    let seen = seclude::namespaces()?;
    let pid = matches.get_one::<u32>("PID").copied();
    let Some(picture) = grow::grow(&seen, pid, matches.get_flag("arguments")) else {
        return Err(Failure::new(format!("there is no process {}", pid.unwrap_or_default())));
    };
    if let Some(path) = matches.get_one::<PathBuf>("svg") {
        fs::write(path, svg::svg(&picture)).map_err(|error| Failure::at(path.display(), &error))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for line in shown_lines(&picture, networks::networks(&seen, pid)) {
        text.push_str(&line);
        text.push('\n');
    }
    if !seen.closed.is_empty() {
        text.push_str(&format!(
            "Processes closed to this caller, whose namespaces are not known: {}\n",
            seen.closed.len()
        ));
    }
    shown::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of the picture and those about networks, as the standard output can show them.
fn shown_lines(picture: &grow::Frame, networks: Vec<String>) -> Vec<String> {
    let mut all = lines::lines(picture);
    all.extend(networks);
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if stdout().is_terminal() {
        if let Ok(size) = WindowSize::of(stdout())
            && size.columns > 0
        {
            all.iter_mut().for_each(|line| *line = lines::cut(line, size.columns.into()));
        }
        if !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|kind| kind != "dumb") {
            all.iter_mut().for_each(|line| *line = lines::painted(line));
        }
    }
    if !has_utf8() {
        all.iter_mut().for_each(|line| *line = lines::plain(line));
    }
    all
}

/// Whether the locale's characters are UTF-8: `locale(7)`.
fn has_utf8() -> bool {
    let mut names = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env::var_os);
    let locale = names.find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
