//! Finds devices in the specifications of the Container Device Interface: files in JSON, by which
//! vendors say what a program needs for a device.
//!
//! A specification is read as strictly as a policy. An unknown key is an error, because what it
//! asks for would be left out.

use super::edits::Edits;
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::devices::{is_device, is_kind};
use crate::policy::spec::{Distinct, Key};
use nix::unistd::geteuid;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The usual directories with specifications. What is found in a later one counts.
const DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// The largest specification, in bytes, and the most in one directory.
const SIZE_MAX: u64 = 4 << 20;
const FILES_MAX: usize = 1024;

/// A specification that has been read as JSON.
struct Specification {
    path: PathBuf,
    /// What errors call it.
    title: String,
    value: Value,
    /// The number of its directory.
    rank: usize,
}

/// Finds devices, each given by its whole name, the kind of its specification and its name there.
/// Returns the edits that all of them need together.
pub fn find(named: &[(&str, &str, &str)], directories: &[String]) -> Result<Edits> {
    let usual = directories.is_empty();
    let directories: Vec<&Path> = match usual {
        true => DIRECTORIES.iter().map(Path::new).collect(),
        false => directories.iter().map(Path::new).collect(),
    };
    let (mut all, mut unreadable, mut others) = (Vec::new(), None, None);
    for (rank, directory) in directories.iter().enumerate() {
        for path in files_in(directory, usual)? {
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("json") => match read(&path, rank) {
                    Ok(specification) => all.push(specification),
                    Err(error) => unreadable = unreadable.or(Some(error)),
                },
                Some("yaml" | "yml") => others = others.or(Some(path)),
                _ => {}
            }
        }
    }
    let (mut edits, mut applied) = (Edits::default(), Vec::new());
    for (whole, kind, name) in named {
        let found = specification_of(&all, whole, kind, name)?;
        let Some(specification) = found else {
            // One that cannot be read may have it.
            return Err(unreadable.unwrap_or_else(|| missing(whole, &directories, others)));
        };
        let said = |error: Error| error.at(&specification.path);
        let top = specification.top();
        // The edits of the whole specification come once, before those of its devices.
        if !applied.contains(&&specification.path) {
            edits.read(top.optional("containerEdits")).map_err(said)?;
            applied.push(&specification.path);
        }
        let device =
            specification.device(name)?.ok_or_else(|| missing(whole, &directories, None))?;
        edits.read(Some(device.required("containerEdits").map_err(said)?)).map_err(said)?;
    }
    Ok(edits)
}

/// The specification with this device: that of the last directory that has one.
fn specification_of<'s>(
    all: &'s [Specification],
    whole: &str,
    kind: &str,
    name: &str,
) -> Result<Option<&'s Specification>> {
    let mut found: Option<&Specification> = None;
    for one in all {
        if one.kind()? != kind || one.device(name)?.is_none() {
            continue;
        }
        if let Some(other) = found.filter(|other| other.rank == one.rank) {
            let (first, second) = (other.path.display(), one.path.display());
            return Err(Error::new(ErrorKind::Policy, format!("find the device {whole}"))
                .because(format!("{first} and {second} both have it"))
                .at(&one.path)
                .hint("remove one of the two"));
        }
        found = Some(one);
    }
    Ok(found)
}

impl Specification {
    fn top(&self) -> Key<'_> {
        Key::top_of(&self.title, &self.value)
    }

    fn kind(&self) -> Result<String> {
        let kind = self.top().required("kind").and_then(|kind| kind.text());
        kind.map_err(|error| error.at(&self.path))
    }

    fn device(&self, name: &str) -> Result<Option<Key<'_>>> {
        let find = || {
            for device in self.top().required("devices")?.items()? {
                if device.required("name")?.text()? == name {
                    return Ok(Some(device));
                }
            }
            Ok(None)
        };
        find().map_err(|error: Error| error.at(&self.path))
    }

    /// Checks all that does not depend on which device is asked for.
    fn check(&self) -> Result<()> {
        let top = self.top();
        top.members(&["cdiVersion", "kind", "annotations", "devices", "containerEdits"])?;
        let version = top.required("cdiVersion")?;
        let text = version.text()?;
        if !(text.starts_with("0.") || text.starts_with("1.")) {
            let error = version.wrong(format!("{text:?} is none of the versions 0 and 1"));
            return Err(error.hint("have its vendor's program write an older version"));
        }
        let kind = top.required("kind")?;
        if !is_kind(&kind.text()?) {
            return Err(kind.unlike("of the form vendor.com/class"));
        }
        let mut names = Vec::new();
        for device in top.required("devices")?.items()? {
            device.members(&["name", "annotations", "containerEdits"])?;
            let key = device.required("name")?;
            let name = key.text()?;
            if !is_device(&name) {
                return Err(key.unlike("a name of letters, digits and _ - . :"));
            }
            if names.contains(&name) {
                return Err(key.wrong(format!("{name:?} is given twice")));
            }
            names.push(name);
        }
        Ok(())
    }
}

