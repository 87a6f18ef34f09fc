//! What the steps have opened and mounted.

use crate::sys::{self, Errno, Fd, Pages, Result};

/// The sources, and the file systems that the warden has mounted. One piece of memory holds the
/// sources from its start and the file systems from its end.
pub struct Known {
    few: [usize; Known::FEW],
    /// Used where `few` has no room.
    many: Option<Pages>,
    sources: usize,
    own: usize,
}

impl Known {
    const FEW: usize = 64;

    pub fn new(most: usize) -> Result<Known> {
        let many = if most > Known::FEW {
            Some(Pages::new(most * size_of::<usize>(), false)?)
        } else {
            None
        };
        Ok(Known { few: [0; Known::FEW], many, sources: 0, own: 0 })
    }

    fn words(&self) -> &[usize] {
        self.many.as_ref().map_or(&self.few, Pages::read_words)
    }

    fn room(&mut self) -> Result<&mut [usize]> {
        let words = self.many.as_mut().map_or(&mut self.few[..], Pages::words);
        let room = self.sources..words.len() - self.own;
        words.get_mut(room).filter(|room| !room.is_empty()).ok_or(Errno::EPROTO)
    }

    /// Stores a source under the next number: its descriptor plus one, or 0 if an optional source
    /// is missing.
    pub fn push_source(&mut self, source: Option<Fd>) -> Result<()> {
        *self.room()?.first_mut().ok_or(Errno::EPROTO)? =
            source.map_or(0, |fd| fd.into_number() as usize + 1);
        self.sources += 1;
        Ok(())
    }

    pub fn source(&self, number: u32) -> Result<Option<i32>> {
        let words = &self.words()[..self.sources];
        words
            .get(number as usize)
            .map(|word| word.checked_sub(1).map(|fd| fd as i32))
            .ok_or(Errno::EBADF)
    }

    pub fn close_sources(&mut self) {
        for word in &self.words()[..self.sources] {
            if let Some(number) = word.checked_sub(1) {
                sys::close_number(number as i32);
            }
        }
        self.sources = 0;
    }

    /// Stores a file system that the warden has mounted.
    pub fn push_own(&mut self, mount: &Fd) -> Result<()> {
        *self.room()?.last_mut().ok_or(Errno::EPROTO)? =
            sys::status(mount.number(), c"")?.file_system as usize;
        self.own += 1;
        Ok(())
    }

    pub fn own(&self) -> &[usize] {
        let words = self.words();
        &words[words.len() - self.own..]
    }
}
