//! `seclude_seccomp`: which system calls a command may make, and the setters of filters.

use crate::boundary::{Answer, Sticky, data, free, read, set, utf8};
use crate::error::seclude_error;
use crate::sandbox::{build, seclude_sandbox};
use crate::words::{Words, word_of};
use seclude_core::{Action, Compare, Profile, Rule, Seccomp, Syscall, Test};
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::mem;
use std::sync::{Mutex, PoisonError};

/// The kernel makes the call.
pub const SECLUDE_SECCOMP_ALLOW: c_int = 1;
/// The call fails with an error number of errno(3), 1 to 4095, and has no other effect.
pub const SECLUDE_SECCOMP_DENY: c_int = 2;
/// The call is not made, and the command ends with `SECLUDE_ENDED_SYSCALL`. Linux 5.0.
pub const SECLUDE_SECCOMP_KILL: c_int = 3;
/// The kernel makes the call, and writes it to its log.
pub const SECLUDE_SECCOMP_LOG: c_int = 4;
/// The caller decides: `seclude_child_take_listener`. Linux 5.5.
pub const SECLUDE_SECCOMP_NOTIFY: c_int = 5;

// faces: begin comparisons as C constants
/// The argument is the value.
pub const SECLUDE_COMPARE_EQUAL: c_int = 1;
/// The argument is not the value.
pub const SECLUDE_COMPARE_NOT_EQUAL: c_int = 2;
/// The argument is less than the value.
pub const SECLUDE_COMPARE_LESS: c_int = 3;
/// The argument is at most the value.
pub const SECLUDE_COMPARE_LESS_OR_EQUAL: c_int = 4;
/// The argument is more than the value.
pub const SECLUDE_COMPARE_GREATER: c_int = 5;
/// The argument is at least the value.
pub const SECLUDE_COMPARE_GREATER_OR_EQUAL: c_int = 6;
// faces: end

const COMPARISONS: &Words<c_int> = &[
    // faces: begin comparisons with their names
    (SECLUDE_COMPARE_EQUAL, c"=="),
    (SECLUDE_COMPARE_NOT_EQUAL, c"!="),
    (SECLUDE_COMPARE_LESS, c"<"),
    (SECLUDE_COMPARE_LESS_OR_EQUAL, c"<="),
    (SECLUDE_COMPARE_GREATER, c">"),
    (SECLUDE_COMPARE_GREATER_OR_EQUAL, c">="),
    // faces: end
];

/// A seccomp filter: a profile, and rules that take precedence over it.
///
/// The last rule that matches a call decides. If none matches, the profile decides. The filter
/// applies to everything that the command runs, but not to its own start: even a filter without
/// `execve` lets the program start that the caller names, and no other.
///
/// A mistake in a setter sticks to the filter, and then to the sandbox that is given the filter.
pub struct seclude_seccomp {
    filter: Seccomp,
    /// The last rule, to which conditions may still be added.
    rule: Option<Rule>,
    sticky: Option<seclude_error>,
}

impl seclude_seccomp {
    fn whole(&self) -> Answer<Seccomp> {
        self.sticky.clone().map_or(Ok(()), Err)?;
        Ok(self.rule.iter().fold(self.filter.clone(), |filter, rule| filter.rule(rule.clone())))
    }

    fn settle(&mut self) {
        if let Some(rule) = self.rule.take() {
            let filter = mem::replace(&mut self.filter, Profile::Unconfined.into());
            self.filter = filter.rule(rule);
        }
    }
}

impl Sticky for seclude_seccomp {
    fn sticky(&mut self) -> &mut Option<seclude_error> {
        &mut self.sticky
    }
}

/// Makes a filter that starts from a profile:
///
/// - `"default"`: what programs of every kind use.
/// - `"strict"`: computing with files and threads. Any other call kills.
/// - `"nested"`: the default, and the calls that set up a sandbox inside.
/// - `"debug"`: the default, and ptrace(2).
/// - `"unconfined"`: every call, except those that would change the warden.
///
/// Never NULL: an unknown name sticks as a mistake. Owned: free it with `seclude_seccomp_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_seccomp_new(profile: *const c_char) -> *mut seclude_seccomp {
    let mut object =
        seclude_seccomp { filter: Profile::Unconfined.into(), rule: None, sticky: None };
    set(&raw mut object, |object| {
        let name = utf8("profile", profile)?;
        let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        let unknown = || {
            seclude_error::invalid(
                &format!("profile {name:?}"),
                &format!("is none of {}", names.join(", ")),
            )
        };
        object.filter = Profile::from_name(name).ok_or_else(unknown)?.into();
        Ok(())
    });
    Box::into_raw(Box::new(object))
}

/// Frees a filter. NULL is a no-op. Sandboxes that were given it are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_seccomp_free(filter: *mut seclude_seccomp) {
    free(filter);
}

