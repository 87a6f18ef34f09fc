//! The file system of the sandbox: sources opened as the caller, a tmpfs as the new root, and what is put into it.
//!
//! Every mount is made by descriptor. Targets are resolved below the new root only, and mount points are made only in
//! file systems that were mounted here.

use super::target;
use super::{Failure, errno_of};
use crate::sys::{self, Errno, Fd, FileSystem, Pages, Result, open};
use crate::text::{Line, Path};
use crate::wire::codec::List;
use crate::wire::plan::attribute;
use core::ffi::CStr;

mod attach;
use attach::Attach;

type Outcome = core::result::Result<(), Failure>;

pub struct Mounts {
    attach: Attach,
    /// The opened sources, by number; the first word says how many. A word is the descriptor plus one, 0 if an optional one is missing.
    sources: Pages,
    /// The file systems mounted here; the first word says how many.
    own: Pages,
    root: Option<Fd>,
    /// The directory in which something was made last, for the next thing beside it.
    parent: Option<(Path, Fd)>,
}

impl Mounts {
    /// `most` bounds how many sources and file systems there can be.
    pub fn new(classic: bool, most: usize) -> Result<Mounts> {
        const RLIMIT_NOFILE: u32 = 7;
        let (soft, hard) = sys::limit(RLIMIT_NOFILE)?;
        if soft < most as u64 + 64 {
            // The command's own limit is set when it starts; up to the hard limit this one is ours to raise.
            sys::set_limit(RLIMIT_NOFILE, hard, hard)?;
        }
        let table = || Pages::new((most + 2) * size_of::<usize>(), false);
        Ok(Mounts { attach: Attach::new(classic), sources: table()?, own: table()?, root: None, parent: None })
    }

    // ---- sources

    pub fn open_source(&mut self, path: &CStr, optional: bool, follow: bool) -> Result<()> {
        let opened = match follow {
            true => open_callers(path),
            // Before Linux 5.6 nobody can be asked, and this fails.
            false => sys::open_resolved(sys::CWD, path, open::PATH, sys::resolve::NO_MAGICLINKS | sys::resolve::NO_SYMLINKS),
        };
        match opened {
            Ok(fd) => push(&mut self.sources, fd.into_number() as usize + 1),
            Err(Errno::ENOENT | Errno::ENOTDIR) if optional => push(&mut self.sources, 0),
            Err(errno) => Err(errno),
        }
    }

    /// A device node by its number, so that a file of that name cannot stand in for it.
    pub fn open_device(&mut self, path: &CStr, device: (u32, u32)) -> Result<()> {
        let fd = open_callers(path)?;
        let status = sys::status(fd.number(), c"")?;
        if !status.is_character_device() || status.device != device {
            return Err(Errno::ENODEV);
        }
        push(&mut self.sources, fd.into_number() as usize + 1)
    }

    pub fn source(&self, number: u32) -> Result<Option<i32>> {
        let words = self.sources.read_words();
        if number as usize >= words[0] {
            return Err(Errno::EBADF);
        }
        Ok(words[number as usize + 1].checked_sub(1).map(|fd| fd as i32))
    }

    pub fn check_readable(&self, number: u32) -> Result<()> {
        const READ: u32 = 4;
        const SEARCH: u32 = 1;
        let Some(fd) = self.source(number)? else { return Ok(()) };
        let status = sys::status(fd, c"")?;
        if status.is_directory() {
            sys::accessible(fd, SEARCH)
        } else if status.is_file() {
            sys::accessible(fd, READ)
        } else {
            Ok(())
        }
    }

    // ---- the tree

    pub fn new_root(&mut self, size: u64, inodes: u64) -> Result<()> {
        let root = self.attach.root(size, inodes)?;
        self.remember_own(&root)?;
        self.root = Some(root);
        Ok(())
    }

    fn remember_own(&mut self, mount: &Fd) -> Result<()> {
        push(&mut self.own, sys::status(mount.number(), c"")?.file_system as usize)
    }

    fn root(&self) -> Result<&Fd> {
        self.root.as_ref().ok_or(Errno::EPROTO)
    }

    /// Opens a path inside: in the new root, or where there is none, in the shared one.
    pub fn open_inside(&self, at: &CStr, flags: u64) -> Result<Fd> {
        match &self.root {
            Some(root) => target::open_inside(root, at, flags),
            None => target::open_inside(&sys::open(sys::CWD, c"/", open::PATH, 0)?, at, flags),
        }
    }

    /// The directory in which `at` is to be made, and its name there; ENOENT in a tree of the caller's.
    fn parent_of(&mut self, at: &CStr) -> Result<(i32, Path)> {
        let (parents, last) = target::split(at);
        let mut name = Path::empty();
        name.push(last)?;
        if let Some((path, directory)) = &self.parent
            && path.as_bytes() == parents
        {
            return Ok((directory.number(), name));
        }
        let own = self.own.read_words();
        let directory =
            target::make_parents(self.root()?, parents, |file_system| own[1..=own[0]].contains(&(file_system as usize)))?;
        let mut path = Path::empty();
        path.push(parents)?;
        let number = directory.number();
        self.parent = Some((path, directory));
        Ok((number, name))
    }

