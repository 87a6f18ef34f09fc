//! The layers of a store: directories by key, from the beginning of the work on one to its removal.

use super::{Place, removal};
use crate::base::error::{Error, ErrorKind, Result};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the overlay, through which a layer is made, keeps its changes. They stay where the kernel
/// has put them: an owner without privileges cannot move a directory that it may not write to.
const CHANGES: &str = "fs";
const FILES: &str = "fs/upper";
/// The file with the size of a layer.
const SIZE: &str = "size";

/// The ids of the files of a layer on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdsOnDisk {
    /// Those of the image.
    Image,
    /// The caller's alone.
    One,
    /// The caller's as 0, and from 1 on its subordinate ids from these on.
    Range { uid: u32, gid: u32 },
}

fn ids_of(text: &str) -> Option<IdsOnDisk> {
    match text {
        "owners" => Some(IdsOnDisk::Image),
        "single" => Some(IdsOnDisk::One),
        range => {
            let (uid, gid) = range.strip_prefix("range-")?.split_once('-')?;
            Some(IdsOnDisk::Range { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        }
    }
}

/// The name of a layer: the digest of what it and the layers below it are made of, and the ids of
/// its files on the disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// `chain` is a digest in hexadecimal.
    pub fn new(chain: &str, ids: IdsOnDisk) -> Key {
        let ids = match ids {
            IdsOnDisk::Image => "owners".to_owned(),
            IdsOnDisk::One => "single".to_owned(),
            IdsOnDisk::Range { uid, gid } => format!("range-{uid}-{gid}"),
        };
        Key(format!("{chain}.{ids}"))
    }

    /// A key that a record names. `None` if it cannot be one.
    pub fn parse(text: &str) -> Option<Key> {
        let (chain, ids) = text.split_once('.')?;
        let is_digest = chain.len() == 64 && chain.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_digest && ids_of(ids).is_some()).then(|| Key(text.to_owned()))
    }

    /// The ids of its files on the disk.
    pub fn ids(&self) -> IdsOnDisk {
        // Both ways to make a key have checked it.
        self.0.split_once('.').and_then(|(_, ids)| ids_of(ids)).unwrap_or(IdsOnDisk::One)
    }

    /// The digest.
    pub fn chain(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(chain, _)| chain)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was unpacked, and what was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// The bytes of all files.
    pub bytes: u64,
    pub entries: u64,
    /// Device nodes and sockets, which were left out.
    pub special: u64,
}

impl Size {
    /// What these layers have together.
    pub fn of(layers: &[Layer]) -> Size {
        layers.iter().fold(Size::default(), |sum, layer| sum.plus(layer.size))
    }

    pub fn plus(self, other: Size) -> Size {
        Size {
            bytes: self.bytes.saturating_add(other.bytes),
            entries: self.entries.saturating_add(other.entries),
            special: self.special.saturating_add(other.special),
        }
    }
}

/// A complete layer, which nothing removes as long as this exists.
#[derive(Debug)]
pub struct Layer {
    pub key: Key,
    pub size: Size,
    path: PathBuf,
    _lock: Flock<File>,
}

impl Layer {
    /// The directory with its files.
    pub fn files(&self) -> PathBuf {
        self.path.join(FILES)
    }
}

/// A layer that is being made. What is not finished is removed by the next one to make it.
pub struct Work {
    place: Place,
    path: PathBuf,
    lock: Flock<File>,
}

impl Place {
    /// The layer with this key, if it is in the store.
    pub fn layer(&self, key: &Key) -> Result<Option<Layer>> {
        let path = self.layer_path(key);
        let lock = self.lock(&path, FlockArg::LockShared)?;
        let Some(lock) = lock else { return Ok(None) };
        let size = path.join(SIZE);
        let text = fs::read(&size).map_err(|error| self.failed("read", &size, error))?;
        let size = serde_json::from_slice(&text)
            .map_err(|error| self.failed("read", &size, error.into()))?;
        Ok(Some(Layer { key: key.clone(), size, path, _lock: lock }))
    }

    /// Whether anything uses a layer now.
    pub fn is_used(&self, key: &Key) -> Result<bool> {
        let path = self.layer_path(key);
        Ok(path.exists() && self.lock(&path, FlockArg::LockExclusiveNonblock)?.is_none())
    }

    /// Begins to make a layer. Waits while another process makes the same one.
    pub fn begin(&self, key: &Key) -> Result<Work> {
        self.work(&key.to_string())
    }

    /// Begins to make a layer whose key is not known yet.
    pub fn begin_unknown(&self) -> Result<Work> {
        self.work(&format!("new-{}", random()?))
    }

