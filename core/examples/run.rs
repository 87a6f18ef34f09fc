//! Runs a program in a sandbox whose policy is given as JSON, and tells how it ended:
//! `run '{"hostname": "judge"}' PROGRAM [ARGUMENT…]`. `{}` is the default sandbox.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(policy), Some(program)) = (words.next(), words.next()) else {
        eprintln!("usage: run POLICY PROGRAM [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let outcome = seclude::Sandbox::from_json(&policy.to_string_lossy())
        .and_then(|sandbox| sandbox.command(program).args(words).status());
    match outcome {
        Ok(outcome) => {
            eprintln!("{}; {:?}; enforced {:?}", outcome.ended, outcome.usage, outcome.enforced);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
