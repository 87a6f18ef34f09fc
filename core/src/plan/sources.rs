//! The sources: what the warden opens outside, with the caller's ids and permissions.

use super::{Builder, c_string, defaults, device_nodes, shelf};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::step;
use crate::plan::idmap::Mapping;
use crate::policy::{Bind, Bounds, Entry, Namespace, Policy, System};
use crate::wire::plan::Step;
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// A mount tree that the caller makes, because only it can have the kernel translate the owners or
/// mount the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenTree {
    /// A layer of an overlay. Each id inside owns what the same id of the host owns.
    Layer(PathBuf),
    /// Where an overlay keeps its changes, with the same owners.
    Kept { path: PathBuf, bounds: Option<Bounds> },
    /// A bind. The command owns what the caller owns.
    Callers { path: PathBuf, follow: bool },
    /// A disk image, whose files keep their owners.
    DiskImage(PathBuf),
}

/// The error of a caller for whom the kernel mounts no file system that holds bounded changes.
pub fn refused_bounds(directory: &Path) -> Error {
    let action = format!("keep bounded changes in {}", directory.display());
    Error::new(ErrorKind::Unsupported, action)
        .because("only the host's root can mount a file system of its own there")
        .hint("leave out size and inodes, or leave out kept: changes in memory are bounded")
        .at(directory)
        .during(step::Step::Overlay)
}

impl GivenTree {
    fn path(&self) -> &Path {
        let (GivenTree::Layer(path)
        | GivenTree::Kept { path, .. }
        | GivenTree::Callers { path, .. }
        | GivenTree::DiskImage(path)) = self;
        path
    }
}

/// The sources of an overlay.
#[derive(Debug, Default)]
pub struct Layers {
    pub numbers: Vec<u32>,
    /// Where the changes are kept.
    pub kept: Option<u32>,
}

/// The sources that the warden opens, each by its index in the order of opening.
#[derive(Default)]
pub struct Sources {
    pub system: Option<u32>,
    /// Directories in the host's `/etc`, each with its visible names.
    pub etc: Vec<(u32, PathBuf, Vec<CString>)>,
    pub proc: Option<u32>,
    pub null: u32,
    pub devices: Vec<u32>,
    pub binds: Vec<(u32, PathBuf)>,
    /// The layers of the root, and of each other overlay.
    pub root_layers: Layers,
    pub layers: Vec<Layers>,
    /// The disk images.
    pub disk_images: Vec<u32>,
    /// The directories in the host's `/sys` of which parts are shown, in the order of the profile.
    pub slices: Vec<u32>,
}

impl Builder {
    pub(super) fn source(&mut self, path: &Path, optional: bool, action: String) -> Result<u32> {
        self.source_by(path, optional, true, action)
    }

    pub(super) fn source_by(
        &mut self,
        path: &Path,
        optional: bool,
        follow: bool,
        action: String,
    ) -> Result<u32> {
        if self.from_shelf {
            let place = c_string(&shelf::place(self.sources))?;
            self.push(Step::Source { path: &place, optional, follow: true }, action);
        } else {
            self.push(Step::Source { path: &c_string(path)?, optional, follow }, action);
        }
        self.name_source(path);
        self.sources += 1;
        Ok(self.sources - 1)
    }

    pub(super) fn open_sources(&mut self, policy: &Policy, mapping: Mapping) -> Result<Sources> {
        let mut sources = Sources::default();
        match &policy.system {
            System::Host => {
                sources.system =
                    Some(self.source(Path::new("/"), false, "open the host's root".into())?);
                for (directory, names) in defaults::etc(policy) {
                    let source = self.source(
                        &directory,
                        true,
                        format!("open the host's {}", directory.display()),
                    )?;
                    let names = names
                        .iter()
                        .map(|name| c_string(Path::new(name)))
                        .collect::<Result<_>>()?;
                    sources.etc.push((source, directory, names));
                }
            }
            System::Root(root) => {
                sources.system =
                    Some(self.source(root, false, format!("open the root {}", root.display()))?)
            }
            System::Empty => {}
        }
        if policy.share.contains(&Namespace::Pid) {
            sources.proc =
                Some(self.source(Path::new("/proc"), false, "open the caller's /proc".into())?);
        }
        let needs_devices = !policy.exact_files || policy.has_own_devices();
        let devices = device_nodes(policy).filter(|_| needs_devices);
        for (index, &(path, _, major, minor)) in devices.enumerate() {
            let action = format!("open the device {}", path.to_string_lossy());
            let place = c_string(&shelf::place(self.sources))?;
            let path = if self.from_shelf { &*place } else { path };
            self.push(Step::Device { path, major, minor }, action);
            if index == 0 {
                sources.null = self.sources;
            }
            sources.devices.push(self.sources);
            self.sources += 1;
        }
        self.open_slices(policy, &mut sources)?;
        let is_given = |bind: &Bind| bind.idmapped && mapping.is_range();
        for entry in &policy.files {
            if let Some(bind @ Bind { source, at, optional, nofollow, .. }) = entry.bind() {
                let action = format!("bind {} on {}", source.display(), at.display());
                let number = match is_given(bind) {
                    true => u32::MAX,
                    false => self.source_by(source, *optional, !nofollow, action)?,
                };
                sources.binds.push((number, source.clone()));
            }
        }
        // The sources that the caller gives come last.
        let binds = policy.files.iter().filter_map(Entry::bind).zip(&mut sources.binds);
        for (bind, (number, path)) in binds.filter(|(bind, _)| is_given(bind)) {
            *number =
                self.give(GivenTree::Callers { path: path.clone(), follow: !bind.nofollow })?;
        }
        for entry in &policy.files {
            if let Entry::Overlay(overlay) = entry {
                let mut open =
                    |path: &PathBuf, given| self.layer(path, given, &overlay.at, mapping);
                let numbers = overlay.layers.iter();
                let numbers = numbers.map(|path| open(path, GivenTree::Layer(path.clone())));
                let numbers = numbers.collect::<Result<_>>()?;
                let kept = overlay.kept.as_ref();
                let kept = kept
                    .map(|path| {
                        let bounds = overlay.bounds_of_kept();
                        if bounds.is_some() && !mapping.is_range() {
                            return Err(refused_bounds(path));
                        }
                        open(path, GivenTree::Kept { path: path.clone(), bounds })
                    })
                    .transpose()?;
                let layers = Layers { numbers, kept };
                match entry.is_root() && !policy.exact_files {
                    true => sources.root_layers = layers,
                    false => sources.layers.push(layers),
                }
            }
        }
        for entry in &policy.files {
            if let Entry::DiskImage(image) = entry {
                let number = self.give(GivenTree::DiskImage(image.source.clone()))?;
                sources.disk_images.push(number);
            }
        }
        Ok(sources)
    }

    /// A directory of the overlay at `at`.
    fn layer(&mut self, path: &Path, given: GivenTree, at: &Path, mapping: Mapping) -> Result<u32> {
        if mapping.is_range() {
            return self.give(given);
        }
        let action = format!("open {} for the overlay at {}", path.display(), at.display());
        self.source(path, false, action)
    }

    fn give(&mut self, tree: GivenTree) -> Result<u32> {
        if self.from_shelf {
            let path = tree.path();
            return self.source(path, false, format!("open {}", path.display()));
        }
        self.trees.push(tree);
        self.sources += 1;
        Ok(self.sources - 1)
    }

    /// Whether the caller gives the source with this number.
    pub(super) fn is_given(&self, source: u32) -> bool {
        source >= self.sources - self.trees.len() as u32
    }
}
