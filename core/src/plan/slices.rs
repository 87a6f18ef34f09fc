//! The steps that show parts of the host's `/sys`: what programs read to learn how much they may
//! use. The profile lists the files. All else there tells about the whole machine, or changes it.

use super::files::internal;
use super::{Builder, Sources, c_string, path_of};
use crate::base::error::Result;
use crate::policy::profile::{self, Slice};
use crate::policy::{Entry, Policy};
use crate::wire::codec::ListBuilder;
use crate::wire::plan::{Step, attribute};
use std::ffi::CStr;
use std::path::Path;

/// The controllers that hierarchies of version 1 can have, by which a directory there is named.
const CONTROLLERS: [&CStr; 7] =
    [c"blkio", c"cpu", c"cpuacct", c"cpuset", c"freezer", c"memory", c"pids"];

/// The cgroups of a sandbox, in which no process of others is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnCgroups {
    /// There is one in the hierarchy of version 2.
    v2: bool,
    /// For each hierarchy of version 1 with one, a bit for each of its [`CONTROLLERS`].
    v1: [u8; CONTROLLERS.len()],
}

impl OwnCgroups {
    /// With `v2`, there is one in the hierarchy of version 2.
    pub fn with_v2(v2: bool) -> OwnCgroups {
        OwnCgroups { v2, ..OwnCgroups::default() }
    }

    /// Adds one in the hierarchy of version 1 that has these controllers.
    pub fn with_v1<'n>(mut self, controllers: impl Iterator<Item = &'n str>) -> OwnCgroups {
        let bit = |name: &str| {
            CONTROLLERS
                .iter()
                .position(|one| one.to_bytes() == name.as_bytes())
                .map_or(0, |at| 1 << at)
        };
        let bits = controllers.fold(0, |bits, name| bits | bit(name));
        if let Some(free) = self.v1.iter_mut().find(|bits| **bits == 0) {
            *free = bits;
        }
        self
    }

    /// The controllers of each hierarchy of version 1.
    fn hierarchies(&self) -> impl Iterator<Item = Vec<&'static CStr>> {
        let names = |bits: u8| {
            CONTROLLERS.into_iter().enumerate().filter(move |(at, _)| bits >> at & 1 != 0)
        };
        self.v1
            .into_iter()
            .filter(|bits| *bits != 0)
            .map(move |bits| names(bits).map(|(_, name)| name).collect())
    }
}

const FIXED: u64 = attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;

impl Builder {
    /// Opens the directories of the host of which parts are shown. A host without `/sys` shows
    /// none.
    pub(super) fn open_slices(&mut self, policy: &Policy, sources: &mut Sources) -> Result<()> {
        if !policy.files.iter().any(|entry| matches!(entry, Entry::Sys(_))) {
            return Ok(());
        }
        for Slice { directory, .. } in profile::SLICES {
            let path = path_of(directory);
            let source = self.source(path, true, format!("open the host's {}", path.display()))?;
            sources.slices.push(source);
        }
        Ok(())
    }

    /// Shows the parts at `at`. They become read-only once all other entries are there
    /// (`close_slices`), or at once if the policy says the order.
    pub(super) fn slices(
        &mut self,
        policy: &Policy,
        sources: &Sources,
        at: &Path,
        cgroups: OwnCgroups,
    ) -> Result<()> {
        let shown = at.display();
        if sources.slices.len() != profile::SLICES.len() {
            return Err(internal(&format!("show parts of /sys on {shown}"), "none are open"));
        }
        self.push_at(tmpfs(&c_string(at)?), format!("mount a tmpfs on {shown}"), at);
        for (slice, source) in profile::SLICES.iter().zip(&sources.slices) {
            self.slice(slice, *source, at)?;
        }
        let place = at.join(CGROUPS);
        let action = format!("make the directory {}", place.display());
        self.push_at(Step::Directory { at: &c_string(&place)?, mode: 0o755 }, action, &place);
        self.own_cgroups(at, cgroups)?;
        if policy.exact_files { self.make_read_only(at) } else { Ok(()) }
    }

