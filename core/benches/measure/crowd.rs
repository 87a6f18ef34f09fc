//! Many cells at once, for what they cost together: `tests/bench/memory.py` looks at them from
//! outside meanwhile.
//!
//! usage: measure crowd PAYLOAD [--but CHANGE]… [--template] CELLS. It prints the nanoseconds of
//! starting the payload as often, alone and to its end; after a line of input those of making the
//! cells; after another one, of closing them.

use super::ground::Result;
use seclude::Sandbox;
use std::io::BufRead;
use std::process::Command;
use std::time::Instant;

pub fn measure(sandbox: &Sandbox, payload: &str, mut words: Vec<String>) -> Result<()> {
    let number: usize = words.pop().ok_or("how many cells?")?.parse()?;
    if words == ["--template"] {
        sandbox.prepare()?;
    }
    // The first of everything is the library's own cost, and not each cell's.
    let first = sandbox.cell()?;
    let mut lines = std::io::stdin().lock().lines();
    let start = Instant::now();
    for _ in 0..number {
        if !Command::new(payload).status()?.success() {
            return Err(format!("{payload} failed").into());
        }
    }
    println!("{}", start.elapsed().as_nanos());
    lines.next().transpose()?;
    let start = Instant::now();
    let cells = (0..number).map(|_| sandbox.cell()).collect::<seclude::Result<Vec<_>>>()?;
    println!("{}", start.elapsed().as_nanos());
    lines.next().transpose()?;
    let start = Instant::now();
    cells.iter().for_each(|cell| cell.close());
    println!("{}", start.elapsed().as_nanos());
    first.close();
    Ok(())
}
