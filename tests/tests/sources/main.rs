//! Rules for the source code: the layers import only downwards, and `unsafe` stays in the folders
//! that may use it. The tests read the sources, so that no shortcut goes unnoticed.
//!
//! This is a binary of its own because it runs nothing of the library.

use std::fs;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").into()
}

/// The Rust sources below a folder, as (path from the top of the repository, text).
fn sources(folder: &str) -> Vec<(String, String)> {
    fn collect(at: &Path, found: &mut Vec<PathBuf>) {
        for entry in
            fs::read_dir(at).unwrap_or_else(|error| panic!("{}: {error}", at.display())).flatten()
        {
            let path = entry.path();
            match path.is_dir() {
                true => collect(&path, found),
                false if path.extension().is_some_and(|ending| ending == "rs") => found.push(path),
                false => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(&top().join(folder), &mut found);
    assert!(!found.is_empty(), "no sources below {folder}");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(top()).expect("below the top").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a source is text"))
    };
    found.into_iter().map(read).collect()
}

/// The lines that contain `word`, without comment lines.
fn lines_with<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .filter(move |line| line.contains(word))
}

fn assert_none(folder: &str, words: &[&str]) {
    for (name, text) in sources(folder) {
        for word in words {
            let found: Vec<_> = lines_with(&text, word).collect();
            assert!(found.is_empty(), "{name} reaches up: {found:?}");
        }
    }
}

#[test]
fn wire_knows_neither_side() {
    assert_none(
        "core/wire",
        &[
            "crate::sys",
            "crate::policy",
            "crate::control",
            "std::",
            "alloc::",
            "super::super::super",
        ],
    );
}

#[test]
fn the_warden_knows_the_wire_and_nothing_of_the_library() {
    assert_none("core/warden", &["std::", "alloc::", "../src", "seclude::", "libc::", "nix::"]);
}

#[test]
fn the_core_knows_none_of_its_faces() {
    assert_none(
        "core/src",
        &["pyo3", "capi", "seclude_core", "../warden/", "extern \"C\" fn seclude"],
    );
}

/// The wings of the core, from the bottom up. A file uses its own wing and those below it; the last
/// two stand side by side.
const WINGS: [&str; 9] =
    ["wire", "base", "policy", "plan", "host", "run", "lives", "images", "look"];

#[test]
fn each_file_of_the_core_uses_its_own_wing_and_those_below() {
    let height = |wing: &str| WINGS.iter().position(|name| *name == wing);
    let mut seen = 0;
    for (name, text) in sources("core/src") {
        let wing = name.trim_start_matches("core/src/").split(['/', '.']).next().unwrap_or("");
        let Some(own) = height(wing) else {
            assert!(matches!(wing, "lib" | "schema" | "fuzzing"), "{name} is in no wing");
            continue;
        };
        // Tests may use what they test with.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in lines_with(code, "crate::") {
            let path = line.split("crate::").nth(1).unwrap_or_default();
            let used = path.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
            // A public name, such as `crate::Sandbox`, says nothing of the wing.
            let used = height(used).unwrap_or_else(|| panic!("{name}: {line} names no wing"));
            let beside = (wing, WINGS[used]) == ("look", "lives");
            assert!(used <= own && !beside, "{name} reaches up: {line}");
            seen += 1;
        }
    }
    assert!(seen > 300, "only {seen} uses found: this test looks in the wrong place");
}

#[test]
fn the_faces_use_the_public_core_alone() {
    for face in ["capi/src", "cli/src", "python/src"] {
        assert_none(face, &["../core", "include!(", "#[path"]);
    }
}

/// `unsafe` blocks, functions and implementations by folder, and the files that may use them.
#[test]
fn unsafe_stays_in_its_rooms() {
    let rooms = [
        "core/src/host/launch.rs",
        "core/src/host/launch/passage.rs",
        "core/src/host/launch/raw.rs",
        "core/src/host/launch/visit.rs",
        "core/src/host/launch/write.rs",
        "core/src/host/network/tap.rs",
        "core/src/base/sys.rs",
        "core/src/base/sys/",
        "core/warden/sys.rs",
        "core/warden/sys/",
        "capi/src/",
        "python/src/descriptor.rs",
        "python/src/interpreter.rs",
    ];
    let mut seen = 0;
    for folder in ["core/src", "core/wire", "core/warden", "capi/src", "cli/src", "python/src"] {
        for (name, text) in sources(folder) {
            let used = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
                .iter()
                .flat_map(|word| lines_with(&text, word))
                .count();
            let at_home = rooms.iter().any(|room| name.starts_with(room));
            assert!(used == 0 || at_home, "{name} has {used} uses of unsafe");
            seen += used;
        }
    }
    assert!(seen > 50, "only {seen} uses found: this test looks in the wrong place");
}

/// Every `unsafe` block has a comment that says why it is sound.
#[test]
fn each_unsafe_block_of_the_core_says_why() {
    for folder in ["core/src", "core/warden"] {
        for (name, text) in sources(folder) {
            let lines: Vec<&str> = text.lines().collect();
            for (number, line) in lines.iter().enumerate().filter(|(_, line)| {
                line.contains("unsafe {") && !line.trim_start().starts_with("//")
            }) {
                let before = &lines[number.saturating_sub(4)..=number];
                assert!(
                    before.iter().any(|line| line.contains("SAFETY:")),
                    "{name}:{}: {}",
                    number + 1,
                    line.trim()
                );
            }
        }
    }
}

/// A comment has at most 100 columns. rustfmt sees to the code, but not to comments.
#[test]
fn comments_have_at_most_100_columns() {
    let folders =
        ["core", "capi", "cli", "python/src", "faces", "tests/src", "tests/tests", "warden"];
    for (name, text) in folders.into_iter().flat_map(sources) {
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            // An example in a comment keeps the lines that rustfmt gives it.
            let is_prose = code.starts_with("//") && !code.starts_with("///     ");
            let is_long = line.chars().count() > 100;
            assert!(!is_prose || !is_long, "{name}:{}: {code}", number + 1);
        }
    }
}
