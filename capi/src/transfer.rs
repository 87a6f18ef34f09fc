//! `seclude_transfer`: copies of files and trees out of and into directories with hostile contents.

use crate::boundary::{Answer, Sticky, Structure, bytes, code, free, read, set, write_sized};
use crate::child::{State, seclude_child};
use crate::error::seclude_error;
use seclude_core::{Child, Copied, CopyProgress, Transfer};
use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;

/// How to copy files and trees, and how much at most.
///
/// The defaults are 256 MiB in 10,000 files and directories, at most 64 directories deep. No
/// symbolic link is followed. Only files and directories are copied, unless
/// `seclude_transfer_archive` says otherwise.
pub struct seclude_transfer {
    transfer: Transfer,
    sticky: Option<seclude_error>,
}

impl Sticky for seclude_transfer {
    fn sticky(&mut self) -> &mut Option<seclude_error> {
        &mut self.sticky
    }
}

/// What was copied.
///
/// Functions that fill it take its size, `sizeof(seclude_copied)`, as for `seclude_outcome`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_copied {
    /// Files and directories, and symbolic links that were copied (`seclude_transfer_archive`).
    pub entries: u64,
    /// Bytes in files. Further hard links to a file add none.
    pub bytes: u64,
    /// Symbolic links, pipes, sockets and devices that were left out
    /// (`seclude_transfer_skip_special`).
    pub skipped: u64,
}

impl Structure for seclude_copied {}

/// Makes an object with the default bounds. Never NULL. Owned: free it with
/// `seclude_transfer_free`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn seclude_transfer_new() -> *mut seclude_transfer {
    Box::into_raw(Box::new(seclude_transfer { transfer: Transfer::new(), sticky: None }))
}

/// Frees a transfer. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_transfer_free(transfer: *mut seclude_transfer) {
    free(transfer);
}

/// Sets the most bytes in files. A file counts with its length, holes included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_transfer_max_bytes(transfer: *mut seclude_transfer, bytes: u64) {
    set(transfer, |object| {
        object.transfer = object.transfer.clone().max_bytes(bytes);
        Ok(())
    });
}

/// Sets the most files and directories, including what `seclude_transfer_skip_special` leaves out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_transfer_max_entries(
    transfer: *mut seclude_transfer,
    number: u64,
) {
    set(transfer, |object| {
        object.transfer = object.transfer.clone().max_entries(number);
        Ok(())
    });
}

/// Leaves out symbolic links, pipes, sockets and devices, and counts them. By default they are an
/// error. With `seclude_transfer_archive`, symbolic links are copied instead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_transfer_skip_special(transfer: *mut seclude_transfer) {
    set(transfer, |object| {
        object.transfer = object.transfer.clone().skip_special();
        Ok(())
    });
}

/// Copies as `cp -a` does: symbolic links are made anew with the same target, further hard links to
/// a file become hard links to its copy, and files and directories keep the time of their last
/// modification. Ownership and extended attributes are not copied.
///
/// No link is followed for that, but whoever reads the copies may follow them, and a program may
/// have made them lead anywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_transfer_archive(transfer: *mut seclude_transfer) {
    set(transfer, |object| {
        object.transfer = object.transfer.clone().archive();
        Ok(())
    });
}

/// The function and its argument, which the program vouches for.
struct Callback {
    progress: Progress,
    data: *mut c_void,
}

type Progress = extern "C" fn(entries: u64, bytes: u64, data: *mut c_void) -> c_int;

// SAFETY: the header says that the function is called in the thread that copies.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    fn tell(&self, progress: &CopyProgress) -> ControlFlow<()> {
        match (self.progress)(progress.entries, progress.bytes, self.data) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

/// Has a function told how many entries and bytes have been copied: before the first entry, then at
/// most ten times a second, and at the end. If it does not return 0, the copy is cancelled: it
/// fails with the errno ECANCELED, and what has been copied is removed.
///
/// It is called with `data` in the thread that copies, or that collects a command's files, and the
/// copy waits meanwhile. Copies in several threads call it at once. It must not free the objects of
/// the copy. NULL for `progress` is a mistake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_transfer_progress(
    transfer: *mut seclude_transfer,
    progress: Option<extern "C" fn(entries: u64, bytes: u64, data: *mut c_void) -> c_int>,
    data: *mut c_void,
) {
    set(transfer, |object| {
        let progress = progress.ok_or_else(|| seclude_error::null("progress"))?;
        let callback = Callback { progress, data };
        object.transfer = object.transfer.clone().progress(move |so_far| callback.tell(so_far));
        Ok(())
    });
}

/// Copies the file or tree at `path`, relative to the directory `base`, to `to`, which must not
/// exist.
///
/// Links in `base` are followed, links in `path` and below it are not. The copies belong to the
/// caller. They have the permissions of the originals without set-user-id, set-group-id and sticky
/// bits, and their owner may always read and write them. On failure nothing is left at `to`.
///
/// `*copied` receives what was copied. `size` is its size in bytes, and it may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_transfer_copy(
    transfer: *const seclude_transfer,
    base: *const c_char,
    path: *const c_char,
    to: *const c_char,
    copied: *mut seclude_copied,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let done =
            of(transfer)?.copy(bytes("base", base)?, bytes("path", path)?, bytes("to", to)?)?;
        Ok(written(&done, copied, size))
    })
}

/// Copies the file or tree at the absolute path `inside` out of the running sandbox to `to`.
///
/// The rules are those of `seclude_transfer_copy`, with the sandbox's root as the base. A
/// privileged caller reads only what the sandbox's user may read. Programs inside may change the
/// tree meanwhile: `seclude_child_freeze` prevents that.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_copy_out(
    child: *const seclude_child,
    inside: *const c_char,
    to: *const c_char,
    transfer: *const seclude_transfer,
    copied: *mut seclude_copied,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let transfer = of(transfer)?;
        let done =
            running(child)?.copy_out(bytes("inside", inside)?, bytes("to", to)?, transfer)?;
        Ok(written(&done, copied, size))
    })
}

/// Copies the caller's file or tree `from` into the running sandbox to the absolute path `inside`,
/// which must not exist.
///
/// The copy is made with the rights of the sandbox's user, so the command must be able to write
/// there. The copies belong to the command's user. Otherwise like `seclude_transfer_copy`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_copy_in(
    child: *const seclude_child,
    from: *const c_char,
    inside: *const c_char,
    transfer: *const seclude_transfer,
    copied: *mut seclude_copied,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let transfer = of(transfer)?;
        let done =
            running(child)?.copy_in(bytes("from", from)?, bytes("inside", inside)?, transfer)?;
        Ok(written(&done, copied, size))
    })
}

pub(crate) fn of<'a>(transfer: *const seclude_transfer) -> Answer<&'a Transfer> {
    let seclude_transfer { transfer, sticky } = read("transfer", transfer)?;
    sticky.clone().map_or(Ok(transfer), Err)
}

fn running<'a>(child: *const seclude_child) -> Answer<&'a Child> {
    match &read("child", child)?.state {
        State::Held(child) => Ok(child),
        State::Collected(_) => {
            Err(seclude_error::invalid("files of the sandbox", "it has ended, and they are gone"))
        }
    }
}

pub(crate) fn written(done: &Copied, copied: *mut seclude_copied, size: usize) -> c_int {
    let Copied { entries, bytes, skipped, .. } = done;
    write_sized(
        copied,
        size,
        seclude_copied { entries: *entries, bytes: *bytes, skipped: skipped.len() as u64 },
    );
    0
}
