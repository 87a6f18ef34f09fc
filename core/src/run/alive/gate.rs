//! Where commands begin in a cell, and where who has all stand still keeps them from it meanwhile:
//! a process on its way into a cgroup of its own must not be taken to another one.

use super::Alive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Nobody waits longer for one that begins: its program may lie where nobody answers.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    beginning: usize,
    keepers: usize,
}

/// One that begins, until this is dropped.
#[derive(Debug)]
pub struct Beginning(Arc<Alive>);

impl Beginning {
    /// Waits until nobody keeps it from that.
    pub fn new(alive: &Arc<Alive>) -> Beginning {
        let gate = &alive.gate;
        let open = gate.changed.wait_while(gate.state(), |state| state.keepers > 0);
        open.unwrap_or_else(PoisonError::into_inner).beginning += 1;
        Beginning(alive.clone())
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.0.gate.state().beginning -= 1;
        self.0.gate.changed.notify_all();
    }
}

/// Nobody begins until this is dropped.
#[derive(Debug)]
pub struct Closed<'a>(&'a Gate);

impl Gate {
    /// Lets nobody begin any more, and waits for those who do.
    pub fn close(&self) -> Closed<'_> {
        let mut state = self.state();
        state.keepers += 1;
        drop(self.changed.wait_timeout_while(state, PATIENCE, |state| state.beginning > 0));
        Closed(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.state().keepers -= 1;
        self.0.changed.notify_all();
    }
}
