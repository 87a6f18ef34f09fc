//! `seclude isolate`: every option of the judge sandbox isolate has a row. An exact one shows its
//! effect, a refused one its reason. `hostile` has boxes that a program has prepared.
#![deny(unsafe_code)]

mod hostile;
mod rows;

use hostile::HOSTILE;
use rows::{REFUSED, ROWS, Row};
use seclude_tests::caller::{Caller, as_each_at_the_command_line, seclude};
use seclude_tests::scratch;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

/// What the rows begin with. `B` is the program, and `P` the directory that programs see as `/box`.
/// `run` is quiet about how a program ended, and `meta` shows lines of the meta file.
const PRELUDE: &str = r#"
export SECLUDE_ISOLATE_BOXES=$PWD/boxes
P=$("$B" --init)/box
run () { "$B" --silent --run "$@"; }
meta () { keys=$1; shift; run --meta=- "$@" | grep -E "^($keys):"; }
"#;

/// Runs a script of shell in a directory of its own, in which `isolate` is this program.
fn run(script: &str, caller: Caller) -> Output {
    let place = scratch::directory();
    let link = place.path().join("isolate");
    symlink(seclude(), &link).expect("there is room");
    let work = place.path().join("work");
    std::fs::create_dir(&work).expect("there is room");
    caller.own(&work);
    let output = Command::new("bash")
        .args(["-c", &format!("{PRELUDE}\n{script}")])
        .env("B", &link)
        .current_dir(&work)
        .output();
    output.expect("bash is there")
}

/// What is wrong with a row, if anything.
fn fault(row: &Row, caller: Caller) -> Option<String> {
    if row.root_only && caller != Caller::Root {
        return None;
    }
    let output = run(row.script, caller);
    let (told, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let Row { options, script, prints, .. } = row;
    (told != *prints)
        .then(|| format!("{options:?} {script}: {told:?}, not {prints:?}\n{complaints}"))
}

fn check(rows: &[Row], caller: Caller) {
    let faults: Vec<String> = rows.iter().filter_map(|row| fault(row, caller)).collect();
    assert!(faults.is_empty(), "as {caller:?}:\n{}", faults.join("\n"));
}

#[test]
fn every_exact_option_has_its_effect() {
    as_each_at_the_command_line("every_exact_option_has_its_effect", |caller| {
        check(ROWS, caller);
    });
}

#[test]
fn a_hostile_box_changes_nothing_outside() {
    as_each_at_the_command_line("a_hostile_box_changes_nothing_outside", |caller| {
        check(HOSTILE, caller);
    });
}

#[test]
fn every_refused_option_says_why() {
    as_each_at_the_command_line("every_refused_option_says_why", |caller| {
        for (option, value, reason) in REFUSED {
            let output = run(&format!("\"$B\" {option}{value} --run -- /bin/true"), caller);
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{option}: {complaints}");
            let expected = format!("isolate: {option} is refused: ");
            assert!(
                complaints.starts_with(&expected) && complaints.contains(reason),
                "{complaints}"
            );
        }
    });
}

#[test]
fn every_option_of_the_help_has_a_row() {
    let output = run("\"$B\" --help", Caller::present());
    let help = String::from_utf8_lossy(&output.stdout);
    let options: BTreeSet<&str> = help
        .lines()
        .skip_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
        .filter_map(|word| word.split(['=', '[']).next())
        .collect();
    let exact = ROWS.iter().flat_map(|row| row.options.iter().copied());
    let rows: BTreeSet<&str> = exact.chain(REFUSED.iter().map(|(option, ..)| *option)).collect();
    assert_eq!(options, rows);
}

#[test]
fn the_same_options_are_those_of_seclude_isolate() {
    let output = Command::new(seclude()).args(["isolate", "--help"]).output();
    let output = output.expect("it is there");
    assert!(
        String::from_utf8_lossy(&output.stdout)
            .starts_with("usage:\n    seclude isolate [OPTIONS...] --init")
    );
}
