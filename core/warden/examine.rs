//! Examines a program that could not be executed, so that the caller can explain the failure.

use crate::control::CommandSocket;
use crate::sys::{self, Errno, Result, Status};
use crate::text::Path;
use crate::wire::message::{HEAD_MAX, Report, stage};
use core::ffi::CStr;

/// Reports a failed start. For a failed `execve(2)`, adds the mode and the first bytes of the file.
pub fn examine(socket: &CommandSocket, report: Report<'_>, directory: &CStr) -> Result<()> {
    let Report::Failed { stage: stage::EXEC, errno, path, .. } = report else {
        return socket.report(&report, &[]);
    };
    let mut head = [0; HEAD_MAX];
    let (mode, length) = inspect(path, directory, &mut head).unwrap_or((0, 0));
    socket.report(
        &Report::Failed { stage: stage::EXEC, errno, detail: mode, path, head: &head[..length] },
        &[],
    )
}

/// Returns the mode of the file at `path` and how many bytes of its head were read.
fn inspect(path: &[u8], directory: &CStr, head: &mut [u8]) -> Result<(u32, usize)> {
    let path = if path.starts_with(b"/") {
        Path::join(b"", path.get(1..).unwrap_or_default())
    } else {
        Path::join(directory.to_bytes(), path)
    }?;
    let file = match sys::open(sys::CWD, path.as_c_str(), sys::open::PATH, 0) {
        Err(Errno::ENOENT) => return dangling(path.as_c_str().to_bytes(), head),
        file => file?,
    };
    let status = sys::status(file.number(), c"")?;
    let length = if status.is_file() { read_head(&path, &status, head).unwrap_or(0) } else { 0 };
    Ok((status.mode, length))
}

/// Finds the first symbolic link on the way to `path` that leads to nothing. Returns its mode, and
/// puts its path, a NUL and as much of its target as fits into `head`.
fn dangling(path: &[u8], head: &mut [u8]) -> Result<(u32, usize)> {
    for end in (1..=path.len()).filter(|end| path.get(*end).is_none_or(|byte| *byte == b'/')) {
        let link = Path::join(b"", &path[1..end])?;
        let status = sys::status(sys::CWD, link.as_c_str())?;
        if status.is_symlink()
            && sys::open(sys::CWD, link.as_c_str(), sys::open::PATH, 0).err() == Some(Errno::ENOENT)
        {
            let (name, text) = head.split_at_mut_checked(end + 1).ok_or(Errno::ENAMETOOLONG)?;
            name[..end].copy_from_slice(&path[..end]);
            return Ok((status.mode, end + 1 + sys::read_link(sys::CWD, link.as_c_str(), text)?));
        }
    }
    Err(Errno::ENOENT)
}

/// Reads the first bytes of a file.
///
/// By now another file may be at this path: a FIFO, a device, or a file under a lease. O_NONBLOCK
/// keeps the warden from waiting in the open, and the check that follows refuses another file.
fn read_head(path: &Path, expected: &Status, head: &mut [u8]) -> Result<usize> {
    let opened = sys::open(
        sys::CWD,
        path.as_c_str(),
        sys::open::READ | sys::open::NO_WAIT | sys::open::NO_CONTROL,
        0,
    )?;
    let status = sys::status(opened.number(), c"")?;
    let same = (status.number, status.file_system) == (expected.number, expected.file_system);
    if same && status.is_file() { sys::read(&opened, head) } else { Ok(0) }
}
