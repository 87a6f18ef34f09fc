//! Whole policies: the one for tests, and from JSON or TOML to a sandbox and back.

use crate::boundary::{create, read, utf8};
use crate::error::seclude_error;
use crate::sandbox::{from_policy, seclude_sandbox};
use crate::text::seclude_text;
use seclude_core::Sandbox;
use std::ffi::{c_char, c_int};

/// Makes a sandbox for the caller's own tests: programs that it trusts, but that must not disturb
/// each other or the machine.
///
/// The files are the host's, at the same paths and with the same rights; `/sys` is read-only.
/// `/tmp`, `/run` and `/dev/shm` are private and empty, except for the working directory. The
/// network has only a loopback device, and the process tree, IPC objects and host name are private.
/// The command is the caller's user and group, without capabilities. Filters stop nothing that a
/// test may do.
///
/// `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_for_tests(
    sandbox: *mut *mut seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    create("sandbox", sandbox, err, || Ok(from_policy(Sandbox::for_tests()?)))
}

/// Makes a sandbox from a policy in JSON: `{"hostname": "judge", "files": [{"tmpfs": "/tmp",
/// "size": "64M"}]}`.
///
/// The text is UTF-8. An unknown key is refused with `SECLUDE_EPOLICY`, and the error names the
/// nearest known key. `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on
/// failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_from_json(
    json: *const c_char,
    sandbox: *mut *mut seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    create("sandbox", sandbox, err, || Ok(from_policy(Sandbox::from_json(utf8("policy", json)?)?)))
}

/// Makes a sandbox from a policy in TOML, which has the same keys as in JSON.
///
/// `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_from_toml(
    toml: *const c_char,
    sandbox: *mut *mut seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    create("sandbox", sandbox, err, || Ok(from_policy(Sandbox::from_toml(utf8("policy", toml)?)?)))
}

/// Returns the policy as JSON, with only the settings that differ from the default.
///
/// `*text` is owned: free it with `seclude_text_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_to_json(
    sandbox: *const seclude_sandbox,
    text: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    create("text", text, err, || {
        Ok(seclude_text::new(read("sandbox", sandbox)?.sound()?.to_json()?))
    })
}

/// Returns the policy as TOML, with only the settings that differ from the default.
///
/// `*text` is owned: free it with `seclude_text_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_to_toml(
    sandbox: *const seclude_sandbox,
    text: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    create("text", text, err, || {
        Ok(seclude_text::new(read("sandbox", sandbox)?.sound()?.to_toml()?))
    })
}
