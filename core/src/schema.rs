//! The shared names of policies, limits and outcomes, with their documentation.
//!
//! The crate `faces` of this repository generates parts of the C and Python bindings and of the
//! documentation from them. This module is not part of the public API.

pub use crate::base::declared::{EntryField, EntryKind, Figure, Setting, Word};
use crate::base::step::Step;
use crate::images::changes::ChangeKind;
pub use crate::policy::outcome::FIGURES;
use crate::policy::outcome::{Ended, MemorySource, Protection};
pub use crate::policy::seccomp::AllowedCall;
use crate::policy::seccomp::{Compare, Profile, allowed, profiles};
pub use crate::policy::spec::{ENTRIES, SETTINGS};
use crate::policy::{Clock, Ids, Isolation, Limit, Mechanism, Namespace};
use crate::run::alive::Freezer;

/// An enumeration whose values have names.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    /// The Rust type.
    pub name: &'static str,
    /// The values, in the order of declaration.
    pub words: &'static [Word],
}

/// Every enumeration that another language repeats.
pub const VOCABULARIES: &[Vocabulary] = &[
    Vocabulary { name: "ChangeKind", words: ChangeKind::WORDS },
    Vocabulary { name: "Clock", words: Clock::WORDS },
    Vocabulary { name: "Compare", words: Compare::WORDS },
    Vocabulary { name: "Ended", words: Ended::WORDS },
    Vocabulary { name: "Freezer", words: Freezer::WORDS },
    Vocabulary { name: "Ids", words: Ids::WORDS },
    Vocabulary { name: "Isolation", words: Isolation::WORDS },
    Vocabulary { name: "Limit", words: Limit::WORDS },
    Vocabulary { name: "Mechanism", words: Mechanism::WORDS },
    Vocabulary { name: "MemorySource", words: MemorySource::WORDS },
    Vocabulary { name: "Namespace", words: Namespace::WORDS },
    Vocabulary { name: "Profile", words: Profile::WORDS },
    Vocabulary { name: "Protection", words: Protection::WORDS },
    Vocabulary { name: "Step", words: Step::WORDS },
];

/// The calls that this profile allows.
pub fn allowed_calls(profile: Profile) -> Vec<AllowedCall> {
    profile.allowed()
}

/// The calls that the profiles refuse with ENOSYS, so that libc falls back to others.
pub fn absent_calls() -> &'static [&'static str] {
    profiles::ABSENT
}

/// The names of all calls of x86_64, whatever architecture this library is built for. The other
/// architectures have fewer.
pub fn known_calls() -> impl Iterator<Item = &'static str> {
    allowed::calls_of_x86_64()
}
