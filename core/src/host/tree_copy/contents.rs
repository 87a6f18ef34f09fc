//! The contents of one file of a copy. Whatever is taken from them counts against the bound of the
//! copy, also if the file grows meanwhile.

use super::{Rules, exceeded};
use crate::base::error::{Error, Result};
use nix::sys::stat::FileStat;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub struct Contents<'a> {
    /// The path that errors name.
    pub at: &'a Path,
    /// The file, open for reading.
    pub source: &'a File,
    /// The properties of the file before it was opened. It may have changed since.
    pub status: &'a FileStat,
    /// How many bytes may still be taken.
    left: u64,
    rules: &'a Rules,
    /// Is told how many bytes have been taken.
    taken: &'a mut dyn FnMut(u64) -> Result<()>,
}

impl<'a> Contents<'a> {
    /// An error if the file is longer than `left` already.
    pub(super) fn new(
        (at, source, status): (&'a Path, &'a File, &'a FileStat),
        left: u64,
        rules: &'a Rules,
        taken: &'a mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Contents<'a>> {
        let contents = Contents { at, source, status, left, rules, taken };
        if contents.length() > left { Err(contents.too_long()) } else { Ok(contents) }
    }

    /// The length of the file before it was opened. No more than what may be taken.
    pub fn length(&self) -> u64 {
        u64::try_from(self.status.st_size).unwrap_or(0)
    }

    /// How many bytes may still be taken.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The device and inode numbers of the file, if further hard links to it are to become hard
    /// links to its copy.
    pub fn identity(&self) -> Option<(u64, u64)> {
        let has_links = self.rules.archive && self.status.st_nlink > 1;
        has_links.then_some((self.status.st_dev, self.status.st_ino))
    }

    /// Reads bytes at `offset` and counts them. Returns 0 at the end of the file.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let count = loop {
            match self.source.read_at(buffer, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read", error)),
                Ok(count) => break count,
            }
        };
        self.count(count as u64)?;
        Ok(count)
    }

    /// Counts bytes that have been taken in another way than by [`Contents::read_at`].
    pub fn count(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_long())?;
        (self.taken)(bytes)
    }

    /// The error of an action on this file.
    pub fn failed(&self, action: &str, error: impl Into<std::io::Error>) -> Error {
        Error::io(format!("{action} {}", self.at.display()), error).at(self.at)
    }

    fn too_long(&self) -> Error {
        exceeded(self.at, "bytes", self.rules.max_bytes)
    }
}
