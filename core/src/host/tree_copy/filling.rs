//! Fills a new file with the contents of another one, in the cheapest way that the file systems
//! have: the same blocks (FICLONE), a copy inside the kernel (copy_file_range(2)), or bytes through
//! a buffer. Holes stay holes.

use super::Contents;
use crate::base::error::Result;
use crate::base::sys;
use crate::host::file_size;
use nix::errno::Errno;
use nix::fcntl::copy_file_range;
use nix::sys::stat::{FileStat, fstat};
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The largest piece that the kernel copies in one call. The progress is told between the pieces.
const PIECE: u64 = 1 << 20;

/// Files below this length are not worth the call.
const RANGE_MIN: u64 = 64 << 10;

const BUFFER: usize = 128 << 10;

/// The device numbers of two file systems.
type Pair = (u64, u64);

pub struct Filling {
    buffer: Vec<u8>,
    /// The file systems between which the kernel has refused to share blocks, or to copy. It would
    /// refuse each further file, too.
    unshared: Option<Pair>,
    uncopied: Option<Pair>,
    /// The caller's limit on the size of files.
    largest: u64,
    /// What to do if that limit is too low, for the hint of the error.
    remedy: &'static str,
}

impl Filling {
    pub fn new(remedy: &'static str) -> Result<Filling> {
        let largest = file_size::limit()?;
        Ok(Filling { buffer: vec![0; BUFFER], unshared: None, uncopied: None, largest, remedy })
    }

    /// The kernel sends SIGXFSZ to a process that writes beyond the limit, so this comes first.
    pub fn check_size(&self, contents: &Contents<'_>, bytes: u64) -> Result<()> {
        let action = format!("copy {}", contents.at.display());
        file_size::check(bytes, self.largest, &action, self.remedy)
            .map_err(|error| error.at(contents.at))
    }

    fn is_unlimited(&self) -> bool {
        self.largest == libc::RLIM_INFINITY
    }

    /// Fills the empty file `to`, whose properties are `status`.
    pub fn fill(
        &mut self,
        contents: &mut Contents<'_>,
        to: &File,
        status: &FileStat,
    ) -> Result<()> {
        let pair = (contents.status.st_dev, status.st_dev);
        if self.share(contents, to, pair)? {
            return Ok(());
        }
        // A file without holes has no fewer blocks than bytes. Some file systems count less, where
        // they compress or keep short files elsewhere: there a search for holes finds none.
        let blocks = u64::try_from(contents.status.st_blocks).unwrap_or(0);
        if blocks.saturating_mul(512) < contents.length() {
            return self.fill_around_holes(contents, to, pair);
        }
        self.copy_range(contents, to, pair, (0, u64::MAX)).map(|_| ())
    }

    fn fill_around_holes(
        &mut self,
        contents: &mut Contents<'_>,
        to: &File,
        pair: Pair,
    ) -> Result<()> {
        let mut offset = 0;
        let end = loop {
            // The length comes first. A file that grows after that is copied as if it had not.
            let length = fstat(contents.source)
                .map_err(|errno| contents.failed("look at", errno))
                .map(|status| u64::try_from(status.st_size).unwrap_or(0))?;
            let Some((start, end)) = data_after(contents.source, offset) else {
                contents.count(length.saturating_sub(offset))?;
                break length.max(offset);
            };
            contents.count(start - offset)?;
            offset = self.copy_range(contents, to, pair, (start, end))?;
            // It has been cut meanwhile. A process could do so without end.
            if offset == start {
                break offset;
            }
        };
        self.check_size(contents, end)?;
        to.set_len(end).map_err(|error| contents.failed("write the copy of", error))
    }

    /// Copies from `start` until `end`, or to the end of the file. Returns where that was.
    fn copy_range(
        &mut self,
        contents: &mut Contents<'_>,
        to: &File,
        pair: Pair,
        (start, end): (u64, u64),
    ) -> Result<u64> {
        let mut offset = start;
        // Across file systems, old kernels have the call but do not copy right.
        let mut by_kernel = pair.0 == pair.1
            && self.uncopied != Some(pair)
            && self.is_unlimited()
            && contents.length() >= RANGE_MIN;
        while offset < end {
            let most = (end - offset).min(PIECE).min(contents.left());
            if by_kernel && most > 0 {
                let (mut from, mut at) = (offset as i64, offset as i64);
                let source = contents.source;
                match copy_file_range(source, Some(&mut from), to, Some(&mut at), most as usize) {
                    // Files of the kernel's own have contents, and still this is the answer.
                    Ok(0) => by_kernel = false,
                    Ok(count) => {
                        contents.count(count as u64)?;
                        offset += count as u64;
                    }
                    // If there is no other way either, that error tells why.
                    Err(_) => {
                        (self.uncopied, by_kernel) = (Some(pair), false);
                    }
                }
                continue;
            }
            let most = (end - offset).min(BUFFER as u64) as usize;
            let count = contents.read_at(&mut self.buffer[..most], offset)?;
            if count == 0 {
                break;
            }
            self.check_size(contents, offset + count as u64)?;
            to.write_all_at(&self.buffer[..count], offset)
                .map_err(|error| contents.failed("write the copy of", error))?;
            offset += count as u64;
        }
        Ok(offset)
    }

    /// Has both files share their blocks. Returns whether the file systems can.
    fn share(&mut self, contents: &mut Contents<'_>, to: &File, pair: Pair) -> Result<bool> {
        if contents.length() == 0 || self.unshared == Some(pair) || !self.is_unlimited() {
            return Ok(false);
        }
        match sys::share_blocks(contents.source, to) {
            Ok(()) => {
                // The file may have grown since its length was checked.
                let length = fstat(to).map_err(|errno| contents.failed("look at", errno))?.st_size;
                contents.count(u64::try_from(length).unwrap_or(0))?;
                Ok(true)
            }
            Err(
                Errno::EOPNOTSUPP | Errno::EXDEV | Errno::ENOTTY | Errno::ENOSYS | Errno::EPERM,
            ) => {
                self.unshared = Some(pair);
                Ok(false)
            }
            // Something about this file. A part may have been shared.
            Err(_) => {
                to.set_len(0).map_err(|error| contents.failed("write the copy of", error))?;
                Ok(false)
            }
        }
    }
}

/// The next range that may contain data. `None` if there is none at `offset` or after it.
fn data_after(file: &File, offset: u64) -> Option<(u64, u64)> {
    // A hole has at least this length in every file system.
    const LEAST: u64 = 512;
    let seek = |from: u64, whence| lseek(file, from as i64, whence).map(|at| at as u64);
    match seek(offset, Whence::SeekData) {
        Ok(start) => {
            let end = seek(start, Whence::SeekHole).unwrap_or(u64::MAX);
            // A process may have made a hole of it meanwhile.
            Some((start.max(offset), end.max(start.saturating_add(LEAST))))
        }
        Err(Errno::ENXIO) => None,
        // The file system does not know.
        Err(_) => Some((offset, u64::MAX)),
    }
}
