//! The directories in which overlays keep their changes. One sandbox at a time uses one.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::base::sys;
use crate::host::bounded;
use crate::policy::Policy;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The locks of one sandbox: flock(2). They end with it, or with the caller.
#[derive(Debug, Default)]
pub struct Changes {
    locked: Vec<File>,
    /// The directory with the changes to the first overlay, once a cell is set up. What is mounted
    /// there stays mounted as long as this is open.
    upper: Option<Kept>,
}

impl Changes {
    /// Takes the directories of a policy, before anything starts.
    ///
    /// # Errors
    ///
    /// A directory is missing, in use, or open to other users, for whom the changes can be programs
    /// that run with the caller's rights.
    pub fn lock(policy: &Policy) -> Result<Changes> {
        let locked = policy.kept().map(|(path, bounds)| lock(path, bounds.is_some()));
        let locked = locked.collect::<Result<_>>()?;
        Ok(Changes { locked, upper: None })
    }

    /// Keeps the directory with the changes.
    pub fn lend(&mut self, upper: OwnedFd) {
        self.upper = Some(upper.into());
    }

    /// The directory with the changes.
    ///
    /// # Errors
    ///
    /// The caller has closed the library's descriptor.
    pub fn upper(&self) -> Result<Option<OwnedFd>> {
        let copy = |upper: &Kept| {
            let copy = upper.get()?.try_clone_to_owned();
            copy.map_err(|error| Error::io("duplicate a descriptor", error))
        };
        self.upper.as_ref().map(copy).transpose()
    }

    pub fn is_empty(&self) -> bool {
        self.locked.is_empty()
    }

    /// Gives the directories back. A process that was forked from this one may have copies of the
    /// descriptors.
    pub fn release(&mut self) {
        self.upper = None;
        self.locked.drain(..).for_each(|directory| sys::unlock(directory.as_fd()));
    }
}

fn lock(path: &Path, bounded: bool) -> Result<File> {
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
    if !bounded && path.join(bounded::IMAGE).exists() {
        return Err(failed(ErrorKind::Invalid)
            .because("its changes are in a file system with bounds")
            .hint("say the size and inodes that it was made with, or name another directory"));
    }
    match sys::try_lock(directory.as_fd()) {
        Ok(true) => Ok(directory),
        Ok(false) => Err(failed(ErrorKind::Invalid)
            .because("another sandbox keeps its changes there")
            .hint("end that first, or name another directory")),
        Err(error) => Err(Error::io(action, error).at(path)),
    }
}
