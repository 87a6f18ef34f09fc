//! Runs the program and arguments that are given in the default sandbox and prints how it ended.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: run PROGRAM [ARGUMENT…]");
        return ExitCode::from(2);
    };
    match seclude::Sandbox::new().command(program).args(words).status() {
        Ok(outcome) => {
            eprintln!("{}\n{:?}\n{:?}", outcome.ended, outcome.usage, outcome.enforced);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
