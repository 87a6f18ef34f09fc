//! The usage of a command, in every face: `seclude::Usage`.

use crate::prose::{docstring, flowing, wrapped};
use seclude::schema::{FIGURES, Figure};

/// The unit of a figure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Time,
    Bytes,
    Number,
}

/// The unit of a figure, and whether it may be missing.
fn kind(figure: &Figure) -> (Unit, bool) {
    let (unit, optional) = match figure.kind.strip_suffix("_if_known") {
        Some(unit) => (unit, true),
        None => (figure.kind, false),
    };
    match unit {
        "time" => (Unit::Time, optional),
        "bytes" => (Unit::Bytes, optional),
        "count" => (Unit::Number, optional),
        unit => panic!("the figure {} has the unknown unit {unit}", figure.name),
    }
}

/// The documentation, with this face's words for the unit and for a figure that was not measured.
fn documented(figure: &Figure, time: &str, unknown: &str) -> String {
    let (unit, optional) = kind(figure);
    let mut text = figure.doc.trim().to_owned();
    let mut add = |sentence: &str| {
        text.push(' ');
        text.push_str(sentence);
    };
    match unit {
        Unit::Time if !time.is_empty() => add(time),
        Unit::Bytes => add("In bytes."),
        Unit::Time | Unit::Number => {}
    }
    if optional {
        add(unknown);
    }
    text
}

/// A few lines for each figure.
fn each(lines: impl Fn(&Figure) -> Vec<String>) -> Vec<String> {
    FIGURES.iter().flat_map(lines).collect()
}

/// The name in C, which includes the unit of a time.
fn c_name(figure: &Figure) -> String {
    let unit = if kind(figure).0 == Unit::Time { "_ns" } else { "" };
    format!("{}{unit}", figure.name)
}

/// Fields of `seclude_outcome`.
pub fn c_fields() -> Vec<String> {
    each(|figure| {
        let text =
            documented(figure, "In nanoseconds.", "`SECLUDE_UNKNOWN` if it was not counted.");
        let mut lines = wrapped("/// ", 4, &text);
        lines.push(format!("pub {}: u64,", c_name(figure)));
        lines
    })
}

/// The values of these fields.
pub fn c_values() -> Vec<String> {
    each(|figure| {
        let value = match kind(figure) {
            (Unit::Time, _) => format!("nanoseconds(usage.{})", figure.name),
            (_, true) => format!("usage.{}.unwrap_or(SECLUDE_UNKNOWN)", figure.name),
            (_, false) => format!("usage.{}", figure.name),
        };
        vec![format!("{}: {value},", c_name(figure))]
    })
}

/// The name and number of each figure for the tests' driver in C, with times in microseconds.
pub fn c_numbers() -> Vec<String> {
    each(|figure| {
        let name = c_name(figure);
        vec![match kind(figure).0 {
            Unit::Time => format!("{{\"{}_us\", outcome->{name} / 1000}},", figure.name),
            Unit::Bytes | Unit::Number => format!("{{\"{name}\", outcome->{name}}},"),
        }]
    })
}

/// Fields that the native part of the Python package passes on.
pub fn native_fields() -> Vec<String> {
    each(|figure| {
        let kind = match kind(figure) {
            (Unit::Time, _) => "f64",
            (_, true) => "Option<u64>",
            (_, false) => "u64",
        };
        vec![format!("{}: {kind},", figure.name)]
    })
}

/// The values of these fields.
pub fn native_values() -> Vec<String> {
    each(|figure| {
        let value = match kind(figure).0 {
            Unit::Time => format!("seconds(usage.{})", figure.name),
            Unit::Bytes | Unit::Number => format!("usage.{}", figure.name),
        };
        vec![format!("{}: {value},", figure.name)]
    })
}

fn python_type(figure: &Figure) -> &'static str {
    match kind(figure) {
        (Unit::Time, _) => "float",
        (_, true) => "int | None",
        (_, false) => "int",
    }
}

/// The same fields for a type checker.
pub fn stub_fields() -> Vec<String> {
    each(|figure| vec![format!("{}: {}", figure.name, python_type(figure))])
}

/// Fields of `seclude.Usage`.
pub fn python_fields() -> Vec<String> {
    each(|figure| {
        let text = documented(figure, "", "None if it was not counted.");
        let mut lines = vec![format!("{}: {}", figure.name, python_type(figure))];
        lines.extend(docstring(&text));
        lines
    })
}

/// A Markdown table.
pub fn table() -> Vec<String> {
    let mut lines = vec!["| figure | unit | meaning |".to_owned(), "|---|---|---|".to_owned()];
    lines.extend(each(|figure| {
        let (unit, optional) = kind(figure);
        let unit = match unit {
            Unit::Time => "time",
            Unit::Bytes => "bytes",
            Unit::Number => "number",
        };
        let unit = if optional { format!("{unit}, if counted") } else { unit.to_owned() };
        let doc = flowing(figure.doc);
        vec![format!("| `{}` | {unit} | {doc} |", figure.name)]
    }));
    lines
}
