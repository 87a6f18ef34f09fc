//! `seclude_cell`: a sandbox that stays up and runs many commands.

use crate::boundary::{Answer, bytes, code, create, free, query, read, utf8, write, write_sized};
use crate::command::seclude_command;
use crate::control;
use crate::error::seclude_error;
use crate::outcome::seclude_outcome;
use crate::processes::seclude_processes;
use crate::sandbox::seclude_sandbox;
use crate::transfer::{self, seclude_copied, seclude_transfer};
use seclude_core::Cell;
use std::ffi::{c_char, c_int};

/// A sandbox that stays up and runs many commands, which share its files, processes and network.
///
/// What one command leaves behind is there for the next. The sandbox's limits on memory, processes,
/// processor time, and input and output apply to all commands together. Those on wall time and
/// output apply to each command by itself, and so do the limits of a command:
/// `seclude_command_memory` and the like.
///
/// A command has an outcome and a usage of its own. They count its first process and the processes
/// that this one has waited for, or, if the command has a cgroup of its own, everything in that
/// cgroup.
///
/// All functions on a cell may overlap, in any thread.
pub struct seclude_cell {
    cell: Cell,
}

pub(crate) fn cell<'a>(cell: *const seclude_cell) -> Answer<&'a Cell> {
    Ok(&read("cell", cell)?.cell)
}

/// Makes a template of this policy. Later runs, cells and pools of the sandbox are copied from it
/// instead of being mounted anew.
///
/// The copies are as fresh and as isolated from each other as without a template. The template
/// exists as long as a copy of it or the sandbox does. A later setter makes another policy, without
/// a template. Returns 0 also where no template is possible: with a shared user, mount or pid
/// namespace, a network of the caller's, or an overlay that keeps its changes in a directory.
///
/// With a writable root, an overlay or exact files, each copy makes its own mounts, and only the
/// start of the process is saved.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_prepare(
    sandbox: *const seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        read("sandbox", sandbox)?.sound()?.prepare()?;
        Ok(0)
    })
}

/// Starts a cell with the sandbox's current policy, and waits until it is set up.
///
/// `*cell` is owned: free it with `seclude_cell_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_cell(
    sandbox: *const seclude_sandbox,
    cell: *mut *mut seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    create("cell", cell, err, || {
        Ok(seclude_cell { cell: read("sandbox", sandbox)?.sound()?.cell()? })
    })
}

/// Frees a cell. NULL is a no-op.
///
/// The cell ends, with everything inside, once its commands and children are freed too.
/// `seclude_cell_close` ends it at once. In a process that the caller forked, this ends nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_free(cell: *mut seclude_cell) {
    free(cell);
}

/// Makes a command that runs `program` in the cell, like `seclude_sandbox_command`. Owned: free it
/// with `seclude_command_free`.
///
/// Many commands can run at a time. When a command ends by itself, the processes that it started
/// live on. When it is killed, they are killed too.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_command(
    cell: *const seclude_cell,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| Ok(self::cell(cell)?.command(bytes("program", program)?)))
}

/// Returns the process id of the cell's warden in the caller's pid namespace. It changes with a
/// reset. 0 for a closed cell, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_pid(cell: *const seclude_cell) -> u32 {
    query(cell, 0, |cell| cell.cell.id().ok())
}

/// Publishes the cell under `name`, so that other processes of the caller's user can find and enter
/// it: `seclude_named_cell_enter`.
///
/// It stays published until it is closed, freed, or published under another name. A name is 1 to 64
/// letters, digits, dots, hyphens and underscores, and does not begin with a dot. It is an error if
/// another cell is published under it.
///
/// The directory of names is the value of the environment variable SECLUDE_CELLS. Otherwise it is
/// `$XDG_RUNTIME_DIR/seclude`, `/run/seclude` for root, and `/tmp/seclude-UID` for other users. The
/// user must own it, and nobody else may be able to write it.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_publish(
    cell: *const seclude_cell,
    name: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        self::cell(cell)?.publish(utf8("name", name)?)?;
        Ok(0)
    })
}

/// Lists the processes inside at this moment: the warden first, each process after its parent.
///
/// `*processes` is owned: free it with `seclude_processes_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_processes(
    cell: *const seclude_cell,
    processes: *mut *mut seclude_processes,
    err: *mut *mut seclude_error,
) -> c_int {
    create("processes", processes, err, || {
        Ok(seclude_processes::new(self::cell(cell)?.processes()?))
    })
}

