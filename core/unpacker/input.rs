//! The stream of records on standard input.

use crate::sys::{self, Errno, Fd, Result};
use crate::wire::codec::Reader;
use crate::wire::unpack::{Entry, RECORD_MAX};

/// Room for the longest record and its length.
const ROOM: usize = RECORD_MAX + 4;

pub struct Input {
    stream: Fd,
    bytes: [u8; ROOM],
    start: usize,
    end: usize,
}

impl Input {
    pub fn new(stream: Fd) -> Input {
        Input { stream, bytes: [0; ROOM], start: 0, end: 0 }
    }

    /// The next record.
    ///
    /// # Errors
    ///
    /// EPIPE if the stream is cut off, EPROTO if a record has no sense.
    pub fn next(&mut self) -> Result<Entry<'_>> {
        self.need(4)?;
        let length: u32 =
            Reader::new(&self.bytes[self.start..self.end]).get().map_err(|_| Errno::EPROTO)?;
        let length = length as usize;
        if length > RECORD_MAX {
            return Err(Errno::EPROTO);
        }
        self.start += 4;
        self.need(length)?;
        let record = self.start..self.start + length;
        self.start += length;
        Reader::new(&self.bytes[record]).only().map_err(|_| Errno::EPROTO)
    }

    /// Writes the next `size` bytes to a file.
    pub fn copy_to(&mut self, file: &Fd, mut size: u64) -> Result<()> {
        while size > 0 {
            if self.start == self.end {
                self.refill()?;
            }
            let there = (self.end - self.start) as u64;
            let length = there.min(size) as usize;
            sys::write(file, &self.bytes[self.start..self.start + length])?;
            self.start += length;
            size -= length as u64;
        }
        Ok(())
    }

    /// Reads until `length` bytes are there in one piece.
    fn need(&mut self, length: usize) -> Result<()> {
        if self.start + length > ROOM {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < length {
            self.refill()?;
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        match sys::read(&self.stream, &mut self.bytes[self.end..])? {
            0 => Err(Errno::EPIPE),
            length => {
                self.end += length;
                Ok(())
            }
        }
    }
}
