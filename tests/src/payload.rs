//! The payload (`src/bin/payload.rs`) inside a sandbox: how it gets there, and how its processes
//! are told from all others.

use crate::caller::program;
use seclude::{Command, Sandbox};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the payload is inside.
pub const PLACE: &str = "/payload";

/// A sandbox with the payload and little else.
pub fn sandbox() -> Sandbox {
    Sandbox::new().bind_ro(program("payload"), PLACE)
}

/// A mark that no other run has, for the payload's arguments.
pub fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("payload-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The payload's `word` with its number in this sandbox, as `mark`; what it writes in a directory,
/// it writes in `/tmp`.
pub fn command(sandbox: &Sandbox, word: &str, number: u64, mark: &str) -> Command {
    let mut command = sandbox.command(PLACE);
    command.args([word, &number.to_string(), "/tmp", mark]);
    command
}

/// How often a bomb goes off: SECLUDE_ROUNDS, else so often.
pub fn rounds(usual: u32) -> u32 {
    std::env::var("SECLUDE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
