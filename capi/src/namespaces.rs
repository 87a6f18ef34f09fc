//! `seclude_namespaces`: the namespaces that the caller may see, and the processes in each, at one
//! moment.

use crate::boundary::{free, made, told};
use crate::error::seclude_error;
use crate::processes::seclude_processes;
use crate::text::seclude_text;
use seclude_core::{LiveNamespace, Namespaces};
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// The namespaces that the caller may see. Never changes. An index past the end answers 0 or NULL.
pub struct seclude_namespaces {
    list: Vec<NamespaceEntry>,
    closed: seclude_processes,
}

struct NamespaceEntry {
    namespace: LiveNamespace,
    processes: seclude_processes,
    held_by: Vec<seclude_text>,
}

impl seclude_namespaces {
    fn new(seen: Namespaces) -> seclude_namespaces {
        let entry = |mut namespace: LiveNamespace| NamespaceEntry {
            processes: seclude_processes::shared(std::mem::take(&mut namespace.processes)),
            held_by: namespace
                .held_by
                .iter()
                .map(|path| seclude_text::new(path.as_os_str().as_bytes()))
                .collect(),
            namespace,
        };
        seclude_namespaces {
            list: seen.list.into_iter().map(entry).collect(),
            closed: seclude_processes::shared(seen.closed),
        }
    }
}

fn of<A>(
    namespaces: *const seclude_namespaces,
    index: usize,
    otherwise: A,
    ask: impl FnOnce(&NamespaceEntry) -> Option<A>,
) -> A {
    told(namespaces, otherwise, |namespaces| namespaces.list.get(index).and_then(ask))
}

/// Finds every namespace that the caller may see, and the processes in each. Nothing is entered,
/// stopped or changed.
///
/// Found are the namespaces of all processes in /proc; those that a process has ready for its next
/// children; those that own or surround one of these, though nobody is in them; and those that a
/// mount keeps. Not found are namespaces that only an open descriptor keeps. They come by
/// kind (user, mount, pid, net, ipc, uts, cgroup, time), outer ones before inner ones.
///
/// Fails if /proc cannot be read, or no descriptor can be opened; never because of what another
/// process does meanwhile. Gives a list, which the caller frees.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_read(
    namespaces: *mut *mut seclude_namespaces,
    err: *mut *mut seclude_error,
) -> c_int {
    made("namespaces", namespaces, err, || Ok(seclude_namespaces::new(seclude_core::namespaces()?)))
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_free(namespaces: *mut seclude_namespaces) {
    free(namespaces);
}

/// How many namespaces are in the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_count(namespaces: *const seclude_namespaces) -> usize {
    told(namespaces, 0, |namespaces| Some(namespaces.list.len()))
}

/// A namespace's kind: one of `SECLUDE_NAMESPACE_...`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_kind(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> c_int {
    of(namespaces, index, 0, |entry| c_int::try_from(entry.namespace.kind.flag()).ok())
}

/// A namespace's number, which no other of any kind has while it exists: the inode that `readlink
/// /proc/PID/ns/...` shows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_id(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u64 {
    of(namespaces, index, 0, |entry| Some(entry.namespace.id))
}

/// The number of the user namespace that a namespace belongs to; a user namespace's is its parent.
/// 0 where the caller may not know it, being in another branch or further inside, and for the first
/// of all user namespaces, which has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_owner(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u64 {
    of(namespaces, index, 0, |entry| entry.namespace.owner)
}

/// The user who made a user namespace, as the caller counts. `UINT32_MAX`, which is nobody's, for
/// other kinds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_owner_uid(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u32 {
    of(namespaces, index, u32::MAX, |entry| entry.namespace.owner_uid)
}

/// The number of the namespace around a pid or user namespace. 0 for other kinds, and as for the
/// owner.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_parent(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u64 {
    of(namespaces, index, 0, |entry| entry.namespace.parent)
}

/// The processes in a namespace, each after its parent, without those in namespaces further inside;
/// NULL past the end. A process's inside id is that in the pid namespace that it is in. Borrowed:
/// valid until the list of namespaces is freed, and never freed by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_processes(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> *const seclude_processes {
    of(namespaces, index, ptr::null(), |entry| Some(&raw const entry.processes))
}

/// The mounts that keep a namespace, with processes or without, from 0 on: paths in the caller's
/// own mount namespace. NULL past the last. Borrowed: valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_held_by(
    namespaces: *const seclude_namespaces,
    index: usize,
    mount: usize,
) -> *const c_char {
    of(namespaces, index, ptr::null(), |entry| Some(entry.held_by.get(mount)?.start()))
}

/// The processes whose namespaces are not known, for the caller may not look into them: another
/// user's, as a rule. How deep they are in pid namespaces `seclude_processes_pid_at` tells. NULL
/// for NULL. Borrowed: valid until the list of namespaces is freed, and never freed by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_closed(
    namespaces: *const seclude_namespaces,
) -> *const seclude_processes {
    told(namespaces, ptr::null(), |namespaces| Some(&raw const namespaces.closed))
}
