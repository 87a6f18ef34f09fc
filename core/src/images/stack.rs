//! Directories of the host as the entries of an image, in the order of their names: one directory,
//! or several as an overlay shows them.

use super::entry::{Entry, Kind};
use super::overlay::{flags, hides_lower, is_whiteout, kind};
use super::owner::{OWNER, Origin};
use super::reach::Reach;
use crate::base::error::{Error, Result};
use crate::wire::unpack::Attributes;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, SFlag, fstat};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// How deep directories are read. Each takes a descriptor.
const DEPTH_MAX: usize = 256;

/// What a node that stands for a removed file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The directory is no layer: there is no such node.
    Unknown,
    /// The file is not there.
    Hidden,
    /// An entry as a layer of an image has it, `.wh.NAME`.
    Told,
}

/// One of the directories.
pub struct Tier {
    pub directory: OwnedFd,
    pub origin: Origin,
    /// Whether [`Stack::without`] is about it.
    pub has_surplus: bool,
}

/// Whether a path is left out. The second argument says whether it is a directory or an empty file.
type IsSurplus<'a> = dyn Fn(&[u8], bool) -> Result<bool> + 'a;

/// Directories, the topmost first.
pub struct Stack<'a> {
    tiers: Vec<Tier>,
    removed: Removed,
    is_surplus: Box<IsSurplus<'a>>,
    /// What is read, in errors.
    what: &'a str,
}

/// Takes each entry, with the contents of a file.
pub trait Taker {
    fn take(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<()>;
}

impl<'a> Stack<'a> {
    pub fn new(tiers: Vec<Tier>, removed: Removed, what: &'a str) -> Stack<'a> {
        Stack { tiers, removed, is_surplus: Box::new(|_, _| Ok(false)), what }
    }

    /// Leaves out paths of the tiers that have a surplus, but not what is in such a directory. What
    /// is below is read as if they were not there.
    pub fn without(mut self, is_surplus: impl Fn(&[u8], bool) -> Result<bool> + 'a) -> Stack<'a> {
        self.is_surplus = Box::new(is_surplus);
        self
    }

    /// Reads everything.
    pub fn read(self, taker: &mut dyn Taker) -> Result<()> {
        let Stack { tiers, removed, is_surplus, what } = self;
        let Some(top) = tiers.first() else { return Ok(()) };
        let reach = Reach::of(tiers.iter().map(|tier| tier.origin));
        let (links, is_surplus) = (HashMap::new(), &*is_surplus);
        let mut walk = Walk { taker, links, removed, is_surplus, what, reach };
        let status = fstat(&top.directory).map_err(|errno| walk.failed(b"", errno))?;
        let extended = walk.extended(&top.directory, b"")?;
        let found = Found { path: Vec::new(), status, origin: top.origin };
        walk.entry(found, Kind::Directory, extended, &mut io::empty())?;
        walk.directory(&tiers, b"", 0)
    }
}

struct Walk<'a> {
    taker: &'a mut dyn Taker,
    /// The first path of each file that has several names.
    links: HashMap<(u64, u64), Vec<u8>>,
    removed: Removed,
    is_surplus: &'a IsSurplus<'a>,
    what: &'a str,
    reach: Reach,
}

/// Why a name was not read.
enum Unread {
    /// Something else is there now.
    Moved(Error),
    Failed(Error),
}

/// A file that was found.
struct Found {
    path: Vec<u8>,
    status: FileStat,
    origin: Origin,
}

impl Walk<'_> {
    /// Reads a directory that is in several tiers, the topmost first.
    fn directory(&mut self, tiers: &[Tier], path: &[u8], depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(self.failed(path, Errno::ELOOP));
        }
        let mut names: BTreeMap<CString, usize> = BTreeMap::new();
        for (place, tier) in tiers.iter().enumerate() {
            for name in self.names(&tier.directory, path)? {
                names.entry(name).or_insert(place);
            }
        }
        if self.removed == Removed::Told && self.is_opaque(&tiers[0].directory, path)? {
            self.tell(path.to_vec(), Kind::Hidden, &tiers[0].directory)?;
        }
        for (name, place) in names {
            self.name(&tiers[place..], &name, path, depth)?;
        }
        Ok(())
    }

    /// Reads one name, which is in the first of the tiers and may be in others. A program that runs
    /// meanwhile may put something else there at any time.
    fn name(&mut self, tiers: &[Tier], name: &CStr, path: &[u8], depth: usize) -> Result<()> {
        const TRIES: usize = 16;
        let below = match path {
            b"" => name.to_bytes().to_vec(),
            path => [path, b"/", name.to_bytes()].concat(),
        };
        let mut last = None;
        for _ in 0..TRIES {
            match self.try_name(tiers, name, &below, depth) {
                Ok(()) => return Ok(()),
                Err(Unread::Failed(error)) => return Err(error),
                Err(Unread::Moved(error)) => last = Some(error),
            }
        }
        last.map_or(Ok(()), Err)
    }

