//! Measures seclude from Rust, one whole run per line of input, so that `tests/bench/compare.py` can have several
//! programs take turns.
//!
//! usage: face [--share-net] [--limits] [--prepared | --pool | --cell | --reset | --new-cell] MIB WARMUP PAYLOAD. It prints "ready" after its warm-up, then the nanoseconds of each run.

use seclude::{Ended, MiB, Namespace, Sandbox};
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--bench") {
        println!("face: compare.py runs this one");
        return Ok(());
    }
    if words == ["--filter"] {
        // For the floor, which is to be held by the same program.
        return Ok(std::io::stdout().write_all(&seclude::Seccomp::profile(seclude::Profile::Default).program()?)?);
    }
    let mut option = |name: &str| {
        let found = words.first().is_some_and(|word| word == name);
        if found {
            words.remove(0);
        }
        found
    };
    let (share_net, limits) = (option("--share-net"), option("--limits"));
    let grounds = ["--prepared", "--pool", "--cell", "--reset", "--new-cell"];
    let ground = grounds.into_iter().find(|ground| option(ground)).unwrap_or_default();
    let [mib, warmup, payload] = words.as_slice() else {
        return Err(
            "usage: face [--share-net] [--limits] [--prepared | --pool | --cell | --reset | --new-cell] MIB WARMUP PAYLOAD".into(),
        );
    };
    let memory = touched(mib.parse()?);
    let sandbox = Sandbox::new().bind_ro(payload, "/payload");
    let sandbox = if share_net { sandbox.share(Namespace::Net) } else { sandbox };
    let sandbox = if limits {
        sandbox.memory(MiB(256)).pids(16).cpu_time(Duration::from_secs(10)).wall_time(Duration::from_secs(60))
    } else {
        sandbox
    };
    let (cell, pool) = match ground {
        "--cell" | "--reset" => (Some(sandbox.cell()?), None),
        "--pool" => (None, Some(sandbox.pool(4)?)),
        _ => (None, None),
    };
    if ground == "--prepared" {
        sandbox.prepare()?;
    }
    let run = || -> Result<(), Box<dyn Error>> {
        let mut command = match (&cell, &pool) {
            (Some(cell), _) if ground == "--reset" => return Ok(cell.reset()?),
            (Some(cell), _) => cell.command("/payload"),
            (_, Some(pool)) => pool.command("/payload"),
            _ if ground == "--new-cell" => {
                sandbox.cell()?.close();
                return Ok(());
            }
            _ => sandbox.command("/payload"),
        };
        match command.status()?.ended {
            Ended::Exited(0) => Ok(()),
            ended => Err(ended.to_string().into()),
        }
    };
    for _ in 0..warmup.parse()? {
        run()?;
    }
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        run()?;
        println!("{}", start.elapsed().as_nanos());
        std::io::stdout().flush()?;
    }
    black_box(memory);
    Ok(())
}

/// So many MiB, filled page by page.
fn touched(mib: usize) -> Vec<u8> {
    let mut memory = vec![0u8; mib << 20];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    black_box(memory)
}
