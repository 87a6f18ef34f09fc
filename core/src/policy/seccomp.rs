//! Seccomp filters: which system calls a command may make, `seccomp(2)`.
//!
//! A filter is a profile and rules over it. `profiles` says what each profile lets through,
//! `compile` makes the program that the kernel runs on every call, `fate` what one call comes to,
//! `guard` what every filter refuses, `filters` is what a start loads, `check` refuses what makes
//! no sense, `syscall` knows the calls' names.

mod check;
mod compile;
mod fate;
mod filters;
mod guard;
mod profiles;
mod syscall;

pub(crate) use filters::Filters;
pub(crate) use guard::Tree;
pub use syscall::Syscall;

use crate::base::declared::named;
use crate::base::error::Result;
use std::fmt;

/// AUDIT_ARCH_ of the architecture that this library is built for.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: u32 = 0xc000_003e;
/// AUDIT_ARCH_ of the architecture that this library is built for.
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: u32 = 0xc000_00b7;

named! {
    /// A filter by name.
    Profile {
        /// What programs of every kind use: what containers allow by default, and less. No namespaces, no mounts, no tracing, no keys,
        /// no kernel programs; sockets of the families unix, inet and inet6. What Linux has besides fails with EPERM, what this library
        /// does not know with ENOSYS, so that libc falls back.
        Default = "default",
        /// Computing with files and threads only: no process, no other program, no socket, no terminal. Anything else kills.
        Strict = "strict",
        /// The default and what a sandbox inside a sandbox is made with: namespaces, mounts, netlink. The default of
        /// [`Sandbox::nested`](crate::Sandbox::nested).
        Nested = "nested",
        /// The default and what a debugger does to other processes of the sandbox: `ptrace(2)` and its kin.
        Debug = "debug",
        /// Every call of every architecture that the kernel runs, but for those that would change the warden.
        Unconfined = "unconfined",
    }
}

/// What becomes of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is made.
    Allow,
    /// It fails with this error number, 1 to 4095, and nothing else happens.
    Errno(i32),
    /// It is not made, and the command ends: [`Ended::Syscall`](crate::Ended::Syscall) names the
    /// call.
    Kill,
    /// It is made, and the kernel writes it to its log (`/proc/sys/kernel/seccomp/actions_logged`).
    Log,
    /// The caller decides: [`Child::take_listener`](crate::Child::take_listener).
    Notify,
}

named! {
    /// How an argument is compared with a value; both are unsigned.
    Compare {
        /// The argument is the value.
        Equal = "==",
        /// The argument is not the value.
        NotEqual = "!=",
        /// The argument is less than the value.
        Less = "<",
        /// The argument is at most the value.
        LessOrEqual = "<=",
        /// The argument is more than the value.
        Greater = ">",
        /// The argument is at least the value.
        GreaterOrEqual = ">=",
    }
}

/// A test of one argument of a call.
///
/// Arguments are compared as the kernel uses most of them: their lower 32 bits, since it ignores
/// the upper half of an `int`, a flag word or an `ioctl` request and whoever compares it is
/// deceived. [`Test::wide`] compares all 64, for sizes and addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    pub(crate) argument: u8,
    pub(crate) compare: Compare,
    pub(crate) value: u64,
    pub(crate) mask: u64,
    pub(crate) wide: bool,
}

impl Test {
    /// Compares the argument of this number, 0 to 5, with `value`.
    pub fn new(argument: u8, compare: Compare, value: u64) -> Test {
        Test { argument, compare, value, mask: u64::MAX, wide: false }
    }

    /// Of the argument, only these bits.
    #[must_use]
    pub fn masked(self, mask: u64) -> Test {
        Test { mask, ..self }
    }

    /// All 64 bits.
    #[must_use]
    pub fn wide(self) -> Test {
        Test { wide: true, ..self }
    }

    fn holds(&self, arguments: &[u64; 6]) -> bool {
        let bits = if self.wide { u64::MAX } else { u32::MAX.into() };
        let value = arguments[usize::from(self.argument)] & self.mask & bits;
        match self.compare {
            Compare::Equal => value == self.value,
            Compare::NotEqual => value != self.value,
            Compare::Less => value < self.value,
            Compare::LessOrEqual => value <= self.value,
            Compare::Greater => value > self.value,
            Compare::GreaterOrEqual => value >= self.value,
        }
    }
}