    /// A mount at `at` may cover the parent that is remembered.
    fn forget_parent_below(&mut self, at: &CStr) {
        let (parents, last) = target::split(at);
        let covers = |path: &[u8]| {
            let below = path.strip_prefix(parents).map(|rest| rest.strip_prefix(b"/").unwrap_or(rest));
            below.and_then(|rest| rest.strip_prefix(last)).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        if self.parent.as_ref().is_some_and(|(path, _)| covers(path.as_bytes())) {
            self.parent = None;
        }
    }

    /// Makes something at `at`; `None` if it stands there already, or its parent is a tree of the caller's.
    fn make<T>(&mut self, at: &CStr, how: impl FnOnce(i32, &CStr) -> Result<T>) -> Result<Option<T>> {
        let (parent, name) = match self.parent_of(at) {
            Err(Errno::ENOENT) => return Ok(None),
            result => result?,
        };
        match how(parent, name.as_c_str()) {
            Err(Errno::EEXIST) => Ok(None),
            result => result.map(Some),
        }
    }

    /// A mount point made at `at`, or what stands there.
    pub fn mount_point(&mut self, at: &CStr, directory: bool) -> Result<Fd> {
        let made = self.make(at, |parent, name| {
            if directory {
                sys::make_directory(parent, name, 0o755)?;
                sys::open(parent, name, open::PATH | open::NO_FOLLOW, 0)
            } else {
                new_file(parent, name, 0o444, b"")
            }
        })?;
        made.map_or_else(|| self.open_inside(at, open::PATH), Ok)
    }

    pub fn directory(&mut self, at: &CStr, mode: u32) -> Result<()> {
        if self.make(at, |parent, name| sys::make_directory(parent, name, mode))?.is_some() {
            return Ok(());
        }
        let existing = self.open_inside(at, open::PATH)?;
        if sys::status(existing.number(), c"")?.is_directory() { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    pub fn symlink(&mut self, at: &CStr, to: &CStr) -> Result<()> {
        let (parent, name) = self.parent_of(at)?;
        sys::symlink(to, parent, name.as_c_str())
    }

    /// A file of our own; over a file of the caller's it is laid as a read-only mount.
    pub fn file(&mut self, at: &CStr, mode: u32, data: &[u8], optional: bool) -> Result<()> {
        const STAGING: &CStr = c".file";
        if self.make(at, |parent, name| new_file(parent, name, mode, data))?.is_some() {
            return Ok(());
        }
        let existing = match self.open_inside(at, open::PATH) {
            Err(Errno::ENOENT) if optional => return Ok(()),
            result => result?,
        };
        let root = self.root()?.number();
        new_file(root, STAGING, mode, data)?;
        let file = sys::open(root, STAGING, open::PATH | open::NO_FOLLOW, 0)?;
        let tree = self.attach.copy(file.number())?;
        self.attach.put(tree, &existing, attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV)?;
        sys::unlink(root, STAGING)
    }

    // ---- mounts in it

    pub fn bind(&mut self, source: u32, at: &CStr, attributes: u64) -> Result<()> {
        match self.source(source)? {
            Some(fd) => self.bind_fd(fd, at, attributes),
            None => Ok(()),
        }
    }

    pub fn bind_fd(&mut self, source: i32, at: &CStr, attributes: u64) -> Result<()> {
        let directory = sys::status(source, c"")?.is_directory();
        let point = self.mount_point(at, directory)?;
        let tree = self.attach.copy(source)?;
        self.forget_parent_below(at);
        self.attach.put(tree, &point, attributes)
    }

    /// A tmpfs; its descriptor.
    pub fn tmpfs(&mut self, at: &CStr, size: u64, inodes: u64, mode: u32, attributes: u64) -> Result<Fd> {
        let point = self.mount_point(at, true)?;
        self.forget_parent_below(at);
        self.attach.tmpfs(&point, size, inodes, mode, attributes)?;
        let mounted = self.open_inside(at, open::PATH)?;
        self.remember_own(&mounted)?;
        Ok(mounted)
    }

    pub fn proc(&mut self, at: &CStr, hide: bool) -> Result<()> {
        let point = self.mount_point(at, true)?;
        self.attach.proc(&point, hide)
    }

    /// A devpts of our own; its root.
    pub fn terminals(&mut self, at: &CStr) -> Result<Fd> {
        let point = self.mount_point(at, true)?;
        self.forget_parent_below(at);
        self.attach.terminals(&point)?;
        self.open_inside(at, open::PATH | open::DIRECTORY)
    }

    /// A proc of our own pid namespace that stands at no place, in which nobody can hide (hidepid hides those who made themselves
    /// undumpable, from us too).
    pub fn hidden_proc(&self) -> Result<Fd> {
        self.attach.hidden_proc()
    }

    /// Puts a tree that is only to be there under `/proc`, to go with all else: to close one that is attached nowhere takes as long as it takes
    /// every processor to pass a quiet moment (RCU).
    pub fn hide(&self, tree: &Fd) -> Result<()> {
        match self.open_inside(c"/proc", open::PATH) {
            Err(Errno::ENOENT) => Ok(()),
            proc => self.attach.hide(tree, &proc?),
        }
    }

    pub fn mask<'a>(&mut self, paths: List<'a, &'a CStr>, null: u32) -> Outcome {
        let null = self.source(null)?.ok_or(Errno::EBADF)?;
        for path in paths.iter() {
            let covered = match self.open_inside(path, open::PATH) {
                Ok(fd) => fd,
                Err(Errno::ENOENT) => continue,
                Err(errno) => return Err(Failure(errno, Path::of(path))),
            };
            errno_of(self.cover(&covered, null), || Path::of(path))?;
        }
        Ok(())
    }

    fn cover(&mut self, covered: &Fd, null: i32) -> Result<()> {
        let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        if sys::status(covered.number(), c"")?.is_directory() {
            self.attach.tmpfs(covered, 0, 1, 0o555, attributes)
        } else {
            let tree = self.attach.copy(null)?;
            // A device, so without NO_DEV: what is read from it must be nothing.
            self.attach.put(tree, covered, attributes & !attribute::NO_DEV)
        }
    }

    pub fn read_only<'a>(&mut self, paths: List<'a, &'a CStr>) -> Outcome {
        for path in paths.iter() {
            let place = match self.open_inside(path, open::PATH) {
                Ok(fd) => fd,
                Err(Errno::ENOENT) => continue,
                Err(errno) => return Err(Failure(errno, Path::of(path))),
            };
            let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
            let covered = self.attach.copy(place.number()).and_then(|tree| self.attach.put(tree, &place, attributes));
            errno_of(covered, || Path::of(path))?;
        }
        Ok(())
    }

    // ---- the new root becomes the root

    /// pivot_root(".", ".") stacks the old root on the new one; detaching "." then lets go of the old (pivot_root(2)).
    pub fn pivot(&mut self) -> Result<()> {
        sys::change_directory_to(self.root()?)?;
        sys::pivot_root(c".", c".")?;
        sys::detach(c".")?;
        sys::change_directory(c"/")?;
        self.forget_sources();
        Ok(())
    }

    /// Closes what was opened to be mounted.
    pub fn forget_sources(&mut self) {
        let words = self.sources.words();
        for word in &words[1..=words[0]] {
            if let Some(number) = word.checked_sub(1) {
                sys::close_number(number as i32);
            }
        }
        words[0] = 0;
    }

    /// The root as it stands is the one to work in: nothing can be made in it, but what is there can be mounted over.
    pub fn stand(&mut self) -> Result<()> {
        self.root = Some(sys::open(sys::CWD, c"/", open::PATH | open::DIRECTORY, 0)?);
        Ok(())
    }

    pub fn read_only_root(&mut self) -> Result<()> {
        self.attach.read_only_root(self.root()?)
    }
}

/// A path as the caller wrote it and means it: symlinks are followed, the links in `/proc` that lead to open files are not.
fn open_callers(path: &CStr) -> Result<Fd> {
    match sys::open_resolved(sys::CWD, path, open::PATH, sys::resolve::NO_MAGICLINKS) {
        Err(Errno::ENOSYS) => sys::open(sys::CWD, path, open::PATH, 0),
        result => result,
    }
}

fn new_file(directory: i32, name: &CStr, mode: u32, data: &[u8]) -> Result<Fd> {
    let file = sys::open(directory, name, open::WRITE | open::CREATE | open::EXCLUSIVE | open::NO_FOLLOW, mode)?;
    sys::write(&file, data)?;
    Ok(file)
}

fn push(table: &mut Pages, value: usize) -> Result<()> {
    let words = table.words();
    let next = words[0] + 1;
    *words.get_mut(next).ok_or(Errno::EPROTO)? = value;
    words[0] = next;
    Ok(())
}

/// A tmpfs being configured. `size` and `inodes` 0: the kernel's defaults.
fn tmpfs_options(size: u64, inodes: u64, mode: u32, mut set: impl FnMut(&CStr, &CStr) -> Result<()>) -> Result<()> {
    for (key, value) in [(c"size", size), (c"nr_inodes", inodes)] {
        if value > 0 {
            set(key, Line::numbered(b"", value, b"").as_c_str())?;
        }
    }
    let mut octal = Line::empty();
    octal.push_number(mode.into(), 8)?;
    set(c"mode", octal.as_c_str())
}
