//! `seclude_named_cells`: the published cells of the caller's user.

use crate::boundary::{create, free, query, utf8};
use crate::error::seclude_error;
use crate::join::seclude_joined;
use crate::text::seclude_text;
use seclude_core::NamedCell;
use std::ffi::{c_char, c_int};
use std::ptr;

/// The published cells of the caller's user, at one moment, sorted by name. The list never changes.
///
/// For an index past the end, the functions return 0 or NULL.
pub struct seclude_named_cells {
    list: Vec<(NamedCell, seclude_text)>,
}

/// Finds every published cell (`seclude_cell_publish`) of the caller's user that is alive.
///
/// It removes the entries of cells that are not, for example because their caller was killed.
/// `*cells` is owned: free it with `seclude_named_cells_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_named_cells_read(
    cells: *mut *mut seclude_named_cells,
    err: *mut *mut seclude_error,
) -> c_int {
    create("cells", cells, err, || {
        let named = |cell: NamedCell| (cell.clone(), seclude_text::new(cell.name().as_bytes()));
        Ok(seclude_named_cells { list: NamedCell::all()?.into_iter().map(named).collect() })
    })
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_free(cells: *mut seclude_named_cells) {
    free(cells);
}

/// Returns the number of cells in the list. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_count(cells: *const seclude_named_cells) -> usize {
    query(cells, 0, |cells| Some(cells.list.len()))
}

/// Returns the name of a cell. Borrowed: valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_name(
    cells: *const seclude_named_cells,
    index: usize,
) -> *const c_char {
    query(cells, ptr::null(), |cells| cells.list.get(index).map(|(_, name)| name.start()))
}

/// Returns the process id of a cell's warden in the caller's pid namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_named_cells_pid(
    cells: *const seclude_named_cells,
    index: usize,
) -> u32 {
    query(cells, 0, |cells| cells.list.get(index).map(|(cell, _)| cell.pid()))
}

/// Enters the published cell of this name. Fails if there is none.
///
/// Commands run in all its namespaces and cgroups, under its policy, next to those of the cell's
/// own caller. The processes that a command starts end with it. Wall time, output and processor
/// time are limited for each command. The other limits are those of the cell. Landlock does not
/// restrict signals and abstract sockets, because they would then not reach the cell's own
/// processes.
///
/// `*joined` is owned: free it with `seclude_joined_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_named_cell_enter(
    name: *const c_char,
    joined: *mut *mut seclude_joined,
    err: *mut *mut seclude_error,
) -> c_int {
    create("joined", joined, err, || {
        Ok(seclude_joined { joined: NamedCell::find(utf8("name", name)?)?.enter()? })
    })
}