    fn try_name(
        &mut self,
        tiers: &[Tier],
        name: &CStr,
        path: &[u8],
        depth: usize,
    ) -> std::result::Result<(), Unread> {
        let Tier { directory: layer, origin, has_surplus } = &tiers[0];
        let status = match self.reach.status(layer, name) {
            // Removed meanwhile.
            Err(Errno::ENOENT) => return Ok(()),
            status => status.map_err(|errno| self.failed(path, errno))?,
        };
        let is_empty = match kind(&status) {
            SFlag::S_IFDIR => true,
            SFlag::S_IFREG => status.st_size == 0,
            _ => false,
        };
        let is_left_out = *has_surplus && (self.is_surplus)(path, is_empty)?;
        let found = |status| Found { path: path.to_vec(), status, origin: *origin };
        match kind(&status) {
            SFlag::S_IFDIR => {
                let (opened, is_mounted) = self.open(layer, name, path, OFlag::O_DIRECTORY)?;
                let extended = self.extended(&opened, path)?;
                let mut inner = vec![tiers[0].within(opened)];
                if self.removed == Removed::Hidden {
                    self.find_below(&tiers[1..], name, path, &mut inner)?;
                }
                if !is_left_out {
                    self.entry(found(status), Kind::Directory, extended, &mut io::empty())?;
                } else if let Some(Tier { directory, origin, .. }) = inner.get(1) {
                    let status = fstat(directory).map_err(|errno| self.failed(path, errno))?;
                    let found = Found { path: path.to_vec(), status, origin: *origin };
                    let extended = self.extended(directory, path)?;
                    self.entry(found, Kind::Directory, extended, &mut io::empty())?;
                }
                if !is_mounted {
                    self.directory(&inner, path, depth + 1)?;
                }
            }
            _ if is_left_out => return self.first_below(tiers, name, path, depth),
            SFlag::S_IFREG => self.file(layer, name, found(status))?,
            SFlag::S_IFLNK => {
                let target = self.reach.link(layer, name);
                let target = target.map_err(|errno| self.unread(path, errno))?;
                let kind = Kind::Symlink { target: target.into_vec() };
                self.entry(found(status), kind, Vec::new(), &mut io::empty())?;
            }
            SFlag::S_IFIFO => {
                self.entry(found(status), Kind::Fifo, Vec::new(), &mut io::empty())?;
            }
            _ if is_whiteout(&status) && self.removed != Removed::Unknown => {
                if self.removed == Removed::Told {
                    self.tell(path.to_vec(), Kind::Removed, layer)?;
                }
            }
            _ => self.entry(found(status), Kind::Special, Vec::new(), &mut io::empty())?,
        }
        Ok(())
    }

    /// Reads a name as if it were not in the first tier.
    fn first_below(
        &mut self,
        tiers: &[Tier],
        name: &CStr,
        path: &[u8],
        depth: usize,
    ) -> std::result::Result<(), Unread> {
        let rest = &tiers[1..];
        let has_it = |tier: &Tier| self.reach.status(&tier.directory, name) != Err(Errno::ENOENT);
        match rest.iter().position(has_it) {
            Some(place) if self.removed == Removed::Hidden => {
                self.try_name(&rest[place..], name, path, depth)
            }
            _ => Ok(()),
        }
    }

    /// Opens the directories of this name in lower tiers, down to the first that hides those below
    /// it.
    fn find_below(
        &self,
        tiers: &[Tier],
        name: &CStr,
        path: &[u8],
        found: &mut Vec<Tier>,
    ) -> Result<()> {
        for tier in tiers {
            let layer = &tier.directory;
            let Some(last) = found.last() else { break };
            if self.is_opaque(&last.directory, path)? {
                break;
            }
            match self.reach.status(layer, name) {
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(self.failed(path, errno)),
                Ok(status) if kind(&status) == SFlag::S_IFDIR => {
                    let opened = self.reach.open(layer, name, OFlag::O_DIRECTORY);
                    let directory = opened.map_err(|errno| self.failed(path, errno))?;
                    found.push(tier.within(directory));
                }
                // Another kind of file, or a node for one that was removed, hides what is below.
                Ok(_) => break,
            }
        }
        Ok(())
    }

    fn file(&mut self, at: &OwnedFd, name: &CStr, found: Found) -> std::result::Result<(), Unread> {
        let file = (found.status.st_dev, found.status.st_ino);
        let is_linked = found.status.st_nlink > 1;
        if let Some(target) = self.links.get(&file).filter(|_| is_linked) {
            let kind = Kind::HardLink { target: target.clone() };
            return Ok(self.entry(found, kind, Vec::new(), &mut io::empty())?);
        }
        let (opened, is_mounted) = self.open(at, name, &found.path, OFlag::O_NONBLOCK)?;
        if is_mounted {
            return Ok(self.entry(found, Kind::Special, Vec::new(), &mut io::empty())?);
        }
        let status = fstat(&opened).map_err(|errno| self.failed(&found.path, errno))?;
        if kind(&status) != SFlag::S_IFREG || (status.st_dev, status.st_ino) != file {
            return Err(self.unread(&found.path, Errno::ESTALE));
        }
        if is_linked {
            self.links.insert(file, found.path.clone());
        }
        let extended = self.extended(&opened, &found.path)?;
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let found = Found { status, ..found };
        Ok(self.entry(found, Kind::File { size }, extended, &mut File::from(opened))?)
    }