/// What becomes of one call, if all tests hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(crate) call: String,
    pub(crate) action: Action,
    pub(crate) tests: Vec<Test>,
}

impl Rule {
    /// For every call of this name, or of this number in decimal.
    pub fn new(call: impl Into<String>, action: Action) -> Rule {
        Rule { call: call.into(), action, tests: Vec::new() }
    }

    /// Only if this holds too.
    #[must_use]
    pub fn when(mut self, test: Test) -> Rule {
        self.tests.push(test);
        self
    }
}

/// A seccomp filter: a profile, and rules over it.
///
/// Every filter, whatever it says, refuses with EPERM the calls by which a command could change its
/// warden, and so the limits that the warden holds: `prlimit64`, `sched_setaffinity`,
/// `sched_setattr`, `sched_setparam`, `sched_setscheduler`, `setpriority` and `ioprio_set` of
/// process 1, and `setpriority` and `ioprio_set` of every process of a user. In a process tree that
/// was there before, where the warden has another number, of that one, and signals to it, too; in a
/// cell also of the process ids 64 to 127, which the wardens of commands that enter it take there
/// and nobody else.
///
/// The last rule that fits a call decides, then the profile. A name that another architecture has
/// and this one has not is skipped; one that nobody has is an error, told by
/// [`Sandbox::check`](crate::Sandbox::check) or at the start. Starting the command itself needs no
/// rule: a filter without `execve` lets the program run that the caller names, and no other.
///
/// ```
/// use seclude::{Compare, Profile, Rule, Action, Seccomp, Test};
///
/// let filter = Seccomp::profile(Profile::Default)
///     .kill("ptrace")
///     .deny("chmod", libc::EPERM)
///     .rule(Rule::new("socket", Action::Allow).when(Test::new(0, Compare::Equal, libc::AF_NETLINK as u64)));
/// let sandbox = seclude::Sandbox::new().seccomp(filter);
/// # sandbox.check().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seccomp {
    pub(crate) profile: Profile,
    pub(crate) rules: Vec<Rule>,
    pub(crate) otherwise: Option<Action>,
}

impl Seccomp {
    /// This profile, as it is.
    pub fn profile(profile: Profile) -> Seccomp {
        Seccomp { profile, rules: Vec::new(), otherwise: None }
    }