    /// Makes the parts of `/sys` read-only.
    pub(super) fn close_slices(&mut self, policy: &Policy) -> Result<()> {
        let shown = policy.files.iter().filter(|entry| matches!(entry, Entry::Sys(_)));
        shown.filter(|_| !policy.exact_files).try_for_each(|entry| self.make_read_only(entry.at()))
    }

    fn slice(&mut self, slice: &Slice, source: u32, at: &Path) -> Result<()> {
        let Slice { directory, names, each } = slice;
        let outside = path_of(directory);
        let place = at.join(outside.strip_prefix("/sys").unwrap_or(outside));
        let inside = c_string(&place)?;
        let attributes = FIXED | attribute::READ_ONLY;
        let action = |what: &str| format!("show {what} of {}", outside.display());
        let (list, none) = (list(names), list(&[]));
        let step = Step::Populate {
            source,
            at: &inside,
            names: list.list(),
            except: none.list(),
            attributes,
        };
        self.push_at(step, action("files"), &place);
        self.name_source(outside);
        if let Some((prefix, names)) = each {
            let list = self::list(names);
            let step =
                Step::PopulateEach { source, at: &inside, prefix, names: list.list(), attributes };
            self.push_at(step, action("parts of each directory"), &place);
            self.name_source(outside);
        }
        Ok(())
    }

    /// Mounts the sandbox's own cgroups in `fs/cgroup` of the parts of `/sys`: that of version 2,
    /// or as hosts do it, one directory for each hierarchy.
    pub(super) fn own_cgroups(&mut self, at: &Path, cgroups: OwnCgroups) -> Result<()> {
        let place = at.join(CGROUPS);
        let hierarchies: Vec<_> = cgroups.hierarchies().collect();
        if hierarchies.is_empty() {
            return if cgroups.v2 { self.cgroup(&place, &[]) } else { Ok(()) };
        }
        self.push_at(
            tmpfs(&c_string(&place)?),
            format!("mount a tmpfs on {}", place.display()),
            &place,
        );
        for controllers in &hierarchies {
            let names: Vec<_> = controllers.iter().map(|name| name.to_string_lossy()).collect();
            let name = names.join(",");
            self.cgroup(&place.join(&name), controllers)?;
            // Programs look for a controller by its own name.
            for alone in controllers.iter().filter(|_| controllers.len() > 1) {
                let (link, target) = (place.join(path_of(alone)), c_string(Path::new(&name))?);
                let action = format!("link {} to {name}", link.display());
                self.push_at(
                    Step::Symlink { at: &c_string(&link)?, target: &target },
                    action,
                    &link,
                );
            }
        }
        if cgroups.v2 {
            self.cgroup(&place.join("unified"), &[])?;
        }
        self.make_read_only(&place)
    }

    fn cgroup(&mut self, place: &Path, controllers: &[&CStr]) -> Result<()> {
        let list = list(controllers);
        let step = Step::Cgroup { at: &c_string(place)?, controllers: list.list() };
        self.push_at(step, format!("mount the sandbox's cgroup on {}", place.display()), place);
        Ok(())
    }

    fn make_read_only(&mut self, at: &Path) -> Result<()> {
        let action = format!("make the mount at {} read-only", at.display());
        self.push_at(Step::Remount { at: &c_string(at)? }, action, at);
        Ok(())
    }
}

/// Where cgroups are, below the parts of `/sys`.
const CGROUPS: &str = "fs/cgroup";

/// A tmpfs that holds only mount points and directories.
fn tmpfs(at: &CStr) -> Step<'_> {
    Step::Tmpfs { at, size: profile::ROOT_SIZE, inodes: 0, mode: 0o755, attributes: FIXED }
}

fn list(names: &[&CStr]) -> ListBuilder<Vec<u8>> {
    let mut list = ListBuilder::new(Vec::new());
    names.iter().for_each(|name| list.push(name));
    list
}
