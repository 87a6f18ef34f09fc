//! A caller that keeps many cells, each with a command that clings to life, and a pool that is
//! full: as many of its sandboxes are ready as can be, and as many in use. Until it is killed: for
//! `tests/tests/lives/cells.rs`. `keeper MARK CELLS POOL`: prints a line when all are there.

use seclude::Sandbox;
use std::io::Write;
use std::time::Duration;

fn main() -> seclude::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let number = |index: usize| words[index].parse::<usize>().unwrap_or(1);
    let (mark, cells, size) = (&words[1], number(2), number(3));
    let sandbox = Sandbox::new();
    sandbox.prepare()?;
    let pool = sandbox.pool(size)?;
    // They stay, and cost nothing meanwhile: a slow processor has to start so many beside them.
    let script = "(setsid sh -c 'sleep 1000; :' $0 &); sleep 1000; :";
    let mut kept = Vec::new();
    for _ in 0..cells {
        let cell = sandbox.cell()?;
        let child = cell.command("sh").args(["-c", script, mark]).spawn()?;
        kept.push((cell, child));
    }
    let busy = (0..size)
        .map(|_| pool.command("sh").args(["-c", script, mark]).spawn())
        .collect::<Result<Vec<_>, _>>()?;
    while pool.statistics().ready < size {
        std::thread::sleep(Duration::from_millis(2));
    }
    println!("{} {}", kept.len(), pool.statistics().in_use);
    let _ = std::io::stdout().flush();
    std::thread::sleep(Duration::from_secs(600));
    drop((kept, busy));
    Ok(())
}
