//! Seccomp filters, which restrict the system calls of a command: `seccomp(2)`.
//!
//! A filter consists of a profile and additional rules.
//!
//! - `profiles`: the system calls that each profile allows.
//! - `guard`: the calls that every filter refuses, to protect the warden.
//! - `verdict`: the decision of a filter about one call.
//! - `compile`: compiles a filter to the BPF program that the kernel runs.
//! - `filters`: the programs that the warden and a command load.
//! - `check`: rejects invalid filters.
//! - `allowed`: the calls of a profile, for a filter around the caller.
//! - `confined`: the rules that hold a command without namespaces.
//! - `set_ids`: the rules against set-user-ID programs of the caller's.
//! - `syscall`: a system call, by its name and number.
//! - `table`: the names and numbers of system calls on each architecture.

pub(crate) mod allowed;
mod check;
mod compile;
mod confined;
mod filters;
mod guard;
pub(crate) mod profiles;
mod set_ids;
mod syscall;
mod table;
mod verdict;

pub use allowed::AllowedCall;
pub(crate) use confined::restrict;
pub(crate) use filters::{Filters, Situation};
pub(crate) use guard::Tree;
pub(crate) use set_ids::without_set_ids;
pub use syscall::Syscall;

use crate::base::declared::named;
use crate::base::error::Result;
use std::borrow::Cow;
use std::fmt;

/// The AUDIT_ARCH value of the architecture that this library is built for.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: u32 = 0xc000_003e;
/// The AUDIT_ARCH value of the architecture that this library is built for.
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: u32 = 0xc000_00b7;
/// The AUDIT_ARCH value of the architecture that this library is built for.
#[cfg(target_arch = "riscv64")]
pub(crate) const NATIVE: u32 = 0xc000_00f3;

named! {
    /// A predefined filter.
    Profile {
        /// For programs of every kind: fewer calls than container runtimes allow by default. It
        /// allows no namespaces, mounts, keys or BPF programs, and only sockets of the families
        /// unix, inet and inet6. Other calls fail with EPERM. Calls that this library does not know
        /// fail with ENOSYS, so that libc falls back.
        Default = "default",
        /// For computing with files and threads only. Any other call kills: it allows no new
        /// processes, programs, sockets or terminals.
        Strict = "strict",
        /// `default` plus the calls that create nested sandboxes: namespaces, mounts, netlink. It
        /// is the default if the policy allows nested user namespaces.
        Nested = "nested",
        /// `default` plus the calls that debuggers need: to access the memory and descriptors of
        /// other processes in the sandbox, and to turn off address space randomisation.
        Debug = "debug",
        /// Every call of every architecture that the kernel supports, except those that would
        /// change the warden.
        Unconfined = "unconfined",
    }
}

/// The effect of a filter on a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The kernel executes the call.
    Allow,
    /// The call fails with this error number, 1 to 4095, and has no other effect.
    Errno(i32),
    /// The kernel does not execute the call, and the command ends.
    /// [`Ended::Syscall`](crate::Ended::Syscall) names the call.
    Kill,
    /// The kernel executes the call and logs it (`/proc/sys/kernel/seccomp/actions_logged`).
    Log,
    /// The caller decides, through [`Child::take_listener`](crate::Child::take_listener).
    Notify,
}

named! {
    /// A comparison of an argument with a value. Both are unsigned.
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

/// A test of one argument of a system call.
///
/// By default only the lower 32 bits of the argument are compared. The kernel ignores the upper
/// half of an `int`, a flag word or an `ioctl` request, so a program could evade a comparison of
/// all 64 bits. [`Test::wide`] compares all 64 bits, for sizes and addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    pub(crate) argument: u8,
    pub(crate) compare: Compare,
    pub(crate) value: u64,
    pub(crate) mask: u64,
    pub(crate) wide: bool,
}

