//! Opens paths one component at a time.
//!
//! This serves kernels and sandboxes without `openat2(2)`. It also finds out where a link leads if
//! its target does not exist yet.
//!
//! Nothing outside the given root can be reached. Each component is opened in the directory before
//! it and never through a link; the text of a link is walked in turn. The magic links of `/proc` to
//! open files are never followed.

use crate::sys::{self, Call, Errno, Fd, Result, open, resolve};
use crate::text::{Path, Text};
use core::ffi::CStr;

/// How to treat symbolic links.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Follow them.
    Follow,
    /// Fail with ELOOP.
    Refuse,
}

/// Opens an absolute path, or one relative to the working directory.
pub fn open_path(path: &CStr, flags: u64, links: Links) -> Result<Fd> {
    let bounds = match links {
        Links::Follow => resolve::NO_MAGICLINKS,
        Links::Refuse => resolve::NO_MAGICLINKS | resolve::NO_SYMLINKS,
    };
    match sys::open_resolved(sys::CWD, path, flags, bounds) {
        Err(errno) if Call::OPENAT2.is_absent_after(errno) => walk_path(path, flags, links),
        result => result,
    }
}

/// Opens a path without `openat2(2)`.
// Not inlined: its frame is large.
#[inline(never)]
pub fn walk_path(path: &CStr, flags: u64, links: Links) -> Result<Fd> {
    let mut whole = Path::empty();
    if !path.to_bytes().starts_with(b"/") {
        // The walk needs an absolute path, so the kernel is asked for the working directory.
        let mut text = [0u8; 4096];
        let length = sys::read_link(sys::CWD, c"/proc/self/cwd", &mut text)?;
        whole.push(text.get(..length).ok_or(Errno::ENAMETOOLONG)?)?;
        whole.push(b"/")?;
    }
    whole.push(path.to_bytes())?;
    let root = sys::open(sys::CWD, c"/", open::PATH | open::DIRECTORY, 0)?;
    walk(&root, &whole, flags, links, &mut Path::empty())
}

/// Opens `path` as if `root` were the root directory.
///
/// `reached` becomes the path without its links, relative to `root`. After ENOENT it is complete
/// too, with the components that do not exist.
// Not inlined: its frame is large.
#[inline(never)]
pub fn walk(root: &Fd, path: &Path, flags: u64, links: Links, reached: &mut Path) -> Result<Fd> {
    const LINKS_MAX: u32 = 40;
    let mut followed = 0;
    let mut text = Path::empty();
    text.push(path.as_bytes())?;
    'restart: loop {
        let mut here = sys::open(root.number(), c".", open::PATH | open::DIRECTORY, 0)?;
        reached.truncate(0);
        let mut at = 0;
        while let Some((name, next)) = component(text.as_bytes(), at) {
            let last = component(text.as_bytes(), next).is_none();
            at = next;
            if name == b".." {
                // Everything before `..` has been walked, so its parent is the reached path without
                // the last name. The walk starts over with that path.
                restart(&mut text, parent_of(reached.as_bytes()), b"", next)?;
                continue 'restart;
            }
            let mut component = Text::<256>::empty();
            component.push(name)?;
            let opened = match open_one(
                &here,
                component.as_c_str(),
                if last { flags } else { open::PATH | open::DIRECTORY },
            ) {
                Err(Errno::ENOENT) => {
                    append(reached, component.as_bytes())?;
                    append(reached, text.as_bytes().get(next..).unwrap_or_default())?;
                    return Err(Errno::ENOENT);
                }
                result => result?,
            };
            if !sys::status(opened.number(), c"")?.is_symlink() {
                append(reached, component.as_bytes())?;
                here = opened;
                continue;
            }
            followed += 1;
            if links == Links::Refuse || followed > LINKS_MAX || is_magic(&opened, &here)? {
                return Err(Errno::ELOOP);
            }
            let mut link = [0u8; 4096];
            let length = sys::read_link(opened.number(), c"", &mut link)?;
            let link =
                link.get(..length).filter(|link| link.len() < 4096).ok_or(Errno::ENAMETOOLONG)?;
            let above = if link.starts_with(b"/") { b"" } else { reached.as_bytes() };
            restart(&mut text, above, link, next)?;
            continue 'restart;
        }
        return if flags & open::PATH != 0 || !reached.as_bytes().is_empty() {
            Ok(here)
        } else {
            sys::open(here.number(), c".", flags, 0)
        };
    }
}

/// Opens one component, or the link itself if it is one.
///
/// Opening a directory mounts what an automount point stands for; `O_PATH` alone does not
/// (open(2)).
fn open_one(directory: &Fd, name: &CStr, flags: u64) -> Result<Fd> {
    match sys::open(directory.number(), name, flags | open::NO_FOLLOW, 0) {
        // O_DIRECTORY on a link fails with ENOTDIR, and opening a link as a file with ELOOP.
        Err(errno @ (Errno::ENOTDIR | Errno::ELOOP)) => {
            let opened = sys::open(directory.number(), name, open::PATH | open::NO_FOLLOW, 0)?;
            if sys::status(opened.number(), c"")?.is_symlink() { Ok(opened) } else { Err(errno) }
        }
        result => result,
    }
}

/// Whether a link in proc leads directly to what a process has open, so that its text means
/// nothing. The links in the root directory of a proc are ordinary ones.
fn is_magic(link: &Fd, directory: &Fd) -> Result<bool> {
    const PROC_ROOT: u64 = 1;
    Ok(sys::is_in_proc(link)? && sys::status(directory.number(), c"")?.number != PROC_ROOT)
}

/// The component of `text` that begins at or after `start`, and where it ends. Skips `.`
/// components.
fn component(text: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let mut start = start;
    loop {
        let rest = text.get(start..)?;
        start += rest.iter().position(|&byte| byte != b'/')?;
        let rest = text.get(start..)?;
        let length = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let name = rest.get(..length)?;
        start += length;
        if name != b"." {
            return Some((name, start));
        }
    }
}

fn parent_of(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|&byte| byte == b'/')
        .and_then(|slash| path.get(..slash))
        .unwrap_or_default()
}

/// Replaces `text` with the path of `above`, then `link`, then what follows `next` in `text`.
fn restart(text: &mut Path, above: &[u8], link: &[u8], next: usize) -> Result<()> {
    let mut new = Path::empty();
    append(&mut new, above)?;
    append(&mut new, link)?;
    append(&mut new, text.as_bytes().get(next..).unwrap_or_default())?;
    *text = new;
    Ok(())
}

/// Appends one or more names after a slash.
fn append(path: &mut Path, names: &[u8]) -> Result<()> {
    let start = names.iter().position(|&byte| byte != b'/').unwrap_or(names.len());
    let names = names.get(start..).unwrap_or_default();
    if !path.as_bytes().is_empty() && !names.is_empty() {
        path.push(b"/")?;
    }
    path.push(names)
}