/// The files of a directory, in the order of their names. The usual directories may be missing.
fn files_in(directory: &Path, usual: bool) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| {
        let action = format!("look for CDI specifications in {}", directory.display());
        let kind = match error.kind() {
            IoErrorKind::NotFound | IoErrorKind::NotADirectory => ErrorKind::SourceMissing,
            _ => ErrorKind::SourceUnreadable,
        };
        Error::new(kind, action).errno(error.raw_os_error().unwrap_or(libc::EIO)).at(directory)
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if usual && error.kind() == IoErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.map_err(failed)?.path());
        if files.len() > FILES_MAX {
            let action = format!("look for CDI specifications in {}", directory.display());
            return Err(Error::new(ErrorKind::Policy, action)
                .because(format!("it has more than {FILES_MAX} files"))
                .at(directory));
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path, rank: usize) -> Result<Specification> {
    let title = format!("CDI specification {}", path.display());
    let wrong = |why: String| Error::new(ErrorKind::Policy, &title).because(why).at(path);
    let failed = |error: std::io::Error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        Error::new(ErrorKind::SourceUnreadable, &title).errno(errno).at(path)
    };
    // Without O_NONBLOCK, a FIFO would make the caller wait.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file: File = opened.map_err(failed)?;
    let status = file.metadata().map_err(failed)?;
    if !status.is_file() {
        return Err(wrong("it is no regular file".into()));
    }
    let (owner, mode) = (status.uid(), status.mode() & 0o7777);
    if owner != 0 && owner != geteuid().as_raw() || mode & 0o002 != 0 {
        return Err(wrong(format!("another user can change it (owner {owner}, mode {mode:04o})"))
            .hint("give it to root or to the caller, and let no others write to it"));
    }
    let mut text = String::new();
    file.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > SIZE_MAX {
        return Err(wrong(format!("it has more than {SIZE_MAX} bytes")));
    }
    parse(path, &text, rank)
}

fn parse(path: &Path, text: &str, rank: usize) -> Result<Specification> {
    let title = format!("CDI specification {}", path.display());
    let Distinct(value) = serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Policy, &title).because(error.to_string()).at(path)
    })?;
    let specification = Specification { path: path.to_owned(), title, value, rank };
    specification.check().map_err(|error| error.at(path))?;
    Ok(specification)
}

/// Reads a specification, and the edits of all its devices together.
#[cfg(any(test, fuzzing))]
pub fn edits_of(text: &str) -> Result<Edits> {
    let specification = parse(Path::new("/"), text, 0)?;
    let mut edits = Edits::default();
    edits.read(specification.top().optional("containerEdits"))?;
    for device in specification.top().required("devices")?.items()? {
        edits.read(device.optional("containerEdits"))?;
    }
    Ok(edits)
}

fn missing(whole: &str, directories: &[&Path], other: Option<PathBuf>) -> Error {
    let places: Vec<String> =
        directories.iter().map(|directory| directory.display().to_string()).collect();
    let error = Error::new(ErrorKind::SourceMissing, format!("find the device {whole}"))
        .because(format!("no CDI specification in {} has it", places.join(" and ")))
        .errno(libc::ENOENT);
    match other {
        Some(path) => error.hint(format!(
            "{} is not read: write specifications in JSON (nvidia-ctk cdi generate --format json)",
            path.display()
        )),
        None => {
            error.hint("have its vendor's program write a specification, or name its directory")
        }
    }
}
