//! The declarations that cbindgen writes, one by one, each with the source file it comes from.
//!
//! cbindgen puts all constants first, then all types, then all functions. The header has them by
//! subject, so its template needs to pick them out.

use std::collections::BTreeMap;

/// The longest line of the header.
const COLUMNS: usize = 100;

/// The macro that cbindgen.toml puts before the functions that are `#[must_use]` in Rust.
const MUST_USE: &str = "SECLUDE_WARN_UNUSED";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Constant,
    /// A type without visible fields.
    Object,
    /// A type whose fields C sees.
    Struct,
    Function,
}

#[derive(Clone, Debug)]
pub struct Item {
    pub kind: Kind,
    pub name: String,
    /// The source file, without `.rs`.
    pub file: String,
    /// The lines of the documentation, without comment signs.
    pub doc: Vec<String>,
    declaration: String,
}

#[derive(Default)]
pub struct Items {
    /// In the order of cbindgen, which within one file is that of the file.
    list: Vec<Item>,
    /// The file of each name.
    files: BTreeMap<String, String>,
    /// The values that the sources write in hexadecimal. cbindgen writes every number in decimal.
    hexadecimal: BTreeMap<String, String>,
}

/// The names of the exported functions of a source.
pub fn functions(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.split_once("extern \"C\" fn ")?.1.split('(').next())
}

/// The name that follows one of these prefixes at the beginning of a line.
fn declared<'a>(line: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    let rest = prefixes.iter().find_map(|prefix| line.strip_prefix(prefix))?;
    rest.split(|letter: char| letter != '_' && !letter.is_alphanumeric()).next()
}

impl Items {
    /// Notes the file and the hexadecimal values of everything that a source declares.
    pub fn note_source(&mut self, file: &str, source: &str) {
        for line in source.lines() {
            if let Some(name) = declared(line, &["pub const ", "pub struct "]) {
                self.files.insert(name.to_owned(), file.to_owned());
                let value = line.split_once("= ").map_or("", |(_, value)| value);
                if value.starts_with("0x") {
                    let digits = value.trim_end_matches(';').replace('_', "");
                    self.hexadecimal.insert(name.to_owned(), digits);
                }
            }
        }
        for name in functions(source) {
            self.files.insert(name.to_owned(), file.to_owned());
        }
    }

    /// Reads the output of cbindgen: declarations with a blank line between them.
    pub fn read(&mut self, declarations: &str) {
        for block in declarations.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
            let item = self.item(block);
            self.list.push(item);
        }
    }

    fn item(&self, block: &str) -> Item {
        let (doc, declaration) =
            match block.strip_prefix("/**\n").map(|rest| rest.split_once(" */\n")) {
                Some(Some((doc, declaration))) => (doc, declaration),
                _ => ("", block),
            };
        let doc = doc.lines().map(|line| without_star(line).to_owned());
        let (kind, name) = if let Some(constant) = declared(declaration, &["#define "]) {
            (Kind::Constant, constant)
        } else if declaration.starts_with("typedef") {
            let kind = if declaration.contains('{') { Kind::Struct } else { Kind::Object };
            (kind, declaration.trim_end_matches(';').rsplit([' ', '}']).next().unwrap_or_default())
        } else {
            let (before, _) = declaration.split_once('(').expect("a function");
            (Kind::Function, before.rsplit([' ', '*']).next().unwrap_or_default())
        };
        let file = self.files.get(name).unwrap_or_else(|| panic!("no source declares {name}"));
        let mut item = Item {
            kind,
            name: name.to_owned(),
            file: file.clone(),
            doc: doc.collect(),
            declaration: declaration.to_owned(),
        };
        item.declaration = match kind {
            Kind::Constant => self.constant(&item),
            Kind::Object => declaration.to_owned(),
            // The type names stand together at the head of the header.
            Kind::Struct => short_comments(
                &declaration
                    .replace("typedef struct {", &format!("struct {name} {{"))
                    .replace(&format!("}} {name};"), "};"),
            ),
            Kind::Function => function(declaration),
        };
        item
    }

    /// A constant. Flags are in hexadecimal, as in the source. A negative number is in parentheses,
    /// so that it is a single operand in any expression.
    fn constant(&self, item: &Item) -> String {
        let name = &item.name;
        let value = item.declaration.rsplit(' ').next().unwrap_or_default();
        match self.hexadecimal.get(name) {
            Some(digits) => format!("#define {name} {digits}"),
            None if value.starts_with('-') => format!("#define {name} ({value})"),
            None => item.declaration.clone(),
        }
    }

    /// Takes the items of one kind and file whose names begin with `prefix`, in their order.
    pub fn take(&mut self, kind: Kind, file: &str, prefix: &str) -> Vec<Item> {
        let (taken, left) = std::mem::take(&mut self.list).into_iter().partition(|item| {
            item.kind == kind && item.file == file && item.name.starts_with(prefix)
        });
        self.list = left;
        taken
    }

    pub fn types(&self) -> impl Iterator<Item = &Item> {
        self.list.iter().filter(|item| matches!(item.kind, Kind::Object | Kind::Struct))
    }

    /// The names of the items that were not taken.
    pub fn names(&self) -> Vec<&str> {
        self.list.iter().map(|item| item.name.as_str()).collect()
    }
}

