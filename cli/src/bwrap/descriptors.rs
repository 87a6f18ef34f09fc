//! The descriptors that options name, and those that the program inherits.

use super::{Refusal, Result};
use seclude::copy_of_number;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Takes the descriptor of an option: nobody else has it afterwards. So a reader at the other end
/// of a pipe sees its end as soon as this program is done with it.
pub fn take(option: &str, number: &OsStr) -> Result<OwnedFd> {
    let shown = number.to_string_lossy();
    let number: i32 = number
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|number| *number >= 0)
        .ok_or_else(|| Refusal::new(format!("{option} {shown}: not the number of a descriptor")))?;
    let copy = copy_of_number(&format!("{option} {number}"), number)?;
    // The standard streams stay open: a later file must not get their numbers.
    if number > 2 {
        let _ = nix::unistd::close(number);
    }
    Ok(copy)
}

/// Reads everything from the descriptor of an option.
pub fn contents(option: &str, number: &OsStr) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    match fs::File::from(take(option, number)?).read_to_end(&mut data) {
        Ok(_) => Ok(data),
        Err(error) => {
            let number = number.to_string_lossy();
            Err(Refusal::new(format!("{option} {number}: cannot read it: {error}")))
        }
    }
}

/// The path of what a descriptor has open. It must lead to the same file now.
pub fn path_of(option: &str, number: &OsStr) -> Result<(OwnedFd, PathBuf)> {
    let shown = number.to_string_lossy().into_owned();
    let link = format!("/proc/self/fd/{shown}");
    let lost = |why: &str| Refusal::new(format!("{option} {shown}: {why}"));
    let identity = |status: &fs::Metadata| (status.dev(), status.ino());
    let path = fs::read_link(&link).map_err(|error| lost(&error.to_string()))?;
    let open = fs::metadata(&link).map_err(|error| lost(&error.to_string()))?;
    match fs::symlink_metadata(&path) {
        Ok(found) if identity(&found) == identity(&open) => Ok((take(option, number)?, path)),
        _ => Err(lost("what it has open has no path, by which it could be bound")),
    }
}

/// The open descriptors beyond the standard streams that the program inherits, with copies.
pub fn inherited() -> Result<Vec<(i32, OwnedFd)>> {
    let listed = fs::read_dir("/proc/self/fd")
        .map_err(|error| Refusal::new(format!("list /proc/self/fd: {error}")))?;
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut open = Vec::new();
    for number in numbers.filter(|number: &i32| *number > 2) {
        // A copy of a locked file must not be made: to close it would release the lock.
        if !closes_on_exec(number) {
            open.push((number, copy_of_number("inherit a descriptor", number)?));
        }
    }
    Ok(open)
}

/// Whether a descriptor of this program closes when it executes another, as `/proc` shows.
fn closes_on_exec(number: i32) -> bool {
    const O_CLOEXEC: u32 = 0o2_000_000;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_none_or(|flags| flags & O_CLOEXEC != 0)
}

/// Waits until the descriptor has something to read, or its other end is closed.
pub fn wait_for(descriptor: &OwnedFd) -> Result<()> {
    let mut byte = [0];
    loop {
        match nix::unistd::read(descriptor, &mut byte) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => {
                return Err(Refusal::new(format!("--block-fd: cannot read it: {}", errno.desc())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use std::os::fd::AsRawFd;

    #[test]
    fn what_proc_says_of_close_on_exec_is_true() {
        let file = fs::File::open("/").unwrap();
        assert!(closes_on_exec(file.as_raw_fd()));
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        assert!(!closes_on_exec(file.as_raw_fd()));
    }
}
