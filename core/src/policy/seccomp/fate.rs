//! What one call comes to under a filter: the profile, and the rules over it.

use super::{Action, Rule, Seccomp, Test};

/// The first rule whose tests hold decides, else the last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    pub rules: Vec<(Vec<Test>, Action)>,
    pub last: Action,
}

impl Fate {
    pub fn simply(last: Action) -> Fate {
        Fate { rules: Vec::new(), last }
    }

    /// A later rule is stronger.
    pub fn overrule(&mut self, rule: &Rule) {
        if rule.tests.is_empty() {
            *self = Fate::simply(rule.action);
        } else {
            self.rules.insert(0, (rule.tests.clone(), rule.action));
        }
    }

    pub fn decide(&self, arguments: &[u64; 6]) -> Action {
        let fits =
            |(tests, _): &&(Vec<Test>, Action)| tests.iter().all(|test| test.holds(arguments));
        self.rules.iter().find(fits).map_or(self.last, |(_, action)| *action)
    }
}

impl Seccomp {
    /// What becomes of a call of this number that no rule names: one that this library knows, or
    /// another.
    fn unruled(&self, known: bool) -> Action {
        let profile = if known { self.profile.otherwise() } else { self.profile.unknown() };
        self.otherwise.unwrap_or(profile)
    }

    /// What becomes of the call of this number.
    pub(super) fn fate(&self, number: u32, known: bool) -> Fate {
        let mut fate = Fate::simply(self.unruled(known));
        let profile = self.profile.rules();
        profile
            .iter()
            .chain(&self.rules)
            .filter(|rule| rule.number() == Some(number))
            .for_each(|rule| fate.overrule(rule));
        fate
    }
}
