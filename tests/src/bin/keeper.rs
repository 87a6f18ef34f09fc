//! A caller that keeps many cells and a full pool, each cell with a command that clings to life, until it is killed: for `tests/cells.rs`.
//! `keeper MARK CELLS`: prints a line when all are there.

use seclude::Sandbox;
use std::io::Write;

fn main() -> seclude::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let (mark, number) = (&words[1], words[2].parse().unwrap_or(1));
    let sandbox = Sandbox::new();
    sandbox.prepare()?;
    let pool = sandbox.pool(4)?;
    let mut kept = Vec::new();
    for _ in 0..number {
        let cell = sandbox.cell()?;
        let script = "(setsid sh -c 'while :; do sleep 0.2; done' $0 &); while :; do sleep 0.2; done";
        let child = cell.command("sh").args(["-c", script, mark]).spawn()?;
        kept.push((cell, child));
    }
    let busy = pool.command("sh").args(["-c", "while :; do sleep 0.2; done", mark]).spawn()?;
    println!("{}", kept.len());
    let _ = std::io::stdout().flush();
    std::thread::sleep(std::time::Duration::from_secs(600));
    drop((kept, busy));
    Ok(())
}
