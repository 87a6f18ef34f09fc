//! Places in the new root. They are found and made by descriptor, never outside the root and never
//! in a tree of the caller.

use crate::sys::{self, Call, Errno, Fd, Result, open, resolve};
use crate::text::{Path, Text};
use crate::walk::{Links, walk};
use core::ffi::CStr;

/// The path of `at` relative to the root. The root itself is `.`.
fn relative(at: &CStr) -> &CStr {
    let bytes = at.to_bytes_with_nul();
    match bytes.iter().position(|&byte| byte != b'/') {
        Some(start) if bytes[start] != 0 => {
            CStr::from_bytes_until_nul(&bytes[start..]).unwrap_or_default()
        }
        _ => c".",
    }
}

/// Opens `at` below `root`. Symlinks are resolved as for a program with that root.
pub fn open_inside(root: &Fd, at: &CStr, flags: u64) -> Result<Fd> {
    match sys::open_resolved(
        root.number(),
        relative(at),
        flags,
        resolve::IN_ROOT | resolve::NO_MAGICLINKS,
    ) {
        Err(errno) if Call::OPENAT2.is_absent_after(errno) => walk_inside(root, at, flags),
        result => result,
    }
}

/// Opens `at` below `root` without `openat2(2)`.
// Not inlined: its frame is large.
#[inline(never)]
fn walk_inside(root: &Fd, at: &CStr, flags: u64) -> Result<Fd> {
    let (mut path, mut reached) = (Path::empty(), Path::empty());
    path.push(relative(at).to_bytes())?;
    walk(root, &path, flags, Links::Follow, &mut reached)
}

/// A place inside: its parent directories, relative to the root, and its name in the last of them.
pub struct Spot<'a, 'n> {
    pub parents: &'a [u8],
    pub name: &'n CStr,
    /// The whole path, if the plan contains it as one text.
    whole: Option<&'a CStr>,
}

impl<'a> Spot<'a, 'a> {
    pub fn of(at: &'a CStr) -> Spot<'a, 'a> {
        let path = relative(at);
        let start =
            path.to_bytes().iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let name =
            CStr::from_bytes_until_nul(&path.to_bytes_with_nul()[start..]).unwrap_or_default();
        Spot { parents: &path.to_bytes()[..start.saturating_sub(1)], name, whole: Some(path) }
    }
}

impl<'a, 'n> Spot<'a, 'n> {
    pub fn below(directory: &'a CStr, name: &'n CStr) -> Spot<'a, 'n> {
        let parents =
            if relative(directory) == c"." { b"" } else { relative(directory).to_bytes() };
        Spot { parents, name, whole: None }
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.name == c"."
    }

    /// Opens what exists there.
    pub fn open(&self, root: &Fd, flags: u64) -> Result<Fd> {
        match self.whole {
            Some(path) => open_inside(root, path, flags),
            None => self.open_in_parts(root, flags),
        }
    }

    // Not inlined: its frame is large, and each stack page in use costs a page fault.
    #[inline(never)]
    fn open_in_parts(&self, root: &Fd, flags: u64) -> Result<Fd> {
        open_inside(root, self.path()?.as_c_str(), flags)
    }

    /// The whole path, relative to the root.
    fn path(&self) -> Result<Path> {
        let mut path = Path::empty();
        match self.whole {
            Some(whole) => path.push(whole.to_bytes())?,
            None if self.parents.is_empty() => path.push(self.name.to_bytes())?,
            None => path.set_joined(self.parents, self.name.to_bytes())?,
        }
        Ok(path)
    }

    /// Whether a link is on the way to this place.
    #[inline(never)]
    pub fn is_behind_links(&self, root: &Fd) -> Result<bool> {
        let (path, mut reached) = (self.path()?, Path::empty());
        walk(root, &path, open::PATH, Links::Follow, &mut reached)?;
        Ok(reached.as_bytes() != path.as_bytes())
    }

    /// Finds where the links on the way to this place lead, if nothing exists there and that place
    /// is in one of `ours`. Returns its directory, which is made if it is missing, and the name in
    /// it. ENOENT otherwise.
    ///
    /// In the tree of another system, `/var/run` often leads to a `/run` that exists only in the
    /// sandbox. With `itself`, a link with the name of the new entry is followed too.
    // Not inlined: its frame is large.
    #[inline(never)]
    pub fn place_behind_links(
        &self,
        root: &Fd,
        ours: &dyn Fn(u64) -> bool,
        itself: bool,
    ) -> Result<(Fd, Text<256>)> {
        let (mut path, mut reached) = (self.path()?, Path::empty());
        if !itself {
            path.truncate(0);
            path.push(self.parents)?;
        }
        match walk(root, &path, open::PATH, Links::Follow, &mut reached) {
            Err(Errno::ENOENT) if reached.as_bytes() != path.as_bytes() => {}
            Err(errno) => return Err(errno),
            Ok(_) => return Err(Errno::ENOENT),
        }
        if !itself {
            reached.push(b"/")?;
            reached.push(self.name.to_bytes())?;
        }
        // The parent of a directory that does not exist is unknown.
        if reached.as_bytes().split(|&byte| byte == b'/').any(|name| name == b"..") {
            return Err(Errno::ENOENT);
        }
        let start =
            reached.as_bytes().iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let directory = make_parents(
            root,
            reached.as_bytes().get(..start.saturating_sub(1)).unwrap_or_default(),
            ours,
        )?;
        let mut name = Text::<256>::empty();
        name.push(reached.as_bytes().get(start..).unwrap_or_default())?;
        Ok((directory, name))
    }

    /// Whether `path`, relative to the root, is this place or below it.
    pub fn covers(&self, path: &[u8]) -> bool {
        let below =
            path.strip_prefix(self.parents).map(|rest| rest.strip_prefix(b"/").unwrap_or(rest));
        below
            .and_then(|rest| rest.strip_prefix(self.name.to_bytes()))
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

/// Opens the directory `parents`, relative to the root, in order to make an entry in it. Makes
/// missing directories on the way.
///
/// ENOENT outside the file systems that the warden itself has mounted (`ours`): a mount point is
/// never made in a directory of the caller.
// Not inlined: its frame is large, and each stack page in use costs a page fault.
#[inline(never)]
pub fn make_parents(root: &Fd, parents: &[u8], ours: &dyn Fn(u64) -> bool) -> Result<Fd> {
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
                match make_directory(&here, name) {
                    // It is a link that leads to nothing.
                    Err(Errno::EEXIST) => return Err(Errno::ENOENT),
                    made => made?,
                }
                open_inside(root, path.as_c_str(), open::PATH | open::DIRECTORY)?
            }
            result => result?,
        };
    }
    if ours(&here)? { Ok(here) } else { Err(Errno::ENOENT) }
}

// Not inlined: its frame is large.
#[inline(never)]
fn make_directory(parent: &Fd, name: &[u8]) -> Result<()> {
    let mut component = Path::empty();
    component.push(name)?;
    sys::make_directory(parent.number(), component.as_c_str(), 0o755)
}
