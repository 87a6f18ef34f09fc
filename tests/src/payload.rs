//! The payload (`src/bin/payload`) in a sandbox, and marks by which its processes are found.

use crate::caller::program;
use seclude::{Command, Sandbox};
use std::sync::atomic::{AtomicU32, Ordering};

/// The path of the payload inside.
pub const PLACE: &str = "/payload";

/// A sandbox that contains the payload and little else.
pub fn sandbox() -> Sandbox {
    Sandbox::new().bind_ro(program("payload"), PLACE)
}

/// A mark that is unique to this run, for the arguments of the payload.
pub fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("payload-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A command that runs the payload's `word` with `number` in this sandbox, under `mark`. Words that
/// write files write them in `/tmp`.
pub fn command(sandbox: &Sandbox, word: &str, number: u64, mark: &str) -> Command {
    let mut command = sandbox.command(PLACE);
    command.args([word, &number.to_string(), "/tmp", mark]);
    command
}

/// The number of rounds: SECLUDE_ROUNDS, or `usual` if that is not set.
pub fn rounds(usual: u32) -> u32 {
    std::env::var("SECLUDE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
