//! One test at a time, for tests that measure, count or kill what belongs to their whole process:
//! its descriptors, children, memory or wardens.

use std::sync::{Mutex, MutexGuard, PoisonError};

static ALONE: Mutex<()> = Mutex::new(());

/// Keeps other tests of this process that call this function from running until the guard is
/// dropped.
///
/// The Rust test harness runs the tests of a binary in threads of one process. A test is alone
/// only if every test of its binary calls this function.
pub fn alone() -> MutexGuard<'static, ()> {
    // A failed test poisons the mutex. The other tests run all the same.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
