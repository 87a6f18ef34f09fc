//! Prints where the time of one run goes, as the warden's stage clock tells it: each stage's lower
//! quartile as a share of their sum.
//!
//! usage: cargo bench -p seclude --features stage-clock --bench stages -- PAYLOAD [template|pool]
//! [RUNS]. The clock itself costs a system call a stage.

use seclude::{Sandbox, stage_clock};
use std::collections::BTreeMap;

/// Before each run, as in tests/bench.
const REST: std::time::Duration = std::time::Duration::from_millis(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let payload = words.first().ok_or("usage: stages PAYLOAD [template|pool] [RUNS]")?;
    let ground = words.get(1).map_or("", String::as_str);
    let runs: usize = words.last().and_then(|word| word.parse().ok()).unwrap_or(300);
    let sandbox = Sandbox::new().bind_ro(payload, "/payload");
    if ground == "template" {
        sandbox.prepare()?;
    }
    let pool = if ground == "pool" { Some(sandbox.pool(1)?) } else { None };
    // By the order of the stages: the name, and how long each run took from the stage before.
    let mut stages: BTreeMap<usize, (String, Vec<u64>)> = BTreeMap::new();
    for _ in 0..runs {
        while pool.as_ref().is_some_and(|pool| pool.statistics().ready == 0) {
            std::thread::yield_now();
        }
        // The kernel takes namespaces apart behind the scenes: no run should pay for the one
        // before.
        std::thread::sleep(REST);
        let start = stage_clock::now();
        let mut command = pool
            .as_ref()
            .map_or_else(|| sandbox.command("/payload"), |pool| pool.command("/payload"));
        command.status()?;
        let end = stage_clock::now();
        let mut before = start;
        // What a pool has done before is not this run's.
        let told = stage_clock::taken().into_iter().filter(|(_, at)| *at >= start);
        for (index, (name, at)) in
            told.chain([("the warden has ended, and the run".into(), end)]).enumerate()
        {
            stages.entry(index).or_insert_with(|| (name, Vec::new())).1.push(at - before);
            before = at;
        }
    }
    let usual: Vec<(&str, u64)> =
        stages.values_mut().map(|(name, times)| (name.as_str(), quartile(times))).collect();
    let whole: u64 = usual.iter().map(|(_, time)| time).sum();
    for (name, time) in usual {
        println!("{:6.2} %  {name}", 100.0 * time as f64 / whole as f64);
    }
    Ok(())
}

/// A quarter of the runs took less: what else the machine does makes the others longer.
fn quartile(times: &mut [u64]) -> u64 {
    times.sort_unstable();
    times[times.len() / 4]
}
