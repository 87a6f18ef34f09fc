//! Images, and the stores that they are in.

use crate::error::{raise, refuse};
use crate::time::duration;
use pyo3::prelude::*;
use seclude_core::{Change, Ids, ImageSource, Result, StoredImage};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// The fields of `seclude.StoredImage`. The time of the last use is in seconds since the epoch.
type Listed = (String, String, usize, u64, u64, f64);
/// The fields of `seclude.Change`.
pub type Changed = (&'static str, PathBuf);

/// A store of images.
#[pyclass(frozen, eq, module = "seclude._seclude")]
#[derive(PartialEq)]
pub struct Store(seclude_core::Store);

#[pymethods]
impl Store {
    /// Opens the store at a path, or the caller's own.
    #[staticmethod]
    fn open(py: Python<'_>, path: Option<PathBuf>) -> PyResult<Store> {
        let opened = py.detach(|| match path {
            Some(path) => seclude_core::Store::at(path),
            None => seclude_core::Store::open(),
        });
        opened.map(Store).map_err(|error| raise(py, &error))
    }

    /// The path of the store.
    #[getter]
    fn path(&self) -> PathBuf {
        self.0.path().into()
    }

    /// Imports an image. `form` is what is at the path.
    #[pyo3(name = "import_")]
    #[allow(clippy::too_many_arguments, reason = "Python passes them by position")]
    fn import(
        &self,
        py: Python<'_>,
        form: &str,
        path: PathBuf,
        reference: Option<String>,
        name: Option<String>,
        max_bytes: Option<u64>,
        max_entries: Option<u64>,
        ids: Option<&str>,
    ) -> PyResult<Image> {
        let form = form.to_owned();
        let source = py.detach(|| match &*form {
            "oci" => Ok(Some(ImageSource::oci(path))),
            "archive" => Ok(Some(ImageSource::archive(path))),
            "tar" => Ok(Some(ImageSource::tar(path))),
            "directory" => Ok(Some(ImageSource::directory(path))),
            "found" => ImageSource::found_at(path).map(Some),
            _ => Ok(None),
        });
        let source = source.map_err(|error| raise(py, &error))?;
        let mut source =
            source.ok_or_else(|| refuse(py, &format!("form {form:?}"), "there is none"))?;
        if let Some(reference) = reference {
            source = source.reference(reference);
        }
        if let Some(bytes) = max_bytes {
            source = source.max_bytes(bytes);
        }
        if let Some(entries) = max_entries {
            source = source.max_entries(entries);
        }
        if let Some(name) = ids {
            let ids = Ids::from_name(name)
                .ok_or_else(|| refuse(py, &format!("ids {name:?}"), "there are none"))?;
            source = source.ids(ids);
        }
        self.ask(py, |store| store.import(&source, name.as_deref()).map(Image))
    }

    /// Finds an image by its name.
    fn image(&self, py: Python<'_>, name: &str) -> PyResult<Image> {
        self.ask(py, |store| store.image(name).map(Image))
    }

    /// Lists the images.
    fn images(&self, py: Python<'_>) -> PyResult<Vec<Listed>> {
        let one = |image: StoredImage| {
            let StoredImage { name, digest, layers, bytes, entries, used, .. } = image;
            let used = used.duration_since(UNIX_EPOCH).map_or(0.0, |used| used.as_secs_f64());
            (name, digest, layers, bytes, entries, used)
        };
        self.ask(py, |store| Ok(store.images()?.into_iter().map(one).collect()))
    }

    /// Removes the name of an image.
    fn remove(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.ask(py, |store| store.remove(name))
    }

    /// Removes the files of no image, and the images that were not used for this many seconds.
    fn collect(&self, py: Python<'_>, unused_for: Option<f64>) -> PyResult<(usize, usize)> {
        let age = unused_for.map(|age| duration(py, "unused_for", age)).transpose()?;
        self.ask(py, |store| store.collect(age).map(|freed| (freed.images, freed.layers)))
    }
}

impl Store {
    /// Calls the core without the GIL.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&seclude_core::Store) -> Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| question(&self.0)).map_err(|error| raise(py, &error))
    }
}

/// An image.
#[pyclass(frozen, module = "seclude._seclude")]
pub struct Image(seclude_core::Image);

#[pymethods]
impl Image {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn digest(&self) -> &str {
        self.0.digest()
    }

    #[getter]
    fn store(&self) -> Store {
        Store(self.0.store().clone())
    }

    #[getter]
    fn layers(&self) -> usize {
        self.0.layers()
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    #[getter]
    fn entries(&self) -> u64 {
        self.0.entries()
    }

    #[getter]
    fn left_out(&self) -> u64 {
        self.0.left_out()
    }

    /// Returns the environment of its commands.
    fn environment(&self) -> Vec<(&str, &str)> {
        self.0.environment().collect()
    }

    #[getter]
    fn directory(&self) -> PathBuf {
        self.0.directory().into()
    }

    #[getter]
    fn user(&self) -> &str {
        self.0.user()
    }

    /// Returns the program that it is for, with its arguments.
    fn arguments(&self) -> Vec<String> {
        self.0.arguments().to_vec()
    }

    /// Returns the policy of a sandbox with the image as its root and the image's user, as JSON.
    fn policy(&self, py: Python<'_>) -> PyResult<String> {
        let text = py.detach(|| self.0.sandbox()?.to_json());
        text.map_err(|error| raise(py, &error))
    }

    /// Writes the image as an OCI image layout.
    fn export_oci(&self, py: Python<'_>, directory: PathBuf, reference: &str) -> PyResult<()> {
        let done = py.detach(|| self.0.export_oci(directory, reference));
        done.map_err(|error| raise(py, &error))
    }

    /// Writes the files of the image as a tar archive.
    fn export_tar(&self, py: Python<'_>, file: PathBuf) -> PyResult<()> {
        py.detach(|| self.0.export_tar(file)).map_err(|error| raise(py, &error))
    }
}

impl Image {
    pub fn new(image: seclude_core::Image) -> Image {
        Image(image)
    }
}

/// What differs in an overlay.
pub fn changed(changes: Vec<Change>) -> Vec<Changed> {
    changes.into_iter().map(|change| (change.kind.name(), change.path)).collect()
}
