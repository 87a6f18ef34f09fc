//! `seclude_learned`: what a program did, and a sandbox that allows just that.

use crate::boundary::{change, create, free, query, read};
use crate::command::seclude_command;
use crate::error::seclude_error;
use crate::outcome::seclude_outcome;
use crate::sandbox::{from_policy, seclude_sandbox};
use crate::text::seclude_text;
use seclude_core::Learned;
use std::ffi::c_int;
use std::os::unix::ffi::OsStrExt;

/// What a program did: its system calls, and the paths that it named.
pub struct seclude_learned(Learned);

/// Runs the command to its end, and learns which system calls it makes and which paths it names.
///
/// Output that the command does not redirect is discarded, and its standard input is /dev/null. The
/// sandbox's filter applies, but the caller's process applies it instead of the kernel. Every call
/// waits for that, so the command takes many times as long. A thread that this function starts has
/// ended when it returns. Linux 5.5.
///
/// `*outcome` receives how the command ended. `size` is its size in bytes, and it may be NULL.
/// `*learned` is owned: free it with `seclude_learned_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_command_learn(
    command: *mut seclude_command,
    learned: *mut *mut seclude_learned,
    outcome: *mut seclude_outcome,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    create("learned", learned, err, || {
        let known = change("command", command)?.sound()?.learn()?;
        crate::boundary::write_sized(outcome, size, seclude_outcome::new(&known.output.outcome)?);
        Ok(seclude_learned(known))
    })
}

/// Frees what was learned. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_learned_free(learned: *mut seclude_learned) {
    free(learned);
}

/// Returns the system calls in the order of their numbers, one per line: the name, how often it was
/// made, and `refused` if the filter refuses it.
///
/// NULL for NULL. Owned: free it with `seclude_text_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_learned_calls(
    learned: *const seclude_learned,
) -> *mut seclude_text {
    lines(learned, |learned| {
        let line = |(call, count): (_, &u64)| {
            format!(
                "{call} {count}{}\n",
                if learned.refused.contains(call) { " refused" } else { "" }
            )
        };
        learned.calls.iter().map(line).collect::<String>().into_bytes()
    })
}

/// Returns the paths as seen inside, with a NUL after each. NULL for NULL. Owned: free it with
/// `seclude_text_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_learned_paths(
    learned: *const seclude_learned,
) -> *mut seclude_text {
    lines(learned, |learned| {
        learned
            .paths
            .iter()
            .flat_map(|path| path.as_os_str().as_bytes().iter().copied().chain([0]))
            .collect()
    })
}

fn lines(
    learned: *const seclude_learned,
    write: impl FnOnce(&Learned) -> Vec<u8>,
) -> *mut seclude_text {
    query(learned, std::ptr::null_mut(), |learned| {
        Some(Box::into_raw(Box::new(seclude_text::new(write(&learned.0)))))
    })
}

/// Makes a sandbox like the one that the command ran in, with a filter that allows what the command
/// did.
///
/// The filter has what the command's own filter says of each of these calls. Any other call fails
/// with EPERM. `seclude_sandbox_to_toml` writes the policy down. One run may not have done
/// everything that the program can do.
///
/// `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_learned_sandbox(
    learned: *const seclude_learned,
    sandbox: *mut *mut seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    create("sandbox", sandbox, err, || Ok(from_policy(read("learned", learned)?.0.sandbox())))
}
