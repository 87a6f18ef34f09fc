//! Overlays: a writable view of directories that stay as they are (overlayfs.rst in the kernel's
//! documentation).
//!
//! The changes are on a tmpfs, which the overlay covers at the same place, or in a directory of the
//! caller's. Nothing inside can reach either.

use super::super::target::Spot;
use super::Mounts;
use crate::control::RequestBuffer;
use crate::sys::{self, Errno, Fd, Result, open};
use crate::text::{Path, ShortText};
use crate::wire::codec::List;
use crate::wire::plan::{NOT_KEPT, attribute};
use core::ffi::CStr;

/// The directories for the changes.
const UPPER: &CStr = c"upper";
const WORK: &CStr = c"work";

/// What a descriptor of a directory is opened with.
const DIRECTORY: u64 = open::PATH | open::DIRECTORY | open::NO_FOLLOW;

/// The attributes of the mounts.
pub const FIXED: u64 = attribute::NO_SUID | attribute::NO_DEV;

/// An attribute as the file system itself keeps them, by which directories that were removed and
/// made again hide what is below.
const ATTRIBUTE: &CStr = c"user.overlay.probe";

impl<'a> Mounts<'a> {
    /// Takes the mount trees beside a message as the next sources.
    pub fn take_trees(&mut self, incoming: &mut RequestBuffer, count: u32) -> Result<()> {
        if incoming.descriptors().len() != count as usize {
            return Err(Errno::EPROTO);
        }
        (0..count as usize)
            .try_for_each(|index| self.known.push_source(Some(incoming.take_descriptor(index)?)))
    }

    /// Mounts an overlay over the tmpfs that was mounted at this place. With `trees`, the layers
    /// and the source `kept` are attached nowhere yet.
    pub fn overlay(
        &mut self,
        at: &'a CStr,
        layers: List<'a, u32>,
        trees: bool,
        scratch: &Fd,
        kept: u32,
    ) -> Result<()> {
        let changes = self.place_of_changes(scratch, kept)?;
        for number in layers.iter() {
            let layer = self.source(number)?.ok_or(Errno::ENOENT)?;
            if !sys::status(layer, c"")?.is_directory() {
                return Err(Errno::ENOTDIR);
            }
        }
        if trees {
            let kept = (kept != NOT_KEPT).then_some(kept);
            layers.iter().chain(kept).try_for_each(|number| self.attach_tree(number, scratch))?;
        }
        self.make_directories(layers, changes)?;
        let options = self.overlay_options(layers, changes)?;
        let place = ShortText::of_descriptor(scratch.number());
        let (kind, options) = (Some(c"overlay"), Some(options.as_c_str()));
        sys::mount(kind, place.as_c_str(), kind, FIXED, options)?;
        self.stand_on(&Spot::of(at), None)?;
        if Spot::of(at).is_root() {
            self.check_own_places()?;
        }
        let mounted = self.open_inside(at, open::PATH)?;
        self.known.push_own(&mounted)
    }

    /// The directory with the changes to an overlay, for reading.
    pub fn changes(&self, scratch: &Fd, kept: u32) -> Result<Fd> {
        let place = self.place_of_changes(scratch, kept)?;
        sys::open(place, UPPER, open::READ | open::DIRECTORY | open::NO_FOLLOW, 0)
    }

    /// The file system that the changes are on.
    pub fn room_of_changes(&self, scratch: Fd, kept: u32) -> Result<Fd> {
        match kept {
            NOT_KEPT => Ok(scratch),
            _ => sys::open(self.place_of_changes(&scratch, kept)?, c".", DIRECTORY, 0),
        }
    }

    fn place_of_changes(&self, scratch: &Fd, kept: u32) -> Result<i32> {
        match kept {
            NOT_KEPT => Ok(scratch.number()),
            kept => self.source(kept)?.ok_or(Errno::ENOENT),
        }
    }

    /// Makes the directories for the changes. Those that are kept may be there already.
    fn make_directories(&self, layers: List<'a, u32>, changes: i32) -> Result<()> {
        let make = |name, mode| match sys::make_directory(changes, name, mode) {
            Err(Errno::EEXIST) => Ok(false),
            made => made.map(|()| true),
        };
        make(WORK, 0o700)?;
        let directory = |name| sys::open(changes, name, DIRECTORY, 0);
        // If the kernel does not keep it, that would show only later: mkdir(2) fails where a
        // directory was removed.
        let work = directory(WORK)?;
        sys::set_attribute(ShortText::of_descriptor(work.number()).as_c_str(), ATTRIBUTE, b"y")?;
        if make(UPPER, 0o755)? {
            self.look_like_the_top(layers, &directory(UPPER)?)?;
        }
        Ok(())
    }

    /// Checks that `/proc` and `/dev`, where the sandbox's own are mounted, are no links in the
    /// root. A program inside could replace a link, and so show the warden another `/proc`.
    fn check_own_places(&self) -> Result<()> {
        for name in [c"proc", c"dev"] {
            match sys::status(self.root()?.number(), name) {
                Ok(status) if status.is_symlink() => return Err(Errno::ELOOP),
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Attaches a mount tree to a directory of its own on the tmpfs. The kernel takes none that is
    /// attached nowhere in this mount namespace.
    fn attach_tree(&self, number: u32, scratch: &Fd) -> Result<()> {
        let tree = self.source(number)?.ok_or(Errno::ENOENT)?;
        let name = ShortText::numbered(b"", number.into(), b"");
        sys::make_directory(scratch.number(), name.as_c_str(), 0o700)?;
        sys::attach_number(tree, scratch.number(), name.as_c_str())
    }

    /// Gives the upper directory the owner and the mode of the topmost layer, as which the root of
    /// the overlay appears.
    fn look_like_the_top(&self, layers: List<'a, u32>, upper: &Fd) -> Result<()> {
        let top = layers.iter().next().ok_or(Errno::EPROTO)?;
        let top = sys::status(self.source(top)?.ok_or(Errno::ENOENT)?, c"")?;
        match sys::change_owner(upper.number(), top.owner) {
            // The sandbox does not have this id. The directory then is the command's.
            Err(Errno::EINVAL) => {}
            changed => changed?,
        }
        sys::change_mode(ShortText::of_descriptor(upper.number()).as_c_str(), top.mode & 0o7777)
    }

    /// The options of the mount.
    fn overlay_options(&self, layers: List<'a, u32>, changes: i32) -> Result<Path> {
        let changes = ShortText::of_descriptor(changes);
        let mut options = Path::empty();
        for (place, number) in layers.iter().enumerate() {
            let layer = self.source(number)?.ok_or(Errno::ENOENT)?;
            options.push(if place == 0 { b"lowerdir=" } else { b":" })?;
            options.push(ShortText::of_descriptor(layer).as_bytes())?;
        }
        for (key, name) in [(&b",upperdir="[..], UPPER), (b",workdir=", WORK)] {
            options.push(key)?;
            options.push(changes.as_bytes())?;
            options.push(b"/")?;
            options.push(name.to_bytes())?;
        }
        // Otherwise, in a user namespace, a directory that is removed cannot be made again.
        options.push(b",userxattr")?;
        Ok(options)
    }
}
