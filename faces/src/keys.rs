//! The keys of a policy (`core/src/policy/keys.rs`), in every face.

use crate::prose::{docstring, flowing, wrapped};
use seclude::Limit;
use seclude::schema::{SETTINGS, Setting};

/// A key of a plain kind: the argument of its setter in C, its conversion for the core, and what
/// the documentation adds.
struct Plain {
    argument: String,
    value: String,
    unit: &'static str,
}

fn plain(setting: &Setting) -> Option<Plain> {
    let name = setting.name;
    let number = |kind: &str| (format!("{name}: {kind}"), name.to_owned(), "");
    let (argument, value, unit) = match setting.kind {
        "text" => {
            (format!("{name}: *const c_char"), format!("utf8(\"{name}\", {name})?"), "UTF-8.")
        }
        "texts" => (
            format!("{name}: *const *const c_char"),
            format!("texts(\"{name}\", {name})?"),
            "The list ends with NULL.",
        ),
        "path" => (format!("{name}: *const c_char"), format!("bytes(\"{name}\", {name})?"), ""),
        "id" => number("u32"),
        "count" => number("u64"),
        "fraction" => number("f64"),
        "size" => ("bytes: u64".into(), "bytes".into(), "In bytes."),
        "time" => (
            "milliseconds: u64".into(),
            "Duration::from_millis(milliseconds)".into(),
            "In milliseconds, 1 or more.",
        ),
        "flag" => (String::new(), String::new(), ""),
        "own" | "special" => return None,
        kind => panic!("the key {name} is of the unknown kind {kind}"),
    };
    Some(Plain { argument, value, unit })
}

/// The documentation, by paragraph.
fn paragraphs(setting: &Setting) -> Vec<String> {
    setting.doc.split("\n\n").map(flowing).filter(|text| !text.is_empty()).collect()
}

/// Whether the key is a limit on the sandbox as a whole. Those are in a file of their own.
fn is_limit(setting: &Setting) -> bool {
    Limit::ALL.iter().any(|limit| limit.name() == setting.name)
}

/// The setters in C of the plain keys: those that are limits, and those that are not.
pub fn c_limits() -> Vec<String> {
    c_setters(is_limit)
}

pub fn c_settings() -> Vec<String> {
    c_setters(|setting| !is_limit(setting))
}

fn c_setters(wanted: fn(&Setting) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| wanted(setting)) {
        let Some(Plain { argument, value, unit }) = plain(setting) else { continue };
        if !lines.is_empty() {
            lines.push(String::new());
        }
        for (place, mut paragraph) in paragraphs(setting).into_iter().enumerate() {
            if place == 0 && !unit.is_empty() {
                paragraph = format!("{paragraph} {unit}");
            }
            if place > 0 {
                lines.push("///".into());
            }
            lines.extend(wrapped("/// ", 0, &paragraph));
        }
        let (name, comma) = (setting.name, if argument.is_empty() { "" } else { ", " });
        lines.push("#[unsafe(no_mangle)]".into());
        lines.push(format!("pub unsafe extern \"C\" fn seclude_sandbox_{name}(sandbox: *mut seclude_sandbox{comma}{argument}) {{"));
        lines.push(format!("    build(sandbox, |sandbox| Ok(sandbox.{name}({value})));"));
        lines.push("}".into());
    }
    lines
}

/// The type in Python, and the value in policies as text, of a key that has a type of its own.
fn own(name: &str) -> (&'static str, &'static str) {
    match name {
        "share" | "unshare" => (
            "Iterable[NamespaceKind]",
            "list of `user` `mount` `pid` `net` `ipc` `uts` `cgroup` `time`",
        ),
        "network" => ("seclude.Network | str", "name"),
        "ids" => ("IdsName", "`\"single\"` `\"range\"` `\"auto\"`"),
        "capabilities" => ("Iterable[str]", "list of names: `net_admin`, `sys_ptrace`"),
        "clock_offsets" => ("Mapping[Clock, int]", "`{\"monotonic\": s, \"boottime\": s}`"),
        "root" => ("Path | seclude.Image", "path"),
        "empty_root" | "terminals" | "landlock" => ("bool", "true, false"),
        "etc" => ("Iterable[str]", "list of names: `ssl/certs`, `java-*`"),
        "files" => ("Iterable[seclude.Entry | Mapping[str, Any]]", "list of tables"),
        "seccomp" => (
            "Profile | seclude.Seccomp | Mapping[str, Any]",
            "`\"default\"` `\"strict\"` `\"nested\"` `\"debug\"` `\"unconfined\"`, or a table",
        ),
        "seccomp_bpf" => ("Iterable[bytes]", "list of data"),
        "tcp_bind" | "tcp_connect" => ("Iterable[int]", "list of ports"),
        "rlimits" => (
            "Mapping[str, Limit | tuple[Limit, Limit]]",
            "`{\"nofile\": n}`, or `[soft, hard]`, or `\"unlimited\"`",
        ),
        "cpu_set" => ("Iterable[int]", "list of numbers"),
        "io" => (
            "Iterable[seclude.Io | Mapping[str, Any]]",
            "list of `{\"path\": \"/\", \"read_bytes\": n, \"write_bytes\": n, \"read_operations\": n, \"write_operations\": n}`: one rate at least",
        ),
        "wall_time_grace" => {
            ("tuple[int, float | str] | Mapping[str, Any]", "`{\"signal\": 15, \"time\": 0.5}`")
        }
        "require" => ("Iterable[LimitName]", "list of limits' names"),
        "best_effort" => ("Iterable[LimitName | IsolationName]", "list of names"),
        name => panic!("the key {name} has no type in Python: name it in faces/src/keys.rs"),
    }
}

/// The type in Python, and the value in policies as text.
fn types(setting: &Setting) -> (&'static str, &'static str) {
    match setting.kind {
        "text" => ("str", "text"),
        "texts" => ("Iterable[str]", "list of texts"),
        "path" => ("Path", "path"),
        "id" | "count" => ("int", "number"),
        "size" => ("int | str", "size: `65536`, `\"64M\"`"),
        "time" => ("float | str", "time: `1.5`, `\"200ms\"`, `\"2m\"`"),
        "fraction" => ("float", "number"),
        "flag" => ("bool", "true"),
        _ => own(setting.name),
    }
}

/// The members of `Policy` in Python.
pub fn python() -> Vec<String> {
    let mut lines = Vec::new();
    for setting in SETTINGS {
        lines.push(format!("{}: {} | None", setting.name, types(setting).0));
        let summary = paragraphs(setting).first().cloned().unwrap_or_default();
        lines.extend(docstring(&summary));
    }
    lines
}

/// A Markdown table.
pub fn table() -> Vec<String> {
    let mut lines = vec!["| key | value | meaning |".to_owned(), "|---|---|---|".to_owned()];
    lines.extend(SETTINGS.iter().map(|setting| {
        let meaning = paragraphs(setting).join(" ");
        format!("| `{}` | {} | {meaning} |", setting.name, types(setting).1)
    }));
    lines
}
