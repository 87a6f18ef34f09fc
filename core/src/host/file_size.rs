//! The caller's limit on the size of a file that it writes (RLIMIT_FSIZE), asked before each write
//! of the library's own.
//!
//! A process that writes beyond it gets SIGXFSZ, which ends it unless it is prepared:
//! `setrlimit(2)`. That counts for files in memory too. The limit is a process's own: what is no
//! file on any disk is written by a process that has raised its own, as far as it may.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::launch;
use nix::sys::resource::{Resource, getrlimit};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

/// The limit in bytes.
pub fn limit() -> Result<u64> {
    let limits = getrlimit(Resource::RLIMIT_FSIZE)
        .map_err(|errno| Error::io("read the limit on the size of files", errno))?;
    Ok(limits.0)
}

/// Writes an empty file in memory, whatever the caller's limit is as long as it may be raised.
/// `remedy`: what else helps.
pub fn fill(file: &mut File, bytes: &[u8], action: &str, remedy: &str) -> Result<()> {
    let written = match bytes.len() as u64 <= limit()? {
        true => file.write_all(bytes),
        false => launch::write_apart(file.as_fd(), bytes),
    };
    written.map_err(|error| match (error.raw_os_error(), getrlimit(Resource::RLIMIT_FSIZE)) {
        (Some(libc::EFBIG), Ok((_, hard))) => too_large(bytes.len() as u64, hard, action, remedy),
        _ => Error::io(action, error),
    })
}

/// Refuses what would go beyond `limit`. `remedy`: what else helps, besides a higher limit.
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
    fn what_fits_is_let_through_and_the_rest_names_the_limit() {
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
