//! The command `seclude`: runs programs in isolation from a shell.
//!
//! Each command has a file. `arguments` declares what can be written on the command line, `policy`
//! turns the options into a sandbox, `session` runs a command with the caller's streams or a
//! terminal, and `status` decides the exit status.
#![forbid(unsafe_code)]

mod arguments;
mod batch;
mod bwrap;
mod cells;
mod entries;
mod fix;
mod front;
mod image;
mod isolate;
mod learn;
mod look;
mod manual;
mod networks;
mod policy;
mod ports;
mod report;
mod run;
mod session;
mod shown;
mod signals;
mod status;
mod terminal;
mod tree;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    if front::is_meant("bwrap", &name) {
        return bwrap::main(&name, words.collect());
    }
    if front::is_meant("isolate", &name) {
        return isolate::main(&name, words.collect());
    }
    if !words.any(|word| shows_documentation(word.as_bytes())) {
        arguments::leave_out_documentation();
    }
    let matches = match arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // A closed standard output is no reason to fail.
            let _ = error.print();
            return if error.use_stderr() { status::usage() } else { ExitCode::SUCCESS };
        }
    };
    let Some((name, matches)) = matches.subcommand() else { return status::usage() };
    let done = match name {
        "bwrap" => return bwrap::main("seclude bwrap".as_ref(), words_of(matches)),
        "isolate" => return isolate::main("seclude isolate".as_ref(), words_of(matches)),
        "run" => run::run(matches),
        "shell" => run::shell(matches),
        "explain" => look::explain(matches),
        "check" => look::check(matches),
        "doctor" => look::doctor(matches),
        "learn" => learn::learn(matches),
        "cells" => cells::cells(matches),
        "image" => image::image(matches),
        "batch" => batch::batch(matches),
        "tree" => tree::tree(matches),
        "completions" => manual::completions(matches),
        "manual" => manual::write(matches),
        _ => unreachable!("clap knows the commands"),
    };
    done.unwrap_or_else(|failure| failure.report())
}

/// Whether a command line with this word may print the documentation of options.
fn shows_documentation(word: &[u8]) -> bool {
    let options = word.strip_prefix(b"-").filter(|options| !options.starts_with(b"-"));
    options.is_some_and(|options| options.contains(&b'h'))
        || [&b"--help"[..], b"completions", b"manual"].contains(&word)
}

/// The words of a command whose options are read by hand.
fn words_of(matches: &clap::ArgMatches) -> Vec<OsString> {
    matches.get_many("OPTIONS").unwrap_or_default().cloned().collect()
}
