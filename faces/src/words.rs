//! Closed sets of names, in every face.

use crate::prose::{flowing, wrapped};
use seclude::schema::{VOCABULARIES, Word};

/// How C numbers the words of a set.
#[derive(Clone, Copy)]
pub enum Numbers {
    /// 0, 1, 2: places in an array.
    FromZero,
    /// 1, 2, 3: 0 is none of them.
    FromOne,
    /// 1, 2, 4: bits of a set.
    Bits,
}

impl Numbers {
    fn of(self, place: usize) -> String {
        match self {
            Numbers::FromZero => place.to_string(),
            Numbers::FromOne => (place + 1).to_string(),
            Numbers::Bits => format!("{:#x}", 1u64 << place),
        }
    }
}

fn words(set: &str) -> &'static [Word] {
    let found = VOCABULARIES.iter().find(|vocabulary| vocabulary.name == set);
    found.unwrap_or_else(|| panic!("the core has no vocabulary {set}")).words
}

/// `CgroupV2` as C writes a constant: `CGROUP_V2`.
fn screaming(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Constants, `SECLUDE_<prefix>_<WORD>`.
pub fn c_constants(set: &str, prefix: &str, kind: &str, numbers: Numbers) -> Vec<String> {
    let constant = |(place, word): (usize, &Word)| {
        let mut lines = wrapped("/// ", 0, word.doc);
        let name = screaming(word.variant);
        lines.push(format!("pub const SECLUDE_{prefix}_{name}: {kind} = {};", numbers.of(place)));
        lines
    };
    words(set).iter().enumerate().flat_map(constant).collect()
}

/// A table of them with their names.
pub fn c_names(set: &str, prefix: &str) -> Vec<String> {
    let row = |word: &Word| {
        format!("(SECLUDE_{prefix}_{}, c\"{}\"),", screaming(word.variant), word.name)
    };
    words(set).iter().map(row).collect()
}

/// Types of Python's that have the names of a set as their values.
pub fn python_types() -> Vec<String> {
    let types = [
        ("ChangeKind", "ChangeKind"),
        ("Clock", "Clock"),
        ("Compare", "Compare"),
        ("Ended", "EndedName"),
        ("Freezer", "Freezer"),
        ("Ids", "IdsName"),
        ("Isolation", "IsolationName"),
        ("Limit", "LimitName"),
        ("Mechanism", "Mechanism"),
        ("MemorySource", "MemorySource"),
        ("Namespace", "NamespaceKind"),
        ("Profile", "Profile"),
        ("Protection", "Protection"),
        ("Step", "Step"),
    ];
    types.iter().flat_map(|(set, name)| python_type(set, name)).collect()
}

fn python_type(set: &str, name: &str) -> Vec<String> {
    /// As ruff breaks lines: python/pyproject.toml.
    const COLUMNS: usize = 100;
    let quoted: Vec<String> = words(set).iter().map(|word| format!("\"{}\"", word.name)).collect();
    let line = format!("{name}: TypeAlias = Literal[{}]", quoted.join(", "));
    if line.len() <= COLUMNS {
        return vec![line];
    }
    let mut lines = vec![format!("{name}: TypeAlias = Literal[")];
    lines.extend(quoted.iter().map(|word| format!("    {word},")));
    lines.push("]".to_owned());
    lines
}

/// The docstring of Python's `Ended`.
pub fn python_ends() -> Vec<String> {
    let item = |word: &Word| {
        let mut lines = wrapped("  ", 4, &format!("`{}`: {}", word.name, word.doc.trim()));
        lines[0].replace_range(..1, "-");
        lines
    };
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let mut all = lines(
        "\"\"\"How a command ended: one of a closed set, by `name`. The cases never overlap.\n\n",
    );
    all.extend(words("Ended").iter().flat_map(item));
    all.extend(lines(
        "\n`value` is None where an end has none; of `syscall` it is the call's name. `match ended:` with\n\
        `case Ended(\"exited\", code)` works; `str()` is a sentence's end: `killed by SIGSEGV`.\n\
        \"\"\"\n\n",
    ));
    all
}

/// A table for people.
pub fn table(set: &str, heading: &str) -> Vec<String> {
    let mut lines = vec![format!("| {heading} | meaning |"), "|---|---|".to_owned()];
    lines.extend(words(set).iter().map(|word| {
        let doc = flowing(word.doc);
        format!("| `{}` | {} |", word.name, doc.replace('|', "\\|"))
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::screaming;

    #[test]
    fn constants_are_spelt_as_c_spells_them() {
        for (variant, name) in
            [("CgroupV2", "CGROUP_V2"), ("Memory", "MEMORY"), ("ReadOnlyRoot", "READ_ONLY_ROOT")]
        {
            assert_eq!(screaming(variant), name);
        }
    }
}
