//! The entries of a directory (getdents64(2)).

use crate::sys::{self, Errno, Fd, Result};
use core::ffi::CStr;

pub struct Entries {
    directory: Fd,
    buffer: [u8; 2048],
    start: usize,
    end: usize,
}

impl Entries {
    pub fn new(directory: Fd) -> Entries {
        Entries { directory, buffer: [0; 2048], start: 0, end: 0 }
    }

    pub fn next(&mut self) -> Result<Option<&CStr>> {
        const NAME: usize = 19;
        const LENGTH: usize = 16;
        if self.start == self.end {
            (self.start, self.end) = (0, sys::list_directory(&self.directory, &mut self.buffer)?);
            if self.end == 0 {
                return Ok(None);
            }
        }
        let record = &self.buffer[self.start..self.end];
        let length = record
            .get(LENGTH..LENGTH + 2)
            .map_or(0, |bytes| usize::from(u16::from_ne_bytes([bytes[0], bytes[1]])));
        let name = record.get(NAME..length).ok_or(Errno::EPROTO)?;
        self.start += length;
        CStr::from_bytes_until_nul(name).map(Some).map_err(|_| Errno::EPROTO)
    }
}