impl Item {
    /// The declaration below its documentation.
    pub fn text(&self) -> String {
        format!("{}{}\n", comment(&self.doc, ""), self.declaration)
    }

    /// The first paragraph of the documentation.
    pub fn summary(&self) -> Vec<String> {
        self.doc.iter().take_while(|line| !line.is_empty()).cloned().collect()
    }
}

/// A documentation comment behind `indentation`, on one line if it has room there.
pub fn comment(doc: &[String], indentation: &str) -> String {
    match doc {
        [] => String::new(),
        [line] if indentation.len() + "/**  */".len() + line.len() <= COLUMNS => {
            format!("{indentation}/** {line} */\n")
        }
        lines => {
            let line =
                |line: &String| format!("{indentation} * {line}").trim_end().to_owned() + "\n";
            let lines: String = lines.iter().map(line).collect();
            format!("{indentation}/**\n{lines}{indentation} */\n")
        }
    }
}

/// The text of a line inside a comment.
fn without_star(line: &str) -> &str {
    let text = line.trim_start().strip_prefix('*').unwrap_or(line);
    text.strip_prefix(' ').unwrap_or(text)
}

/// The comments of the fields of a structure, on one line where there is room.
fn short_comments(structure: &str) -> String {
    const INDENTATION: &str = "    ";
    let mut out = String::new();
    let mut doc: Option<Vec<String>> = None;
    for line in structure.lines() {
        match (&mut doc, line.trim()) {
            (None, "/**") => doc = Some(Vec::new()),
            (Some(lines), "*/") => {
                out.push_str(&comment(lines, INDENTATION));
                doc = None;
            }
            (Some(lines), _) => lines.push(without_star(line).to_owned()),
            (None, _) => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out.trim_end().to_owned()
}

/// A function with its attribute on a line of its own, and with lines of at most 100 columns.
fn function(declaration: &str) -> String {
    let (attribute, rest) = match declaration.strip_prefix(MUST_USE) {
        Some(rest) => (format!("{MUST_USE}\n"), rest.trim_start()),
        None => (String::new(), declaration),
    };
    let (head, parameters) = rest.split_once('(').expect("a function has parameters");
    let indentation = head.chars().count() + 1;
    let mut lines = vec![format!("{head}(")];
    for parameter in parameters.split_inclusive(", ") {
        let line = lines.last_mut().expect("there is one");
        if line.len() > indentation && line.len() + parameter.trim_end().len() > COLUMNS {
            lines.push(format!("{}{parameter}", " ".repeat(indentation)));
        } else {
            line.push_str(parameter);
        }
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    format!("{attribute}{}", lines.join("\n"))
}
