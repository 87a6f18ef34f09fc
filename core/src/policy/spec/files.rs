//! The key `files`: one table for each thing that stands in the file system.

use super::text::{self, Key, path_value};
use crate::base::error::Result;
use crate::policy::{Bind, Entry, Tmpfs};
use serde_json::{Map, Value, json};

pub fn read(key: &Key<'_>) -> Result<Entry> {
    const KINDS: &[&str] = &["bind", "tmpfs", "dir", "symlink", "file"];
    if !key.is_table() {
        let example = r#"such as {"bind": "/opt"}, or {"tmpfs": "/tmp", "size": "64M"}"#;
        return Err(key.unlike("a table of keys").hint(example));
    }
    let kinds: Vec<&str> = KINDS.iter().copied().filter(|kind| key.has(kind)).collect();
    match kinds.as_slice() {
        ["bind"] => {
            let source = key.required("bind")?.path()?;
            let mut bind = Bind::new(&source, &source);
            for (name, key) in key
                .members(&["bind", "at", "writable", "optional", "noexec", "devices", "nofollow"])?
            {
                match name {
                    "at" => bind.at = key.path()?,
                    "writable" => bind.writable = key.flag()?,
                    "optional" => bind.optional = key.flag()?,
                    "noexec" => bind.noexec = key.flag()?,
                    "devices" => bind.devices = key.flag()?,
                    "nofollow" => bind.nofollow = key.flag()?,
                    _ => {}
                }
            }
            Ok(Entry::Bind(bind))
        }
        ["tmpfs"] => {
            let mut tmpfs = Tmpfs::new(key.required("tmpfs")?.path()?);
            for (name, key) in key.members(&["tmpfs", "size", "inodes", "mode", "noexec"])? {
                match name {
                    "size" => tmpfs.size = Some(key.size()?),
                    "inodes" => tmpfs.inodes = Some(key.size()?),
                    "mode" => tmpfs.mode = key.mode()?,
                    "noexec" => tmpfs.noexec = key.flag()?,
                    _ => {}
                }
            }
            Ok(Entry::Tmpfs(tmpfs))
        }
        ["dir"] => {
            key.members(&["dir", "mode"])?;
            Ok(Entry::Dir {
                at: key.required("dir")?.path()?,
                mode: key.optional("mode").map_or(Ok(0o755), |mode| mode.mode())?,
            })
        }
        ["symlink"] => {
            key.members(&["symlink", "target"])?;
            Ok(Entry::Symlink {
                at: key.required("symlink")?.path()?,
                target: key.required("target")?.path()?,
            })
        }
        ["file"] => {
            key.members(&["file", "data", "mode"])?;
            let mode = key.optional("mode").map_or(Ok(0o644), |mode| mode.mode())?;
            Ok(Entry::File {
                at: key.required("file")?.path()?,
                data: key.required("data")?.bytes()?,
                mode,
            })
        }
        [] => {
            let known: Vec<&str> = KINDS
                .iter()
                .copied()
                .chain([
                    "at", "writable", "optional", "noexec", "devices", "nofollow", "size",
                    "inodes", "mode", "target", "data",
                ])
                .collect();
            key.members(&known)?;
            Err(key.wrong("must have one of the keys bind, tmpfs, dir, symlink, file"))
        }
        several => Err(key.wrong(format!(
            "has more than one of the keys that say what it is: {}",
            several.join(", ")
        ))),
    }
}

pub fn write(entry: &Entry) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, differs: bool, value: Value| {
        if differs {
            object.insert(name.into(), value);
        }
    };
    match entry {
        Entry::Bind(Bind { source, at, writable, optional, noexec, devices, nofollow }) => {
            put("bind", true, path_value(source));
            put("at", at != source, path_value(at));
            let flags = [
                ("writable", writable),
                ("optional", optional),
                ("noexec", noexec),
                ("devices", devices),
                ("nofollow", nofollow),
            ];
            for (name, flag) in flags {
                put(name, *flag, json!(true));
            }
        }
        Entry::Tmpfs(Tmpfs { at, size, inodes, mode, noexec }) => {
            put("tmpfs", true, path_value(at));
            put("size", size.is_some(), json!(size));
            put("inodes", inodes.is_some(), json!(inodes));
            put("mode", *mode != 0o1777, text::mode_value(*mode));
            put("noexec", *noexec, json!(true));
        }
        Entry::Dir { at, mode } => {
            put("dir", true, path_value(at));
            put("mode", *mode != 0o755, text::mode_value(*mode));
        }
        Entry::Symlink { at, target } => {
            put("symlink", true, path_value(at));
            put("target", true, path_value(target));
        }
        Entry::File { at, data, mode } => {
            put("file", true, path_value(at));
            put("data", true, text::bytes_value(data));
            put("mode", *mode != 0o644, text::mode_value(*mode));
        }
    }
    Value::Object(object)
}
