//! The records of a store: which layers the name of an image stands for, and what the image says
//! about its commands.

use super::Place;
use super::layers::{Key, Layer, Size};
use crate::base::error::{Error, ErrorKind, Result};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

/// The most bytes of a name.
const NAME_MAX: usize = 200;

/// What the store knows of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The digest of the manifest, or of what the image was made from.
    pub digest: String,
    /// The keys of the layers, the lowest first.
    pub layers: Vec<String>,
    /// Variables of the environment, each as `NAME=value`.
    pub environment: Vec<String>,
    /// The working directory.
    pub directory: String,
    /// The user and the group, as names or numbers: `USER[:GROUP]`.
    pub user: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    pub size: Size,
}

/// A record of the store, with its name and the time of its last use.
#[derive(Debug, Clone)]
pub struct Known {
    pub name: String,
    pub record: Record,
    pub used: SystemTime,
}

impl Record {
    /// The record of an image with the same settings and other layers. It has the digest of the
    /// topmost one.
    pub fn with_layers(&self, layers: &[Layer]) -> Record {
        let top = layers.last().map_or("", |layer| layer.key.chain());
        Record {
            digest: format!("sha256:{top}"),
            layers: layers.iter().map(|layer| layer.key.to_string()).collect(),
            size: Size::of(layers),
            ..self.clone()
        }
    }

    /// The keys of its layers. `None` if the record is damaged.
    pub fn keys(&self) -> Option<Vec<Key>> {
        self.layers.iter().map(|layer| Key::parse(layer)).collect()
    }
}

/// Checks a name for an image.
///
/// # Errors
///
/// `Invalid` if it is empty, too long or has other characters than those of references to images.
pub fn check_name(name: &str) -> Result<()> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@+".contains(&byte);
    // `.` and `..` are directories.
    let is_file = !matches!(name, "" | "." | "..");
    if is_file && name.len() <= NAME_MAX && name.bytes().all(known) {
        return Ok(());
    }
    Err(Error::invalid(
        format!("image {name:?}"),
        format!(
            "a name has 1 to {NAME_MAX} letters, digits and the characters . _ - : / @ +, and is \
            not . or .."
        ),
    ))
}

impl Place {
    /// The record of the image with this name, which counts as its use.
    ///
    /// # Errors
    ///
    /// `SourceMissing` if there is none, with the most similar name.
    pub fn record(&self, name: &str) -> Result<Record> {
        check_name(name)?;
        let path = self.record_path(name);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.missing(name)),
            read => read.map_err(|error| self.failed("read", &path, error))?,
        };
        // The time of the last use. A store that cannot be written to has none.
        if let Ok(file) = File::open(&path) {
            let _ = file.set_modified(SystemTime::now());
        }
        self.parse(&path, &text)
    }

    /// Gives an image a name, which may have stood for another one.
    pub fn set_record(&self, name: &str, record: &Record) -> Result<()> {
        check_name(name)?;
        let path = self.record_path(name);
        let failed = |error| self.failed("write", &path, error);
        let text = serde_json::to_vec_pretty(record).map_err(|error| failed(error.into()))?;
        let (draft, file) = self.draft()?;
        let written = (&*file).write_all(&text).and_then(|()| file.sync_all());
        let written = written.map_err(failed).and_then(|()| {
            let records = self.lock_records()?;
            fs::rename(&draft, &path).map_err(failed)?;
            // A name that was returned is there after a loss of power, too.
            records.sync_all().map_err(failed)
        });
        written.inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
    }

    /// Keeps names from getting another meaning.
    fn lock_records(&self) -> Result<Flock<File>> {
        let folder = self.root.join("images");
        self.lock(&folder, FlockArg::LockExclusive)?
            .ok_or_else(|| self.failed("lock", &folder, io::ErrorKind::NotFound.into()))
    }

    /// Removes a name that was not used or given since it was `known`. Returns whether it was so.
    pub fn remove_unused_record(&self, known: &Known) -> Result<bool> {
        let _lock = self.lock_records()?;
        let path = self.record_path(&known.name);
        let used = fs::metadata(&path).and_then(|status| status.modified());
        if used.ok() != Some(known.used) {
            return Ok(false);
        }
        fs::remove_file(&path).map(|()| true).map_err(|error| self.failed("remove", &path, error))
    }

    /// Removes a name. The layers stay until the store is collected.
    pub fn remove_record(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let path = self.record_path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.missing(name)),
            removed => removed.map_err(|error| self.failed("remove", &path, error)),
        }
    }

    /// All records, by name.
    pub fn records(&self) -> Result<Vec<Known>> {
        let mut known = Vec::new();
        for (file, path) in self.entries("images")? {
            let read = fs::read(&path).and_then(|text| Ok((text, fs::metadata(&path)?)));
            let (text, status) = match read {
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(|error| self.failed("read", &path, error))?,
            };
            let record = self.parse(&path, &text)?;
            let used = status.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            known.push(Known { name: file.replace('%', "/"), record, used });
        }
        Ok(known)
    }

    fn parse(&self, path: &std::path::Path, text: &[u8]) -> Result<Record> {
        serde_json::from_slice(text).map_err(|error| self.failed("read", path, error.into()))
    }

    fn record_path(&self, name: &str) -> PathBuf {
        // A name has no percent sign.
        self.root.join("images").join(name.replace('/', "%"))
    }

    fn missing(&self, name: &str) -> Error {
        let known = self.records().unwrap_or_default();
        let nearest = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(name, &known.name), &known.name))
            .min()
            .filter(|(distance, _)| *distance <= 3);
        let hint = match nearest {
            Some((_, nearest)) => format!("did you mean {nearest}?"),
            None => "import it first: seclude image import".to_owned(),
        };
        Error::new(ErrorKind::SourceMissing, format!("find the image {name}"))
            .because(format!("the store {} has none of that name", self.path.display()))
            .hint(hint)
            .at(&self.path)
    }
}
