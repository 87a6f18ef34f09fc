//! `seclude cells`: list and use the cells that programs of this user have published.

use crate::status::{self, Result};
use crate::{networks, policy, report, run, session, shown, signals};
use clap::ArgMatches;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use seclude::{NamedCell, Sandbox};
use serde_json::json;
use std::io::{IsTerminal, stdin, stdout};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

/// How often an open cell is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// One of the commands of `seclude cells`.
pub fn cells(matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("list", matches)) => list(matches),
        Some(("exec", matches)) => exec(matches),
        Some(("open", matches)) => open(matches),
        Some(("freeze", matches)) => act(matches, NamedCell::freeze),
        Some(("thaw", matches)) => act(matches, NamedCell::thaw),
        Some(("kill", matches)) => act(matches, NamedCell::kill_all),
        Some(("close", matches)) => act(matches, NamedCell::close),
        _ => unreachable!("clap knows the commands"),
    }
}

fn name(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("NAME").map_or("", String::as_str)
}

fn list(matches: &ArgMatches) -> Result<ExitCode> {
    for cell in NamedCell::all()? {
        let processes = cell.processes()?.len();
        shown::print_line(&if matches.get_flag("json") {
            json!({"name": cell.name(), "pid": cell.pid(), "processes": processes}).to_string()
        } else {
            format!("{:24} {:>8} {processes:>5}", cell.name(), cell.pid())
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn exec(matches: &ArgMatches) -> Result<ExitCode> {
    let joined = NamedCell::find(name(matches))?.enter()?;
    let mut command = run::command(matches, |program| joined.command(program))?;
    if stdin().is_terminal() && stdout().is_terminal() {
        run::use_terminal(&mut command)?;
    }
    let (outcome, _) = session::run(&mut command, false)?;
    if report::is_worth_saying(&outcome) {
        shown::say(&outcome.to_string());
    }
    Ok(ExitCode::from(status::of(&outcome)))
}

/// Keeps a cell until a signal ends this program, or the cell ends.
fn open(matches: &ArgMatches) -> Result<ExitCode> {
    let signals = signals::listen()?;
    let cell = networks::given(policy::sandbox(matches, Sandbox::new())?)?.cell()?;
    cell.publish(name(matches))?;
    shown::print_line(&cell.id()?.to_string())?;
    let interval = PollTimeout::try_from(INTERVAL).unwrap_or(PollTimeout::MAX);
    while cell.is_alive() {
        let mut polled = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if matches!(poll(&mut polled, interval), Ok(1..))
            && let Some(number) = signals::next_end(&signals)?
        {
            cell.close();
            signals::die_by(number);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn act<T>(
    matches: &ArgMatches,
    act: impl FnOnce(&NamedCell) -> seclude::Result<T>,
) -> Result<ExitCode> {
    act(&NamedCell::find(name(matches))?)?;
    Ok(ExitCode::SUCCESS)
}
