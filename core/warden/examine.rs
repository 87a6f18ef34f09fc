//! Why a program could not be executed: a look at what stands at its path, for the caller to
//! explain.

use crate::control::CommandSocket;
use crate::sys::{self, Errno, Result, Status};
use crate::text::Path;
use crate::wire::message::{HEAD_MAX, Report, stage};
use core::ffi::CStr;

/// Tells the caller of a failure; of what could not be executed, with a look at it, so that the
/// caller can say why.
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

/// The mode of the file at `path`, and how many bytes there are of its head.
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

/// The first symbolic link on the way to `path` that leads to nothing: its mode, and in `head` its
/// path, a NUL, and its text as far as there is room.
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

/// The first bytes of a file. What stands at its path may be another one by now, a FIFO or a
/// device, or be under a lease: an opening that waits for nobody, and a look at what has been
/// opened.
fn read_head(path: &Path, found: &Status, head: &mut [u8]) -> Result<usize> {
    let opened = sys::open(
        sys::CWD,
        path.as_c_str(),
        sys::open::READ | sys::open::NO_WAIT | sys::open::NO_CONTROL,
        0,
    )?;
    let status = sys::status(opened.number(), c"")?;
    let same = (status.number, status.file_system) == (found.number, found.file_system);
    if same && status.is_file() { sys::read(&opened, head) } else { Ok(0) }
}
