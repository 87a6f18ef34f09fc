//! What the other faces are made from: the names that policies, limits and outcomes have, with
//! their documentation.
//!
//! `faces` (a crate of this repository) reads it and writes the parts of C, Python and the
//! documentation that say the same. It is no part of the API.

pub use crate::base::declared::{Figure, Setting, Word};
use crate::base::step::Step;
pub use crate::policy::outcome::FIGURES;
use crate::policy::outcome::{Ended, MemorySource, Protection};
use crate::policy::seccomp::{Compare, Profile};
pub use crate::policy::spec::SETTINGS;
use crate::policy::{Clock, Limit, Mechanism, Namespace};
use crate::run::alive::Freezer;

/// A closed set of names.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    /// The type in Rust.
    pub name: &'static str,
    /// Its values, in the order of their declaration.
    pub words: &'static [Word],
}

/// Every set that another face repeats.
pub const VOCABULARIES: &[Vocabulary] = &[
    Vocabulary { name: "Clock", words: Clock::WORDS },
    Vocabulary { name: "Compare", words: Compare::WORDS },
    Vocabulary { name: "Ended", words: Ended::WORDS },
    Vocabulary { name: "Freezer", words: Freezer::WORDS },
    Vocabulary { name: "Limit", words: Limit::WORDS },
    Vocabulary { name: "Mechanism", words: Mechanism::WORDS },
    Vocabulary { name: "MemorySource", words: MemorySource::WORDS },
    Vocabulary { name: "Namespace", words: Namespace::WORDS },
    Vocabulary { name: "Profile", words: Profile::WORDS },
    Vocabulary { name: "Protection", words: Protection::WORDS },
    Vocabulary { name: "Step", words: Step::WORDS },
];
