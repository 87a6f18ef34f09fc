//! Learns what a program does, and writes a policy that lets it do that and nothing else: `learn
//! PROGRAM [ARGUMENT…]`. Prints the program's output to standard error, and the policy, in TOML, to
//! standard output.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: learn PROGRAM [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let learned = seclude::Sandbox::new().command(program).args(words).learn();
    match learned.and_then(|learned| Ok((learned.sandbox().to_toml()?, learned))) {
        Ok((policy, learned)) => {
            eprint!("{}", String::from_utf8_lossy(&learned.output.stdout));
            eprintln!(
                "{}; {} calls, paths {:?}",
                learned.output.outcome,
                learned.calls.values().sum::<u64>(),
                learned.paths
            );
            print!("{policy}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
