//! The decision of a filter about one system call number.

use super::{Action, Rule, Seccomp, Test};

/// The actions for one system call. The first rule whose tests all hold decides, else `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub rules: Vec<(Vec<Test>, Action)>,
    pub default: Action,
}

impl Verdict {
    /// The same action for all arguments.
    pub fn always(action: Action) -> Verdict {
        Verdict { rules: Vec::new(), default: action }
    }

    /// Adds a rule that takes precedence over the earlier ones.
    pub fn overrule(&mut self, rule: &Rule) {
        if rule.tests.is_empty() {
            *self = Verdict::always(rule.action);
        } else {
            self.rules.insert(0, (rule.tests.clone(), rule.action));
        }
    }

    pub fn decide(&self, arguments: &[u64; 6]) -> Action {
        let fits =
            |(tests, _): &&(Vec<Test>, Action)| tests.iter().all(|test| test.holds(arguments));
        self.rules.iter().find(fits).map_or(self.default, |(_, action)| *action)
    }
}

impl Seccomp {
    /// The action for a call that no rule names. `known`: this library knows the call.
    fn unruled(&self, known: bool) -> Action {
        let profile = if known { self.profile.otherwise() } else { self.profile.unknown() };
        self.otherwise.unwrap_or(profile)
    }

    /// The verdict on the call with this number. `known`: this library knows the call.
    pub(super) fn verdict(&self, number: u32, known: bool) -> Verdict {
        let mut verdict = Verdict::always(self.unruled(known));
        let profile = self.profile.rules();
        profile
            .iter()
            .chain(&self.rules)
            .filter(|rule| rule.number() == Some(number))
            .for_each(|rule| verdict.overrule(rule));
        verdict
    }
}
