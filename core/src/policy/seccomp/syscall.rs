//! The names and numbers of system calls.

use super::table::{self, Architecture};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

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
        known().get(name).and_then(|number| i32::try_from(*number).ok()).map(Syscall::new)
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
        names().get(&number).copied()
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

/// Every system call name of this architecture, with its number.
pub(super) fn known() -> &'static BTreeMap<&'static str, u32> {
    static KNOWN: OnceLock<BTreeMap<&str, u32>> = OnceLock::new();
    KNOWN.get_or_init(|| all().collect())
}

/// Every system call number of this architecture, with its name.
fn names() -> &'static BTreeMap<u32, &'static str> {
    static NAMES: OnceLock<BTreeMap<u32, &str>> = OnceLock::new();
    NAMES.get_or_init(|| all().map(|(name, number)| (number, name)).collect())
}

fn all() -> impl Iterator<Item = (&'static str, u32)> {
    let native = |row: &table::Row| Some((row.name, row.number(Architecture::NATIVE)?));
    table::ROWS.iter().filter_map(native)
}
