//! `seclude_error`, which holds copies of its texts, so that what C borrows from it is valid as
//! long as the object.

use crate::boundary::{free, query};
use crate::steps::STEPS;
use crate::words::number_of;
use seclude_core::{Error, ErrorKind};
use std::any::Any;
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// An argument or a part of the policy is not allowed, or a required pointer is NULL. Nothing was
/// started.
pub const SECLUDE_EINVAL: c_int = -1;
/// A policy text cannot be read: it is not JSON or TOML, has an unknown key, or a value of the
/// wrong kind.
pub const SECLUDE_EPOLICY: c_int = -2;
/// The source of a bind does not exist.
pub const SECLUDE_ESOURCE_MISSING: c_int = -3;
/// The source of a bind exists, but the command or the caller may not read it, or the command may
/// write nothing in a writable bind.
pub const SECLUDE_ESOURCE_UNREADABLE: c_int = -4;
/// The program does not exist inside.
pub const SECLUDE_EPROGRAM_MISSING: c_int = -5;
/// The program exists inside, but is not executable.
pub const SECLUDE_EPROGRAM_NOT_EXECUTABLE: c_int = -6;
/// This machine cannot execute the program's format: the program is for another architecture, or
/// the file is no program.
pub const SECLUDE_EPROGRAM_FORMAT: c_int = -7;
/// The program exists inside, but not the interpreter that its first line or its ELF header names.
pub const SECLUDE_EINTERPRETER_MISSING: c_int = -8;
/// The host does not let this process make a user namespace, or grants it no rights in one.
pub const SECLUDE_ENAMESPACES_DENIED: c_int = -9;
/// A limit of the host on namespaces, processes, descriptors or memory is reached.
pub const SECLUDE_EHOST_LIMIT: c_int = -10;
/// The kernel lacks a requested feature.
pub const SECLUDE_EUNSUPPORTED: c_int = -11;
/// Another step of the set-up failed. `seclude_error_step` names it.
pub const SECLUDE_ESETUP: c_int = -12;
/// The warden ended without a report: it was killed from outside, or the machine ran out of memory.
pub const SECLUDE_EWARDEN_LOST: c_int = -13;
/// An operation of the caller's process failed, on a pipe, a file or a descriptor.
pub const SECLUDE_EIO: c_int = -14;
/// This host cannot enforce a limit, or not as exactly as `seclude_sandbox_require` demands.
pub const SECLUDE_ELIMIT_UNAVAILABLE: c_int = -15;
/// The library met a case that it has no code for. This is a bug: please report it.
pub const SECLUDE_EINTERNAL: c_int = -100;
/// The library panicked. This is a bug: please report it. The call had no lasting effect. Free the
/// objects that it was given.
pub const SECLUDE_EPANIC: c_int = -101;

/// What went wrong, at which step, and what to do about it.
///
/// A failing call makes an error, and the caller frees it with `seclude_error_free`. An error never
/// changes.
#[derive(Clone, Debug)]
pub struct seclude_error {
    code: c_int,
    step_kind: c_int,
    step: CString,
    errno: c_int,
    path: Option<CString>,
    hint: Option<CString>,
    message: CString,
}

impl seclude_error {
    /// An error in the use of a C function: which argument, and why it is refused.
    pub(crate) fn invalid(what: &str, why: &str) -> seclude_error {
        seclude_error::new(SECLUDE_EINVAL, what, why)
    }

    pub(crate) fn null(what: &str) -> seclude_error {
        seclude_error::invalid(what, "is NULL")
    }

    pub(crate) fn internal(what: &str, why: &str) -> seclude_error {
        seclude_error::new(SECLUDE_EINTERNAL, what, why)
    }

    pub(crate) fn panic(panic: &(dyn Any + Send)) -> seclude_error {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        seclude_error::new(
            SECLUDE_EPANIC,
            "panic in libseclude",
            said.unwrap_or("it gave no reason"),
        )
    }

    fn new(code: c_int, what: &str, why: &str) -> seclude_error {
        let message = text(format!("{what}: {why}").as_bytes());
        seclude_error {
            code,
            step_kind: 0,
            step: text(what.as_bytes()),
            errno: 0,
            path: None,
            hint: None,
            message,
        }
    }

    pub(crate) fn step_kind(&self) -> c_int {
        self.step_kind
    }

    pub(crate) fn code(&self) -> c_int {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        self.message.to_str().expect("our own words")
    }
}

impl From<Error> for seclude_error {
    fn from(error: Error) -> seclude_error {
        let step = error.step_kind();
        seclude_error {
            code: code_of(error.kind()),
            step_kind: step.and_then(|step| number_of(STEPS, step.name())).unwrap_or(0),
            step: text(error.step().as_bytes()),
            errno: error.raw_os_error().unwrap_or(0),
            path: error.path().map(|path| text(path.as_os_str().as_bytes())),
            hint: error.remedy().map(|hint| text(hint.as_bytes())),
            message: text(error.to_string().as_bytes()),
        }
    }
}

/// A C string, with `\0` spelled out where the text has a NUL. A policy text can bring a NUL into a
/// name, and C would not see what follows it.
fn text(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap_or_else(|_| {
        let spelled: Vec<u8> = bytes
            .iter()
            .flat_map(|byte| if *byte == 0 { br"\0".to_vec() } else { vec![*byte] })
            .collect();
        CString::new(spelled).unwrap_or_default()
    })
}

