//! `seclude_join` and `seclude_joined`: existing namespaces, and commands in them.

use crate::boundary::{Answer, Sticky, bytes, code, create, descriptor, free, query, read, set};
use crate::command::seclude_command;
use crate::error::seclude_error;
use crate::sandbox::{namespaces, seclude_sandbox};
use seclude_core::{Join, Joined};
use std::ffi::{c_char, c_int};

/// Existing namespaces, named by a process, a path or a descriptor.
///
/// A later call replaces what an earlier one named of the same kind. Nothing is looked up until
/// `seclude_sandbox_join` or `seclude_join_persist`.
pub struct seclude_join {
    join: Join,
    sticky: Option<seclude_error>,
}

impl seclude_join {
    fn sound(&self) -> Answer<&Join> {
        self.sticky.clone().map_or(Ok(&self.join), Err)
    }
}

impl Sticky for seclude_join {
    fn sticky(&mut self) -> &mut Option<seclude_error> {
        &mut self.sticky
    }
}

fn build(join: *mut seclude_join, change: impl FnOnce(Join) -> Answer<Join>) {
    set(join, |object| {
        object.join = change(std::mem::take(&mut object.join))?;
        Ok(())
    });
}

/// Makes an object that names no namespace. Never NULL. Owned: free it with `seclude_join_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_join_new() -> *mut seclude_join {
    Box::into_raw(Box::new(seclude_join { join: Join::new(), sticky: None }))
}

/// Frees the object. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_free(join: *mut seclude_join) {
    free(join);
}

/// Names the namespaces of a process, by its id in the caller's pid namespace.
///
/// If the process ends and another one gets its id before the look-up, the other one's namespaces
/// are used. A pidfd does not have this problem.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_process(join: *mut seclude_join, pid: u32) {
    build(join, |join| Ok(join.process(pid)));
}

/// Names the namespaces of a process, by a pidfd: pidfd_open(2), `seclude_child_pidfd`. It is
/// borrowed and duplicated at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_pidfd(join: *mut seclude_join, pidfd: c_int) {
    build(join, |join| Ok(join.pidfd(descriptor("pidfd", pidfd)?)));
}

/// Names the namespace at a path: /proc/PID/ns/net, or a mount that keeps one
/// (`seclude_join_persist`, ip-netns(8)).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_path(join: *mut seclude_join, path: *const c_char) {
    build(join, |join| Ok(join.path(bytes("path", path)?)));
}

/// Names the namespace that a descriptor refers to. It is borrowed and duplicated at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_descriptor(join: *mut seclude_join, descriptor_of_it: c_int) {
    build(join, |join| Ok(join.descriptor(descriptor("descriptor", descriptor_of_it)?)));
}

/// Uses only these kinds of a process's namespaces: `SECLUDE_NAMESPACE_...`, joined by `|`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_only(join: *mut seclude_join, kinds: c_int) {
    build(join, |join| Ok(join.only(namespaces(kinds)?)));
}

/// Keeps the named namespace of this kind, even without processes, by a mount at `path`, as
/// ip-netns(8) does.
///
/// It makes a file of mode 0444 at `path`. The namespace is kept until `seclude_namespace_release`,
/// or until the machine shuts down. Takes CAP_SYS_ADMIN over the caller's mount namespace.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_join_persist(
    join: *const seclude_join,
    kind: c_int,
    path: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let (mut kinds, path) = (namespaces(kind)?, bytes("path", path)?);
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            return Err(seclude_error::invalid("namespaces", "one kind is kept at one place"));
        };
        read("join", join)?.sound()?.persist(kind, path)?;
        Ok(0)
    })
}

/// Removes the mount and the file at `path` by which `seclude_join_persist` keeps a namespace.
/// Processes in the namespace live on. Fails if no namespace is kept there.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_namespace_release(
    path: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        seclude_core::release(bytes("path", path)?)?;
        Ok(0)
    })
}

/// A policy together with existing namespaces, in which its commands run. The policy determines the
/// rest.
///
/// The object keeps the namespaces by descriptors. A pid namespace still ends with its first
/// process.
pub struct seclude_joined {
    pub(crate) joined: Joined,
}

/// Combines the sandbox's current policy with existing namespaces, which replace new ones of the
/// same kinds: setns(2).
///
/// The policy determines everything else: the user, the filter, the limits, and the files unless
/// the mount namespace is joined. The user is the policy's uid in the joined user namespace, and
/// never the host's root. Namespaces that a process shares with the caller are shared, except the
/// user namespace.
///
/// `*joined` is owned: free it with `seclude_joined_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_join(
    sandbox: *const seclude_sandbox,
    join: *const seclude_join,
    joined: *mut *mut seclude_joined,
    err: *mut *mut seclude_error,
) -> c_int {
    create("joined", joined, err, || {
        let (sandbox, join) = (read("sandbox", sandbox)?.sound()?, read("join", join)?.sound()?);
        Ok(seclude_joined { joined: sandbox.join(join)? })
    })
}

/// Frees the object. NULL is a no-op. Its commands and children are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_joined_free(joined: *mut seclude_joined) {
    free(joined);
}

/// Makes a command that runs `program` in the namespaces, like `seclude_sandbox_command`.
/// Everything that it starts ends with it.
///
/// Owned: free it with `seclude_command_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_joined_command(
    joined: *const seclude_joined,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| Ok(read("joined", joined)?.joined.command(bytes("program", program)?)))
}

/// Returns the kinds of namespaces that are joined: `SECLUDE_NAMESPACE_...`, joined by `|`. 0 for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_joined_kinds(joined: *const seclude_joined) -> c_int {
    query(joined, 0, |joined| {
        Some(joined.joined.kinds().iter().fold(0, |kinds, kind| kinds | kind.flag() as c_int))
    })
}
