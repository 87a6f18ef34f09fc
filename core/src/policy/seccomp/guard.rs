//! The guard: calls by which a command could change its warden. Every filter refuses them, whatever
//! its profile and rules.
//!
//! The warden runs as the command's user. So the kernel would let the command change the warden's
//! resource limits, processors and priority, and thus disable the limits that the warden enforces.
//! Calls that require the right to trace need no guard, because the warden cannot be traced.
//!
//! In its own process tree the warden is PID 1, to which the kernel delivers no signals from inside
//! (pid_namespaces(7)). In any other tree its id is not known in advance, and the warden writes it
//! into the program before it loads the filter. A command that enters a cell has a warden of its
//! own there, which the cell's commands must not reach. That warden has a reserved process id.
//! Where the command itself is PID 1, no call can name the warden, which is in an outer tree.

use super::table::Architecture;
use super::{Action, Compare, Test, syscall};
use crate::wire::plan::guard::{ENTRANTS, OWN, OWN_GROUP, RESERVED_MASK};
use std::collections::BTreeMap;

/// PID 1 inside. The kernel reads only the lower 32 bits of a process id, and so do the tests.
const INIT: u64 = 1;
/// -1, by which kill(2) signals every process that it can.
const EVERYBODY: u64 = 0xffff_ffff;
/// PRIO_USER of setpriority(2): every process of a user.
const PRIO_USER: u64 = 2;
/// IOPRIO_WHO_USER of ioprio_set(2): every process of a user.
const IOPRIO_WHO_USER: u64 = 3;

/// The action for a call that the guard refuses.
pub(super) const REFUSED: Action = Action::Errno(libc::EPERM);

/// The process tree that commands run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// The sandbox's own.
    Own,
    /// The sandbox's own, below the tree of the warden, which is not in it.
    Below,
    /// That of a cell, which other commands may enter.
    Cell,
    /// One that existed before: the caller's, or one that the command enters.
    Others,
    /// The same, and commands may make sandboxes in it. Their wardens signal everybody in process
    /// trees of their own, by the same call that would signal this tree's warden.
    Nesting,
}

impl Tree {
    /// The number of variants.
    pub const NUMBER: usize = 5;

    /// Whether the tree existed before.
    pub fn is_others(self) -> bool {
        matches!(self, Tree::Others | Tree::Nesting)
    }
}

/// The meaning of an argument that names processes.
#[derive(Clone, Copy)]
enum GuardedCall {
    /// A process that the call changes.
    Process,
    /// A process that the call signals, or opens as a pidfd. PID 1 gets no signals anyway.
    Signalled,
    /// A process group that the call signals, as a negative number, or every process.
    Group,
    /// Every process of a user, if the argument has this value.
    User(u64),
}
use GuardedCall::{Group, Process, Signalled, User};

/// The guarded calls: name, numbers for 32-bit programs (i386, arm), argument, and its meaning.
/// 32-bit programs of riscv64 have its own numbers.
const CALLS: &[(&str, [u32; 2], u8, GuardedCall)] = &[
    ("ioprio_set", [289, 314], 0, User(IOPRIO_WHO_USER)),
    ("ioprio_set", [289, 314], 1, Process),
    ("kill", [37, 37], 0, Signalled),
    ("kill", [37, 37], 0, Group),
    ("pidfd_open", [434, 434], 0, Signalled),
    ("prlimit64", [340, 369], 0, Process),
    ("rt_sigqueueinfo", [178, 178], 0, Signalled),
    ("rt_tgsigqueueinfo", [335, 363], 0, Signalled),
    ("sched_setaffinity", [241, 241], 0, Process),
    ("sched_setattr", [351, 380], 0, Process),
    ("sched_setparam", [154, 154], 0, Process),
    ("sched_setscheduler", [156, 156], 0, Process),
    ("setpriority", [97, 97], 0, User(PRIO_USER)),
    ("setpriority", [97, 97], 1, Process),
    ("tgkill", [270, 268], 0, Signalled),
    ("tkill", [238, 238], 0, Signalled),
];

