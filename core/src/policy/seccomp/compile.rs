//! Compiles a filter to the program that the kernel runs on every system call: classic BPF over
//! `struct seccomp_data`.
//!
//! All system call numbers are divided into ranges with the same verdict. A binary tree of
//! comparisons finds the range in a few steps, and keeps the program short. A short program is
//! important, because at every start of a command the kernel verifies and translates it. The kernel
//! also runs it once for each system call, to learn which calls it always allows.
//!
//! The process that starts the command has already loaded the filter. A bypass token lets it make
//! its remaining calls: a random number in those arguments of `execve`, `seccomp` and `sendmsg`
//! that the kernel ignores. The command cannot learn the token, because a filter cannot be read
//! without privileges, and execve(2) clears the registers.

mod gate;

use super::guard::{self, Tree};
use super::verdict::Verdict;
use super::{Action, Compare, Listener, NATIVE, Seccomp, Test, syscall};
use crate::base::error::{Error, Result};
use std::collections::BTreeMap;

/// A filter bypass token: a random number, drawn for each start.
pub type Token = [u32; 4];

/// A compiled filter, without a token.
#[derive(Debug, Clone)]
pub struct Program {
    code: Vec<Instruction>,
    pub listener: Listener,
}

/// `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u16,
    then: u8,
    otherwise: u8,
    k: u32,
}

/// BPF_MAXINSNS, the kernel's limit on the length of a program.
const LENGTH_MAX: usize = 4096;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// The offset of the system call number in `struct seccomp_data`.
const NUMBER: u32 = 0;
/// The offset of the architecture.
const ARCHITECTURE: u32 = 4;
/// The offset of the lower half of an argument.
fn argument(number: u8) -> u32 {
    16 + 8 * u32::from(number)
}

impl Program {
    /// Compiles a filter that has passed its check.
    ///
    /// # Errors
    ///
    /// `Invalid` if the program would be longer than the kernel allows.
    pub fn compile(filter: &Seccomp, tree: Tree) -> Result<Program> {
        let listener = filter.listener();
        let unknown = filter.otherwise.unwrap_or(filter.profile.unknown());
        let mut code = Assembler { code: Vec::new(), listener };
        code.emit(LOAD, ARCHITECTURE);
        code.branch(JUMP_EQUAL, NATIVE, 1, 0);
        let foreign = code.code.len();
        code.finish(unknown);
        code.emit(LOAD, NUMBER);
        code.allow_with_token();
        code.guard(tree, unknown);
        code.decide(&ranges(filter, unknown));
        if !refuses(unknown) {
            // The filter lets programs of other architectures run, so the guard must cover their
            // calls, too.
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
        Ok(Program { code: code.code, listener })
    }

    /// The bytes of a compiled filter, with this token.
    pub fn with_token(&self, token: Token) -> Vec<u8> {
        self.bytes(|index| {
            TOKEN_POSITIONS.iter().position(|place| *place == index).map(|place| token[place])
        })
    }

    /// The bytes of a program that has no place for a token.
    pub fn without_token(&self) -> Vec<u8> {
        self.bytes(|_| None)
    }

    fn bytes(&self, replaced: impl Fn(usize) -> Option<u32>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.code.len() * 8);
        for (index, instruction) in self.code.iter().enumerate() {
            let k = replaced(index).unwrap_or(instruction.k);
            bytes.extend_from_slice(&instruction.code.to_ne_bytes());
            bytes.extend_from_slice(&[instruction.then, instruction.otherwise]);
            bytes.extend_from_slice(&k.to_ne_bytes());
        }
        bytes
    }
}

/// Whether the action prevents the call without asking a listener.
fn refuses(action: Action) -> bool {
    matches!(action, Action::Errno(_) | Action::Kill)
}

/// All system call numbers as ranges with the same verdict. Each range is given by its first
/// number.
fn ranges(filter: &Seccomp, unknown: Action) -> Vec<(u32, Verdict)> {
    let otherwise = filter.otherwise.unwrap_or(filter.profile.otherwise());
    let mut numbers: Vec<u32> = syscall::known().map(|(_, number)| number).collect();
    numbers.sort_unstable();
    let mut verdicts: BTreeMap<u32, Verdict> =
        numbers.into_iter().map(|number| (number, Verdict::always(otherwise))).collect();
    for rule in filter.profile.rules().iter().chain(&filter.rules) {
        let Some(number) = rule.number() else { continue };
        verdicts.entry(number).or_insert_with(|| Verdict::always(unknown)).overrule(rule);
    }
    let mut ranges = vec![(0, Verdict::always(unknown))];
    let mut next = 0;
    let mut begin = |start: u32, verdict: Verdict| match ranges.last_mut() {
        Some((last, before)) if *last == start => *before = verdict,
        Some((_, before)) if *before == verdict => {}
        _ => ranges.push((start, verdict)),
    };
    for (number, verdict) in verdicts {
        if number > next {
            begin(next, Verdict::always(unknown));
        }
        begin(number, verdict);
        next = number + 1;
    }
    begin(next, Verdict::always(unknown));
    ranges
}

