//! Rows for the fronts of `seclude`, which take the command lines of other programs: a script of
//! shell for each option, and what it prints.

use crate::caller::{Caller, seclude};
use crate::scratch;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

/// One or more options, and their effect.
pub struct Row {
    /// The options that it is about.
    pub options: &'static [&'static str],
    /// What bash runs after the front's prelude.
    pub script: &'static str,
    /// What that prints.
    pub prints: &'static str,
    /// The effect needs root.
    pub root_only: bool,
}

/// A row for every caller.
pub const fn row(
    options: &'static [&'static str],
    script: &'static str,
    prints: &'static str,
) -> Row {
    Row { options, script, prints, root_only: false }
}

/// A row for root.
pub const fn roots(
    options: &'static [&'static str],
    script: &'static str,
    prints: &'static str,
) -> Row {
    Row { options, script, prints, root_only: true }
}

/// An option that is refused: its name, its values as they follow the name, and a part of the
/// reason.
pub type Refused = (&'static str, &'static str, &'static str);

/// A program whose command line `seclude` takes when it is started by that name.
pub struct Front {
    /// The name of that program.
    pub name: &'static str,
    /// What every script begins with. `$B` is the program.
    pub prelude: &'static str,
}

impl Front {
    /// Runs a script in a directory of its own.
    pub fn run(&self, script: &str, caller: Caller) -> Output {
        let place = scratch::directory();
        let link = place.path().join(self.name);
        symlink(seclude(), &link).expect("there is room");
        let work = place.path().join("work");
        std::fs::create_dir(&work).expect("there is room");
        caller.own(&work);
        let output = Command::new("bash")
            .args(["-c", &format!("{}\n{script}", self.prelude)])
            .env("B", &link)
            .env("HOME", "/")
            .current_dir(&work)
            .output();
        output.expect("bash is there")
    }

    /// Checks that each row has its effect.
    ///
    /// # Panics
    ///
    /// With all that have another one.
    pub fn check(&self, rows: &[Row], caller: Caller) {
        let faults: Vec<String> = rows.iter().filter_map(|row| self.fault(row, caller)).collect();
        assert!(faults.is_empty(), "as {caller:?}:\n{}", faults.join("\n"));
    }

    fn fault(&self, row: &Row, caller: Caller) -> Option<String> {
        if row.root_only && caller != Caller::Root {
            return None;
        }
        let output = self.run(row.script, caller);
        let (told, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let Row { options, script, prints, .. } = row;
        (told != *prints)
            .then(|| format!("{options:?} {script}: {told:?}, not {prints:?}\n{complaints}"))
    }

    /// Checks that a command line with a refused option gives this exit status and the reason.
    ///
    /// # Panics
    ///
    /// If it gives another one.
    pub fn check_refused(&self, script: &str, refused: &Refused, status: i32, caller: Caller) {
        let (option, _, reason) = refused;
        let output = self.run(script, caller);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{option}: {complaints}");
        let expected = format!("{}: {option} is refused: ", self.name);
        assert!(complaints.starts_with(&expected) && complaints.contains(reason), "{complaints}");
    }

    /// Checks that these options, from the help, are those of the rows.
    ///
    /// # Panics
    ///
    /// If there is another option in either.
    pub fn check_rows(&self, options: &BTreeSet<&str>, rows: &[Row], refused: &[Refused]) {
        let exact = rows.iter().flat_map(|row| row.options.iter().copied());
        let rows: BTreeSet<&str> =
            exact.chain(refused.iter().map(|(option, ..)| *option)).collect();
        assert_eq!(*options, rows);
    }
}
