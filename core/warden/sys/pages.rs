//! Memory from `mmap(2)`: the warden has no allocator.

use super::number as nr;
use super::{Errno, Fd, Result};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

/// Zeroed pages, unmapped when dropped.
pub struct Pages {
    start: *mut u8,
    length: usize,
}

impl Pages {
    /// Maps at least `length` bytes. With `shared`, child processes share them even if they have a
    /// copy of the other memory.
    pub fn new(length: usize, shared: bool) -> Result<Pages> {
        const READ_WRITE: u32 = 3;
        const ANONYMOUS: u32 = 0x20;
        // Of larger pages the kernel maps and unmaps whole ones.
        let length = length.max(1).next_multiple_of(4096);
        let start = call!(
            nr::MMAP,
            0,
            length,
            READ_WRITE,
            ANONYMOUS | if shared { 1 } else { 2 },
            -1i32,
            0
        )?;
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
        // SAFETY: `start` and `length` are a mapping that this value owns, and no mutable reference
        // to it exists.
        unsafe { core::slice::from_raw_parts(self.start, self.length) }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `start` and `length` are a mapping that this value alone owns.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.length) }
    }

    pub fn read_words(&self) -> &[usize] {
        // SAFETY: as above. A page is aligned for any integer, and every bit pattern is one.
        unsafe { core::slice::from_raw_parts(self.start.cast(), self.length / size_of::<usize>()) }
    }

    /// The same memory as machine words.
    pub fn words(&mut self) -> &mut [usize] {
        // SAFETY: as above. A page is aligned for any integer, and every bit pattern is one.
        unsafe {
            core::slice::from_raw_parts_mut(self.start.cast(), self.length / size_of::<usize>())
        }
    }

    /// Gives the contents back to the kernel. The memory reads as zero afterwards.
    pub fn forget_contents(&mut self) {
        const DONTNEED: u32 = 4;
        let _ = call!(nr::MADVISE, self.start, self.length, DONTNEED);
    }
}

/// Pages that may be in use by a process which shares the memory. They stay mapped until that
/// process has left the memory, and for ever if it is never seen to leave.
pub struct Lent(ManuallyDrop<Pages>);

impl Pages {
    /// Lends the pages: another process may read them until they are taken back.
    pub fn lend(self) -> Lent {
        Lent(ManuallyDrop::new(self))
    }

    /// Lends the pages to be filled. The words are the only reference to them.
    pub fn lend_words(self) -> (Lent, &'static mut [usize]) {
        // SAFETY: the mapping stays until `take_back`, and this value, the only owner, is lent with
        // it.
        let words = unsafe {
            core::slice::from_raw_parts_mut(self.start.cast(), self.length / size_of::<usize>())
        };
        (self.lend(), words)
    }
}

impl Lent {
    pub fn read(&self) -> &'static [u8] {
        // SAFETY: the mapping stays until `take_back`, and nothing writes to memory that was handed
        // out.
        unsafe { core::slice::from_raw_parts(self.0.start, self.0.length) }
    }

    /// Takes the pages back: the process has executed its program, has ended, or was never made.
    pub fn take_back(self, _: &Departed) -> Pages {
        ManuallyDrop::into_inner(self.0)
    }
}

/// Proof that a process which shared this memory no longer uses it.
pub struct Departed(());

impl Departed {
    /// The other end of the pipe is closed. The kernel closes it in `execve(2)` and at the end of
    /// the process, in both cases after the process has left the memory.
    pub fn by_hang_up() -> Departed {
        Departed(())
    }

    /// The kernel refused to make the process.
    pub fn never_made() -> Departed {
        Departed(())
    }
}

/// Moves a value into these words, where it stays. Returns `None` if there is not enough room.
pub fn place<T>(words: &'static mut [usize], value: T) -> Option<&'static T> {
    const { assert!(align_of::<T>() <= align_of::<usize>()) };
    if size_of_val(words) < size_of::<T>() {
        return None;
    }
    let start = words.as_mut_ptr().cast::<T>();
    // SAFETY: the words have room for a `T` and are aligned for it, and nothing else refers to
    // them.
    unsafe {
        start.write(value);
        Some(&*start)
    }
}

/// The same memory as `i32` numbers.
pub fn as_numbers(words: &'static mut [usize]) -> &'static mut [i32] {
    let length = size_of_val(words) / size_of::<i32>();
    // SAFETY: the memory has room for `length` numbers and is aligned for words, and every bit
    // pattern is a number.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), length) }
}

/// Gives back the stack pages that set-up has used: the loop that follows needs few.
#[inline(never)]
pub fn release_stack() {
    const DONTNEED: u32 = 4;
    /// The largest page of this architecture's kernels. An address of another multiple is an error.
    const PAGE: usize = if cfg!(target_arch = "aarch64") { 64 * 1024 } else { 4096 };
    const DEEPEST: usize = 512 * 1024;
    let here = 0u8;
    /// The most bytes that a function may use below its locals, including the red zone of the ABI.
    /// The call itself needs none.
    const FRAME: usize = 512;
    // Pages that are not mapped are skipped (madvise(2)).
    let end = ((&raw const here) as usize - FRAME) & !(PAGE - 1);
    let _ = call!(nr::MADVISE, end - DEEPEST, DEEPEST, DONTNEED);
}

/// A growable array. It has memory only while it has elements.
pub struct Table<T> {
    pages: Option<Pages>,
    used: usize,
    of: PhantomData<T>,
}

impl<T> Table<T> {
    pub const fn new() -> Table<T> {
        Table { pages: None, used: 0, of: PhantomData }
    }

    pub fn push(&mut self, value: T) -> Result<()> {
        let room = self.pages.as_ref().map_or(0, |pages| pages.length / size_of::<T>());
        if self.used == room {
            let more = Pages::new((room * 2).max(1) * size_of::<T>(), false)?;
            if let Some(pages) = &self.pages {
                // SAFETY: both are separate mappings, and the new one is at least as long. The
                // values move: nothing reads the old ones again.
                unsafe { core::ptr::copy_nonoverlapping(pages.start, more.start, pages.length) };
            }
            self.pages = Some(more);
        }
        if let Some(pages) = &self.pages {
            // SAFETY: the place is within the mapping, which is aligned for any type of less than a
            // page, and it holds no value yet.
            unsafe { pages.start.cast::<T>().add(self.used).write(value) };
            self.used += 1;
        }
        Ok(())
    }

    /// Removes an element. The last one takes its place.
    pub fn take(&mut self, index: usize) -> Option<T> {
        if index >= self.used {
            return None;
        }
        self.used -= 1;
        let start = self.pages.as_ref()?.start.cast::<T>();
        // SAFETY: both places hold values. The value read from the first place is not read there
        // again.
        let taken = unsafe {
            let taken = start.add(index).read();
            if index != self.used {
                core::ptr::copy_nonoverlapping(start.add(self.used), start.add(index), 1);
            }
            taken
        };
        if self.used == 0 {
            self.pages = None;
        }
        Some(taken)
    }
}

impl<T> Deref for Table<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping, which this value owns, holds `used` values.
        self.pages.as_ref().map_or(&[], |pages| unsafe {
            core::slice::from_raw_parts(pages.start.cast(), self.used)
        })
    }
}

