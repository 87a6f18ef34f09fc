//! Collecting the files that a command has left.

use super::Child;
use crate::base::error::{Error, Result};
use crate::run::collect::Collected;
use crate::run::collect::held::HeldFiles;
use std::path::Path;

/// # Files that it has left
impl Child {
    /// Collects the files that the command was to leave
    /// ([`Command::collect`](crate::Command::collect)), once it has ended and been waited for. They
    /// can be collected once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the command has asked for no files, has
    /// not been waited for, or if its files have been collected. The error of [`Child::wait`] if
    /// that failed. Whatever else fails is [`Collected::error`].
    pub fn collect(&mut self) -> Result<Collected> {
        let collected = self.files_to_collect()?.collect();
        self.release_files();
        Ok(collected)
    }

    /// Collects the files below `directory`, whatever the command was to do with them. The rules
    /// for the directory are those of [`Command::collect_into`](crate::Command::collect_into).
    ///
    /// # Errors
    ///
    /// Those of [`Child::collect`]. [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the
    /// directory is not empty, cannot be made, or if patterns are both absolute and relative. The
    /// files can still be collected then.
    pub fn collect_to(&mut self, directory: impl AsRef<Path>) -> Result<Collected> {
        let collected = self.files_to_collect()?.collect_to(directory.as_ref())?;
        self.release_files();
        Ok(collected)
    }

    /// Gives up the files without collecting them, which dropping the child does too. For bindings
    /// to other languages, which cannot tell when they drop it.
    #[doc(hidden)]
    pub fn discard_files(&mut self) {
        self.release_files();
    }

    /// Whether there are files to collect, once the command has ended.
    #[doc(hidden)]
    pub fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// The files, or none if the command asked for none.
    pub(crate) fn collect_if_asked(&mut self) -> Result<Collected> {
        if self.has_files() { self.collect() } else { Ok(Collected::default()) }
    }

    fn files_to_collect(&self) -> Result<&HeldFiles> {
        let wrong = |why: &str| Error::invalid("files of the command", why);
        let Some(files) = &self.files else {
            return Err(wrong("none were asked for, or they have been collected")
                .hint("name them before the start (Command::collect)"));
        };
        match &self.outcome {
            None => Err(wrong("it has not been waited for").hint("wait for its end first")),
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(_)) => Ok(files),
        }
    }

    /// Closes the descriptors that keep the files, and gives up a place that was kept for them.
    fn release_files(&mut self) {
        self.files = None;
        if self.outcome.is_some() {
            self.lease = None;
        }
    }
}
