//! What the commands of a cell have changed in its overlay, and images made from that.

use super::blobs;
use super::entry::{Entry, Kind};
use super::image::Image;
use super::import::{Import, STACK_MAX};
use super::layer::Bounds;
use super::overlay::Lower;
use super::owner::Origin;
use super::reach::Reach;
use super::stack::{Removed, Stack, Taker, Tier};
use super::store::Store;
use super::stream::DigestedEntries;
use crate::base::declared::named;
use crate::base::error::{Error, Result};
use crate::host::store::{IdsOnDisk, Layer, check_name};
use crate::lives::cell::Cell;
use crate::plan::defaults;
use crate::plan::idmap::Mapping;
use crate::plan::idmap::subordinate::Subordinate;
use crate::policy::{Overlay, Policy, profile};
use crate::run::alive::Alive;
use crate::run::sandbox::images::{check_owner, hold_layers, incomplete};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

named! {
    /// What happened to a file.
    ChangeKind {
        /// It is new.
        Added = "added",
        /// It is another one, or has other contents or attributes.
        Changed = "changed",
        /// It is gone, with all that was below it.
        Deleted = "deleted",
    }
}

/// A file or directory of an overlay that differs from its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The path inside.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
}

impl Cell {
    /// What differs in the cell's overlay from its layers, by path. The overlay is the one at `/`,
    /// or else the first of the policy.
    ///
    /// A directory counts as changed if its owner or mode is another one, or if it took the place
    /// of another file; not for what is in it. Times do not count. Commands that run meanwhile
    /// may change more: [`Cell::freeze`](crate::Cell::freeze) stops them.
    ///
    /// # Errors
    ///
    /// `Invalid` if the policy has no overlay.
    pub fn changes(&self) -> Result<Vec<Change>> {
        self.with_changed(|changed| {
            let lower = Lower::open(&changed.overlay.layers, Reach::of([changed.origin()]))?;
            // The kernel shows the owners of the layers of a privileged caller as they are.
            let origin = match changed.alive.plan.manner.mapping {
                Mapping::Range { .. } => Some(Origin::Image),
                Mapping::Subordinate(ids) => Some(Origin::Subordinate(ids)),
                _ => None,
            };
            let at = &changed.overlay.at;
            let mut differences = Differences { at, lower, origin, found: BTreeMap::new() };
            changed.read(&mut differences)?;
            let found = differences.found.into_iter();
            Ok(found.map(|(path, kind)| Change { path, kind }).collect())
        })
    }

    /// Makes an image of the cell's: the image that its policy has, with what commands have changed
    /// as one more layer. `name` is the name in the same store; without one it is the digest.
    ///
    /// The cell goes on as it is, and the new image never changes. What is mounted in the overlay
    /// is not a part of it. An image of very many layers becomes one of a single layer. Commands
    /// that run meanwhile may change what is read: [`Cell::freeze`](crate::Cell::freeze) stops
    /// them.
    ///
    /// # Errors
    ///
    /// `Invalid` if the policy has no overlay with an image, or the changes have more than 16 GiB,
    /// counting what sparse files do not have, or 2,000,000 entries. `Io` if the store has no room.
    pub fn commit(&self, name: Option<&str>) -> Result<Image> {
        name.map_or(Ok(()), check_name)?;
        self.with_changed(|changed| {
            let held = changed.alive.sandbox.images().iter();
            let held = held.rev().find(|held| held.at == changed.overlay.at).ok_or_else(|| {
                Error::invalid("commit the changes of the cell", "its overlay shows no image")
                    .hint("take the root from an image: Sandbox::image")
            })?;
            if held.layers.len() != changed.overlay.layers.len() {
                return Err(Error::invalid(
                    "commit the changes of the cell",
                    "its overlay has layers of the caller's above the image",
                ));
            }
            let import = Import::new(&held.store, changed.policy.ids, Bounds::DEFAULT)?;
            let layers = if held.layers.len() < STACK_MAX {
                let layer = import.above(&held.layers, |layer| changed.digest(layer))?;
                // Held once more: the image is to outlive the cell.
                let below = hold_layers(&held.store, &held.record)?
                    .ok_or_else(|| incomplete(&held.store, &held.record.digest))?;
                below.into_iter().chain([layer]).collect()
            } else {
                let lower = held.layers.iter().rev().map(tier_of);
                let lower = lower.collect::<Result<Vec<_>>>()?;
                vec![import.above(&[], |layer| changed.digest_with(lower, layer))?]
            };
            let record = held.record.with_layers(&layers);
            let name = name.map_or_else(|| record.digest.clone(), str::to_owned);
            held.store.set_record(&name, &record)?;
            Ok(Image::new(Store::of(held.store.clone()), name, record, Arc::new(layers)))
        })
    }

    fn with_changed<T>(&self, act: impl FnOnce(&Changed<'_>) -> Result<T>) -> Result<T> {
        let none = || {
            Error::invalid("read the changes of the cell", "its policy has no overlay")
                .hint("take the root from an image, or add an overlay")
        };
        let alive = self.alive()?;
        let policy = alive.sandbox.policy();
        let overlay = policy.first_overlay().ok_or_else(none)?;
        let upper = alive.upper()?.ok_or_else(none)?;
        act(&Changed { alive: &alive, policy, overlay, upper })
    }
}

/// The changes to an overlay.
struct Changed<'a> {
    alive: &'a Alive,
    policy: &'a Policy,
    overlay: &'a Overlay,
    upper: OwnedFd,
}

