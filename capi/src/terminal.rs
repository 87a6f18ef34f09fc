//! Terminals: the window of a command's, and the caller's own in raw mode.

use crate::boundary::{code, descriptor, free, made};
use crate::error::seclude_error;
use seclude_core::{RawMode, Terminal, WindowSize};
use std::ffi::c_int;

/// A terminal of the caller's, in raw mode until this is freed.
pub struct seclude_raw_mode(#[allow(dead_code, reason = "its end is what it is for")] RawMode);

/// Sets the size of the window of a command's terminal, in characters; `terminal` is what
/// `seclude_child_take_terminal` gave, borrowed. The programs in its foreground get SIGWINCH if it
/// is another size. ioctl_tty(2).
#[unsafe(no_mangle)]
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

/// Puts a terminal of the caller's, such as its standard input, into raw mode (cfmakeraw(3)): every
/// key goes through as it is, Ctrl-C too, to a command's terminal that does the rest. `terminal` is
/// borrowed, and copied. `*mode` is new: free it with `seclude_raw_mode_free`. An error if it is no
/// terminal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_raw_mode_enter(
    terminal: c_int,
    mode: *mut *mut seclude_raw_mode,
    err: *mut *mut seclude_error,
) -> c_int {
    made("raw mode", mode, err, || {
        Ok(seclude_raw_mode(RawMode::enter(descriptor("terminal", terminal)?)?))
    })
}

/// Gives the terminal back as it was, and frees the object. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_raw_mode_free(mode: *mut seclude_raw_mode) {
    free(mode);
}
