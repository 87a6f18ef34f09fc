//! `seclude_changes`: what the commands of a cell have changed, and images made from that.

use crate::boundary::{create, free, query, utf8};
use crate::cell::{cell, seclude_cell};
use crate::error::seclude_error;
use crate::image::seclude_image;
use crate::text::seclude_text;
use crate::words::{Words, name_of};
use seclude_core::{Change, ChangeKind};
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

// faces: begin changes as C constants
/// It is new.
pub const SECLUDE_CHANGE_ADDED: c_int = 1;
/// It is another one, or has other contents or attributes.
pub const SECLUDE_CHANGE_CHANGED: c_int = 2;
/// It is gone, with all that was below it.
pub const SECLUDE_CHANGE_DELETED: c_int = 3;
// faces: end

const CHANGES: &Words<c_int> = &[
    // faces: begin changes with their names
    (SECLUDE_CHANGE_ADDED, c"added"),
    (SECLUDE_CHANGE_CHANGED, c"changed"),
    (SECLUDE_CHANGE_DELETED, c"deleted"),
    // faces: end
];

/// What differs in an overlay from its layers, by path. The list never changes.
///
/// For an index past the end, the functions return NULL or 0.
pub struct seclude_changes {
    list: Vec<(c_int, seclude_text)>,
}

/// Lists what differs in the cell's overlay from its layers. The overlay is the one at `/`, or else
/// the first of the policy.
///
/// A directory counts as changed if its owner or mode is another one, or if it took the place of
/// another file; not for what is in it. Times do not count. Commands that run meanwhile may change
/// more: `seclude_cell_freeze` stops them. `SECLUDE_EINVAL` if the policy has no overlay.
///
/// `*changes` is owned: free it with `seclude_changes_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_changes(
    of: *const seclude_cell,
    changes: *mut *mut seclude_changes,
    err: *mut *mut seclude_error,
) -> c_int {
    create("changes", changes, err, || {
        let one = |change: Change| {
            let kind = match change.kind {
                ChangeKind::Added => SECLUDE_CHANGE_ADDED,
                ChangeKind::Changed => SECLUDE_CHANGE_CHANGED,
                ChangeKind::Deleted => SECLUDE_CHANGE_DELETED,
            };
            (kind, seclude_text::new(change.path.as_os_str().as_bytes()))
        };
        Ok(seclude_changes { list: cell(of)?.changes()?.into_iter().map(one).collect() })
    })
}

/// Makes an image: the one of the cell's policy, with what commands have changed as one more layer.
///
/// `name` is the name in the same store; with NULL it is the digest. The cell goes on as it is, and
/// the new image never changes. What is mounted in the overlay is not a part of it. An image of
/// very many layers becomes one of a single layer. Commands that run meanwhile may change what is
/// read: `seclude_cell_freeze` stops them. `SECLUDE_EINVAL` if the policy has no overlay with an
/// image.
///
/// `*image` is owned: free it with `seclude_image_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_commit(
    of: *const seclude_cell,
    name: *const c_char,
    image: *mut *mut seclude_image,
    err: *mut *mut seclude_error,
) -> c_int {
    create("image", image, err, || {
        let name = if name.is_null() { None } else { Some(utf8("name", name)?) };
        Ok(seclude_image::new(cell(of)?.commit(name)?))
    })
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_changes_free(changes: *mut seclude_changes) {
    free(changes);
}

/// Returns the number of changes in a list. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_changes_count(changes: *const seclude_changes) -> usize {
    query(changes, 0, |changes| Some(changes.list.len()))
}

/// Returns what happened to a file: a `SECLUDE_CHANGE_...`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_changes_kind(
    changes: *const seclude_changes,
    index: usize,
) -> c_int {
    query(changes, 0, |changes| Some(changes.list.get(index)?.0))
}

/// Returns the name of a `SECLUDE_CHANGE_...`, which is the same in every language: "deleted". NULL
/// for any other number. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_change_name(kind: c_int) -> *const c_char {
    name_of(CHANGES, kind)
}

/// Returns the path of a file inside, from 0. NULL past the last. Borrowed: valid until the list is
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_changes_path(
    changes: *const seclude_changes,
    index: usize,
) -> *const c_char {
    query(changes, ptr::null(), |changes| Some(changes.list.get(index)?.1.start()))
}
