//! Shows the entries of a directory one by one.
//!
//! So `/` stays a file system of the sandbox's own, whether `/usr` is merged or not. It can also
//! show the top level of another root. The directory need not be trusted: no link in it is
//! followed.

use super::mounts::{Mounts, new_file};
use super::target::Spot;
use super::{StepFailure, failing_at};
use crate::entries::Entries;
use crate::sys::{self, Errno, Fd, Result, open};
use crate::wire::codec::List;
use core::ffi::CStr;

/// Everybody may read a file with this bit in its mode.
const OTHERS_READ: u32 = 0o004;

type Outcome = core::result::Result<(), StepFailure>;

pub fn populate<'a>(
    mounts: &mut Mounts<'a>,
    source: u32,
    at: &'a CStr,
    names: List<'a, &'a CStr>,
    except: List<'a, &'a CStr>,
    attributes: u64,
) -> Outcome {
    let Some(directory) = mounts.source(source)? else { return Ok(()) };
    let all = names.is_empty();
    let mut show = |name: &CStr| {
        failing_at(name, entry(mounts, directory, &Spot::below(at, name), attributes, all))
    };
    let left = |name: &CStr| !except.iter().any(|other| other == name);
    if all || names.iter().any(|name| name.to_bytes().contains(&b'*')) {
        let fits =
            |name: &CStr| names.iter().any(|pattern| fits(pattern.to_bytes(), name.to_bytes()));
        return each(directory, &mut |name| (all || fits(name)) && left(name), &mut show);
    }
    names.iter().filter(|name| left(name)).try_for_each(show)
}

/// Shows `names` of each directory in the source that is called `prefix` and a number.
pub fn populate_each<'a>(
    mounts: &mut Mounts<'a>,
    source: u32,
    at: &'a CStr,
    prefix: &CStr,
    names: List<'a, &'a CStr>,
    attributes: u64,
) -> Outcome {
    let Some(directory) = mounts.source(source)? else { return Ok(()) };
    mounts.directory(at, 0o755)?;
    let place = mounts.open_inside(at, open::PATH | open::DIRECTORY)?;
    let mut numbered = |name: &CStr| {
        let number = name.to_bytes().strip_prefix(prefix.to_bytes());
        number.is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
    };
    each(directory, &mut numbered, &mut |name| {
        failing_at(name, parts(mounts, directory, &place, name, names, attributes))
    })
}

/// Shows the `names` of the directory `name`, in a directory of the same name.
// Not inlined: it is a loop in a loop.
#[inline(never)]
fn parts(
    mounts: &Mounts<'_>,
    directory: i32,
    place: &Fd,
    name: &CStr,
    names: List<'_, &CStr>,
    attributes: u64,
) -> Result<()> {
    const DIRECTORY: u64 = open::PATH | open::DIRECTORY | open::NO_FOLLOW;
    let source = sys::open(directory, name, DIRECTORY, 0)?;
    sys::make_directory(place.number(), name, 0o755)?;
    let made = sys::open(place.number(), name, DIRECTORY, 0)?;
    for part in names.iter() {
        let status = match sys::status(source.number(), part) {
            Err(Errno::ENOENT) => continue,
            status => status?,
        };
        let shown = status.is_directory() || status.is_file();
        if !shown || status.mode & OTHERS_READ == 0 {
            continue;
        }
        let (kind, point) = if status.is_directory() {
            sys::make_directory(made.number(), part, 0o755)?;
            (open::DIRECTORY, sys::open(made.number(), part, DIRECTORY, 0)?)
        } else {
            (0, new_file(made.number(), part, 0o444, b"")?)
        };
        let source = sys::open(source.number(), part, open::PATH | open::NO_FOLLOW | kind, 0)?;
        mounts.bind_on(source.number(), &point, attributes)?;
    }
    Ok(())
}

/// Whether a name matches a pattern. A `*` stands for any number of characters.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // The position of the last star in the pattern, and the end of what it matches in the name.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, from));
                at += 1;
            }
            (Some(byte), _) if *byte == name[from] => {
                at += 1;
                from += 1;
            }
            (_, Some((place, end))) => {
                star = Some((place, end + 1));
                at = place + 1;
                from = end + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

// Not inlined: its frame is large, and each stack page in use costs a page fault.
#[inline(never)]
fn each(
    directory: i32,
    chosen: &mut dyn FnMut(&CStr) -> bool,
    show: &mut dyn FnMut(&CStr) -> Outcome,
) -> Outcome {
    let listed = sys::open(directory, c".", open::READ | open::DIRECTORY, 0)?;
    let mut entries = Entries::new(listed);
    while let Some(name) = entries.next()? {
        let dots = matches!(name.to_bytes(), b"." | b"..");
        if !dots && chosen(name) {
            show(name)?;
        }
    }
    Ok(())
}

/// Shows one entry. A missing one is skipped, a symlink stays a symlink, and a directory or file is
/// bound. Other kinds are not shown. Without `all`, neither are directories and files that not
/// everybody may read.
fn entry<'a>(
    mounts: &mut Mounts<'a>,
    directory: i32,
    spot: &Spot<'a, '_>,
    attributes: u64,
    all: bool,
) -> Result<()> {
    let status = match sys::status(directory, spot.name) {
        Err(Errno::ENOENT) => return Ok(()),
        status => status?,
    };
    if status.is_symlink() {
        link(mounts, directory, spot)
    } else if !all && status.mode & OTHERS_READ == 0 {
        Ok(())
    } else if status.is_directory() || status.is_file() {
        let kind = if status.is_directory() { open::DIRECTORY } else { 0 };
        let source = match sys::open(directory, spot.name, open::PATH | open::NO_FOLLOW | kind, 0) {
            // An automount point that cannot be mounted is shown as it is.
            Err(_) if status.is_directory() => {
                sys::open(directory, spot.name, open::PATH | open::NO_FOLLOW, 0)?
            }
            source => source?,
        };
        mounts.bind_fd(source.number(), status.is_directory(), spot, attributes)
    } else {
        Ok(())
    }
}

// Not inlined: its frame is large.
#[inline(never)]
fn link<'a>(mounts: &mut Mounts<'a>, directory: i32, spot: &Spot<'a, '_>) -> Result<()> {
    let mut text = [0u8; 4096];
    let length = sys::read_link(directory, spot.name, &mut text[..4095])?;
    let link = CStr::from_bytes_until_nul(&text[..=length]).map_err(|_| Errno::ENAMETOOLONG)?;
    mounts.symlink(spot, link)
}
