//! The filters of a sandbox. The warden loads its own at the end of the set-up, and every command
//! inherits it. A command loads additional ones.

use super::compile::{Program, Token};
use super::guard::Tree;
use super::{Action, Compare, Listener, Profile, Rule, Seccomp, Test};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::Policy;
use crate::wire::codec::ListBuilder;
use crate::wire::message;
use crate::wire::plan::protection;
use std::sync::{Arc, OnceLock};

/// The system calls that the warden needs to start, watch and end commands.
const WARDEN_CALLS: &[&str] = &[
    "chdir",
    "clock_gettime",
    "clone",
    "close",
    "close_range",
    "dup3",
    "execve",
    "exit_group",
    "faccessat",
    "fcntl",
    "fstatfs",
    "getdents64",
    "getrusage",
    "ioctl",
    "kill",
    "landlock_add_rule",
    "landlock_restrict_self",
    "madvise",
    "mmap",
    "munmap",
    "newfstatat",
    "openat",
    "openat2",
    "pipe2",
    "ppoll",
    "prctl",
    "pread64",
    "prlimit64",
    "read",
    "readlinkat",
    "recvmsg",
    "rt_sigprocmask",
    "rt_sigreturn",
    "seccomp",
    "sendmsg",
    "setsid",
    "setsockopt",
    "signalfd4",
    "socketpair",
    "statx",
    "umask",
    "wait4",
    "write",
];

/// Calls that allocate memory outside of any process: files in memory and System V objects. A
/// cgroup counts this memory, but sampling the processes does not. So these calls fail with ENOSYS
/// if the limit on memory is sampled.
const UNCOUNTED: &[&str] = &["memfd_create", "msgget", "semget", "shmget"];

/// The compiled filters of a policy. The kernel runs all filters of a process, and the strictest
/// result applies.
#[derive(Debug)]
pub struct Filters {
    warden: Arc<Program>,
    /// The protections that the warden's filter provides. None if it consists of the guard alone.
    warden_protections: u64,
    /// The policy's filter, unless the warden's filter is the same.
    command: Option<Arc<Program>>,
    /// Refuses the calls whose memory only a cgroup counts.
    uncounted: Option<Program>,
    /// The BPF programs in the policy.
    extra: Vec<Vec<u8>>,
    /// Lets the warden know each process group, where it must find the processes to kill them.
    /// There is none beside another listener, because the kernel allows one.
    gate: Option<Program>,
}

/// What decides which programs a command loads.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// A cgroup counts all memory.
    pub counted: bool,
    /// Its processes pass a gate, if there is one.
    pub gated: bool,
}

impl Filters {
    /// Compiles the filters of a policy that has passed its check.
    ///
    /// # Errors
    ///
    /// `Invalid` if a program would be longer than the kernel allows.
    pub fn of(policy: &Policy, tree: Tree) -> Result<Filters> {
        let filter = restricted(policy, tree);
        let wardens = filter.wardens().map(|wardens| match tree {
            Tree::Below => wardens.with_standing_alone(),
            _ => wardens,
        });
        let guard = Seccomp::profile(Profile::Unconfined);
        let compile = |filter: &Seccomp| compile(filter, tree);
        let (warden, command, warden_protections) = match wardens {
            // The command inherits the warden's filter, so the same filter need not be loaded
            // twice.
            Some(same) if same == filter => {
                (compile(&filter)?, None, protection::FILTERED_WARDEN | protection::FILTERED)
            }
            Some(wider) => (compile(&wider)?, Some(compile(&filter)?), protection::FILTERED_WARDEN),
            None if filter.is_empty() => (compile(&guard)?, None, 0),
            None => (compile(&guard)?, Some(compile(&filter)?), 0),
        };
        let uncounted =
            uncounted(policy).as_ref().map(|filter| Program::compile(filter, tree)).transpose()?;
        Ok(Filters {
            warden,
            warden_protections,
            command,
            uncounted,
            extra: policy.seccomp_bpf.clone(),
            gate: (tree.is_others() && filter.listener() == Listener::None).then(Program::gate),
        })
    }

    /// The warden's program, which commands inherit, and the protections that it provides. It
    /// always includes the guard. Its token is thrown away, so nothing can bypass it.
    ///
    /// # Errors
    ///
    /// `Setup` if no random number can be drawn.
    pub fn wardens(&self) -> Result<(Vec<u8>, u64)> {
        Ok((self.warden.with_token(random_token()?), self.warden_protections))
    }

