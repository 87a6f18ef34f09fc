//! A caller that forks a worker while a command runs, as Python's multiprocessing does. The worker
//! holds copies of everything that the caller holds.
//!
//! - `worker MARK`: the command and the daemon that it leaves have MARK in their arguments. The
//!   worker sleeps until it is killed. The caller waits for the command.
//! - `worker MARK frozen`: forks no worker, freezes the command, prints the mechanism, and waits.

use nix::unistd::{ForkResult, fork, pause};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(mark) = std::env::args().nth(1) else { return ExitCode::from(2) };
    let started = seclude::Sandbox::new()
        .command("sh")
        .args([
            "-c",
            "(setsid sh -c 'while :; do sleep 0.2; done' $0 &); while :; do sleep 0.2; done",
            &mark,
        ])
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if std::env::args().nth(2).is_some_and(|word| word == "frozen") {
        while child.processes().is_ok_and(|list| list.len() < 3) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        match child.freeze() {
            Ok(freezer) => println!("frozen by {freezer}"),
            Err(error) => println!("{error}"),
        }
        return if child.wait().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    // SAFETY: this process has one thread, so its child may do anything. It only sleeps.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => loop {
            pause();
        },
        Ok(ForkResult::Parent { child: worker }) => {
            println!("{worker}");
            match child.wait() {
                Ok(_) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(_) => ExitCode::FAILURE,
    }
}
