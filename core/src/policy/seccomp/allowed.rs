//! The calls that a profile allows, for a filter around the caller. Every command inherits that
//! filter, so it must allow whatever a profile allows.

use super::table::{Architecture, ROWS};
use super::{Action, Compare, Profile};

/// A call that a profile allows, perhaps only with one value of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedCall {
    /// The name of the call.
    pub name: &'static str,
    /// The number of the argument, the mask that is applied to it, and the value that must remain.
    /// None: any arguments.
    pub when: Option<(u8, u64, u64)>,
}

/// The names of all calls of x86_64.
pub(crate) fn calls_of_x86_64() -> impl Iterator<Item = &'static str> {
    ROWS.iter().filter(|row| row.number(Architecture::X86_64).is_some()).map(|row| row.name)
}

impl Profile {
    /// The calls that the profile allows. Refusals within a call that it allows otherwise, such
    /// as of a request of `ioctl`, are left out: the filter inside makes them.
    pub(crate) fn allowed(self) -> Vec<AllowedCall> {
        let rules = self.rules();
        let allowed = rules.iter().filter(|rule| rule.action == Action::Allow);
        allowed
            .map(|rule| {
                let name = match rule.call {
                    std::borrow::Cow::Borrowed(name) => name,
                    std::borrow::Cow::Owned(_) => unreachable!("profiles name their calls"),
                };
                let when = match rule.tests.as_slice() {
                    [] => None,
                    [test] if test.compare == Compare::Equal => {
                        Some((test.argument, test.mask, test.value))
                    }
                    _ => unreachable!("profiles allow with one test for equality at most"),
                };
                AllowedCall { name, when }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_every_profile_are_told() {
        for profile in Profile::ALL {
            let calls = profile.allowed();
            assert_eq!(calls.is_empty(), *profile == Profile::Unconfined, "{profile}");
        }
        let calls = Profile::Default.allowed();
        let of = |name: &str| {
            let calls = calls.iter().filter(|call| call.name == name);
            calls.map(|call| call.when).collect::<Vec<_>>()
        };
        assert_eq!(of("read"), [None]);
        assert_eq!(of("clone"), [Some((0, 0x7e02_0000, 0))]);
        assert_eq!(of("socket").len(), 3);
        assert_eq!(of("mount"), []);
    }
}
