//! How a name that all faces share is declared: once, with its documentation. `schema` collects
//! what is declared.

/// A name of a closed set.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// Its name in Rust: `CpuTime`.
    pub variant: &'static str,
    /// Its name in policies, in Python, and as text in C: `cpu_time`.
    pub name: &'static str,
    /// Its documentation, one line after the other.
    pub doc: &'static str,
}

/// A key of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in policies, in Rust, in Python and in C's setter.
    pub name: &'static str,
    /// Its kind: see `core/src/policy/keys.rs`.
    pub kind: &'static str,
    /// Its documentation: paragraphs, with an empty line between them.
    pub doc: &'static str,
}

/// A figure of [`Usage`](crate::Usage).
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name in Rust and Python.
    pub name: &'static str,
    /// `time`, `bytes` or `count`; with `_if_known` behind it where it may be missing.
    pub kind: &'static str,
    /// Its documentation, one line after the other.
    pub doc: &'static str,
}

/// An enumeration whose values have names.
macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[doc = $doc:literal])* $variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($(#[doc = $doc])* $variant,)* }

        impl $type {
            /// Every one.
            pub const ALL: &[$type] = &[$($type::$variant,)*];

            #[doc(hidden)]
            pub const WORDS: &[$crate::base::declared::Word] = &[$($crate::base::declared::Word {
                variant: stringify!($variant),
                name: $name,
                doc: concat!($($doc),*),
            },)*];

            /// Its name in policies, in every language.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)* }
            }

            /// The one of this name.
            pub fn from_name(name: &str) -> Option<$type> {
                $type::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named;
