//! The steps for `/dev` and `/proc`, at their usual places or where entries put them.

use super::files::internal;
use super::{Builder, Sources, c_string, path_of};
use crate::base::error::Result;
use crate::policy::{Policy, profile};
use crate::wire::plan::{Step, attribute};
use std::ffi::CStr;
use std::path::Path;

impl Builder {
    pub(super) fn terminals(&mut self) {
        self.terminals_at(profile::TERMINALS);
    }

    fn terminals_at(&mut self, at: &CStr) {
        self.push_at(
            Step::Terminals { at },
            format!("mount a devpts on {}", at.to_string_lossy()),
            path_of(at),
        );
    }

    /// `hide`: see [`Builder::files`]. `subset`: it shows processes alone.
    pub(super) fn proc(&mut self, sources: &Sources, at: &CStr, hide: bool, subset: bool) {
        let shown = at.to_string_lossy();
        let (step, action) = match sources.proc {
            // Mounting a procfs of the caller's pid namespace requires privileges over that
            // namespace. So the caller's own mount is bound.
            Some(source) => (
                Step::Bind {
                    source,
                    at,
                    attributes: attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC,
                    tree: false,
                },
                format!("bind the caller's /proc on {shown}"),
            ),
            None => {
                self.first();
                (Step::Proc { at, hide, subset }, format!("mount a fresh proc on {shown}"))
            }
        };
        self.push_at(step, action, path_of(at));
    }

    /// Makes the process that becomes process 1, if there is to be one and it is not made yet.
    pub(super) fn first(&mut self) {
        if std::mem::take(&mut self.needs_first) {
            self.push(Step::First {}, "make the process that becomes process 1 of its tree");
        }
    }

    /// A directory with devices and terminals of the sandbox's own, at any place.
    pub(super) fn devices_at(
        &mut self,
        policy: &Policy,
        sources: &Sources,
        at: &Path,
    ) -> Result<()> {
        let inside = |name: &CStr| {
            let name = path_of(name);
            c_string(&at.join(name.strip_prefix("/dev").unwrap_or(name)))
        };
        let (top, attributes) = (c_string(at)?, attribute::NO_SUID | attribute::NO_DEV);
        let size = size_of_memory(policy);
        let step = Step::Tmpfs { at: &top, size, inodes: 0, mode: 0o755, attributes };
        self.push_at(step, format!("mount a tmpfs on {}", at.display()), at);
        for (index, (_, place, _, _)) in super::device_nodes(policy).enumerate() {
            let place = inside(place)?;
            let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_EXEC;
            let source = sources.devices.get(index).copied();
            let action = format!("bind the device {}", place.to_string_lossy());
            let source = source.ok_or_else(|| internal(&action, "it has not been opened"))?;
            self.push_at(
                Step::Bind { source, at: &place, attributes, tree: false },
                action,
                path_of(&place),
            );
        }
        for (place, target) in profile::DEVICE_LINKS.iter().chain([&profile::TERMINAL_LINK]) {
            let place = inside(place)?;
            let action = format!("link {}", place.to_string_lossy());
            self.push_at(Step::Symlink { at: &place, target }, action, path_of(&place));
        }
        let memory = inside(c"/dev/shm")?;
        let action = format!("make the directory {}", memory.to_string_lossy());
        self.push_at(Step::Directory { at: &memory, mode: 0o1777 }, action, path_of(&memory));
        self.terminals_at(&inside(profile::TERMINALS)?);
        Ok(())
    }
}

/// The size of a tmpfs that is not the policy's own: that of the limit on memory, which does not
/// count files in memory where it is sampled. 0 means the kernel's default.
pub(super) fn size_of_memory(policy: &Policy) -> u64 {
    policy.limits.memory.map_or(0, |limit| limit.max(4096))
}
