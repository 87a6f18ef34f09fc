//! What an image is imported from, and the import: layer by layer into the store.

use super::blobs::{Blobs, open};
use super::import::{Import, unpack_archive};
use super::layer::Bounds;
use super::layout;
use super::stack::{Removed, Stack, Tier};
use super::stream::{Bounded, DigestedEntries, decoded, is_packed};
use super::tar::{Archive, unreadable};
use crate::base::error::{Error, Result};
use crate::host::store::{Layer, Place, Record};
use crate::policy::Ids;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What to import an image from.
///
/// ```no_run
/// # fn main() -> seclude::Result<()> {
/// use seclude::{ImageSource, Store};
///
/// let source = ImageSource::oci("/srv/images/debian").reference("bookworm");
/// let image = Store::open()?.import(&source, Some("debian:bookworm"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    form: Form,
    path: PathBuf,
    reference: Option<String>,
    bounds: Bounds,
    ids: Option<Ids>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Oci,
    Archive,
    Tar,
    Directory,
}

impl ImageSource {
    fn new(form: Form, path: &Path) -> ImageSource {
        ImageSource { form, path: path.into(), reference: None, bounds: Bounds::DEFAULT, ids: None }
    }

    /// A directory with an OCI image layout, as `skopeo copy docker://NAME oci:DIRECTORY` makes it.
    pub fn oci(directory: impl AsRef<Path>) -> ImageSource {
        ImageSource::new(Form::Oci, directory.as_ref())
    }

    /// A tar archive with images, as `docker save` makes it, or of an OCI image layout. It may be
    /// compressed.
    pub fn archive(file: impl AsRef<Path>) -> ImageSource {
        ImageSource::new(Form::Archive, file.as_ref())
    }

    /// A tar archive with the files of a root, as `docker export` makes it. It may be compressed
    /// with gzip or Zstandard.
    ///
    /// Names that begin with `.wh.` stand for removed files, as in a layer.
    pub fn tar(file: impl AsRef<Path>) -> ImageSource {
        ImageSource::new(Form::Tar, file.as_ref())
    }

    /// A directory with the files of a root. What is mounted below it is left out, and so are
    /// extended attributes but those of users.
    pub fn directory(directory: impl AsRef<Path>) -> ImageSource {
        ImageSource::new(Form::Directory, directory.as_ref())
    }

    /// Whichever of the others is at `path`: a directory with `oci-layout` is an image layout, and
    /// an archive that begins with `manifest.json`, `oci-layout` or `blobs` holds images.
    ///
    /// # Errors
    ///
    /// Nothing can be read at `path`.
    pub fn found_at(path: impl AsRef<Path>) -> Result<ImageSource> {
        let path = path.as_ref();
        let file = open(path, 0)?;
        let failed = |error| Error::io(format!("read {}", path.display()), error).at(path);
        if file.metadata().map_err(failed)?.is_dir() {
            let is_layout = path.join("oci-layout").exists() || path.join("index.json").exists();
            return Ok(if is_layout { Self::oci(path) } else { Self::directory(path) });
        }
        let what = path.display().to_string();
        // The entries before the one that tells may be a bomb.
        let reader = Bounded::new(decoded(Box::new(file), &what)?, Bounds::DEFAULT.bytes);
        let mut archive = Archive::new(reader, what);
        // Archives of images have nothing else at their top, and few entries before one of these.
        for _ in 0..8 {
            match archive.next()? {
                Some(entry) if is_of_layout(&entry.path) => return Ok(Self::archive(path)),
                Some(entry) if is_layer_of_old_archive(&entry.path) => {}
                _ => break,
            }
        }
        Ok(Self::tar(path))
    }

    /// Chooses the image with this name, of several in a layout or an archive.
    pub fn reference(mut self, name: impl Into<String>) -> ImageSource {
        self.reference = Some(name.into());
        self
    }

