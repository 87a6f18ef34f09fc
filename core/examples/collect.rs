//! Takes the files that a program leaves, by pattern, once it has ended:
//! `collect PATTERN PROGRAM [ARGUMENT…]`. The program runs in `/work`, which is empty.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(pattern), Some(program)) = (words.next(), words.next()) else {
        eprintln!("usage: collect PATTERN PROGRAM [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let sandbox = seclude::Sandbox::new().tmpfs("/work", seclude::MiB(16));
    let mut command = sandbox.command(program);
    let output = match command.args(words).current_dir("/work").collect(pattern).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    eprintln!("{}", output.outcome);
    if let Some(error) = output.files.error {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    for file in output.files.files {
        println!("{}: {:?}", file.path.display(), String::from_utf8_lossy(&file.contents));
    }
    ExitCode::SUCCESS
}
