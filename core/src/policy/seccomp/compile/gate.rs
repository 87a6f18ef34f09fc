//! The program of a gate: each call by which a process leaves its process group waits for the
//! listener.

use super::{
    AND, ARCHITECTURE, Action, Assembler, JUMP_EQUAL, LOAD, Listener, NATIVE, NUMBER, Program,
    guard, syscall,
};

/// The calls that put a process into another process group.
const CALLS: [&str; 2] = ["setpgid", "setsid"];
/// Their numbers for 32-bit programs of i386 and arm.
const CALLS_FOR_32: [u32; 2] = [57, 66];

impl Program {
    /// The program of a gate. It holds for programs of every architecture, and needs no token: the
    /// start makes neither call after it.
    pub fn gate() -> Program {
        let native: Vec<u32> = CALLS.into_iter().filter_map(syscall::number_of).collect();
        // Those of riscv32 have the numbers of riscv64.
        let foreign = if cfg!(target_arch = "riscv64") { &native } else { &CALLS_FOR_32[..] };
        let foreign = asked(foreign, None);
        let mut code = Assembler { code: Vec::new(), listener: Listener::Warden };
        code.emit(LOAD, ARCHITECTURE);
        code.branch(JUMP_EQUAL, NATIVE, foreign.len() as u8, 0);
        code.code.extend(foreign);
        code.code.extend(asked(&native, guard::X32));
        Program { code: code.code, listener: Listener::Warden }
    }
}

/// Asks about these numbers, with and without the bit.
fn asked(numbers: &[u32], bit: Option<u32>) -> Vec<super::Instruction> {
    let mut block = Assembler { code: Vec::new(), listener: Listener::Warden };
    block.emit(LOAD, NUMBER);
    if let Some(bit) = bit {
        block.emit(AND, !bit);
    }
    for (index, number) in numbers.iter().enumerate() {
        block.branch(JUMP_EQUAL, *number, (numbers.len() - index) as u8, 0);
    }
    block.finish(Action::Allow);
    block.finish(Action::Notify);
    block.code
}
