//! Writes what C, Python, the tests and the documentation say of names that the core declares (`seclude::schema`).
//!
//! A file that repeats a declaration marks the place, in a comment of its own language:
//!
//! ```text
//! // faces: begin figures as C fields
//! ...
//! // faces: end
//! ```
//!
//! What stands between the two lines is written here, and nothing else in the file is touched. `make faces` writes;
//! `make lint` runs it with `--check`, which writes nothing and fails where a file says something else.

mod figures;
mod prose;
mod section;

use std::path::Path;
use std::process::ExitCode;

/// Which file has which section.
const SECTIONS: &[section::Section] = &[
    ("capi/src/outcome.rs", "figures as C fields", figures::c_fields),
    ("capi/src/outcome.rs", "figures of a usage", figures::c_values),
    ("docs/limits.md", "figures", figures::table),
    ("python/src/outcome.rs", "figures as Rust fields", figures::native_fields),
    ("python/src/outcome.rs", "figures of a usage", figures::native_values),
    ("python/seclude/_seclude.pyi", "figures as a dictionary", figures::stub_fields),
    ("python/seclude/outcome.py", "figures as a dataclass", figures::python_fields),
    ("tests/drivers/told.h", "figures as numbers", figures::c_numbers),
];

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
                eprintln!("{}: \"{}\" is not what the core declares: run `make faces`", section.0, section.1);
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
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
