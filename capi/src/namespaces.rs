//! `seclude_namespaces`: the namespaces that the caller may see, and the processes in each, at one
//! moment.

use crate::boundary::{create, free, query};
use crate::error::seclude_error;
use crate::processes::seclude_processes;
use crate::text::seclude_text;
use seclude_core::{LiveNamespace, Namespaces};
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// The namespaces that the caller may see, at one moment. The list never changes.
///
/// They are sorted by kind (user, mount, pid, net, ipc, uts, cgroup, time), outer ones before inner
/// ones. For an index past the end, the functions return 0 or NULL.
pub struct seclude_namespaces {
    list: Vec<NamespaceEntry>,
    closed: seclude_processes,
}

struct NamespaceEntry {
    namespace: LiveNamespace,
    processes: seclude_processes,
    held_by: Vec<seclude_text>,
    addresses: Vec<seclude_text>,
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
            addresses: namespace
                .addresses
                .iter()
                .map(|address| seclude_text::new(address.to_string()))
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
    query(namespaces, otherwise, |namespaces| namespaces.list.get(index).and_then(ask))
}

/// Finds every namespace that the caller may see, and the processes in each. Enters, stops and
/// changes nothing.
///
/// It finds the namespaces of all processes in /proc, those that a process has prepared for its
/// next children, those that own or enclose one of these, even without processes, and those that a
/// mount keeps. It does not find a namespace that only an open descriptor keeps.
///
/// Fails if /proc cannot be read or no descriptor can be opened, and never because of what another
/// process does meanwhile. `*namespaces` is owned: free it with `seclude_namespaces_free`. It is
/// NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_namespaces_read(
    namespaces: *mut *mut seclude_namespaces,
    err: *mut *mut seclude_error,
) -> c_int {
    create("namespaces", namespaces, err, || {
        Ok(seclude_namespaces::new(seclude_core::namespaces()?))
    })
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_free(namespaces: *mut seclude_namespaces) {
    free(namespaces);
}

/// Returns the number of namespaces in the list. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_count(namespaces: *const seclude_namespaces) -> usize {
    query(namespaces, 0, |namespaces| Some(namespaces.list.len()))
}

/// Returns a namespace's kind: one of `SECLUDE_NAMESPACE_...`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_kind(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> c_int {
    of(namespaces, index, 0, |entry| c_int::try_from(entry.namespace.kind.flag()).ok())
}

/// Returns a namespace's number, the inode that `readlink /proc/PID/ns/...` shows. No other
/// namespace of any kind has it at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_id(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u64 {
    of(namespaces, index, 0, |entry| Some(entry.namespace.id))
}

/// Returns the number of the user namespace that owns a namespace. For a user namespace that is its
/// parent.
///
/// 0 if the caller may not know it, because it is in another branch or further inside. 0 also for
/// the initial user namespace, which has no owner.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_owner(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u64 {
    of(namespaces, index, 0, |entry| entry.namespace.owner)
}

/// Returns the user who made a user namespace, in the caller's user namespace. `UINT32_MAX`, which
/// is no user's, for other kinds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_owner_uid(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u32 {
    of(namespaces, index, u32::MAX, |entry| entry.namespace.owner_uid)
}

/// Returns the number of the namespace around a pid or user namespace. 0 for other kinds, for the
/// initial namespace, and if the caller may not know it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_parent(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> u64 {
    of(namespaces, index, 0, |entry| entry.namespace.parent)
}

/// Returns the processes in a namespace, each after its parent, without those in namespaces further
/// inside. NULL past the end.
///
/// The inside id of a process is the one in its own pid namespace. Borrowed: valid until the list
/// of namespaces is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_processes(
    namespaces: *const seclude_namespaces,
    index: usize,
) -> *const seclude_processes {
    of(namespaces, index, ptr::null(), |entry| Some(&raw const entry.processes))
}

/// Returns a mount that keeps a namespace, from 0: a path in the caller's mount namespace. NULL
/// past the last. Borrowed: valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_held_by(
    namespaces: *const seclude_namespaces,
    index: usize,
    mount: usize,
) -> *const c_char {
    of(namespaces, index, ptr::null(), |entry| Some(entry.held_by.get(mount)?.start()))
}

/// Returns an address of a network namespace that others can reach, from 0, IPv4 first, without
/// loopback and link-local ones. None are known if no process is in it, or `/proc` does not show
/// them. NULL past the last. Borrowed: valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_address(
    namespaces: *const seclude_namespaces,
    index: usize,
    address: usize,
) -> *const c_char {
    of(namespaces, index, ptr::null(), |entry| Some(entry.addresses.get(address)?.start()))
}

/// Returns the processes whose namespaces the caller may not read, which usually belong to other
/// users.
///
/// `seclude_processes_pid_at` tells how deep they are in pid namespaces. NULL for NULL. Borrowed:
/// valid until the list of namespaces is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespaces_closed(
    namespaces: *const seclude_namespaces,
) -> *const seclude_processes {
    query(namespaces, ptr::null(), |namespaces| Some(&raw const namespaces.closed))
}
