//! From a filter to the program that the kernel runs on every call: classic BPF over `struct
//! seccomp_data`.
//!
//! The numbers of all calls are one line, cut into stretches with one fate each, which a tree of
//! comparisons finds in a few steps. That keeps the program short, and short is what counts: at
//! every start of a command the kernel checks it, translates it, and runs it once for each
//! call there is, to learn which it always allows.
//!
//! The command is started by a process that has the filter already. What that process has still to
//! do, it may do with a pass: a random number in those arguments of `execve`, `seccomp` and
//! `sendmsg` that the kernel ignores. Nobody inside can know it: the filter cannot be read
//! without privileges, and an exec clears the registers.

use super::fate::Fate;
use super::guard::{self, Tree};
use super::{Action, Compare, Listens, NATIVE, Seccomp, Test, syscall};
use crate::base::error::{Error, Result};
use std::collections::BTreeMap;

/// One random number per start.
pub type Pass = [u32; 4];

/// A filter's program, but for the pass.
#[derive(Debug, Clone)]
pub struct Program {
    code: Vec<Instruction>,
    pub listens: Listens,
}

/// `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u16,
    then: u8,
    otherwise: u8,
    k: u32,
}

/// The kernel takes no longer programs (BPF_MAXINSNS).
const LENGTH_MAX: usize = 4096;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// Where the lower half of an argument lies.
fn argument(number: u8) -> u32 {
    16 + 8 * u32::from(number)
}

impl Program {
    /// Compiles a filter that has been checked.
    pub fn compile(filter: &Seccomp, tree: Tree) -> Result<Program> {
        let listens = filter.listens();
        let unknown = filter.otherwise.unwrap_or(filter.profile.unknown());
        let mut code = Assembler { code: Vec::new(), listens };
        code.emit(LOAD, ARCHITECTURE);
        code.branch(JUMP_EQUAL, NATIVE, 1, 0);
        let foreign = code.code.len();
        code.finish(unknown);
        code.emit(LOAD, NUMBER);
        code.admit_with_pass();
        code.guard(tree, unknown);
        code.decide(&stretches(filter, unknown));
        if !refuses(unknown) {
            // Programs of another architecture run: the guard holds for them, too.
            code.code[foreign] = Instruction {
                code: JUMP,
                then: 0,
                otherwise: 0,
                k: (code.code.len() - foreign - 1) as u32,
            };
            code.guard_compat(unknown, tree);
        }
        if code.code.len() > LENGTH_MAX {
            return Err(Error::invalid(
                "seccomp filter",
                format!(
                    "compiles to {} instructions, and {LENGTH_MAX} is the most",
                    code.code.len()
                ),
            ));
        }
        Ok(Program { code: code.code, listens })
    }

    /// The bytes of the program, with this pass.
    pub fn with_pass(&self, pass: Pass) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.code.len() * 8);
        for (index, instruction) in self.code.iter().enumerate() {
            let place = PASS.iter().position(|place| *place == index);
            let k = place.map_or(instruction.k, |place| pass[place]);
            bytes.extend_from_slice(&instruction.code.to_ne_bytes());
            bytes.extend_from_slice(&[instruction.then, instruction.otherwise]);
            bytes.extend_from_slice(&k.to_ne_bytes());
        }
        bytes
    }
}

/// Whether a call with this fate is not made, whatever the caller says.
fn refuses(action: Action) -> bool {
    matches!(action, Action::Errno(_) | Action::Kill)
}

/// The line of numbers, cut where the fate changes: each stretch by its first number.
fn stretches(filter: &Seccomp, unknown: Action) -> Vec<(u32, Fate)> {
    let otherwise = filter.otherwise.unwrap_or(filter.profile.otherwise());
    let mut fates: BTreeMap<u32, Fate> =
        syscall::known().values().map(|number| (*number, Fate::simply(otherwise))).collect();
    for rule in filter.profile.rules().iter().chain(&filter.rules) {
        let Some(number) = rule.number() else { continue };
        fates.entry(number).or_insert_with(|| Fate::simply(unknown)).overrule(rule);
    }
    let mut line = vec![(0, Fate::simply(unknown))];
    let mut next = 0;
    let mut cut = |start: u32, fate: Fate| match line.last_mut() {
        Some((last, before)) if *last == start => *before = fate,
        Some((_, before)) if *before == fate => {}
        _ => line.push((start, fate)),
    };
    for (number, fate) in fates {
        if number > next {
            cut(next, Fate::simply(unknown));
        }
        cut(number, fate);
        next = number + 1;
    }
    cut(next, Fate::simply(unknown));
    line
}

