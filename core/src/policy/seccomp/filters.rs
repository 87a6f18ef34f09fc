//! What is loaded into a sandbox: the warden's own filter at the end of set-up, which all that it
//! starts has too; and what a command has besides.

use super::compile::{Pass, Program};
use super::guard::Tree;
use super::{Action, Listens, Profile, Rule, Seccomp};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::Policy;
use crate::wire::codec::ListBuilder;
use crate::wire::message;
use crate::wire::plan::protection;
use std::sync::{Arc, OnceLock};

/// The calls by which a warden starts, watches and ends commands.
const WARDENS: &[&str] = &[
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

/// Calls that take memory of the host's which no process has in its own pages: files in memory, and
/// System V objects. A cgroup counts it. A look at the processes does not, so where that is all
/// that holds the limit on memory, these calls are absent.
const UNCOUNTED: &[&str] = &["memfd_create", "msgget", "semget", "shmget"];

/// The programs. The kernel asks all that a process has, and the strictest answer holds.
#[derive(Debug)]
pub struct Filters {
    warden: Arc<Program>,
    /// What the warden's holds: the guard alone, or what the policy says, too.
    wardens_protections: u64,
    command: Option<Arc<Program>>,
    /// Refuses what only a cgroup counts.
    uncounted: Option<Program>,
    brought: Vec<Vec<u8>>,
}

impl Filters {
    /// The filters of a policy that has been checked.
    pub fn of(policy: &Policy, tree: Tree) -> Result<Filters> {
        let filter = held_back(policy, tree);
        let wardens = filter.wardens();
        let guard = Seccomp::profile(Profile::Unconfined);
        let compile = |filter: &Seccomp| compile(filter, tree);
        let (warden, command, wardens_protections) = match wardens {
            // What holds the warden holds the command, too: once is enough.
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
            wardens_protections,
            command,
            uncounted,
            brought: policy.seccomp_bpf.clone(),
        })
    }

    /// The program for the warden, which all that it starts has too, and which protections it is.
    /// It has the guard in any case. Nobody has a pass for it.
    pub fn wardens(&self) -> Result<(Vec<u8>, u64)> {
        Ok((self.warden.with_pass(draw()?), self.wardens_protections))
    }

    /// How many programs of the sandbox's own a command has besides the warden's: they are loaded
    /// before those that were brought. `counted`: a cgroup counts all memory.
    pub fn own(&self, counted: bool) -> u32 {
        u32::from(self.command.is_some()) + u32::from(self.uncounted.is_some() && !counted)
    }

    /// Who is told of calls: one of [`message::listener`].
    pub fn listener(&self) -> u32 {
        match self.command.as_ref().map(|program| program.listens) {
            None | Some(Listens::Nobody) => message::listener::NOBODY,
            Some(Listens::Warden) => message::listener::WARDEN,
            Some(Listens::Caller) => message::listener::CALLER,
        }
    }

    /// The programs for one start of a command, in the order in which they are loaded, and the pass
    /// that it has. `counted`: a cgroup counts all memory.
    pub fn load(&self, counted: bool) -> Result<(ListBuilder<Vec<u8>>, message::Pass)> {
        let mut programs = ListBuilder::new(Vec::new());
        let mut pass: Pass = [0; 4];
        if let Some(program) = &self.command {
            pass = draw()?;
            programs.push(&program.with_pass(pass).as_slice());
        }
        if let Some(program) = self.uncounted.as_ref().filter(|_| !counted) {
            // It refuses none of the calls of a start: nobody needs a pass for it.
            programs.push(&program.with_pass([0; 4]).as_slice());
        }
        self.brought.iter().for_each(|program| programs.push(&program.as_slice()));
        let word = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        Ok((
            programs,
            message::Pass { fourth: word(pass[0], pass[1]), fifth: word(pass[2], pass[3]) },
        ))
    }
}

/// The policy's filter. With a limit on output it has no calls that hold the lock of a pipe while
/// they wait for something else: an empty socket spliced into the pipe would keep the warden from
/// reading it, for ever. Programs then copy by read and write.
///
/// In a tree that was there before there is no tracing: the others in it are not the sandbox's. A
/// rule of the policy's, and the profile for debugging, let it.
fn held_back(policy: &Policy, tree: Tree) -> Seccomp {
    const LOCK_PIPES: &[&str] = &["sendfile", "splice", "tee", "vmsplice"];
    let mut filter = policy.filter();
    if tree == Tree::Others && matches!(filter.profile, Profile::Default | Profile::Nested) {
        filter.rules.insert(0, Rule::new("ptrace", Action::Errno(libc::EPERM)));
    }
    if policy.limits.output.is_none() {
        return filter;
    }
    LOCK_PIPES.iter().fold(filter, |filter, call| filter.deny(*call, libc::EINVAL))
}

impl Seccomp {
    /// The filter that the warden can live with while commands have this one: the same, but that it
    /// may do what it must, and that nothing is decided that the command's own filter has
    /// someone else decide. `None` if that holds nothing back.
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
        for call in WARDENS {
            let ruled = self.rules.iter().any(|rule| rule.call == *call);
            if ruled || self.profile == Profile::Strict || self.profile == Profile::Unconfined {
                wardens = wardens.allow(*call);
            }
        }
        Some(wardens)
    }
}

/// The filter for a limit on memory that is held by looks only. What the policy's own rules name is
/// left to them, and so is everything where the profile is no filter at all.
fn uncounted(policy: &Policy) -> Option<Seccomp> {
    let filter = policy.filter();
    if policy.limits.memory.is_none()
        || filter.profile == Profile::Unconfined
            && matches!(filter.otherwise, None | Some(Action::Allow))
    {
        return None;
    }
    let ruled = |call: &str| {
        let number = Rule::new(call, Action::Allow).number();
        filter.rules.iter().any(|rule| rule.number() == number)
    };
    let calls = UNCOUNTED.iter().filter(|call| !ruled(call));
    let refused = calls.fold(Seccomp::profile(Profile::Unconfined), |filter, call| {
        filter.deny(*call, libc::ENOSYS)
    });
    if refused.rules.is_empty() { None } else { Some(refused) }
}

pub fn draw() -> Result<Pass> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Setup, "draw a random number").because(error.to_string())
    })?;
    Ok(std::array::from_fn(|word| {
        u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * word + byte]))
    }))
}

/// A profile, bare or in a network of the sandbox's own, is compiled once for the whole process.
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
    fn the_usual_profiles_hold_the_warden_as_they_are() {
        for profile in [Profile::Default, Profile::Nested, Profile::Debug] {
            assert_eq!(wardens(profile), Some(profile.into()));
            let filter = Seccomp::profile(profile);
            for call in WARDENS {
                let call = Syscall::from_name(call)
                    .unwrap_or_else(|| panic!("{call} is a call of this architecture"));
                assert_eq!(filter.decide(call, &[0; 6]), Action::Allow, "{call} under {profile}");
            }
        }
    }

    #[test]
    fn a_filter_refuses_keys_if_nothing_lets_them_be_called() {
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
            // Another architecture's calls are still let through.
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
        assert_eq!((filters.own(true), filters.own(false)), (0, 1));
        assert_eq!(filters.load(true).unwrap().0.list::<&[u8]>().len(), 0);
        assert_eq!(filters.load(false).unwrap().0.list::<&[u8]>().len(), 1);
    }

    #[test]
    fn what_another_decides_is_left_to_it() {
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
}