    /// The number of the sandbox's own programs that a command loads besides the warden's. They are
    /// loaded before the BPF programs in the policy.
    pub fn own(&self, situation: Situation) -> u32 {
        u32::from(situation.gated && self.has_gate())
            + u32::from(self.command.is_some())
            + u32::from(self.uncounted.is_some() && !situation.counted)
    }

    pub fn has_gate(&self) -> bool {
        self.gate.is_some()
    }

    /// The process that listens to calls: one of [`message::listener`].
    pub fn listener(&self, situation: Situation) -> u32 {
        if situation.gated && self.has_gate() {
            return message::listener::GATE;
        }
        match self.command.as_ref().map(|program| program.listener) {
            None | Some(Listener::None) => message::listener::NOBODY,
            Some(Listener::Warden) => message::listener::WARDEN,
            Some(Listener::Caller) => message::listener::CALLER,
        }
    }

    /// The programs for one start of a command, in the order of loading, and its bypass token.
    ///
    /// # Errors
    ///
    /// `Setup` if no random number can be drawn.
    pub fn load(
        &self,
        situation: Situation,
    ) -> Result<(ListBuilder<Vec<u8>>, message::BypassToken)> {
        let mut programs = ListBuilder::new(Vec::new());
        let mut token: Token = [0; 4];
        if let Some(gate) = self.gate.as_ref().filter(|_| situation.gated) {
            programs.push(&gate.without_token().as_slice());
        }
        if let Some(program) = &self.command {
            token = random_token()?;
            programs.push(&program.with_token(token).as_slice());
        }
        if let Some(program) = self.uncounted.as_ref().filter(|_| !situation.counted) {
            // This program refuses none of the calls of a start, so it needs no token.
            programs.push(&program.with_token([0; 4]).as_slice());
        }
        self.extra.iter().for_each(|program| programs.push(&program.as_slice()));
        let word = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        Ok((
            programs,
            message::BypassToken {
                fourth: word(token[0], token[1]),
                fifth: word(token[2], token[3]),
            },
        ))
    }
}

/// The policy's filter, with the restrictions that the rest of the policy requires.
///
/// With a limit on output, it refuses the calls that hold the lock of a pipe while they wait for
/// something else. An empty socket spliced into the pipe would prevent the warden from reading the
/// pipe, without end. Programs then fall back to read(2) and write(2).
///
/// In a process tree that existed before, it refuses ptrace(2), because the tree contains processes
/// that are not the sandbox's. A rule of the policy or the profile `debug` still allows it. Without
/// namespaces Landlock keeps it from them.
fn restricted(policy: &Policy, tree: Tree) -> Seccomp {
    const PIPE_LOCKING: &[&str] = &["sendfile", "splice", "tee", "vmsplice"];
    let mut filter = policy.filter();
    let others = tree.is_others() && policy.confined.is_none();
    if others && matches!(filter.profile, Profile::Default | Profile::Nested) {
        filter.rules.insert(0, Rule::new("ptrace", Action::Errno(libc::EPERM)));
    }
    if policy.limits.output.is_none() {
        return filter;
    }
    PIPE_LOCKING.iter().fold(filter, |filter, call| filter.deny(*call, libc::EINVAL))
}

impl Seccomp {
    /// The warden's filter for commands with this filter. `None` if it would restrict nothing.
    ///
    /// It is the same filter with two changes. It allows the calls that the warden needs. It also
    /// allows the calls that the command's filter kills or leaves to a listener, so that the
    /// command's own filter, which is loaded later, decides about them.
    fn wardens(&self) -> Option<Seccomp> {
        let told = |action: Action| matches!(action, Action::Kill | Action::Notify);
        let leave = |action: Action| if told(action) { Action::Allow } else { action };
        let otherwise = self.otherwise.unwrap_or(self.profile.otherwise());
        if leave(otherwise) == Action::Allow {
            return None;
        }
        let rules = self
            .rules
            .iter()
            .map(|rule| Rule { action: leave(rule.action), ..rule.clone() })
            .collect();
        let mut wardens = Seccomp { rules, ..self.clone() };
        for call in WARDEN_CALLS {
            let ruled = self.rules.iter().any(|rule| rule.call == *call);
            if ruled || self.profile == Profile::Strict || self.profile == Profile::Unconfined {
                wardens = wardens.allow(*call);
            }
        }
        Some(wardens)
    }