    /// An entry that stands for removed files.
    fn tell(&mut self, path: Vec<u8>, kind: Kind, at: &OwnedFd) -> Result<()> {
        let status = fstat(at).map_err(|errno| self.failed(&path, errno))?;
        let attributes =
            Attributes { mode: 0o600, seconds: status.st_mtime, ..Attributes::default() };
        self.taker.take(&Entry { path, attributes, kind, extended: Vec::new() }, &mut io::empty())
    }

    fn entry(
        &mut self,
        found: Found,
        kind: Kind,
        mut extended: Vec<(Vec<u8>, Vec<u8>)>,
        contents: &mut dyn Read,
    ) -> Result<()> {
        let noted = extended.iter().position(|(name, _)| name == OWNER.to_bytes());
        let noted = noted.map(|place| extended.swap_remove(place).1);
        let Found { path, status, origin } = found;
        let owner = origin.owner((status.st_uid, status.st_gid), noted.as_deref());
        let (uid, gid) = owner.ok_or_else(|| self.failed(&path, Errno::EOVERFLOW))?;
        let attributes = Attributes {
            mode: status.st_mode & 0o7777,
            uid,
            gid,
            seconds: status.st_mtime,
            nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0),
        };
        self.taker.take(&Entry { path, attributes, kind, extended }, contents)
    }

    /// The attributes of users, but those by which overlays keep their books.
    fn extended(&self, file: &OwnedFd, path: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let attributes = self.reach.attributes(file.as_fd());
        let attributes = attributes.map_err(|errno| self.failed(path, errno))?;
        let attributes = attributes.into_iter().map(|(name, value)| (name.into_bytes(), value));
        Ok(attributes.filter(|(name, _)| !name.starts_with(b"user.overlay.")).collect())
    }

    fn is_opaque(&self, directory: &OwnedFd, path: &[u8]) -> Result<bool> {
        hides_lower(&self.reach, directory).map_err(|errno| self.failed(path, errno))
    }

    /// Opens a name, and finds out whether it is what was mounted there, which is not a part of the
    /// directory.
    fn open(
        &self,
        at: &OwnedFd,
        name: &CStr,
        path: &[u8],
        more: OFlag,
    ) -> std::result::Result<(OwnedFd, bool), Unread> {
        // Not by the number of the file system: in an overlay, files have those of the layers.
        let how = OpenHow::new().flags(flags(more)).resolve(ResolveFlag::RESOLVE_NO_XDEV);
        match openat2(at, name, how) {
            Ok(opened) => Ok((opened, false)),
            Err(Errno::EXDEV) => {
                let opened = self.reach.open(at, name, more);
                opened.map(|opened| (opened, true)).map_err(|errno| self.unread(path, errno))
            }
            // Nothing is mounted in what belongs to subordinate ids: the store, and changes.
            Err(Errno::EACCES) => {
                let opened = self.reach.open_closed(at, name, more);
                opened.map(|opened| (opened, false)).map_err(|errno| self.unread(path, errno))
            }
            // A filter of system calls that does not know it.
            Err(Errno::ENOSYS | Errno::EPERM) => {
                let opened = self.reach.open(at, name, more);
                let opened = opened.map_err(|errno| self.unread(path, errno))?;
                let file_system = |file| {
                    fstat(file).map(|status| status.st_dev).map_err(|no| self.unread(path, no))
                };
                let is_mounted = file_system(&opened)? != file_system(at)?;
                Ok((opened, is_mounted))
            }
            Err(errno) => Err(self.unread(path, errno)),
        }
    }

    fn unread(&self, path: &[u8], errno: Errno) -> Unread {
        let error = self.failed(path, errno);
        match errno {
            // It was removed, or another kind of file has taken its place.
            Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::ELOOP
            | Errno::ENXIO
            | Errno::EINVAL
            | Errno::ESTALE => Unread::Moved(error),
            _ => Unread::Failed(error),
        }
    }

    fn names(&self, at: &OwnedFd, path: &[u8]) -> Result<Vec<CString>> {
        self.reach.names(at).map_err(|errno| self.failed(path, errno))
    }

    fn failed(&self, path: &[u8], errno: Errno) -> Error {
        let shown = String::from_utf8_lossy(path);
        Error::io(format!("read /{shown} of {}", self.what), io::Error::from(errno))
    }
}

impl Tier {
    /// A directory in the same tier.
    fn within(&self, directory: OwnedFd) -> Tier {
        Tier { directory, origin: self.origin, has_surplus: self.has_surplus }
    }
}

impl From<Error> for Unread {
    fn from(error: Error) -> Unread {
        Unread::Failed(error)
    }
}
