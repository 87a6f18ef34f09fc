//! What a sandbox may do without where the host denies namespaces.

use crate::error::seclude_error;
use crate::sandbox::{build, seclude_sandbox};
use crate::words::{Words, name_of, word_of};
use seclude_core::Isolation;
use std::ffi::{c_char, c_int};

// faces: begin isolation as C constants
/// All namespaces. Landlock (Linux 6.2) then restricts files, and the seccomp filter restricts the
/// network, System V IPC and calls that change other processes.
pub const SECLUDE_ISOLATION_NAMESPACES: c_int = 1;
/// A view of the file system of its own: another root, binds at another path, tmpfs, files,
/// directories and links.
pub const SECLUDE_ISOLATION_FILES: c_int = 2;
/// A process tree of its own, if the policy unshares it.
pub const SECLUDE_ISOLATION_PROCESSES: c_int = 3;
/// A network of its own, if the policy unshares it.
pub const SECLUDE_ISOLATION_NETWORK: c_int = 4;
/// A host name or domain name.
pub const SECLUDE_ISOLATION_NAMES: c_int = 5;
/// Shifted clocks.
pub const SECLUDE_ISOLATION_CLOCKS: c_int = 6;
/// Private pseudo-terminals, if the policy requires them.
pub const SECLUDE_ISOLATION_TERMINALS: c_int = 7;
/// Keeping signals inside, which takes Linux 6.12 without a process tree of its own.
pub const SECLUDE_ISOLATION_SIGNALS: c_int = 8;
// faces: end

const ISOLATION: &Words<c_int> = &[
    // faces: begin isolation with its names
    (SECLUDE_ISOLATION_NAMESPACES, c"namespaces"),
    (SECLUDE_ISOLATION_FILES, c"files"),
    (SECLUDE_ISOLATION_PROCESSES, c"processes"),
    (SECLUDE_ISOLATION_NETWORK, c"network"),
    (SECLUDE_ISOLATION_NAMES, c"names"),
    (SECLUDE_ISOLATION_CLOCKS, c"clocks"),
    (SECLUDE_ISOLATION_TERMINALS, c"terminals"),
    (SECLUDE_ISOLATION_SIGNALS, c"signals"),
    // faces: end
];

/// Runs commands without this part of the isolation, a `SECLUDE_ISOLATION_...`, where the host
/// denies namespaces. `protections` in the outcome shows what is in force.
///
/// By default, denied namespaces are an error (`SECLUDE_ENAMESPACES_DENIED`). With
/// `SECLUDE_ISOLATION_NAMESPACES`, Landlock (Linux 6.2) and a seccomp filter hold the command
/// instead: it reads the host's programs and the binds, writes where a bind is writable, has no
/// network unless the policy shares the host's, and no unix sockets but pairs. The other parts
/// concern what the policy asks for by name and only a namespace can give. Without them that stays
/// an error. `docs/confined.md` compares both ways to run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_best_effort_isolation(
    sandbox: *mut seclude_sandbox,
    isolation: c_int,
) {
    build(sandbox, |sandbox| match word_of(ISOLATION, isolation, Isolation::from_name) {
        Some(isolation) => Ok(sandbox.best_effort(isolation)),
        None => Err(seclude_error::invalid(
            &format!("isolation {isolation}"),
            "no part of the isolation has this number",
        )),
    });
}

/// Returns the name of a `SECLUDE_ISOLATION_...`, as in policies: "namespaces". NULL for any other
/// number. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_isolation_name(isolation: c_int) -> *const c_char {
    name_of(ISOLATION, isolation)
}
