//! Test programs that run again in the sandbox for tests. The headers `seclude/testing.h` and
//! `seclude/gtest.hpp` are built upon these functions.

use crate::command::seclude_command;
use std::ffi::c_int;

/// Returns 1 if this process runs in a sandbox that `seclude_test_command` has made, otherwise 0.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_test_is_inside() -> c_int {
    c_int::from(seclude_core::testing::is_inside())
}

/// Makes a command that runs this program again in the sandbox of `seclude_sandbox_for_tests`, with
/// the same working directory and environment. It has no arguments yet. Never NULL: a failure
/// sticks to the command.
///
/// Owned: free it with `seclude_command_free`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn seclude_test_command() -> *mut seclude_command {
    seclude_command::new(|| Ok(seclude_core::testing::command()?))
}
