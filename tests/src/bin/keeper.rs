//! A caller with many cells, each of which runs a command and a daemon that it left, and with a
//! full pool: as many sandboxes ready as the pool holds, and as many in use. It waits until it is
//! killed. For `tests/tests/lives/cells.rs`.
//!
//! Usage: `keeper MARK CELLS POOL`. Prints a line when everything is running.

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
    // These processes only sleep, because a slow processor has to start many of them.
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