    /// Limits the bytes of the files that are unpacked. Default: 16 GiB.
    pub fn max_bytes(mut self, bytes: impl Into<u64>) -> ImageSource {
        self.bounds.bytes = bytes.into();
        self
    }

    /// Limits the number of entries that are unpacked. Default: 2,000,000.
    pub fn max_entries(mut self, entries: u64) -> ImageSource {
        self.bounds.entries = entries;
        self
    }

    /// Chooses how many ids own the files: see [`Sandbox::ids`](crate::Sandbox::ids). Sandboxes
    /// with the image must have as many. By default it is the default of sandboxes: a range for
    /// privileged callers, and one for others.
    pub fn ids(mut self, ids: Ids) -> ImageSource {
        self.ids = Some(ids);
        self
    }

    /// Brings the layers into the store. Nothing removes them while they are held.
    pub(super) fn import(&self, store: &Place) -> Result<(Record, Vec<Layer>)> {
        let import = Import::new(store, self.ids, self.bounds)?;
        let what = self.path.display().to_string();
        match self.form {
            Form::Oci => {
                let blobs = Blobs::directory(&self.path)?;
                import.image(&blobs, &layout::find(&blobs, self.reference.as_deref())?)
            }
            Form::Archive => {
                let blobs = self.open_archive(store)?;
                import.image(&blobs, &layout::find(&blobs, self.reference.as_deref())?)
            }
            Form::Tar => {
                self.refuse_reference()?;
                let file = open(&self.path, 0)?;
                import.unknown(|layer| {
                    let reader = decoded(Box::new(file), &what)?;
                    unpack_archive(reader, &what, layer, import.bounds.bytes)
                })
            }
            Form::Directory => {
                self.refuse_reference()?;
                let directory = open(&self.path, libc::O_DIRECTORY)?;
                let tier = Tier {
                    directory: directory.into(),
                    origin: import.origin(),
                    has_surplus: false,
                };
                let stack = Stack::new(vec![tier], Removed::Unknown, &what);
                import.unknown(|layer| {
                    let mut digested = DigestedEntries::new(layer);
                    stack.read(&mut digested)?;
                    Ok(digested.finish())
                })
            }
        }
    }

    fn refuse_reference(&self) -> Result<()> {
        match &self.reference {
            None => Ok(()),
            Some(name) => Err(Error::invalid(
                format!("import {name} from {}", self.path.display()),
                "it holds the files of one root, which have no name",
            )
            .hint("leave out the reference, or name an image layout")),
        }
    }

    /// The members of an archive of images. A compressed one is decompressed into the store first,
    /// because its members are read in another order.
    fn open_archive(&self, store: &Place) -> Result<Blobs> {
        let what = self.path.display().to_string();
        let mut file = open(&self.path, 0)?;
        let mut start = [0; 4];
        let length = file.read(&mut start).map_err(|error| unreadable(&what, error))?;
        io::Seek::rewind(&mut file).map_err(|error| unreadable(&what, error))?;
        if !is_packed(&start[..length]) {
            return Blobs::archive(&self.path, file);
        }
        let mut reader = Bounded::new(decoded(Box::new(file), &what)?, self.bounds.bytes);
        let mut plain = store.scratch_file()?;
        io::copy(&mut reader, &mut plain).map_err(|error| unreadable(&what, error))?;
        Blobs::archive(&self.path, plain)
    }
}

/// Whether only an archive of images has an entry with this name at its beginning.
fn is_of_layout(path: &[u8]) -> bool {
    matches!(path, b"manifest.json" | b"oci-layout" | b"index.json" | b"repositories")
        || path == b"blobs"
        || path.starts_with(b"blobs/sha256")
}

/// Older versions of Docker put each layer into a directory with its digest as the name.
fn is_layer_of_old_archive(path: &[u8]) -> bool {
    let name = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    let name = name.strip_suffix(b".json").unwrap_or(name);
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}