/// Where a comparison goes on: the next instruction, the end of its test (which holds), the end of
/// its rule (which does not).
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Next,
    Holds,
    Fails,
}

struct Assembler {
    code: Vec<Instruction>,
    listens: Listens,
}

/// Where the pass stands in the program: in these instructions, which `admit_with_pass` emits first
/// of all.
const PASS: [usize; 4] = [9, 11, 13, 15];

impl Assembler {
    fn emit(&mut self, code: u16, k: u32) {
        self.branch(code, k, 0, 0);
    }

    fn branch(&mut self, code: u16, k: u32, then: u8, otherwise: u8) {
        self.code.push(Instruction { code, then, otherwise, k });
    }

    fn finish(&mut self, action: Action) {
        let value = match action {
            Action::Allow => 0x7fff_0000,
            Action::Log => 0x7ffc_0000,
            Action::Errno(number) => 0x0005_0000 | number.unsigned_abs(),
            Action::Notify => 0x7fc0_0000,
            // By way of the warden, who can tell which call it was; a kill by the kernel is a mere
            // signal.
            Action::Kill if self.listens == Listens::Warden => 0x7fc0_0000,
            Action::Kill => 0x8000_0000,
        };
        self.emit(RETURN, value);
    }

    /// Allows the three calls of a start that has the pass in arguments 4 and 5.
    fn admit_with_pass(&mut self) {
        self.branch(JUMP_EQUAL, libc::SYS_execve as u32, 3, 0);
        self.branch(JUMP_EQUAL, libc::SYS_seccomp as u32, 2, 0);
        self.branch(JUMP_EQUAL, libc::SYS_sendmsg as u32, 1, 0);
        self.emit(JUMP, 10);
        for (place, offset) in
            [argument(4), argument(4) + 4, argument(5), argument(5) + 4].into_iter().enumerate()
        {
            self.emit(LOAD, offset);
            self.branch(JUMP_EQUAL, 0, 0, 7 - 2 * place as u8);
        }
        self.finish(Action::Allow);
        self.emit(LOAD, NUMBER);
    }

    /// Refuses calls that name the warden. On every way through, the number of the call is loaded
    /// again.
    fn guard(&mut self, tree: Tree, unknown: Action) {
        if let (Some(bit), false) = (guard::X32, refuses(unknown)) {
            self.emit(AND, !bit);
        }
        let (mut named, mut leave) = (Vec::new(), Vec::new());
        let mut groups = guard::calls(tree).into_iter().peekable();
        while let Some((numbers, tests)) = groups.next() {
            let mut block = Assembler { code: Vec::new(), listens: self.listens };
            for test in tests {
                block.emit(LOAD, argument(test.argument));
                if test.mask as u32 != u32::MAX {
                    block.emit(AND, test.mask as u32);
                }
                named.push(self.code.len() + numbers.len() + block.code.len());
                block.emit(JUMP_EQUAL, test.value as u32);
            }
            // A call that is none of these goes on with the next ones, or leaves with the last.
            let next = block.code.len() as u8 + u8::from(groups.peek().is_some());
            for (index, number) in numbers.iter().enumerate() {
                let left = (numbers.len() - index - 1) as u8;
                self.branch(JUMP_EQUAL, *number, left, if left == 0 { next } else { 0 });
            }
            self.code.append(&mut block.code);
            leave.push(self.code.len());
            self.emit(JUMP, 0);
        }
        let end = self.code.len();
        named.into_iter().for_each(|at| self.code[at].then = (end - at - 1) as u8);
        self.finish(guard::REFUSED);
        leave.into_iter().for_each(|at| self.code[at].k = (end - at) as u32);
        self.emit(LOAD, NUMBER);
    }

