//! `seclude bwrap`: every option of bubblewrap has a row. An exact one shows its effect, a refused
//! one its reason.
//!
//! The command `seclude` is another crate's. Without it these tests are skipped and say so:
//! `cargo build -p seclude-cli` builds it.
#![deny(unsafe_code)]

mod rows;

use rows::{REFUSED, ROWS, Row};
use seclude_tests::caller::{Caller, as_each, find};
use seclude_tests::scratch;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

/// What the rows begin with. `B` is the program, and `R` shows the host, with the row's own
/// directory writable. `kind` tells whether a namespace is the caller's.
const PRELUDE: &str = r#"
R="--ro-bind / / --bind $PWD $PWD"
kind () {
    outside=$(readlink /proc/self/ns/$1)
    inside=$("$B" $R --proc /proc $2 readlink /proc/self/ns/$1)
    if [ "$inside" = "$outside" ]; then echo shared; elif [ -n "$inside" ]; then echo own; fi
}
"#;

/// Runs a script of shell in a directory of its own, in which `bwrap` is this program.
fn run(script: &str, caller: Caller) -> Option<Output> {
    let Some(program) = find("seclude") else {
        eprintln!("SKIPPED: there is no seclude here; cargo build -p seclude-cli builds it");
        return None;
    };
    let place = scratch::directory();
    let link = place.path().join("bwrap");
    symlink(program, &link).expect("there is room");
    let work = place.path().join("work");
    std::fs::create_dir(&work).expect("there is room");
    caller.own(&work);
    let output = Command::new("bash")
        .args(["-c", &format!("{PRELUDE}\n{script}")])
        .env("B", &link)
        .env("HOME", "/")
        .current_dir(&work)
        .output();
    Some(output.expect("bash is there"))
}

/// What is wrong with a row, if anything.
fn fault(row: &Row, caller: Caller) -> Option<String> {
    if row.root_only && caller != Caller::Root {
        return None;
    }
    let output = run(row.script, caller)?;
    let (told, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let Row { options, prints, .. } = row;
    (told != *prints).then(|| format!("{options:?}: {told:?}, not {prints:?}\n{complaints}"))
}

#[test]
fn every_exact_option_has_its_effect() {
    as_each("every_exact_option_has_its_effect", |caller| {
        let faults: Vec<String> = ROWS.iter().filter_map(|row| fault(row, caller)).collect();
        assert!(faults.is_empty(), "as {caller:?}:\n{}", faults.join("\n"));
    });
}

#[test]
fn every_refused_option_says_why() {
    as_each("every_refused_option_says_why", |caller| {
        for (option, values, reason) in REFUSED {
            let Some(output) = run(&format!("\"$B\" $R {option} {values} true"), caller) else {
                return;
            };
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{option}: {complaints}");
            let expected = format!("bwrap: {option} is refused: ");
            assert!(
                complaints.starts_with(&expected) && complaints.contains(reason),
                "{complaints}"
            );
        }
    });
}

#[test]
fn every_option_of_the_help_has_a_row() {
    let Some(output) = run("\"$B\" --help", Caller::present()) else { return };
    let help = String::from_utf8_lossy(&output.stdout);
    let options: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().split(' ').next())
        .filter(|word| word.starts_with("--"))
        .collect();
    let exact = ROWS.iter().flat_map(|row| row.options.iter().copied());
    let rows: BTreeSet<&str> = exact.chain(REFUSED.iter().map(|(option, ..)| *option)).collect();
    assert_eq!(options, rows);
}

#[test]
fn the_same_options_are_those_of_seclude_bwrap() {
    let Some(program) = find("seclude") else { return };
    let help = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).output().expect("it is there");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(help(&["bwrap", "--help"]).starts_with("usage: seclude bwrap [OPTIONS...]"));
    assert_eq!(help(&["bwrap", "--ro-bind", "/", "/", "echo", "--dir"]), "--dir\n");
    assert!(Path::new("/").is_dir());
}
