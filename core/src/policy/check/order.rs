//! Checks of `exact_files`: file systems of the policy's own order.

use crate::base::error::{Error, Result};
use crate::policy::{Entry, File, Policy, System};

impl Policy {
    /// What only a file system of the policy's own order can have, and what it cannot.
    pub(super) fn check_order(&self) -> Result<()> {
        if !self.exact_files {
            return match self.files.iter().find(|entry| entry.needs_order()) {
                Some(entry) => Err(Error::invalid(
                    format!("destination {}", entry.at().display()),
                    "such an entry needs exact_files",
                )
                .hint("set exact_files, or leave out the entry")
                .at(entry.at())),
                None => Ok(()),
            };
        }
        let unbound = |entry: &&Entry| {
            matches!(entry, Entry::File(File { bound: false, writable: true, .. }))
        };
        if let Some(entry) = self.files.iter().find(unbound) {
            return Err(Error::invalid(
                format!("file {}", entry.at().display()),
                "writable says how a bound file is mounted, and it is not bound",
            )
            .hint("set bound too, or leave out writable: its mode decides")
            .at(entry.at()));
        }
        if let System::Root(root) = &self.system {
            return Err(Error::invalid(
                format!("root {}", root.display()),
                "with exact_files, the entries in files are all there is",
            )
            .hint("bind what is to be there"));
        }
        if self.terminals == Some(true) && !self.has_own_devices() {
            return Err(Error::invalid("terminals", "no entry mounts them")
                .hint("add a dev entry, which has terminals"));
        }
        Ok(())
    }
}