    /// Lets a call be made.
    #[must_use]
    pub fn allow(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Allow))
    }

    /// Has a call fail with this error number.
    #[must_use]
    pub fn deny(self, call: impl Into<String>, errno: i32) -> Seccomp {
        self.rule(Rule::new(call, Action::Errno(errno)))
    }

    /// Has a call end the command.
    #[must_use]
    pub fn kill(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Kill))
    }

    /// Has the kernel log a call that is made.
    #[must_use]
    pub fn log(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Log))
    }

    /// Has the caller decide about a call.
    #[must_use]
    pub fn notify(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Notify))
    }

    /// Lets sockets of this family be made: an AF_ number.
    #[must_use]
    pub fn socket_family(self, family: u16) -> Seccomp {
        self.rule(profiles::socket_family(family))
    }

    /// Lets a program ask for the devices and addresses of its network, as getifaddrs(3) does, if
    /// the profile lets it make sockets at all. What the rules say goes before.
    pub(crate) fn with_routes(mut self) -> Seccomp {
        if matches!(self.profile, Profile::Default | Profile::Debug) {
            self.rules.insert(0, profiles::routes());
        }
        self
    }

    /// A rule with tests.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Seccomp {
        self.rules.push(rule);
        self
    }

    /// What becomes of every call that neither a rule nor the profile names, known or not.
    #[must_use]
    pub fn otherwise(mut self, action: Action) -> Seccomp {
        self.otherwise = Some(action);
        self
    }

    /// The program that the kernel would run, for measuring it without this library.
    #[doc(hidden)]
    pub fn program(&self) -> Result<Vec<u8>> {
        Ok(compile::Program::compile(self, guard::Tree::Own)?.with_pass(filters::draw()?))
    }

    /// What becomes of this call.
    pub(crate) fn decide(&self, call: Syscall, arguments: &[u64; 6]) -> Action {
        match call.native().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if guard::refuses(Tree::Own, number, arguments) => guard::REFUSED,
            Some(number) => self.fate(number, call.name().is_some()).decide(arguments),
            None => self.otherwise.unwrap_or(self.profile.unknown()),
        }
    }

    /// Whether a command can make no call on keys, whatever its arguments.
    pub(crate) fn refuses_keys(&self) -> bool {
        const CALLS: [&str; 3] = ["add_key", "keyctl", "request_key"];
        let refused = |action: Action| match action {
            Action::Errno(_) | Action::Kill => true,
            // What a listener says is not known.
            Action::Allow | Action::Log | Action::Notify => false,
        };
        let profile = self.profile.rules();
        let of = |name: &str| {
            let number = Rule::new(name, Action::Allow).number();
            // Those that can decide: up to and with the one that asks for no argument.
            let mut rules = self
                .rules
                .iter()
                .rev()
                .chain(profile.iter().rev())
                .filter(|rule| rule.number() == number);
            let rest = self.otherwise.unwrap_or(self.profile.otherwise());
            loop {
                match rules.next() {
                    Some(rule) if !refused(rule.action) => return false,
                    Some(rule) if rule.tests.is_empty() => return true,
                    Some(_) => {}
                    None => return refused(rest),
                }
            }
        };
        // Other architectures' calls on keys are unknown ones.
        CALLS.into_iter().all(of) && refused(self.otherwise.unwrap_or(self.profile.unknown()))
    }

    /// What it says of these calls, and nothing else: the rest fails with EPERM.
    pub(crate) fn narrowed(&self, calls: impl Iterator<Item = Syscall>) -> Seccomp {
        const REST: Action = Action::Errno(libc::EPERM);
        let mut narrow = Seccomp::profile(Profile::Unconfined).otherwise(REST);
        let profile = self.profile.rules();
        let mut with_tests = Vec::new();
        for call in calls.filter(|call| !call.is_foreign()) {
            let number = Some(call.number().unsigned_abs());
            let rules: Vec<&Rule> =
                profile.iter().chain(&self.rules).filter(|rule| rule.number() == number).collect();
            let general = rules.iter().rposition(|rule| rule.tests.is_empty());
            let unruled = if call.name().is_some() {
                self.profile.otherwise()
            } else {
                self.profile.unknown()
            };
            let last =
                general.map_or(self.otherwise.unwrap_or(unruled), |place| rules[place].action);
            if last != REST {
                narrow = narrow.rule(Rule::new(call.to_string(), last));
            }
            with_tests.extend(
                rules[general.map_or(0, |place| place + 1)..].iter().map(|rule| (*rule).clone()),
            );
        }
        with_tests.into_iter().fold(narrow, Seccomp::rule)
    }

    /// Every action that it can take.
    fn actions(&self) -> impl Iterator<Item = Action> {
        let profile = self.profile.rules().into_iter().map(|rule| rule.action);
        let rest = self
            .otherwise
            .map_or([self.profile.otherwise(), self.profile.unknown()], |action| [action; 2]);
        profile.chain(self.rules.iter().map(|rule| rule.action)).chain(rest)
    }

    /// Whether it decides nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.actions().all(|action| action == Action::Allow)
    }

    /// Whether calls are left to the caller.
    pub(crate) fn notifies(&self) -> bool {
        self.listens() == Listens::Caller
    }

    /// Who is told of calls.
    pub(crate) fn listens(&self) -> Listens {
        self.actions().fold(Listens::Nobody, |who, action| match action {
            Action::Notify => Listens::Caller,
            Action::Kill if who == Listens::Nobody => Listens::Warden,
            _ => who,
        })
    }
}

impl From<Profile> for Seccomp {
    fn from(profile: Profile) -> Seccomp {
        Seccomp::profile(profile)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Allow => f.write_str("allow"),
            Action::Errno(number) => write!(f, "errno {number}"),
            Action::Kill => f.write_str("kill"),
            Action::Log => f.write_str("log"),
            Action::Notify => f.write_str("notify"),
        }
    }
}

/// Who is told by the kernel of calls that are not simply made or refused. There can be one only
/// (seccomp_unotify(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listens {
    Nobody,
    /// It ends the command, and tells which call it was.
    Warden,
    /// The calls are the caller's to decide.
    Caller,
}
