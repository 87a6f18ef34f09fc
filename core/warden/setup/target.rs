//! Places in the new root: found and made by descriptor, never outside it, never in a tree that is the caller's.

use crate::sys::{self, Errno, Fd, Result, open, resolve};
use crate::text::Path;
use core::ffi::CStr;

/// The path of `at` relative to the root; the root itself is `.`.
fn relative(at: &CStr) -> &CStr {
    let bytes = at.to_bytes_with_nul();
    match bytes.iter().position(|&byte| byte != b'/') {
        Some(start) if bytes[start] != 0 => CStr::from_bytes_until_nul(&bytes[start..]).unwrap_or_default(),
        _ => c".",
    }
}

/// Opens `at` below `root`, following symlinks as a program with that root would.
pub fn open_inside(root: &Fd, at: &CStr, flags: u64) -> Result<Fd> {
    match sys::open_resolved(root.number(), relative(at), flags, resolve::IN_ROOT | resolve::NO_MAGICLINKS) {
        Err(Errno::ENOSYS) => open_step_by_step(root, relative(at), flags),
        result => result,
    }
}

/// Before Linux 5.6 there is no openat2(2): each component by itself, and no symlink at all.
fn open_step_by_step(root: &Fd, at: &CStr, flags: u64) -> Result<Fd> {
    let mut here = sys::open(root.number(), c".", open::PATH, 0)?;
    let mut names = at.to_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".").peekable();
    let mut name = Path::empty();
    while let Some(component) = names.next() {
        if component == b".." {
            return Err(Errno::EINVAL);
        }
        name.truncate(0);
        name.push(component)?;
        let how = if names.peek().is_some() { open::PATH | open::DIRECTORY } else { flags };
        here = sys::open(here.number(), name.as_c_str(), how | open::NO_FOLLOW, 0)?;
        if sys::status(here.number(), c"")?.is_symlink() {
            return Err(Errno::ELOOP);
        }
    }
    if flags == open::PATH || at == c"." { Ok(here) } else { sys::open(here.number(), c".", flags, 0).or(Ok(here)) }
}

/// The directories that lead to `at`, relative to the root, and its last component.
pub fn split(at: &CStr) -> (&[u8], &[u8]) {
    let bytes = relative(at).to_bytes();
    match bytes.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&bytes[..slash], &bytes[slash + 1..]),
        None => (&bytes[..0], bytes),
    }
}

/// Opens the directory `parents`, relative to the root, for something to be made in it; missing ones are made on the way.
///
/// Only in file systems that the warden itself mounted (`ours`): a mount point is never made in a directory of the caller's.
pub fn make_parents(root: &Fd, parents: &[u8], ours: impl Fn(u64) -> bool) -> Result<Fd> {
    let mut path = Path::empty();
    let mut here = open_inside(root, c".", open::PATH | open::DIRECTORY)?;
    for name in parents.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        if !path.as_bytes().is_empty() {
            path.push(b"/")?;
        }
        path.push(name)?;
        here = match open_inside(root, path.as_c_str(), open::PATH | open::DIRECTORY) {
            Err(Errno::ENOENT) => {
                if !ours(sys::status(here.number(), c"")?.file_system) {
                    return Err(Errno::ENOENT);
                }
                let mut component = Path::empty();
                component.push(name)?;
                sys::make_directory(here.number(), component.as_c_str(), 0o755)?;
                open_inside(root, path.as_c_str(), open::PATH | open::DIRECTORY)?
            }
            result => result?,
        };
    }
    if ours(sys::status(here.number(), c"")?.file_system) { Ok(here) } else { Err(Errno::ENOENT) }
}
