//! The images that a policy names, found in their stores.

use super::Sandbox;
use crate::base::error::{Error, ErrorKind, Result};
use crate::host::store::{IdsOnDisk, Layer, Place, Record};
use crate::plan::idmap::Mapping;
use crate::plan::idmap::subordinate::Subordinate;
use crate::policy::{Entry, Overlay, Policy};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// An image that a sandbox shows. Nothing removes its layers meanwhile.
#[derive(Debug)]
pub(crate) struct Held {
    /// The path inside.
    pub at: PathBuf,
    pub store: Place,
    pub record: Record,
    pub layers: Vec<Layer>,
}

impl Sandbox {
    /// The sandbox that runs in place of this one: with the layers of each image in place of its
    /// name. The first call finds them, and all later ones have the same.
    ///
    /// # Errors
    ///
    /// `SourceMissing` if an image or one of its layers is not in the store.
    pub(crate) fn with_layers(&self) -> Result<Cow<'_, Sandbox>> {
        let names_image =
            |entry: &Entry| matches!(entry, Entry::Overlay(Overlay { image: Some(_), .. }));
        if !self.policy.files.iter().any(names_image) {
            return Ok(Cow::Borrowed(self));
        }
        if let Some(known) = self.compiled.with_layers.get() {
            return Ok(Cow::Borrowed(known));
        }
        let mut held = Vec::new();
        let mut policy = self.policy.clone();
        for entry in &mut policy.files {
            let Entry::Overlay(overlay) = entry else { continue };
            let Some(name) = overlay.image.take() else { continue };
            let store = Place::open(overlay.store.take().as_deref())?;
            let (record, layers) = hold(&store, &name)?;
            check_ids(&self.policy, &name, &layers)?;
            let paths = layers.iter().map(Layer::files);
            overlay.layers = paths.chain(std::mem::take(&mut overlay.layers)).collect();
            held.push(Held { at: overlay.at.clone(), store, record, layers });
        }
        let sandbox =
            Sandbox { policy, held: Arc::new(held), compiled: Arc::default(), ..self.clone() };
        sandbox.check()?;
        Ok(Cow::Borrowed(self.compiled.with_layers.get_or_init(|| sandbox)))
    }
}

impl Sandbox {
    /// The images that it shows, once [`Sandbox::with_layers`] has found them.
    pub(crate) fn images(&self) -> &[Held] {
        &self.held
    }
}

/// Finds an image by its name, and holds its layers, the lowest first.
pub(crate) fn hold(store: &Place, name: &str) -> Result<(Record, Vec<Layer>)> {
    // The layers may be collected between the reading of the record and their locking, and the name
    // may then stand for another image.
    let mut tries = 3;
    loop {
        let record = store.record(name)?;
        match hold_layers(store, &record)? {
            Some(layers) => return Ok((record, layers)),
            None if tries > 0 => tries -= 1,
            None => return Err(incomplete(store, name)),
        }
    }
}

/// The error of an image without all its layers.
pub(crate) fn incomplete(store: &Place, name: &str) -> Error {
    Error::new(ErrorKind::SourceMissing, format!("find the layers of the image {name}"))
        .because("the store does not have them all")
        .hint("import the image again")
        .at(store.path())
}

/// Checks that the files of an image belong to the ids that the sandbox will have.
fn check_ids(policy: &Policy, name: &str, layers: &[Layer]) -> Result<()> {
    let has_range = |layer: &&Layer| matches!(layer.key.ids(), IdsOnDisk::Range { .. });
    let mut with_range = layers.iter().filter(has_range).peekable();
    if with_range.peek().is_none() {
        return Ok(());
    }
    match Mapping::choose(policy)? {
        Mapping::Subordinate(own) => {
            with_range.try_for_each(|layer| check_owner(layer.key.ids(), own))
        }
        _ => Err(Error::invalid(
            format!("show the image {name}"),
            "its files belong to a range of ids, and the sandbox has one",
        )
        .hint("set ids to range, as image.sandbox() does")),
    }
}

/// Checks that files with these ids on the disk belong to these ids of the caller.
pub(crate) fn check_owner(ids: IdsOnDisk, own: Subordinate) -> Result<()> {
    let IdsOnDisk::Range { uid, gid } = ids else { return Ok(()) };
    if (own.uids.outside, own.gids.outside) == (uid, gid) {
        return Ok(());
    }
    let why = format!(
        "its files belong to {uid}:{gid} and the following, and the caller's ids are {}:{} now",
        own.uids.outside, own.gids.outside
    );
    Err(Error::invalid("show an image with a range of ids", why).hint("import it again"))
}

/// Holds the layers of an image, the lowest first. `None` if one of them is not in the store.
pub(crate) fn hold_layers(store: &Place, record: &Record) -> Result<Option<Vec<Layer>>> {
    let Some(keys) = record.keys() else { return Ok(None) };
    keys.iter().map(|key| store.layer(key)).collect()
}
