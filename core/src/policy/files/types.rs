//! The types of the entries, made from their declarations. All that is public here is part of the
//! API.

use super::for_each_entry;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The type of a value, as an entry stores it.
macro_rules! stored {
    (path) => { PathBuf };
    (paths) => { Vec<PathBuf> };
    (place) => { PathBuf };
    (data) => { Vec<u8> };
    (directory) => { Option<PathBuf> };
    (text) => { Option<String> };
    (flag) => { bool };
    (size) => { Option<u64> };
    (count) => { Option<u64> };
    (mode) => { u32 };
}

/// The argument of `new` for a required value.
macro_rules! argument {
    (path) => { impl AsRef<Path> };
    (paths) => { impl IntoIterator<Item = impl AsRef<Path>> };
    (place) => { impl AsRef<Path> };
    (data) => { impl Into<Vec<u8>> };
}

macro_rules! converted {
    (path $value:ident) => {
        $value.as_ref().into()
    };
    (paths $value:ident) => {
        $value.into_iter().map(|path| path.as_ref().into()).collect()
    };
    (place $value:ident) => {
        $value.as_ref().into()
    };
    (data $value:ident) => {
        $value.into()
    };
}

/// An optional value that is not given.
macro_rules! default {
    (flag) => {
        false
    };
    (directory) => {
        None
    };
    (text) => {
        None
    };
    (size) => {
        None
    };
    (count) => {
        None
    };
    (mode $mode:literal) => {
        $mode
    };
}

/// The method that sets an optional value.
macro_rules! setter {
    (flag $doc:tt $name:ident) => { setter!($doc, $name(), true); };
    (directory $doc:tt $name:ident) => {
        setter!($doc, $name($name: impl AsRef<Path>), Some($name.as_ref().into()));
    };
    (text $doc:tt $name:ident) => {
        setter!($doc, $name($name: impl Into<String>), Some($name.into()));
    };
    (size $doc:tt $name:ident) => {
        setter!($doc, $name(bytes: impl Into<u64>), Some(bytes.into()));
    };
    (count $doc:tt $name:ident) => { setter!($doc, $name($name: u64), Some($name)); };
    (mode $doc:tt $name:ident) => { setter!($doc, $name($name: u32), $name); };
    ([$(#[$doc:meta])*], $name:ident($($argument:ident: $type:ty)?), $value:expr) => {
        $(#[$doc])*
        pub fn $name(mut self, $($argument: $type)?) -> Self {
            self.$name = $value;
            self
        }
    };
}

macro_rules! types {
    ($(
        $(#[doc = $doc:literal])*
        $by:ident $Kind:ident = $key:ident (
            $($(#[doc = $needed_doc:literal])*
            $needed_kind:ident $needed:ident = $needed_key:ident,)*
        ) {
            $($(#[doc = $option_doc:literal])*
            $option_kind:ident $option:ident $(= $default:literal)?,)*
        }
    )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Kind {
                $(pub(crate) $needed: stored!($needed_kind),)*
                $(pub(crate) $option: stored!($option_kind),)*
            }

            impl $Kind {
                /// Creates an entry with these values:
                $(#[doc = concat!("- `", stringify!($needed), "`:", $($needed_doc),*)])*
                pub fn new($($needed: argument!($needed_kind)),*) -> $Kind {
                    $Kind {
                        $($needed: converted!($needed_kind $needed),)*
                        $($option: default!($option_kind $($default)?),)*
                    }
                }

                $(setter!($option_kind [$(#[doc = $option_doc])*] $option);)*
            }

            impl From<$Kind> for Entry {
                fn from(entry: $Kind) -> Entry {
                    Entry::$Kind(entry)
                }
            }
        )*

        /// One entry of the sandbox's file system.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Entry {
            $($(#[doc = $doc])* $Kind($Kind),)*
        }

        impl Entry {
            /// The path of the entry inside the sandbox.
            pub fn at(&self) -> &Path {
                match self {
                    $(Entry::$Kind(entry) => &entry.at,)*
                }
            }

            /// Removes redundant slashes from the path: `/data/` and `//data` become `/data`.
            ///
            /// The plan and the warden compare paths as text, so each place must have one spelling.
            pub(crate) fn tidied(mut self) -> Entry {
                match &mut self {
                    $(Entry::$Kind(entry) => tidy(&mut entry.at),)*
                }
                self
            }
        }
    };
}
for_each_entry!(types);

/// Removes redundant slashes. Leaves `.` and `..` alone, because the check of the policy rejects
/// these.
fn tidy(path: &mut PathBuf) {
    let bytes = path.as_os_str().as_bytes();
    let is_tidy =
        !bytes.windows(2).any(|pair| pair == b"//") && (bytes.len() < 2 || !bytes.ends_with(b"/"));
    if is_tidy {
        return;
    }
    let names: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
    let start: &[u8] = if bytes.starts_with(b"/") { b"/" } else { b"" };
    let tidied = [start, &names.join(&b'/')].concat();
    *path = OsString::from_vec(tidied).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_redundant_slashes_are_removed() {
        let tidied = |text: &str| {
            let mut path = PathBuf::from(text);
            tidy(&mut path);
            path.into_os_string().into_string().unwrap()
        };
        let pairs = [
            ("/data/", "/data"),
            ("//a///b//", "/a/b"),
            ("///", "/"),
            ("/", "/"),
            ("a//b/", "a/b"),
            ("", ""),
        ];
        for (given, meant) in pairs {
            assert_eq!(tidied(given), meant);
        }
        for same in ["/a/./b", "/a/../b", "/.", "/a b"] {
            assert_eq!(tidied(same), same);
        }
    }
}
