//! The store of images, as callers know it.

use super::image::Image;
use super::import::clear;
use super::source::ImageSource;
use crate::base::error::Result;
use crate::host::store::{Known, Place, check_name};
use crate::run::sandbox::images::hold;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A directory with images: the files of their layers, and their names.
///
/// Many threads and processes can use one store at once. What a program in a sandbox changes is
/// never in it. An image that is in use stays until it is not.
///
/// ```no_run
/// # fn main() -> seclude::Result<()> {
/// use seclude::{ImageSource, Sandbox, Store};
///
/// let store = Store::open()?;
/// let image = store.import(&ImageSource::tar("/srv/debian.tar.gz"), Some("debian"))?;
/// let output = Sandbox::new().image(&image).command("cat").arg("/etc/os-release").output()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    place: Place,
}

/// What a store knows of one of its images.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredImage {
    /// The name.
    pub name: String,
    /// The digest of the manifest, or of what the image was imported from: `sha256:` and 64
    /// digits.
    pub digest: String,
    /// The number of layers that are shown one above the other.
    pub layers: usize,
    /// The number of bytes in files. Layers that images share count for each.
    pub bytes: u64,
    /// The number of entries in the layers.
    pub entries: u64,
    /// The last use: the import, or the start of a sandbox.
    pub used: SystemTime,
}

/// What a collection has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freed {
    /// The number of names.
    pub images: usize,
    /// The number of layers.
    pub layers: usize,
}

impl Store {
    /// Opens the caller's own store, and makes it if there is none.
    ///
    /// It is at the path in the environment variable `SECLUDE_STORE`, else at
    /// `/var/lib/seclude/store` for root, and at `$XDG_DATA_HOME/seclude/store` or
    /// `~/.local/share/seclude/store` for other users.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is open to other users, who could find set-user-ID programs there. `Io` if
    /// it cannot be made.
    pub fn open() -> Result<Store> {
        Place::open(None).map(|place| Store { place })
    }

    /// Opens the store at `path`, and makes it if there is none. The file system must be one that
    /// overlays can write to: ext4, xfs, btrfs or, since Linux 6.6, tmpfs; not another overlay or
    /// NFS.
    ///
    /// # Errors
    ///
    /// The same as for [`Store::open`].
    pub fn at(path: impl AsRef<Path>) -> Result<Store> {
        Place::open(Some(path.as_ref())).map(|place| Store { place })
    }

    /// The path of the store.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Imports an image, and gives it a name, which may have stood for another one. Without a name
    /// it has its digest as one.
    ///
    /// Layers that the store already has are not read again. The files are made in a sandbox by a
    /// program of this library, with the ids that a sandbox of this caller's can have: a privileged
    /// caller's with their owners, and an unprivileged caller's all with one owner. Device nodes
    /// and sockets are left out. Before the call returns, the files are on the disk.
    ///
    /// # Errors
    ///
    /// `Invalid` if the image is damaged, has another digest than its manifest says, leads out of
    /// itself or exceeds the bounds. `SourceMissing` if it is not there. Nothing is left of it in
    /// the store then, but layers that were complete. `Io` if the store has no room.
    pub fn import(&self, source: &ImageSource, name: Option<&str>) -> Result<Image> {
        name.map_or(Ok(()), check_name)?;
        let (record, layers) = source.import(&self.place)?;
        let name = name.map_or_else(|| record.digest.clone(), str::to_owned);
        self.place.set_record(&name, &record)?;
        Ok(Image::new(self.clone(), name, record, Arc::new(layers)))
    }

    /// Finds an image by its name. It stays in the store as long as this value exists.
    ///
    /// # Errors
    ///
    /// `SourceMissing` if there is none, with the most similar name.
    pub fn image(&self, name: &str) -> Result<Image> {
        let (record, layers) = hold(&self.place, name)?;
        Ok(Image::new(self.clone(), name.to_owned(), record, Arc::new(layers)))
    }

    /// All images, by name.
    pub fn images(&self) -> Result<Vec<StoredImage>> {
        Ok(self.place.records()?.into_iter().map(StoredImage::of).collect())
    }

    /// Removes the name of an image. Its files go with the next [`Store::collect`], unless another
    /// image has them.
    ///
    /// # Errors
    ///
    /// `SourceMissing` if there is none, with the most similar name.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.place.remove_record(name)
    }

    /// Removes the files of no image, what killed imports have left, and, with `unused_for`, the
    /// images that no sandbox has used for so long. What is in use stays.
    pub fn collect(&self, unused_for: Option<Duration>) -> Result<Freed> {
        let mut freed = Freed::default();
        if let Some(age) = unused_for {
            let now = SystemTime::now();
            for known in self.place.records()? {
                let is_old = now.duration_since(known.used).is_ok_and(|unused| unused >= age);
                if is_old && !self.is_in_use(&known)? {
                    freed.images += usize::from(self.place.remove_unused_record(&known)?);
                }
            }
        }
        let discarded = self.place.discard(|place, key| {
            let mut records = place.records()?.into_iter();
            Ok(records
                .any(|known| known.record.layers.iter().any(|layer| *layer == key.to_string())))
        })?;
        for discarded in discarded {
            freed.layers += usize::from(discarded.key.is_some());
            clear(&self.place, &discarded.path)?;
            self.place.forget(discarded)?;
        }
        Ok(freed)
    }

    pub(super) fn of(place: Place) -> Store {
        Store { place }
    }

    fn is_in_use(&self, known: &Known) -> Result<bool> {
        let Some(keys) = known.record.keys() else { return Ok(false) };
        for key in &keys {
            if self.place.is_used(key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl StoredImage {
    fn of(known: Known) -> StoredImage {
        let Known { name, record, used } = known;
        StoredImage {
            name,
            layers: record.layers.len(),
            bytes: record.size.bytes,
            entries: record.size.entries,
            digest: record.digest,
            used,
        }
    }
}
