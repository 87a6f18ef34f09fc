//! The names and numbers of system calls.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;
use syscalls::Sysno;

/// A system call, by the number that this architecture knows it by; another architecture's calls
/// are told as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syscall {
    number: i32,
    foreign: bool,
}

impl Syscall {
    /// The call of this number.
    pub fn new(number: i32) -> Syscall {
        Syscall { number, foreign: false }
    }

    /// The call of this name, if this architecture has it.
    pub fn from_name(name: &str) -> Option<Syscall> {
        known().get(name).and_then(|number| i32::try_from(*number).ok()).map(Syscall::new)
    }

    pub(crate) fn foreign(number: i32) -> Syscall {
        Syscall { number, foreign: true }
    }

    /// Its number, if it is this architecture's.
    pub(crate) fn native(self) -> Option<i32> {
        (!self.foreign).then_some(self.number)
    }

    /// Whether it is another architecture's: made through the kernel's door for that one.
    pub fn is_foreign(self) -> bool {
        self.foreign
    }

    /// Its number; another architecture's has the meaning that it has there.
    pub fn number(self) -> i32 {
        self.number
    }

    /// Its name; `None` if it is newer than this library, or another architecture's.
    pub fn name(self) -> Option<&'static str> {
        let known =
            usize::try_from(self.number).ok().filter(|_| !self.foreign).and_then(Sysno::new)?;
        Some(known.name())
    }
}

impl fmt::Display for Syscall {
    /// Its name; else its number, with `foreign:` before it if it is another architecture's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None if self.foreign => write!(f, "foreign:{}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

/// Every name that this architecture has, with its number.
pub(super) fn known() -> &'static BTreeMap<&'static str, u32> {
    static KNOWN: OnceLock<BTreeMap<&str, u32>> = OnceLock::new();
    // Not by its iterator, which leaves out the last.
    let all = || {
        (0..=Sysno::last().id().unsigned_abs())
            .filter_map(|number| Some((Sysno::new(number as usize)?.name(), number)))
    };
    KNOWN.get_or_init(|| all().collect())
}

/// Whether another architecture that this library runs on has a call of this name.
pub(super) fn is_elsewhere(name: &str) -> bool {
    syscalls::x86_64::Sysno::iter().any(|call| call.name() == name)
        || syscalls::aarch64::Sysno::iter().any(|call| call.name() == name)
}
