//! The guard: calls by which a command could change its warden, refused in every filter, whatever
//! its profile and rules say.
//!
//! The warden has the command's user, and so the kernel would let the command take its descriptors,
//! its processor and its priority away, and with them the limits that the warden holds. What takes
//! the right to trace needs no guard: the warden cannot be traced.
//!
//! In a tree of its own the warden is PID 1, and gets no signals from inside (pid_namespaces(7)).
//! Elsewhere it has any number, and puts that into the program before it loads it. A command that
//! enters a cell has a warden there, too, which the cell's commands must not reach: it has a number
//! that the kernel gives to nobody else.

use super::{Action, Compare, Rule, Test};
use crate::wire::plan::guard::{ENTRANTS, KEPT_MASK, OWN};
use std::collections::BTreeMap;

/// PID 1 inside. The kernel looks at the lower 32 bits of a process id, and so do the tests.
const FIRST: u64 = 1;
/// PRIO_USER of setpriority(2): every process of a user.
const PRIO_USER: u64 = 2;
/// IOPRIO_WHO_USER of ioprio_set(2): the same.
const IOPRIO_WHO_USER: u64 = 3;

/// The error of a call that the guard refuses.
pub(super) const REFUSED: Action = Action::Errno(libc::EPERM);

/// Which process tree commands are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// One of their own.
    Own,
    /// A cell's, which others enter.
    Cell,
    /// One that was there before: the caller's, or one that they enter.
    Others,
}

impl Tree {
    pub const NUMBER: usize = 3;
}

/// What an argument names.
#[derive(Clone, Copy)]
enum Names {
    /// A process that is changed.
    Process,
    /// A process that gets a signal, or a descriptor of one: PID 1 is immune.
    Signalled,
    /// With this value, every process of a user.
    User(u64),
}
use Names::{Process, Signalled, User};

/// A call: its name, its numbers for 32-bit programs (i386, arm), which argument names whom.
const CALLS: &[(&str, [u32; 2], u8, Names)] = &[
    ("ioprio_set", [289, 314], 0, User(IOPRIO_WHO_USER)),
    ("ioprio_set", [289, 314], 1, Process),
    ("kill", [37, 37], 0, Signalled),
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

/// The 32-bit programs' architecture, as AUDIT_ARCH_: i386, arm.
pub(super) const COMPAT: u32 = if cfg!(target_arch = "x86_64") { 0x4000_0003 } else { 0x4000_0028 };

/// On x86_64 a call has a second number, by this bit: the x32 ABI.
pub(super) const X32: Option<u32> =
    if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

impl Names {
    /// The tests by which an argument is found to name the warden.
    fn tests(self, argument: u8, tree: Tree) -> impl Iterator<Item = Test> {
        let is = move |value: u64| Test::new(argument, Compare::Equal, value);
        let entrant = Test { value: ENTRANTS.into(), ..is(0).masked(KEPT_MASK.into()) };
        let (first, own) = (is(FIRST), is(OWN.into()));
        let tests = match (self, tree) {
            (User(value), _) => [Some(is(value)), None, None],
            (Process, Tree::Own) => [Some(first), None, None],
            (Process, Tree::Cell) => [Some(first), Some(entrant), None],
            (Process, Tree::Others) => [Some(first), Some(entrant), Some(own)],
            (Signalled, Tree::Own) => [None, None, None],
            (Signalled, Tree::Cell) => [Some(entrant), None, None],
            (Signalled, Tree::Others) => [Some(entrant), Some(own), None],
        };
        tests.into_iter().flatten()
    }
}

/// The calls by their native numbers, and the tests that find the warden named, one of which is
/// enough: calls with the same tests together.
pub(super) fn calls(tree: Tree) -> Vec<(Vec<u32>, Vec<Test>)> {
    let mut by_number: BTreeMap<u32, Vec<Test>> = BTreeMap::new();
    for (name, _, argument, names) in CALLS {
        let number = Rule::new(*name, REFUSED).number();
        for (number, test) in number
            .into_iter()
            .flat_map(|number| names.tests(*argument, tree).map(move |test| (number, test)))
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

/// Whether the call of this number names the warden.
pub(super) fn refuses(tree: Tree, number: u32, arguments: &[u64; 6]) -> bool {
    let native = X32.map_or(number, |bit| number & !bit);
    let mut guarded = calls(tree).into_iter().filter(|(numbers, _)| numbers.contains(&native));
    guarded.any(|(_, tests)| tests.iter().any(|test| test.holds(arguments)))
}

/// The same of 32-bit programs' calls.
pub(super) fn compat(tree: Tree) -> impl Iterator<Item = (u32, Test)> {
    CALLS.iter().flat_map(move |(_, numbers, argument, names)| {
        let number = if cfg!(target_arch = "x86_64") { numbers[0] } else { numbers[1] };
        names.tests(*argument, tree).map(move |test| (number, test))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_guard_is_one_of_this_architecture() {
        for tree in [Tree::Own, Tree::Cell, Tree::Others] {
            let tests: usize =
                calls(tree).iter().map(|(numbers, tests)| numbers.len() * tests.len()).sum();
            assert_eq!(tests, compat(tree).count());
        }
    }
}
