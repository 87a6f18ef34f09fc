//! `include/seclude.h` is what cbindgen makes of `src`. Drift fails here; SECLUDE_UPDATE_HEADER=1
//! writes the file anew.

use std::path::Path;

/// In the order in which the header tells the story.
const SOURCES: &[&str] = &[
    "version",
    "error",
    "steps",
    "sandbox",
    "limits",
    "seccomp",
    "command",
    "child",
    "terminal",
    "control",
    "listener",
    "learn",
    "transfer",
    "interaction",
    "cell",
    "pool",
    "outcome",
    "output",
    "processes",
    "namespaces",
    "join",
    "doctor",
    "text",
];

fn generate(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let builder =
        SOURCES.iter().fold(cbindgen::Builder::new().with_config(config), |builder, name| {
            builder.with_src(root.join(format!("src/{name}.rs")))
        });
    let mut header = Vec::new();
    builder.generate().expect("the sources parse").write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

#[test]
fn the_header_is_what_the_sources_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (path, header) = (root.join("../include/seclude.h"), generate(root));
    if std::env::var_os("SECLUDE_UPDATE_HEADER").is_some() {
        std::fs::write(&path, &header).expect("include/seclude.h is writable");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let first = header.lines().zip(committed.lines()).find(|(made, found)| made != found);
    assert!(
        header == committed,
        "include/seclude.h is not what src says (first difference: {first:?}); SECLUDE_UPDATE_HEADER=1 cargo test -p seclude-capi"
    );
}

#[test]
fn every_exported_function_is_in_the_header() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = generate(root);
    let mut count = 0;
    for file in std::fs::read_dir(root.join("src"))
        .expect("src")
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"))
    {
        let source = std::fs::read_to_string(file.path()).expect("a source");
        for name in source
            .lines()
            .filter_map(|line| line.split_once("extern \"C\" fn ")?.1.split('(').next())
        {
            assert!(
                header.contains(&format!("{name}(")),
                "{name} of {:?} is not in the header",
                file.file_name()
            );
            count += 1;
        }
    }
    assert!(
        count > 165,
        "only {count} functions were found: has the way they are written changed?"
    );
}
