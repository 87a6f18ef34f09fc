//! Links and files in the tree, and changes to what is there.

use super::super::target::Spot;
use super::Mounts;
use crate::sys::{self, Errno, Fd, Result, open};
use crate::text::ShortText;
use crate::wire::plan::attribute;
use core::ffi::CStr;

/// The name of a file that is about to be mounted elsewhere.
const STAGING: &CStr = c".file";

impl<'a> Mounts<'a> {
    pub fn symlink(&mut self, spot: &Spot<'a, '_>, to: &CStr) -> Result<()> {
        let made = match self.parent_of(spot) {
            Err(Errno::ENOENT) => {
                self.make_behind_links(spot, false, |parent, name| sys::symlink(to, parent, name))
            }
            parent => sys::symlink(to, parent?, spot.name),
        };
        match made {
            Err(Errno::EEXIST) if self.is_link_to(spot, to) => Ok(()),
            made => made,
        }
    }

    /// Whether there is a symlink with this target already.
    // Not inlined: its frame is large.
    #[inline(never)]
    fn is_link_to(&mut self, spot: &Spot<'a, '_>, to: &CStr) -> bool {
        let mut target = [0; 4096];
        let read =
            self.parent_of(spot).and_then(|parent| sys::read_link(parent, spot.name, &mut target));
        read.is_ok_and(|length| target.get(..length) == Some(to.to_bytes()))
    }

    /// Makes a file. An existing file of the caller is covered by a read-only mount instead.
    pub fn file(&mut self, at: &'a CStr, mode: u32, data: &[u8], optional: bool) -> Result<()> {
        let spot = Spot::of(at);
        let new = |parent: i32, name: &CStr| new_file(parent, name, mode, data);
        match self.make(&spot, new) {
            Ok(None) => {}
            // In an overlay, nothing is made in a directory of an id that the sandbox lacks.
            Err(Errno::EACCES | Errno::EOVERFLOW) if optional => return Ok(()),
            made => return made.map(drop),
        }
        let existing = match self.existing(&spot) {
            Err(Errno::ENOENT) if optional => return Ok(()),
            Err(Errno::ENOENT) => return self.make_behind_links(&spot, true, new).map(drop),
            result => result?,
        };
        self.cover_with_file(
            &existing,
            mode,
            data,
            attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV,
        )
    }

    /// Mounts a new file over an existing one, which is made if it is missing.
    pub fn bound_file(
        &mut self,
        at: &'a CStr,
        mode: u32,
        data: &[u8],
        attributes: u64,
    ) -> Result<()> {
        let point = self.mount_point(&Spot::of(at), false)?;
        self.cover_with_file(&point, mode, data, attributes)
    }

    /// The same, and opens the file for the caller, who can write to it even if it is read-only
    /// inside. The descriptor belongs to a mount that is detached by then: a mount with a writer
    /// cannot be made read-only.
    pub fn bound_file_of_caller(
        &mut self,
        at: &'a CStr,
        mode: u32,
        data: &[u8],
        attributes: u64,
    ) -> Result<Fd> {
        let point = self.mount_point(&Spot::of(at), false)?;
        let staged = self.stage(mode, data)?;
        let tree = self.attach.copy(staged.number())?;
        self.attach.put(tree, &point, attributes & !attribute::READ_ONLY)?;
        let covered = self.open_inside(at, open::PATH)?;
        let file = self.open_inside(at, open::WRITE)?;
        sys::detach(ShortText::of_descriptor(covered.number()).as_c_str())?;
        let tree = self.attach.copy(staged.number())?;
        self.attach.put(tree, &point, attributes)?;
        self.unstage()?;
        Ok(file)
    }

    fn cover_with_file(&self, point: &Fd, mode: u32, data: &[u8], attributes: u64) -> Result<()> {
        let staged = self.stage(mode, data)?;
        let tree = self.attach.copy(staged.number())?;
        self.attach.put(tree, point, attributes)?;
        self.unstage()
    }

    /// Makes a file that mounts can show, until its name is removed.
    fn stage(&self, mode: u32, data: &[u8]) -> Result<Fd> {
        let base = self.staging()?;
        new_file(base, STAGING, mode, data)?;
        sys::open(base, STAGING, open::PATH | open::NO_FOLLOW, 0)
    }

    fn unstage(&self) -> Result<()> {
        sys::unlink(self.staging()?, STAGING)
    }

    /// The plan may have mounted something of the caller's on the root.
    fn staging(&self) -> Result<i32> {
        Ok(self.base.as_ref().map_or_else(|| self.root(), Ok)?.number())
    }

    pub fn change_mode(&mut self, at: &CStr, mode: u32) -> Result<()> {
        let file = self.open_inside(at, open::PATH)?;
        sys::change_mode(ShortText::of_descriptor(file.number()).as_c_str(), mode)
    }

    pub fn make_read_only(&mut self, at: &CStr) -> Result<()> {
        self.attach.make_read_only(&self.open_inside(at, open::PATH)?)
    }
}

pub fn new_file(directory: i32, name: &CStr, mode: u32, data: &[u8]) -> Result<Fd> {
    let file = sys::open(
        directory,
        name,
        open::WRITE | open::CREATE | open::EXCLUSIVE | open::NO_FOLLOW,
        mode,
    )?;
    fill(&file, data)?;
    Ok(file)
}

/// Writes a file that may exceed the caller's soft limit on the file size (RLIMIT_FSIZE), but not
/// its hard limit. The soft limit is restored afterwards, because a command may inherit it.
fn fill(file: &Fd, data: &[u8]) -> Result<()> {
    const RLIMIT_FSIZE: u32 = 1;
    if data.is_empty() {
        return Ok(());
    }
    match sys::limit(RLIMIT_FSIZE) {
        Ok((soft, hard)) if soft < data.len() as u64 && soft < hard => {
            sys::set_limit(RLIMIT_FSIZE, hard, hard)?;
            let written = sys::write(file, data);
            sys::set_limit(RLIMIT_FSIZE, soft, hard)?;
            written
        }
        _ => sys::write(file, data),
    }
}
