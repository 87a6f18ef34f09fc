//! `seclude bwrap`: the command line of bubblewrap 0.11 over this library, also under the name
//! `bwrap`.
//!
//! Every option is exact, or it is an error with a reason: none is ignored. `table` declares them
//! all, and `reading` reads a command line. `asked` collects what the command line asks for,
//! `layout` knows what is visible where, `policy` makes a sandbox of it, and `start` runs the
//! program. docs/bwrap.md is the reference.

mod asked;
mod descriptors;
mod layout;
mod policy;
mod reading;
mod start;
mod table;

use crate::front::{Refusal, Result};
use asked::Asked;
pub use descriptors::inherited;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

/// The version of bubblewrap whose options these are.
const VERSION: &str = "0.11.1";
/// The exit status of every error of this program itself.
const FAILED: u8 = 1;

/// Runs the command line without the program's own name, which is for messages.
pub fn main(name: &OsStr, arguments: Vec<OsString>) -> ExitCode {
    let mut asked = Asked::default();
    let read = reading::read(&mut asked, arguments).and_then(|()| asked.know_itself(name));
    let prefixed = asked.level_prefix;
    let done = match read {
        Ok(()) if asked.help => return shown(&reading::help(&name.to_string_lossy())),
        Ok(()) if asked.version => {
            let own = env!("CARGO_PKG_VERSION");
            return shown(&format!("bubblewrap {VERSION}\nThe front of seclude {own}.\n"));
        }
        Ok(()) if asked.command.is_empty() => {
            say(prefixed, Severity::Error, "no program is given");
            eprint!("{}", reading::help(&name.to_string_lossy()));
            return ExitCode::from(FAILED);
        }
        Ok(()) => {
            for warning in &asked.warnings {
                say(prefixed, Severity::Warning, warning);
            }
            start::run(asked)
        }
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(Refusal(message)) => {
            say(prefixed, Severity::Error, &message);
            ExitCode::from(FAILED)
        }
    }
}

fn shown(text: &str) -> ExitCode {
    match crate::shown::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

/// How grave a message is: the number of syslog(3).
#[derive(Clone, Copy)]
enum Severity {
    Error = 3,
    Warning = 4,
}

fn say(prefixed: bool, severity: Severity, message: &str) {
    let prefix = if prefixed { format!("<{}>", severity as u8) } else { String::new() };
    crate::shown::say_as(&format!("{prefix}bwrap"), message);
}

/// A path as bytes, for messages.
fn display(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned()
}
