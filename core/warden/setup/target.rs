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
// Never inlined: its frame is large.
#[inline(never)]
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

/// A place inside: the directories that lead to it, relative to the root, and its name in the last of them.
pub struct Spot<'a, 'n> {
    pub parents: &'a [u8],
    pub name: &'n CStr,
    /// All of it, if that is written anywhere.
    whole: Option<&'a CStr>,
}

impl<'a> Spot<'a, 'a> {
    pub fn of(at: &'a CStr) -> Spot<'a, 'a> {
        let path = relative(at);
        let start = path.to_bytes().iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let name = CStr::from_bytes_until_nul(&path.to_bytes_with_nul()[start..]).unwrap_or_default();
        Spot { parents: &path.to_bytes()[..start.saturating_sub(1)], name, whole: Some(path) }
    }
}

impl<'a, 'n> Spot<'a, 'n> {
    pub fn below(directory: &'a CStr, name: &'n CStr) -> Spot<'a, 'n> {
        let parents = if relative(directory) == c"." { b"" } else { relative(directory).to_bytes() };
        Spot { parents, name, whole: None }
    }

    /// Opens what stands there.
    pub fn open(&self, root: &Fd, flags: u64) -> Result<Fd> {
        match self.whole {
            Some(path) => open_inside(root, path, flags),
            None => self.open_in_parts(root, flags),
        }
    }

    // Never inlined: its frame is large, and every page of a stack that is used costs a fault.
    #[inline(never)]
    fn open_in_parts(&self, root: &Fd, flags: u64) -> Result<Fd> {
        let mut path = Path::empty();
        path.set_joined(self.parents, self.name.to_bytes())?;
        open_inside(root, path.as_c_str(), flags)
    }

    /// Whether `path`, relative to the root, is this place or below it.
    pub fn covers(&self, path: &[u8]) -> bool {
        let below = path.strip_prefix(self.parents).map(|rest| rest.strip_prefix(b"/").unwrap_or(rest));
        below.and_then(|rest| rest.strip_prefix(self.name.to_bytes())).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

/// Opens the directory `parents`, relative to the root, for something to be made in it; missing ones are made on the way.
///
/// Only in file systems that the warden itself mounted (`ours`): a mount point is never made in a directory of the caller's.
// Never inlined: its frame is large, and every page of a stack that is used costs a fault.
#[inline(never)]
pub fn make_parents(root: &Fd, parents: &[u8], ours: impl Fn(u64) -> bool) -> Result<Fd> {
    let ours = |directory: &Fd| Ok(ours(sys::status(directory.number(), c"")?.file_system));
    let mut path = Path::empty();
    path.push(parents)?;
    let whole = open_inside(root, path.as_c_str(), open::PATH | open::DIRECTORY);
    if !matches!(whole, Err(Errno::ENOENT)) {
        let whole = whole?;
        return if ours(&whole)? { Ok(whole) } else { Err(Errno::ENOENT) };
    }
    path.truncate(0);
    let mut here = open_inside(root, c".", open::PATH | open::DIRECTORY)?;
    for name in parents.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        if !path.as_bytes().is_empty() {
            path.push(b"/")?;
        }
        path.push(name)?;
        here = match open_inside(root, path.as_c_str(), open::PATH | open::DIRECTORY) {
            Err(Errno::ENOENT) => {
                if !ours(&here)? {
                    return Err(Errno::ENOENT);
                }
                make_directory(&here, name)?;
                open_inside(root, path.as_c_str(), open::PATH | open::DIRECTORY)?
            }
            result => result?,
        };
    }
    if ours(&here)? { Ok(here) } else { Err(Errno::ENOENT) }
}

// Never inlined: its frame is large.
#[inline(never)]
fn make_directory(parent: &Fd, name: &[u8]) -> Result<()> {
    let mut component = Path::empty();
    component.push(name)?;
    sys::make_directory(parent.number(), component.as_c_str(), 0o755)
}