impl Changed<'_> {
    /// Reads the changes as a layer has them.
    fn read(&self, taker: &mut dyn Taker) -> Result<()> {
        let stack = Stack::new(vec![self.tier()?], Removed::Told, "the changes");
        stack.without(self.made_by_the_set_up()?).read(taker)
    }

    fn digest(&self, taker: &mut dyn Taker) -> Result<String> {
        let mut digested = DigestedEntries::new(taker);
        self.read(&mut digested)?;
        Ok(digested.finish())
    }

    /// Reads the changes with the layers below, as one.
    fn digest_with(&self, lower: Vec<Tier>, taker: &mut dyn Taker) -> Result<String> {
        let mut digested = DigestedEntries::new(taker);
        let tiers = std::iter::once(self.tier()?).chain(lower).collect();
        let stack = Stack::new(tiers, Removed::Hidden, "the changes");
        stack.without(self.made_by_the_set_up()?).read(&mut digested)?;
        Ok(digested.finish())
    }

    fn origin(&self) -> Origin {
        match self.alive.plan.manner.mapping {
            Mapping::Range { uids, gids } => Origin::Sandbox { uids, gids },
            Mapping::Subordinate(ids) => Origin::Subordinate(ids),
            _ => Origin::One,
        }
    }

    fn tier(&self) -> Result<Tier> {
        let origin = self.origin();
        let directory = self.upper.try_clone();
        let directory = directory.map_err(|error| Error::io("duplicate a descriptor", error))?;
        Ok(Tier { directory, origin, has_surplus: true })
    }

    /// What the set-up has made, as opposed to the commands: empty files and directories where the
    /// layers have none, and the names of hosts that it has written.
    fn made_by_the_set_up(&self) -> Result<impl Fn(&[u8], bool) -> Result<bool> + use<>> {
        let policy = defaults::with_defaults(self.policy);
        let inside = |path: &Path| path.strip_prefix(&self.overlay.at).ok().map(Path::to_owned);
        let directories = profile::DIRECTORIES.iter().map(|path| crate::plan::path_of(path));
        let written = profile::NETWORK.iter().map(Path::new);
        let places = directories
            .chain(policy.files.iter().map(crate::policy::Entry::at))
            .chain(written.clone().flat_map(Path::parent));
        let lower = Lower::open(&self.overlay.layers, Reach::of([self.origin()]))?;
        let places: Vec<PathBuf> =
            places.filter_map(inside).filter(|path| path != Path::new("")).collect();
        let written: Vec<PathBuf> = written.filter_map(inside).collect();
        Ok(move |bytes: &[u8], is_empty: bool| {
            let path = path_of(bytes);
            let is_made = is_empty && places.contains(&path) && lower.find(bytes)?.is_none();
            Ok(is_made || written.contains(&path))
        })
    }
}

/// Compares the changes with the layers below.
struct Differences<'a> {
    at: &'a Path,
    lower: Lower,
    /// The owners of files in the layers. `None` if one user owns them all.
    origin: Option<Origin>,
    found: BTreeMap<PathBuf, ChangeKind>,
}

impl Differences<'_> {
    fn add(&mut self, path: &[u8], kind: ChangeKind) {
        self.found.insert(self.at.join(path_of(path)), kind);
    }
}

impl Taker for Differences<'_> {
    fn take(&mut self, entry: &Entry, _: &mut dyn Read) -> Result<()> {
        match &entry.kind {
            Kind::Hidden => {
                // What was in the directory is gone, unless it was made again: that comes later.
                for name in self.lower.names(&entry.path)? {
                    self.add(&joined(&entry.path, name.to_bytes()), ChangeKind::Deleted);
                }
                return Ok(());
            }
            Kind::Removed => {
                self.add(&entry.path, ChangeKind::Deleted);
                return Ok(());
            }
            _ => {}
        }
        // It was found in a directory that was removed and made again.
        self.found.remove(&self.at.join(path_of(&entry.path)));
        match self.lower.find(&entry.path)? {
            None => self.add(&entry.path, ChangeKind::Added),
            Some(status) => {
                let is_directory = status.st_mode & libc::S_IFMT == libc::S_IFDIR;
                let attributes = &entry.attributes;
                let has_owner = |origin: Origin| {
                    origin.owner((status.st_uid, status.st_gid), None)
                        == Some((attributes.uid, attributes.gid))
                };
                let is_same_directory = entry.kind == Kind::Directory
                    && is_directory
                    && status.st_mode & 0o7777 == attributes.mode
                    && self.origin.is_none_or(has_owner);
                if !is_same_directory {
                    self.add(&entry.path, ChangeKind::Changed);
                }
            }
        }
        Ok(())
    }
}

/// The files of a layer of the store.
pub(super) fn tier_of(layer: &Layer) -> Result<Tier> {
    let directory = blobs::open(&layer.files(), libc::O_DIRECTORY)?.into();
    let origin = match layer.key.ids() {
        IdsOnDisk::Image => Origin::Image,
        IdsOnDisk::One => Origin::One,
        IdsOnDisk::Range { .. } => Origin::Subordinate(subordinate(layer)?),
    };
    Ok(Tier { directory, origin, has_surplus: false })
}

/// The subordinate ids of the caller, which own the files of a layer.
fn subordinate(layer: &Layer) -> Result<Subordinate> {
    let own = Subordinate::of_caller()?;
    check_owner(layer.key.ids(), own)?;
    Ok(own)
}

fn path_of(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

fn joined(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() { name.to_vec() } else { [above, b"/", name].concat() }
}
