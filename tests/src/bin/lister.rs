//! Prints everything below a directory, a line for each path in the order of the names: what a
//! program can find out about the files of an image, except for the numbers of the inodes.
//!
//! Usage: lister DIRECTORY [PATH]… Paths that are named are left out, with all below them.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

struct Lister {
    root: PathBuf,
    without: Vec<PathBuf>,
    /// The first path of each file with several names.
    links: HashMap<(u64, u64), PathBuf>,
    out: io::BufWriter<io::Stdout>,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let root = arguments.next().ok_or_else(|| io::Error::other("no directory named"))?;
    let without = arguments.collect();
    let out = io::BufWriter::new(io::stdout());
    let mut lister = Lister { root, without, links: HashMap::new(), out };
    lister.list(Path::new(""))?;
    lister.out.flush()
}

impl Lister {
    fn list(&mut self, path: &Path) -> io::Result<()> {
        if self.without.iter().any(|left_out| left_out == path) {
            return Ok(());
        }
        let full = if path == Path::new("") { self.root.clone() } else { self.root.join(path) };
        let status = fs::symlink_metadata(&full)?;
        let what = self.what(path, &full, &status)?;
        let attributes = if status.is_symlink() { String::new() } else { attributes(&full)? };
        writeln!(
            self.out,
            "{} {what} {:o} {}:{} {}.{:09}{attributes}",
            path.as_os_str().as_bytes().escape_ascii(),
            status.mode() & 0o7777,
            status.uid(),
            status.gid(),
            status.mtime(),
            status.mtime_nsec(),
        )?;
        if status.is_dir() {
            let entries = fs::read_dir(&full)?.collect::<io::Result<Vec<_>>>()?;
            let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
            names.sort();
            for name in names {
                self.list(&path.join(name))?;
            }
        }
        Ok(())
    }

    fn what(&mut self, path: &Path, full: &Path, status: &Metadata) -> io::Result<String> {
        let kind = status.file_type();
        if !kind.is_dir() && status.nlink() > 1 {
            let file = (status.dev(), status.ino());
            if let Some(first) = self.links.get(&file) {
                return Ok(format!("link={}", first.as_os_str().as_bytes().escape_ascii()));
            }
            self.links.insert(file, path.into());
        }
        Ok(match kind {
            kind if kind.is_dir() => "directory".into(),
            kind if kind.is_file() => {
                let digest = Sha256::digest(fs::read(full)?);
                let digest: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                format!("file={},{digest}", status.len())
            }
            kind if kind.is_symlink() => {
                let target = fs::read_link(full)?;
                format!("symlink={}", target.as_os_str().as_bytes().escape_ascii())
            }
            kind if kind.is_fifo() => "fifo".into(),
            kind => format!("{kind:?}"),
        })
    }
}

/// The attributes that users may set.
fn attributes(full: &Path) -> io::Result<String> {
    let mut names = vec![0u8; 64 * 1024];
    let length = match rustix::fs::llistxattr(full, &mut names[..]) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(String::new()),
        length => length?,
    };
    let mut names: Vec<&[u8]> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| name.starts_with(b"user."))
        .collect();
    names.sort_unstable();
    let mut text = String::new();
    for name in names {
        let mut value = vec![0u8; 64 * 1024];
        let length = rustix::fs::lgetxattr(full, OsStr::from_bytes(name), &mut value[..])?;
        text += &format!(" {}={}", name.escape_ascii(), value[..length].escape_ascii());
    }
    Ok(text)
}
