//! `seclude isolate`: every option of the judge sandbox isolate has a row. An exact one shows its
//! effect, a refused one its reason. `hostile` has boxes that a program has prepared.
#![deny(unsafe_code)]

mod hostile;
mod rows;

use hostile::HOSTILE;
use rows::{REFUSED, ROWS};
use seclude_tests::caller::{Caller, as_each_at_the_command_line, seclude};
use seclude_tests::front::Front;
use std::process::Command;

/// `P` is the directory that programs see as `/box`. `run` is quiet about how a program ended, and
/// `meta` shows lines of the meta file.
const ISOLATE: Front = Front {
    name: "isolate",
    prelude: r#"
export SECLUDE_ISOLATE_BOXES=$PWD/boxes
P=$("$B" --init)/box
run () { "$B" --silent --run "$@"; }
meta () { keys=$1; shift; run --meta=- "$@" | grep -E "^($keys):"; }
"#,
};

#[test]
fn every_exact_option_has_its_effect() {
    as_each_at_the_command_line("every_exact_option_has_its_effect", |caller| {
        ISOLATE.check(ROWS, caller);
    });
}

#[test]
fn a_hostile_box_changes_nothing_outside() {
    as_each_at_the_command_line("a_hostile_box_changes_nothing_outside", |caller| {
        ISOLATE.check(HOSTILE, caller);
    });
}

#[test]
fn every_refused_option_says_why() {
    as_each_at_the_command_line("every_refused_option_says_why", |caller| {
        for refused in REFUSED {
            let (option, value, _) = refused;
            let script = format!("\"$B\" {option}{value} --run -- /bin/true");
            ISOLATE.check_refused(&script, refused, 2, caller);
        }
    });
}

#[test]
fn every_option_of_the_help_has_a_row() {
    let output = ISOLATE.run("\"$B\" --help", Caller::present());
    let help = String::from_utf8_lossy(&output.stdout);
    let options = help
        .lines()
        .skip_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
        .filter_map(|word| word.split(['=', '[']).next())
        .collect();
    ISOLATE.check_rows(&options, ROWS, REFUSED);
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
