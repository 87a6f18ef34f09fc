//! What a start loads: the policy's filter, compiled once, and the programs that the caller brings.

use super::compile::{Pass, Program};
use super::{Listens, Profile, Seccomp};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::Policy;
use crate::wire::codec::ListBuilder;
use crate::wire::message;
use std::sync::{Arc, OnceLock};

/// The programs in the order in which they are loaded. The kernel asks all of them, and the strictest answer holds.
#[derive(Debug)]
pub struct Filters {
    compiled: Option<Arc<Program>>,
    brought: Vec<Vec<u8>>,
}

impl Filters {
    /// The filters of a policy that has been checked.
    pub fn of(policy: &Policy) -> Result<Filters> {
        let filter = policy.filter();
        let compiled = if filter.is_empty() { None } else { Some(compile(&filter)?) };
        Ok(Filters { compiled, brought: policy.seccomp_bpf.clone() })
    }

    /// Who is told of calls: one of [`message::listener`].
    pub fn listener(&self) -> u32 {
        match self.compiled.as_ref().map(|program| program.listens) {
            None | Some(Listens::Nobody) => message::listener::NOBODY,
            Some(Listens::Warden) => message::listener::WARDEN,
            Some(Listens::Caller) => message::listener::CALLER,
        }
    }

    /// The programs for one start, and the pass that it has.
    pub fn load(&self) -> Result<(ListBuilder<Vec<u8>>, message::Pass)> {
        let mut programs = ListBuilder::new(Vec::new());
        let mut pass: Pass = [0; 4];
        if let Some(program) = &self.compiled {
            pass = draw()?;
            programs.push(&program.with_pass(pass).as_slice());
        }
        self.brought.iter().for_each(|program| programs.push(&program.as_slice()));
        let word = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        Ok((programs, message::Pass { fourth: word(pass[0], pass[1]), fifth: word(pass[2], pass[3]) }))
    }
}

fn draw() -> Result<Pass> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(ErrorKind::Setup, "draw a random number").because(error.to_string()))?;
    Ok(std::array::from_fn(|word| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * word + byte]))))
}

/// A bare profile is compiled once for the whole process.
fn compile(filter: &Seccomp) -> Result<Arc<Program>> {
    static PROFILES: [OnceLock<Arc<Program>>; Profile::ALL.len()] = [const { OnceLock::new() }; Profile::ALL.len()];
    if !filter.rules.is_empty() || filter.otherwise.is_some() {
        return Program::compile(filter).map(Arc::new);
    }
    let place = &PROFILES[filter.profile as usize];
    match place.get() {
        Some(program) => Ok(program.clone()),
        None => Program::compile(filter).map(|program| place.get_or_init(|| Arc::new(program)).clone()),
    }
}
