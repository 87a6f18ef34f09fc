//! `seclude_collected`: the files that a command has left.

use crate::boundary::{Answer, bytes, change, create, free, query, read, set, write};
use crate::child::{State, seclude_child};
use crate::command::seclude_command;
use crate::error::{SECLUDE_EINVAL, seclude_error};
use crate::text::seclude_text;
use crate::transfer;
use seclude_core::{Child, Collected};
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::ptr;

/// The files that a command has left, as `seclude_command_collect` asked for them. It never
/// changes.
///
/// After an error (`seclude_collected_error`) there are no files, so that no part is taken for the
/// whole. For an index past the end, the functions return NULL or 0.
pub struct seclude_collected {
    files: Vec<CollectedEntry>,
    entries: u64,
    size: u64,
    skipped: Vec<seclude_text>,
    unmatched: Vec<seclude_text>,
    error: Option<seclude_error>,
}

struct CollectedEntry {
    path: seclude_text,
    contents: seclude_text,
    permissions: u32,
}

impl seclude_collected {
    pub(crate) fn new(collected: Collected) -> seclude_collected {
        let Collected { files, entries, bytes, skipped, unmatched, error, .. } = collected;
        let text = |path: std::ffi::OsString| seclude_text::new(path.into_vec());
        seclude_collected {
            files: files
                .into_iter()
                .map(|file| CollectedEntry {
                    path: text(file.path.into()),
                    contents: seclude_text::new(file.contents),
                    permissions: file.permissions,
                })
                .collect(),
            entries,
            size: bytes,
            skipped: skipped
                .iter()
                .map(|path| seclude_text::new(path.as_os_str().as_bytes()))
                .collect(),
            unmatched: unmatched.into_iter().map(text).collect(),
            error: error.map(seclude_error::from),
        }
    }
}

/// Collects the files that match `pattern` when the command has ended. Can be called up to 64
/// times.
///
/// `seclude_output_files` has the files. After `seclude_command_spawn`, `seclude_child_collect`
/// returns them. `seclude_command_run` collects nothing: with a pattern it is an error. A pattern
/// that matches nothing is no error.
///
/// A pattern is absolute, or relative to the working directory. In each of its names `*`, `?` and
/// `[...]` have the meaning of glob(7): they match no slash, and no dot at the beginning of a name.
/// A backslash makes the next character plain. A directory that matches is collected with all it
/// contains. No symbolic link is followed, not even in the working directory.
///
/// A privileged caller reads with the rights of the sandbox's user. In a sandbox of its own or of a
/// pool, every process has ended before the files are read. In a cell, and in a pool that uses its
/// sandboxes again, other processes may change the files meanwhile.
///
/// The sandbox's files stay in memory until they have been collected or the child has been freed.
/// In a pool that uses its sandboxes again, the command keeps its place until then.
///
/// A pattern that is empty, has more than 4096 bytes or 64 names, contains `..` or `**`, ends in a
/// slash, or has a `[` without its `]`, is an error at the start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_collect(
    command: *mut seclude_command,
    pattern: *const c_char,
) {
    set(command, |object| {
        object.command.collect(bytes("pattern", pattern)?);
        Ok(())
    });
}

/// Bounds what is collected. The default is 64 MiB in 1000 files and directories, with
/// `seclude_transfer_skip_special`.
///
/// If a bound is exceeded, nothing is collected, and `seclude_collected_error` says so. The bound
/// on entries also limits how many names a pattern may match on its way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_collect_within(
    command: *mut seclude_command,
    transfer: *const transfer::seclude_transfer,
) {
    set(command, |object| {
        object.command.collect_within(transfer::of(transfer)?.clone());
        Ok(())
    });
}

/// Writes the collected files below a directory of the caller's, in place of memory. It must be
/// empty when the command starts and when it ends, or not exist, and is made if it does not.
///
/// Each file has its path below the directory: that of the pattern, without a slash at the
/// beginning. All patterns must be absolute, or all relative. The copies have the properties of
/// `seclude_transfer_copy`, and the directories that lead to them have mode 755. If the calling
/// process is killed meanwhile, the directory may hold a part of the files.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_collect_into(
    command: *mut seclude_command,
    directory: *const c_char,
) {
    set(command, |object| {
        object.command.collect_into(bytes("directory", directory)?);
        Ok(())
    });
}

/// Collects the files that the command was to leave, once it has ended and been waited for. They
/// can be collected once.
///
/// Returns 0 also if they could not be collected: see `seclude_collected_error`. Fails with
/// `SECLUDE_EINVAL` if the command has asked for no files, has not been waited for, or if its files
/// have been collected, as by `seclude_child_wait_with_output`.
///
/// `*collected` is owned: free it with `seclude_collected_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_collect(
    child: *mut seclude_child,
    collected: *mut *mut seclude_collected,
    err: *mut *mut seclude_error,
) -> c_int {
    create("collected", collected, err, || Ok(seclude_collected::new(ended(child)?.collect()?)))
}