    /// Allows the process that is to become the command to part with the descriptors that it shares
    /// with the warden. No namespace is made by that.
    fn with_standing_alone(mut self) -> Seccomp {
        let flags = (libc::CLONE_FS | libc::CLONE_FILES) as u64;
        let alone = Test::new(0, Compare::Equal, flags);
        self.rules.insert(0, Rule::new("unshare", Action::Allow).when(alone));
        self
    }
}

/// The additional filter for a sampled limit on memory. It leaves out the calls that the policy's
/// own rules name. There is none if the profile is `unconfined` and allows everything.
fn uncounted(policy: &Policy) -> Option<Seccomp> {
    let filter = policy.filter();
    if policy.limits.memory.is_none()
        || filter.profile == Profile::Unconfined
            && matches!(filter.otherwise, None | Some(Action::Allow))
    {
        return None;
    }
    let ruled = |call: &str| filter.rules.iter().any(|rule| rule.is_for(call));
    let calls = UNCOUNTED.iter().filter(|call| !ruled(call));
    let refused = calls.fold(Seccomp::profile(Profile::Unconfined), |filter, call| {
        filter.deny(*call, libc::ENOSYS)
    });
    if refused.rules.is_empty() { None } else { Some(refused) }
}

/// Draws a token.
///
/// # Errors
///
/// `Setup` if the system's random number generator fails.
pub fn random_token() -> Result<Token> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Setup, "draw a random number").because(error.to_string())
    })?;
    Ok(std::array::from_fn(|word| {
        u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * word + byte]))
    }))
}

