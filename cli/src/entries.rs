//! The options for entries of the file system: `--bind SOURCE[:AT][,OPTION...]` and its like. Their
//! values and options are those that the core declares.

use crate::policy::{path_value, quantity};
use crate::status::{Failure, Result};
use seclude::schema::{EntryField, EntryKind};
use serde_json::{Map, Value, json};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The form of an option's value, for the help.
pub fn syntax(kind: &EntryKind) -> String {
    let mut text = match kind.key {
        // The contents come from a file of the host's.
        "file" => "SOURCE:FILE".to_owned(),
        _ => {
            let mut text = String::new();
            for (number, field) in kind.required.iter().enumerate() {
                let name = field.name.to_uppercase();
                match (number, is_place(field)) {
                    (0, _) if field.kind == "paths" => text.push_str("LAYER[:LAYER...]"),
                    (0, _) => text.push_str(&name),
                    (_, true) => text.push_str(&format!("[:{name}]")),
                    (_, false) => text.push_str(&format!(":{name}")),
                }
            }
            text
        }
    };
    for option in kind.optional {
        let value = if option.kind == "flag" { "" } else { "=" };
        text.push_str(&format!("[,{}{value}]", option.key));
    }
    text
}

/// Whether a value has the entry's first value as its default.
fn is_place(field: &EntryField) -> bool {
    field.kind == "place"
}

/// The entry of an option's value, as it stands in a policy.
pub fn read(kind: &EntryKind, given: &OsStr) -> Result<Value> {
    let wrong = |why: &str| {
        Failure::new(format!("--{} {}: {why}; hint: {}", kind.key, given.display(), syntax(kind)))
    };
    let mut parts = split(given.as_bytes(), b',').into_iter();
    let paths = split(&parts.next().unwrap_or_default(), b':');
    let mut paths: Vec<OsString> = paths.iter().map(|path| unescaped(path)).collect();
    let mut entry = Map::new();
    if kind.key == "file" {
        let [source, at] = &paths[..] else { return Err(wrong("two paths are expected")) };
        let data = fs::read(source).map_err(|error| Failure::at(source.display(), &error))?;
        entry.insert("file".into(), path_value(at));
        entry.insert("data".into(), path_value(OsStr::from_bytes(&data)));
    } else {
        // A list takes all paths but those of the other values, and may be empty.
        let list = kind.required.iter().find(|field| field.kind == "paths");
        let least = kind.required.iter().filter(|field| !is_place(field)).count();
        let least = least - usize::from(list.is_some());
        let most = if list.is_some() { usize::MAX } else { kind.required.len() };
        if !(least..=most).contains(&paths.len()) {
            return Err(wrong("the number of paths is wrong"));
        }
        if let Some(list) = list {
            let listed = paths.drain(..paths.len() + 1 - kind.required.len()).map(absolute);
            let listed = listed.map(|path| path.map(|path| path_value(&path)));
            entry.insert(list.key.into(), listed.collect::<Result<Vec<Value>>>()?.into());
        }
        let single = kind.required.iter().filter(|field| field.kind != "paths");
        for (field, path) in single.zip(paths.drain(..)) {
            let path = if field.name == "source" { absolute(path)? } else { path };
            entry.insert(field.key.into(), path_value(&path));
        }
    }
    for part in parts {
        let part = unescaped(&part);
        let text = part.to_str().ok_or_else(|| wrong("an option is not UTF-8"))?;
        let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
        let Some(option) = kind.optional.iter().find(|option| option.key == name) else {
            return Err(wrong(&format!("there is no option {name}")));
        };
        entry.insert(
            name.into(),
            match (option.kind, value) {
                ("flag", None) => json!(true),
                ("flag", Some(_)) => return Err(wrong(&format!("{name} takes no value"))),
                (_, None) => return Err(wrong(&format!("{name} needs a value"))),
                ("mode", Some(mode)) => json!(mode),
                ("directory", Some(path)) => path_value(&absolute(path.into())?),
                (_, Some(value)) => quantity(value),
            },
        );
    }
    Ok(Value::Object(entry))
}

/// A path of the host's, as an absolute one: a policy has no working directory.
fn absolute(path: OsString) -> Result<OsString> {
    std::path::absolute(&path).map(Into::into).map_err(|error| Failure::at(path.display(), &error))
}

/// Splits at every separator that no backslash precedes.
fn split(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let (mut parts, mut escaped) = (vec![Vec::new()], false);
    for byte in text {
        if *byte == separator && !escaped {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(*byte);
        }
        escaped = *byte == b'\\' && !escaped;
    }
    parts
}

/// Removes the backslashes before separators and backslashes.
fn unescaped(text: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escapes = |next: &u8| matches!(next, b',' | b':' | b'\\');
        plain.push(if byte == b'\\' { bytes.next_if(escapes).unwrap_or(byte) } else { byte });
    }
    OsString::from_vec(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seclude::schema::ENTRIES;

    fn entry(key: &str, given: &str) -> std::result::Result<Value, String> {
        let kind = ENTRIES.iter().find(|kind| kind.key == key).unwrap();
        read(kind, OsStr::new(given)).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn entries_are_those_of_a_policy() {
        assert_eq!(entry("bind", "/a").unwrap(), json!({"bind": "/a"}));
        assert_eq!(
            entry("bind", "/a:/b,writable,optional").unwrap(),
            json!({"bind": "/a", "at": "/b", "writable": true, "optional": true})
        );
        assert_eq!(
            entry("tmpfs", "/t,size=64M,mode=0700").unwrap(),
            json!({"tmpfs": "/t", "size": "64M", "mode": "0700"})
        );
        assert_eq!(
            entry("overlay", "/a:/,kept=/k").unwrap(),
            json!({"overlay": "/", "layers": ["/a"], "kept": "/k"})
        );
        assert_eq!(
            entry("overlay", "/a:/b:/,size=1M").unwrap(),
            json!({"overlay": "/", "layers": ["/a", "/b"], "size": "1M"})
        );
        assert_eq!(entry("symlink", "a:/b").unwrap(), json!({"target": "a", "symlink": "/b"}));
        assert_eq!(entry("bind", r"/a\:b\,c").unwrap(), json!({"bind": "/a:b,c"}));
    }

    #[test]
    fn a_mistake_names_the_option_and_its_form() {
        for (key, given, why) in [
            ("bind", "/a:/b:/c", "the number of paths"),
            ("bind", "/a,rw", "there is no option rw"),
            ("tmpfs", "/t,size", "size needs a value"),
            ("bind", "/a,writable=1", "writable takes no value"),
            ("file", "/a", "two paths"),
        ] {
            let error = entry(key, given).unwrap_err();
            assert!(error.contains(why) && error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn the_help_shows_the_declared_values() {
        let bind = ENTRIES.iter().find(|kind| kind.key == "bind").unwrap();
        assert!(syntax(bind).starts_with("SOURCE[:AT][,writable]"), "{}", syntax(bind));
    }
}
