//! Measures seclude from Rust, for `tests/bench/compare.py`, which has it take turns with other
//! programs.
//!
//! usage: measure turns|throughput|crowd PAYLOAD [--but CHANGE]… …, as each of these files says;
//! `measure filter` writes the default filter's program, for the C floor, which is to be held by
//! the same.

mod crowd;
mod ground;
mod throughput;
mod turns;

use ground::Result;
use std::io::Write;

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--bench") {
        println!("measure: compare.py runs this one");
        return Ok(());
    }
    if words == ["filter"] {
        return Ok(std::io::stdout()
            .write_all(&seclude::Seccomp::profile(seclude::Profile::Default).program()?)?);
    }
    if words.len() < 2 {
        return Err("usage: measure turns|throughput|crowd PAYLOAD [--but CHANGE]… …".into());
    }
    let (story, payload) = (words.remove(0), words.remove(0));
    let sandbox = ground::sandbox(&mut words, &payload)?;
    match story.as_str() {
        "turns" => turns::measure(sandbox, words),
        "throughput" => throughput::measure(sandbox, words),
        "crowd" => crowd::measure(&sandbox, &payload, words),
        _ => Err(format!("{story}: there is no such story").into()),
    }
}