/// Writes to `*usage` what all commands have used together since the start or the last reset, and
/// which protections and mechanisms are active.
///
/// The fields about an end are 0. `size` is the size of `*usage` in bytes. `usage` may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_usage(
    cell: *const seclude_cell,
    usage: *mut seclude_outcome,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let cell = self::cell(cell)?;
        write_sized(usage, size, seclude_outcome::running(&cell.usage()?, &cell.enforced()));
        Ok(0)
    })
}

/// Freezes everything inside until `seclude_cell_thaw`, as `seclude_child_freeze` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_freeze(
    cell: *const seclude_cell,
    how: *mut c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        write(how, control::number(self::cell(cell)?.freeze()?)?);
        Ok(0)
    })
}

/// Thaws everything inside. Returns 0 also if the cell is not frozen.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_thaw(
    cell: *const seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, Cell::thaw)
}

/// Kills everything inside. Does not wait. Running commands end as `SECLUDE_ENDED_KILLED`. The cell
/// stays, with its files.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_kill_all(
    cell: *const seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, Cell::kill_all)
}

/// Takes the cell back to its state after the set-up. Running commands end as
/// `SECLUDE_ENDED_KILLED`.
///
/// No process is left. File systems in memory are empty. The network, System V objects, message
/// queues, keys and clocks are new, and the cgroups' counters are 0. The caller's files that are
/// bound writable stay as they are. The cell is a member of its policy's network again, and of no
/// other. It keeps its address there, and its ports on the host.
///
/// The first reset makes a template (`seclude_sandbox_prepare`). From then on, a reset costs a
/// fraction of a new cell.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_reset(
    cell: *const seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, Cell::reset)
}

/// Ends everything inside, and waits until it is gone. The cell must still be freed.
///
/// Using a closed cell is `SECLUDE_EINVAL`. Closing it again is a no-op, and so is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_close(cell: *const seclude_cell) {
    query(cell, (), |cell| {
        cell.cell.close();
        Some(())
    });
}

/// Returns 1 if the cell can run commands, which means that it is not closed and its warden is
/// alive. Otherwise 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_is_alive(cell: *const seclude_cell) -> c_int {
    query(cell, 0, |cell| Some(c_int::from(cell.cell.is_alive())))
}

/// Changes the memory limit of all commands together, in bytes, until the next reset.
///
/// The policy must set that limit. If it does not, this and the other `seclude_cell_set_...` return
/// `SECLUDE_EINVAL`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_set_memory(
    cell: *const seclude_cell,
    bytes: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, |cell| cell.set_memory(bytes))
}

/// Changes how many processors all commands together may use at a time, 0.01 to 8192, until the
/// next reset.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_set_cpus(
    cell: *const seclude_cell,
    number: f64,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, |cell| cell.set_cpus(number))
}

/// Changes how many processes and threads may exist inside at a time, until the next reset.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_set_pids(
    cell: *const seclude_cell,
    number: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, |cell| cell.set_pids(number))
}

/// Copies a file or tree out of the cell, as `seclude_child_copy_out` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_copy_out(
    cell: *const seclude_cell,
    inside: *const c_char,
    to: *const c_char,
    transfer: *const seclude_transfer,
    copied: *mut seclude_copied,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let done = self::cell(cell)?.copy_out(
            bytes("inside", inside)?,
            bytes("to", to)?,
            transfer::of(transfer)?,
        )?;
        Ok(transfer::written(&done, copied, size))
    })
}

/// Copies the caller's file or tree into the cell, as `seclude_child_copy_in` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_copy_in(
    cell: *const seclude_cell,
    from: *const c_char,
    inside: *const c_char,
    transfer: *const seclude_transfer,
    copied: *mut seclude_copied,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let done = self::cell(cell)?.copy_in(
            bytes("from", from)?,
            bytes("inside", inside)?,
            transfer::of(transfer)?,
        )?;
        Ok(transfer::written(&done, copied, size))
    })
}

fn ask(
    cell: *const seclude_cell,
    err: *mut *mut seclude_error,
    work: impl FnOnce(&Cell) -> seclude_core::Result<()>,
) -> c_int {
    code(err, || {
        work(self::cell(cell)?)?;
        Ok(0)
    })
}