impl<T> DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and this value alone owns it.
        self.pages.as_ref().map_or(&mut [], |pages| unsafe {
            core::slice::from_raw_parts_mut(pages.start.cast(), self.used)
        })
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        while self.take(0).is_some() {}
    }
}

/// Memory that this process and one that it has forked both see.
pub struct Shared {
    pages: Pages,
}

impl Shared {
    pub fn new(length: usize) -> Result<Shared> {
        Ok(Shared { pages: Pages::new(length, true)? })
    }

    /// Stores a word. Nothing is stored past the end.
    pub fn set(&self, place: usize, word: usize) {
        if place < self.pages.length / size_of::<usize>() {
            // SAFETY: the place is within the mapping. The two processes take turns.
            unsafe { core::ptr::write_volatile(self.pages.start.cast::<usize>().add(place), word) };
        }
    }

    /// A stored word; 0 past the end.
    pub fn get(&self, place: usize) -> usize {
        if place < self.pages.length / size_of::<usize>() {
            // SAFETY: as above.
            unsafe { core::ptr::read_volatile(self.pages.start.cast::<usize>().add(place)) }
        } else {
            0
        }
    }

    /// Stores bytes from this offset on.
    pub fn put(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let room = self.pages.length.checked_sub(offset).ok_or(Errno::E2BIG)?;
        if bytes.len() > room {
            return Err(Errno::E2BIG);
        }
        // SAFETY: the bytes fit into the mapping. The two processes take turns.
        unsafe {
            core::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.pages.start.add(offset),
                bytes.len(),
            );
        }
        Ok(())
    }

    /// The memory from this offset on, for good. The other process writes no more.
    pub fn keep(self, offset: usize, length: usize) -> Result<&'static [u8]> {
        let kept = self.pages.lend().read();
        kept.get(offset..).and_then(|bytes| bytes.get(..length)).ok_or(Errno::EPROTO)
    }
}

/// The error page: memory in which a new process leaves its process id and the reason why it
/// failed. Both processes have it, even if they do not share their other memory.
#[derive(Clone, Copy)]
pub struct ErrorPage {
    start: *mut usize,
    length: usize,
}

// SAFETY: only the new process writes, before it ends, and the warden reads after it has ended or
// executed its program.
unsafe impl Sync for ErrorPage {}

impl ErrorPage {
    const HEAD: usize = 2 * size_of::<usize>();

    /// Uses these words, which must be zero.
    pub fn on(memory: &'static mut [usize]) -> ErrorPage {
        ErrorPage { start: memory.as_mut_ptr(), length: size_of_val(memory) }
    }

    fn room(&self) -> usize {
        self.length.saturating_sub(ErrorPage::HEAD)
    }

    /// Stores the process id, as the new process sees it.
    pub fn set_pid(&self, pid: i32) {
        if self.length >= ErrorPage::HEAD {
            // SAFETY: the second word is part of the memory, and nothing reads it now.
            unsafe { core::ptr::write_volatile(self.start.add(1), pid as usize) };
        }
    }

    /// The stored process id; 0 if there is none.
    pub fn pid(&self) -> i32 {
        // SAFETY: as above.
        if self.length >= ErrorPage::HEAD {
            unsafe { core::ptr::read_volatile(self.start.add(1)) as i32 }
        } else {
            0
        }
    }

    /// Stores these bytes, or as many as fit.
    pub fn write(&self, bytes: &[u8]) {
        let length = bytes.len().min(self.room());
        if length > 0 {
            // SAFETY: there is room for `length` bytes after the first two words, and nothing else
            // reads them now.
            unsafe {
                core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(2).cast(), length);
                core::ptr::write_volatile(self.start, length);
            }
        }
    }

    /// The stored bytes; empty if there are none.
    pub fn read(&self) -> &[u8] {
        if self.room() == 0 {
            return &[];
        }
        // SAFETY: as above. A length that was never written is 0.
        unsafe {
            let length = core::ptr::read_volatile(self.start).min(self.room());
            core::slice::from_raw_parts(self.start.add(2).cast(), length)
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = call!(nr::MUNMAP, self.start, self.length);
    }
}