fn code_of(kind: ErrorKind) -> c_int {
    match kind {
        ErrorKind::Invalid => SECLUDE_EINVAL,
        ErrorKind::Policy => SECLUDE_EPOLICY,
        ErrorKind::SourceMissing => SECLUDE_ESOURCE_MISSING,
        ErrorKind::SourceUnreadable => SECLUDE_ESOURCE_UNREADABLE,
        ErrorKind::ProgramMissing => SECLUDE_EPROGRAM_MISSING,
        ErrorKind::ProgramNotExecutable => SECLUDE_EPROGRAM_NOT_EXECUTABLE,
        ErrorKind::ProgramFormat => SECLUDE_EPROGRAM_FORMAT,
        ErrorKind::InterpreterMissing => SECLUDE_EINTERPRETER_MISSING,
        ErrorKind::NamespacesDenied => SECLUDE_ENAMESPACES_DENIED,
        ErrorKind::HostLimit => SECLUDE_EHOST_LIMIT,
        ErrorKind::Unsupported => SECLUDE_EUNSUPPORTED,
        ErrorKind::Setup => SECLUDE_ESETUP,
        ErrorKind::WardenLost => SECLUDE_EWARDEN_LOST,
        ErrorKind::Io => SECLUDE_EIO,
        ErrorKind::LimitUnavailable => SECLUDE_ELIMIT_UNAVAILABLE,
        // The core may gain kinds. A test fails until this list has them.
        _ => SECLUDE_EINTERNAL,
    }
}

fn name_of(code: c_int) -> Option<&'static CStr> {
    Some(match code {
        SECLUDE_EINVAL => c"invalid",
        SECLUDE_EPOLICY => c"policy",
        SECLUDE_ESOURCE_MISSING => c"source-missing",
        SECLUDE_ESOURCE_UNREADABLE => c"source-unreadable",
        SECLUDE_EPROGRAM_MISSING => c"program-missing",
        SECLUDE_EPROGRAM_NOT_EXECUTABLE => c"program-not-executable",
        SECLUDE_EPROGRAM_FORMAT => c"program-format",
        SECLUDE_EINTERPRETER_MISSING => c"interpreter-missing",
        SECLUDE_ENAMESPACES_DENIED => c"namespaces-denied",
        SECLUDE_EHOST_LIMIT => c"host-limit",
        SECLUDE_EUNSUPPORTED => c"unsupported",
        SECLUDE_ESETUP => c"setup",
        SECLUDE_EWARDEN_LOST => c"warden-lost",
        SECLUDE_EIO => c"io",
        SECLUDE_ELIMIT_UNAVAILABLE => c"limit-unavailable",
        SECLUDE_EINTERNAL => c"internal",
        SECLUDE_EPANIC => c"panic",
        _ => return None,
    })
}

/// Frees an error. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_free(error: *mut seclude_error) {
    free(error);
}

/// Returns the code of an error, which is the one that the failing call returned. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_code(error: *const seclude_error) -> c_int {
    query(error, 0, |error| Some(error.code))
}

/// Returns the name of a code, which is the same in every language: "program-missing". NULL for a
/// number that is no code. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_code_name(code: c_int) -> *const c_char {
    name_of(code).map_or(ptr::null(), CStr::as_ptr)
}

/// Returns the name of the error's code, as `seclude_code_name` does. NULL for NULL. Static: never
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_name(error: *const seclude_error) -> *const c_char {
    query(error, ptr::null(), |error| name_of(error.code).map(CStr::as_ptr))
}

/// Returns the whole error as one line without a newline: `action object: cause (step n of m);
/// hint: remedy`.
///
/// The text is UTF-8, except for bytes of a path that is not. For NULL it is "no error", so the
/// result is never NULL. Borrowed: valid until the error is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_message(error: *const seclude_error) -> *const c_char {
    query(error, c"no error".as_ptr(), |error| Some(error.message.as_ptr()))
}

/// Returns the step that failed, with its object: "bind /opt/tool on /opt/tool". NULL for NULL.
/// Borrowed: valid until the error is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_step(error: *const seclude_error) -> *const c_char {
    query(error, ptr::null(), |error| Some(error.step.as_ptr()))
}

/// Returns the error number of the system call that failed, as in errno(3). 0 if no system call
/// failed, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_errno(error: *const seclude_error) -> c_int {
    query(error, 0, |error| Some(error.errno))
}

/// Returns the path that the failed step worked on. NULL if there is none, and for NULL. Borrowed:
/// valid until the error is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_path(error: *const seclude_error) -> *const c_char {
    query(error, ptr::null(), |error| error.path.as_deref().map(CStr::as_ptr))
}

/// Returns what to do about the error. NULL if no remedy is known, and for NULL. Borrowed: valid
/// until the error is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_hint(error: *const seclude_error) -> *const c_char {
    query(error, ptr::null(), |error| error.hint.as_deref().map(CStr::as_ptr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_core_has_a_code_of_the_same_name() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in ErrorKind::ALL {
            let code = code_of(*kind);
            assert!(seen.insert(code), "{kind} shares its code");
            assert_eq!(name_of(code).and_then(|name| name.to_str().ok()), Some(kind.name()));
        }
        assert!(!seen.contains(&SECLUDE_EINTERNAL));
    }

    #[test]
    fn a_nul_in_a_text_is_spelled_out() {
        assert_eq!(text(b"a\0b").as_c_str(), c"a\\0b");
    }
}