/// Adds a rule for a system call, by name or by number in decimal.
///
/// `action` is one of `SECLUDE_SECCOMP_...`. `errnum` is the error number for
/// `SECLUDE_SECCOMP_DENY`, and 0 otherwise. A name that no architecture has is a mistake.
///
/// aarch64 lacks the older calls of x86_64, such as `mkdir`, and its programs make the newer ones,
/// such as `mkdirat`. A filter there with a rule for the older call and none for the newer one is a
/// mistake, because the rule would do nothing. A rule for a call of which nothing takes the place,
/// such as `iopl`, is valid and has no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_seccomp_rule(
    filter: *mut seclude_seccomp,
    call: *const c_char,
    action: c_int,
    errnum: c_int,
) {
    set(filter, |object| {
        let rule = Rule::new(utf8("call", call)?, action_of(action, errnum)?);
        object.settle();
        object.rule = Some(rule);
        Ok(())
    });
}

/// Adds a condition to the last rule, which then matches only if the condition holds too.
///
/// The condition takes argument `argument`, 0 to 5, keeps the bits of `mask`, and compares the
/// result with `value` by one of `SECLUDE_COMPARE_...`. If `wide` is 0, it compares the lower 32
/// bits, as the kernel uses flags, descriptors and ioctl(2) requests. Otherwise it compares all 64
/// bits, for sizes and addresses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_seccomp_when(
    filter: *mut seclude_seccomp,
    argument: u32,
    compare: c_int,
    value: u64,
    mask: u64,
    wide: c_int,
) {
    set(filter, |object| {
        let compare = word_of(COMPARISONS, compare, Compare::from_name).ok_or_else(|| {
            seclude_error::invalid(&format!("comparison {compare}"), "is none of SECLUDE_COMPARE_")
        })?;
        let number = u8::try_from(argument).unwrap_or(u8::MAX);
        let test = Test::new(number, compare, value).masked(mask);
        let rule = object.rule.take().ok_or_else(|| {
            seclude_error::invalid("test", "there is no rule yet that it could belong to")
        })?;
        object.rule = Some(rule.when(if wide != 0 { test.wide() } else { test }));
        Ok(())
    });
}

/// Allows sockets of this address family, an `AF_...` number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_seccomp_socket_family(filter: *mut seclude_seccomp, family: u16) {
    set(filter, |object| {
        object.settle();
        let filter = mem::replace(&mut object.filter, Profile::Unconfined.into());
        object.filter = filter.socket_family(family);
        Ok(())
    });
}

/// Sets the action for every call that neither a rule nor the profile names, known or unknown. The
/// arguments are those of `seclude_seccomp_rule`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_seccomp_otherwise(
    filter: *mut seclude_seccomp,
    action: c_int,
    errnum: c_int,
) {
    set(filter, |object| {
        let action = action_of(action, errnum)?;
        let filter = mem::replace(&mut object.filter, Profile::Unconfined.into());
        object.filter = filter.otherwise(action);
        Ok(())
    });
}

fn action_of(action: c_int, errnum: c_int) -> Answer<Action> {
    match action {
        SECLUDE_SECCOMP_ALLOW => Ok(Action::Allow),
        SECLUDE_SECCOMP_DENY => Ok(Action::Errno(errnum)),
        SECLUDE_SECCOMP_KILL => Ok(Action::Kill),
        SECLUDE_SECCOMP_LOG => Ok(Action::Log),
        SECLUDE_SECCOMP_NOTIFY => Ok(Action::Notify),
        other => {
            Err(seclude_error::invalid(&format!("action {other}"), "is none of SECLUDE_SECCOMP_"))
        }
    }
}

/// Sets the filter of system calls to a copy of `filter`: seccomp(2).
///
/// The default is the profile `default`, or `nested` with `seclude_sandbox_nested`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_seccomp(
    sandbox: *mut seclude_sandbox,
    filter: *const seclude_seccomp,
) {
    build(sandbox, |sandbox| Ok(sandbox.seccomp(read("filter", filter)?.whole()?)));
}

/// Adds a filter in the kernel's form: `size` bytes of `struct sock_filter`, 1 to 4096 instructions
/// of 8 bytes.
///
/// Several calls add several filters. The kernel loads them after the sandbox's own, in this order,
/// and the strictest answer wins. Each filter must allow `execve`, and `seccomp` if another one
/// follows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_seccomp_bpf(
    sandbox: *mut seclude_sandbox,
    program: *const c_void,
    size: usize,
) {
    build(sandbox, |sandbox| Ok(sandbox.seccomp_bpf(data("program", program, size)?)));
}

/// Returns the number of the system call of this name on this architecture. -1 if there is none,
/// and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_syscall_number(name: *const c_char) -> c_int {
    utf8("name", name).ok().and_then(Syscall::from_name).map_or(-1, Syscall::number)
}

/// Returns the name of the system call of this number on this architecture. NULL if the library
/// does not know it. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_syscall_name(number: c_int) -> *const c_char {
    /// The names that were asked for. They are never freed; there are at most as many as calls.
    static NAMES: Mutex<BTreeMap<c_int, CString>> = Mutex::new(BTreeMap::new());
    let Some(name) = Syscall::new(number).name() else { return std::ptr::null() };
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(number).or_insert_with(|| CString::new(name).unwrap_or_default()).as_ptr()
}
