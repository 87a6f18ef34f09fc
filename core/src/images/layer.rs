//! What the entries of a layer do to the layers below it: new files replace old ones, and whiteouts
//! remove them (OCI image specification, "Image Layer Filesystem Changeset").

use super::entry::{Entry, Kind};
use super::owner::OWNER;
use super::stack::Taker;
use super::unpacker::{Owners, Unpacker};
use crate::base::error::{Error, Result};
use crate::host::store::Size;
use crate::wire::codec::ListBuilder;
use crate::wire::unpack::{self as wire, Attributes};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::io::Read;
use std::ops::Bound;

/// The prefix of a name that stands for the removal of the rest of the name.
const WHITEOUT: &[u8] = b".wh.";
/// A file that stands for the removal of everything in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other names that aufs had for its own use.
const RESERVED: &[u8] = b".wh..wh.";

/// The most bytes of the paths of a layer. Two million of the usual ones have a quarter of it.
const NAMES_MAX: usize = 1 << 29;

/// How much of an image may be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub bytes: u64,
    pub entries: u64,
}

impl Bounds {
    /// Enough for any image, and too little to fill a disk.
    pub const DEFAULT: Bounds = Bounds { bytes: 16 << 30, entries: 2_000_000 };
}

/// What a layer has made at a path so far.
#[derive(Clone, Copy)]
enum Made {
    Directory { seconds: i64, nanoseconds: u32 },
    Other,
}

/// Takes the records of a layer. The unpacker does, and a test can.
pub trait Records {
    fn entry(&mut self, entry: &wire::Entry<'_>) -> Result<()>;
    /// Contents of the file of the last record.
    fn contents(&mut self, bytes: &[u8]) -> Result<()>;
    /// Waits until everything is made.
    fn finish(self) -> Result<()>;
}

/// A layer that is being unpacked.
pub struct Layer<U = Unpacker> {
    unpacker: U,
    owners: Owners,
    bounds: Bounds,
    size: Size,
    /// The bytes of all paths, which are kept in memory.
    names: usize,
    made: BTreeMap<Box<[u8]>, Made>,
    /// The directories of whose files below none is left.
    hidden: BTreeSet<Box<[u8]>>,
    buffer: Vec<u8>,
}

impl<U: Records> Layer<U> {
    pub fn new(unpacker: U, owners: Owners, bounds: Bounds) -> Layer<U> {
        Layer {
            unpacker,
            owners,
            bounds,
            size: Size::default(),
            names: 0,
            made: BTreeMap::new(),
            hidden: BTreeSet::new(),
            buffer: vec![0; super::stream::CHUNK],
        }
    }

