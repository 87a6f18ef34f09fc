//! The import of an image, layer by layer, into the store.

use super::blobs::Blobs;
use super::layer::{self, Bounds, Records, meaning};
use super::layout::{self, Config, Manifest};
use super::owner::Origin;
use super::stream::{Bounded, Digested, chain, decoded};
use super::tar::{Archive, unreadable};
use super::unpacker::{Owners, Unpacker};
use crate::base::error::Result;
use crate::host::store::{Key, Layer, Place, Record, Size, Work};
use crate::plan::idmap;
use crate::policy::Ids;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most layers that are shown one above the other. The layers of an image with more become one:
/// the kernel takes 64 in one page of names, and each costs a little time for each name.
pub const STACK_MAX: usize = 48;

/// One import.
pub struct Import<'a> {
    store: &'a Place,
    owners: Owners,
    pub bounds: Bounds,
}

impl<'a> Import<'a> {
    pub fn new(store: &'a Place, ids: Option<Ids>, bounds: Bounds) -> Result<Import<'a>> {
        Ok(Import { store, owners: Owners::of_caller(ids)?, bounds })
    }

    /// The owners of files in a directory of the host: an unprivileged caller's own are root's.
    pub fn origin(&self) -> Origin {
        let (user, group) = match self.owners {
            Owners::Below(_) => (0, 0),
            Owners::One | Owners::Subordinate(_) => idmap::callers(),
        };
        Origin::Host { user, group }
    }

    fn key(&self, chain: &str) -> Key {
        Key::new(chain, self.owners.on_disk())
    }

    /// Imports the image of a manifest. Layers that the store has already are not read.
    pub fn image(&self, blobs: &Blobs, manifest: &Manifest) -> Result<(Record, Vec<Layer>)> {
        let mut chains: Vec<String> = Vec::new();
        for layer in &manifest.layers {
            chains.push(chain(chains.last().map(|below| &**below), &layer.contents));
        }
        let mut held: Vec<Layer> = Vec::new();
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
                    self.unpack_blob(blobs, layer, &below, work, Size::of(&held))
                })?);
            }
        }
        let record = record(manifest.digest.clone(), &manifest.config, &held);
        Ok((record, held))
    }

    /// Imports one layer that is an image, and whose digest is known once it has been read.
    pub fn unknown(
        &self,
        unpack: impl FnOnce(&mut layer::Layer) -> Result<String>,
    ) -> Result<(Record, Vec<Layer>)> {
        let held = vec![self.above(&[], unpack)?];
        let digest = format!("sha256:{}", held[0].key.chain());
        let config = Config { directory: "/".into(), ..Config::default() };
        Ok((record(digest, &config, &held), held))
    }

    /// Imports one layer above others, whose digest is known once it has been read.
    pub fn above(
        &self,
        below: &[Layer],
        unpack: impl FnOnce(&mut layer::Layer) -> Result<String>,
    ) -> Result<Layer> {
        let work = self.store.begin_unknown()?;
        let paths: Vec<PathBuf> = below.iter().map(Layer::files).collect();
        let made = self.unpack_into(&work, &paths, self.bounds, unpack);
        let lower = below.last().map(|layer| layer.key.chain());
        let made = made.map(|(digest, size)| (self.key(&chain(lower, &digest)), size));
        self.finish(work, made)
    }

    /// The layer with this key, which is unpacked if the store does not have it. Two imports of the
    /// same layer unpack it once.
    fn layer(&self, key: &Key, unpack: impl FnOnce(&Work) -> Result<Size>) -> Result<Layer> {
        if let Some(known) = self.store.layer(key)? {
            return Ok(known);
        }
        let work = self.store.begin(key)?;
        if let Some(known) = self.store.layer(key)? {
            self.abandon(work)?;
            return Ok(known);
        }
        // An import that was killed may have left something.
        clear(self.store, work.path())?;
        let made = unpack(&work);
        self.finish(work, made.map(|size| (key.clone(), size)))
    }

    /// Puts a layer into the store, or removes what a failed import has made.
    fn finish(&self, work: Work, made: Result<(Key, Size)>) -> Result<Layer> {
        match made {
            Ok((key, size)) => work.finish(key, size, clear),
            Err(error) => {
                // If this fails too, the next collection removes it. The first error is the cause.
                let _ = self.abandon(work);
                Err(error)
            }
        }
    }

    fn abandon(&self, work: Work) -> Result<()> {
        clear(self.store, work.path())?;
        self.store.abandon(work)
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
        let changes = work.changes();
        self.store.make(&changes)?;
        let below: Vec<PathBuf> =
            std::iter::once(self.store.empty()).chain(below.iter().cloned()).collect();
        let unpacker = Unpacker::over(self.owners, &below, &changes)?;
        let mut layer = layer::Layer::new(unpacker, self.owners, bounds);
        let digest = unpack(&mut layer)?;
        Ok((digest, layer.finish()?))
    }
}

/// Removes what is in a directory of the store, also what belongs to subordinate ids of the
/// caller's.
pub fn clear(store: &Place, directory: &Path) -> Result<()> {
    store.clear(directory).or_else(|error| match Owners::of_caller(Some(Ids::Range)) {
        Ok(Owners::Subordinate(_)) => Unpacker::empty(directory),
        _ => Err(error),
    })
}

/// Unpacks an archive. Returns the digest of all of it.
pub fn unpack_archive(
    reader: Box<dyn Read + '_>,
    what: &str,
    layer: &mut layer::Layer<impl Records>,
    bytes: u64,
) -> Result<String> {
    /// How much longer than the files themselves an archive may be: headers, padding.
    const SURPLUS: u64 = 4 << 30;
    let bounded = Bounded::new(reader, bytes.saturating_add(SURPLUS));
    let mut archive = Archive::new(Digested::new(bounded), what);
    while let Some(entry) = archive.next()? {
        if let Some(entry) = meaning(entry)? {
            layer.entry(&entry, &mut archive.contents())?;
        }
    }
    // Whatever follows the end counts for the digest.
    archive.into_inner().finish().map_err(|error| unreadable(what, error))
}

fn record(digest: String, config: &Config, layers: &[Layer]) -> Record {
    let described = Record {
        environment: config.environment.clone(),
        directory: config.directory.clone(),
        user: config.user.clone(),
        command: config.command.clone(),
        ..Record::default()
    };
    Record { digest, ..described.with_layers(layers) }
}
