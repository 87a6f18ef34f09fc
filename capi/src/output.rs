//! `seclude_output`: what a finished command wrote, and how it ended.

use crate::boundary::{Answer, free, told, write, write_sized};
use crate::outcome::seclude_outcome;
use crate::text::seclude_text;
use seclude_core::Output;
use std::ffi::{c_char, c_int};

/// What a finished command wrote, and how it ended. Never changes.
pub struct seclude_output {
    outcome: seclude_outcome,
    stdout: seclude_text,
    stderr: seclude_text,
}

impl seclude_output {
    pub(crate) fn new(output: Output) -> Answer<seclude_output> {
        let Output { outcome, stdout, stderr } = output;
        Ok(seclude_output {
            outcome: seclude_outcome::new(&outcome)?,
            stdout: seclude_text::new(stdout),
            stderr: seclude_text::new(stderr),
        })
    }
}

/// Writes how it ended to `*outcome`, a structure of `size` bytes, and returns 0; `SECLUDE_EINVAL`
/// if `output` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_output_outcome(
    output: *const seclude_output,
    outcome: *mut seclude_outcome,
    size: usize,
) -> c_int {
    told(output, crate::error::SECLUDE_EINVAL, |output| {
        write_sized(outcome, size, output.outcome);
        Some(0)
    })
}

/// What it wrote to its standard output, if that was piped, and how many bytes in `*length`, which
/// may be NULL. A NUL follows the last byte. "" and 0 for NULL, so never NULL. Borrowed: valid
/// until the output is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_output_stdout(
    output: *const seclude_output,
    length: *mut usize,
) -> *const c_char {
    borrowed(output, length, |output| &output.stdout)
}

/// What it wrote to its standard error, as `seclude_output_stdout`.
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
    let (start, size) = told(output, (c"".as_ptr(), 0), |output| {
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