    fn work(&self, name: &str) -> Result<Work> {
        let path = self.root.join("work").join(name);
        loop {
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(self.failed("make", &path, error));
                }
                _ => {}
            }
            // Gone: another process has just finished it.
            if let Some(lock) = self.lock(&path, FlockArg::LockExclusive)? {
                return Ok(Work { place: self.clone(), path, lock });
            }
        }
    }

    /// Takes all layers out of use that `keep` does not want and nothing uses, and what was left
    /// unfinished. Returns them, to be removed by [`Place::forget`].
    pub fn discard(&self, keep: impl Fn(&Self, &Key) -> Result<bool>) -> Result<Vec<Discarded>> {
        let mut discarded = Vec::new();
        for (name, path) in self.entries("layers")? {
            let Some(key) = Key::parse(&name) else { continue };
            if keep(self, &key)? {
                continue;
            }
            let Some(lock) = self.lock(&path, FlockArg::LockExclusiveNonblock)? else { continue };
            // An importer holds the layers of its image until the record is there. So what no
            // record names now, while nothing holds it, is named by none.
            if keep(self, &key)? {
                continue;
            }
            let aside = self.root.join("work").join(format!("old-{}", random()?));
            fs::rename(&path, &aside).map_err(|error| self.failed("remove", &path, error))?;
            discarded.push(Discarded { path: aside, key: Some(key), _lock: lock });
        }
        let known = discarded.iter().map(|layer| layer.path.clone()).collect::<Vec<_>>();
        for (_, path) in self.entries("work")? {
            if known.contains(&path) {
                continue;
            }
            if let Some(lock) = self.lock(&path, FlockArg::LockExclusiveNonblock)? {
                discarded.push(Discarded { path, key: None, _lock: lock });
            }
        }
        Ok(discarded)
    }

    /// Gives up the work on a layer, and removes what has been made.
    pub fn abandon(&self, work: Work) -> Result<()> {
        self.remove(&work.path)
    }

    /// Removes a discarded layer.
    pub fn forget(&self, discarded: Discarded) -> Result<()> {
        self.remove(&discarded.path)
    }

    /// Removes what is in a directory. There is nothing in a draft.
    pub fn clear(&self, directory: &Path) -> Result<()> {
        let failed = |error| self.failed("read", directory, error);
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            self.remove(&entry.map_err(failed)?.path())?;
        }
        Ok(())
    }

    fn remove(&self, directory: &Path) -> Result<()> {
        removal::remove(directory).map_err(|error| self.failed("remove", directory, error))
    }

    /// An empty file without a name, which is gone with its descriptor.
    pub fn scratch_file(&self) -> Result<File> {
        let (path, file) = self.draft()?;
        self.remove(&path)?;
        file.unlock().map_err(|(_, errno)| self.failed("unlock", &path, errno.into()))
    }

    /// An empty file that is locked until it has another place. If it never has one, a collection
    /// removes it.
    pub(super) fn draft(&self) -> Result<(PathBuf, Flock<File>)> {
        loop {
            let path = self.root.join("work").join(format!("file-{}", random()?));
            let file =
                OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
            let file = file.map_err(|error| self.failed("make", &path, error))?;
            // None: a collection has come between.
            if let Some(lock) = self.lock_open(file, &path, FlockArg::LockExclusive)? {
                return Ok((path, lock));
            }
        }
    }

    fn layer_path(&self, key: &Key) -> PathBuf {
        self.root.join("layers").join(&key.0)
    }

    pub(super) fn entries(&self, folder: &str) -> Result<Vec<(String, PathBuf)>> {
        let folder = self.root.join(folder);
        let failed = |error| self.failed("read", &folder, error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((name, entry.path()));
            }
        }
        entries.sort();
        Ok(entries)
    }

    /// Locks a directory or file. `None` if it is not there, or no longer there once it is locked,
    /// or if another process holds it and `how` does not wait.
    pub(super) fn lock(&self, path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("lock", path, error)),
            Ok(file) => self.lock_open(file, path, how),
        }
    }

    fn lock_open(&self, file: File, path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
        let failed = |error| self.failed("lock", path, error);
        let mut file = Some(file);
        let lock = loop {
            let Some(free) = file.take() else { return Ok(None) };
            match Flock::lock(free, how) {
                Ok(lock) => break lock,
                // A signal. The next attempt waits again.
                Err((free, nix::errno::Errno::EINTR)) => file = Some(free),
                Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Ok(None),
                Err((_, errno)) => return Err(failed(errno.into())),
            }
        };
        let locked = lock.metadata().map_err(failed)?;
        let same = |there: fs::Metadata| (there.dev(), there.ino()) == (locked.dev(), locked.ino());
        Ok(fs::symlink_metadata(path).is_ok_and(same).then_some(lock))
    }
}

impl Work {
    /// The directory in which to make the layer.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory in which an overlay is to keep the files.
    pub fn changes(&self) -> PathBuf {
        self.path.join(CHANGES)
    }

    /// Puts the files into the store, and everything that was written to its file system on the
    /// disk before that. If the store has them already, `clear` removes what is in the directory.
    pub fn finish(
        self,
        key: Key,
        size: Size,
        clear: impl FnOnce(&Place, &Path) -> Result<()>,
    ) -> Result<Layer> {
        let (place, own) = (self.place.clone(), self.path.clone());
        let failed = |error| place.failed("finish", &own, error);
        let text = serde_json::to_vec(&size).map_err(|error| failed(error.into()))?;
        fs::write(self.path.join(SIZE), text).map_err(failed)?;
        // What the overlay has left beside the files.
        place.remove(&self.changes().join("work"))?;
        nix::unistd::syncfs(&*self.lock).map_err(|errno| failed(errno.into()))?;
        let path = place.layer_path(&key);
        while let Err(error) = fs::rename(&self.path, &path) {
            if !matches!(error.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) {
                return Err(failed(error));
            }
            // It was made before, or meanwhile by another process, from another source. If it is
            // gone again by now, there is room for this one.
            if let Some(layer) = place.layer(&key)? {
                clear(&place, &self.path)?;
                return place.abandon(self).map(|()| layer);
            }
        }
        let lock = self.lock;
        let shared = lock.relock(FlockArg::LockShared);
        shared.map_err(|errno| place.failed("lock", &path, errno.into()))?;
        Ok(Layer { key, size, path, _lock: lock })
    }
}

/// A layer that nothing finds any more, with its files.
pub struct Discarded {
    pub path: PathBuf,
    /// `None` for what was left unfinished.
    pub key: Option<Key>,
    _lock: Flock<File>,
}

/// A name that no other process has.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "find a name in the store").because(error.to_string())
    })?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
