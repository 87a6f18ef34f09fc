//! A path in a buffer of its own: the warden has no allocator.

use crate::sys::{Errno, Result};
use core::ffi::CStr;

const PATH_MAX: usize = 4096;

/// A path in a buffer of its own, NUL-terminated.
pub struct Path {
    bytes: [u8; PATH_MAX],
    used: usize,
}

impl Path {
    pub const fn empty() -> Path {
        Path { bytes: [0; PATH_MAX], used: 0 }
    }

    pub fn of(text: &CStr) -> Path {
        let mut path = Path::empty();
        // A path that is too long for the kernel is cut here and refused there.
        let _ = path.push(text.to_bytes());
        path
    }

    pub fn push(&mut self, text: &[u8]) -> Result<()> {
        let end = self.used + text.len();
        if end >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.bytes[self.used..end].copy_from_slice(text);
        self.bytes[end] = 0;
        self.used = end;
        Ok(())
    }

    pub fn join(directory: &[u8], name: &[u8]) -> Result<Path> {
        let mut path = Path::empty();
        path.push(directory)?;
        if !directory.ends_with(b"/") {
            path.push(b"/")?;
        }
        path.push(name)?;
        Ok(path)
    }

    pub fn truncate(&mut self, length: usize) {
        self.used = length;
        self.bytes[length] = 0;
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}