/// The target of a conditional jump.
#[derive(Clone, Copy, PartialEq)]
enum JumpTo {
    /// The next instruction.
    Next,
    /// The end of the test, because it holds.
    Holds,
    /// The end of the rule, because the test fails.
    Fails,
}

struct Assembler {
    code: Vec<Instruction>,
    listener: Listener,
}

/// The positions of the instructions that compare with the token. They are near the start of the
/// program, where `allow_with_token` emits them.
const TOKEN_POSITIONS: [usize; 4] = [9, 11, 13, 15];

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
            // The warden kills the command, because it can report the call. A kill by the kernel
            // looks like any other signal.
            Action::Kill if self.listener == Listener::Warden => 0x7fc0_0000,
            Action::Kill => 0x8000_0000,
        };
        self.emit(RETURN, value);
    }

    /// Allows the three calls of a start if arguments 4 and 5 contain the token.
    fn allow_with_token(&mut self) {
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

    /// Refuses calls that name the warden. Afterwards the accumulator holds the number of the call
    /// again, on every path.
    fn guard(&mut self, tree: Tree, unknown: Action) {
        if let (Some(bit), false) = (guard::X32, refuses(unknown)) {
            self.emit(AND, !bit);
        }
        let (mut named, mut leave) = (Vec::new(), Vec::new());
        let mut groups = guard::calls(tree).into_iter().peekable();
        while let Some((numbers, tests)) = groups.next() {
            let mut block = Assembler { code: Vec::new(), listener: self.listener };
            for test in tests {
                block.emit(LOAD, argument(test.argument));
                if test.mask as u32 != u32::MAX {
                    block.emit(AND, test.mask as u32);
                }
                named.push(self.code.len() + numbers.len() + block.code.len());
                block.emit(JUMP_EQUAL, test.value as u32);
            }
            // A call that is not in this group goes on to the next group. After the last group it
            // jumps to the end of the guard.
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

    /// Handles calls of other architectures. Those of 32-bit programs are guarded.
    fn guard_compat(&mut self, unknown: Action, tree: Tree) {
        let mut calls = Assembler { code: Vec::new(), listener: self.listener };
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

    /// Finds the range of the call by binary search.
    fn decide(&mut self, ranges: &[(u32, Verdict)]) {
        if let [(_, verdict)] = ranges {
            return self.carry_out(verdict);
        }
        let (lower, upper) = ranges.split_at(ranges.len() / 2);
        let at = self.code.len();
        self.branch(JUMP_AT_LEAST, upper[0].0, 0, 0);
        self.decide(lower);
        let distance = self.code.len() - at - 1;
        match u8::try_from(distance) {
            Ok(distance) => self.code[at].then = distance,
            Err(_) => {
                let jump = Instruction { code: JUMP, then: 0, otherwise: 0, k: distance as u32 };
                self.code[at].otherwise = 1;
                self.code.insert(at + 1, jump);
            }
        }
        self.decide(upper);
    }

    fn carry_out(&mut self, verdict: &Verdict) {
        for (tests, action) in &verdict.rules {
            self.rule(tests, *action);
        }
        self.finish(verdict.default);
    }

    fn rule(&mut self, tests: &[Test], action: Action) {
        let mut compared: Vec<(usize, JumpTo, JumpTo, usize)> = Vec::new();
        for test in tests {
            let first = compared.len();
            for (half, code, k, then, otherwise) in test.comparisons() {
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
            let distance = |target: JumpTo| match target {
                JumpTo::Next => 0,
                JumpTo::Holds => (holds - at - 1) as u8,
                JumpTo::Fails => (end - at - 1) as u8,
            };
            (self.code[at].then, self.code[at].otherwise) = (distance(then), distance(otherwise));
        }
    }
}

/// A comparison: the offset to load first, the jump instruction, the value, and the targets if the
/// comparison is true and if it is false.
type Comparison = (Option<u32>, u16, u32, JumpTo, JumpTo);

impl Test {
    fn comparisons(&self) -> Vec<Comparison> {
        use JumpTo::{Fails, Holds, Next};
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
        // BPF compares 32 bits at a time. If the upper halves differ, they alone decide.
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
