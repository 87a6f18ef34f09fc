//! The key `files`: a list with one table for each entry of the file system.

use super::text::{self, Key, path_value};
use crate::base::declared::{EntryField, EntryKind};
use crate::base::error::Result;
use crate::policy::{Entry, entries, for_each_entry};
use serde_json::{Map, Value, json};

/// Reads a required value. `$own` is the key that names the kind of the entry.
macro_rules! required {
    (path $table:ident $name:expr, $own:expr) => {
        $table.required($name)?.path()?
    };
    // The check of the policy tells whether there may be none.
    (paths $table:ident $name:expr, $own:expr) => {{
        let items = $table.optional($name).map_or_else(|| Ok(Vec::new()), |list| list.items())?;
        items.iter().map(Key::path).collect::<Result<Vec<_>>>()?
    }};
    (place $table:ident $name:expr, $own:expr) => {
        $table.optional($name).unwrap_or($table.required($own)?).path()?
    };
    (data $table:ident $name:expr, $own:expr) => {
        $table.required($name)?.bytes()?
    };
}

/// Reads an optional value that is given.
macro_rules! optional {
    (flag $value:ident) => {
        $value.flag()?
    };
    (directory $value:ident) => {
        Some($value.path()?)
    };
    (text $value:ident) => {
        Some($value.text()?.to_owned())
    };
    (size $value:ident) => {
        Some($value.size()?)
    };
    (count $value:ident) => {
        Some($value.size()?)
    };
    (mode $value:ident) => {
        $value.mode()?
    };
}

/// Writes a required value. A place is left out if it is the path under the entry's own key.
macro_rules! write_required {
    (path $table:ident $name:expr, $own:expr, $value:expr) => {
        $table.insert($name.into(), path_value($value));
    };
    (paths $table:ident $name:expr, $own:expr, $value:expr) => {
        let paths: Vec<Value> = $value.iter().map(|path| path_value(path)).collect();
        if !paths.is_empty() {
            $table.insert($name.into(), paths.into());
        }
    };
    (place $table:ident $name:expr, $own:expr, $value:expr) => {
        if $table.get($own) != Some(&path_value($value)) {
            $table.insert($name.into(), path_value($value));
        }
    };
    (data $table:ident $name:expr, $own:expr, $value:expr) => {
        $table.insert($name.into(), text::bytes_value($value));
    };
}

macro_rules! written {
    (directory $value:expr) => {
        json!($value.as_deref().map(path_value))
    };
    (mode $value:expr) => {
        text::mode_value($value)
    };
    ($kind:ident $value:expr) => {
        json!($value)
    };
}

macro_rules! text_forms {
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
        /// The keys that say which kind of entry a table describes.
        const KINDS: &[&str] = &[$(stringify!($key)),*];
        /// The keys of every kind.
        const KEYS: &[&str] = &[$($(stringify!($needed_key),)* $(stringify!($option),)*)*];

        /// Every kind of entry, for the other languages.
        pub const ENTRIES: &[EntryKind] = &[$(EntryKind {
            variant: stringify!($Kind),
            key: stringify!($key),
            plain: matches!(stringify!($by).as_bytes(), b"plain"),
            doc: concat!($($doc, "\n"),*),
            required: &[$(EntryField {
                name: stringify!($needed),
                key: stringify!($needed_key),
                kind: stringify!($needed_kind),
                doc: concat!($($needed_doc, "\n"),*),
            },)*],
            optional: &[$(EntryField {
                name: stringify!($option),
                key: stringify!($option),
                kind: stringify!($option_kind),
                doc: concat!($($option_doc, "\n"),*),
            },)*],
        },)*];

        /// Reads an entry of the kind that has this key, or `None` if no kind has it.
        fn read_kind(kind: &str, table: &Key<'_>) -> Result<Option<Entry>> {
            $(if kind == stringify!($key) {
                table.members(&[$(stringify!($needed_key),)* $(stringify!($option),)*])?;
                #[allow(unused_mut)]
                let mut entry = entries::$Kind::new($(required!(
                    $needed_kind table stringify!($needed_key), stringify!($key)
                )),*);
                $(if let Some(value) = table.optional(stringify!($option)) {
                    entry.$option = optional!($option_kind value);
                })*
                return Ok(Some(entry.into()));
            })*
            Ok(None)
        }

        /// Writes an entry without the optional values that have their default.
        pub fn write(entry: &Entry) -> Value {
            let mut table = Map::new();
            match entry {
                $(Entry::$Kind(entry) => {
                    $(write_required!(
                        $needed_kind table
                        stringify!($needed_key), stringify!($key), &entry.$needed
                    );)*
                    let _usual = entries::$Kind::new($(entry.$needed.clone()),*);
                    $(if entry.$option != _usual.$option {
                        table.insert(
                            stringify!($option).into(),
                            written!($option_kind entry.$option),
                        );
                    })*
                })*
            }
            Value::Object(table)
        }
    };
}
for_each_entry!(text_forms);

pub fn read(table: &Key<'_>) -> Result<Entry> {
    if !table.is_table() {
        let example = r#"such as {"bind": "/opt"}, or {"tmpfs": "/tmp", "size": "64M"}"#;
        return Err(table.unlike("a table of keys").hint(example));
    }
    let kinds: Vec<&str> = KINDS.iter().copied().filter(|kind| table.has(kind)).collect();
    let unknown = || table.wrong(format!("must have one of the keys {}", KINDS.join(", ")));
    match kinds.as_slice() {
        [] => table.members(KEYS).and_then(|_| Err(unknown())),
        [kind] => read_kind(kind, table)?.ok_or_else(unknown),
        several => Err(table.wrong(format!(
            "has more than one of the keys that say what it is: {}",
            several.join(", ")
        ))),
    }
}