    /// Unpacks one entry. `contents` are those of a file.
    pub fn entry(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<()> {
        self.size.entries += 1;
        if self.size.entries > self.bounds.entries {
            let why = format!("it has more than the {} entries allowed", self.bounds.entries);
            return Err(Error::invalid("unpack the image", why));
        }
        self.names += entry.path.len();
        if self.names > NAMES_MAX {
            let why = format!("its paths have more than {NAMES_MAX} bytes");
            return Err(Error::invalid("unpack the image", why));
        }
        let path = c_string(&entry.path)?;
        let (attributes, owner) = self.owned(&path, &entry.attributes)?;
        let made = match &entry.kind {
            Kind::Special => {
                self.size.special += 1;
                return Ok(());
            }
            Kind::Removed => return self.remove(&entry.path),
            Kind::Hidden => return self.hide(&entry.path),
            Kind::Directory => {
                self.unpacker.entry(&wire::Entry::Directory { path: &path, attributes })?;
                let Attributes { seconds, nanoseconds, .. } = attributes;
                Made::Directory { seconds, nanoseconds }
            }
            Kind::File { size } => {
                self.file(&path, attributes, *size, contents)?;
                Made::Other
            }
            Kind::Symlink { target } => {
                let target = c_string(target)?;
                let entry = wire::Entry::Symlink { path: &path, attributes, target: &target };
                self.unpacker.entry(&entry)?;
                Made::Other
            }
            Kind::HardLink { target } => {
                let target = c_string(target)?;
                self.unpacker.entry(&wire::Entry::HardLink { path: &path, target: &target })?;
                Made::Other
            }
            Kind::Fifo => {
                self.unpacker.entry(&wire::Entry::Fifo { path: &path, attributes })?;
                Made::Other
            }
        };
        if matches!(made, Made::Other) {
            self.hidden.remove(&*entry.path);
        }
        self.made.insert(entry.path.as_slice().into(), made);
        if matches!(entry.kind, Kind::Directory | Kind::File { .. }) {
            self.attributes(&path, entry, owner)?;
        }
        Ok(())
    }

    /// Waits until everything is made.
    pub fn finish(mut self) -> Result<Size> {
        // What is made in a directory changes its time, so the times come last.
        for (path, made) in &self.made {
            if let Made::Directory { seconds, nanoseconds } = *made {
                let path = c_string(path)?;
                self.unpacker.entry(&wire::Entry::Times { path: &path, seconds, nanoseconds })?;
            }
        }
        self.unpacker.finish()?;
        Ok(self.size)
    }

    fn file(
        &mut self,
        path: &CStr,
        attributes: Attributes,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<()> {
        self.size.bytes = self.size.bytes.saturating_add(size);
        if self.size.bytes > self.bounds.bytes {
            let why = format!("its files have more than the {} bytes allowed", self.bounds.bytes);
            return Err(Error::invalid("unpack the image", why));
        }
        self.unpacker.entry(&wire::Entry::File { path, attributes, size })?;
        let mut left = size;
        while left > 0 {
            let most = left.min(self.buffer.len() as u64) as usize;
            match contents.read(&mut self.buffer[..most]) {
                Ok(0) => {
                    let shown = path.to_string_lossy();
                    return Err(Error::invalid(
                        format!("unpack {shown} of the image"),
                        "it is cut off",
                    ));
                }
                Ok(length) => {
                    self.unpacker.contents(&self.buffer[..length])?;
                    left -= length as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(super::tar::unreadable("the image", error)),
            }
        }
        Ok(())
    }

    /// The extended attributes that a program inside may have set itself, but those of overlays,
    /// by which a layer could show what is not in it.
    fn attributes(&mut self, path: &CStr, entry: &Entry, owner: Option<String>) -> Result<()> {
        for (name, value) in &entry.extended {
            let is_kept = name.starts_with(b"user.")
                && !name.starts_with(b"user.overlay.")
                && !name.starts_with(b"user.seclude.");
            if is_kept {
                let name = c_string(name)?;
                self.unpacker.entry(&wire::Entry::Attribute { path, name: &name, value })?;
            }
        }
        if let Some(owner) = owner {
            let value = owner.as_bytes();
            self.unpacker.entry(&wire::Entry::Attribute { path, name: OWNER, value })?;
        }
        Ok(())
    }

    /// The attributes that the file can have, and the owner in the image if that cannot be among
    /// them.
    fn owned(&self, path: &CStr, given: &Attributes) -> Result<(Attributes, Option<String>)> {
        let Attributes { uid, gid, .. } = *given;
        match self.owners.count() {
            Some(count) if uid < count && gid < count => Ok((*given, None)),
            Some(count) => {
                let why = format!("it belongs to {uid}:{gid}, and ids go up to {}", count - 1);
                let what = format!("unpack {} of the image", path.to_string_lossy());
                Err(Error::invalid(what, why))
            }
            None => {
                let owner = ((uid, gid) != (0, 0)).then(|| format!("{uid}:{gid}"));
                Ok((Attributes { uid: 0, gid: 0, ..*given }, owner))
            }
        }
    }

    /// Removes a path. It is about the layers below alone: what this layer has made stays.
    fn remove(&mut self, path: &[u8]) -> Result<()> {
        match self.made.get(path) {
            Some(Made::Other) => Ok(()),
            None if self.children(path).is_empty() => {
                self.unpacker.entry(&wire::Entry::Remove { path: &c_string(path)? })
            }
            Some(Made::Directory { .. }) | None => self.hide(path),
        }
    }

    /// Removes what is in a directory, but what this layer has made there.
    fn hide(&mut self, directory: &[u8]) -> Result<()> {
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            // Whatever is there now, this layer has made. A hostile one says it a million times.
            if !self.hidden.insert(directory.as_slice().into()) {
                continue;
            }
            let children = self.children(&directory);
            for (name, _) in children.iter().filter(|(_, is_directory)| **is_directory) {
                let name = name.to_bytes();
                directories.push(if directory.is_empty() {
                    name.to_owned()
                } else {
                    [&*directory, b"/", name].concat()
                });
            }
            self.clear(&c_string(&directory)?, &children)?;
        }
        Ok(())
    }

    /// Removes all other names in a directory: in several records if they are many.
    fn clear(&mut self, path: &CStr, children: &BTreeMap<CString, bool>) -> Result<()> {
        const ROOM: usize = wire::RECORD_MAX / 2;
        let (mut keep, mut after, mut used) = (ListBuilder::new(Vec::new()), c"", 0);
        for name in children.keys() {
            keep.push(&name.as_c_str());
            used += name.as_bytes().len() + 16;
            if used >= ROOM {
                let entry = wire::Entry::Clear { path, after, until: name, keep: keep.list() };
                self.unpacker.entry(&entry)?;
                (keep, after, used) = (ListBuilder::new(Vec::new()), name, 0);
            }
        }
        self.unpacker.entry(&wire::Entry::Clear { path, after, until: c"", keep: keep.list() })
    }

    /// The names in a directory that this layer has made, and whether each is a directory.
    fn children(&self, directory: &[u8]) -> BTreeMap<CString, bool> {
        let prefix = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
        let mut children = BTreeMap::new();
        let below = self.made.range::<[u8], _>((Bound::Included(&*prefix), Bound::Unbounded));
        for (path, made) in below.take_while(|(path, _)| path.starts_with(&prefix)) {
            let rest = &path[prefix.len()..];
            let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
            let is_directory = name.len() < rest.len() || matches!(made, Made::Directory { .. });
            match CString::new(name) {
                Ok(name) if !name.is_empty() => *children.entry(name).or_default() |= is_directory,
                _ => {}
            }
        }
        children
    }
}

/// An entry of an archive as what it means: there, a name stands for the removal of files. `None`
/// if it means nothing.
///
/// # Errors
///
/// Such a name that has no other name in it.
pub fn meaning(entry: Entry) -> Result<Option<Entry>> {
    let (above, name) = match entry.path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&entry.path[..slash], &entry.path[slash + 1..]),
        None => (&entry.path[..0], &*entry.path),
    };
    let Some(removed) = name.strip_prefix(WHITEOUT) else { return Ok(Some(entry)) };
    if name == OPAQUE {
        return Ok(Some(Entry { path: above.to_owned(), kind: Kind::Hidden, ..entry }));
    }
    if name.starts_with(RESERVED) {
        return Ok(None);
    }
    if matches!(removed, b"" | b"." | b"..") {
        let shown = String::from_utf8_lossy(&entry.path);
        let what = format!("entry {shown:?} of the image");
        return Err(Error::invalid(what, "it removes no name"));
    }
    let path = if above.is_empty() { removed.to_owned() } else { [above, b"/", removed].concat() };
    Ok(Some(Entry { path, kind: Kind::Removed, ..entry }))
}

/// The name in an archive of an entry that means the removal of files.
pub fn whiteout(path: &[u8], kind: &Kind) -> Option<Vec<u8>> {
    let join = |above: &[u8], name: &[u8]| match above {
        b"" => name.to_owned(),
        above => [above, b"/", name].concat(),
    };
    match kind {
        Kind::Hidden => Some(join(path, OPAQUE)),
        Kind::Removed => {
            let slash = path.iter().rposition(|byte| *byte == b'/');
            let (above, name) =
                slash.map_or((&path[..0], path), |at| (&path[..at], &path[at + 1..]));
            Some(join(above, &[WHITEOUT, name].concat()))
        }
        _ => None,
    }
}

/// Whether an archive of a layer cannot have a path, because it would mean something else.
pub fn has_other_meaning(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| name.starts_with(WHITEOUT))
}

impl<U: Records> Taker for Layer<U> {
    fn take(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<()> {
        self.entry(entry, contents)
    }
}

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes)
        .map_err(|_| Error::invalid("unpack an entry of the image", "it has a NUL byte"))
}
