//! The directories in which overlays keep their changes. One sandbox at a time uses one.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::sys;
use crate::policy::Policy;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The locks of one sandbox: flock(2). They end with it, or with the caller.
#[derive(Debug, Default)]
pub struct Changes {
    locked: Vec<File>,
}

impl Changes {
    /// Takes the directories of a policy, before anything starts.
    ///
    /// # Errors
    ///
    /// A directory is missing, in use, or open to other users, for whom the changes can be programs
    /// that run with the caller's rights.
    pub fn lock(policy: &Policy) -> Result<Changes> {
        let locked = policy.kept().map(lock).collect::<Result<_>>()?;
        Ok(Changes { locked })
    }

    pub fn is_empty(&self) -> bool {
        self.locked.is_empty()
    }

    /// Gives the directories back. A process that was forked from this one may have copies of the
    /// descriptors.
    pub fn release(&mut self) {
        self.locked.drain(..).for_each(|directory| sys::unlock(directory.as_fd()));
    }
}

fn lock(path: &Path) -> Result<File> {
    let shown = path.display();
    let action = format!("keep changes in {shown}");
    let failed = |kind: ErrorKind| Error::new(kind, action.clone()).at(path);
    let directory = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path);
    let directory = directory.map_err(|error| match error.raw_os_error() {
        Some(errno @ (libc::ENOENT | libc::ENOTDIR)) => failed(ErrorKind::SourceMissing)
            .errno(errno)
            .hint(format!("{shown} is no directory, as the caller sees it: make it")),
        _ => Error::io(action.clone(), error).at(path),
    })?;
    const OTHERS: u32 = 0o077;
    let status = directory.metadata();
    let status = status.map_err(|error| Error::io(action.clone(), error).at(path))?;
    if status.mode() & OTHERS != 0 || status.uid() != nix::unistd::geteuid().as_raw() {
        return Err(failed(ErrorKind::Invalid)
            .because("other users may enter it, and find set-user-ID programs there")
            .hint(format!("make it the caller's own, and close it: chmod 700 {shown}")));
    }
    match sys::try_lock(directory.as_fd()) {
        Ok(true) => Ok(directory),
        Ok(false) => Err(failed(ErrorKind::Invalid)
            .because("another sandbox keeps its changes there")
            .hint("end that first, or name another directory")),
        Err(error) => Err(Error::io(action, error).at(path)),
    }
}
