//! A caller that publishes a cell, and one that enters it. For `tests/tests/lives/named.rs`.
//!
//! - `named keep NAME` publishes a cell and prints "ready". Then it follows the lines of its input:
//!   `reset`, `close`, `publish NAME`, or `forget`, which exits without cleaning up.
//! - `named enter NAME PROGRAM ARGUMENT…` runs a command in the cell, and prints its output and the
//!   mechanisms that enforce its limits.
//! - `named list` prints the names.

use seclude::{MiB, NamedCell, Sandbox};
use std::io::{BufRead, Write};

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["keep", name] => keep(name),
        ["enter", name, program, ref arguments @ ..] => enter(name, program, arguments),
        ["list"] => NamedCell::all()
            .map(|cells| cells.iter().for_each(|cell| println!("{} {}", cell.name(), cell.pid()))),
        _ => panic!("usage: see its head"),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    println!("{text}");
    let _ = std::io::stdout().flush();
}

fn keep(name: &str) -> seclude::Result<()> {
    let sandbox =
        Sandbox::new().tmpfs("/tmp", MiB(4)).hostname("kept").pids(40).memory(MiB(256)).terminals();
    let cell = sandbox.cell()?;
    cell.publish(name)?;
    let mut child =
        cell.command("sh").args(["-c", "echo first > /tmp/file; exec sleep 1000"]).spawn()?;
    say(&format!("ready {}", cell.id()?));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("reset", _) => cell.reset()?,
            ("close", _) => cell.close(),
            ("publish", name) => cell.publish(name)?,
            ("forget", _) => std::process::exit(0),
            (other, _) => panic!("no order {other}"),
        }
        say(&format!("done {}", cell.id().unwrap_or(0)));
    }
    child.kill()?;
    child.wait().map(drop)
}

fn enter(name: &str, program: &str, arguments: &[&str]) -> seclude::Result<()> {
    let cell = NamedCell::find(name)?;
    // A template of the same policy must not interfere: a command enters the cell, not a copy.
    cell.sandbox().prepare()?;
    let output = cell.enter()?.command(program).args(arguments).output()?;
    print!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{:?} {:?}", output.outcome.ended, output.outcome.enforced);
    Ok(())
}