/// Compiles a filter. The programs of plain profiles, with and without NETLINK_ROUTE, are cached
/// for the lifetime of the process.
fn compile(filter: &Seccomp, tree: Tree) -> Result<Arc<Program>> {
    type Compiled = [OnceLock<Arc<Program>>; Profile::ALL.len()];
    static BARE: Compiled = [const { OnceLock::new() }; Profile::ALL.len()];
    static WITH_ROUTES: Compiled = [const { OnceLock::new() }; Profile::ALL.len()];
    let bare = Seccomp::profile(filter.profile);
    let profiles = match filter {
        _ if tree != Tree::Own => None,
        _ if *filter == bare => Some(&BARE),
        _ if *filter == bare.with_routes() => Some(&WITH_ROUTES),
        _ => None,
    };
    let Some(profiles) = profiles else { return Program::compile(filter, tree).map(Arc::new) };
    let place = &profiles[filter.profile as usize];
    match place.get() {
        Some(program) => Ok(program.clone()),
        None => Program::compile(filter, tree)
            .map(|program| place.get_or_init(|| Arc::new(program)).clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::seccomp::Syscall;

    fn wardens(filter: impl Into<Seccomp>) -> Option<Seccomp> {
        filter.into().wardens()
    }

    #[test]
    fn the_usual_profiles_allow_the_calls_of_the_warden() {
        for profile in [Profile::Default, Profile::Nested, Profile::Debug] {
            assert_eq!(wardens(profile), Some(profile.into()));
            let filter = Seccomp::profile(profile);
            for call in WARDEN_CALLS {
                let call = Syscall::from_name(call)
                    .unwrap_or_else(|| panic!("{call} is a call of this architecture"));
                assert_eq!(filter.decide(call, &[0; 6]), Action::Allow, "{call} under {profile}");
            }
        }
    }

    #[test]
    fn a_filter_refuses_keys_unless_a_rule_or_profile_allows_a_call() {
        let deny = |filter: Seccomp| {
            ["add_key", "keyctl", "request_key"]
                .into_iter()
                .fold(filter, |filter, call| filter.deny(call, 1))
        };
        let usual = Seccomp::profile(Profile::Default);
        for refuses in [
            usual.clone(),
            Profile::Debug.into(),
            Profile::Strict.into(),
            deny(Profile::Nested.into()),
        ] {
            assert!(refuses.refuses_keys(), "{refuses:?}");
        }
        let some = Rule::new("keyctl", Action::Allow).when(crate::policy::seccomp::Test::new(
            0,
            crate::policy::seccomp::Compare::Equal,
            1,
        ));
        let lets = [
            Profile::Unconfined.into(),
            Profile::Nested.into(),
            usual.clone().allow("request_key"),
            usual.clone().notify("keyctl"),
            usual.clone().rule(some),
            usual.clone().otherwise(Action::Allow),
            // Calls of other architectures are still allowed.
            deny(Profile::Unconfined.into()),
        ];
        for lets in lets {
            assert!(!lets.refuses_keys(), "{lets:?}");
        }
        assert!(usual.allow("keyctl").deny("keyctl", 1).refuses_keys(), "the last rule holds");
    }

    #[test]
    fn what_only_a_cgroup_counts_is_refused_unless_a_rule_names_it() {
        let refused = |sandbox: crate::Sandbox, name: &str| {
            let call = Syscall::from_name(name).unwrap();
            uncounted(sandbox.policy())
                .is_some_and(|filter| filter.decide(call, &[0; 6]) == Action::Errno(libc::ENOSYS))
        };
        let limited = || crate::Sandbox::new().memory(1u64 << 30);
        let allowing =
            |call: &str| limited().seccomp(Seccomp::profile(Profile::Default).allow(call));
        for call in UNCOUNTED {
            assert!(refused(limited(), call), "{call}");
            assert!(refused(limited().seccomp(Profile::Strict), call), "{call}");
            assert!(!refused(crate::Sandbox::new(), call), "{call}: no limit, nothing to hold");
            assert!(!refused(limited().seccomp(Profile::Unconfined), call), "{call}");
            assert!(!refused(allowing(call), call), "{call}: the caller's word");
            let number = Syscall::from_name(call).unwrap().number().to_string();
            assert!(!refused(allowing(&number), call), "{call}: the caller's word, by number");
        }
        assert!(refused(allowing("memfd_create"), "shmget"));
        let filters = Filters::of(limited().policy(), Tree::Own).unwrap();
        let counted = |counted: bool| Situation { counted, gated: false };
        assert_eq!((filters.own(counted(true)), filters.own(counted(false))), (0, 1));
        assert_eq!(filters.load(counted(true)).unwrap().0.list::<&[u8]>().len(), 0);
        assert_eq!(filters.load(counted(false)).unwrap().0.list::<&[u8]>().len(), 1);
    }

    #[test]
    fn calls_that_a_listener_decides_are_left_to_it() {
        let filter =
            Seccomp::profile(Profile::Default).kill("chmod").notify("kill").deny("read", 1);
        let held = wardens(filter).unwrap();
        let decide = |name: &str| held.decide(Syscall::from_name(name).unwrap(), &[0; 6]);
        assert_eq!(
            [decide("chmod"), decide("kill"), decide("read"), decide("mount")],
            [Action::Allow, Action::Allow, Action::Allow, Action::Errno(1)]
        );
        assert_eq!(wardens(Profile::Strict), None);
        assert_eq!(wardens(Profile::Unconfined), None);
        let strict =
            wardens(Seccomp::profile(Profile::Strict).otherwise(Action::Errno(38))).unwrap();
        assert_eq!(strict.decide(Syscall::from_name("clone").unwrap(), &[0x11; 6]), Action::Allow);
        assert_eq!(
            strict.decide(Syscall::from_name("socket").unwrap(), &[0; 6]),
            Action::Errno(38)
        );
    }

    #[test]
    fn a_gate_is_for_other_trees_and_for_filters_without_a_listener() {
        let kills = Seccomp::profile(Profile::Default).kill("reboot");
        for (filter, tree, expected) in [
            (Profile::Default.into(), Tree::Others, true),
            (Profile::Unconfined.into(), Tree::Others, true),
            (Profile::Default.into(), Tree::Own, false),
            (Profile::Default.into(), Tree::Cell, false),
            (kills, Tree::Others, false),
        ] {
            let sandbox = crate::Sandbox::new().seccomp(Seccomp::clone(&filter));
            let filters = Filters::of(sandbox.policy(), tree).unwrap();
            assert_eq!(filters.has_gate(), expected, "{filter:?} {tree:?}");
            let gated = Situation { counted: true, gated: true };
            let (own, loaded) = (filters.own(gated), filters.load(gated).unwrap().0);
            assert_eq!(own as usize, loaded.list::<&[u8]>().len());
            assert_eq!(filters.listener(gated) == message::listener::GATE, expected);
        }
    }
}
