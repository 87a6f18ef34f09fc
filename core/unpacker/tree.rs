//! The files below the destination.

use crate::entries::Entries;
use crate::sys::{self, Call, Errno, Fd, Result, open, resolve};
use crate::text::{Path, Text};
use crate::walk::{self, Links};
use crate::wire::unpack::Attributes;
use core::ffi::CStr;

/// The mode of a directory that the image does not describe.
const IMPLIED: u32 = 0o755;
/// How deep directories can be: a path of the kernel's has no more components.
const DEPTH_MAX: u32 = 2048;

/// A name of one component.
type Name = Text<256>;

pub struct Tree {
    root: Fd,
    /// The directory in which something was made last, with its path. The next entry is mostly
    /// there, too.
    last: Option<(Path, Fd)>,
}

impl Tree {
    pub fn new() -> Result<Tree> {
        let root = sys::open(sys::CWD, c".", open::READ | open::DIRECTORY, 0)?;
        Ok(Tree { root, last: None })
    }

    pub fn directory(&mut self, path: &CStr, attributes: &Attributes) -> Result<()> {
        let made = if path.is_empty() {
            sys::open(self.root.number(), c".", open::READ | open::DIRECTORY, 0)?
        } else {
            let (parent, name) = self.place(path)?;
            match sys::make_directory(parent, name.as_c_str(), 0o700) {
                Err(Errno::EEXIST) if !sys::status(parent, name.as_c_str())?.is_directory() => {
                    self.remove_name(parent, &name)?;
                    sys::make_directory(parent, name.as_c_str(), 0o700)?;
                }
                Err(Errno::EEXIST) => {}
                made => made?,
            }
            open_directory(parent, name.as_c_str())?
        };
        sys::change_owner(made.number(), (attributes.uid, attributes.gid))?;
        sys::set_mode(&made, attributes.mode)
    }

    /// `fill` writes the contents.
    pub fn file(
        &mut self,
        path: &CStr,
        attributes: &Attributes,
        fill: impl FnOnce(&Fd) -> Result<()>,
    ) -> Result<()> {
        const FLAGS: u64 = open::WRITE | open::CREATE | open::EXCLUSIVE | open::NO_FOLLOW;
        let (parent, name) = self.place(path)?;
        let file = match sys::open(parent, name.as_c_str(), FLAGS, 0o600) {
            Err(Errno::EEXIST) => {
                self.remove_name(parent, &name)?;
                sys::open(parent, name.as_c_str(), FLAGS, 0o600)?
            }
            opened => opened?,
        };
        fill(&file)?;
        if (attributes.uid, attributes.gid) != (0, 0) {
            sys::change_owner(file.number(), (attributes.uid, attributes.gid))?;
        }
        // After the owner, whose change takes the set-user-ID bit.
        sys::set_mode(&file, attributes.mode)?;
        set_time(parent, &name, attributes)
    }

    pub fn symlink(&mut self, path: &CStr, attributes: &Attributes, target: &CStr) -> Result<()> {
        let (parent, name) = self.place(path)?;
        match sys::symlink(target, parent, name.as_c_str()) {
            Err(Errno::EEXIST) => {
                self.remove_name(parent, &name)?;
                sys::symlink(target, parent, name.as_c_str())?;
            }
            made => made?,
        }
        sys::set_owner(parent, name.as_c_str(), (attributes.uid, attributes.gid))?;
        set_time(parent, &name, attributes)
    }

    pub fn hard_link(&mut self, path: &CStr, target: &CStr) -> Result<()> {
        let (above, old) = split(target)?;
        let from = self.resolve(above)?;
        let old = old.as_c_str();
        // The kernel says EPERM, which other refusals have, too.
        if sys::status(from.number(), old)?.is_directory() {
            return Err(Errno::EISDIR);
        }
        let (parent, name) = self.place(path)?;
        match sys::hard_link(from.number(), old, parent, name.as_c_str()) {
            Err(Errno::EEXIST) => {
                let known = sys::status(from.number(), old)?;
                let there = sys::status(parent, name.as_c_str())?;
                if (known.number, known.file_system) == (there.number, there.file_system) {
                    return Ok(());
                }
                self.remove_name(parent, &name)?;
                sys::hard_link(from.number(), old, parent, name.as_c_str())
            }
            made => made,
        }
    }

    pub fn fifo(&mut self, path: &CStr, attributes: &Attributes) -> Result<()> {
        let (parent, name) = self.place(path)?;
        match sys::make_fifo(parent, name.as_c_str(), attributes.mode & 0o777) {
            Err(Errno::EEXIST) => {
                self.remove_name(parent, &name)?;
                sys::make_fifo(parent, name.as_c_str(), attributes.mode & 0o777)?;
            }
            made => made?,
        }
        sys::set_owner(parent, name.as_c_str(), (attributes.uid, attributes.gid))?;
        set_time(parent, &name, attributes)
    }

    pub fn attribute(&mut self, path: &CStr, attribute: &CStr, value: &[u8]) -> Result<()> {
        if path.is_empty() {
            return sys::set_attribute_of(&self.root, attribute, value);
        }
        let (parent, name) = self.place(path)?;
        let status = sys::status(parent, name.as_c_str())?;
        // The kernel keeps them for no other kind of file, and a fifo would not open.
        if !status.is_file() && !status.is_directory() {
            return Err(Errno::EPERM);
        }
        let file = sys::open(parent, name.as_c_str(), open::READ | open::NO_FOLLOW, 0)?;
        sys::set_attribute_of(&file, attribute, value)
    }

