//! Many runs: several threads of one caller run the payload as fast as they can.
//!
//! usage: measure throughput PAYLOAD [--but CHANGE]… [--on template|pool|cell] THREADS RUNS. It
//! prints "ready", waits for a line, and prints how many nanoseconds all runs took together.

use super::ground::{Ground, Result};
use seclude::Sandbox;
use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

pub fn measure(sandbox: Sandbox, mut words: Vec<String>) -> Result<()> {
    let runs: usize = words.pop().ok_or("how many runs?")?.parse()?;
    let threads: usize = words.pop().ok_or("how many threads?")?.parse()?;
    // A pool that has one ready for each thread while each uses one.
    let ground = Ground::chosen(&mut words, sandbox, 2 * threads)?;
    for _ in 0..threads {
        ground.run()?;
    }
    ground.settle();
    println!("ready");
    std::io::stdin().lock().lines().next().transpose()?;
    let begun = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let work = || -> std::result::Result<(), String> {
            while begun.fetch_add(1, Ordering::Relaxed) < runs {
                ground.run().map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no thread panics"))
    })?;
    println!("{}", start.elapsed().as_nanos());
    Ok(())
}
