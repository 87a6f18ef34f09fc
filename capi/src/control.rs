//! A running command under control: what it uses now, limits that change, standing still and going
//! on.

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

/// Writes what it has used so far to `*usage`, a structure of `size` bytes, and what holds it: the
/// fields about its end are 0. After its end is known, what it used in all. 0, or an error.
#[unsafe(no_mangle)]
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

/// Changes the memory limit of a running command, in bytes. The policy must have set one:
/// `SECLUDE_EINVAL` if not, and so below. 0 also if it has ended already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_memory(
    child: *mut seclude_child,
    bytes: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_memory(bytes))
}

/// Changes how many processors' worth of time it gets: 0.01 to 8192.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_cpus(
    child: *mut seclude_child,
    number: f64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_cpus(number))
}

/// Changes how many milliseconds of processor time it may use in all, what it has used already
/// included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_cpu_time(
    child: *mut seclude_child,
    milliseconds: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_cpu_time(Duration::from_millis(milliseconds)))
}

/// Changes how many processes and threads may be inside at one time. Fewer than there are ends none
/// of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_pids(
    child: *mut seclude_child,
    number: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_pids(number))
}

/// Lets everything inside stand still until `seclude_child_thaw`. 0, and `*how`, which may be NULL,
/// is the `SECLUDE_FREEZER_...` that did it. A frozen command can be killed, and its times go on:
/// wall time too.
#[unsafe(no_mangle)]
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

/// Lets a frozen command go on. 0 also if it was not frozen, or has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_thaw(
    child: *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, seclude_core::Child::thaw)
}

/// The name of a `SECLUDE_FREEZER_...`: "sigstop", the same in every language. NULL for any other
/// number. Never freed.
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
