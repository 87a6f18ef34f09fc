//! `seclude_cell`: a sandbox that stays up and runs many commands.

use crate::boundary::{Answer, bytes, code, free, made, read, told, utf8, write, write_sized};
use crate::command::seclude_command;
use crate::control;
use crate::error::seclude_error;
use crate::outcome::seclude_outcome;
use crate::processes::seclude_processes;
use crate::sandbox::seclude_sandbox;
use crate::transfer::{self, seclude_copied, seclude_transfer};
use seclude_core::Cell;
use std::ffi::{c_char, c_int};

/// A sandbox that is alive: its commands share files, processes and network, and what one leaves
/// behind is there for the next.
///
/// The sandbox's limits on memory, processes, processor time and input and output bound what all
/// commands use together; those on wall time and output each command by itself. A command's usage
/// is what its first process, and those that this has waited for, have used. Any thread may use a
/// cell at any time, all its calls included.
pub struct seclude_cell {
    cell: Cell,
}

fn cell<'a>(cell: *const seclude_cell) -> Answer<&'a Cell> {
    Ok(&read("cell", cell)?.cell)
}

/// Makes a template of this policy: later runs, cells and pools of this sandbox are copied from
/// that, which spares them the mounts; they are as fresh and as apart as without it. It lives as
/// long as one of them or the sandbox; a setter called afterwards makes another policy, without a
/// template. 0 also where a template cannot serve and nothing is done: with a writable root, a
/// shared user, mount or pid namespace, or something else at `/proc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_prepare(
    sandbox: *const seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        read("sandbox", sandbox)?.sound()?.prepare()?;
        Ok(0)
    })
}

/// Starts a cell of this sandbox as it is now: 0, and `*cell` is a new one, set up. Free it with
/// `seclude_cell_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cell(
    sandbox: *const seclude_sandbox,
    cell: *mut *mut seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    made("cell", cell, err, || {
        Ok(seclude_cell { cell: read("sandbox", sandbox)?.sound()?.cell()? })
    })
}

/// Frees a cell. NULL is a no-op. It ends, with everything inside, when its commands and children
/// have been freed too; `seclude_cell_close` ends it at once. In a process forked by the caller,
/// nothing is ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_free(cell: *mut seclude_cell) {
    free(cell);
}

/// A command that runs `program` in the cell, as `seclude_sandbox_command` makes them. Many can run
/// at once. When one ends by itself, what it has started goes on; ended by force, what it has
/// started ends with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_command(
    cell: *const seclude_cell,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| Ok(self::cell(cell)?.command(bytes("program", program)?)))
}

/// Its warden's process id, as the caller counts: another one after a reset. 0 for NULL and for a
/// closed one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_pid(cell: *const seclude_cell) -> u32 {
    told(cell, 0, |cell| cell.cell.id().ok())
}

/// Publishes it under a name, by which other processes of the caller's user find and enter it
/// (`seclude_named_cell_enter`), until it is closed, freed, or published under another. 1 to 64
/// letters, digits, dots, hyphens and underscores, not beginning with a dot; an error if another
/// cell lives under it.
///
/// In the directory that the environment variable SECLUDE_CELLS names; else in
/// `$XDG_RUNTIME_DIR/seclude`, root's in `/run/seclude`, and the rest in `/tmp/seclude-UID`. It
/// must be the user's own, and closed to others' writing.
#[unsafe(no_mangle)]
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

/// Every process inside, the warden first, each after its parent: 0, and `*processes` is a new
/// list. Free it with `seclude_processes_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_processes(
    cell: *const seclude_cell,
    processes: *mut *mut seclude_processes,
    err: *mut *mut seclude_error,
) -> c_int {
    made("processes", processes, err, || Ok(seclude_processes::new(self::cell(cell)?.processes()?)))
}

/// Writes what all its commands have used so far, and what holds them, to `*usage`, a structure of
/// `size` bytes: the fields about an end are 0.
#[unsafe(no_mangle)]
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

/// Lets everything inside stand still until `seclude_cell_thaw`, as `seclude_child_freeze` does.
#[unsafe(no_mangle)]
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

/// Lets everything inside go on. 0 also if it was not frozen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_thaw(
    cell: *const seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, Cell::thaw)
}

/// Kills everything inside: commands that run end as `SECLUDE_ENDED_KILLED`. The cell stays, with
/// its files. Does not wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_kill_all(
    cell: *const seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, Cell::kill_all)
}

/// Back to the state after set-up: no process, scratch file systems empty, network, System V
/// objects, message queues, keys and clocks new, the cgroups' counters at zero. The caller's files
/// that are bound writable stay as they are. The first one makes a template
/// (`seclude_sandbox_prepare`); from then on a reset costs a fraction of a new cell.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_reset(
    cell: *const seclude_cell,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, Cell::reset)
}

/// Ends everything inside and waits until it is gone. Using the cell afterwards is
/// `SECLUDE_EINVAL`; closing it again, or NULL, is a no-op. It must still be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_close(cell: *const seclude_cell) {
    told(cell, (), |cell| {
        cell.cell.close();
        Some(())
    });
}

/// 1 if it can run commands: it has not been closed, and its warden lives. Else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_is_alive(cell: *const seclude_cell) -> c_int {
    told(cell, 0, |cell| Some(c_int::from(cell.cell.is_alive())))
}

/// Changes the memory limit of all together, in bytes, until the next reset. The policy must have
/// set one: `SECLUDE_EINVAL` if not, and so below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_set_memory(
    cell: *const seclude_cell,
    bytes: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, |cell| cell.set_memory(bytes))
}

/// Changes how many processors' worth of time all together get: 0.01 to 8192.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_set_cpus(
    cell: *const seclude_cell,
    number: f64,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, |cell| cell.set_cpus(number))
}

/// Changes how many processes and threads may be inside at one time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_cell_set_pids(
    cell: *const seclude_cell,
    number: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    ask(cell, err, |cell| cell.set_pids(number))
}

/// Copies a file or tree out of the cell, as `seclude_child_copy_out` does.
#[unsafe(no_mangle)]
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
        Ok(transfer::told(&done, copied, size))
    })
}

/// Copies a file or tree of the caller's into the cell, as `seclude_child_copy_in` does.
#[unsafe(no_mangle)]
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
        Ok(transfer::told(&done, copied, size))
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
