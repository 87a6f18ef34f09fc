//! The caller's limit on file sizes (RLIMIT_FSIZE), checked before each write of the library's own.
//!
//! A process that writes beyond the limit gets SIGXFSZ, which kills it by default (setrlimit(2)).
//! The limit also applies to files in memory. It is a property of the process. So a child process
//! that has raised its own limit, as far as it may, writes the files in memory.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::launch;
use nix::sys::resource::{Resource, getrlimit};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

/// The limit in bytes.
///
/// # Errors
///
/// An error if getrlimit(2) fails.
pub fn limit() -> Result<u64> {
    let limits = getrlimit(Resource::RLIMIT_FSIZE)
        .map_err(|errno| Error::io("read the limit on the size of files", errno))?;
    Ok(limits.0)
}

/// Fills an empty file in memory, even beyond the caller's soft limit if the limit may be raised.
/// `remedy` is appended to the hint of the error.
///
/// # Errors
///
/// [`ErrorKind::HostLimit`] if the hard limit is too low. Otherwise the error of the write.
pub fn fill(file: &mut File, bytes: &[u8], action: &str, remedy: &str) -> Result<()> {
    let written = match bytes.len() as u64 <= limit()? {
        true => file.write_all(bytes),
        false => launch::write_in_child(file.as_fd(), bytes),
    };
    written.map_err(|error| match (error.raw_os_error(), getrlimit(Resource::RLIMIT_FSIZE)) {
        (Some(libc::EFBIG), Ok((_, hard))) => too_large(bytes.len() as u64, hard, action, remedy),
        _ => Error::io(action, error),
    })
}

/// Checks that a file of `bytes` bytes stays within `limit`. `remedy` is appended to the hint of
/// the error.
///
/// # Errors
///
/// [`ErrorKind::HostLimit`] if it does not.
pub fn check(bytes: u64, limit: u64, action: &str, remedy: &str) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    Err(too_large(bytes, limit, action, remedy))
}

fn too_large(bytes: u64, limit: u64, action: &str, remedy: &str) -> Error {
    Error::new(ErrorKind::HostLimit, action)
        .because(format!(
            "it takes a file of {bytes} bytes, and RLIMIT_FSIZE lets this process write {limit}"
        ))
        .errno(libc::EFBIG)
        .hint(format!("raise RLIMIT_FSIZE (ulimit -f) in the caller{remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_names_the_limit_that_a_file_exceeds() {
        check(10, 10, "write it", "").unwrap();
        check(u64::MAX, u64::MAX, "write it", "").unwrap();
        let error = check(11, 10, "write it", ", or write less").unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::HostLimit, Some(libc::EFBIG)));
        assert_eq!(
            error.to_string(),
            "write it: it takes a file of 11 bytes, and RLIMIT_FSIZE lets this process write 10; \
            hint: raise RLIMIT_FSIZE (ulimit -f) in the caller, or write less"
        );
    }
}