impl Test {
    /// Compares argument number `argument`, 0 to 5, with `value`.
    pub fn new(argument: u8, compare: Compare, value: u64) -> Test {
        Test { argument, compare, value, mask: u64::MAX, wide: false }
    }

    /// Compares only the bits of the argument that are set in `mask`.
    #[must_use]
    pub fn masked(self, mask: u64) -> Test {
        Test { mask, ..self }
    }

    /// Compares all 64 bits of the argument.
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

/// A rule: the action for one system call, if all its tests hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(crate) call: Cow<'static, str>,
    pub(crate) action: Action,
    pub(crate) tests: Vec<Test>,
}

impl Rule {
    /// A rule for the call with this name or decimal number, whatever its arguments.
    pub fn new(call: impl Into<String>, action: Action) -> Rule {
        Rule { call: Cow::Owned(call.into()), action, tests: Vec::new() }
    }

    /// A rule for a call that this library names.
    const fn named(call: &'static str, action: Action) -> Rule {
        Rule { call: Cow::Borrowed(call), action, tests: Vec::new() }
    }

    /// Restricts the rule to calls for which `test` holds.
    #[must_use]
    pub fn when(mut self, test: Test) -> Rule {
        self.tests.push(test);
        self
    }
}

/// A seccomp filter: a profile and additional rules.
///
/// The last rule that matches a call decides, and the profile decides calls without a matching
/// rule. A name that no architecture has is an error, which
/// [`Sandbox::check`](crate::Sandbox::check) or the start returns. Starting the command itself
/// needs no rule: a filter without `execve` runs the program that the caller names, and no other.
///
/// # Calls that an architecture lacks
///
/// aarch64 and riscv64 lack the older calls of x86_64, such as `mkdir` and `fork`. Programs there
/// make the newer ones, `mkdirat` and `clone`. A rule that names only the older call would have no
/// effect there, so it is an error. The error names the call that takes its place, and a policy
/// that has rules for both is valid everywhere. A rule for a call of which nothing takes the place,
/// such as `iopl` or `arch_prctl`, is valid and has no effect.
///
/// # The guard
///
/// Every filter also refuses, with EPERM, the calls by which a command could change its warden and
/// so the limits that the warden enforces. These are `prlimit64`, `sched_setaffinity`,
/// `sched_setattr`, `sched_setparam`, `sched_setscheduler`, `setpriority` and `ioprio_set` for
/// process 1, and `setpriority` and `ioprio_set` for all processes of a user.
///
/// In a process tree that existed before, the warden has another process id. There the guard covers
/// that id, and `kill` of it, of its process group and of all processes as well. In a cell it also
/// covers the process ids 64 to 127, which only the wardens of entering commands get.
///
/// ```
/// use seclude::{Compare, Profile, Rule, Action, Seccomp, Test};
///
/// let filter = Seccomp::profile(Profile::Default)
///     .kill("ptrace")
///     .deny("fchmod", libc::EPERM)
///     .rule(
///         Rule::new("socket", Action::Allow)
///             .when(Test::new(0, Compare::Equal, libc::AF_NETLINK as u64)),
///     );
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
    /// The filter of this profile, without additional rules.
    pub fn profile(profile: Profile) -> Seccomp {
        Seccomp { profile, rules: Vec::new(), otherwise: None }
    }

    /// Allows a call.
    #[must_use]
    pub fn allow(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Allow))
    }

    /// Makes a call fail with this error number, 1 to 4095.
    #[must_use]
    pub fn deny(self, call: impl Into<String>, errno: i32) -> Seccomp {
        self.rule(Rule::new(call, Action::Errno(errno)))
    }

    /// Makes a call end the command.
    #[must_use]
    pub fn kill(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Kill))
    }

    /// Allows a call and makes the kernel log it.
    #[must_use]
    pub fn log(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Log))
    }

    /// Lets the caller decide about a call.
    #[must_use]
    pub fn notify(self, call: impl Into<String>) -> Seccomp {
        self.rule(Rule::new(call, Action::Notify))
    }

    /// Allows sockets of this address family, given by its AF_ number.
    #[must_use]
    pub fn socket_family(self, family: u16) -> Seccomp {
        self.rule(profiles::socket_family(family))
    }

    /// Allows NETLINK_ROUTE sockets, with which getifaddrs(3) lists network devices and addresses,
    /// if the profile allows sockets at all. The filter's own rules take precedence.
    pub(crate) fn with_routes(mut self) -> Seccomp {
        if matches!(self.profile, Profile::Default | Profile::Debug) {
            self.rules.insert(0, profiles::routes());
        }
        self
    }

    /// Adds a rule. It takes precedence over earlier rules.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Seccomp {
        self.rules.push(rule);
        self
    }

    /// Sets the action for every call that neither a rule nor the profile names, including calls
    /// that this library does not know.
    #[must_use]
    pub fn otherwise(mut self, action: Action) -> Seccomp {
        self.otherwise = Some(action);
        self
    }

    /// The BPF program, to measure it without this library.
    #[doc(hidden)]
    pub fn program(&self) -> Result<Vec<u8>> {
        Ok(compile::Program::compile(self, guard::Tree::Own)?.with_token(filters::random_token()?))
    }

    /// The action for a call with these arguments.
    pub(crate) fn decide(&self, call: Syscall, arguments: &[u64; 6]) -> Action {
        match call.native().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if guard::refuses(Tree::Own, number, arguments) => guard::REFUSED,
            Some(number) => self.verdict(number, call.name().is_some()).decide(arguments),
            None => self.otherwise.unwrap_or(self.profile.unknown()),
        }
    }

    /// Whether the filter refuses every call on keyrings, whatever its arguments.
    pub(crate) fn refuses_keys(&self) -> bool {
        const CALLS: [&str; 3] = ["add_key", "keyctl", "request_key"];
        let refused = |action: Action| match action {
            Action::Errno(_) | Action::Kill => true,
            // The decision of a listener is not known in advance.
            Action::Allow | Action::Log | Action::Notify => false,
        };
        let profile = self.profile.rules();
        let of = |name: &str| {
            // Later rules take precedence. The search ends at a rule without tests, which always
            // matches.
            let mut rules = self
                .rules
                .iter()
                .rev()
                .chain(profile.iter().rev())
                .filter(|rule| rule.is_for(name));
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
        // Calls of other architectures, including those on keys, are treated as unknown.
        CALLS.into_iter().all(of) && refused(self.otherwise.unwrap_or(self.profile.unknown()))
    }

    /// The same filter for these calls. All others fail with EPERM.
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

    /// Every action that the filter can take.
    fn actions(&self) -> impl Iterator<Item = Action> {
        let profile = self.profile.rules().into_iter().map(|rule| rule.action);
        let rest = self
            .otherwise
            .map_or([self.profile.otherwise(), self.profile.unknown()], |action| [action; 2]);
        profile.chain(self.rules.iter().map(|rule| rule.action)).chain(rest)
    }

    /// Whether the filter allows every call.
    pub(crate) fn is_empty(&self) -> bool {
        self.actions().all(|action| action == Action::Allow)
    }

    /// Whether the caller decides about any call.
    pub(crate) fn notifies(&self) -> bool {
        self.listener() == Listener::Caller
    }

    /// The process that the filter needs as its listener.
    pub(crate) fn listener(&self) -> Listener {
        self.actions().fold(Listener::None, |listener, action| match action {
            Action::Notify => Listener::Caller,
            Action::Kill if listener == Listener::None => Listener::Warden,
            _ => listener,
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

/// The process to which the kernel sends calls that the filter does not decide itself. A process
/// can have only one listener (seccomp_unotify(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    None,
    /// The warden ends the command and reports the call.
    Warden,
    /// The caller decides about the calls.
    Caller,
}
