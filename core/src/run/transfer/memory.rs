//! Copies that stay in memory. Directories are not kept: the paths of the files name them.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::tree_copy::{Attributes, Contents, Sink};
use crate::run::collect::CollectedFile;
use std::ffi::{CStr, CString};
use std::path::Path;

/// How much memory is added for a file that has grown.
const PIECE: usize = 64 << 10;

/// The files so far.
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

    fn leave(&mut self, _: &Path, _: &Attributes) -> Result<()> {
        Ok(())
    }

    fn file(
        &mut self,
        _: &CString,
        contents: &mut Contents<'_>,
        attributes: &Attributes,
    ) -> Result<()> {
        let at = contents.at;
        let mut bytes = Vec::new();
        let mut length = 0;
        loop {
            if length == bytes.len() {
                // One byte more than there should be shows the end of the file.
                let expected = usize::try_from(contents.length()).unwrap_or(usize::MAX);
                let more = if length == 0 { expected.saturating_add(1) } else { PIECE };
                reserve(&mut bytes, more, at)?;
                bytes.resize(length + more, 0);
            }
            match contents.read_at(&mut bytes[length..], length as u64)? {
                0 => break,
                count => length += count,
            }
        }
        bytes.truncate(length);
        self.files.push(CollectedFile {
            path: at.into(),
            contents: bytes,
            permissions: attributes.mode.bits(),
        });
        Ok(())
    }

    fn link(&mut self, at: &Path, _: &CString, _: &CStr, _: &Attributes) -> Result<()> {
        Err(Error::new(ErrorKind::Invalid, format!("hold {} in memory", at.display()))
            .because("it is a symbolic link"))
    }

    fn undo(&mut self) {
        self.files.clear();
    }
}
