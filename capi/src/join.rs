//! `seclude_join`: namespaces that exist, and commands in them; `seclude_named_cells`: cells that
//! other processes have published.

use crate::boundary::{Answer, Sticky, bytes, code, descriptor, free, made, read, set, told, utf8};
use crate::command::seclude_command;
use crate::error::seclude_error;
use crate::sandbox::{namespaces, seclude_sandbox};
use crate::text::seclude_text;
use seclude_core::{Join, Joined, NamedCell};
use std::ffi::{c_char, c_int};
use std::ptr;

/// Namespaces that exist, named by a process, a path, or a descriptor. What is said later of a kind
/// replaces what was said before. Nothing is looked up until `seclude_sandbox_join` or
/// `seclude_join_persist`.
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

/// A new object that names none. Free it with `seclude_join_free`. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_new() -> *mut seclude_join {
    Box::into_raw(Box::new(seclude_join { join: Join::new(), sticky: None }))
}

/// Frees it. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_free(join: *mut seclude_join) {
    free(join);
}

/// Those that a process is in, by its id as the caller counts. If it ends and another gets its
/// number before they are looked up, they are that one's: a pidfd is never mistaken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_process(join: *mut seclude_join, pid: u32) {
    build(join, |join| Ok(join.process(pid)));
}

/// Those that a process is in, by a descriptor of it: pidfd_open(2), `seclude_child_pidfd`. It is
/// duplicated at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_pidfd(join: *mut seclude_join, pidfd: c_int) {
    build(join, |join| Ok(join.pidfd(descriptor("pidfd", pidfd)?)));
}

/// The one that a path leads to: /proc/PID/ns/net, or where one is kept by a mount
/// (`seclude_join_persist`, `ip netns add`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_path(join: *mut seclude_join, path: *const c_char) {
    build(join, |join| Ok(join.path(bytes("path", path)?)));
}

/// The one behind a descriptor, which is duplicated at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_descriptor(join: *mut seclude_join, descriptor_of_it: c_int) {
    build(join, |join| Ok(join.descriptor(descriptor("descriptor", descriptor_of_it)?)));
}

/// Of a process, only namespaces of these kinds: one or several `SECLUDE_NAMESPACE_...` joined by
/// `|`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_join_only(join: *mut seclude_join, kinds: c_int) {
    build(join, |join| Ok(join.only(namespaces(kinds)?)));
}

/// Keeps the namespace of this kind among them, with processes or without, by a mount of it at
/// `path`, where a file of mode 444 is made for it: until `seclude_namespace_release` or the
/// machine's end. As `ip netns add` does: takes CAP_SYS_ADMIN over the caller's mount namespace.
#[unsafe(no_mangle)]
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

/// Lets go of a namespace that `seclude_join_persist` keeps at `path`: takes the mount and the file
/// away. What still runs in it goes on. An error if none is kept there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_namespace_release(
    path: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        seclude_core::release(bytes("path", path)?)?;
        Ok(0)
    })
}

/// A policy, and namespaces that exist: commands run in those, and what the policy says of the
/// other kinds holds. It holds the namespaces by descriptors: they are there as long as it is. A
/// process tree ends with its first process all the same.
pub struct seclude_joined {
    joined: Joined,
}

/// For commands in namespaces that exist already, instead of new ones of these kinds. The policy,
/// as it is now, holds for all the rest: who the command is, its filter, limits, files if the mount
/// namespace is not among them. The user is the policy's by its number in the user namespace that
/// is joined, and never the host's root. Those that a process has in common with the caller are
/// shared, but for the user namespace. setns(2). Gives `*joined`, which the caller frees.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_join(
    sandbox: *const seclude_sandbox,
    join: *const seclude_join,
    joined: *mut *mut seclude_joined,
    err: *mut *mut seclude_error,
) -> c_int {
    made("joined", joined, err, || {
        let (sandbox, join) = (read("sandbox", sandbox)?.sound()?, read("join", join)?.sound()?);
        Ok(seclude_joined { joined: sandbox.join(join)? })
    })
}

/// Frees it; commands and children of it go on. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_joined_free(joined: *mut seclude_joined) {
    free(joined);
}

/// A command that runs `program` in them, as `seclude_sandbox_command` makes them. All that it
/// starts ends with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_joined_command(
    joined: *const seclude_joined,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| Ok(read("joined", joined)?.joined.command(bytes("program", program)?)))
}

/// The kinds that are entered: `SECLUDE_NAMESPACE_...` joined by `|`. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_joined_kinds(joined: *const seclude_joined) -> c_int {
    told(joined, 0, |joined| {
        Some(joined.joined.kinds().iter().fold(0, |kinds, kind| kinds | kind.flag() as c_int))
    })
}

/// The published cells of the caller's user that live, at one moment, by name. Never changes. An
/// index past the end answers 0 or NULL.
pub struct seclude_named_cells {
    list: Vec<(NamedCell, seclude_text)>,
}

/// Finds every published cell (`seclude_cell_publish`) of the caller's user that lives. Entries of
/// others are removed: of a caller that was killed, for one. Gives a list, which the caller frees.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_read(
    cells: *mut *mut seclude_named_cells,
    err: *mut *mut seclude_error,
) -> c_int {
    made("cells", cells, err, || {
        let named = |cell: NamedCell| (cell.clone(), seclude_text::new(cell.name().as_bytes()));
        Ok(seclude_named_cells { list: NamedCell::all()?.into_iter().map(named).collect() })
    })
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_free(cells: *mut seclude_named_cells) {
    free(cells);
}

/// How many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_count(cells: *const seclude_named_cells) -> usize {
    told(cells, 0, |cells| Some(cells.list.len()))
}

/// The name of one. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_name(
    cells: *const seclude_named_cells,
    index: usize,
) -> *const c_char {
    told(cells, ptr::null(), |cells| cells.list.get(index).map(|(_, name)| name.start()))
}

/// The process id of one's warden, as the caller counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_pid(
    cells: *const seclude_named_cells,
    index: usize,
) -> u32 {
    told(cells, 0, |cells| cells.list.get(index).map(|(cell, _)| cell.pid()))
}

/// Enters the published cell of this name: commands of `*joined`, which the caller frees, run in
/// all its namespaces and cgroups, under its policy, beside those of the cell's own caller. What
/// one has started ends with it. Wall time, output and processor time are each command's own; the
/// other limits are the cell's. An error if no cell of this name lives. What Landlock says of
/// signals and abstract sockets is left out, for they would not reach the cell's own processes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cell_enter(
    name: *const c_char,
    joined: *mut *mut seclude_joined,
    err: *mut *mut seclude_error,
) -> c_int {
    made("joined", joined, err, || {
        Ok(seclude_joined { joined: NamedCell::find(utf8("name", name)?)?.enter()? })
    })
}