    /// Another architecture's calls: 32-bit programs' are guarded.
    fn guard_compat(&mut self, unknown: Action, tree: Tree) {
        let mut calls = Assembler { code: Vec::new(), listens: self.listens };
        for (number, test) in guard::compat(tree) {
            calls.emit(LOAD, NUMBER);
            calls.branch(JUMP_EQUAL, number, 0, 4);
            calls.emit(LOAD, argument(test.argument));
            calls.emit(AND, test.mask as u32);
            calls.branch(JUMP_EQUAL, test.value as u32, 0, 1);
            calls.finish(guard::REFUSED);
        }
        self.emit(LOAD, ARCHITECTURE);
        self.branch(JUMP_EQUAL, guard::COMPAT, 1, 0);
        self.emit(JUMP, calls.code.len() as u32);
        self.code.append(&mut calls.code);
        self.finish(unknown);
    }

    /// Finds the stretch by halves.
    fn decide(&mut self, stretches: &[(u32, Fate)]) {
        if let [(_, fate)] = stretches {
            return self.carry_out(fate);
        }
        let (lower, upper) = stretches.split_at(stretches.len() / 2);
        let mut below = Assembler { code: Vec::new(), listens: self.listens };
        below.decide(lower);
        match u8::try_from(below.code.len()) {
            Ok(distance) => self.branch(JUMP_AT_LEAST, upper[0].0, distance, 0),
            Err(_) => {
                self.branch(JUMP_AT_LEAST, upper[0].0, 0, 1);
                self.emit(JUMP, below.code.len() as u32);
            }
        }
        self.code.append(&mut below.code);
        self.decide(upper);
    }

    fn carry_out(&mut self, fate: &Fate) {
        for (tests, action) in &fate.rules {
            self.rule(tests, *action);
        }
        self.finish(fate.last);
    }

    fn rule(&mut self, tests: &[Test], action: Action) {
        let mut compared: Vec<(usize, Way, Way, usize)> = Vec::new();
        for test in tests {
            let first = compared.len();
            for (half, code, k, then, otherwise) in test.steps() {
                if let Some(offset) = half {
                    self.emit(LOAD, offset);
                    let mask =
                        if offset % 8 == 0 { test.mask as u32 } else { (test.mask >> 32) as u32 };
                    if mask != u32::MAX {
                        self.emit(AND, mask);
                    }
                }
                compared.push((self.code.len(), then, otherwise, 0));
                self.emit(code, k);
            }
            let end = self.code.len();
            compared[first..].iter_mut().for_each(|comparison| comparison.3 = end);
        }
        self.finish(action);
        let end = self.code.len();
        for (at, then, otherwise, holds) in compared {
            let distance = |way: Way| match way {
                Way::Next => 0,
                Way::Holds => (holds - at - 1) as u8,
                Way::Fails => (end - at - 1) as u8,
            };
            (self.code[at].then, self.code[at].otherwise) = (distance(then), distance(otherwise));
        }
    }
}

/// A comparison: what to load first, how to compare with what, and where to go on if so and if not.
type Step = (Option<u32>, u16, u32, Way, Way);

impl Test {
    fn steps(&self) -> Vec<Step> {
        use Way::{Fails, Holds, Next};
        let (low, high) = (argument(self.argument), argument(self.argument) + 4);
        let (low_value, high_value) = (self.value as u32, (self.value >> 32) as u32);
        let (code, then, otherwise) = match self.compare {
            Compare::Equal => (JUMP_EQUAL, Next, Fails),
            Compare::NotEqual => (JUMP_EQUAL, Fails, Next),
            Compare::Greater => (JUMP_GREATER, Next, Fails),
            Compare::LessOrEqual => (JUMP_GREATER, Fails, Next),
            Compare::GreaterOrEqual => (JUMP_AT_LEAST, Next, Fails),
            Compare::Less => (JUMP_AT_LEAST, Fails, Next),
        };
        let last = (Some(low), code, low_value, then, otherwise);
        if !self.wide {
            return vec![last];
        }
        // If the upper halves differ they decide: for "not this" and "less", one way round; else,
        // the other.
        let negated = then == Fails;
        let differ = if negated { Holds } else { Fails };
        let equal = (None, JUMP_EQUAL, high_value, Next, differ);
        match self.compare {
            Compare::Equal | Compare::NotEqual => {
                vec![(Some(high), equal.1, equal.2, equal.3, equal.4), last]
            }
            _ => vec![
                (Some(high), JUMP_GREATER, high_value, if negated { Fails } else { Holds }, Next),
                equal,
                last,
            ],
        }
    }
}

#[cfg(test)]
mod tests;
