//! The directories of the boxes, and their locks.
//!
//! `N` holds what box N has: `box`, which programs see as `/box`, and directories for `tmp`. The
//! file `N.lock` beside it is locked while a command uses the box.

use super::asked::Asked;
use super::owner::Owner;
use super::{Refusal, Result, tree};
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::{AccessFlags, Gid, Uid, access, fchown, geteuid};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where isolate keeps its boxes.
const USUAL: &str = "/var/local/lib/isolate";

/// One box, which this process uses alone.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    number: u32,
    pub owner: Owner,
    _lock: Flock<File>,
}

impl Place {
    /// Takes the box of the command line.
    pub fn open(asked: &Asked) -> Result<Place> {
        let boxes = boxes()?;
        let number = asked.box_id;
        let lock = boxes.join(format!("{number}.lock"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&lock)
            .map_err(|error| Refusal::at("open", &lock, error))?;
        let how =
            if asked.wait { FlockArg::LockExclusive } else { FlockArg::LockExclusiveNonblock };
        let locked = Flock::lock(file, how).map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => {
                Refusal::new(format!("box {number} is in use; --wait waits for it"))
            }
            errno => Refusal::at("lock", &lock, errno),
        })?;
        let path = boxes.join(number.to_string());
        Ok(Place { path, number, owner: Owner::of(number)?, _lock: locked })
    }

    /// The directory that holds all of the box.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that programs see as `/box`.
    pub fn inner(&self) -> PathBuf {
        self.path.join("box")
    }

    /// The path outside of a rule. `./` is the directory of the box.
    pub fn resolve(&self, source: &Path) -> PathBuf {
        self.path.join(source).components().collect()
    }

    /// Makes the directories. A box that exists already is made anew.
    pub fn init(&self) -> Result<()> {
        self.cleanup()?;
        let made = DirBuilder::new().mode(0o700).create(&self.path);
        made.map_err(|error| Refusal::at("make", &self.path, error))?;
        self.directory("box").map(|_| ())
    }

    /// Checks that the box has been made.
    pub fn require(&self) -> Result<()> {
        match fs::symlink_metadata(self.inner()) {
            Ok(found) if found.is_dir() => Ok(()),
            _ => Err(Refusal::new(format!("there is no box {}; --init makes it", self.number))),
        }
    }

    /// Makes an empty directory of the program's user in the box.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        self.remove(name)?;
        let failed = |error: std::io::Error| Refusal::at("make", &path, error);
        // A bind of a directory in it is opened without the privileges of the caller. Others do not
        // come this far: the directory above is the caller's alone.
        let mode = if self.owner.outside().is_some() { 0o711 } else { 0o700 };
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        if let Some(id) = self.owner.outside() {
            let made = File::open(&path).map_err(failed)?;
            fchown(&made, Some(Uid::from_raw(id)), Some(Gid::from_raw(id)))
                .map_err(|errno| failed(errno.into()))?;
        }
        Ok(path)
    }

    /// Removes a directory of the box, if it is there.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        let failed = |error: std::io::Error| Refusal::at("remove", &path, error);
        match tree::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            opened => {
                tree::empty(&opened.map_err(failed)?).map_err(failed)?;
                fs::remove_dir(&path).map_err(failed)
            }
        }
    }

    /// Removes the box. A box that is not there has been cleaned up.
    pub fn cleanup(&self) -> Result<()> {
        let failed = |error: std::io::Error| Refusal::at("remove", &self.path, error);
        match tree::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            opened => {
                tree::empty(&opened.map_err(failed)?).map_err(failed)?;
                fs::remove_dir(&self.path).map_err(failed)
            }
        }
    }
}

/// The directory of all boxes, without links in its path. It belongs to the caller alone.
fn boxes() -> Result<PathBuf> {
    let path = match std::env::var_os("SECLUDE_ISOLATE_BOXES") {
        Some(path) => PathBuf::from(path),
        None => place_of_caller(),
    };
    if !path.is_absolute() {
        return Err(Refusal::new(format!("{}: must be an absolute path", path.display())));
    }
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Refusal::at("make", &path, error));
        }
        _ => {}
    }
    let found =
        fs::symlink_metadata(&path).map_err(|error| Refusal::at("look at", &path, error))?;
    let refused = |why: &str| Err(Refusal::new(format!("{}: {why}", path.display())));
    if !found.is_dir() {
        return refused("is not a directory");
    }
    if found.uid() != geteuid().as_raw() {
        return refused("belongs to another user");
    }
    if found.permissions().mode() & 0o022 != 0 {
        return refused("others may write there");
    }
    fs::canonicalize(&path).map_err(|error| Refusal::at("find", &path, error))
}

fn place_of_caller() -> PathBuf {
    let usual = Path::new(USUAL);
    // Root has it made, as the installation of isolate does.
    if geteuid().is_root() && !usual.exists() {
        let _ = DirBuilder::new().recursive(true).mode(0o755).create(usual);
    }
    let own = |found: fs::Metadata| found.uid() == geteuid().as_raw();
    if access(usual, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
        && fs::metadata(usual).is_ok_and(own)
    {
        return usual.into();
    }
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() => runtime.join("seclude-isolate"),
        _ => format!("/tmp/seclude-isolate-{}", geteuid()).into(),
    }
}
