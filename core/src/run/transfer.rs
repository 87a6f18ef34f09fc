//! The caller's view of a copy: what is copied, and how much at most. [`tree_copy`] makes it.

use crate::base::error::Result;
use crate::host::tree_copy::{self, CopyProgress, Rules, Watcher};
use std::ops::ControlFlow;
use std::path::Path;

mod collecting;
mod memory;

pub(crate) use crate::host::tree_copy::privileged_caller;
pub(crate) use crate::host::tree_copy::{Copied, Owner, Side, open_directory, path_of, split};
pub(crate) use collecting::{Tree, make_directory};

/// How to copy files and trees, and the bounds of a copy.
///
/// ```no_run
/// # fn main() -> seclude::Result<()> {
/// // Copies what a program has left in a directory that was bound writable.
/// let transfer = seclude::Transfer::new().max_bytes(seclude::MiB(1));
/// let copied = transfer.copy("/srv/work/7", "out", "/srv/results/7")?;
/// assert!(copied.bytes <= 1 << 20);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub(crate) rules: Rules,
}

impl Default for Transfer {
    fn default() -> Transfer {
        let (max_bytes, max_entries) = (256 << 20, 10_000);
        Transfer {
            rules: Rules { max_bytes, max_entries, skips: false, archive: false, watcher: None },
        }
    }
}

impl Transfer {
    /// Creates a transfer with the default bounds: 256 MiB in 10,000 files and directories, 64
    /// levels deep.
    pub fn new() -> Transfer {
        Transfer::default()
    }

    /// Sets the most bytes to copy. A file counts with its length, holes included.
    #[must_use]
    pub fn max_bytes(mut self, bytes: impl Into<u64>) -> Transfer {
        self.rules.max_bytes = bytes.into();
        self
    }

    /// Sets the most files and directories to copy. Skipped entries count too.
    #[must_use]
    pub fn max_entries(mut self, number: u64) -> Transfer {
        self.rules.max_entries = number;
        self
    }

    /// Skips symbolic links, pipes, sockets and devices, and lists them in [`Copied::skipped`]. By
    /// default they are an error. With [`Transfer::archive`], symbolic links are copied instead.
    #[must_use]
    pub fn skip_special(mut self) -> Transfer {
        self.rules.skips = true;
        self
    }

    /// Copies as `cp -a` does: symbolic links are made anew with the same target, further hard
    /// links to a file become hard links to its copy, and files and directories keep the time of
    /// their last modification. Ownership and extended attributes are not copied.
    ///
    /// No link is followed for that, but whoever reads the copies may follow them, and a program
    /// may have made them lead anywhere.
    #[must_use]
    pub fn archive(mut self) -> Transfer {
        self.rules.archive = true;
        self
    }

    /// Has a function told about the progress: before the first entry, then at most ten times a
    /// second, and at the end. If it returns [`ControlFlow::Break`], the copy is cancelled: it
    /// fails with `ECANCELED`, and what has been copied is removed.
    ///
    /// The function is called in the thread that copies, or that collects
    /// ([`Command::collect_within`](crate::Command::collect_within)). The copy waits meanwhile.
    ///
    /// ```no_run
    /// # fn main() -> seclude::Result<()> {
    /// use std::ops::ControlFlow;
    /// use std::time::{Duration, Instant};
    ///
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// let transfer = seclude::Transfer::new().progress(move |so_far| {
    ///     eprintln!("{} files and directories, {} bytes", so_far.entries, so_far.bytes);
    ///     if Instant::now() < deadline { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// });
    /// transfer.copy("/srv/work/7", "out", "/srv/results/7")?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn progress(
        mut self,
        watch: impl Fn(&CopyProgress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Transfer {
        self.rules.watcher = Some(Watcher::new(watch));
        self
    }

    /// Copies the file or tree at `path`, relative to the directory `base`, to `to`. `to` must not
    /// exist yet.
    ///
    /// No symbolic link in `path` or below it is followed. `base` is trusted, and links in it are
    /// followed. The copies belong to the caller. They have the permissions of the originals,
    /// without the set-user-id, set-group-id and sticky bits. The owner can always read and write a
    /// copy, and search a directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a bound is exceeded, or if there is
    /// something that is neither a file nor a directory. [`ErrorKind::Io`](crate::ErrorKind::Io) if
    /// a file cannot be read or written, or if `to` exists. After an error the copy is removed,
    /// except for what other processes have put into it.
    pub fn copy(
        &self,
        base: impl AsRef<Path>,
        path: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> Result<Copied> {
        let (base, path, to) = (base.as_ref(), path.as_ref(), to.as_ref());
        let directory = open_directory(base)?;
        let (parent, name) = split(to)?;
        let to = Side {
            directory: open_directory(parent)?,
            path: path_of(&name),
            shown: to,
            owner: None,
        };
        tree_copy::copy(&self.rules, Side { directory, path, shown: path, owner: None }, to)
    }
}
