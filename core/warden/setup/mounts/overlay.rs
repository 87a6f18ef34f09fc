//! Overlays: a writable view of directories that stay as they are (overlayfs.rst in the kernel's
//! documentation).
//!
//! The upper directory is on a tmpfs, which the overlay covers at the same place. Nothing inside
//! can reach it there.

use super::super::target::Spot;
use super::Mounts;
use crate::control::RequestBuffer;
use crate::sys::{self, Errno, Fd, Result, open};
use crate::text::{Path, ShortText};
use crate::wire::codec::List;
use crate::wire::plan::attribute;
use core::ffi::CStr;

/// The directories on the tmpfs.
const UPPER: &CStr = c"upper";
const WORK: &CStr = c"work";

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

    /// Mounts an overlay, and returns the tmpfs below it. With `trees`, the layers are attached
    /// nowhere yet.
    pub fn overlay(
        &mut self,
        at: &'a CStr,
        layers: List<'a, u32>,
        trees: bool,
        size: u64,
        inodes: u64,
    ) -> Result<Fd> {
        let attributes = attribute::NO_SUID | attribute::NO_DEV;
        let changes = self.tmpfs(at, size, inodes, 0o755, attributes)?;
        sys::make_directory(changes.number(), UPPER, 0o755)?;
        sys::make_directory(changes.number(), WORK, 0o700)?;
        let upper = sys::open(changes.number(), UPPER, open::PATH | open::DIRECTORY, 0)?;
        if trees {
            self.attach_layers(layers, &changes)?;
        }
        self.look_like_the_top(layers, &upper)?;
        let options = self.overlay_options(layers, &changes)?;
        let place = ShortText::of_descriptor(changes.number());
        // An attribute that the kernel does not keep would show only later, as a failure of mkdir(2)
        // where a directory was removed.
        sys::set_attribute(place.as_c_str(), ATTRIBUTE, b"y")?;
        sys::mount(
            Some(c"overlay"),
            place.as_c_str(),
            Some(c"overlay"),
            attributes,
            Some(options.as_c_str()),
        )?;
        self.stand_on(&Spot::of(at), None)?;
        if Spot::of(at).is_root() {
            self.check_own_places()?;
        }
        self.known.push_own(&self.open_inside(at, open::PATH)?)?;
        Ok(changes)
    }

    /// Checks that `/proc` and `/dev`, where the sandbox's own are mounted, are no links in the root.
    /// A program inside could replace a link, and so show the warden another `/proc`.
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

    /// Attaches each layer to a directory of its own on the tmpfs. The kernel takes no layer that is
    /// attached nowhere in this mount namespace.
    fn attach_layers(&mut self, layers: List<'a, u32>, changes: &Fd) -> Result<()> {
        for number in layers.iter() {
            let layer = self.source(number)?.ok_or(Errno::ENOENT)?;
            let name = ShortText::numbered(b"", number.into(), b"");
            sys::make_directory(changes.number(), name.as_c_str(), 0o700)?;
            sys::attach_number(layer, changes.number(), name.as_c_str())?;
        }
        Ok(())
    }

    /// Gives the upper directory the owner and the mode of the topmost layer, as which the root of
    /// the overlay appears.
    fn look_like_the_top(&self, layers: List<'a, u32>, upper: &Fd) -> Result<()> {
        let top = layers.iter().next().ok_or(Errno::EPROTO)?;
        let top = sys::status(self.source(top)?.ok_or(Errno::ENOENT)?, c"")?;
        if !top.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        match sys::change_owner(upper.number(), top.owner) {
            // The sandbox does not have this id. The directory then is the command's.
            Err(Errno::EINVAL) => {}
            changed => changed?,
        }
        sys::change_mode(ShortText::of_descriptor(upper.number()).as_c_str(), top.mode & 0o7777)
    }

    /// The options of the mount.
    fn overlay_options(&self, layers: List<'a, u32>, changes: &Fd) -> Result<Path> {
        let changes = ShortText::of_descriptor(changes.number());
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
