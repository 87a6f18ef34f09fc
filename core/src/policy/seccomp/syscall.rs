//! The names and numbers of system calls.

use super::table::{self, Architecture};
use std::fmt;

/// A system call, identified by its number on this architecture, or marked as a call of another
/// architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syscall {
    number: i32,
    foreign: bool,
}

impl Syscall {
    /// The call with this number.
    pub fn new(number: i32) -> Syscall {
        Syscall { number, foreign: false }
    }

    /// The call with this name, if this architecture has it. The names are those of the kernel's
    /// own header, `asm/unistd.h`.
    pub fn from_name(name: &str) -> Option<Syscall> {
        number_of(name).and_then(|number| i32::try_from(number).ok()).map(Syscall::new)
    }

    pub(crate) fn foreign(number: i32) -> Syscall {
        Syscall { number, foreign: true }
    }

    /// The number, if it is a call of this architecture.
    pub(crate) fn native(self) -> Option<i32> {
        (!self.foreign).then_some(self.number)
    }

    /// Whether the call was made through another architecture's system call interface, such as that
    /// of 32-bit programs.
    pub fn is_foreign(self) -> bool {
        self.foreign
    }

    /// The number. That of a foreign call has the meaning of the other architecture.
    pub fn number(self) -> i32 {
        self.number
    }

    /// The name. `None` if the call is newer than this library, or foreign.
    pub fn name(self) -> Option<&'static str> {
        let number = u32::try_from(self.number).ok().filter(|_| !self.foreign)?;
        known().find(|(_, known)| *known == number).map(|(name, _)| name)
    }
}

impl fmt::Display for Syscall {
    /// Writes the name, or the number if the name is unknown. A foreign call has the prefix
    /// `foreign:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None if self.foreign => write!(f, "foreign:{}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

/// The number of the call with this name, if this architecture has it.
pub(super) fn number_of(name: &str) -> Option<u32> {
    table::row(name)?.number(Architecture::NATIVE)
}

/// Every system call of this architecture, by name and number, in the order of the names.
pub(super) fn known() -> impl Iterator<Item = (&'static str, u32)> {
    let native = |row: &table::Row| Some((row.name, row.number(Architecture::NATIVE)?));
    table::ROWS.iter().filter_map(native)
}
