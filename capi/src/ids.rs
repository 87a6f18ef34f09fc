//! `seclude_sandbox_ids`: how many user and group ids a sandbox has.

use crate::boundary::Answer;
use crate::error::seclude_error;
use crate::sandbox::{build, seclude_sandbox};
use crate::words::{Words, name_of, word_of};
use seclude_core::Ids;
use std::ffi::{c_char, c_int};

// faces: begin ids as C constants
/// One user and one group: the command's own.
pub const SECLUDE_IDS_SINGLE: c_int = 1;
/// A range of ids, 0 to 65535 where the caller can have as many.
pub const SECLUDE_IDS_RANGE: c_int = 2;
/// A range if the caller can have one, and otherwise one user and one group.
pub const SECLUDE_IDS_AUTO: c_int = 3;
// faces: end

const IDS: &Words<c_int> = &[
    // faces: begin ids with their names
    (SECLUDE_IDS_SINGLE, c"single"),
    (SECLUDE_IDS_RANGE, c"range"),
    (SECLUDE_IDS_AUTO, c"auto"),
    // faces: end
];

/// Sets how many user and group ids the sandbox has: a `SECLUDE_IDS_...`. By default, a privileged
/// caller's sandbox has a range, and others have one.
///
/// The range of an unprivileged caller consists of its subordinate ids (subuid(5)), which
/// newuidmap(1) maps. Id 0 inside is the caller, so the command should be 0
/// (`seclude_sandbox_uid`, `seclude_sandbox_gid`): the others own nothing of the caller's.
/// `SECLUDE_ENAMESPACES_DENIED` at the start if the caller has none, or nothing can map them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_ids(sandbox: *mut seclude_sandbox, ids: c_int) {
    build(sandbox, |sandbox| Ok(sandbox.ids(ids_of(ids)?)));
}

/// Returns the name of a `SECLUDE_IDS_...`, as in policies: "range". NULL for any other number.
/// Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_ids_name(ids: c_int) -> *const c_char {
    name_of(IDS, ids)
}

pub(crate) fn ids_of(number: c_int) -> Answer<Ids> {
    word_of(IDS, number, Ids::from_name).ok_or_else(|| {
        seclude_error::invalid(&format!("ids {number}"), "no SECLUDE_IDS_... has this number")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_core() {
        crate::words::assert_complete(IDS, Ids::ALL.iter().map(|ids| ids.name()));
    }
}
