//! The files of an image layout: in a directory, or in a tar archive of one. None of the names that
//! a manifest has for them leads anywhere else.

use super::entry::{Kind, tidy};
use super::tar::Archive;
use crate::base::error::{Error, ErrorKind, Result};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The most bytes of a manifest, an index or a configuration.
const TEXT_MAX: u64 = 8 << 20;
/// The most files of an archive of images: manifests, configurations and layers.
const MEMBERS_MAX: usize = 100_000;
/// How many links in an archive lead to one another.
const LINKS_MAX: usize = 8;

pub enum Blobs {
    Directory { path: PathBuf, opened: File },
    Archive { path: PathBuf, file: File, members: HashMap<Vec<u8>, Member> },
}

/// A file in an archive.
#[derive(Debug, Clone)]
pub enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// A link to another member.
    Link(Vec<u8>),
}

/// One file, and its size.
pub struct Blob<'a> {
    pub reader: Box<dyn Read + 'a>,
    pub size: u64,
}

impl Blobs {
    pub fn directory(path: &Path) -> Result<Blobs> {
        let opened = open(path, libc::O_DIRECTORY)?;
        Ok(Blobs::Directory { path: path.into(), opened })
    }

    /// Reads the list of the members of an archive, which must not be compressed.
    pub fn archive(path: &Path, file: File) -> Result<Blobs> {
        let mut members = HashMap::new();
        let start = Position { file: &file, at: 0 };
        let mut archive = Archive::new(start, path.display().to_string());
        while let Some(entry) = archive.next()? {
            let member = match entry.kind {
                Kind::File { size } => Member::File { offset: archive.reader().at, size },
                Kind::Symlink { target } => {
                    let above = entry.path.rsplitn(2, |byte| *byte == b'/').nth(1);
                    let Some(target) = beside(above.unwrap_or_default(), &target) else { continue };
                    Member::Link(target)
                }
                Kind::HardLink { target } => Member::Link(target),
                Kind::Directory | Kind::Fifo | Kind::Special | Kind::Removed | Kind::Hidden => {
                    continue;
                }
            };
            if members.len() >= MEMBERS_MAX {
                let why = format!("it has more than {MEMBERS_MAX} files, and holds no images");
                return Err(Error::invalid(format!("read {}", path.display()), why).at(path));
            }
            members.insert(entry.path, member);
        }
        Ok(Blobs::Archive { path: path.into(), file, members })
    }

    pub fn path(&self) -> &Path {
        match self {
            Blobs::Directory { path, .. } | Blobs::Archive { path, .. } => path,
        }
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.open(name).is_ok()
    }

    /// Opens a file by its name.
    pub fn open(&self, name: &str) -> Result<Blob<'_>> {
        let shown = format!("{name} of {}", self.path().display());
        let missing = || {
            Error::new(ErrorKind::SourceMissing, format!("open {shown}"))
                .because("it is not there")
                .at(self.path())
        };
        match self {
            Blobs::Directory { opened, .. } => {
                // The layout may be a stranger's: a link in it must not lead to another file.
                let how = OpenHow::new()
                    .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
                    .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
                let file = openat2(opened, name, how).map_err(|errno| match errno {
                    nix::errno::Errno::ENOENT => missing(),
                    nix::errno::Errno::ELOOP | nix::errno::Errno::EXDEV => {
                        Error::invalid(format!("open {shown}"), "it leads to another file")
                    }
                    errno => Error::io(format!("open {shown}"), std::io::Error::from(errno)),
                })?;
                let file = File::from(file);
                let status = file.metadata();
                let status = status.map_err(|error| Error::io(format!("open {shown}"), error))?;
                if !status.is_file() {
                    return Err(Error::invalid(format!("open {shown}"), "it is no regular file"));
                }
                Ok(Blob { reader: Box::new(file), size: status.len() })
            }
            Blobs::Archive { file, members, .. } => {
                let mut wanted = tidy(name.as_bytes())?;
                for _ in 0..LINKS_MAX {
                    match members.get(&wanted) {
                        None => return Err(missing()),
                        Some(Member::Link(target)) => wanted.clone_from(target),
                        Some(Member::File { offset, size }) => {
                            let reader = Position { file, at: *offset }.take(*size);
                            return Ok(Blob { reader: Box::new(reader), size: *size });
                        }
                    }
                }
                Err(Error::invalid(format!("open {shown}"), "its links lead in a circle"))
            }
        }
    }

    /// Reads a text, which is not long.
    pub fn text(&self, name: &str) -> Result<Vec<u8>> {
        let blob = self.open(name)?;
        let what = format!("{name} of {}", self.path().display());
        if blob.size > TEXT_MAX {
            let why = format!("it has {} bytes, which is too long for such a text", blob.size);
            return Err(Error::invalid(format!("read {what}"), why));
        }
        let mut text = Vec::new();
        let read = blob.reader.take(TEXT_MAX).read_to_end(&mut text);
        read.map_err(|error| super::tar::unreadable(&what, error))?;
        Ok(text)
    }
}

/// Opens a file or directory of the host's by the caller's own path.
pub fn open(path: &Path, flags: i32) -> Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::from_bits_retain(flags);
    let opened = openat2(AT_FDCWD, path, OpenHow::new().flags(flags));
    opened.map(File::from).map_err(|errno| {
        let action = format!("open {}", path.display());
        match errno {
            nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR => {
                Error::new(ErrorKind::SourceMissing, action).errno(errno as i32).at(path)
            }
            errno => Error::io(action, std::io::Error::from(errno)).at(path),
        }
    })
}

/// A reader of a file that does not move the position that others see.
struct Position<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Position<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// The path of a link's target, relative to the archive. `None` if it leads out of that.
fn beside(directory: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in directory.split(|byte| *byte == b'/').chain(target.split(|byte| *byte == b'/')) {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join(&b'/'))
}
