//! `seclude isolate`: the command line of the judge sandbox isolate over this library, also under
//! the name `isolate`.
//!
//! Every option is exact, or it is an error with a reason: none is ignored. `table` declares them,
//! `reading` reads a command line, and `asked` collects what it asks for. `boxes` keeps the
//! directories, `tree` changes what is in one, `rules` knows what is visible where, `streams` opens
//! the files of the standard streams, `policy` makes a sandbox, and `start` runs the program.
//! `verdict` is what the judge reads afterwards. docs/isolate.md is the reference.

mod asked;
mod boxes;
mod owner;
mod policy;
mod reading;
mod rules;
mod start;
mod streams;
mod table;
mod tree;
mod verdict;

use crate::front::{Refusal, Result};
use asked::{Asked, Work};
use boxes::Place;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// The version of isolate whose options these are.
const VERSION: &str = "2.6";
/// The program failed, or a limit stopped it.
const FAILED: u8 = 1;
/// This program itself failed.
const BROKEN: u8 = 2;

/// Runs the command line without the program's own name, which is for messages.
pub fn main(name: &OsStr, arguments: Vec<OsString>) -> ExitCode {
    let mut asked = Asked::default();
    let done = reading::read(&mut asked, arguments).and_then(|work| match work {
        Work::Help => shown(&reading::help(&name.to_string_lossy())),
        Work::Version => {
            let own = env!("CARGO_PKG_VERSION");
            shown(&format!("The options of isolate {VERSION}\nThe front of seclude {own}.\n"))
        }
        Work::Init => {
            let place = Place::open(&asked)?;
            place.init()?;
            shown(&format!("{}\n", place.path().display()))
        }
        Work::Run => start::run(&asked),
        Work::Cleanup => Place::open(&asked)?.cleanup().map(|()| 0),
    });
    done.map(ExitCode::from).unwrap_or_else(|Refusal(message)| {
        crate::shown::say_as("isolate", &message);
        ExitCode::from(BROKEN)
    })
}

fn shown(text: &str) -> Result<u8> {
    crate::shown::print(text)?;
    Ok(0)
}
