//! `seclude bwrap`: every option of bubblewrap has a row. An exact one shows its effect, a refused
//! one its reason.
#![deny(unsafe_code)]

mod rows;

use rows::{REFUSED, ROWS};
use seclude_tests::caller::{Caller, as_each_at_the_command_line, seclude};
use seclude_tests::front::Front;
use std::process::Command;

/// `R` shows the host, with the row's own directory writable. `kind` tells whether a namespace is
/// the caller's.
const BWRAP: Front = Front {
    name: "bwrap",
    prelude: r#"
R="--ro-bind / / --bind $PWD $PWD"
kind () {
    outside=$(readlink /proc/self/ns/$1)
    inside=$("$B" $R --proc /proc $2 readlink /proc/self/ns/$1)
    if [ "$inside" = "$outside" ]; then echo shared; elif [ -n "$inside" ]; then echo own; fi
}
"#,
};

#[test]
fn every_exact_option_has_its_effect() {
    as_each_at_the_command_line("every_exact_option_has_its_effect", |caller| {
        BWRAP.check(ROWS, caller);
    });
}

#[test]
fn every_refused_option_says_why() {
    as_each_at_the_command_line("every_refused_option_says_why", |caller| {
        for refused in REFUSED {
            let (option, values, _) = refused;
            let script = format!("\"$B\" $R {option} {values} true");
            BWRAP.check_refused(&script, refused, 1, caller);
        }
    });
}

#[test]
fn every_option_of_the_help_has_a_row() {
    let output = BWRAP.run("\"$B\" --help", Caller::present());
    let help = String::from_utf8_lossy(&output.stdout);
    let options = help
        .lines()
        .filter_map(|line| line.trim_start().split(' ').next())
        .filter(|word| word.starts_with("--"))
        .collect();
    BWRAP.check_rows(&options, ROWS, REFUSED);
}

#[test]
fn the_same_options_are_those_of_seclude_bwrap() {
    let program = seclude();
    let help = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).output().expect("it is there");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(help(&["bwrap", "--help"]).starts_with("usage: seclude bwrap [OPTIONS...]"));
    assert_eq!(help(&["bwrap", "--ro-bind", "/", "/", "echo", "--dir"]), "--dir\n");
}
