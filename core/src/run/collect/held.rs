//! The files of a sandbox, held from before its command starts until they have been collected.

use super::{Collected, Wanted};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::run::alive::Alive;
use crate::run::transfer::{self, Copied, Owner, Tree};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use std::path::{Path, PathBuf};

/// Descriptors of a sandbox's root directory and of its mount namespace, and what is wanted there.
///
/// The descriptor of the root alone keeps only the mount of the root directory: the kernel takes
/// the other mounts away with the namespace (mount_namespaces(7)).
#[derive(Debug)]
pub struct HeldFiles {
    wanted: Wanted,
    /// The command's working directory.
    directory: PathBuf,
    owner: Option<Owner>,
    root: Kept,
    namespace: Kept,
}

impl HeldFiles {
    /// Opens the descriptors. The sandbox must be set up, and its command must not run yet: a short
    /// command could end before.
    pub fn open(alive: &Alive, wanted: &Wanted, directory: &Path) -> Result<HeldFiles> {
        let failed = |errno: Errno| {
            Error::new(ErrorKind::Io, "hold the files of the sandbox").errno(errno as i32).hint(
                "the caller must see the sandbox's processes in its /proc, and may inspect \
                    them (ptrace(2)): without privileges it may not where it joins namespaces",
            )
        };
        let flags = OFlag::O_CLOEXEC;
        let path = OFlag::O_PATH | OFlag::O_DIRECTORY | flags;
        // This descriptor stays bound to one process. After its end nothing can be opened through
        // it.
        let warden = match alive.sandbox.policy().confined {
            // The files are the caller's own, and it may have no right to inspect the warden.
            Some(_) => "/proc/thread-self".into(),
            None => format!("/proc/{}", alive.warden.pid()),
        };
        let warden = openat(AT_FDCWD, &*warden, path, Mode::empty()).map_err(failed)?;
        // The pid was the warden's if that lives now.
        if !alive.warden.is_alive()? {
            return Err(failed(Errno::ESRCH));
        }
        let namespace = openat(&warden, "ns/mnt", OFlag::O_RDONLY | flags, Mode::empty());
        let root = openat(&warden, "root", path, Mode::empty());
        let (root, namespace) = (root.map_err(failed)?, namespace.map_err(failed)?);
        Ok(HeldFiles {
            wanted: wanted.clone(),
            directory: directory.into(),
            owner: alive.owner_of_files()?,
            root: root.into(),
            namespace: namespace.into(),
        })
    }

    /// Collects to where the command wants it. What fails is [`Collected::error`]: the directory
    /// may have been filled since the start, and the outcome must not be lost for that.
    pub fn collect(&self) -> Collected {
        let result = match &self.wanted.directory {
            Some(directory) => self.collect_to(directory),
            None => self.to_memory(),
        };
        result.unwrap_or_else(Collected::failed)
    }

    /// Collects below a directory.
    ///
    /// # Errors
    ///
    /// Only the caller's mistakes. Others are in [`Collected::error`].
    pub fn collect_to(&self, directory: &Path) -> Result<Collected> {
        self.wanted.check_directory(directory)?;
        Ok(self.to_directory(directory).unwrap_or_else(Collected::failed))
    }

    fn to_memory(&self) -> Result<Collected> {
        let (copied, unmatched, files) = self.tree()?.to_memory(&self.wanted.transfer)?;
        Ok(Collected { files, ..self.collected(copied, &unmatched) })
    }

    fn to_directory(&self, directory: &Path) -> Result<Collected> {
        let tree = self.tree()?;
        let (place, is_new) = transfer::make_directory(directory)?;
        let result = tree.to_directory(&self.wanted.transfer, place);
        if result.is_err() && is_new {
            let _ = std::fs::remove_dir(directory);
        }
        result.map(|(copied, unmatched)| self.collected(copied, &unmatched))
    }

    /// The tree to collect from. An error if the caller has closed a descriptor.
    fn tree(&self) -> Result<Tree<'_>> {
        self.namespace.get()?;
        Ok(Tree {
            root: self.root.get()?,
            directory: &self.directory,
            owner: self.owner,
            patterns: &self.wanted.patterns,
        })
    }

    fn collected(&self, copied: Copied, unmatched: &[usize]) -> Collected {
        let text = |number: &usize| self.wanted.patterns[*number].text.clone();
        Collected {
            files: Vec::new(),
            entries: copied.entries,
            bytes: copied.bytes,
            skipped: copied.skipped,
            unmatched: unmatched.iter().map(text).collect(),
            error: None,
        }
    }
}

impl Collected {
    fn failed(error: Error) -> Collected {
        Collected { error: Some(error), ..Collected::default() }
    }
}
