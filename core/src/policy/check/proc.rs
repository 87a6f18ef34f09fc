//! Rejects policies in which `/proc` could not show processes alone.

use crate::base::error::{Error, Result};
use crate::policy::{Entry, Namespace, Policy};
use std::path::Path;

impl Policy {
    pub(super) fn check_proc(&self) -> Result<()> {
        if !self.proc_subset {
            return Ok(());
        }
        let wrong = |why: &str, hint: &str| {
            Err(Error::invalid("proc_subset", why.to_owned()).hint(hint.to_owned()))
        };
        let given = |entry: &Entry| match self.exact_files {
            true => matches!(entry, Entry::Proc(_)),
            false => entry.at() == Path::new("/proc"),
        };
        let given = self.files.iter().any(given);
        if self.share.contains(&Namespace::Pid) {
            wrong(
                "with a shared pid namespace, /proc is the caller's",
                "let the sandbox have a process tree of its own",
            )
        } else if self.nested {
            wrong(
                "nested sandboxes mount a /proc, which the kernel allows only where a complete \
                 one is visible",
                "leave out nested, or proc_subset",
            )
        } else if given != self.exact_files {
            let why = match self.exact_files {
                true => "no entry mounts a /proc",
                false => "the policy puts something else at /proc",
            };
            wrong(why, "leave it out")
        } else {
            Ok(())
        }
    }
}
