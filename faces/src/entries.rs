//! The entries of the file system (`core/src/policy/files.rs`), in every face.

use crate::prose::{flowing, wrapped};
use seclude::schema::{ENTRIES, EntryField, EntryKind};

/// The name of the class in Python. `dir` is a function of Python's own.
fn class(kind: &EntryKind) -> &'static str {
    if kind.variant == "Dir" { "Directory" } else { kind.variant }
}

fn fields(kind: &EntryKind) -> impl Iterator<Item = &'static EntryField> {
    kind.required.iter().chain(kind.optional)
}

fn paragraphs(doc: &str) -> impl Iterator<Item = String> {
    doc.split("\n\n").map(flowing).filter(|text| !text.is_empty())
}

/// The documentation of a value as an item of a list, wrapped below its first line.
fn item(field: &EntryField, name: &str, indentation: usize) -> Vec<String> {
    let text = format!("`{name}`: {}", flowing(field.doc));
    let mut lines = wrapped("  ", indentation, &text);
    lines[0].replace_range(..1, "-");
    lines
}

/// The functions of C that add the plain kinds.
pub fn c_setters() -> Vec<String> {
    let mut lines = Vec::new();
    for kind in ENTRIES.iter().filter(|kind| kind.plain) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut doc: Vec<String> = paragraphs(kind.doc).collect();
        // "A directory …", but "Makes an existing mount read-only".
        if doc[0].starts_with("A ") || doc[0].starts_with("An ") || doc[0].starts_with("The ") {
            doc[0] = format!("Adds {}{}", doc[0][..1].to_lowercase(), &doc[0][1..]);
        }
        for paragraph in doc {
            lines.extend(wrapped("/// ", 0, &in_c(&paragraph)));
            lines.push("///".into());
        }
        for field in fields(kind) {
            let of_c = item(field, field.name, 4).iter().map(|line| in_c(line)).collect::<Vec<_>>();
            lines.extend(of_c.iter().map(|line| format!("/// {line}")));
        }
        let key = kind.key;
        let arguments: String =
            fields(kind).map(|field| format!(", {}", c_argument(field))).collect();
        lines.push("#[unsafe(no_mangle)]".into());
        lines.push(format!(
            "pub unsafe extern \"C\" fn seclude_sandbox_{key}\
             (sandbox: *mut seclude_sandbox{arguments}) {{"
        ));
        let required: Vec<String> = kind
            .required
            .iter()
            .map(|field| format!("bytes(\"{} of {key}\", {})?", field.name, field.name))
            .collect();
        let optional: String =
            kind.optional.iter().map(|field| format!(".{0}({0})", field.name)).collect();
        lines.push(format!(
            "    build(sandbox, |sandbox| Ok(sandbox.entry(seclude_core::{}::new({}){optional})));",
            kind.variant,
            required.join(", ")
        ));
        lines.push("}".into());
    }
    lines
}

fn c_argument(field: &EntryField) -> String {
    match field.kind {
        "path" => format!("{}: *const c_char", field.name),
        "mode" => format!("{}: u32", field.name),
        kind => panic!("a plain kind of entry has no value of the kind {kind}"),
    }
}

/// Octal numbers as C writes them. Nothing has a default in C.
fn in_c(text: &str) -> String {
    text.replace("0o", "0").replace("Default: ", "Usual: ")
}

