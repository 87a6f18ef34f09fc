//! Copies that stay in memory. Directories are not kept: the paths of the files name them.

use super::sink::Sink;
use crate::base::error::{Error, ErrorKind, Result};
use crate::run::collect::CollectedFile;
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::path::Path;

/// The files so far. The last one may still be growing.
#[derive(Default)]
pub struct Memory {
    pub files: Vec<CollectedFile>,
}

fn reserve(contents: &mut Vec<u8>, more: usize, at: &Path) -> Result<()> {
    contents.try_reserve(more).map_err(|_| {
        Error::new(ErrorKind::Io, format!("hold {} in memory", at.display()))
            .errno(libc::ENOMEM)
            .at(at)
    })
}

impl Sink for Memory {
    fn enter(&mut self, _: &Path, _: &CString) -> Result<()> {
        Ok(())
    }

    fn leave(&mut self, _: &Path, _: Mode) -> Result<()> {
        Ok(())
    }

    fn begin(&mut self, at: &Path, _: &CString, length: u64) -> Result<()> {
        let mut contents = Vec::new();
        // The bound of the copy has been checked, so the length is no more than that.
        reserve(&mut contents, usize::try_from(length).unwrap_or(usize::MAX), at)?;
        self.files.push(CollectedFile { path: at.into(), contents, permissions: 0 });
        Ok(())
    }

    fn write(&mut self, at: &Path, bytes: &[u8]) -> Result<()> {
        let Some(file) = self.files.last_mut() else { return Ok(()) };
        reserve(&mut file.contents, bytes.len(), at)?;
        file.contents.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self, _: &Path, mode: Mode) -> Result<()> {
        if let Some(file) = self.files.last_mut() {
            file.permissions = mode.bits();
        }
        Ok(())
    }
}
