//! Control of a running command: its usage, changes of limits, freezing and thawing.

use crate::boundary::{Answer, change, code, write_sized};
use crate::child::{State, request, seclude_child};
use crate::error::seclude_error;
use crate::outcome::seclude_outcome;
use crate::words::{Words, name_of, number_of};
use seclude_core::Freezer;
use std::ffi::{c_char, c_int};
use std::time::Duration;

// faces: begin freezers as C constants
/// `cgroup.freeze` of cgroup v2: the kernel stops all processes at once.
pub const SECLUDE_FREEZER_CGROUP_V2: c_int = 1;
/// The freezer of cgroup v1: the kernel stops all processes at once.
pub const SECLUDE_FREEZER_CGROUP_V1: c_int = 2;
/// SIGSTOP to every process. This is weaker: a parent inside can see that its child has stopped,
/// and a process that gets SIGCONT continues.
pub const SECLUDE_FREEZER_SIGNAL: c_int = 3;
// faces: end

const FREEZERS: &Words<c_int> = &[
    // faces: begin freezers with their names
    (SECLUDE_FREEZER_CGROUP_V2, c"cgroup-v2"),
    (SECLUDE_FREEZER_CGROUP_V1, c"cgroup-v1"),
    (SECLUDE_FREEZER_SIGNAL, c"sigstop"),
    // faces: end
];

/// Writes to `*usage` what the command has used so far, and which protections and mechanisms are
/// active.
///
/// The fields about the end are 0. Once the end of the command is known, the numbers are those of
/// the whole run. `size` is the size of `*usage` in bytes. `usage` may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_usage(
    child: *mut seclude_child,
    usage: *mut seclude_outcome,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let child = change("child", child)?;
        let used = match &mut child.state {
            State::Held(child) => child.usage()?,
            State::Collected(outcome) => outcome.as_ref().clone()?.usage,
        };
        write_sized(usage, size, seclude_outcome::running(&used, &child.enforced));
        Ok(0)
    })
}

/// Changes the memory limit of a running command, in bytes.
///
/// The policy must set that limit. If it does not, this and the other `seclude_child_set_...`
/// return `SECLUDE_EINVAL`. They return 0 also if the command has ended already.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_set_memory(
    child: *mut seclude_child,
    bytes: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_memory(bytes))
}

/// Changes how many processors the command may use at a time: 0.01 to 8192.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_set_cpus(
    child: *mut seclude_child,
    number: f64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_cpus(number))
}

/// Changes the limit on processor time, in milliseconds, counted from the start of the command.
///
/// It can be raised by at most 60 seconds above the value at the start, where the kernel itself
/// ends each process (`RLIMIT_CPU`).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_set_cpu_time(
    child: *mut seclude_child,
    milliseconds: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_cpu_time(Duration::from_millis(milliseconds)))
}

/// Changes how many processes and threads may exist inside at a time. A lower limit ends none of
/// those that exist.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_set_pids(
    child: *mut seclude_child,
    number: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_pids(number))
}

/// Freezes everything inside until `seclude_child_thaw`.
///
/// `*how` receives the `SECLUDE_FREEZER_...` that did it. `how` may be NULL. A frozen command can
/// be killed, and its wall time goes on.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_freeze(
    child: *mut seclude_child,
    how: *mut c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let freezer = match &mut change("child", child)?.state {
            State::Held(child) => child.freeze()?,
            State::Collected(_) => {
                return Err(seclude_error::invalid(
                    "child",
                    "has ended: there is nothing to freeze",
                ));
            }
        };
        crate::boundary::write(how, number(freezer)?);
        Ok(0)
    })
}

/// Thaws a frozen command. Returns 0 also if it is not frozen, or has ended.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_thaw(
    child: *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, seclude_core::Child::thaw)
}

/// Returns the name of a `SECLUDE_FREEZER_...`, which is the same in every language: "sigstop".
/// NULL for any other number. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_freezer_name(freezer: c_int) -> *const c_char {
    name_of(FREEZERS, freezer)
}

pub(crate) fn number(freezer: Freezer) -> Answer<c_int> {
    let number = number_of(FREEZERS, freezer.name());
    number.ok_or_else(|| {
        seclude_error::internal("freeze", &format!("\"{freezer}\" has no number in C"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::assert_complete;

    #[test]
    fn every_freezer_has_a_number_that_is_not_zero() {
        assert_complete(FREEZERS, Freezer::ALL.iter().map(|freezer| freezer.name()));
        assert!(seclude_freezer_name(0).is_null());
    }
}
