//! Compares compiled programs, run by an interpreter, with the decisions of the filters themselves.

use super::*;
use crate::policy::seccomp::{Profile, Rule, Syscall};

const TEST_TOKEN: Token = [0x1234_5678, 0x9abc_def0, 7, 0xffff_ffff];

/// A system call, as a filter sees it (`struct seccomp_data`).
#[derive(Debug, Clone, Copy)]
struct Call {
    number: u32,
    architecture: u32,
    arguments: [u64; 6],
}

impl Call {
    fn native(number: u32, arguments: [u64; 6]) -> Call {
        Call { number, architecture: NATIVE, arguments }
    }

    fn named(name: &str, arguments: &[u64]) -> Call {
        let number = Rule::new(name, Action::Allow).number().unwrap();
        Call::native(
            number,
            std::array::from_fn(|index| arguments.get(index).copied().unwrap_or(0)),
        )
    }

    fn word(&self, offset: u32) -> u32 {
        match offset {
            NUMBER => self.number,
            ARCHITECTURE => self.architecture,
            _ => (self.arguments[(offset as usize - 16) / 8] >> (offset % 8 * 8)) as u32,
        }
    }
}

fn interpret(program: &Program, call: Call) -> u32 {
    run(&program.with_token(TEST_TOKEN), call)
}

/// Runs the program as the kernel does, and returns its result.
fn run(bytes: &[u8], call: Call) -> u32 {
    let (mut at, mut accumulator, mut steps) = (0, 0u32, 0);
    loop {
        let raw = &bytes[at * 8..at * 8 + 8];
        let (code, k) = (
            u16::from_ne_bytes([raw[0], raw[1]]),
            u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]),
        );
        at += 1;
        steps += 1;
        assert!(steps <= LENGTH_MAX, "runs in circles");
        let mut jump = |taken: bool| at += usize::from(if taken { raw[2] } else { raw[3] });
        match code {
            LOAD => accumulator = call.word(k),
            AND => accumulator &= k,
            JUMP => at += k as usize,
            JUMP_EQUAL => jump(accumulator == k),
            JUMP_GREATER => jump(accumulator > k),
            JUMP_AT_LEAST => jump(accumulator >= k),
            RETURN => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn value_of(action: Action, listener: Listener) -> u32 {
    let mut one = Assembler { code: Vec::new(), listener };
    one.finish(action);
    one.code[0].k
}

fn agree(filter: &Seccomp, program: &Program, call: Call) {
    let number = call.number as i32;
    let named =
        if call.architecture == NATIVE { Syscall::new(number) } else { Syscall::foreign(number) };
    let expected = value_of(filter.decide(named, &call.arguments), program.listener);
    assert_eq!(interpret(program, call), expected, "{call:x?} under {filter:?}");
}

/// A small pseudo-random number generator (xorshift) with a fixed seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize]
    }
}

