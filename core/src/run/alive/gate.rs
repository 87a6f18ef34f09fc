//! Keeps freezing and starting apart: while a caller freezes a cell, no command starts in it, and a
//! freeze waits for the commands that are starting. A process that is about to enter its own cgroup
//! must not be moved to another one meanwhile.

use super::Alive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a freeze waits for the commands that are starting. Not longer: a program may lie on a
/// file system that does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    /// Commands that are starting.
    starting: usize,
    /// Callers that keep commands from starting.
    closed_by: usize,
}

/// Held by a command while it starts in a cell.
#[derive(Debug)]
pub struct StartGuard(Arc<Alive>);

impl StartGuard {
    /// Waits until the gate is open.
    pub fn new(alive: &Arc<Alive>) -> StartGuard {
        let gate = &alive.gate;
        let open = gate.changed.wait_while(gate.state(), |state| state.closed_by > 0);
        open.unwrap_or_else(PoisonError::into_inner).starting += 1;
        StartGuard(alive.clone())
    }
}

impl Drop for StartGuard {
    fn drop(&mut self) {
        self.0.gate.state().starting -= 1;
        self.0.gate.changed.notify_all();
    }
}

/// Keeps the gate closed until it is dropped.
#[derive(Debug)]
pub struct Closed<'a>(&'a Gate);

impl Gate {
    /// Closes the gate, and waits for the commands that are starting.
    pub fn close(&self) -> Closed<'_> {
        let mut state = self.state();
        state.closed_by += 1;
        drop(self.changed.wait_timeout_while(state, PATIENCE, |state| state.starting > 0));
        Closed(self)
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.state().closed_by -= 1;
        self.0.changed.notify_all();
    }
}
