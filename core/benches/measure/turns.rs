//! One whole run per line of input.
//!
//! usage: measure turns PAYLOAD [--but CHANGE]… [--on template|pool|cell|shares|reset|new-cell] MIB
//! WARMUP. It prints "ready" after its warm-up, then the nanoseconds of each run.

use super::ground::{self, Ground, Result};
use seclude::Sandbox;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

pub fn measure(sandbox: Sandbox, mut words: Vec<String>) -> Result<()> {
    let ground = Ground::chosen(&mut words, sandbox, 4)?;
    let [mib, warmup] = words.as_slice() else {
        return Err(format!("what does {words:?} mean?").into());
    };
    let memory = ground::caller(mib.parse()?);
    for _ in 0..warmup.parse()? {
        ground.run()?;
    }
    ground.settle();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        ground.run()?;
        let time = start.elapsed();
        ground.settle();
        println!("{}", time.as_nanos());
        std::io::stdout().flush()?;
    }
    black_box(memory);
    Ok(())
}