/// Collects the files below `directory`, whatever the command was to do with them. The rules for
/// the directory are those of `seclude_command_collect_into`. Otherwise like
/// `seclude_child_collect`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_collect_to(
    child: *mut seclude_child,
    directory: *const c_char,
    collected: *mut *mut seclude_collected,
    err: *mut *mut seclude_error,
) -> c_int {
    create("collected", collected, err, || {
        let directory = bytes("directory", directory)?;
        Ok(seclude_collected::new(ended(child)?.collect_to(directory)?))
    })
}

fn ended<'a>(child: *mut seclude_child) -> Answer<&'a mut Child> {
    match &mut change("child", child)?.state {
        State::Held(child) => Ok(child),
        State::Collected(_) => {
            Err(seclude_error::invalid("files of the command", "they have been collected"))
        }
    }
}

/// Frees what was collected. NULL is a no-op. What `seclude_output_files` returns is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_free(collected: *mut seclude_collected) {
    free(collected);
}

/// Returns why the files could not be collected, or NULL if they were. Also NULL for NULL.
/// Borrowed: valid until the object is freed.
///
/// `SECLUDE_EINVAL` if a bound is exceeded, `SECLUDE_EIO` if a file cannot be read or written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_error(
    collected: *const seclude_collected,
) -> *const seclude_error {
    query(collected, ptr::null(), |collected| collected.error.as_ref().map(ptr::from_ref))
}

/// Returns the number of files in memory. 0 if they have been written to a directory, and for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_count(collected: *const seclude_collected) -> usize {
    query(collected, 0, |collected| Some(collected.files.len()))
}

/// Returns the path of a file: absolute if the pattern is, else relative to the command's working
/// directory. The files are in byte order of their paths, name by name. Borrowed: valid until the
/// object is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_path(
    collected: *const seclude_collected,
    index: usize,
) -> *const c_char {
    file(collected, index, ptr::null(), |file| file.path.start())
}

/// Returns what a file contains, with a NUL after the last byte.
///
/// `*length` receives the number of bytes, and 0 past the end. `length` may be NULL. Borrowed:
/// valid until the object is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_contents(
    collected: *const seclude_collected,
    index: usize,
    length: *mut usize,
) -> *const c_char {
    let (start, size) = file(collected, index, (ptr::null(), 0), |file| {
        (file.contents.start(), file.contents.length())
    });
    write(length, size);
    start
}

/// Returns the nine permission bits of a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_permissions(
    collected: *const seclude_collected,
    index: usize,
) -> u32 {
    file(collected, index, 0, |file| file.permissions)
}

/// Returns the index of the file with this path, or `SECLUDE_EINVAL` if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_find(
    collected: *const seclude_collected,
    path: *const c_char,
) -> c_int {
    let Ok(path) = bytes("path", path) else { return SECLUDE_EINVAL };
    query(collected, SECLUDE_EINVAL, |collected| {
        let is_it = |file: &CollectedEntry| file.path.bytes() == path.as_bytes();
        c_int::try_from(collected.files.iter().position(is_it)?).ok()
    })
}

/// Returns the number of files and directories that match, with all that is in these directories.
/// 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_entries(collected: *const seclude_collected) -> u64 {
    query(collected, 0, |collected| Some(collected.entries))
}

/// Returns the number of bytes in the files. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_bytes(collected: *const seclude_collected) -> u64 {
    query(collected, 0, |collected| Some(collected.size))
}

/// Returns the path of something that matches and is neither a file nor a directory, from index 0.
/// NULL past the last. Borrowed: valid until the object is freed.
///
/// A symbolic link that a pattern would lead through is listed too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_skipped(
    collected: *const seclude_collected,
    index: usize,
) -> *const c_char {
    query(collected, ptr::null(), |collected| Some(collected.skipped.get(index)?.start()))
}

/// Returns a pattern that matched nothing, from index 0. NULL past the last. Borrowed: valid until
/// the object is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_collected_unmatched(
    collected: *const seclude_collected,
    index: usize,
) -> *const c_char {
    query(collected, ptr::null(), |collected| Some(collected.unmatched.get(index)?.start()))
}

fn file<A>(
    collected: *const seclude_collected,
    index: usize,
    otherwise: A,
    ask: impl FnOnce(&CollectedEntry) -> A,
) -> A {
    query(collected, otherwise, |collected| collected.files.get(index).map(ask))
}

/// Returns the files that the command has left. Without `seclude_command_collect` there are none.
/// NULL for NULL. Borrowed: valid until the output is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_output_files(
    output: *const crate::output::seclude_output,
) -> *const seclude_collected {
    read("output", output).map_or(ptr::null(), |output| ptr::from_ref(&output.files))
}
