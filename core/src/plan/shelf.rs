//! A template that holds the sources of its copies.
//!
//! Some file systems cannot be shared by copies, because programs change them or mounts lie over
//! mounts. Each copy then makes its own, as a sandbox without a template does. The sources are in
//! the template, each below a number of its own, so that a copy needs nothing from outside: no path
//! of the host, and no mount tree that only the caller can make.

use super::{Builder, Manner, Sources, c_string};
use crate::base::error::Result;
use crate::policy::{Policy, profile};
use crate::wire::plan::Step;
use std::path::PathBuf;

/// Where the source with this number is.
pub(super) fn place(number: u32) -> PathBuf {
    PathBuf::from(format!("/{number}"))
}

impl Builder {
    pub(super) fn shelf(&mut self, policy: &Policy, manner: Manner) -> Result<()> {
        let sources = self.open_sources(policy, manner.mapping)?;
        self.admission(manner);
        self.identity(policy, manner.mapping, &sources);
        self.push(Step::PrivateMounts {}, "cut the mounts off from the caller's");
        let root = Step::Root { size: profile::ROOT_SIZE, inodes: 0, anywhere: false };
        self.push(root, "mount a tmpfs as the new root");
        for source in 0..self.sources {
            let (at, tree) = (place(source), self.is_given(source));
            let step = Step::Bind { source, at: &c_string(&at)?, attributes: 0, tree };
            self.push_at(step, format!("keep source {source} for the copies"), &at);
        }
        // A copy can mount a proc of its own only where a complete one is visible.
        self.proc(&Sources::default(), c"/proc", false, false);
        self.push(Step::Pivot {}, "make the new root the root");
        self.push(Step::ReadOnlyRoot {}, "make the root read-only");
        Ok(())
    }
}
