//! A directory of the host's as the entries of an image, in the order of their names.

use super::blobs::open;
use super::entry::{Entry, Kind};
use super::layer::Layer;
use crate::base::error::{Error, Result};
use crate::wire::unpack::Attributes;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// How deep directories are read. Each takes a descriptor.
const DEPTH_MAX: usize = 256;

/// Unpacks the directory at `path` into a layer. Returns the digest of what was read.
pub fn unpack(path: &Path, layer: &mut Layer) -> Result<String> {
    let root = OwnedFd::from(open(path, libc::O_DIRECTORY)?);
    let mut walk = Walk { layer, links: HashMap::new(), digest: Sha256::new(), top: path };
    let status = fstat(&root).map_err(|errno| walk.failed(b"", errno))?;
    walk.entry(Vec::new(), &status, Kind::Directory, &mut io::empty())?;
    walk.directory(&root, b"", 0, status.st_dev)?;
    Ok(walk.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Walk<'a> {
    layer: &'a mut Layer,
    /// The first path of each file that has several names.
    links: HashMap<(u64, u64), Vec<u8>>,
    digest: Sha256,
    top: &'a Path,
}

impl Walk<'_> {
    fn directory(&mut self, at: &OwnedFd, path: &[u8], depth: usize, device: u64) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(self.failed(path, Errno::ELOOP));
        }
        for name in self.names(at, path)? {
            let below = match path {
                b"" => name.to_bytes().to_vec(),
                path => [path, b"/", name.to_bytes()].concat(),
            };
            let status = fstatat(at, &*name, AtFlags::AT_SYMLINK_NOFOLLOW);
            let status = match status {
                // Removed meanwhile.
                Err(Errno::ENOENT) => continue,
                status => status.map_err(|errno| self.failed(&below, errno))?,
            };
            // What is mounted there is not a part of the directory, only the mount point.
            let is_mounted = status.st_dev != device;
            match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
                SFlag::S_IFDIR => {
                    self.entry(below.clone(), &status, Kind::Directory, &mut io::empty())?;
                    if !is_mounted {
                        let opened = self.open(at, &name, &below, OFlag::O_DIRECTORY)?;
                        self.directory(&opened, &below, depth + 1, device)?;
                    }
                }
                SFlag::S_IFREG if !is_mounted => self.file(at, &name, below, &status)?,
                SFlag::S_IFLNK => {
                    let target =
                        readlinkat(at, &*name).map_err(|errno| self.failed(&below, errno))?;
                    let kind = Kind::Symlink { target: target.into_vec() };
                    self.entry(below, &status, kind, &mut io::empty())?;
                }
                SFlag::S_IFIFO => self.entry(below, &status, Kind::Fifo, &mut io::empty())?,
                _ => self.entry(below, &status, Kind::Special, &mut io::empty())?,
            }
        }
        Ok(())
    }

    fn file(&mut self, at: &OwnedFd, name: &CStr, path: Vec<u8>, status: &FileStat) -> Result<()> {
        if status.st_nlink > 1 {
            let file = (status.st_dev, status.st_ino);
            if let Some(target) = self.links.get(&file) {
                let kind = Kind::HardLink { target: target.clone() };
                return self.entry(path, status, kind, &mut io::empty());
            }
            self.links.insert(file, path.clone());
        }
        let opened = self.open(at, name, &path, OFlag::O_NONBLOCK)?;
        let status = fstat(&opened).map_err(|errno| self.failed(&path, errno))?;
        if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(self.failed(&path, Errno::ESTALE));
        }
        let size = u64::try_from(status.st_size).unwrap_or(0);
        self.entry(path, &status, Kind::File { size }, &mut File::from(opened))
    }

    fn entry(
        &mut self,
        path: Vec<u8>,
        status: &FileStat,
        kind: Kind,
        contents: &mut dyn Read,
    ) -> Result<()> {
        let attributes = Attributes {
            mode: status.st_mode & 0o7777,
            uid: status.st_uid,
            gid: status.st_gid,
            seconds: status.st_mtime,
            nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0),
        };
        let entry = Entry { path, attributes, kind, extended: Vec::new() };
        // Each part is quoted, so no two different directories read the same.
        self.digest.update(format!("{entry:?}\n"));
        let mut contents = Tee { from: contents, digest: &mut self.digest };
        self.layer.entry(&entry, &mut contents)
    }

    fn open(&self, at: &OwnedFd, name: &CStr, path: &[u8], more: OFlag) -> Result<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | more;
        openat(at.as_fd(), name, flags, Mode::empty()).map_err(|errno| self.failed(path, errno))
    }

    /// The names in a directory, in order.
    fn names(&self, at: &OwnedFd, path: &[u8]) -> Result<Vec<CString>> {
        let failed = |errno| self.failed(path, errno);
        let copy = openat(at.as_fd(), ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let mut directory = Dir::from_fd(copy.map_err(failed)?).map_err(failed)?;
        let mut names = Vec::new();
        for entry in directory.iter() {
            let name = entry.map_err(failed)?.file_name().to_owned();
            if name.as_c_str() != c"." && name.as_c_str() != c".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn failed(&self, path: &[u8], errno: Errno) -> Error {
        let at = self.top.join(String::from_utf8_lossy(path).as_ref());
        Error::io(format!("read {}", at.display()), io::Error::from(errno)).at(at)
    }
}

/// Digests what is read.
struct Tee<'a> {
    from: &'a mut dyn Read,
    digest: &'a mut Sha256,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.digest.update(&buffer[..length]);
        Ok(length)
    }
}
