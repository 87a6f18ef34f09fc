//! A running command under control: what it uses now, limits that change, standing still and going on.

use crate::boundary::{Answer, change, code, write_sized};
use crate::child::{State, request, seclude_child};
use crate::error::seclude_error;
use crate::outcome::seclude_outcome;
use seclude_core::Freezer;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::time::Duration;

/// `cgroup.freeze` of cgroup v2 froze it: the kernel, all at once.
pub const SECLUDE_FREEZER_CGROUP_V2: c_int = 1;
/// The freezer controller of cgroup v1 did.
pub const SECLUDE_FREEZER_CGROUP_V1: c_int = 2;
/// SIGSTOP to every process did. Weaker: their parents inside see it.
pub const SECLUDE_FREEZER_SIGNAL: c_int = 3;

/// Writes what it has used so far to `*usage`, a structure of `size` bytes, and what holds it: the fields about its end are 0. After its
/// end is known, what it used in all. 0, or an error.
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

/// Changes the memory limit of a running command, in bytes. The policy must have set one: `SECLUDE_EINVAL` if not, and so below. 0
/// also if it has ended already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_memory(child: *mut seclude_child, bytes: u64, err: *mut *mut seclude_error) -> c_int {
    request(child, err, |child| child.set_memory(bytes))
}

/// Changes how many processors' worth of time it gets: 0.01 to 8192.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_cpus(child: *mut seclude_child, number: f64, err: *mut *mut seclude_error) -> c_int {
    request(child, err, |child| child.set_cpus(number))
}

/// Changes how many milliseconds of processor time it may use in all, what it has used already included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_cpu_time(
    child: *mut seclude_child,
    milliseconds: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.set_cpu_time(Duration::from_millis(milliseconds)))
}

/// Changes how many processes and threads may be inside at one time. Fewer than there are ends none of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_set_pids(child: *mut seclude_child, number: u64, err: *mut *mut seclude_error) -> c_int {
    request(child, err, |child| child.set_pids(number))
}

/// Lets everything inside stand still until `seclude_child_thaw`. 0, and `*how`, which may be NULL, is the `SECLUDE_FREEZER_...` that
/// did it. A frozen command can be killed, and its times go on: wall time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_freeze(child: *mut seclude_child, how: *mut c_int, err: *mut *mut seclude_error) -> c_int {
    code(err, || {
        let freezer = match &mut change("child", child)?.state {
            State::Held(child) => child.freeze()?,
            State::Collected(_) => return Err(seclude_error::invalid("child", "has ended: there is nothing to freeze")),
        };
        crate::boundary::write(how, number(freezer)?);
        Ok(0)
    })
}

/// Lets a frozen command go on. 0 also if it was not frozen, or has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_thaw(child: *mut seclude_child, err: *mut *mut seclude_error) -> c_int {
    request(child, err, seclude_core::Child::thaw)
}

/// The name of a `SECLUDE_FREEZER_...`: "sigstop", the same in every language. NULL for any other number. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_freezer_name(freezer: c_int) -> *const c_char {
    let name = match freezer {
        SECLUDE_FREEZER_CGROUP_V2 => c"cgroup-v2",
        SECLUDE_FREEZER_CGROUP_V1 => c"cgroup-v1",
        SECLUDE_FREEZER_SIGNAL => c"sigstop",
        _ => return ptr::null(),
    };
    name.as_ptr()
}

pub(crate) fn number(freezer: Freezer) -> Answer<c_int> {
    Ok(match freezer {
        Freezer::CgroupV2 => SECLUDE_FREEZER_CGROUP_V2,
        Freezer::CgroupV1 => SECLUDE_FREEZER_CGROUP_V1,
        Freezer::Signal => SECLUDE_FREEZER_SIGNAL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn every_freezer_has_the_name_of_the_core() {
        for freezer in Freezer::ALL {
            let name = seclude_freezer_name(number(*freezer).expect("a number"));
            assert!(!name.is_null());
            // SAFETY: a name of ours, which lives for ever.
            assert_eq!(unsafe { CStr::from_ptr(name) }.to_str(), Ok(freezer.name()));
        }
        assert!(seclude_freezer_name(0).is_null());
    }
}
