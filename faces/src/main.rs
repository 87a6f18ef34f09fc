//! Writes the parts of C, Python, the tests and the documentation that repeat names which the core
//! declares (`seclude::schema`).
//!
//! A file that repeats a declaration marks the place with comments of its own language:
//!
//! ```text
//! // faces: begin figures as C fields
//! ...
//! // faces: end
//! ```
//!
//! This program writes the lines between the two comments and changes nothing else. A format
//! without comments, such as JSON, is written as a whole file. `make faces` runs it. `make lint`
//! runs it with `--check`, which writes nothing and fails if a file differs.

mod container;
mod entries;
mod figures;
mod keys;
mod prose;
mod section;
mod words;

use std::path::Path;
use std::process::ExitCode;
use words::Numbers::{Bits, FromOne, FromZero};
use words::{c_constants, c_names, python_types};

/// The files, their sections, and the functions that write them.
const SECTIONS: &[section::Section] = &[
    ("capi/src/changes.rs", "changes with their names", || c_names("ChangeKind", "CHANGE")),
    ("capi/src/control.rs", "freezers as C constants", || {
        c_constants("Freezer", "FREEZER", "c_int", FromOne)
    }),
    ("capi/src/control.rs", "freezers with their names", || c_names("Freezer", "FREEZER")),
    ("capi/src/files.rs", "plain entries", entries::c_setters),
    ("capi/src/changes.rs", "changes as C constants", || {
        c_constants("ChangeKind", "CHANGE", "c_int", FromOne)
    }),
    ("capi/src/ids.rs", "ids as C constants", || c_constants("Ids", "IDS", "c_int", FromOne)),
    ("capi/src/ids.rs", "ids with their names", || c_names("Ids", "IDS")),
    ("capi/src/isolation.rs", "isolation as C constants", || {
        c_constants("Isolation", "ISOLATION", "c_int", FromOne)
    }),
    ("capi/src/isolation.rs", "isolation with its names", || c_names("Isolation", "ISOLATION")),
    ("capi/src/limits.rs", "plain limits", keys::c_limits),
    ("capi/src/limits.rs", "limits as C constants", || {
        c_constants("Limit", "LIMIT", "c_int", FromZero)
    }),
    ("capi/src/limits.rs", "limits with their names", || c_names("Limit", "LIMIT")),
    ("capi/src/limits.rs", "mechanisms as C constants", || {
        c_constants("Mechanism", "MECHANISM", "c_int", FromOne)
    }),
    ("capi/src/limits.rs", "mechanisms with their names", || c_names("Mechanism", "MECHANISM")),
    ("capi/src/outcome.rs", "ends as C constants", || {
        c_constants("Ended", "ENDED", "i32", FromOne)
    }),
    ("capi/src/outcome.rs", "ends with their names", || c_names("Ended", "ENDED")),
    ("capi/src/outcome.rs", "memory sources as C constants", || {
        c_constants("MemorySource", "MEMORY", "i32", FromOne)
    }),
    ("capi/src/outcome.rs", "memory sources with their names", || {
        c_names("MemorySource", "MEMORY")
    }),
    ("capi/src/outcome.rs", "protections as C constants", || {
        c_constants("Protection", "PROTECTION", "u64", Bits)
    }),
    ("capi/src/outcome.rs", "protections with their names", || c_names("Protection", "PROTECTION")),
    ("capi/src/outcome.rs", "figures as C fields", figures::c_fields),
    ("capi/src/outcome.rs", "figures of a usage", figures::c_values),
    ("capi/src/sandbox.rs", "plain settings", keys::c_settings),
    ("capi/src/seccomp.rs", "comparisons as C constants", || {
        c_constants("Compare", "COMPARE", "c_int", FromOne)
    }),
    ("capi/src/seccomp.rs", "comparisons with their names", || c_names("Compare", "COMPARE")),
    ("capi/src/steps.rs", "steps as C constants", || c_constants("Step", "STEP", "c_int", FromOne)),
    ("capi/src/steps.rs", "steps with their names", || c_names("Step", "STEP")),
    ("docs/errors.md", "steps", || words::table("Step", "step")),
    ("docs/outcomes.md", "ends", || words::table("Ended", "end")),
    ("docs/outcomes.md", "figures", figures::table),
    ("docs/outcomes.md", "protections", || words::table("Protection", "protection")),
    ("docs/policy.md", "entries", entries::list),
    ("docs/policy.md", "keys", keys::table),
    ("python/seclude/__init__.py", "entries as imports", entries::python_imports),
    ("python/seclude/__init__.py", "entries as public names", entries::python_public),
    ("python/seclude/__init__.py", "entries with their module", entries::python_home),
    ("python/seclude/_seclude.pyi", "figures as a dictionary", figures::stub_fields),
    ("python/seclude/files.py", "entries", entries::python),
    ("python/seclude/outcome.py", "the documentation of Ended", words::python_ends),
    ("python/seclude/outcome.py", "figures as a dataclass", figures::python_fields),
    ("python/seclude/policy.py", "keys", keys::python),
    ("python/seclude/vocabulary.py", "names", python_types),
    ("python/src/outcome.rs", "figures as Rust fields", figures::native_fields),
    ("python/src/outcome.rs", "figures of a usage", figures::native_values),
    ("tests/drivers/told.h", "figures as numbers", figures::c_numbers),
];

/// A file that is written as a whole, and the function that gives its lines.
type WholeFile = (&'static str, fn() -> Vec<String>);
const FILES: &[WholeFile] = &[("capi/seccomp/seclude.json", container::profile)];

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: seclude-faces [--check]");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut failed = false;
    for section in SECTIONS {
        match section::write(root, section, check) {
            Ok(true) if check => {
                eprintln!(
                    "{}: \"{}\" is not what the core declares: run `make faces`",
                    section.0, section.1
                );
                failed = true;
            }
            Ok(true) => println!("{}: {}", section.0, section.1),
            Ok(false) => {}
            Err(error) => {
                eprintln!("{}: \"{}\": {error}", section.0, section.1);
                failed = true;
            }
        }
    }
    for (file, lines) in FILES {
        match section::write_whole(&root.join(file), &lines(), check) {
            Ok(true) if check => {
                eprintln!("{file} is not what the core declares: run `make faces`");
                failed = true;
            }
            Ok(true) => println!("{file}"),
            Ok(false) => {}
            Err(error) => {
                eprintln!("{file}: {error}");
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
