//! Memory, straight from the kernel.

use super::number as nr;
use super::{Errno, Fd, Result};

/// Zeroed pages, given back when dropped.
pub struct Pages {
    start: *mut u8,
    length: usize,
}

impl Pages {
    /// At least `length` bytes; `shared` with children that do not share memory.
    pub fn new(length: usize, shared: bool) -> Result<Pages> {
        const READ_WRITE: u32 = 3;
        const ANONYMOUS: u32 = 0x20;
        let length = length.max(1).next_multiple_of(4096);
        let start = call!(nr::MMAP, 0, length, READ_WRITE, ANONYMOUS | if shared { 1 } else { 2 }, -1i32, 0)?;
        Ok(Pages { start: start as *mut u8, length })
    }

    /// A private copy of the first `length` bytes of a file.
    pub fn of_file(fd: &Fd, length: usize) -> Result<Pages> {
        let mut pages = Pages::new(length, false)?;
        let mut filled = 0;
        while filled < length {
            let piece = &mut pages.bytes()[filled..length];
            match call!(nr::PREAD64, fd.0, piece.as_mut_ptr(), piece.len(), filled)? {
                0 => return Err(Errno::EPROTO),
                count => filled += count,
            }
        }
        Ok(pages)
    }

    pub fn read(&self) -> &[u8] {
        // SAFETY: `start` and `length` are a mapping that this value owns, and nobody holds it mutably.
        unsafe { core::slice::from_raw_parts(self.start, self.length) }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `start` and `length` are a mapping that this value alone owns.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.length) }
    }

    /// The first byte as a flag that another process may set.
    pub fn atomic(&mut self) -> &core::sync::atomic::AtomicBool {
        // SAFETY: the memory is this value's, zeroed (false), and only ever holds what an AtomicBool stores.
        unsafe { core::sync::atomic::AtomicBool::from_ptr(self.start.cast()) }
    }

    pub fn read_words(&self) -> &[usize] {
        // SAFETY: as above; a page is aligned for any integer and every bit pattern is one.
        unsafe { core::slice::from_raw_parts(self.start.cast(), self.length / size_of::<usize>()) }
    }

    /// The same memory as machine words.
    pub fn words(&mut self) -> &mut [usize] {
        // SAFETY: as above; a page is aligned for any integer and every bit pattern is one.
        unsafe { core::slice::from_raw_parts_mut(self.start.cast(), self.length / size_of::<usize>()) }
    }

    /// Gives the memory's contents back to the kernel; reads as zero afterwards.
    pub fn forget_contents(&mut self) {
        const DONTNEED: u32 = 4;
        let _ = call!(nr::MADVISE, self.start, self.length, DONTNEED);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = call!(nr::MUNMAP, self.start, self.length);
    }
}
