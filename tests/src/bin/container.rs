//! Enters an imitated container. The caller has made its namespaces.
//!
//! Usage: `container DESCRIPTION PROGRAM ARGUMENTS`. The description is a
//! [`Container`](seclude_tests::container::Container) in JSON.
#![deny(unsafe_code)]

use seclude_tests::container::{Container, mounts};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, description, program, arguments @ ..] = words.as_slice() else {
        panic!("usage: container DESCRIPTION PROGRAM ARGUMENTS");
    };
    let container: Container = serde_json::from_str(description).expect("a description");
    mounts::build(&container);
    if let Some(filter) = &container.filter {
        // As engines do, before the rights that loading it takes are given up.
        filter.load().expect("the filter is one");
    }
    panic!("{program}: {}", Command::new(program).args(arguments).exec());
}
