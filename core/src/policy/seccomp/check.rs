//! Rejects invalid filters.

use super::table::{self, Architecture};
use super::{Action, Compare, Listener, Rule, Seccomp, syscall};
use crate::base::error::{Error, Result};

/// The largest error number that a seccomp filter can return (MAX_ERRNO of the kernel).
const MAX_ERRNO: i32 = 4095;
/// The largest number of tests in a rule. The code of a rule must be short enough for a conditional
/// jump, whose distance is 8 bits.
const TESTS_MAX: usize = 16;

impl Seccomp {
    /// Checks the rules of the filter.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the rule that is not allowed.
    pub(crate) fn check(&self) -> Result<()> {
        for rule in &self.rules {
            rule.check()?;
            self.check_successor(rule, Architecture::NATIVE)?;
        }
        if let Some(action) = self.otherwise {
            check_action("otherwise", action)?;
        }
        if self.listener() == Listener::Caller
            && self.actions().any(|action| action == Action::Kill)
        {
            return Err(Error::invalid(
                "seccomp filter",
                "has both notify and kill, and the kernel tells one listener only",
            )
            .hint("let the listener decide, and kill by Child::kill"));
        }
        Ok(())
    }

    /// Rejects a rule for a call that the architecture lacks while its programs make another call
    /// for the same purpose, unless the filter has a rule for that one, too. A rule for a call
    /// without such a successor has no effect and is accepted: nothing can do what it did.
    pub(super) fn check_successor(&self, rule: &Rule, architecture: Architecture) -> Result<()> {
        let lacks = table::row(&rule.call).is_some_and(|row| row.number(architecture).is_none());
        let Some(successor) = table::successor(&rule.call, architecture).filter(|_| lacks) else {
            return Ok(());
        };
        let number = table::row(successor).and_then(|row| row.number(architecture));
        let is_ruled = |other: &Rule| {
            other.call == successor
                || other.call.parse().ok().is_some_and(|call| Some(call) == number)
        };
        if self.rules.iter().any(is_ruled) {
            return Ok(());
        }
        Err(Error::invalid(
            format!("seccomp rule for {}", rule.call),
            format!("{} has no such call, and its programs call {successor}", architecture.name()),
        )
        .hint(format!("give a rule for {successor}, too")))
    }
}

impl Rule {
    fn check(&self) -> Result<()> {
        let what = format!("seccomp rule for {}", self.call);
        if self.number().is_none() && table::row(&self.call).is_none() {
            let error = Error::invalid(what, "Linux has no such system call");
            let nearest =
                syscall::known().map(|(name, _)| (strsim::jaro_winkler(&self.call, name), name));
            return Err(match nearest.max_by(|one, other| one.0.total_cmp(&other.0)) {
                Some((likeness, name)) if likeness > 0.8 => {
                    error.hint(format!("did you mean {name}?"))
                }
                _ => error.hint("a call that is newer than this library goes by its number"),
            });
        }
        check_action(&self.call, self.action)?;
        if self.tests.len() > TESTS_MAX {
            return Err(Error::invalid(
                what,
                format!("has {} tests, and {TESTS_MAX} is the most", self.tests.len()),
            ));
        }
        for test in &self.tests {
            if test.argument > 5 {
                return Err(Error::invalid(
                    what,
                    format!("tests argument {}, and they are 0 to 5", test.argument),
                ));
            }
            let narrow = u64::from(u32::MAX);
            if !test.wide && (test.value > narrow || test.mask != u64::MAX && test.mask > narrow) {
                return Err(Error::invalid(
                    what,
                    format!("compares 32 bits with {:#x}", test.value.max(test.mask)),
                )
                .hint("compare all 64 (wide)"));
            }
            let mask = if test.wide { test.mask } else { test.mask & narrow };
            if matches!(test.compare, Compare::Equal | Compare::NotEqual) && test.value & !mask != 0
            {
                return Err(Error::invalid(
                    what,
                    format!("{:#x} has bits that the mask {mask:#x} lacks", test.value),
                ));
            }
        }
        Ok(())
    }

    /// The number of the call on this architecture, if it has the call.
    pub(super) fn number(&self) -> Option<u32> {
        syscall::number_of(&self.call)
            .or_else(|| self.call.parse().ok().filter(|number| i32::try_from(*number).is_ok()))
    }

    /// Whether the rule is for the call with this name, which it gives by name or by number.
    pub(super) fn is_for(&self, name: &str) -> bool {
        self.call == name
            || self.call.starts_with(|first: char| first.is_ascii_digit())
                && self.number() == Rule::new(name, self.action).number()
    }
}

fn check_action(what: &str, action: Action) -> Result<()> {
    match action {
        Action::Errno(number) if !(1..=MAX_ERRNO).contains(&number) => Err(Error::invalid(
            format!("seccomp action for {what}"),
            format!("errno {number} is not 1 to {MAX_ERRNO}"),
        )),
        _ => Ok(()),
    }
}
