//! Runs a program where no namespace can be made: behind the filter that Docker loads by default.
//!
//! Usage: `denied PROGRAM ARGUMENTS`. Only root can load such a filter without `no_new_privs`.
#![deny(unsafe_code)]

use seclude_tests::container::engines;
use std::os::unix::process::CommandExt;
use std::process::Command;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().expect("usage: denied PROGRAM ARGUMENTS");
    engines::docker(false).load().expect("root may load a filter");
    let error = Command::new(&program).args(words).exec();
    panic!("{}: {error}", program.display());
}