/// Boundary values for comparisons.
const VALUES: &[u64] = &[
    0,
    1,
    2,
    0x5412,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_5412,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

#[test]
fn every_profile_compiles_to_what_its_list_says() {
    for profile in Profile::ALL {
        let filter = Seccomp::profile(*profile);
        filter.check().unwrap();
        let program = Program::compile(&filter, Tree::Own).unwrap();
        for number in
            (0..480).chain([0x3fff_ffff, 0x4000_0000, 0x4000_0027, 0x7fff_ffff, 0xffff_ffff])
        {
            for value in VALUES {
                agree(&filter, &program, Call::native(number, [*value; 6]));
            }
            agree(&filter, &program, Call { number, architecture: 0x4000_0003, arguments: [0; 6] });
        }
    }
}

#[test]
fn the_default_program_has_fewer_than_256_instructions() {
    let program = Program::compile(&Profile::Default.into(), Tree::Own).unwrap();
    assert!(program.code.len() < 256, "{} instructions", program.code.len());
}

#[test]
fn random_filters_compile_to_what_they_say() {
    let names = [
        "read", "ioctl", "socket", "mmap", "clone", "execve", "sendmsg", "seccomp", "ptrace", "900",
    ];
    let mut numbers = Numbers(0x5ec1_0de5);
    for _ in 0..500 {
        let profile = numbers.of(Profile::ALL);
        let mut filter = Seccomp::profile(profile);
        for _ in 0..numbers.next() % 12 {
            let action = numbers.of(&[
                Action::Allow,
                Action::Errno(1),
                Action::Errno(38),
                Action::Kill,
                Action::Log,
            ]);
            let mut rule = Rule::new(numbers.of(&names), action);
            for _ in 0..numbers.next() % 4 {
                let wide = numbers.next().is_multiple_of(2);
                let reach = if wide { u64::MAX } else { 0xffff_ffff };
                let mask = numbers.of(&[
                    u64::MAX,
                    reach & 0xff00_ff00_ff00_ff00,
                    reach & 0xf000_0000_0000_ffff,
                ]);
                let value = numbers.of(VALUES) & reach & mask;
                let test = Test::new((numbers.next() % 6) as u8, numbers.of(Compare::ALL), value)
                    .masked(mask);
                rule = rule.when(if wide { test.wide() } else { test });
            }
            filter = filter.rule(rule);
        }
        if numbers.next().is_multiple_of(4) {
            filter =
                filter.otherwise(numbers.of(&[Action::Kill, Action::Allow, Action::Errno(13)]));
        }
        filter.check().unwrap_or_else(|error| panic!("{error}: {filter:?}"));
        let program = Program::compile(&filter, Tree::Own).unwrap();
        for name in names {
            for _ in 0..16 {
                let arguments: [u64; 6] =
                    std::array::from_fn(|_| numbers.of(VALUES) ^ (numbers.next() & 3));
                agree(&filter, &program, Call::named(name, &arguments));
            }
        }
    }
}

#[test]
fn only_the_whole_token_allows_the_three_calls_of_a_start() {
    let nothing = Seccomp::profile(Profile::Default)
        .otherwise(Action::Errno(1))
        .deny("execve", 1)
        .deny("seccomp", 1)
        .deny("sendmsg", 1);
    let program = Program::compile(&nothing, Tree::Own).unwrap();
    let [a, b, c, d] = TEST_TOKEN.map(u64::from);
    let token = [a | b << 32, c | d << 32];
    for name in ["execve", "seccomp", "sendmsg", "mount"] {
        let with = |fourth: u64, fifth: u64| {
            interpret(&program, Call::named(name, &[0, 0, 0, 0, fourth, fifth]))
        };
        let allowed = if name == "mount" { 0x5_0001 } else { 0x7fff_0000 };
        assert_eq!(with(token[0], token[1]), allowed, "{name}");
        for bit in 0..64 {
            assert_eq!(with(token[0] ^ 1 << bit, token[1]), 0x5_0001, "{name}");
            assert_eq!(with(token[0], token[1] ^ 1 << bit), 0x5_0001, "{name}");
        }
    }
}

#[test]
fn a_request_with_high_bits_is_the_same_request() {
    let program = Program::compile(&Profile::Default.into(), Tree::Own).unwrap();
    for request in [0x5412, 0x541c, 0x1_0000_5412, 0xffff_ffff_0000_541c] {
        assert_eq!(interpret(&program, Call::named("ioctl", &[0, request])), 0x5_0001);
    }
    assert_eq!(interpret(&program, Call::named("ioctl", &[0, 0x5413])), 0x7fff_0000);
}

#[test]
fn an_overlong_filter_is_refused() {
    let mut filter = Seccomp::profile(Profile::Default);
    for value in 0..2100 {
        filter =
            filter.rule(Rule::new("ioctl", Action::Kill).when(Test::new(1, Compare::Equal, value)));
    }
    assert!(
        Program::compile(&filter, Tree::Own).unwrap_err().to_string().contains("4096 is the most")
    );
}

#[test]
fn a_narrowed_filter_decides_its_calls_alike_and_refuses_the_rest() {
    let filter = Seccomp::profile(Profile::Default)
        .kill("chmod")
        .rule(Rule::new("umask", Action::Errno(7)).when(Test::new(0, Compare::Less, 8)));
    let used = ["read", "ioctl", "socket", "clone", "clone3", "umask", "chmod", "mount"]
        .map(|name| Syscall::from_name(name).unwrap());
    let narrow = filter.narrowed(used.into_iter());
    for call in used {
        for value in VALUES {
            let expected = filter.decide(call, &[*value; 6]);
            assert_eq!(narrow.decide(call, &[*value; 6]), expected, "{call} {value:#x}");
        }
    }
    assert_eq!(
        narrow.decide(Syscall::from_name("write").unwrap(), &[0; 6]),
        Action::Errno(libc::EPERM)
    );
    assert!(narrow.check().is_ok() && !narrow.is_empty());
}

#[test]
fn every_filter_refuses_calls_that_name_the_warden() {
    let refused = value_of(guard::REFUSED, Listener::None);
    let allowed = value_of(Action::Allow, Listener::None);
    let own = Seccomp::profile(Profile::Unconfined)
        .allow("prlimit64")
        .notify("sched_setaffinity")
        .log("setpriority");
    for filter in
        [Seccomp::profile(Profile::Default), Seccomp::profile(Profile::Unconfined), own.clone()]
    {
        let program = Program::compile(&filter, Tree::Own).unwrap();
        for (number, test) in guard::calls(Tree::Own).into_iter().flat_map(|(numbers, tests)| {
            numbers
                .into_iter()
                .flat_map(move |number| tests.clone().into_iter().map(move |test| (number, test)))
        }) {
            let naming = |value: u64| {
                std::array::from_fn(
                    |index| if index == usize::from(test.argument) { value } else { 77 },
                )
            };
            // The kernel ignores the upper half of a process id.
            for value in [test.value, test.value | 1 << 32, test.value | 0xffff_ffff << 32] {
                agree(&filter, &program, Call::native(number, naming(value)));
                assert_eq!(
                    interpret(&program, Call::native(number, naming(value))),
                    refused,
                    "{number} with {value:#x}"
                );
            }
        }
        for (name, arguments) in
            [("prlimit64", [0, 0]), ("sched_setattr", [2, 0]), ("setpriority", [0, 0])]
        {
            agree(&filter, &program, Call::named(name, &arguments));
        }
    }
    let open = Program::compile(&Seccomp::profile(Profile::Unconfined), Tree::Own).unwrap();
    for (number, test) in guard::compat(Tree::Own) {
        let naming = |value: u64| {
            std::array::from_fn(
                |index| if index == usize::from(test.argument) { value } else { 77 },
            )
        };
        let compat =
            |value: u64| Call { number, architecture: guard::COMPAT, arguments: naming(value) };
        assert_eq!(interpret(&open, compat(test.value)), refused, "{number}");
        assert_eq!(interpret(&open, compat(76)), allowed, "{number}");
    }
    if let Some(bit) = guard::X32 {
        let prlimit = Call::named("prlimit64", &[1]);
        assert_eq!(interpret(&open, Call { number: prlimit.number | bit, ..prlimit }), refused);
    }
    assert_eq!(
        interpret(&open, Call { number: 20, architecture: guard::COMPAT, arguments: [0; 6] }),
        allowed
    );
    assert_eq!(
        interpret(&open, Call { number: 20, architecture: 0xc000_0000, arguments: [1; 6] }),
        allowed
    );
}

#[test]
fn a_gate_tells_of_the_calls_that_leave_a_process_group() {
    let gate = Program::gate().without_token();
    let told = |architecture: u32, number: u32| {
        let call = Call { number, architecture, arguments: [0; 6] };
        run(&gate, call) == value_of(Action::Notify, Listener::Warden)
    };
    for (name, expected) in
        [("setsid", true), ("setpgid", true), ("clone", false), ("getpgid", false)]
    {
        let number = syscall::number_of(name).unwrap();
        assert_eq!(told(NATIVE, number), expected, "{name}");
        if let Some(bit) = guard::X32 {
            assert_eq!(told(NATIVE, number | bit), expected, "{name} of x32");
        }
    }
    let of_32 = if cfg!(target_arch = "riscv64") { [154, 157] } else { [57, 66] };
    let found: Vec<u32> = (0..600).filter(|number| told(guard::COMPAT, *number)).collect();
    assert_eq!(found, of_32);
}
