//! What an image is imported from, and the import: layer by layer into the store.

use super::blobs::{Blobs, open};
use super::layer::{self, Bounds};
use super::layout::{self, Config, Manifest};
use super::stream::{Bounded, Digested, chain, decoded};
use super::tar::{Archive, unreadable};
use super::tree;
use super::unpacker::{Owners, Unpacker};
use crate::base::error::{Error, Result};
use crate::host::store::{Key, Layer, Place, Record, Size, Work};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most layers that are shown one above the other. The layers of an image with more become one:
/// the kernel takes 64 in one page of names, and each costs a little time for each name.
const STACK_MAX: usize = 48;

/// The default bounds of what is unpacked.
const BYTES: u64 = 16 << 30;
const ENTRIES: u64 = 2_000_000;

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
        let bounds = Bounds { bytes: BYTES, entries: ENTRIES };
        ImageSource { form, path: path.into(), reference: None, bounds }
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
    /// extended attributes.
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
        let mut archive = Archive::new(decoded(Box::new(file), &what)?, what);
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

    /// Brings the layers into the store. Nothing removes them while they are held.
    pub(super) fn import(&self, store: &Place) -> Result<(Record, Vec<Layer>)> {
        let import = Import::new(store, self.bounds)?;
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
                import.unknown(|layer| tree::unpack(&self.path, layer))
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
        let is_plain =
            !start[..length].starts_with(&[0x1f, 0x8b]) && start != [0x28, 0xb5, 0x2f, 0xfd];
        if is_plain {
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

/// One import.
struct Import<'a> {
    store: &'a Place,
    owners: Owners,
    bounds: Bounds,
}

impl<'a> Import<'a> {
    fn new(store: &'a Place, bounds: Bounds) -> Result<Import<'a>> {
        Ok(Import { store, owners: Owners::of_caller()?, bounds })
    }

    fn key(&self, chain: &str) -> Key {
        Key::new(chain, self.owners != Owners::One)
    }

    /// Imports the image of a manifest. Layers that the store has already are not read.
    fn image(&self, blobs: &Blobs, manifest: &Manifest) -> Result<(Record, Vec<Layer>)> {
        let mut chains: Vec<String> = Vec::new();
        for layer in &manifest.layers {
            chains.push(chain(chains.last().map(|below| &**below), &layer.contents));
        }
        let mut held: Vec<Layer> = Vec::new();
        let before =
            |held: &[Layer]| held.iter().fold(Size::default(), |sum, layer| sum.plus(layer.size));
        if chains.len() > STACK_MAX {
            let all = chains.last().map_or("", |last| last);
            // Another key: it is not what the last layer is.
            let key = self.key(&chain(Some("flat"), all));
            held.push(self.layer(&key, |work| {
                let mut sum = Size::default();
                for layer in &manifest.layers {
                    sum = sum.plus(self.unpack_blob(blobs, layer, &[], work, sum)?);
                }
                Ok(sum)
            })?);
        } else {
            for (layer, chain) in manifest.layers.iter().zip(&chains) {
                let below: Vec<PathBuf> = held.iter().map(Layer::files).collect();
                held.push(self.layer(&self.key(chain), |work| {
                    self.unpack_blob(blobs, layer, &below, work, before(&held))
                })?);
            }
        }
        let record = record(manifest.digest.clone(), &manifest.config, &held);
        Ok((record, held))
    }

    /// Imports one layer that is an image, and whose digest is known once it has been read.
    fn unknown(
        &self,
        unpack: impl FnOnce(&mut layer::Layer) -> Result<String>,
    ) -> Result<(Record, Vec<Layer>)> {
        let work = self.store.begin_unknown()?;
        let made = self.unpack_into(&work, &[], self.bounds, unpack);
        let made = made.map(|(digest, size)| (self.key(&digest), size));
        let held = vec![self.finish(work, made)?];
        let digest = format!("sha256:{}", held[0].key.chain());
        let config = Config { directory: "/".into(), ..Config::default() };
        Ok((record(digest, &config, &held), held))
    }

    /// The layer with this key, which is unpacked if the store does not have it. Two imports of the
    /// same layer unpack it once.
    fn layer(&self, key: &Key, unpack: impl FnOnce(&Work) -> Result<Size>) -> Result<Layer> {
        if let Some(known) = self.store.layer(key)? {
            return Ok(known);
        }
        let work = self.store.begin(key)?;
        if let Some(known) = self.store.layer(key)? {
            self.store.abandon(work)?;
            return Ok(known);
        }
        // An import that was killed may have left something.
        self.store.clear(work.path())?;
        let made = unpack(&work);
        self.finish(work, made.map(|size| (key.clone(), size)))
    }

    /// Puts a layer into the store, or removes what a failed import has made.
    fn finish(&self, work: Work, made: Result<(Key, Size)>) -> Result<Layer> {
        match made {
            Ok((key, size)) => {
                let files = work.path().join(CHANGES).join("upper");
                work.finish(key, &files, size)
            }
            Err(error) => {
                // If this fails too, the next collection removes it. The first error is the cause.
                let _ = self.store.abandon(work);
                Err(error)
            }
        }
    }

    fn unpack_blob(
        &self,
        blobs: &Blobs,
        layer: &layout::Layer,
        below: &[PathBuf],
        work: &Work,
        before: Size,
    ) -> Result<Size> {
        let what = format!("{} of {}", layer.blob, blobs.path().display());
        let blob = blobs.open(&layer.blob)?;
        let bounds = Bounds {
            bytes: self.bounds.bytes.saturating_sub(before.bytes),
            entries: self.bounds.entries.saturating_sub(before.entries),
        };
        let mut packed = Digested::new(blob.reader);
        let (contents, size) = self.unpack_into(work, below, bounds, |unpacking| {
            let reader = decoded(Box::new(&mut packed), &what)?;
            unpack_archive(reader, &what, unpacking, bounds.bytes)
        })?;
        if contents != layer.contents {
            return Err(layout::mismatch(&layer.contents));
        }
        if let Some((digest, expected)) = &layer.packed {
            let found = packed.finish().map_err(|error| unreadable(&what, error))?;
            if found != *digest || blob.size != *expected {
                return Err(layout::mismatch(digest));
            }
        }
        Ok(size)
    }

    /// Unpacks what `unpack` reads, over the layers `below`. Returns its digest.
    fn unpack_into(
        &self,
        work: &Work,
        below: &[PathBuf],
        bounds: Bounds,
        unpack: impl FnOnce(&mut layer::Layer) -> Result<String>,
    ) -> Result<(String, Size)> {
        let changes = work.path().join(CHANGES);
        self.store.make(&changes)?;
        let below: Vec<PathBuf> =
            std::iter::once(self.store.empty()).chain(below.iter().cloned()).collect();
        let unpacker = Unpacker::over(&below, &changes)?;
        let mut layer = layer::Layer::new(unpacker, self.owners, bounds);
        let digest = unpack(&mut layer)?;
        Ok((digest, layer.finish()?))
    }
}

/// Where the overlay of the unpacker keeps its changes: the files of the layer.
const CHANGES: &str = "new";

/// Unpacks an archive. Returns the digest of all of it.
fn unpack_archive(
    reader: Box<dyn Read + '_>,
    what: &str,
    layer: &mut layer::Layer,
    bytes: u64,
) -> Result<String> {
    /// How much longer than the files themselves an archive may be: headers, padding.
    const SURPLUS: u64 = 4 << 30;
    let bounded = Bounded::new(reader, bytes.saturating_add(SURPLUS));
    let mut archive = Archive::new(Digested::new(bounded), what);
    while let Some(entry) = archive.next()? {
        layer.entry(&entry, &mut archive.contents())?;
    }
    // Whatever follows the end counts for the digest.
    archive.into_inner().finish().map_err(|error| unreadable(what, error))
}

fn record(digest: String, config: &Config, layers: &[Layer]) -> Record {
    let size = layers.iter().fold(Size::default(), |sum, layer| sum.plus(layer.size));
    Record {
        digest,
        layers: layers.iter().map(|layer| layer.key.to_string()).collect(),
        environment: config.environment.clone(),
        directory: config.directory.clone(),
        user: config.user.clone(),
        command: config.command.clone(),
        size,
    }
}
