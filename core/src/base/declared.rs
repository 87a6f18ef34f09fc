//! Declares the names that every language binding shares. Each name is declared once, together with
//! its documentation. `schema` collects the declarations.

/// One value of an enumeration, as all languages name it.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// The Rust variant: `CpuTime`.
    pub variant: &'static str,
    /// The name in policies, in Python, and as text in C: `cpu_time`.
    pub name: &'static str,
    /// The documentation, with all its lines joined.
    pub doc: &'static str,
}

/// A key of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name in policies, in Rust, in Python and in the C setter.
    pub name: &'static str,
    /// The kind of its value: see `core/src/policy/keys.rs`.
    pub kind: &'static str,
    /// The documentation, as paragraphs separated by empty lines.
    pub doc: &'static str,
}

/// A figure of [`Usage`](crate::Usage).
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// The name in Rust and Python.
    pub name: &'static str,
    /// `time`, `bytes` or `count`. The suffix `_if_known` marks a figure that may be missing.
    pub kind: &'static str,
    /// The documentation, with all its lines joined.
    pub doc: &'static str,
}

/// A kind of entry of the sandbox's file system.
#[derive(Debug, Clone, Copy)]
pub struct EntryKind {
    /// The type in Rust: `Tmpfs`.
    pub variant: &'static str,
    /// The key in policies: `tmpfs`.
    pub key: &'static str,
    /// Whether the functions that add it are generated, not handwritten.
    pub plain: bool,
    /// The documentation, as paragraphs separated by empty lines.
    pub doc: &'static str,
    /// The values that every entry has, in the order of the arguments.
    pub required: &'static [EntryField],
    /// The values with a default.
    pub optional: &'static [EntryField],
}

/// A value of an entry.
#[derive(Debug, Clone, Copy)]
pub struct EntryField {
    /// The name in Rust and Python.
    pub name: &'static str,
    /// The key in policies.
    pub key: &'static str,
    /// The kind of value: see `core/src/policy/files.rs`.
    pub kind: &'static str,
    /// The documentation, as paragraphs separated by empty lines.
    pub doc: &'static str,
}

/// Defines an enumeration with a text name for each variant.
macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[doc = $doc:literal])* $variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($(#[doc = $doc])* $variant,)* }

        impl $type {
            /// Every variant, in the order of declaration.
            pub const ALL: &[$type] = &[$($type::$variant,)*];

            #[doc(hidden)]
            pub const WORDS: &[$crate::base::declared::Word] = &[$($crate::base::declared::Word {
                variant: stringify!($variant),
                name: $name,
                doc: concat!($($doc),*),
            },)*];

            /// The name in policies. It is the same in every language.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)* }
            }

            /// The variant with this name, or `None` if there is none.
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
