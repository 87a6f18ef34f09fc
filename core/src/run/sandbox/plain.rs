//! The plain setters: one for each key of a plain kind that `policy::keys` declares.

use super::Sandbox;
use crate::policy::{Cores, for_each_key};
use std::path::Path;
use std::time::Duration;

/// A place in a policy that takes a value: of its type, or an option of it.
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
    // Written by hand, in sandbox.rs.
    (own $doc:tt $name:ident $($field:ident).+) => {};
    (special $doc:tt $name:ident) => {};
    ([$(#[$doc:meta])*], $name:ident($($argument:ident: $type:ty)?), $($field:ident).+, $value:expr) => {
        $(#[$doc])*
        pub fn $name(self, $($argument: $type)?) -> Sandbox {
            self.with(|policy| policy.$($field).+.put($value))
        }
    };
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident $(at $($field:ident).+)?,)*) => {
        /// # Settings that are one value
        impl Sandbox {
            $(setter!($kind [$(#[doc = $doc])*] $name $($($field).+)?);)*
        }
    };
}
for_each_key!(setters);
