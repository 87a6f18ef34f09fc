//! `seclude_output`: what a finished command wrote, and how it ended.

use crate::boundary::{Answer, free, query, write, write_sized};
use crate::collected::seclude_collected;
use crate::outcome::seclude_outcome;
use crate::text::seclude_text;
use seclude_core::{EgressReport, Output};
use std::ffi::{c_char, c_int};

/// What a command wrote, and how it ended. It never changes.
pub struct seclude_output {
    outcome: seclude_outcome,
    stdout: seclude_text,
    stderr: seclude_text,
    pub(crate) files: seclude_collected,
    pub(crate) egress: EgressReport,
}

impl seclude_output {
    pub(crate) fn new(output: Output) -> Answer<seclude_output> {
        let Output { outcome, stdout, stderr, files } = output;
        Ok(seclude_output {
            egress: outcome.egress.clone().unwrap_or_default(),
            outcome: seclude_outcome::new(&outcome)?,
            stdout: seclude_text::new(stdout),
            stderr: seclude_text::new(stderr),
            files: seclude_collected::new(files),
        })
    }
}

/// Writes to `*outcome` how the command ended. Returns 0, or `SECLUDE_EINVAL` if `output` is NULL.
///
/// `size` is the size of `*outcome` in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_output_outcome(
    output: *const seclude_output,
    outcome: *mut seclude_outcome,
    size: usize,
) -> c_int {
    query(output, crate::error::SECLUDE_EINVAL, |output| {
        write_sized(outcome, size, output.outcome);
        Some(0)
    })
}

/// Returns what the command wrote to its standard output, if that was a pipe, with a NUL after the
/// last byte.
///
/// `*length` receives the number of bytes. `length` may be NULL. For NULL the result is "" and 0,
/// so it is never NULL. Borrowed: valid until the output is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_output_stdout(
    output: *const seclude_output,
    length: *mut usize,
) -> *const c_char {
    borrowed(output, length, |output| &output.stdout)
}

/// Returns what the command wrote to its standard error, as `seclude_output_stdout` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_output_stderr(
    output: *const seclude_output,
    length: *mut usize,
) -> *const c_char {
    borrowed(output, length, |output| &output.stderr)
}

fn borrowed(
    output: *const seclude_output,
    length: *mut usize,
    which: impl Fn(&seclude_output) -> &seclude_text,
) -> *const c_char {
    let (start, size) = query(output, (c"".as_ptr(), 0), |output| {
        Some((which(output).start(), which(output).length()))
    });
    write(length, size);
    start
}

/// Frees an output. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_output_free(output: *mut seclude_output) {
    free(output);
}
