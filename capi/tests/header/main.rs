//! `include/seclude.h` is `seclude.h.in` with the declarations that cbindgen generates from `src`.
//!
//! The tests fail when the committed header differs from that. With SECLUDE_UPDATE_HEADER=1 they
//! write it.

mod items;
mod template;

use items::Items;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The source files that declare something for C, by their name without `.rs`.
fn sources() -> BTreeSet<String> {
    let files = std::fs::read_dir(root().join("src")).expect("src can be listed");
    let names = files.map(|file| file.expect("an entry").path()).filter_map(|path| {
        let name = path.file_stem()?.to_str()?.to_owned();
        (path.extension()? == "rs" && name != "lib").then_some(name)
    });
    names.collect()
}

fn source(name: &str) -> String {
    std::fs::read_to_string(root().join(format!("src/{name}.rs"))).expect("the source is readable")
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = sources()
        .iter()
        .fold(builder, |builder, name| builder.with_src(root().join(format!("src/{name}.rs"))));
    let mut declarations = Vec::new();
    builder.generate().expect("the sources parse").write(&mut declarations);
    let declarations = String::from_utf8(declarations).expect("UTF-8");

    let mut items = Items::default();
    for name in sources() {
        items.note_source(&name, &source(&name));
    }
    items.read(&declarations);
    let template = std::fs::read_to_string(root().join("seclude.h.in")).expect("seclude.h.in");
    template::filled(&template, &mut items)
}

#[test]
fn the_header_is_up_to_date() {
    let (path, header): (PathBuf, _) = (root().join("../include/seclude.h"), generate());
    if std::env::var_os("SECLUDE_UPDATE_HEADER").is_some() {
        std::fs::write(&path, &header).expect("include/seclude.h is writable");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let first = header.lines().zip(committed.lines()).find(|(made, found)| made != found);
    assert!(
        header == committed,
        "include/seclude.h is out of date (first difference: {first:?}): run `make faces`"
    );
}

#[test]
fn every_exported_function_is_in_the_header() {
    let header = generate();
    let mut count = 0;
    for name in sources() {
        for function in items::functions(&source(&name)) {
            assert!(header.contains(&format!("{function}(")), "{function} of {name}.rs is missing");
            count += 1;
        }
    }
    assert!(count > 165, "only {count} functions were found: are they written in another way now?");
}

#[test]
fn no_line_of_the_header_is_longer_than_100_columns() {
    let header = generate();
    let long: Vec<&str> = header.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(long.is_empty(), "{long:#?}");
}
