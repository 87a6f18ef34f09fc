//! `seclude_seccomp`: which system calls a command may make, and the setters of walls besides
//! namespaces: filters, Landlock.

use crate::boundary::{Answer, Sticky, data, free, numbers, read, set, utf8};
use crate::error::seclude_error;
use crate::sandbox::{build, seclude_sandbox};
use crate::words::{Words, word_of};
use seclude_core::{Action, Compare, Profile, Rule, Seccomp, Syscall, Test};
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::mem;
use std::sync::{Mutex, PoisonError};

/// The call is made.
pub const SECLUDE_SECCOMP_ALLOW: c_int = 1;
/// The call fails with an error number of errno(3), 1 to 4095, and nothing else happens.
pub const SECLUDE_SECCOMP_DENY: c_int = 2;
/// The call is not made, and the command ends: `SECLUDE_ENDED_SYSCALL`.
pub const SECLUDE_SECCOMP_KILL: c_int = 3;
/// The call is made, and the kernel writes it to its log.
pub const SECLUDE_SECCOMP_LOG: c_int = 4;
/// The caller decides: `seclude_child_take_listener`.
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

/// A seccomp filter: a profile, and rules over it. Of the rules that fit a call the last one
/// decides, then the profile. A mistake in a setter sticks: the sandbox that is given the filter
/// has it.
///
/// Starting the command itself needs no rule: a filter without `execve` lets the program run that
/// the caller names, and no other.
pub struct seclude_seccomp {
    filter: Seccomp,
    /// The last rule, which tests may still be added to.
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

/// A filter that starts from a profile: `"default"`, what programs of every kind use; `"strict"`,
/// computing with files and threads only, and anything else kills; `"nested"`, the default and what
/// a sandbox inside is made with; `"debug"`, the default and ptrace(2); `"unconfined"`, every call
/// but those that would change the warden.
/// Never NULL: an unknown name sticks. Free it with `seclude_seccomp_free`.
#[unsafe(no_mangle)]
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

/// A rule for the call of this name, or of this number in decimal: one of `SECLUDE_SECCOMP_...`,
/// with the error number of `SECLUDE_SECCOMP_DENY`, else 0. A name that another architecture has
/// and this one has not is skipped; one that nobody has is an error.
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

/// The last rule fits only if this holds too: argument number 0 to 5, and of it the bits in `mask`,
/// compared by one of `SECLUDE_COMPARE_...` with `value`. Its lower 32 bits, as the kernel uses
/// flags, descriptors and ioctl(2) requests; all 64 if `wide` is not 0, for sizes and addresses.
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

/// Lets sockets of this family be made: an AF_ number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_seccomp_socket_family(filter: *mut seclude_seccomp, family: u16) {
    set(filter, |object| {
        object.settle();
        let filter = mem::replace(&mut object.filter, Profile::Unconfined.into());
        object.filter = filter.socket_family(family);
        Ok(())
    });
}

/// What becomes of every call that neither a rule nor the profile names, known or not: as for
/// `seclude_seccomp_rule`.
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

/// Which system calls programs inside may make: a copy of `filter`. Without a word from here, the
/// profile `default`, or `nested` with `seclude_sandbox_nested`. seccomp(2); Linux 5.0 for
/// `SECLUDE_SECCOMP_KILL`, 5.5 for `SECLUDE_SECCOMP_NOTIFY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_seccomp(
    sandbox: *mut seclude_sandbox,
    filter: *const seclude_seccomp,
) {
    build(sandbox, |sandbox| Ok(sandbox.seccomp(read("filter", filter)?.whole()?)));
}

/// One more filter, as the kernel takes it: `size` bytes of `struct sock_filter`, 1 to 4096
/// instructions of 8 bytes. May be called several times; they are loaded after the sandbox's own,
/// in this order, and of all answers the strictest holds. Each must let `execve` pass, and
/// `seccomp` if another follows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_seccomp_bpf(
    sandbox: *mut seclude_sandbox,
    program: *const c_void,
    size: usize,
) {
    build(sandbox, |sandbox| Ok(sandbox.seccomp_bpf(data("program", program, size)?)));
}

/// Leaves out the second wall. Without a word from here, Landlock says once more what the mounts
/// and namespaces say, at the highest ABI that the kernel has (landlock(7), Linux 5.19); where the
/// kernel lacks it, and with `seclude_sandbox_nested`, it is left out; with a shared ipc namespace,
/// the part about files.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_no_landlock(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.no_landlock()));
}

/// Lets these TCP ports be bound and no others; none, if `count` is 0. By Landlock: an error where
/// the kernel has not its ABI 4 (Linux 6.7).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_tcp_bind(
    sandbox: *mut seclude_sandbox,
    ports: *const u32,
    count: usize,
) {
    build(sandbox, |sandbox| Ok(sandbox.tcp_bind(ports_of(ports, count)?)));
}

/// Lets these TCP ports be connected to, wherever they are, and no others; as for
/// `seclude_sandbox_tcp_bind`. UDP is not ruled: a filter that refuses its sockets is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_tcp_connect(
    sandbox: *mut seclude_sandbox,
    ports: *const u32,
    count: usize,
) {
    build(sandbox, |sandbox| Ok(sandbox.tcp_connect(ports_of(ports, count)?)));
}

fn ports_of(ports: *const u32, count: usize) -> Answer<Vec<u16>> {
    let port = |number: &u32| {
        u16::try_from(*number)
            .map_err(|_| seclude_error::invalid(&format!("port {number}"), "is not 0 to 65535"))
    };
    numbers("ports", ports, count)?.iter().map(port).collect()
}

/// The number of the system call of this name, on this architecture; -1 if it has none, and for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_syscall_number(name: *const c_char) -> c_int {
    utf8("name", name).ok().and_then(Syscall::from_name).map_or(-1, Syscall::number)
}

/// The name of the system call of this number, on this architecture. NULL if this library does not
/// know it. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_syscall_name(number: c_int) -> *const c_char {
    /// What has been asked for, for ever: there are only so many names.
    static NAMES: Mutex<BTreeMap<c_int, CString>> = Mutex::new(BTreeMap::new());
    let Some(name) = Syscall::new(number).name() else { return std::ptr::null() };
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(number).or_insert_with(|| CString::new(name).unwrap_or_default()).as_ptr()
}
