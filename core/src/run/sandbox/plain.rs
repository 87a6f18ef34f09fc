//! The plain setters: one for each key of a plain kind that `policy::keys` declares, and one for
//! each plain kind of entry that `policy::files` declares.

use super::Sandbox;
use crate::policy::{Cores, entries, for_each_entry, for_each_key};
use std::path::Path;
use std::time::Duration;

/// A field of a policy that takes a value: of the value's type, or an `Option` of it.
trait Place<T> {
    fn put(&mut self, value: T);
}

impl<T> Place<T> for T {
    fn put(&mut self, value: T) {
        *self = value;
    }
}

impl<T> Place<T> for Option<T> {
    fn put(&mut self, value: T) {
        *self = Some(value);
    }
}

macro_rules! setter {
    (text $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name($name: impl Into<String>), $($field).+, $name.into());
    };
    (texts $doc:tt $name:ident $($field:ident).+) => {
        setter!(
            $doc,
            $name($name: impl IntoIterator<Item = impl Into<String>>),
            $($field).+,
            $name.into_iter().map(Into::into).collect()
        );
    };
    (path $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name($name: impl AsRef<Path>), $($field).+, $name.as_ref().to_owned());
    };
    (id $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name($name: u32), $($field).+, $name);
    };
    (size $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name(bytes: impl Into<u64>), $($field).+, bytes.into());
    };
    (count $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name($name: u64), $($field).+, $name);
    };
    (time $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name(time: Duration), $($field).+, time);
    };
    (fraction $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name($name: f64), $($field).+, Cores($name));
    };
    (flag $doc:tt $name:ident $($field:ident).+) => {
        setter!($doc, $name(), $($field).+, true);
    };
    // These are written by hand in sandbox.rs.
    (own $doc:tt $name:ident $($field:ident).+) => {};
    (special $doc:tt $name:ident) => {};
    (
        [$(#[$doc:meta])*],
        $name:ident($($argument:ident: $type:ty)?),
        $($field:ident).+,
        $value:expr
    ) => {
        $(#[$doc])*
        pub fn $name(self, $($argument: $type)?) -> Sandbox {
            self.with(|policy| policy.$($field).+.put($value))
        }
    };
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident $(at $($field:ident).+)?,)*) => {
        /// # Settings with a single value
        impl Sandbox {
            $(setter!($kind [$(#[doc = $doc])*] $name $($($field).+)?);)*
        }
    };
}
for_each_key!(setters);

macro_rules! entry_setter {
    (plain $doc:tt $Kind:ident $key:ident $($name:ident)*) => {
        entry_setter!($doc, $Kind, $key, $($name)*);
    };
    // These are written by hand in sandbox.rs.
    (own $doc:tt $Kind:ident $key:ident $($name:ident)*) => {};
    ([$(#[$doc:meta])*], $Kind:ident, $key:ident, $($name:ident)*) => {
        #[doc = concat!("Adds a [`", stringify!($Kind), "`](entries::", stringify!($Kind), ").")]
        ///
        $(#[$doc])*
        pub fn $key(self, $($name: impl AsRef<Path>),*) -> Sandbox {
            self.entry(entries::$Kind::new($($name),*))
        }
    };
}

macro_rules! entry_setters {
    ($(
        $(#[doc = $doc:literal])*
        $by:ident $Kind:ident = $key:ident (
            $($(#[doc = $needed_doc:literal])*
            $needed_kind:ident $needed:ident = $needed_key:ident,)*
        ) { $($options:tt)* }
    )*) => {
        /// # Entries of the file system
        impl Sandbox {
            $(entry_setter!($by [$(#[doc = $doc])*] $Kind $key $($needed)*);)*
        }
    };
}
for_each_entry!(entry_setters);