    pub fn times(&mut self, path: &CStr, seconds: i64, nanoseconds: u32) -> Result<()> {
        if path.is_empty() {
            return sys::set_time(self.root.number(), c".", seconds, nanoseconds);
        }
        let (above, name) = split(path)?;
        let parent = match self.resolve(above) {
            // A later entry has replaced it.
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            parent => parent?,
        };
        match sys::set_time(parent.number(), name.as_c_str(), seconds, nanoseconds) {
            Err(Errno::ENOENT) => Ok(()),
            set => set,
        }
    }

    pub fn remove(&mut self, path: &CStr) -> Result<()> {
        let (above, name) = split(path)?;
        match self.resolve(above) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
            parent => self.remove_name(parent?.number(), &name),
        }
    }

    /// Removes the names in a directory that `is_gone` says.
    pub fn clear(&mut self, path: &CStr, is_gone: impl Fn(&CStr) -> bool) -> Result<()> {
        self.last = None;
        let directory = match self.resolve(path.to_bytes()) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            found => found?,
        };
        remove_contents(&directory, is_gone, 0)
    }

    /// The directory for a new name, and the name. Makes the directories above it.
    fn place(&mut self, path: &CStr) -> Result<(i32, Name)> {
        let (above, name) = split(path)?;
        if above.is_empty() {
            return Ok((self.root.number(), name));
        }
        if let Some((known, directory)) = &self.last
            && known.as_bytes() == above
        {
            return Ok((directory.number(), name));
        }
        let directory = match self.resolve(above) {
            Err(Errno::ENOENT) => {
                self.make_directories(above)?;
                self.resolve(above)?
            }
            found => found?,
        };
        let mut known = Path::empty();
        known.push(above)?;
        let (_, directory) = self.last.insert((known, directory));
        Ok((directory.number(), name))
    }

    /// Makes what is missing of a path of directories.
    fn make_directories(&mut self, path: &[u8]) -> Result<()> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let part = path.get(..end).unwrap_or_default();
            match self.resolve(part) {
                Err(Errno::ENOENT) => {}
                found => {
                    found?;
                    continue;
                }
            }
            let mut text = Path::empty();
            text.push(part)?;
            let (above, name) = split(text.as_c_str())?;
            let parent = self.resolve(above)?;
            // EEXIST: the name is a link that leads nowhere.
            sys::make_directory(parent.number(), name.as_c_str(), IMPLIED)?;
        }
        Ok(())
    }

    /// Opens a directory of the image, as a program in the image would.
    fn resolve(&self, path: &[u8]) -> Result<Fd> {
        const FLAGS: u64 = open::READ | open::DIRECTORY;
        let mut text = Path::empty();
        text.push(if path.is_empty() { b"." } else { path })?;
        match sys::open_resolved(self.root.number(), text.as_c_str(), FLAGS, resolve::IN_ROOT) {
            Err(errno) if Call::OPENAT2.is_absent_after(errno) => {
                walk::walk(&self.root, &text, FLAGS, Links::Follow, &mut Path::empty())
            }
            opened => opened,
        }
    }

    fn remove_name(&mut self, parent: i32, name: &Name) -> Result<()> {
        // It may be a directory above the one that is remembered. Its descriptor stays open as long
        // as the caller uses `parent`.
        let last = self.last.take();
        let removed = match sys::status(parent, name.as_c_str()) {
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
            Ok(status) => remove_one(parent, name.as_c_str(), status.is_directory(), 0),
        };
        self.last = last.filter(|(_, directory)| directory.number() == parent);
        removed
    }
}

fn set_time(parent: i32, name: &Name, attributes: &Attributes) -> Result<()> {
    sys::set_time(parent, name.as_c_str(), attributes.seconds, attributes.nanoseconds)
}

fn open_directory(parent: i32, name: &CStr) -> Result<Fd> {
    sys::open(parent, name, open::READ | open::DIRECTORY | open::NO_FOLLOW, 0)
}

/// The path of the directory above, and the last component. The library sends no other form, and
/// the kernel would take `..` for a directory outside.
fn split(path: &CStr) -> Result<(&[u8], Name)> {
    let path = path.to_bytes();
    let (above, last) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (path.get(..slash), path.get(slash + 1..)),
        None => (Some(&path[..0]), Some(path)),
    };
    let last = last.unwrap_or_default();
    if last.is_empty() || last == b"." || last == b".." {
        return Err(Errno::EINVAL);
    }
    let mut name = Name::empty();
    name.push(last)?;
    Ok((above.unwrap_or_default(), name))
}

fn remove_one(parent: i32, name: &CStr, is_directory: bool, depth: u32) -> Result<()> {
    if !is_directory {
        return sys::unlink(parent, name);
    }
    if depth > DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    remove_contents(&open_directory(parent, name)?, |_| true, depth)?;
    sys::remove_directory(parent, name)
}

fn remove_contents(directory: &Fd, is_gone: impl Fn(&CStr) -> bool, depth: u32) -> Result<()> {
    // A file system may skip entries while others are removed, hence until nothing is found.
    loop {
        let mut found = false;
        let again = sys::open(directory.number(), c".", open::READ | open::DIRECTORY, 0)?;
        let mut entries = Entries::new(again);
        while let Some(name) = entries.next()? {
            if name == c"." || name == c".." || !is_gone(name) {
                continue;
            }
            found = true;
            let is_directory = sys::status(directory.number(), name)?.is_directory();
            remove_one(directory.number(), name, is_directory, depth + 1)?;
        }
        if !found {
            return Ok(());
        }
    }
}
