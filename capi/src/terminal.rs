//! Terminals: the window size of a command's terminal, and raw mode for a terminal of the caller's.

use crate::boundary::{code, create, descriptor, free};
use crate::error::seclude_error;
use seclude_core::{RawMode, Terminal, WindowSize};
use std::ffi::c_int;

/// A terminal of the caller's in raw mode. Freeing the object restores the terminal.
pub struct seclude_raw_mode(#[allow(dead_code, reason = "its drop restores the terminal")] RawMode);

/// Sets the window size of a command's terminal, in characters: ioctl_tty(2).
///
/// `terminal` is the descriptor from `seclude_child_take_terminal`. Borrowed. If the size changes,
/// the programs in the terminal's foreground get SIGWINCH.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_terminal_resize(
    terminal: c_int,
    rows: u16,
    columns: u16,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        Terminal::from(descriptor("terminal", terminal)?).resize(WindowSize { rows, columns })?;
        Ok(0)
    })
}

/// Puts a terminal of the caller's, such as its standard input, into raw mode: cfmakeraw(3).
///
/// Every key then goes to the command's terminal as it is, Ctrl-C included. Fails if `terminal` is
/// no terminal. `terminal` is borrowed and duplicated. `*mode` is owned: free it with
/// `seclude_raw_mode_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_raw_mode_enter(
    terminal: c_int,
    mode: *mut *mut seclude_raw_mode,
    err: *mut *mut seclude_error,
) -> c_int {
    create("raw mode", mode, err, || {
        Ok(seclude_raw_mode(RawMode::enter(descriptor("terminal", terminal)?)?))
    })
}

/// Restores the terminal, and frees the object. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_raw_mode_free(mode: *mut seclude_raw_mode) {
    free(mode);
}