/// The AUDIT_ARCH value of 32-bit programs: i386, arm or riscv32.
pub(super) const COMPAT: u32 = match Architecture::NATIVE {
    Architecture::X86_64 => 0x4000_0003,
    Architecture::Aarch64 => 0x4000_0028,
    Architecture::Riscv64 => 0x4000_00f3,
};

/// The bit that marks a call of the x32 ABI on x86_64, where each call has this second number.
pub(super) const X32: Option<u32> =
    if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

impl GuardedCall {
    /// The tests for an argument that names the warden. Each of them suffices.
    fn tests(self, argument: u8, tree: Tree) -> impl Iterator<Item = Test> {
        let is = move |value: u64| Test::new(argument, Compare::Equal, value);
        let entrant = Test { value: ENTRANTS.into(), ..is(0).masked(RESERVED_MASK.into()) };
        let (init, own) = (is(INIT), is(OWN.into()));
        let tests = match (self, tree) {
            (User(value), _) => [Some(is(value)), None, None],
            (_, Tree::Below) => [None, None, None],
            (Process, Tree::Own) => [Some(init), None, None],
            (Process, Tree::Cell) => [Some(init), Some(entrant), None],
            (Process, Tree::Others | Tree::Nesting) => [Some(init), Some(entrant), Some(own)],
            (Group, Tree::Own | Tree::Cell) => [None, None, None],
            (Group, Tree::Others) => [Some(is(EVERYBODY)), Some(is(OWN_GROUP.into())), None],
            (Group, Tree::Nesting) => [None, Some(is(OWN_GROUP.into())), None],
            (Signalled, Tree::Own) => [None, None, None],
            (Signalled, Tree::Cell) => [Some(entrant), None, None],
            (Signalled, Tree::Others | Tree::Nesting) => [Some(entrant), Some(own), None],
        };
        tests.into_iter().flatten()
    }
}

/// The guarded calls by their native numbers, grouped by their tests. A call names the warden if
/// any of its tests holds.
pub(super) fn calls(tree: Tree) -> Vec<(Vec<u32>, Vec<Test>)> {
    let mut by_number: BTreeMap<u32, Vec<Test>> = BTreeMap::new();
    for (name, _, argument, target) in CALLS {
        let number = syscall::number_of(name);
        for (number, test) in number
            .into_iter()
            .flat_map(|number| target.tests(*argument, tree).map(move |test| (number, test)))
        {
            by_number.entry(number).or_default().push(test);
        }
    }
    let mut calls: Vec<(Vec<u32>, Vec<Test>)> = Vec::new();
    for (number, tests) in by_number {
        match calls.iter_mut().find(|(_, others)| *others == tests) {
            Some((numbers, _)) => numbers.push(number),
            None => calls.push((vec![number], tests)),
        }
    }
    calls
}

/// Whether the guard refuses a call with this number and these arguments.
pub(super) fn refuses(tree: Tree, number: u32, arguments: &[u64; 6]) -> bool {
    let native = X32.map_or(number, |bit| number & !bit);
    let mut guarded = calls(tree).into_iter().filter(|(numbers, _)| numbers.contains(&native));
    guarded.any(|(_, tests)| tests.iter().any(|test| test.holds(arguments)))
}

/// The guarded calls of 32-bit programs, by their numbers, each with one test.
pub(super) fn compat(tree: Tree) -> impl Iterator<Item = (u32, Test)> {
    CALLS.iter().flat_map(move |(name, numbers, argument, target)| {
        let number = match Architecture::NATIVE {
            Architecture::X86_64 => numbers[0],
            Architecture::Aarch64 => numbers[1],
            Architecture::Riscv64 => syscall::number_of(name)
                .unwrap_or_else(|| unreachable!("a unit test looks up each name")),
        };
        target.tests(*argument, tree).map(move |test| (number, test))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_guard_is_one_of_this_architecture() {
        for tree in [Tree::Own, Tree::Below, Tree::Cell, Tree::Others, Tree::Nesting] {
            let tests: usize =
                calls(tree).iter().map(|(numbers, tests)| numbers.len() * tests.len()).sum();
            assert_eq!(tests, compat(tree).count());
        }
    }
}
