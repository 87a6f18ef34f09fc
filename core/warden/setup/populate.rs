//! A directory's entries, shown one by one: so that `/` stays a file system of our own, with `/usr` merged or not, and so
//! that another root's top level can stand in it. The directory need not be trusted: nothing in it is followed.

use super::mounts::Mounts;
use super::{Failure, errno_of};
use crate::entries::Entries;
use crate::sys::{self, Errno, Result, open};
use crate::text::Path;
use crate::wire::codec::List;
use core::ffi::CStr;

type Outcome = core::result::Result<(), Failure>;

pub fn populate<'a>(
    mounts: &mut Mounts,
    source: u32,
    at: &CStr,
    names: List<'a, &'a CStr>,
    except: List<'a, &'a CStr>,
    attributes: u64,
) -> Outcome {
    let Some(directory) = mounts.source(source)? else { return Ok(()) };
    let mut show = |name: &CStr| errno_of(entry(mounts, directory, name, at, attributes), || Path::of(name));
    if !names.is_empty() {
        return names.iter().try_for_each(show);
    }
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
fn entry(mounts: &mut Mounts, directory: i32, name: &CStr, at: &CStr, attributes: u64) -> Result<()> {
    let status = match sys::status(directory, name) {
        Err(Errno::ENOENT) => return Ok(()),
        status => status?,
    };
    let place = Path::join(at.to_bytes(), name.to_bytes())?;
    if status.is_symlink() {
        let mut text = [0u8; 4096];
        let length = sys::read_link(directory, name, &mut text[..4095])?;
        let link = CStr::from_bytes_until_nul(&text[..=length]).map_err(|_| Errno::ENAMETOOLONG)?;
        mounts.symlink(place.as_c_str(), link)
    } else if status.is_directory() || status.is_file() {
        let source = sys::open(directory, name, open::PATH | open::NO_FOLLOW, 0)?;
        mounts.bind_fd(source.number(), place.as_c_str(), attributes)
    } else {
        Ok(())
    }
}