/// The classes in Python.
pub fn python() -> Vec<String> {
    let mut lines = Vec::new();
    for kind in ENTRIES {
        lines.extend([
            "@dataclass(frozen=True, slots=True)".into(),
            format!("class {}(EntryPart):", class(kind)),
        ]);
        for (place, paragraph) in paragraphs(kind.doc).enumerate() {
            let quotes = if place == 0 { "\"\"\"" } else { "" };
            lines.extend(wrapped("    ", 0, &format!("{quotes}{paragraph}")));
            lines.push(String::new());
        }
        for field in fields(kind) {
            let of_python = item(field, field.name, 4);
            lines.extend(of_python.iter().map(|line| format!("    {line}")));
        }
        lines.extend(["    \"\"\"".into(), String::new()]);
        let renamed: Vec<String> = fields(kind)
            .filter(|field| field.name != field.key)
            .map(|field| format!("\"{}\": \"{}\"", field.name, field.key))
            .collect();
        lines.push(format!("    _keys: ClassVar = {{{}}}", renamed.join(", ")));
        lines.push(String::new());
        for field in fields(kind) {
            lines.push(format!("    {}: {}", field.name, python_type(field)));
        }
        lines.extend([String::new(), String::new()]);
    }
    let classes: Vec<&str> = ENTRIES.iter().map(class).collect();
    // One name a line, as ruff writes what is too long for one.
    lines.push("Entry: TypeAlias = (".into());
    lines.push(format!("    {}", classes[0]));
    lines.extend(classes[1..].iter().map(|class| format!("    | {class}")));
    lines.push(")".into());
    lines.push("\"\"\"An entry of the file system.\"\"\"".into());
    lines.push(String::new());
    lines.extend(classes.iter().map(|class| format!("{} = {class}", class.to_lowercase())));
    lines
}

fn python_type(field: &EntryField) -> &'static str {
    match field.kind {
        "path" => "Path",
        "paths" => "Sequence[Path]",
        "place" => "Path | None = None",
        "data" => "str | bytes",
        "flag" => "bool = field(default=False, kw_only=True)",
        "size" => "int | str | None = None",
        "count" | "mode" => "int | None = None",
        "directory" => "Path | None = None",
        "text" => "str | None = None",
        kind => panic!("the value {} is of the unknown kind {kind}", field.name),
    }
}

/// The public names in Python: the classes in the order of isort, then their lower-case names.
fn python_names() -> Vec<String> {
    let mut classes: Vec<String> = ENTRIES.iter().map(|kind| class(kind).to_owned()).collect();
    let mut functions: Vec<String> = classes.iter().map(|class| class.to_lowercase()).collect();
    classes.push("Entry".into());
    classes.sort();
    functions.sort();
    classes.append(&mut functions);
    classes
}

pub fn python_imports() -> Vec<String> {
    let mut lines = vec!["from .files import (".to_owned()];
    lines.extend(python_names().iter().map(|name| format!("    {name},")));
    // isort leaves an empty line before the comment that ends the section.
    lines.extend([")".into(), String::new()]);
    lines
}

pub fn python_public() -> Vec<String> {
    let mut lines = vec!["__all__ += [".to_owned()];
    lines.extend(python_names().iter().map(|name| format!("    \"{name}\",")));
    lines.push("]".into());
    lines
}

pub fn python_home() -> Vec<String> {
    let room = wrapped("", 12, &python_names().join(" "));
    let texts: Vec<String> = room
        .iter()
        .enumerate()
        .map(|(place, line)| format!("\"{}{line}\"", if place == 0 { "" } else { " " }))
        .collect();
    // ruff leaves it in one line where that fits, with an indentation of 4.
    let one = format!("\".files\": ({}),", texts.concat());
    if texts.len() == 1 && one.len() <= 96 {
        return vec![one];
    }
    let mut lines = vec!["\".files\": (".to_owned()];
    lines.extend(texts.iter().map(|text| format!("    {text}")));
    lines.push("),".into());
    lines
}

/// A list for people: each kind as a table with its required keys, and what each key means.
pub fn list() -> Vec<String> {
    let mut lines = Vec::new();
    for kind in ENTRIES {
        let required = |field: &EntryField| match field.kind {
            "path" => Some(format!("\"{}\": path", field.key)),
            "paths" => Some(format!("\"{}\": [path, …]", field.key)),
            "data" => Some(format!("\"{}\": text", field.key)),
            _ => None,
        };
        // The key that names the kind comes first.
        let (own, others): (Vec<_>, Vec<_>) =
            kind.required.iter().partition(|field| field.key == kind.key);
        let keys: Vec<String> = own.into_iter().chain(others).filter_map(required).collect();
        let doc: Vec<String> = paragraphs(kind.doc).collect();
        let text = format!("`{{{}}}`: {}", keys.join(", "), doc.join(" "));
        let mut head = wrapped("  ", 0, &text);
        head[0].replace_range(..1, "-");
        lines.extend(head);
        for field in fields(kind) {
            lines.extend(item(field, field.key, 2).iter().map(|line| format!("  {line}")));
        }
    }
    lines
}
