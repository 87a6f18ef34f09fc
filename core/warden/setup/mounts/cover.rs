//! Covers paths in `/proc`: with nothing, or with themselves, read-only.

use super::super::{StepFailure, failing_at};
use super::{Mounts, with_tmpfs_options};
use crate::sys::{self, Errno, Fd, Result, open};
use crate::wire::codec::List;
use crate::wire::plan::attribute;
use core::ffi::CStr;

type Outcome = core::result::Result<(), StepFailure>;

/// The mounts that cover masked paths: `null` for files, an empty directory for directories. Later
/// covers are copies of the first one of each kind.
struct Covers {
    null: i32,
    file: Option<Fd>,
    directory: Option<Fd>,
}

impl<'a> Mounts<'a> {
    pub fn mask(&mut self, paths: List<'a, &'a CStr>, null: u32) -> Outcome {
        let null = self.source(null)?.ok_or(Errno::EBADF)?;
        let mut covers = Covers { null, file: None, directory: None };
        for path in paths.iter() {
            let covered = match self.open_inside(path, open::PATH) {
                Err(Errno::ENOENT) => continue,
                result => failing_at(path, result)?,
            };
            failing_at(path, self.cover(&covered, &mut covers))?;
        }
        Ok(())
    }

    fn cover(&mut self, covered: &Fd, covers: &mut Covers) -> Result<()> {
        let attributes =
            attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        let directory = sys::status(covered.number(), c"")?.is_directory();
        let cover = if directory { &mut covers.directory } else { &mut covers.file };
        if let Some(cover) = cover {
            return self.attach.attach_copy(cover, covered);
        }
        *cover = if directory {
            with_tmpfs_options(0, 1, 0o555, |options| {
                self.attach.mount(covered, c"tmpfs", options, attributes)
            })?
        } else {
            let tree = self.attach.copy(covers.null)?;
            // This is a device node, so NO_DEV is left out: reading the covered file must give
            // nothing, not an error.
            self.attach.put(tree, covered, attributes & !attribute::NO_DEV)?
        };
        Ok(())
    }

    pub fn read_only(&mut self, paths: List<'a, &'a CStr>) -> Outcome {
        for path in paths.iter() {
            let place = match self.open_inside(path, open::PATH) {
                Err(Errno::ENOENT) => continue,
                result => failing_at(path, result)?,
            };
            let attributes =
                attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
            let covered = self
                .attach
                .copy(place.number())
                .and_then(|tree| self.attach.put(tree, &place, attributes));
            failing_at(path, covered)?;
        }
        Ok(())
    }
}
