//! A directory's entries, shown one by one: so that `/` stays a file system of our own, with `/usr` merged or not, and so
//! that another root's top level can stand in it. The directory need not be trusted: nothing in it is followed.

use super::mounts::Mounts;
use super::target::Spot;
use super::{Failure, failing_at};
use crate::entries::Entries;
use crate::sys::{self, Errno, Result, open};
use crate::wire::codec::List;
use core::ffi::CStr;

type Outcome = core::result::Result<(), Failure>;

pub fn populate<'a>(
    mounts: &mut Mounts<'a>,
    source: u32,
    at: &'a CStr,
    names: List<'a, &'a CStr>,
    except: List<'a, &'a CStr>,
    attributes: u64,
) -> Outcome {
    let Some(directory) = mounts.source(source)? else { return Ok(()) };
    let mut show = |name: &CStr| failing_at(name, entry(mounts, directory, &Spot::below(at, name), attributes));
    if names.is_empty() {
        return each_but(directory, except, &mut show);
    }
    names.iter().try_for_each(show)
}

// Never inlined: its frame is large, and every page of a stack that is used costs a fault.
#[inline(never)]
fn each_but(directory: i32, except: List<'_, &CStr>, show: &mut dyn FnMut(&CStr) -> Outcome) -> Outcome {
    let listed = sys::open(directory, c".", open::READ | open::DIRECTORY, 0)?;
    let mut entries = Entries::new(listed);
    while let Some(name) = entries.next()? {
        let dots = matches!(name.to_bytes(), b"." | b"..");
        if !dots && !except.iter().any(|other| other == name) {
            show(name)?;
        }
    }
    Ok(())
}

/// Shows one entry: a missing one is passed over, a symlink stays a symlink, a directory or file is bound; of the rest, nothing is shown.
fn entry<'a>(mounts: &mut Mounts<'a>, directory: i32, spot: &Spot<'a, '_>, attributes: u64) -> Result<()> {
    let status = match sys::status(directory, spot.name) {
        Err(Errno::ENOENT) => return Ok(()),
        status => status?,
    };
    if status.is_symlink() {
        link(mounts, directory, spot)
    } else if status.is_directory() || status.is_file() {
        let kind = if status.is_directory() { open::DIRECTORY } else { 0 };
        let source = match sys::open(directory, spot.name, open::PATH | open::NO_FOLLOW | kind, 0) {
            // An automount point that cannot be mounted is shown as it is.
            Err(_) if status.is_directory() => sys::open(directory, spot.name, open::PATH | open::NO_FOLLOW, 0)?,
            source => source?,
        };
        mounts.bind_fd(source.number(), status.is_directory(), spot, attributes)
    } else {
        Ok(())
    }
}

// Never inlined: its frame is large, too.
#[inline(never)]
fn link<'a>(mounts: &mut Mounts<'a>, directory: i32, spot: &Spot<'a, '_>) -> Result<()> {
    let mut text = [0u8; 4096];
    let length = sys::read_link(directory, spot.name, &mut text[..4095])?;
    let link = CStr::from_bytes_until_nul(&text[..=length]).map_err(|_| Errno::ENAMETOOLONG)?;
    mounts.symlink(spot, link)
}
