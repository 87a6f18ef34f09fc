//! The store of images on disk: layers by the digest of what they are made of, and records that say
//! which layers a name stands for. Many processes can use one store at once.
//!
//! ```text
//!   STORE/empty/               below the first layer of every image
//!   STORE/layers/KEY/fs/upper/  the files of one layer, as overlays take them
//!   STORE/images/NAME          a record: the layers, and what a command needs to know
//!   STORE/work/KEY/            a layer that is being made, or being removed
//! ```
//!
//! A lock is flock(2) on the directory itself, so it ends with the process and leaves nothing.
//! A layer is complete when it is under `layers`, where it comes by rename(2). It is locked shared
//! by everything that uses it; exclusively by the process that removes it.

mod layers;
mod records;
mod removal;

pub use layers::{IdsOnDisk, Key, Layer, Size, Work};
pub use records::{Known, Record, check_name};

use crate::base::error::{Error, ErrorKind, Result};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Names another store than the default one.
const VARIABLE: &str = "SECLUDE_STORE";
/// The form of what is in the store. Another form has another directory.
const FORM: &str = "v1";

/// A directory with images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path that the caller knows.
    path: PathBuf,
    root: PathBuf,
}

impl Place {
    /// Opens the store at `path`, or the default one, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is not the caller's own or is open to other users, for whom it could hold
    /// set-user-ID programs. `Io` if it cannot be made.
    pub fn open(path: Option<&Path>) -> Result<Place> {
        let path = path.map_or_else(default_path, |path| Ok(path.into()))?;
        let root = path.join(FORM);
        let place = Place { path, root };
        place.make(&place.root)?;
        for name in ["layers", "images", "work"] {
            place.make(&place.root.join(name))?;
        }
        let empty = place.empty();
        match DirBuilder::new().mode(0o755).create(&empty) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(place.failed("make", &empty, error));
            }
            _ => {}
        }
        place.check()?;
        Ok(place)
    }

    /// The path of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory below the first layer of every image.
    pub fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    /// Makes a directory, and those above it.
    pub fn make(&self, directory: &Path) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| {
            self.failed("make", directory, error).hint(format!(
                "name a store in a directory of your own: the variable {VARIABLE}, or the path of \
                the store"
            ))
        })
    }

    fn check(&self) -> Result<()> {
        const OTHERS: u32 = 0o077;
        let status = fs::symlink_metadata(&self.root);
        let status = status.map_err(|error| self.failed("examine", &self.root, error))?;
        if status.mode() & OTHERS == 0 && status.uid() == geteuid().as_raw() && status.is_dir() {
            return Ok(());
        }
        let shown = self.root.display();
        Err(Error::new(ErrorKind::Invalid, format!("open the store {shown}"))
            .because("other users may enter it, and find set-user-ID programs there")
            .hint(format!("make it the caller's own, and close it: chmod 700 {shown}"))
            .at(&self.root))
    }

    /// An error about something in the store.
    pub(super) fn failed(&self, action: &str, what: &Path, error: std::io::Error) -> Error {
        Error::io(format!("{action} {} of the store", what.display()), error).at(what)
    }
}

/// The default store: that of the system for root, and of the user for others.
fn default_path() -> Result<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(path) = absolute(VARIABLE) {
        return Ok(path);
    }
    if geteuid().is_root() {
        return Ok("/var/lib/seclude/store".into());
    }
    // The XDG base directory specification: relative paths are to be ignored.
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("seclude/store"))
        .ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "find the store")
                .because("HOME is not set")
                .hint(format!("set HOME, XDG_DATA_HOME or {VARIABLE} to an absolute path"))
        })
}
